//! The user's folder: what is shared from it, and how contents come into it.

mod everything;
mod folder;
mod holding;
mod part;
mod publish;
mod scratch;
mod shares;
mod stream;

pub use everything::{Everything, HashedFile};
pub use folder::{Folder, FolderError, SharedFile};
pub use holding::{Holding, ReadError, Reader};
pub use part::Part;
pub use publish::{HashedTree, Prepared, PublishError, Publisher};
pub use scratch::Scratch;
pub use shares::{Changed, Shares};
pub use stream::read_pieces;
