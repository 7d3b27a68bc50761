//! Why what the device keeps can't be used.

use std::io;
use std::path::PathBuf;

use bittrickle_secret::SecretError;
use bittrickle_wire::seal::Fingerprint;

use super::servers::SERVERS_MAX;

/// Why the state folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Nothing says where the folder is.
    #[error(
        "no folder to keep this device's key in: HOME is not an absolute path; give a folder with --state-dir DIR"
    )]
    NoHome,
    /// A file or the folder can't be used, or others can use it too.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Another process has it.
    #[error(
        "another bittrickle is using the state folder {}; end that one, or give this one another --state-dir \
         and join with it", path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The lock can't be taken.
    #[error("can't lock {}: {error}", path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The list of servers isn't what was written. It is kept as it is: only a person can tell what it should say.
    #[error(
        "{} is damaged ({error}); restore it from a backup, or move it away and join your servers again, each with \
         its invite", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

/// Why a server can't be pinned.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PinError {
    /// It is pinned with another key. Only forgetting it first lets another one in.
    #[error("the server is pinned with the key {pinned}, not with {presented}; `bittrickle forget` it first")]
    OtherKey {
        /// The fingerprint of the key that is pinned.
        pinned: Fingerprint,
        /// The fingerprint of the other one.
        presented: Fingerprint,
    },
    /// As many servers are pinned as can be.
    #[error("{SERVERS_MAX} servers are joined, which is the most; `bittrickle forget` one of them first")]
    TooMany,
}
