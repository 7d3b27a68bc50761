//! From datagram to datagram: tells the formats apart, opens seals, asks the index, and counts what is dropped.
//!
//! Pure, so that tests, fuzzers and benchmarks drive it without a socket.
//!
//! | file | what it does |
//! |---|---|
//! | `front` | what is done about a datagram before the index is asked, on any thread |
//! | `strangers` | hellos and handshakes: what anybody may send |
//! | `sealed` | frames under a seal |
//! | `passwords` | what waits for a password to be checked: enrolments and legacy logins |
//! | `held` | what waits to become durable: publishing and unpublishing |
//! | `counters` | what became of the datagrams |
#![deny(clippy::disallowed_methods)]

mod counters;
mod front;
mod held;
mod passwords;
mod sealed;
mod strangers;

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use bittrickle_wire::legacy::{self, RequestKind};
use bittrickle_wire::seal::{Aes256Gcm, Cipher, CookieKeys, Entropy, PublicKey, Reset, Sealed, SecretKey};
use bytes::BytesMut;

use crate::access::LegacyAccess;
use crate::directory::{Change, Directory};
use crate::index::{Index, LegacyAnswer};
use crate::sealing::{Budget, Handshakes, Limits, Rate, Table};
use passwords::Passwords;

pub use counters::Counters;
pub use front::{Front, Work};
pub use held::Batch;
use held::Held;

/// Answers datagrams.
#[derive(Debug)]
pub struct Responder<C = Aes256Gcm> {
    /// What it answers from.
    pub index: Index,
    directory: Directory,
    table: Table<C>,
    limits: Limits,
    handshakes: Handshakes,
    passwords: Passwords,
    held: Held,
    secret: SecretKey,
    key: PublicKey,
    cookies: CookieKeys,
    entropy: Entropy,
    tickets: u64,
    resets: Budget,
    legacy: LegacyAccess,
    front: Front<C>,
    counters: Counters,
}

/// Who the server is, and whom it knows.
pub struct Identity {
    /// The server's own key.
    pub secret: SecretKey,
    /// Members and their devices.
    pub directory: Directory,
    /// 32 bytes from the operating system.
    pub seed: [u8; 32],
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Resets in all: each is smaller than its cause, and a device believes few of them (BT-6.5-5).
const RESETS: Rate = Rate { per_second: 5_000, burst: 5_000 };

impl<C: Cipher> Responder<C> {
    /// Answers from this index, as this server; legacy datagrams only where `legacy` allows it.
    #[must_use]
    pub fn new(index: Index, identity: Identity, limits: Limits, legacy: LegacyAccess) -> Self {
        let Identity { secret, directory, seed } = identity;
        let mut entropy = Entropy::new(seed);
        let table = Table::new(limits);
        let front = Front::new(table.lines(), index.clock(), limits.others, legacy.clone());
        Self {
            index,
            directory,
            table,
            limits,
            handshakes: Handshakes::new(limits.handshakes),
            passwords: Passwords::default(),
            held: Held::default(),
            key: secret.public(),
            secret,
            cookies: CookieKeys::new(entropy.draw()),
            tickets: u64::from_be_bytes(entropy.draw()),
            entropy,
            resets: Budget::full(0, RESETS),
            legacy,
            front,
            counters: Counters::default(),
        }
    }

    /// What became of the datagrams so far, but for those that another thread's front has dealt with.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters + self.front.counters()
    }

    /// Sealed sessions that are open, those of strangers included.
    #[must_use]
    pub fn sealed_count(&self) -> usize {
        self.table.len()
    }

    /// Forgets what is over. Called between requests, about once a second.
    pub fn expire(&mut self, now: Instant) {
        self.index.expire(now);
        self.table.expire(self.index.clock_ms(now));
        self.passwords.expire(now);
    }

    /// Takes note of a change that is durable already: who isn't a member any more is out at once (BT-6.2-9).
    pub fn apply(&mut self, change: &Change) {
        let devices: Vec<PublicKey> = match change {
            Change::DeviceAdded { device, .. } | Change::DeviceRevoked(device) => vec![*device],
            Change::MemberDisabled(member)
            | Change::MemberEnabled(member)
            | Change::MemberRemoved(member) => self.directory.devices_of(member).collect(),
            Change::MemberAdded(_) => Vec::new(),
        };
        self.directory.apply(change);
        for device in devices {
            let member = self.directory.member_of(&device);
            if member.is_none() || matches!(change, Change::DeviceAdded { .. }) {
                self.index.close_device(&device);
            }
            self.table.set_member(&device, member.as_ref());
        }
        match change {
            Change::MemberDisabled(member) => self.index.close_member(member),
            Change::MemberRemoved(member) => self.index.remove_member(member),
            Change::MemberAdded(member) => self.index.add_member(member),
            Change::MemberEnabled(_) | Change::DeviceAdded { .. } | Change::DeviceRevoked(_) => {}
        }
    }

    /// A front for another thread, which gives what it can't answer to [`Responder::work`].
    #[must_use]
    pub fn front(&self) -> Front<C> {
        let lines = self.table.lines();
        Front::new(lines, self.index.clock(), self.limits.others, self.legacy.clone())
    }

    /// Reads one datagram, leaves its buffer empty, and appends the answer to `out` if there is one: as a front and the
    /// responder do it together.
    ///
    /// `from` is canonical: an IPv4 address is never in IPv6 clothes.
    pub fn respond(&mut self, now: Instant, from: SocketAddr, datagram: &mut BytesMut, out: &mut BytesMut) {
        if let Some(work) = self.front.take(now, from, datagram, out) {
            self.work(now, from, work, out);
        }
    }

    /// Does what a front couldn't, and appends the answer to `out` if there is one.
    pub fn work(&mut self, now: Instant, from: SocketAddr, work: Work, out: &mut BytesMut) {
        match work {
            Work::Opened { sealed, serial, opened } => {
                self.respond_to_opened(now, from, (sealed, serial), *opened, out);
            }
            Work::Legacy(request) => self.respond_to_legacy(now, from, &request, out),
            Work::Unknown(Sealed { index, counter }) => {
                self.reset(self.index.clock_ms(now), index, counter, out);
            }
            Work::Hello(hello) => self.respond_to_hello(now, from, &hello, out),
            Work::Initiate(initiate) => self.queue_handshake(now, from, *initiate, out),
        }
    }

    /// The one answer that a device without a session gets besides its handshake, so that it needn't wait for long.
    fn reset(&mut self, now_ms: u64, index: u32, counter: u64, out: &mut BytesMut) {
        if self.resets.take(now_ms, RESETS) {
            Reset { index, counter }.write(out);
        }
    }

    fn respond_to_legacy(
        &mut self,
        now: Instant,
        from: SocketAddr,
        request: &legacy::Request,
        out: &mut BytesMut,
    ) {
        let is_change = matches!(request.kind, RequestKind::Pub(_) | RequestKind::Unp(_));
        match self.index.handle_legacy(now, from, request) {
            LegacyAnswer::Reply(reply) => {
                let is_held = is_change && matches!(reply, legacy::Reply::Success(_));
                let reply = if is_held { self.hold_legacy(from, reply) } else { Some(reply) };
                let Some(reply) = reply else { return };
                self.counters.legacy_answered += 1;
                out.extend_from_slice(&reply.encode());
            }
            LegacyAnswer::CheckPassword(login) => self.queue_legacy_login(now, from, login),
        }
    }
}
