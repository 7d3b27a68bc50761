//! Sessions: who is online, from where, and until when (BT-2.3, BT-4.2).

use std::cmp::Reverse;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BinaryHeap};
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::seal::PublicKey;
use bittrickle_wire::{MemberName, Root, SourceAddress};
use hashbrown::HashTable;
use roaring::RoaringBitmap;
use slab::Slab;

use super::pulse::{Clock, Pulse, nanoseconds};
use super::{LEGACY_OFFLINE_AFTER, OFFLINE_AFTER};

/// Names a session; never used twice, and ordered as logins are. The upper bits count logins, the lower ones are the
/// session's place, so that it is found without a map.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct SessionId(NonZeroU64);

/// What a session speaks, and thereby how it is recognised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Speaks {
    /// Frames, under the seal of this device.
    Frames(PublicKey),
    /// The original's format: by user name, from any port of this address.
    Legacy(IpAddr),
}

/// A member's peer that is online.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) member: Arc<MemberName>,
    pub(super) speaks: Speaks,
    /// Where its file server answers.
    pub(super) source: SourceAddress,
    /// What it offers; made with the first name, as most sessions of a great many offer nothing. A legacy session has
    /// none: it offers all that its member has published.
    offers: Option<Box<Offers>>,
    /// When it was heard, and how much it offers.
    pub(super) pulse: Arc<Pulse>,
}

/// The names that a session offers. What stands behind each, the publications know.
#[derive(Debug, Default)]
struct Offers {
    /// By number.
    names: RoaringBitmap,
    /// Contents that it is downloading, and has pieces of (BT-2.12).
    announced: Vec<Root>,
}

/// All sessions. Each stands in every table that applies to it.
#[derive(Debug)]
pub(super) struct Sessions {
    clock: Clock,
    logins: u64,
    /// The sessions themselves. The tables hold their ids only: a table keeps an eighth to a half of its own empty.
    places: Slab<Session>,
    /// How many of them are legacy sessions: nearly always none.
    legacy_count: usize,
    /// Those that speak frames, by their device.
    by_device: HashTable<SessionId>,
    hasher: RandomState,
    by_member: BTreeMap<Arc<MemberName>, Vec<SessionId>>,
    /// When to look at each session next: never later than its end. A sign of life moves the end, not this.
    by_look: BinaryHeap<Reverse<(u64, SessionId)>>,
}

/// Bits of an id that say where its session is: sixteen million have a place, and a trillion logins an id.
const PLACE_BITS: u32 = 24;

impl SessionId {
    /// The lowest of all.
    pub(super) const FIRST: Self = Self(NonZeroU64::MIN);

    fn new(login: u64, place: usize) -> Self {
        assert!(place >> PLACE_BITS == 0, "sessions are limited to fewer");
        let id = login.checked_mul(1 << PLACE_BITS).and_then(|login| NonZeroU64::new(login | place as u64));
        Self(id.expect("logins begin with 1, and are fewer"))
    }

    fn place(self) -> usize {
        (self.0.get() & ((1 << PLACE_BITS) - 1)) as usize
    }

    /// Lower than any later one, and higher than this one and all before.
    pub(super) fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("logins are fewer"))
    }
}

impl Session {
    pub(super) fn is_legacy(&self) -> bool {
        matches!(self.speaks, Speaks::Legacy(_))
    }

    pub(super) fn device(&self) -> Option<PublicKey> {
        match self.speaks {
            Speaks::Frames(device) => Some(device),
            Speaks::Legacy(_) => None,
        }
    }

    /// The silence after which it is over (BT-2.3-4, BT-4.2-3).
    fn silence_max(&self) -> Duration {
        if self.is_legacy() { LEGACY_OFFLINE_AFTER } else { OFFLINE_AFTER }
    }

    /// Offers the name with this number, for which these are the digests of what it offered under it so far and of what it
    /// offers now.
    pub(super) fn add_offer(&mut self, name: u32, before: Option<u64>, digest: u64) {
        if let Some(before) = before {
            self.remove_offer(name, before);
        }
        let offers = self.offers.get_or_insert_default();
        if offers.names.insert(name) {
            self.pulse.add_offer(digest);
        }
    }

    /// Offers a name no more, for which this was the digest.
    pub(super) fn remove_offer(&mut self, name: u32, digest: u64) {
        if let Some(offers) = &mut self.offers
            && offers.names.remove(name)
        {
            self.pulse.remove_offer(digest);
        }
    }

    /// Contents that it has announced.
    pub(super) fn announced(&self) -> &[Root] {
        self.offers.as_ref().map_or(&[], |offers| &offers.announced)
    }

    /// Announces exactly these from now on. Gives those that it announced before.
    pub(super) fn announce(&mut self, roots: Vec<Root>) -> Vec<Root> {
        if roots.is_empty() && self.offers.is_none() {
            return Vec::new();
        }
        std::mem::replace(&mut self.offers.get_or_insert_default().announced, roots)
    }
}

