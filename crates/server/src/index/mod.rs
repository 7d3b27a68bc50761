//! The index: sessions, publications, and the answers to what peers ask (BT-2, BT-4.2).
//!
//! Pure: the time comes in as `now`, who asks as a [`Caller`], and nothing here waits, logs or touches a socket. Every
//! answer is exact at `now`: sessions whose time is over are gone before a request is looked at.
#![deny(clippy::disallowed_methods, clippy::wildcard_enum_match_arm)]

mod absence;
mod candidates;
mod catalogue;
mod contents;
mod forgetting;
mod legacy;
mod lists;
mod locate;
mod names;
mod numbers;
mod owners;
mod packed;
mod posting;
mod publications;
mod pulse;
mod recall;
mod requests;
mod search;
mod sessions;
mod singles;
mod trigrams;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::messages::{Reply, Request};
use bittrickle_wire::seal::{PublicKey, Ticket};
use bittrickle_wire::{Encoding, Hex64, MemberName, Target, legacy as original};

pub use catalogue::{Catalogue, CatalogueBuilder, Edit, NameBlock, NameLetters};
pub use legacy::{LegacyAnswer, LegacyLogin};
use publications::Publications;
pub use pulse::{Clock, Pulse};
use sessions::Sessions;

/// Who asks in frames: the handshake has proved it.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Whose device it is.
    pub member: &'a Arc<MemberName>,
    /// Its key: a device has one session at most (BT-2.3-7).
    pub device: PublicKey,
    /// Where the handshake came from; canonical, so that an IPv4 address is never in IPv6 clothes.
    pub address: SocketAddr,
}

/// Whoever shares a key with each source, and so can permit others to fetch from it (BT-6.7).
pub trait Tickets {
    /// A ticket that lets `requester` fetch `target` from the device `source`; `None` when no key is shared with it.
    fn issue(&self, source: &PublicKey, requester: &PublicKey, target: &Target) -> Option<Ticket>;
}

/// How many of everything the index holds (BT-5.3-2). Where a limit is reached, requests are refused, and nothing
/// that exists is dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Sessions, of both formats.
    pub sessions: usize,
    /// Sessions of one member, each of another device.
    pub sessions_per_member: usize,
    /// Publications.
    pub publications: usize,
    /// Publications of one member.
    pub publications_per_member: usize,
    /// Names that one search looks at.
    pub names_per_search: usize,
    /// The same in the original's format, which has no pages to go on with.
    pub names_per_legacy_search: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 262_144,
            sessions_per_member: 16,
            publications: 10_000_000,
            publications_per_member: 1_000_000,
            names_per_search: 4_096,
            names_per_legacy_search: 20_000,
        }
    }
}

/// How often a peer is asked to send a heartbeat.
pub const HEARTBEAT: Duration = Duration::from_secs(2);

/// The silence after which a framed session is over: three heartbeats may be lost.
pub const OFFLINE_AFTER: Duration = Duration::from_secs(7);

/// The silence after which a legacy session is over (BT-4.2-3).
pub const LEGACY_OFFLINE_AFTER: Duration = Duration::from_secs(3);

const _: () = assert!(OFFLINE_AFTER.as_millis() > 3 * HEARTBEAT.as_millis());

/// Who is online, and who shares what.
#[derive(Debug)]
pub struct Index {
    clock: Clock,
    limits: Limits,
    sessions: Sessions,
    publications: Publications,
    /// For how many hours members with publications have been offline, if that is counted.
    offline_hours: HashMap<Arc<MemberName>, u32>,
    /// What has changed about publications, if anybody wants to know.
    edits: Option<Vec<Edit>>,
    /// Whether the publications are still being read, and under which names they will be nobody's.
    is_loading: bool,
    disowned: BTreeSet<MemberName>,
    /// Members whose publications are being withdrawn.
    forgetting: VecDeque<Arc<MemberName>>,
    /// Whether changes of them can't be kept at present.
    is_refusing: bool,
}

impl Index {
    /// An empty index, started now. `boot_id` must differ from that of every other start of the server.
    #[must_use]
    pub fn new(now: Instant, boot_id: Hex64, limits: Limits) -> Self {
        let clock = Clock::new(now, boot_id);
        let sessions = Sessions::new(clock);
        let publications = Publications::default();
        Self {
            clock,
            limits,
            sessions,
            publications,
            offline_hours: HashMap::new(),
            edits: None,
            is_loading: false,
            disowned: BTreeSet::new(),
            forgetting: VecDeque::new(),
            is_refusing: false,
        }
    }

    /// The clock on which tickets end: milliseconds since the index was started (BT-2.3-8).
    #[must_use]
    pub fn clock_ms(&self, now: Instant) -> u64 {
        self.clock.ms(now)
    }

    /// That clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The sign of life of a device's session, if it has one.
    #[must_use]
    pub fn pulse(&self, device: &PublicKey) -> Option<Arc<Pulse>> {
        self.sessions.of_device(device).map(|session| Arc::clone(&session.pulse))
    }

    /// Answers one request. Repeating a request repeats its answer and changes nothing (BT-2.2-3).
    ///
    /// Pages are filled for `encoding`; sources come with what `tickets` gives for them.
    pub fn handle(
        &mut self,
        now: Instant,
        caller: Caller<'_>,
        encoding: Encoding,
        request: Request,
        tickets: &dyn Tickets,
    ) -> Reply {
        self.expire(now);
        self.handle_request(now, caller, encoding, request, tickets).unwrap_or_else(Reply::Refused)
    }

    /// Ends a device's session, if it has one: the device is not the member's any more.
    pub fn close_device(&mut self, device: &PublicKey) {
        if let Some(id) = self.sessions.of_device(device).map(|session| session.id) {
            self.close(id);
        }
    }

    /// Ends every session of a member, of both formats.
    pub fn close_member(&mut self, member: &MemberName) {
        let open: Vec<_> = self.sessions.of_member(member).map(|session| session.id).collect();
        open.into_iter().for_each(|id| self.close(id));
    }

    /// Answers one request of the original's client (BT-4.2), but for a login, whose password has to be checked first.
    pub fn handle_legacy(
        &mut self,
        now: Instant,
        from: SocketAddr,
        request: &original::Request,
    ) -> LegacyAnswer {
        self.expire(now);
        self.handle_legacy_request(now, from, request)
    }

    /// Answers a login of the original's client once it is known whether its password is right.
    pub fn finish_legacy_login(
        &mut self,
        now: Instant,
        from: SocketAddr,
        login: &LegacyLogin,
        password_is_right: bool,
    ) -> original::Reply {
        self.expire(now);
        self.legacy_login(now, from, login, password_is_right)
    }

    /// Ends the sessions whose time is over. Every request does this by itself; called between requests, it frees
    /// memory sooner.
    pub fn expire(&mut self, now: Instant) {
        while let Some(id) = self.sessions.next_expired(now) {
            self.close(id);
        }
    }

    /// Sessions that are open, of both formats.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Publications, by all members.
    #[must_use]
    pub fn publication_count(&self) -> usize {
        self.publications.len()
    }
}
