//! Framing, and the only folder that knows `tokio-util`: [`FrameCodec`] for streams, [`DatagramCodec`] for
//! datagrams.
//!
//! Both yield [`Received`](crate::Received): a frame, or a well-framed message that isn't acceptable. Their error,
//! [`FramingError`], means that framing is lost.

mod datagram;
mod stream;

pub use datagram::DatagramCodec;
pub use stream::FrameCodec;

use bytes::BytesMut;

use crate::frame::FramingError;
use crate::header::Header;
use crate::limits::HEADER_BYTES;

/// The header at the start of `bytes`, held against the limits; `None` while it isn't all there.
fn peek_header(bytes: &BytesMut, payload_bytes_max: usize) -> Result<Option<Header>, FramingError> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return if first == crate::header::MAGIC { Ok(None) } else { Err(FramingError::NotAFrame(first)) };
    };
    let header = Header::parse(header).ok_or(FramingError::NotAFrame(first))?;
    let allowed = header.kind.payload_bytes_max().min(payload_bytes_max);
    // Another version may have other limits: its payload is never waited for.
    if header.is_readable() && header.payload_bytes as usize > allowed {
        return Err(FramingError::PayloadTooLong { declared: header.payload_bytes, allowed });
    }
    Ok(Some(header))
}
