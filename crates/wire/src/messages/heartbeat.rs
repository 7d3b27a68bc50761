//! Heartbeat: "still here", answered with what the index believes (BT-2.4).

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::messages::Offer;
use crate::number::Hex64;

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
    /// The sum of the [`offer_digest`]s of those files, modulo 2^64.
    pub digest: Hex64,
}

/// One offer's part of the digest: the first 8 bytes of a SHA-256 over all that it says, as a big-endian number
/// (BT-2.4-3).
#[must_use]
pub fn offer_digest(offer: &Offer) -> u64 {
    let Offer { name, file_bytes, root, is_folder } = offer;
    let mut hasher = Sha256::new();
    hasher.update(name.as_str().as_bytes());
    hasher.update([0]);
    hasher.update(file_bytes.bytes().to_be_bytes());
    hasher.update([u8::from(*is_folder)]);
    if let Some(root) = root {
        hasher.update(root.as_bytes());
    }
    let hash = hasher.finalize();
    u64::from_be_bytes(std::array::from_fn(|i| hash[i]))
}
