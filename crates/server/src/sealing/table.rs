//! Sealed sessions: whose they are, and when they are forgotten (BT-6.5). Their keys are with the [`Lines`].
//!
//! ```text
//!                first frame opened: an older session of the device goes
//! Accept sent ─────────────────────────────▶ heard ──── 60 s of silence, or 65 min ──▶ forgotten
//!      └── 10 s without a frame ─────────────────────────────────────────────────────▶ forgotten
//! ```

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use bittrickle_wire::MemberName;
use bittrickle_wire::seal::{Accept, DatagramSession, NONCE_BYTES, PublicKey};
use slab::Slab;

use super::limits::Limits;
use super::lines::{Line, LineGuard, Lines};
use super::network::Network;
use super::rate::Budget;

/// One sealed session, but for its line.
#[derive(Debug)]
pub struct Slot {
    /// The device that has proved its key.
    pub device: PublicKey,
    /// Whose device it is; nobody's if it isn't enrolled.
    pub member: Option<Arc<MemberName>>,
    /// The network that the handshake came from.
    network: Network,
    /// What it may still ask.
    pub queries: Budget,
    /// What it may still publish.
    pub own_publications: Budget,
    /// When the device got its cookie, and a part of its nonce: what tells its handshake from an older one.
    began_ms: u64,
    mark: u32,
    /// When to look at it next, in milliseconds from `began_ms` on: a server holds a great many slots, and none for longer
    /// than this number can count.
    look_after_ms: u32,
    is_heard: bool,
}

/// A device whose handshake is about to be answered.
#[derive(Debug)]
pub struct Newcomer {
    /// The key that it has proved.
    pub device: PublicKey,
    /// Whose device it is.
    pub member: Option<Arc<MemberName>>,
    /// Where it is.
    pub address: SocketAddr,
    /// When it got its cookie.
    pub began_ms: u64,
    /// Drawn for this handshake.
    pub nonce: [u8; NONCE_BYTES],
}

/// All sealed sessions, by the server's index.
#[derive(Debug)]
pub struct Table<C> {
    limits: Limits,
    slots: Slab<Slot>,
    /// The line of each slot, under the same index.
    lines: Arc<Lines<C>>,
    next_serial: u32,
    /// The session of each device from which a frame has been opened.
    heard: HashMap<PublicKey, u32>,
    /// The newest session of each device from which none has been opened yet.
    unheard: HashMap<PublicKey, Unheard>,
    /// Their devices, by the nonces of their handshakes.
    unheard_nonces: HashMap<[u8; NONCE_BYTES], PublicKey>,
    strangers: usize,
    strangers_of: HashMap<Network, u32>,
    /// When to look at each slot next: never later than its end.
    by_look: BinaryHeap<Reverse<(u64, u32)>>,
}

/// A session whose handshake has been answered, and no more.
#[derive(Debug)]
struct Unheard {
    index: u32,
    nonce: [u8; NONCE_BYTES],
    accept: Accept,
}

/// Why there is no session. What exists is never dropped for a newcomer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoSession {
    /// There is no room for another one.
    #[error("there is no room for another session")]
    Full,
    /// The device has made a newer handshake.
    #[error("the device has made a newer handshake")]
    Replay,
}

/// Sessions beyond the limit whose devices have an older one.
const RENEWALS_MAX: usize = 4_096;

/// Silence after which a session is forgotten (BT-6.5-8).
const SILENCE_MS_MAX: u64 = 60_000;

/// The same, before its first frame.
const UNHEARD_MS_MAX: u64 = 10_000;

/// Age at which it is forgotten: a device makes a new handshake five minutes before.
const AGE_MS_MAX: u64 = 3_900_000;

impl Slot {
    /// When it is over if it isn't heard again.
    fn over_at_ms(&self, heard_ms: u64) -> u64 {
        let silence_ms_max = if self.is_heard { SILENCE_MS_MAX } else { UNHEARD_MS_MAX };
        (heard_ms + silence_ms_max).min(self.began_ms + AGE_MS_MAX)
    }
}

