//! What the scenarios stand on: real processes, counterparts written without our own code, samples of every message.

pub mod client;
pub mod legacy_client;
mod legacy_json;
pub mod legacy_server;
pub mod peer;
pub mod process;
pub mod samples;
pub mod server;
pub mod wait;
