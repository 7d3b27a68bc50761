//! Sockets: to the index in both formats, to other peers, and from them.

mod download;
mod file_server;
mod framed;
mod index;
mod legacy;
mod pace;
mod upload;

pub use download::{DownloadError, Downloaded, Progress, download};
pub use file_server::{FileServer, takes_from};
pub use framed::{FramedIndex, connect as connect_index};
pub use index::{Found, Index, IndexError, ListedFile, Listing, SourceAt};
pub use legacy::{LegacyCallError, LegacyIndex};
