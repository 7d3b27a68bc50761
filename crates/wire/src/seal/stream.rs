//! Sealed streams: the handshake between two peers, and the codec that wraps [`FrameCodec`] (BT-6.6).

use std::fmt;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::cipher::{ReadyKey, TAG_BYTES, next_key};
use super::keys::{KEY_BYTES, PublicKey, SecretKey};
use super::noise::{FIRST_OVERHEAD_BYTES, Initiator, NoiseError, Responder, SECOND_OVERHEAD_BYTES};
use super::session_keys::{CipherKey, SessionKeys};
use super::ticket::{TICKET_BYTES, Ticket};
use crate::codec::FrameCodec;
use crate::content::{TARGET_BYTES_MAX, Target};
use crate::encoding::Encoding;
use crate::frame::{Frame, FramingError, Received};
use crate::header::Header;
use crate::kind::Kind;
use crate::limits::{DATA_BYTES_MAX, HEADER_BYTES, MESSAGE_PAYLOAD_BYTES_MAX};
use crate::number::HexBytes;

/// Bytes of the text in the first message: a ticket, a target's length, and room for the longest target, so that nobody
/// who listens learns how long it is.
const REQUEST_BYTES: usize = TICKET_BYTES + 2 + TARGET_BYTES_MAX;

/// Bytes of a stream's `Initiate`.
pub const STREAM_INITIATE_BYTES: usize = HEADER_BYTES + FIRST_OVERHEAD_BYTES + REQUEST_BYTES;

/// Bytes of a stream's `Accept`.
pub const STREAM_ACCEPT_BYTES: usize = HEADER_BYTES + SECOND_OVERHEAD_BYTES;

/// Frames that one key of a stream seals before the next one follows from it (BT-6.6-4).
pub const STREAM_KEY_FRAMES: u64 = 1 << 16;

const PROLOGUE: &[u8] = b"BitTrickle stream";

/// A peer that has begun a stream.
pub struct StreamInitiating(Initiator);

/// A peer that knows who begins a stream, and what for, and hasn't answered yet.
pub struct StreamAccepting {
    noise: Responder,
    /// The key of the device that begins, proved.
    pub device: PublicKey,
    /// The permission that it shows.
    pub ticket: Ticket,
    /// What it wants to fetch.
    pub target: Target,
}

/// Why a stream's handshake fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StreamError {
    /// Not what begins a handshake.
    #[error("it does not begin as a handshake does")]
    NotAHandshake,
    /// Another key, or changed on its way.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// Sealed well, and nonsense.
    #[error("it asks for what can't be a content")]
    Target,
}

impl StreamInitiating {
    /// Begins a stream to the owner of `provider`, to fetch this content. `ephemeral` is drawn for this stream alone.
    #[must_use]
    pub fn new(
        device: &SecretKey,
        provider: &PublicKey,
        ticket: &Ticket,
        target: &Target,
        ephemeral: [u8; KEY_BYTES],
    ) -> (Self, Bytes) {
        let mut request = Vec::with_capacity(REQUEST_BYTES);
        request.extend_from_slice(&ticket.0.0);
        let target = target.to_string();
        let length = u16::try_from(target.len()).expect("a target has at most 260 bytes");
        request.extend_from_slice(&length.to_be_bytes());
        request.extend_from_slice(target.as_bytes());
        request.resize(REQUEST_BYTES, 0);
        let header = header(Kind::Initiate, STREAM_INITIATE_BYTES);
        let (noise, message) = Initiator::new(&prologue(&header), device, provider, ephemeral, &request);
        let mut bytes = BytesMut::from(&header[..]);
        bytes.put_slice(&message);
        (Self(noise), bytes.freeze())
    }

    /// Reads the answer, and gives the codec for what follows.
    ///
    /// # Errors
    /// The other side doesn't have the key that it should have.
    pub fn finish(mut self, accept: &[u8; STREAM_ACCEPT_BYTES]) -> Result<SealedCodec, StreamError> {
        let message = accept.strip_prefix(&header(Kind::Accept, STREAM_ACCEPT_BYTES));
        let (keys, _) = self.0.finish(message.ok_or(StreamError::NotAHandshake)?)?;
        Ok(SealedCodec::new(&keys, FrameCodec::for_content(), DATA_BYTES_MAX))
    }
}

