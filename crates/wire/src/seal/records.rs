//! The codec of a sealed stream, which wraps [`FrameCodec`]: each frame is in a record of its own (BT-6.6).

use std::fmt;

use bytes::{Buf as _, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::cipher::{ReadyKey, TAG_BYTES, next_key};
use super::session_keys::{CipherKey, SessionKeys};
use super::stream::header;
use crate::codec::FrameCodec;
use crate::encoding::Encoding;
use crate::frame::{Frame, FramingError, Received};
use crate::header::Header;
use crate::kind::Kind;
use crate::limits::{DATA_BYTES_MAX, HEADER_BYTES};

/// Frames that one key of a stream seals before the next one follows from it (BT-6.6-4).
pub const STREAM_KEY_FRAMES: u64 = 1 << 16;

/// Reads and writes frames on a sealed stream, each in a record of its own. Whoever holds it needs to know no more of the
/// seal than of [`FrameCodec`].
#[derive(Debug)]
pub struct SealedCodec {
    frames: FrameCodec,
    record_bytes_max: usize,
    send: Direction,
    receive: Direction,
    is_lost: bool,
}

/// What a record held. `Data` is by far the most of what travels, so its bytes stay where they are.
#[derive(Debug)]
pub enum Record<'a> {
    /// A `Data` frame.
    Data {
        /// What it answers.
        request_id: u32,
        /// The bytes that it brings.
        bytes: &'a [u8],
    },
    /// Any other frame.
    Other(Received),
}

/// The same, of a record whose bytes aren't where they belong yet.
enum Opened {
    Data { request_id: u32, bytes: usize },
    Other(Received),
}

/// Bytes in front of the bytes of a `Data` frame in its record: the record's header and the frame's.
pub const DATA_RECORD_HEAD_BYTES: usize = 2 * HEADER_BYTES;

/// Bytes behind them: the tag.
pub const DATA_RECORD_TAIL_BYTES: usize = TAG_BYTES;

/// What is sealed, or opened, in the order of the stream.
struct Direction {
    key: CipherKey,
    ready: ReadyKey,
    counter: u64,
}

impl SealedCodec {
    pub(super) fn new(keys: &SessionKeys, frames: FrameCodec, payload_bytes_max: usize) -> Self {
        let record_bytes_max = HEADER_BYTES + payload_bytes_max + TAG_BYTES;
        let (send, receive) = (Direction::new(keys.send.clone()), Direction::new(keys.receive.clone()));
        Self { frames, record_bytes_max, send, receive, is_lost: false }
    }

    /// Seals a `Data` frame where it stands: `record` has room for the heads ([`DATA_RECORD_HEAD_BYTES`]), then the
    /// bytes, then room for the tag ([`DATA_RECORD_TAIL_BYTES`]).
    ///
    /// # Panics
    /// There are no bytes, or more than a frame may bring: the caller cuts them.
    pub fn seal_data(&mut self, request_id: u32, record: &mut [u8]) {
        let bytes = record.len() - DATA_RECORD_HEAD_BYTES - DATA_RECORD_TAIL_BYTES;
        assert!((1..=DATA_BYTES_MAX).contains(&bytes), "a Data frame of {bytes} bytes");
        let payload_bytes = u32::try_from(bytes).expect("it has just been held against its bound");
        let frame = Header::new(Kind::Data, Encoding::Raw, request_id, payload_bytes).to_bytes();
        let head = record_header(record.len() - HEADER_BYTES);
        record[..HEADER_BYTES].copy_from_slice(&head);
        record[HEADER_BYTES..DATA_RECORD_HEAD_BYTES].copy_from_slice(&frame);
        self.send.seal_in_place(&head, &mut record[HEADER_BYTES..]);
    }

    /// Whether the record at the start of `input` is all there.
    ///
    /// # Errors
    /// What is there begins no record.
    pub fn has_record(&self, input: &[u8]) -> Result<bool, FramingError> {
        Ok(self.record_bytes(input)?.is_some_and(|bytes| HEADER_BYTES + bytes <= input.len()))
    }

