//! Fetch: one peer asks another for a part of the content that its ticket is for (BT-3.2).

use serde::{Deserialize, Serialize};

use crate::content::Root;
use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::number::FileBytes;
use crate::seal::Ticket;

/// Asks what the content is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Describe {}

/// What the content is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// Its size; of a folder, that of all its files.
    pub file_bytes: FileBytes,
    /// Its root; absent while it is being hashed.
    pub root: Option<Root>,
    /// The size of its manifest; absent unless it is a folder.
    pub manifest_bytes: Option<FileBytes>,
    /// Whether all of its pieces are here.
    pub is_complete: bool,
}

/// Asks for a range of one part of the content. `Data` frames bring exactly the bytes of that range.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// Which part.
    pub part: Part,
    /// The first block, value or piece of it.
    pub first: u32,
    /// How many of them; at least one.
    pub count: u32,
}

/// Shows a new ticket for the same content, so that the connection lasts longer than its first one (BT-3.2-6).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// The ticket, never shown before.
    pub ticket: Ticket,
}

/// The new ticket is good.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Renewed {}

/// A part of a content. Another number is possible and asks for nothing (BT-3.2-3).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(transparent)]
pub struct Part(pub u8);

impl Part {
    /// A folder's manifest, in blocks of the length of a piece.
    pub const MANIFEST: Self = Self(0);
    /// The chaining values of the pieces of every file that has two or more, in values of 32 bytes.
    pub const OUTLINE: Self = Self(1);
    /// The files themselves, in pieces.
    pub const PIECES: Self = Self(2);
}
