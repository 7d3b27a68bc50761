//! Who may speak under a seal, how often, and what it costs the server to find out (BT-6.4, BT-6.5). Pure.
//!
//! | file | what it holds |
//! |---|---|
//! | `rate` | budgets that refill |
//! | `limits` | how much of everything sessions may take |
//! | `network` | what one attacker has many of: the addresses of one network |
//! | `lines` | what it takes to open a frame and to seal one: shared by all threads |
//! | `table` | sessions: whose they are, and when they end |
//! | `handshakes` | the queue of handshakes, and the budgets of those who ask for them |
#![deny(clippy::disallowed_methods, clippy::wildcard_enum_match_arm)]

mod handshakes;
mod limits;
mod lines;
mod network;
mod rate;
mod table;

pub use handshakes::{Handshakes, QueueError};
pub use limits::Limits;
pub use lines::{Line, LineGuard, Lines};
pub use network::Network;
pub use rate::{Budget, Rate};
pub use table::{Newcomer, NoSession, Slot, Table};