    /// Opens the record at the start of `input` where it stands, and says how many bytes of `input` it took; `None` while
    /// it isn't all there. As [`Decoder::decode`], it reads nothing more once it has failed.
    ///
    /// # Errors
    /// The record is forged or nonsense: the stream is lost.
    pub fn open_record<'a>(
        &mut self,
        input: &'a mut [u8],
    ) -> Result<Option<(usize, Record<'a>)>, FramingError> {
        self.open_record_to(input, 0, DATA_RECORD_HEAD_BYTES)
    }

    /// Opens the record at `start`, as [`SealedCodec::open_record`] does, and puts the bytes of a `Data` frame at `to`, so
    /// that they can stand behind those of the frame before without being copied. What is before `to` stays as it is.
    ///
    /// # Errors
    /// The record is forged or nonsense: the stream is lost.
    ///
    /// # Panics
    /// `to` leaves no room for a frame's header before it, or is behind where the record has its bytes.
    pub fn open_record_to<'a>(
        &mut self,
        input: &'a mut [u8],
        start: usize,
        to: usize,
    ) -> Result<Option<(usize, Record<'a>)>, FramingError> {
        assert!((HEADER_BYTES..=start + DATA_RECORD_HEAD_BYTES).contains(&to), "a record is opened to {to}");
        if self.is_lost {
            return Err(FramingError::NotSealed);
        }
        let opened = self.open(input, start, to);
        self.is_lost = opened.is_err();
        opened
    }

    fn open<'a>(
        &mut self,
        input: &'a mut [u8],
        start: usize,
        to: usize,
    ) -> Result<Option<(usize, Record<'a>)>, FramingError> {
        let Some(bytes) = self.record_bytes(&input[start..])? else { return Ok(None) };
        let (sealed, end) = (start + HEADER_BYTES, start + HEADER_BYTES + bytes);
        if input.len() < end {
            return Ok(None);
        }
        let head: [u8; HEADER_BYTES] = *input[start..].first_chunk().expect("its length has just been read");
        // The frame's header comes to stand before `to`, over what is to stay.
        let frame = to - HEADER_BYTES;
        let before: [u8; HEADER_BYTES] = *input[frame..].first_chunk().expect("a record follows");
        let opened = self.receive.open_within(&head, &mut input[frame..end], sealed - frame);
        let read = opened.and_then(|text| self.read_record(text));
        input[frame..to].copy_from_slice(&before);
        let record = match read? {
            Opened::Data { request_id, bytes } => Record::Data { request_id, bytes: &input[to..to + bytes] },
            Opened::Other(received) => Record::Other(received),
        };
        Ok(Some((HEADER_BYTES + bytes, record)))
    }

    /// Reads the one frame that a record holds.
    fn read_record(&mut self, text: &[u8]) -> Result<Opened, FramingError> {
        let header = text.first_chunk().and_then(Header::parse).filter(is_data);
        let Some(header) = header else { return Ok(Opened::Other(self.read_frame(text)?)) };
        let (bytes, declared) = (text.len() - HEADER_BYTES, header.payload_bytes as usize);
        match bytes.checked_sub(declared) {
            Some(0) => Ok(Opened::Data { request_id: header.request_id, bytes }),
            // A record holds one frame, whole.
            Some(more) => Err(FramingError::TrailingBytes(more)),
            None => Err(FramingError::Short { missing: declared - bytes }),
        }
    }

    fn read_frame(&mut self, frame: &[u8]) -> Result<Received, FramingError> {
        let mut frame = BytesMut::from(frame);
        match self.frames.decode(&mut frame)? {
            Some(received) if frame.is_empty() => Ok(received),
            Some(_) => Err(FramingError::TrailingBytes(frame.len())),
            None => Err(FramingError::Short { missing: 1 }),
        }
    }

    /// The bytes of the record at the start of `source`, behind its header; `None` while that isn't all there.
    fn record_bytes(&self, source: &[u8]) -> Result<Option<usize>, FramingError> {
        let Some(header) = source.first_chunk::<HEADER_BYTES>() else {
            let magic = source.first().is_none_or(|first| *first == crate::header::MAGIC);
            return if magic { Ok(None) } else { Err(FramingError::NotSealed) };
        };
        let bytes = Header::parse(header).map_or(0, |header| header.payload_bytes as usize);
        if bytes > self.record_bytes_max {
            let declared = u32::try_from(bytes).unwrap_or(u32::MAX);
            return Err(FramingError::PayloadTooLong { declared, allowed: self.record_bytes_max });
        }
        if record_header(bytes) != *header || bytes < HEADER_BYTES + TAG_BYTES {
            return Err(FramingError::NotSealed);
        }
        Ok(Some(bytes))
    }

    fn decode_record(&mut self, source: &mut BytesMut) -> Result<Option<Received>, FramingError> {
        let Some(bytes) = self.record_bytes(source)? else { return Ok(None) };
        if source.len() < HEADER_BYTES + bytes {
            // At most one record of a length that has just been held against its limit.
            source.reserve(HEADER_BYTES + bytes - source.len());
            return Ok(None);
        }
        let mut record = source.split_to(HEADER_BYTES + bytes);
        let mut head = [0; HEADER_BYTES];
        record.copy_to_slice(&mut head);
        self.receive.open(&head, &mut record)?;
        let received = self.frames.decode(&mut record)?;
        match received {
            Some(_) if record.is_empty() => Ok(received),
            // A record holds one frame, whole.
            Some(_) => Err(FramingError::TrailingBytes(record.len())),
            None => Err(FramingError::Short { missing: 1 }),
        }
    }
}