impl StreamAccepting {
    /// Reads what begins a stream.
    ///
    /// # Errors
    /// It was made for another device's key, or is nonsense.
    pub fn new(
        device: &SecretKey,
        initiate: &[u8; STREAM_INITIATE_BYTES],
        ephemeral: [u8; KEY_BYTES],
    ) -> Result<Self, StreamError> {
        let header = header(Kind::Initiate, STREAM_INITIATE_BYTES);
        let message = initiate.strip_prefix(&header).ok_or(StreamError::NotAHandshake)?;
        let (noise, device, request) = Responder::new(&prologue(&header), device, ephemeral, message)?;
        let (ticket, rest) = request.split_first_chunk().ok_or(StreamError::Target)?;
        let (length, rest) = rest.split_first_chunk().ok_or(StreamError::Target)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (target, padding) = rest.split_at_checked(length).ok_or(StreamError::Target)?;
        let target = std::str::from_utf8(target).ok().and_then(|target| target.parse().ok());
        let target = target.filter(|_| padding.iter().all(|byte| *byte == 0)).ok_or(StreamError::Target)?;
        Ok(Self { noise, device, ticket: Ticket(HexBytes(*ticket)), target })
    }

    /// Answers, and gives the codec for what follows. To be called once the ticket has been checked.
    #[must_use]
    pub fn finish(self) -> (SealedCodec, Bytes) {
        let (keys, message) = self.noise.finish(&[]);
        let mut bytes = BytesMut::from(&header(Kind::Accept, STREAM_ACCEPT_BYTES)[..]);
        bytes.put_slice(&message);
        let codec = SealedCodec::new(&keys, FrameCodec::for_requests(), MESSAGE_PAYLOAD_BYTES_MAX);
        (codec, bytes.freeze())
    }
}

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
    fn new(keys: &SessionKeys, frames: FrameCodec, payload_bytes_max: usize) -> Self {
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
        if self.is_lost {
            return Err(FramingError::NotSealed);
        }
        let opened = self.open_in_place(input);
        self.is_lost = opened.is_err();
        opened
    }

    fn open_in_place<'a>(
        &mut self,
        input: &'a mut [u8],
    ) -> Result<Option<(usize, Record<'a>)>, FramingError> {
        let Some(bytes) = self.record_bytes(input)? else { return Ok(None) };
        let Some(record) = input.get_mut(..HEADER_BYTES + bytes) else { return Ok(None) };
        let (head, sealed) = record.split_first_chunk_mut().expect("a record begins with a header");
        let frame = self.receive.open_in_place(head, sealed)?;
        let header = frame.first_chunk().and_then(Header::parse);
        let Some(header) = header.filter(is_data) else {
            return Ok(Some((HEADER_BYTES + bytes, Record::Other(self.read_frame(frame)?))));
        };
        let (_, data) = frame.split_at(HEADER_BYTES);
        match data.len().checked_sub(header.payload_bytes as usize) {
            Some(0) => {
                let request_id = header.request_id;
                Ok(Some((HEADER_BYTES + bytes, Record::Data { request_id, bytes: data })))
            }
            // A record holds one frame, whole.
            Some(more) => Err(FramingError::TrailingBytes(more)),
            None => Err(FramingError::Short { missing: header.payload_bytes as usize - data.len() }),
        }
    }

    /// Reads the one frame that a record holds.
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

    fn open_in_place<'a>(
        &mut self,
        head: &[u8; HEADER_BYTES],
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8], FramingError> {
        let opened = self.ready.open_in_place(self.counter, head, sealed);
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

fn header(kind: Kind, bytes: usize) -> [u8; HEADER_BYTES] {
    let payload_bytes = u32::try_from(bytes - HEADER_BYTES).expect("a record has at most 64 KiB");
    Header::new(kind, Encoding::Raw, 0, payload_bytes).to_bytes()
}

fn record_header(payload_bytes: usize) -> [u8; HEADER_BYTES] {
    header(Kind::Sealed, HEADER_BYTES + payload_bytes)
}

fn prologue(header: &[u8; HEADER_BYTES]) -> Vec<u8> {
    [PROLOGUE, header].concat()
}
