//! Records on their way out: filled, sealed and sent many at a time, without a copy in between.

use std::io::{self, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bittrickle_wire::limits::DATA_BYTES_MAX;
use bittrickle_wire::seal::{DATA_RECORD_HEAD_BYTES, DATA_RECORD_TAIL_BYTES, SealedCodec};
use bittrickle_wire::{Frame, FramingError};
use bytes::BytesMut;
use tokio_util::codec::Encoder as _;

use super::limit::RateLimit;
use crate::transfer::{RateFloor, TooSlow};

/// Records that wait to be sent, the last one still being filled.
pub(super) struct Records {
    buffer: Box<[u8]>,
    /// Where the record that is being filled begins.
    start: usize,
    /// Bytes of data in it.
    filled: usize,
    /// What it answers.
    request_id: u32,
    limit: RateLimit,
    window: Duration,
    /// A write has failed: the other side may have half of what was to be sent, and nothing that follows would fit it.
    has_failed: bool,
}

/// Why nothing more can be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    TooSlow(#[from] TooSlow),
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error("an earlier write has failed half-way")]
    HalfWay,
}

/// Bytes of the largest record.
const RECORD_BYTES_MAX: usize = DATA_RECORD_HEAD_BYTES + DATA_BYTES_MAX + DATA_RECORD_TAIL_BYTES;

/// Bytes that one call of the system sends. They are read, sealed and sent while they are in a core's own cache: with a
/// whole piece, a download takes a tenth longer.
const BUFFER_BYTES: usize = 4 * RECORD_BYTES_MAX;

impl Records {
    /// Nothing to send. A taker that doesn't keep up the lowest rate over `window` is given up.
    pub(super) fn new(limit: RateLimit, window: Duration) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into();
        Self { buffer, start: 0, filled: 0, request_id: 0, limit, window, has_failed: false }
    }

    /// Begins the answer to a request.
    pub(super) fn begin(&mut self, codec: &mut SealedCodec, request_id: u32) {
        self.seal(codec);
        self.request_id = request_id;
    }

    /// Room for bytes of the answer, never none: what waits is sent when there is none left. [`Records::add`] says how
    /// much of it was filled.
    pub(super) fn room(
        &mut self,
        codec: &mut SealedCodec,
        stream: &mut TcpStream,
    ) -> Result<&mut [u8], SendError> {
        if self.filled == DATA_BYTES_MAX {
            self.seal(codec);
        }
        if self.filled == 0 && self.buffer.len() - self.start < RECORD_BYTES_MAX {
            self.send(codec, stream)?;
        }
        let data = self.start + DATA_RECORD_HEAD_BYTES;
        Ok(&mut self.buffer[data + self.filled..data + DATA_BYTES_MAX])
    }

    /// So many bytes of the room were filled.
    pub(super) fn add(&mut self, bytes: usize) {
        self.filled += bytes;
    }

    /// Copies bytes into the answer.
    pub(super) fn copy(
        &mut self,
        codec: &mut SealedCodec,
        stream: &mut TcpStream,
        mut bytes: &[u8],
    ) -> Result<(), SendError> {
        while !bytes.is_empty() {
            let room = self.room(codec, stream)?;
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            self.add(count);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Throws away what has been filled of a record that isn't sealed: its bytes may not be sent.
    pub(super) fn discard(&mut self) {
        self.filled = 0;
    }

    /// Adds any other frame behind what waits.
    pub(super) fn push(
        &mut self,
        codec: &mut SealedCodec,
        stream: &mut TcpStream,
        frame: Frame,
    ) -> Result<(), SendError> {
        self.seal(codec);
        let mut record = BytesMut::new();
        codec.encode(frame, &mut record)?;
        if self.buffer.len() - self.start < record.len() {
            self.send(codec, stream)?;
        }
        self.buffer[self.start..self.start + record.len()].copy_from_slice(&record);
        self.start += record.len();
        Ok(())
    }

    /// Sends all that waits. Once that has failed, nothing is sent any more.
    pub(super) fn send(&mut self, codec: &mut SealedCodec, stream: &mut TcpStream) -> Result<(), SendError> {
        if self.has_failed {
            return Err(SendError::HalfWay);
        }
        self.seal(codec);
        let waiting = &self.buffer[..self.start];
        for bytes in waiting.chunks(self.limit.bytes_at_once()) {
            self.limit.take(bytes.len());
            write_all(stream, bytes, self.window).inspect_err(|_| self.has_failed = true)?;
        }
        self.start = 0;
        Ok(())
    }

    /// Closes the record that is being filled.
    fn seal(&mut self, codec: &mut SealedCodec) {
        if self.filled > 0 {
            let end = self.start + DATA_RECORD_HEAD_BYTES + self.filled + DATA_RECORD_TAIL_BYTES;
            codec.seal_data(self.request_id, &mut self.buffer[self.start..end]);
            (self.start, self.filled) = (end, 0);
        }
    }
}

/// Writes to a taker that keeps up the lowest rate. The stream's own time limit for a write is `window`.
fn write_all(stream: &mut TcpStream, mut bytes: &[u8], window: Duration) -> Result<(), SendError> {
    let mut floor = RateFloor::new(Instant::now(), window);
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Ok(count) => {
                floor.add(count);
                bytes = &bytes[count..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        floor.check(Instant::now())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use bittrickle_wire::seal::{SecretKey, StreamAccepting, StreamInitiating, Ticket};
    use bittrickle_wire::{HexBytes, Root, Target};

    use super::*;

    /// The codec of a source, and that of its taker.
    fn codecs() -> (SealedCodec, SealedCodec) {
        let [source, taker] = [[1; 32], [2; 32]].map(SecretKey::from_bytes);
        let (ticket, target) = (Ticket(HexBytes([0; 32])), Target::Root(Root::of(b"")));
        let (initiating, initiate) =
            StreamInitiating::new(&taker, &source.public(), &ticket, &target, [3; 32]);
        let accepting = StreamAccepting::new(&source, initiate.first_chunk().unwrap(), [4; 32]).unwrap();
        let (codec, accept) = accepting.finish();
        (codec, initiating.finish(accept.first_chunk().unwrap()).unwrap())
    }

    /// BT-3.3-3: whoever is stopped for longer than a window, and goes on then, has an end before it, and no bytes twice.
    #[test]
    fn after_a_write_that_failed_half_way_nothing_is_sent_any_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut taker, _) = listener.accept().unwrap();
        let window = Duration::from_millis(50);
        stream.set_write_timeout(Some(window)).unwrap();
        let (mut codec, mut opening) = codecs();
        let mut records = Records::new(RateLimit::default(), window);
        records.begin(&mut codec, 7);
        // Nobody reads, so that it fails once all buffers are full.
        let failed = loop {
            if let Err(error) = records.copy(&mut codec, &mut stream, &[7; DATA_BYTES_MAX]) {
                break error;
            }
        };
        assert!(matches!(failed, SendError::TooSlow(_)), "{failed}");
        assert!(matches!(records.send(&mut codec, &mut stream), Err(SendError::HalfWay)));
        let more = records.copy(&mut codec, &mut stream, &[7; 2 * BUFFER_BYTES]);
        assert!(matches!(more, Err(SendError::HalfWay)));
        drop(stream);
        let mut received = Vec::new();
        taker.read_to_end(&mut received).unwrap();
        let (mut start, mut count) = (0, 0);
        while let Some((bytes, _)) =
            opening.open_record(&mut received[start..]).expect("each is the next one")
        {
            (start, count) = (start + bytes, count + 1);
        }
        assert!(count > 0 && start < received.len(), "the last one is cut: {count} records");
    }
}
