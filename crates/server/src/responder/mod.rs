//! From datagram to datagram: tells the formats apart, opens seals, asks the index, and counts what is dropped.
//!
//! Pure, so that tests, fuzzers and benchmarks drive it without a socket.
//!
//! | file | what it does |
//! |---|---|
//! | `strangers` | hellos and handshakes: what anybody may send |
//! | `sealed` | frames under a seal |
//! | `passwords` | what waits for a password to be checked: enrolments and legacy logins |
//! | `held` | what waits to become durable: publishing and unpublishing |
//! | `counters` | what became of the datagrams |
#![deny(clippy::disallowed_methods)]

mod counters;
mod held;
mod passwords;
mod sealed;
mod strangers;

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use bittrickle_wire::Format;
use bittrickle_wire::legacy::{self, RequestKind};
use bittrickle_wire::limits::{LEGACY_DATAGRAM_BYTES_MAX, STRANGER_DATAGRAM_BYTES_MIN};
use bittrickle_wire::seal::{
    Aes256Gcm, Cipher, CookieKeys, Datagram, DatagramError, Entropy, PublicKey, Reset, SecretKey,
};
use bittrickle_wire::{Encoding, Frame, Header, Message, messages::Versions};
use bytes::BytesMut;
use tokio_util::codec::Encoder as _;

use crate::access::LegacyAccess;
use crate::directory::{Change, Directory};
use crate::index::{Index, LegacyAnswer};
use crate::sealing::{Budget, Handshakes, Limits, Rate, Table};
use passwords::Passwords;

pub use counters::Counters;
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
        Self {
            index,
            directory,
            table: Table::new(limits),
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
            counters: Counters::default(),
        }
    }

    /// What became of the datagrams so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
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
            Change::MemberAdded(_) | Change::MemberEnabled(_) => {}
            Change::DeviceAdded { .. } | Change::DeviceRevoked(_) => {}
        }
    }

    /// Reads one datagram, leaves its buffer empty, and appends the answer to `out` if there is one.
    ///
    /// `from` is canonical: an IPv4 address is never in IPv6 clothes.
    pub fn respond(&mut self, now: Instant, from: SocketAddr, datagram: &mut BytesMut, out: &mut BytesMut) {
        match Format::of(datagram) {
            Some(Format::Frame) => self.respond_to_frame(now, from, datagram, out),
            Some(Format::LegacyJson) if self.legacy.allows(from.ip()) => {
                self.respond_to_legacy(now, from, datagram, out);
            }
            Some(Format::LegacyJson) => self.counters.address_refused += 1,
            Some(Format::LegacyGet) | None => self.counters.malformed += 1,
        }
        datagram.clear();
    }

    fn respond_to_frame(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &mut BytesMut,
        out: &mut BytesMut,
    ) {
        match Datagram::parse(datagram) {
            Ok(Datagram::Hello(hello)) => self.respond_to_hello(now, from, &hello, out),
            Ok(Datagram::Initiate(initiate)) => self.queue_handshake(now, from, initiate, out),
            Ok(Datagram::Sealed(sealed)) => self.respond_to_sealed(now, from, sealed, datagram, out),
            Ok(Datagram::Retry(_) | Datagram::Accept(_) | Datagram::Reset(_)) => {
                self.counters.unexpected_replies += 1;
            }
            Err(DatagramError::NotOutside) => self.counters.unsealed += 1,
            Err(DatagramError::Version(_)) => {
                self.counters.malformed += 1;
                say_versions(datagram, out);
            }
            Err(DatagramError::Length(_) | DatagramError::Encoding(_)) => self.counters.malformed += 1,
        }
    }

    /// The one answer that a device without a session gets besides its handshake, so that it needn't wait for long.
    fn reset(&mut self, now_ms: u64, index: u32, counter: u64, out: &mut BytesMut) {
        if self.resets.take(now_ms, RESETS) {
            Reset { index, counter }.write(out);
        }
    }

    fn respond_to_legacy(&mut self, now: Instant, from: SocketAddr, datagram: &BytesMut, out: &mut BytesMut) {
        let readable = &datagram[..datagram.len().min(LEGACY_DATAGRAM_BYTES_MAX)];
        let Ok(request) = legacy::Request::decode(readable) else {
            self.counters.malformed += 1;
            return;
        };
        let is_change = matches!(request.kind, RequestKind::Pub(_) | RequestKind::Unp(_));
        match self.index.handle_legacy(now, from, &request) {
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

/// Tells who asks in another version which one is spoken here; the answer is far shorter than the question (BT-1.7-3).
fn say_versions(datagram: &[u8], out: &mut BytesMut) {
    let Some(header) = datagram.first_chunk().and_then(Header::parse) else { return };
    if datagram.len() < STRANGER_DATAGRAM_BYTES_MIN || header.kind.is_reply() {
        return;
    }
    let message = Message::Versions(Versions::SPOKEN);
    let frame = Frame { request_id: header.request_id, encoding: Encoding::Raw, message };
    bittrickle_wire::DatagramCodec.encode(frame, out).expect("two bytes are few");
}
