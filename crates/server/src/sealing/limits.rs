//! How much sessions and handshakes may take (BT-5.3-3, BT-6.4).

use super::rate::Rate;

/// How much of everything sessions may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Sessions of members' devices.
    pub sessions: usize,
    /// Sessions of devices that are nobody's: they may do nothing but enrol.
    pub strangers: usize,
    /// The same, from one network.
    pub strangers_of_network: u32,
    /// Handshakes of one network.
    pub handshakes: Rate,
    /// Searches, locates and lists of members of one session (BT-5.3-3).
    pub queries: Rate,
    /// Publications of its own that one session names or has listed.
    pub own_publications: Rate,
    /// All other requests.
    pub others: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 262_144,
            strangers: 1_024,
            strangers_of_network: 16,
            handshakes: super::handshakes::RATE,
            queries: Rate { per_second: 20, burst: 40 },
            own_publications: Rate { per_second: 10_000, burst: 100_000 },
            others: Rate { per_second: 20, burst: 40 },
        }
    }
}
