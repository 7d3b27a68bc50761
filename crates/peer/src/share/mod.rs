//! The user's folder: what is shared from it, and how files come into it.

mod folder;
mod shares;
mod stream;

pub use folder::{Folder, FolderError, PartFile, SharedFile};
pub use shares::Shares;
pub use stream::{read_pieces, write_pieces};
