//! The original's wire format, byte for byte (BT-4).

mod get;
mod python_json;
mod reply;
mod request;

pub use get::{GetError, GetRequest};
pub use reply::{PeerReply, Reply, sentence};
pub use request::{Request, RequestKind};

/// Why bytes are not a legacy message. The sender's fault; the datagram is dropped.
#[derive(Debug, thiserror::Error)]
pub enum LegacyError {
    /// Not JSON, or JSON without the fields that its type needs.
    #[error("the legacy datagram is not acceptable: {0}")]
    Json(#[from] serde_json::Error),
    /// A reply that is longer than the original reads.
    #[error("a legacy datagram of {bytes} bytes, {} are read", crate::limits::LEGACY_DATAGRAM_BYTES_MAX)]
    TooLong {
        /// Bytes it has.
        bytes: usize,
    },
    /// A reply whose fields fit no answer.
    #[error("the legacy reply has the fields of no answer")]
    Shape,
}
