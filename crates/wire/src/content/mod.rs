//! Contents: bytes named by their hash, and what each of their pieces is checked against (BT-3).

mod checks;
mod layout;
mod manifest;
mod manifest_entry;
mod manifest_error;
#[cfg(test)]
mod manifest_tests;
mod outline;
mod root;
mod target;

pub use checks::{Checks, ChecksError};
pub use layout::{Layout, LayoutError, Piece};
pub use manifest::Manifest;
pub use manifest_entry::{ManifestEntry, ManifestFile};
pub use manifest_error::ManifestError;
pub use outline::{CHAINING_VALUE_BYTES, ChainingValue, PieceHasher, chaining_value, merge};
pub use root::{Content, ROOT_BYTES, Root, RootPrefix, RootPrefixError};
pub use target::{TARGET_BYTES_MAX, Target, TargetError};
