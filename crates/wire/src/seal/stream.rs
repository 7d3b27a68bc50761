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
use crate::encoding::Encoding;
use crate::frame::{Frame, FramingError, Received};
use crate::header::Header;
use crate::kind::Kind;
use crate::limits::{DATA_BYTES_MAX, FILE_NAME_BYTES_MAX, HEADER_BYTES, MESSAGE_PAYLOAD_BYTES_MAX};
use crate::number::HexBytes;
use crate::text::FileName;

/// Bytes of the text in the first message: a ticket, a name's length, and room for the longest name, so that nobody who
/// listens learns how long it is.
const REQUEST_BYTES: usize = TICKET_BYTES + 1 + FILE_NAME_BYTES_MAX;

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
    pub name: FileName,
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
    #[error("it asks for what can't be a file's name")]
    Name,
}

impl StreamInitiating {
    /// Begins a stream to the owner of `provider`, to fetch this name. `ephemeral` is drawn for this stream alone.
    #[must_use]
    pub fn new(
        device: &SecretKey,
        provider: &PublicKey,
        ticket: &Ticket,
        name: &FileName,
        ephemeral: [u8; KEY_BYTES],
    ) -> (Self, Bytes) {
        let mut request = Vec::with_capacity(REQUEST_BYTES);
        request.extend_from_slice(&ticket.0.0);
        request.push(u8::try_from(name.as_str().len()).expect("a name has at most 255 bytes"));
        request.extend_from_slice(name.as_str().as_bytes());
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
        let (ticket, rest) = request.split_first_chunk().ok_or(StreamError::Name)?;
        let (length, rest) = rest.split_first().ok_or(StreamError::Name)?;
        let (name, padding) = rest.split_at_checked(usize::from(*length)).ok_or(StreamError::Name)?;
        let name = std::str::from_utf8(name).ok().and_then(|name| FileName::new(name).ok());
        let name = name.filter(|_| padding.iter().all(|byte| *byte == 0)).ok_or(StreamError::Name)?;
        Ok(Self { noise, device, ticket: Ticket(HexBytes(*ticket)), name })
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

    /// The bytes of the record at the start of `source`, behind its header; `None` while that isn't all there.
    fn record_bytes(&self, source: &BytesMut) -> Result<Option<usize>, FramingError> {
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
