//! The handshake of a sealed stream, between two peers (BT-6.6).

use bytes::{BufMut as _, Bytes, BytesMut};

use super::keys::{KEY_BYTES, PublicKey, SecretKey};
use super::noise::{FIRST_OVERHEAD_BYTES, Initiator, NoiseError, Responder, SECOND_OVERHEAD_BYTES};
use super::records::SealedCodec;
use super::ticket::{TICKET_BYTES, Ticket};
use crate::codec::FrameCodec;
use crate::content::{TARGET_BYTES_MAX, Target};
use crate::encoding::Encoding;
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

/// The header of what stands around a frame, or begins a stream, and has so many bytes in all.
pub(super) fn header(kind: Kind, bytes: usize) -> [u8; HEADER_BYTES] {
    let payload_bytes = u32::try_from(bytes - HEADER_BYTES).expect("a record has at most 64 KiB");
    Header::new(kind, Encoding::Raw, 0, payload_bytes).to_bytes()
}

fn prologue(header: &[u8; HEADER_BYTES]) -> Vec<u8> {
    [PROLOGUE, header].concat()
}
