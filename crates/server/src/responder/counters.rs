//! What became of the datagrams that came in.

use std::fmt;

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
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} frames and {} legacy datagrams answered, {} hellos, {} handshakes, {} passwords checked; dropped: {} \
             malformed, {} unsealed, {} from addresses that may not speak so, {} bad cookies, {} handshakes beyond a \
             limit, {} bad seals, {} replays, {} answers nobody asked for, {} repeats; {} of unknown sessions, {} from \
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
            self.unknown_sessions,
            self.moved,
        )
    }
}
