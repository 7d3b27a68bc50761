//! Sockets: to the index in both formats, to other peers, and from them.

mod download;
mod enrol;
mod file_server;
mod framed;
mod gate;
mod index;
mod legacy;
mod pace;
mod places;
mod upload;

pub use download::{DownloadError, Downloaded, Progress, download};
pub use enrol::{ConnectError, EnrolError, enrol, server_key};
pub use file_server::{FileServer, takes_legacy_from};
pub use framed::{FramedIndex, Identity, connect as connect_index};
pub use gate::{Gate, RefusedCounts};
pub use index::{Found, Index, IndexError, ListedFile, Listing, SourceAt};
pub use legacy::{LegacyCallError, LegacyIndex};
