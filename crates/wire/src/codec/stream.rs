//! Frames on a stream (BT-1.3): a frame that isn't all there is waited for.

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::peek_header;
use crate::frame::{Frame, FramingError, Received};
use crate::limits::{DATA_BYTES_MAX, HEADER_BYTES, MESSAGE_PAYLOAD_BYTES_MAX};

/// Reads and writes frames on a stream.
#[derive(Clone, Debug)]
pub struct FrameCodec {
    payload_bytes_max: usize,
    version_lost: bool,
}

impl FrameCodec {
    /// For a side that is sent requests: no payload may be longer than a message.
    #[must_use]
    pub fn for_requests() -> Self {
        Self { payload_bytes_max: MESSAGE_PAYLOAD_BYTES_MAX, version_lost: false }
    }

    /// For a side that is sent a file's bytes.
    #[must_use]
    pub fn for_content() -> Self {
        Self { payload_bytes_max: DATA_BYTES_MAX, version_lost: false }
    }
}

impl Decoder for FrameCodec {
    type Item = Received;
    type Error = FramingError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Received>, FramingError> {
        if self.version_lost {
            return Err(FramingError::VersionLost);
        }
        let Some(header) = peek_header(source, self.payload_bytes_max)? else { return Ok(None) };
        if !header.is_readable() {
            self.version_lost = true;
            source.clear();
            return Ok(Some(Received::read(header, Bytes::new())));
        }
        let frame_bytes = HEADER_BYTES + header.payload_bytes as usize;
        if source.len() < frame_bytes {
            // At most one frame of a length that has just been held against its limit.
            source.reserve(frame_bytes - source.len());
            return Ok(None);
        }
        let mut frame = source.split_to(frame_bytes);
        Ok(Some(Received::read(header, frame.split_off(HEADER_BYTES).freeze())))
    }

    fn decode_eof(&mut self, source: &mut BytesMut) -> Result<Option<Received>, FramingError> {
        if let Some(received) = self.decode(source)? {
            return Ok(Some(received));
        }
        match missing(source, self.payload_bytes_max)? {
            0 => Ok(None),
            missing => Err(FramingError::Short { missing }),
        }
    }
}

impl Encoder<Frame> for FrameCodec {
    type Error = FramingError;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> Result<(), FramingError> {
        frame.write(out)
    }
}

/// Bytes that the frame at the start of `source` still lacks, as far as can be told; 0 when nothing has begun.
fn missing(source: &BytesMut, payload_bytes_max: usize) -> Result<usize, FramingError> {
    if source.is_empty() {
        return Ok(0);
    }
    let frame_bytes = match peek_header(source, payload_bytes_max)? {
        Some(header) => HEADER_BYTES + header.payload_bytes as usize,
        None => HEADER_BYTES,
    };
    Ok(frame_bytes - source.len())
}
