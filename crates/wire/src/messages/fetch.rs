//! Fetch: one peer asks another for a file (BT-3).

use serde::{Deserialize, Serialize};

use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::number::FileBytes;
use crate::text::FileName;

/// Asks for a file by the name under which it is published.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// The name.
    pub name: FileName,
}

/// The file's bytes follow, in `Data` frames.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Bytes that follow in all.
    pub file_bytes: FileBytes,
}

/// All bytes of the file have been sent.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Done {}
