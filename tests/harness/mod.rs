//! What the scenarios stand on: real processes, counterparts written without our own code, samples of every message.

pub mod client;
pub mod content;
pub mod get;
pub mod kept;
pub mod legacy_client;
mod legacy_json;
pub mod legacy_server;
mod lines;
pub mod network;
pub mod noise;
pub mod peer;
pub mod process;
pub mod samples;
pub mod sealed_index;
pub mod sealed_stream;
pub mod server;
pub mod socketless;
pub mod source;
pub mod strangers;
pub mod wait;
