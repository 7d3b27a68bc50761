//! Login: a device that is known starts a session (BT-2.3).

use serde::{Deserialize, Serialize};

use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::number::{Hex64, TransferPort};

/// Starts a session. Whose it is, the handshake has proved.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Where this peer's file server listens, at the address that the server sees the login come from.
    pub transfer_port: TransferPort,
}

/// The member is in. States the server's rhythm.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct LoggedIn {
    /// Drawn anew whenever the server starts.
    pub boot_id: Hex64,
    /// The server's clock, in milliseconds since some moment of its own: tickets end on it.
    pub clock_ms: u64,
    /// How often to send a heartbeat, in milliseconds.
    pub heartbeat_ms: u32,
    /// After how much silence the session is over, in milliseconds.
    pub offline_after_ms: u32,
}