impl Decoder for SealedCodec {
    type Item = Received;
    type Error = FramingError;

    /// Once it has failed it reads nothing more: a forged record is the end, whatever follows it (BT-6.6-5).
    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Received>, FramingError> {
        if self.is_lost {
            return Err(FramingError::NotSealed);
        }
        let received = self.decode_record(source);
        self.is_lost = received.is_err();
        received
    }

    fn decode_eof(&mut self, source: &mut BytesMut) -> Result<Option<Received>, FramingError> {
        match self.decode(source)? {
            None if !source.is_empty() => Err(FramingError::Short { missing: 1 }),
            received => Ok(received),
        }
    }
}

impl Encoder<Frame> for SealedCodec {
    type Error = FramingError;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> Result<(), FramingError> {
        let start = out.len();
        let text = start + HEADER_BYTES;
        out.resize(text, 0);
        if let Err(error) = self.frames.encode(frame, out) {
            out.truncate(start);
            return Err(error);
        }
        let head = record_header(out.len() - text + TAG_BYTES);
        out[start..text].copy_from_slice(&head);
        self.send.seal(&head, out, text);
        Ok(())
    }
}

impl Direction {
    fn new(key: CipherKey) -> Self {
        let ready = ReadyKey::new(&key);
        Self { key, ready, counter: 0 }
    }

    fn seal(&mut self, head: &[u8; HEADER_BYTES], out: &mut BytesMut, text: usize) {
        self.ready.seal(self.counter, head, out, text);
        self.advance();
    }

    /// Seals what stands before the room for the tag.
    fn seal_in_place(&mut self, head: &[u8; HEADER_BYTES], sealed: &mut [u8]) {
        self.ready.seal_in_place(self.counter, head, sealed);
        self.advance();
    }

    /// Opens what stands from `sealed` on, to the start of `room`.
    fn open_within<'a>(
        &mut self,
        head: &[u8; HEADER_BYTES],
        room: &'a mut [u8],
        sealed: usize,
    ) -> Result<&'a [u8], FramingError> {
        let opened = self.ready.open_within(self.counter, head, room, sealed..);
        let opened = opened.map_err(|_| FramingError::NotSealed)?;
        self.advance();
        Ok(opened)
    }

    fn open(&mut self, head: &[u8; HEADER_BYTES], record: &mut BytesMut) -> Result<(), FramingError> {
        self.ready.open(self.counter, head, record).map_err(|_| FramingError::NotSealed)?;
        self.advance();
        Ok(())
    }

    fn advance(&mut self) {
        self.counter += 1;
        if self.counter.is_multiple_of(STREAM_KEY_FRAMES) {
            self.key = next_key(&self.key);
            self.ready = ReadyKey::new(&self.key);
        }
    }
}

impl fmt::Debug for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direction").field("counter", &self.counter).finish_non_exhaustive()
    }
}

/// Whether the frame behind this header is a `Data` frame as it should be; any other is read like any other.
fn is_data(header: &Header) -> bool {
    header.is_readable()
        && header.kind == Kind::Data
        && header.encoding == Encoding::Raw.code()
        && header.payload_bytes as usize <= DATA_BYTES_MAX
}

fn record_header(payload_bytes: usize) -> [u8; HEADER_BYTES] {
    header(Kind::Sealed, HEADER_BYTES + payload_bytes)
}
