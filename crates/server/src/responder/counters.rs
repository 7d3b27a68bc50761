//! What became of the datagrams that came in.

use std::fmt;
use std::ops::Add;

/// Every datagram is counted when it comes; a handshake that waited is counted again if nothing came of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Hellos that got a cookie.
    pub hellos: u64,
    /// Handshakes that wait for their turn, or have had it.
    pub handshakes: u64,
    /// Sealed frames that got an answer, refusals included.
    pub frames_answered: u64,
    /// Legacy datagrams that got an answer.
    pub legacy_answered: u64,
    /// Logins and enrolments whose password is being checked, or has been.
    pub passwords: u64,
    /// Dropped: no format begins so, or the framing or the JSON is broken.
    pub malformed: u64,
    /// Dropped: frames outside a seal.
    pub unsealed: u64,
    /// Dropped: the address may not speak legacy.
    pub address_refused: u64,
    /// Dropped: cookies that are too old, forged, or for another address.
    pub bad_cookies: u64,
    /// Dropped: handshakes beyond a limit.
    pub handshakes_shed: u64,
    /// Dropped: sealed for another server, or changed on its way.
    pub bad_seals: u64,
    /// Dropped: seen before.
    pub replays: u64,
    /// Not executed: from a session that isn't known.
    pub unknown_sessions: u64,
    /// Not executed: authentic, but from an address that hasn't proved itself.
    pub moved: u64,
    /// Dropped: answers that nobody asked for.
    pub unexpected_replies: u64,
    /// Dropped: repeats of what is being worked on, and checks beyond a limit.
    pub waiting: u64,
    /// Shed: requests of sessions, as more came than could be answered.
    pub requests_shed: u64,
    /// Shed: what strangers sent, for the same reason.
    pub strangers_shed: u64,
}

impl Counters {
    /// Those that an operator wants to hear of.
    #[must_use]
    pub fn drops(&self) -> u64 {
        self.malformed
            + self.unsealed
            + self.address_refused
            + self.bad_cookies
            + self.handshakes_shed
            + self.bad_seals
            + self.replays
            + self.unexpected_replies
            + self.requests_shed
            + self.strangers_shed
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} frames and {} legacy datagrams answered, {} hellos, {} handshakes, {} passwords checked; dropped: {} \
             malformed, {} unsealed, {} from addresses that may not speak so, {} bad cookies, {} handshakes beyond a \
             limit, {} bad seals, {} replays, {} answers nobody asked for, {} repeats; shed: {} requests, {} of strangers; {} of unknown sessions, {} from \
             new addresses",
            self.frames_answered,
            self.legacy_answered,
            self.hellos,
            self.handshakes,
            self.passwords,
            self.malformed,
            self.unsealed,
            self.address_refused,
            self.bad_cookies,
            self.handshakes_shed,
            self.bad_seals,
            self.replays,
            self.unexpected_replies,
            self.waiting,
            self.requests_shed,
            self.strangers_shed,
            self.unknown_sessions,
            self.moved,
        )
    }
}

/// What several threads have counted.
impl Add for Counters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            hellos: self.hellos + other.hellos,
            handshakes: self.handshakes + other.handshakes,
            frames_answered: self.frames_answered + other.frames_answered,
            legacy_answered: self.legacy_answered + other.legacy_answered,
            passwords: self.passwords + other.passwords,
            malformed: self.malformed + other.malformed,
            unsealed: self.unsealed + other.unsealed,
            address_refused: self.address_refused + other.address_refused,
            bad_cookies: self.bad_cookies + other.bad_cookies,
            handshakes_shed: self.handshakes_shed + other.handshakes_shed,
            bad_seals: self.bad_seals + other.bad_seals,
            replays: self.replays + other.replays,
            unknown_sessions: self.unknown_sessions + other.unknown_sessions,
            moved: self.moved + other.moved,
            unexpected_replies: self.unexpected_replies + other.unexpected_replies,
            waiting: self.waiting + other.waiting,
            requests_shed: self.requests_shed + other.requests_shed,
            strangers_shed: self.strangers_shed + other.strangers_shed,
        }
    }
}
