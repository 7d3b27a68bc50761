//! Transfers between peers, as far as they are pure: what a source may answer, and how slow is too slow (BT-3).
#![deny(clippy::disallowed_methods)]

mod admission;
mod incoming;
mod rate_floor;

pub use admission::{Admission, NotAdmitted};
pub use incoming::{Incoming, IncomingError, Step};
pub use rate_floor::{RateFloor, TooSlow};

use std::time::Duration;

/// How long a transfer waits for what (BT-5.4-1).
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// To connect.
    pub connect: Duration,
    /// To the first request, or to the first frame of its answer.
    pub first: Duration,
    /// Between two requests on one connection.
    pub idle: Duration,
    /// The window over which a file must keep up its lowest rate.
    pub window: Duration,
    /// The pause that ends a legacy `GET` (BT-4.3-2).
    pub legacy_pause: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            window: Duration::from_secs(30),
            legacy_pause: Duration::from_millis(50),
        }
    }
}

/// The lowest rate at which a file may travel, in bytes a second (BT-5.4-1).
pub const BYTES_PER_SECOND_MIN: u64 = 4 * 1024;
