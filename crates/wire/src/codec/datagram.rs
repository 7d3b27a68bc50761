//! Frames in datagrams (BT-1.4): exactly one in each.

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use super::peek_header;
use crate::frame::{Frame, FramingError, Received};
use crate::limits::{HEADER_BYTES, MESSAGE_PAYLOAD_BYTES_MAX};

/// Reads and writes one frame a datagram.
///
/// Whatever a datagram held, its buffer is empty afterwards: tokio-util's `UdpFramed` would read what is left in it as
/// the next datagram.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatagramCodec;

impl Decoder for DatagramCodec {
    type Item = Received;
    type Error = FramingError;

    /// `None` stands for an empty datagram, and for nothing else.
    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Received>, FramingError> {
        let datagram = source.split();
        if datagram.is_empty() {
            return Ok(None);
        }
        let Some(header) = peek_header(&datagram, MESSAGE_PAYLOAD_BYTES_MAX)? else {
            return Err(FramingError::Short { missing: HEADER_BYTES - datagram.len() });
        };
        let payload = datagram.freeze().split_off(HEADER_BYTES);
        if !header.is_readable() {
            return Ok(Some(Received::read(header, payload)));
        }
        let declared = header.payload_bytes as usize;
        if payload.len() < declared {
            return Err(FramingError::Short { missing: declared - payload.len() });
        }
        if payload.len() > declared {
            return Err(FramingError::TrailingBytes(payload.len() - declared));
        }
        Ok(Some(Received::read(header, payload)))
    }
}

impl Encoder<Frame> for DatagramCodec {
    type Error = FramingError;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> Result<(), FramingError> {
        let start = out.len();
        frame.write(out)?;
        let bytes = out.len() - start - HEADER_BYTES;
        if bytes > MESSAGE_PAYLOAD_BYTES_MAX {
            out.truncate(start);
            return Err(FramingError::MessageTooLong { bytes, allowed: MESSAGE_PAYLOAD_BYTES_MAX });
        }
        Ok(())
    }
}