impl Sessions {
    /// None yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            logins: 0,
            places: Slab::new(),
            legacy_count: 0,
            by_device: HashTable::new(),
            hasher: RandomState::new(),
            by_member: BTreeMap::new(),
            by_look: BinaryHeap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn open(
        &mut self,
        now: Instant,
        member: &Arc<MemberName>,
        speaks: Speaks,
        source: SourceAddress,
    ) -> SessionId {
        let place = self.places.vacant_key();
        self.logins += 1;
        let id = SessionId::new(self.logins, place);
        let member = Arc::clone(member);
        self.by_member.entry(Arc::clone(&member)).or_default().push(id);
        let now_ns = self.clock.ns(now);
        let pulse = Arc::new(Pulse::new(now_ns));
        let session = Session { id, member, speaks, source, offers: None, pulse };
        self.by_look.push(Reverse((now_ns + nanoseconds(session.silence_max()), id)));
        self.places.insert(session);
        match speaks {
            Speaks::Frames(device) => {
                let (places, hasher) = (&self.places, &self.hasher);
                let hash = |id: &SessionId| hasher.hash_one(places[id.place()].device());
                self.by_device.insert_unique(hasher.hash_one(Some(device)), id, hash);
            }
            Speaks::Legacy(_) => self.legacy_count += 1,
        }
        id
    }

    /// Ends a session and gives what it was. What it has offered is not on offer any more: its id stands for nobody
    /// (BT-2.6-6).
    pub(super) fn close(&mut self, id: SessionId) -> Option<Session> {
        self.session(id)?;
        let session = self.places.remove(id.place());
        session.pulse.end();
        match session.speaks {
            Speaks::Frames(device) => {
                let hash = self.hasher.hash_one(Some(device));
                if let Ok(entry) = self.by_device.find_entry(hash, |other| *other == id) {
                    entry.remove();
                }
            }
            Speaks::Legacy(_) => self.legacy_count -= 1,
        }
        if let Some(ids) = self.by_member.get_mut(&session.member) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_member.remove(&session.member);
            }
        }
        Some(session)
    }

    /// The next session whose time is over; it is still there, but a heartbeat can't save it any more.
    pub(super) fn next_expired(&mut self, now: Instant) -> Option<SessionId> {
        let now_ns = self.clock.ns(now);
        while let Some(Reverse((_, id))) =
            self.by_look.peek().copied().filter(|Reverse((at_ns, _))| *at_ns <= now_ns)
        {
            self.by_look.pop();
            let Some(session) = self.session(id) else { continue };
            match session.pulse.end_if_silent(now_ns, session.silence_max()) {
                Some(over_at_ns) => self.by_look.push(Reverse((over_at_ns, id))),
                None => return Some(id),
            }
        }
        None
    }

    pub(super) fn is_open(&self, id: SessionId) -> bool {
        self.session(id).is_some()
    }

    /// Notes a sign of life.
    pub(super) fn touch(&self, now: Instant, id: SessionId) {
        if let Some(session) = self.session(id) {
            session.pulse.hear(self.clock.ns(now));
        }
    }

    pub(super) fn session(&self, id: SessionId) -> Option<&Session> {
        self.places.get(id.place()).filter(|session| session.id == id)
    }

    pub(super) fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.places.get_mut(id.place()).filter(|session| session.id == id)
    }

    pub(super) fn of_device(&self, device: &PublicKey) -> Option<&Session> {
        let is_of_device = |id: &SessionId| self.places[id.place()].device() == Some(*device);
        self.session(*self.by_device.find(self.hasher.hash_one(Some(device)), is_of_device)?)
    }

    /// The member's sessions, in the order of their logins.
    pub(super) fn of_member(&self, member: &MemberName) -> impl Iterator<Item = &Session> {
        self.by_member.get(member).into_iter().flatten().filter_map(|id| self.session(*id))
    }

    /// The member's legacy session; there is never more than one.
    pub(super) fn legacy_of(&self, member: &MemberName) -> Option<&Session> {
        if self.legacy_count == 0 {
            return None;
        }
        self.of_member(member).find(|session| session.is_legacy())
    }

    /// Members who are online behind `after`, by name, with how many sessions they have.
    pub(super) fn members_after(
        &self,
        after: Option<&MemberName>,
    ) -> impl Iterator<Item = (&Arc<MemberName>, usize)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        let members = self.by_member.range::<MemberName, _>((start, Unbounded));
        members.map(|(member, ids)| (member, ids.len()))
    }

    /// Members who are online, in the order in which their oldest session logged in.
    pub(super) fn members_by_login(&self) -> Vec<&Arc<MemberName>> {
        let mut members: Vec<_> = self.by_member.iter().collect();
        members.sort_by_key(|(_, ids)| ids.first().copied());
        members.into_iter().map(|(member, _)| member).collect()
    }
}
