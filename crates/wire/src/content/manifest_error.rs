//! Why something is no manifest (BT-3.6-4).

use crate::limits::{
    FILE_BYTES_MAX, MANIFEST_BYTES_MAX, MANIFEST_DEPTH_MAX, MANIFEST_ENTRIES_MAX, MANIFEST_PATH_BYTES_MAX,
    PIECES_MAX,
};
use crate::text::TextError;

/// Why bytes or entries are no manifest. Entries are counted from 0, in the manifest's order.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ManifestError {
    /// Longer than a manifest may be.
    #[error("the manifest has {bytes} bytes, {MANIFEST_BYTES_MAX} are allowed")]
    TooLong {
        /// Bytes it has.
        bytes: usize,
    },
    /// The first bytes are not a manifest's.
    #[error("it doesn't begin like a manifest")]
    Magic,
    /// More entries than a manifest may have.
    #[error("the manifest has more than {MANIFEST_ENTRIES_MAX} entries")]
    TooManyEntries,
    /// The bytes end within an entry.
    #[error("entry {entry} is {missing} bytes short")]
    Short {
        /// The entry.
        entry: u32,
        /// Bytes that its next field lacks.
        missing: usize,
    },
    /// A kind of entry that doesn't exist.
    #[error("entry {entry} is of the unknown kind {kind}")]
    Kind {
        /// The entry.
        entry: u32,
        /// Its kind.
        kind: u8,
    },
    /// A path that is empty or too long.
    #[error("the path of entry {entry} has {bytes} bytes, 1 to {MANIFEST_PATH_BYTES_MAX} are allowed")]
    PathBytes {
        /// The entry.
        entry: u32,
        /// Bytes of its path.
        bytes: usize,
    },
    /// A path that isn't UTF-8.
    #[error("the path of entry {entry} is not UTF-8")]
    NotText {
        /// The entry.
        entry: u32,
    },
    /// A path with a component that can't be a name.
    #[error("a name in the path of entry {entry} is not acceptable: {error}")]
    Name {
        /// The entry.
        entry: u32,
        /// What is wrong with the component.
        error: TextError,
    },
    /// A path with too many components.
    #[error("entry {entry} lies {depth} levels deep, {MANIFEST_DEPTH_MAX} are allowed")]
    Depth {
        /// The entry.
        entry: u32,
        /// Components of its path.
        depth: usize,
    },
    /// A path that stands there already.
    #[error("entry {entry} has the path of the entry before it")]
    Duplicate {
        /// The second entry of the path.
        entry: u32,
    },
    /// A path that belongs in front of the one before it.
    #[error("entry {entry} is out of order")]
    Order {
        /// The entry.
        entry: u32,
    },
    /// A path whose parent isn't there.
    #[error("the folder around entry {entry} is missing")]
    NoParent {
        /// The entry.
        entry: u32,
    },
    /// A path whose parent is a file.
    #[error("entry {entry} lies within a file")]
    ParentIsFile {
        /// The entry.
        entry: u32,
    },
    /// A file that is too large.
    #[error("the file of entry {entry} has {bytes} bytes, {FILE_BYTES_MAX} are allowed")]
    FileBytes {
        /// The entry.
        entry: u32,
        /// Bytes of the file.
        bytes: u64,
    },
    /// Files that are too large together.
    #[error("the files up to entry {entry} have {bytes} bytes, {FILE_BYTES_MAX} are allowed")]
    TotalBytes {
        /// The entry whose file is one too many.
        entry: u32,
        /// Bytes of all files up to it.
        bytes: u64,
    },
    /// Files that have too many pieces together.
    #[error("the files up to entry {entry} have {pieces} pieces, {PIECES_MAX} are allowed")]
    TooManyPieces {
        /// The entry whose file is one too many.
        entry: u32,
        /// Pieces of all files up to it.
        pieces: u64,
    },
}