impl<C> Table<C> {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let slots_max = limits.sessions.saturating_add(limits.strangers).saturating_add(RENEWALS_MAX);
        Self {
            limits,
            slots: Slab::new(),
            lines: Arc::new(Lines::new(slots_max)),
            next_serial: 0,
            heard: HashMap::new(),
            unheard: HashMap::new(),
            unheard_nonces: HashMap::new(),
            strangers: 0,
            strangers_of: HashMap::new(),
            by_look: BinaryHeap::new(),
        }
    }

    /// The answer to a handshake with this nonce from this address, if it has been given and nothing has come of it yet:
    /// found without computing anything on a curve again.
    #[must_use]
    pub fn answered(&self, address: SocketAddr, nonce: &[u8; NONCE_BYTES]) -> Option<Accept> {
        let unheard = self.unheard.get(self.unheard_nonces.get(nonce)?)?;
        let line = self.lines.line(unheard.index)?;
        (line.address == address).then_some(unheard.accept)
    }

    /// Answers a handshake with this nonce: with a new session, for which `open` is given the server's index, or as
    /// before when the device has sent it again and it has waited beside itself. A handshake that began before the device's
    /// newest one did is a replay (BT-6.4-7).
    ///
    /// # Errors
    /// There is no room, or it is a replay; `open` isn't called then.
    pub fn open(
        &mut self,
        now_ms: u64,
        newcomer: Newcomer,
        open: impl FnOnce(u32) -> (DatagramSession<C>, Accept),
    ) -> Result<Accept, NoSession> {
        let Newcomer { device, member, address, began_ms, nonce } = newcomer;
        if let Some(unheard) = self.unheard.get(&device) {
            if unheard.nonce == nonce {
                return Ok(unheard.accept);
            }
            self.refuse_replay(began_ms, &nonce, unheard.index)?;
            self.close(unheard.index);
        }
        if let Some(heard) = self.heard.get(&device) {
            self.refuse_replay(began_ms, &nonce, *heard)?;
        }
        self.refuse_one_too_many(address, &device, member.is_some())?;
        let entry = self.slots.vacant_entry();
        let index = u32::try_from(entry.key()).map_err(|_| NoSession::Full)?;
        if !self.lines.has_room_for(index) {
            return Err(NoSession::Full);
        }
        let (session, accept) = open(index);
        let limits = &self.limits;
        let others = Budget::full(began_ms, limits.others);
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let over_ms = began_ms + AGE_MS_MAX;
        self.lines
            .put(index, Line { session, serial, address, others, heard_ms: now_ms, over_ms, pulse: None });
        let slot = Slot {
            device,
            network: address.ip().into(),
            queries: Budget::full(began_ms, limits.queries),
            own_publications: Budget::full(began_ms, limits.own_publications),
            began_ms,
            mark: mark(&nonce),
            look_after_ms: after(began_ms, now_ms + UNHEARD_MS_MAX),
            is_heard: false,
            member,
        };
        self.by_look.push(Reverse((now_ms + UNHEARD_MS_MAX, index)));
        if slot.member.is_none() {
            self.strangers += 1;
            *self.strangers_of.entry(slot.network).or_default() += 1;
        }
        self.unheard.insert(device, Unheard { index, nonce, accept });
        self.unheard_nonces.insert(nonce, device);
        entry.insert(slot);
        Ok(accept)
    }

    fn refuse_replay(&self, began_ms: u64, nonce: &[u8; NONCE_BYTES], newest: u32) -> Result<(), NoSession> {
        let Some(newest) = self.slots.get(newest as usize) else { return Ok(()) };
        let is_itself = began_ms == newest.began_ms && mark(nonce) == newest.mark;
        if began_ms < newest.began_ms || is_itself { Err(NoSession::Replay) } else { Ok(()) }
    }

    fn refuse_one_too_many(
        &self,
        address: SocketAddr,
        device: &PublicKey,
        is_member: bool,
    ) -> Result<(), NoSession> {
        let is_full = if is_member {
            // A device that is here already makes room as soon as its new session is heard.
            let renewals = if self.heard.contains_key(device) { RENEWALS_MAX } else { 0 };
            self.slots.len() - self.strangers >= self.limits.sessions + renewals
        } else {
            let of_network = self.strangers_of.get(&address.ip().into()).copied().unwrap_or(0);
            self.strangers >= self.limits.strangers || of_network >= self.limits.strangers_of_network
        };
        if is_full { Err(NoSession::Full) } else { Ok(()) }
    }

    /// The session with this index.
    #[must_use]
    pub fn slot(&self, index: u32) -> Option<&Slot> {
        self.slots.get(index as usize)
    }

    /// The session with this index.
    pub fn slot_mut(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(index as usize)
    }

    /// The line of the session with this index.
    #[must_use]
    pub fn line(&self, index: u32) -> Option<LineGuard<'_, C>> {
        self.lines.line(index)
    }

    /// All lines, for another thread.
    #[must_use]
    pub fn lines(&self) -> Arc<Lines<C>> {
        Arc::clone(&self.lines)
    }

    /// The line to a device from which a frame has been opened.
    #[must_use]
    pub fn line_of(&self, device: &PublicKey) -> Option<LineGuard<'_, C>> {
        self.lines.line(*self.heard.get(device)?)
    }

    /// Notes that a frame has been opened. The first one ends the device's older session (BT-6.5-3).
    pub fn hear(&mut self, now_ms: u64, index: u32) {
        let Some(slot) = self.slots.get_mut(index as usize) else { return };
        if let Some(mut line) = self.lines.line(index) {
            line.heard_ms = now_ms;
        }
        if slot.is_heard {
            return;
        }
        slot.is_heard = true;
        let device = slot.device;
        self.forget_unheard(&device);
        let Some(older) = self.heard.insert(device, index) else { return };
        self.inherit_budgets(index, older);
        self.close(older);
    }

    /// A new handshake is no way to ask more.
    fn inherit_budgets(&mut self, index: u32, older: u32) {
        let budgets = self.slots.get(older as usize).map(|slot| (slot.queries, slot.own_publications));
        if let Some((slot, budgets)) = self.slots.get_mut(index as usize).zip(budgets) {
            (slot.queries, slot.own_publications) = budgets;
        }
        let others = self.lines.line(older).map(|line| line.others);
        if let Some((mut line, others)) = self.lines.line(index).zip(others) {
            line.others = others;
        }
    }

    /// Ends a session.
    pub fn close(&mut self, index: u32) {
        let Some(slot) = self.slots.try_remove(index as usize) else { return };
        self.lines.take(index);
        if self.heard.get(&slot.device) == Some(&index) {
            self.heard.remove(&slot.device);
        }
        if self.unheard.get(&slot.device).is_some_and(|unheard| unheard.index == index) {
            self.forget_unheard(&slot.device);
        }
        if slot.member.is_none() {
            self.strangers -= 1;
            release(&mut self.strangers_of, slot.network);
        }
    }

    /// Ends the sessions that are over.
    pub fn expire(&mut self, now_ms: u64) {
        let due = |Reverse((at_ms, _)): &Reverse<(u64, u32)>| *at_ms <= now_ms;
        while let Some(Reverse((look_at_ms, index))) = self.by_look.peek().copied().filter(due) {
            self.by_look.pop();
            // An entry that its slot doesn't know was made for an earlier session with this index.
            let is_its_own = |slot: &&mut Slot| after(slot.began_ms, look_at_ms) == slot.look_after_ms;
            let Some(slot) = self.slots.get_mut(index as usize).filter(is_its_own) else {
                continue;
            };
            let heard_ms = self.lines.line(index).map_or(0, |line| line.heard_ms);
            let over_at_ms = slot.over_at_ms(heard_ms);
            slot.look_after_ms = after(slot.began_ms, over_at_ms);
            if over_at_ms > now_ms {
                self.by_look.push(Reverse((over_at_ms, index)));
            } else {
                self.close(index);
            }
        }
    }

    /// Notes whose a device is from now on.
    pub fn set_member(&mut self, device: &PublicKey, member: Option<&Arc<MemberName>>) {
        let unheard = self.unheard.get(device).map(|unheard| unheard.index);
        for index in self.heard.get(device).copied().into_iter().chain(unheard) {
            let Some(slot) = self.slots.get_mut(index as usize) else { continue };
            let was_stranger = slot.member.is_none();
            slot.member = member.cloned();
            match (was_stranger, member.is_none()) {
                (true, false) => {
                    self.strangers -= 1;
                    release(&mut self.strangers_of, slot.network);
                }
                (false, true) => {
                    self.strangers += 1;
                    *self.strangers_of.entry(slot.network).or_default() += 1;
                }
                (true, true) | (false, false) => {}
            }
        }
    }

    /// Sessions that are open, those of strangers included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no session is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn forget_unheard(&mut self, device: &PublicKey) {
        if let Some(unheard) = self.unheard.remove(device) {
            self.unheard_nonces.remove(&unheard.nonce);
        }
    }
}

/// Milliseconds from one moment of a session to a later one.
fn after(began_ms: u64, later_ms: u64) -> u32 {
    u32::try_from(later_ms.saturating_sub(began_ms)).unwrap_or(u32::MAX)
}

fn mark(nonce: &[u8; NONCE_BYTES]) -> u32 {
    u32::from_be_bytes(std::array::from_fn(|i| nonce[i]))
}

fn release(strangers_of: &mut HashMap<Network, u32>, network: Network) {
    if let Some(count) = strangers_of.get_mut(&network) {
        *count -= 1;
        if *count == 0 {
            strangers_of.remove(&network);
        }
    }
}
