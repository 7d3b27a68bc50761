//! Transfers between peers, as far as they are pure: who may fetch what, which source is asked for which piece, what is kept
//! of a download, and how slow is too slow (BT-3).
#![deny(clippy::disallowed_methods)]

mod admission;
mod attempts;
mod choice;
mod journal;
mod piece_set;
mod rate_floor;
mod schedule;
mod window;

pub use admission::{Admission, NotAdmitted};
pub use attempts::{Allowed, Attempts};
pub use choice::{Candidate, Choice, Wanted, choose, wanted};
pub use journal::{Journal, JournalError, JournalHeader};
pub use piece_set::{PageError, PieceSet};
pub use rate_floor::{RateFloor, TooSlow};
pub use schedule::{Schedule, SourceId};
pub use window::Window;

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
    /// Without a byte of what was asked for.
    pub stall: Duration,
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
            stall: Duration::from_secs(10),
            window: Duration::from_secs(30),
            legacy_pause: Duration::from_millis(50),
        }
    }
}

/// The lowest rate at which a file may travel, in bytes a second (BT-5.4-1).
pub const BYTES_PER_SECOND_MIN: u64 = 4 * 1024;
