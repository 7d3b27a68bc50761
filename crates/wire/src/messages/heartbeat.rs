//! Heartbeat: "still here", answered with what the index believes (BT-2.4).

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::number::Hex64;
use crate::text::FileName;

/// Keeps the session alive.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {}

/// What the index believes about this session. A peer that knows better publishes again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatReply {
    /// Drawn anew whenever the server starts.
    pub boot_id: Hex64,
    /// The server's clock, as in `LoggedIn`.
    pub clock_ms: u64,
    /// Files that this session offers.
    pub offered: u32,
    /// The sum of the [`name_digest`]s of those files, modulo 2^64.
    pub digest: Hex64,
}

/// One name's part of the digest: the first 8 bytes of its SHA-256, as a big-endian number (BT-2.4-3).
#[must_use]
pub fn name_digest(name: &FileName) -> u64 {
    let hash = Sha256::digest(name.as_str().as_bytes());
    u64::from_be_bytes(std::array::from_fn(|i| hash[i]))
}
