//! Sockets: to the index in both formats, to other peers, and from them.

mod closing;
mod enrol;
mod fetch;
mod file_server;
mod framed;
mod gate;
mod get;
mod index;
mod legacy;
mod legacy_download;
mod pace;
mod places;
mod strangers;
mod upload;

pub use enrol::{ConnectError, EnrolError, enrol, server_key};
pub use fetch::{FetchError, FolderFault, Missing, Phase, Progress, SourceError, Who};
pub use file_server::{FileServer, takes_legacy_from};
pub use framed::{FramedIndex, Identity, connect as connect_index};
pub use gate::{Gate, RefusedCounts};
pub use get::{GetError, Getter, Got, Happening};
pub use index::{Index, IndexError, ListedFile, Listing, SourceAt};
pub use legacy::{LegacyCallError, LegacyIndex};
pub use legacy_download::{LegacyDownloadError, download as download_legacy};
pub use upload::{RateLimit, UploadLimits};
