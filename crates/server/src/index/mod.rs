//! The index: sessions, publications, and the answers to what peers ask (BT-2, BT-4.2).
//!
//! Pure: the time comes in as `now`, who asks as an address, and nothing here waits, logs or touches a socket. Every
//! answer is exact at `now`: sessions whose time is over are gone before a request is looked at.
#![deny(clippy::disallowed_methods, clippy::wildcard_enum_match_arm)]

mod legacy;
mod publications;
mod queries;
mod requests;
mod sessions;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bittrickle_wire::{Encoding, Hex64, legacy as original, messages::Reply, messages::Request};

use crate::credentials::Credentials;
use publications::Publications;
use sessions::Sessions;

/// How many of everything the index holds (BT-5.3-2). Where a limit is reached, requests are refused, and nothing
/// that exists is dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Sessions, of both formats.
    pub sessions: usize,
    /// Framed sessions of one member.
    pub sessions_per_member: usize,
    /// Publications.
    pub publications: usize,
    /// Publications of one member.
    pub publications_per_member: usize,
    /// Names that one search looks at.
    pub names_per_search: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 65_536,
            sessions_per_member: 16,
            publications: 10_000_000,
            publications_per_member: 1_000_000,
            names_per_search: 100_000,
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
    boot_id: Hex64,
    credentials: Credentials,
    limits: Limits,
    sessions: Sessions,
    publications: Publications,
}

impl Index {
    /// An empty index. `boot_id` must differ from that of every other start of the server.
    #[must_use]
    pub fn new(boot_id: Hex64, credentials: Credentials, limits: Limits) -> Self {
        let sessions = Sessions::default();
        let publications = Publications::default();
        Self { boot_id, credentials, limits, sessions, publications }
    }

    /// Answers one request. Repeating a request repeats its answer and changes nothing (BT-2.2-3).
    ///
    /// `from` tells whose request it is (BT-2.2-1); pages are filled for `encoding`.
    pub fn handle(&mut self, now: Instant, from: SocketAddr, encoding: Encoding, request: Request) -> Reply {
        self.expire(now);
        self.handle_request(now, from, encoding, request).unwrap_or_else(Reply::Refused)
    }

    /// Answers one request of the original's client (BT-4.2).
    pub fn handle_legacy(
        &mut self,
        now: Instant,
        from: SocketAddr,
        request: &original::Request,
    ) -> original::Reply {
        self.expire(now);
        self.handle_legacy_request(now, from, request)
    }

    /// Ends the sessions whose time is over. Every request does this by itself; called between requests, it frees
    /// memory sooner.
    pub fn expire(&mut self, now: Instant) {
        while self.sessions.close_expired(now) {}
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
