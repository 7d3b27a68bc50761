//! What a device keeps between two runs: its key, and the servers that it has joined, each with the key that was
//! accepted when it was (BT-6.2).

mod error;
mod folder;
mod servers;

pub use error::{PinError, StateError};
pub use folder::{StateDir, StateLock};
pub use servers::{PinnedServer, PinnedServers, SERVERS_MAX};
