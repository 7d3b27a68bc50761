//! What a source sends: bytes that are opened, one behind the other, and behind them what isn't opened yet.
//!
//! Both are in one buffer, and opening moves bytes to where they belong: a piece is never copied on its way from the socket
//! to the disk.

use bittrickle_wire::FramingError;
use bittrickle_wire::content::CHAINING_VALUE_BYTES;
use bittrickle_wire::limits::{DATA_BYTES_MAX, HEADER_BYTES, PIECE_BYTES};
use bittrickle_wire::seal::{DATA_RECORD_HEAD_BYTES, DATA_RECORD_TAIL_BYTES, Record, SealedCodec};

/// A buffer with three parts: opened bytes, bytes that are free, and sealed ones.
#[derive(Debug)]
pub(super) struct Inbox {
    buffer: Vec<u8>,
    opened_end: usize,
    sealed_start: usize,
    sealed_end: usize,
}

/// Opened bytes that an inbox has handed out.
#[derive(Debug)]
pub(super) struct Taken {
    buffer: Vec<u8>,
    bytes: usize,
}

/// What the next record was.
pub(super) enum Next {
    /// More bytes are opened now, in answer to this request.
    Data { request_id: u32 },
    /// A frame of another kind.
    Other(bittrickle_wire::Received),
}

/// In front of the opened bytes: room for the header of the frame that the first of them come in.
const HEAD_BYTES: usize = HEADER_BYTES;

const RECORD_BYTES_MAX: usize = DATA_RECORD_HEAD_BYTES + DATA_BYTES_MAX + DATA_RECORD_TAIL_BYTES;

/// Bytes of a buffer. A whole piece can be read into it at once: with a quarter of that, a download takes half as long
/// again. However much of a piece is opened, there is room for a whole record behind it.
const BUFFER_BYTES: usize = PIECE_BYTES + 2 * RECORD_BYTES_MAX;
const _: () = assert!(
    HEAD_BYTES + PIECE_BYTES + CHAINING_VALUE_BYTES + RECORD_BYTES_MAX <= BUFFER_BYTES,
    "a record is always read to its end"
);

impl Inbox {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self::with_buffer(vec![0; BUFFER_BYTES])
    }

    fn with_buffer(buffer: Vec<u8>) -> Self {
        Self { buffer, opened_end: HEAD_BYTES, sealed_start: HEAD_BYTES, sealed_end: HEAD_BYTES }
    }

    /// Where more of what is sent is to be read to; [`Inbox::filled`] says how much it was. To be called when no record is
    /// complete.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let has_room = self.buffer.len() - self.sealed_end >= RECORD_BYTES_MAX;
        if self.sealed_start == self.sealed_end || !has_room {
            self.buffer.copy_within(self.sealed_start..self.sealed_end, self.opened_end);
            self.sealed_end -= self.sealed_start - self.opened_end;
            self.sealed_start = self.opened_end;
        }
        &mut self.buffer[self.sealed_end..]
    }

    /// So many bytes of the room were filled.
    pub(super) fn filled(&mut self, bytes: usize) {
        self.sealed_end += bytes;
    }

    /// Opens the next record, if it is all there.
    ///
    /// # Errors
    /// The record is forged or nonsense: the stream is lost.
    pub(super) fn open(&mut self, codec: &mut SealedCodec) -> Result<Option<Next>, FramingError> {
        let input = &mut self.buffer[..self.sealed_end];
        let Some((bytes, record)) = codec.open_record_to(input, self.sealed_start, self.opened_end)? else {
            return Ok(None);
        };
        let (next, opened) = match record {
            Record::Data { request_id, bytes } => (Next::Data { request_id }, bytes.len()),
            Record::Other(received) => (Next::Other(received), 0),
        };
        self.sealed_start += bytes;
        self.opened_end += opened;
        Ok(Some(next))
    }

    /// What is opened and hasn't been taken.
    pub(super) fn opened(&self) -> &[u8] {
        &self.buffer[HEAD_BYTES..self.opened_end]
    }

    /// Forgets what is opened, but for so many bytes.
    pub(super) fn truncate(&mut self, bytes: usize) {
        self.opened_end = self.opened_end.min(HEAD_BYTES + bytes);
    }

    /// Hands out the first bytes of what is opened, and goes on in the buffer of `empty`.
    pub(super) fn take(&mut self, bytes: usize, empty: Option<Taken>) -> Taken {
        let mut next = empty.map_or_else(Self::new, |taken| Self::with_buffer(taken.buffer));
        let opened = &self.opened()[bytes..];
        let sealed = &self.buffer[self.sealed_start..self.sealed_end];
        next.opened_end += opened.len();
        next.sealed_start = next.opened_end;
        next.sealed_end = next.sealed_start + sealed.len();
        next.buffer[HEAD_BYTES..next.opened_end].copy_from_slice(opened);
        next.buffer[next.sealed_start..next.sealed_end].copy_from_slice(sealed);
        Taken { buffer: std::mem::replace(self, next).buffer, bytes }
    }
}

impl Taken {
    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[HEAD_BYTES..HEAD_BYTES + self.bytes]
    }
}
