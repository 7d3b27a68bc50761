//! One connection to a source, on a thread of its own that waits for it (BT-3.2).

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bittrickle_wire::messages::{Access, Reply};
use bittrickle_wire::seal::{STREAM_ACCEPT_BYTES, SealedCodec, SecretKey, StreamInitiating};
use bittrickle_wire::{Encoding, Frame, Kind, Message, Received, Target};
use bytes::BytesMut;
use tokio_util::codec::Encoder as _;

use super::error::SourceError;
use super::inbox::{Inbox, Next};
use crate::transfer::{Deadlines, RateFloor};

/// A sealed connection.
pub(super) struct Connection {
    stream: TcpStream,
    codec: SealedCodec,
    /// What has come. Whoever waits for `Data` takes the bytes out of it.
    pub(super) inbox: Inbox,
    next_request_id: u32,
    stall: Duration,
    floor: RateFloor,
    window: Duration,
}

impl Connection {
    /// The handshake: the source proves its key, and we show our ticket (BT-6.6).
    pub(super) fn enter(
        mut stream: TcpStream,
        device: &SecretKey,
        access: &Access,
        target: &Target,
        deadlines: &Deadlines,
    ) -> Result<Self, SourceError> {
        let mut ephemeral = [0; 32];
        getrandom::fill(&mut ephemeral)?;
        stream.set_nodelay(true).map_err(SourceError::Broken)?;
        stream.set_write_timeout(Some(deadlines.first)).map_err(SourceError::Broken)?;
        let (initiating, initiate) =
            StreamInitiating::new(device, &access.device, &access.ticket, target, ephemeral);
        stream.write_all(&initiate).map_err(SourceError::Broken)?;
        let accept = read_accept(&mut stream, deadlines.first)?;
        let codec = initiating.finish(&accept).map_err(SourceError::WrongPeer)?;
        let stall = deadlines.stall;
        stream.set_read_timeout(Some(stall)).map_err(SourceError::Broken)?;
        Ok(Self {
            stream,
            codec,
            inbox: Inbox::new(),
            next_request_id: 1,
            stall,
            floor: RateFloor::new(Instant::now(), deadlines.window),
            window: deadlines.window,
        })
    }

    /// Asks. The answers come in the order of the requests.
    pub(super) fn send(&mut self, messages: impl IntoIterator<Item = Message>) -> Result<(), SourceError> {
        let mut out = BytesMut::new();
        for message in messages {
            let request_id = self.next_request_id;
            self.next_request_id = request_id.wrapping_add(1);
            self.codec.encode(Frame { request_id, encoding: Encoding::Bincode, message }, &mut out)?;
        }
        self.stream.write_all(&out).map_err(SourceError::Broken)
    }

    /// The id of the next request.
    pub(super) fn next_request_id(&self) -> u32 {
        self.next_request_id
    }

    /// Begins to watch the rate anew: nothing was asked for before.
    pub(super) fn begin_rate(&mut self) {
        self.floor = RateFloor::new(Instant::now(), self.window);
    }

    /// Waits for the next record.
    pub(super) fn receive(&mut self) -> Result<Next, SourceError> {
        loop {
            let opened = self.inbox.opened().len();
            match self.inbox.open(&mut self.codec)? {
                // Whoever sends nothing, and often, may not hold anybody up with it (BT-3.3-1).
                Some(Next::Data { .. }) if self.inbox.opened().len() == opened => {
                    return Err(SourceError::Unexpected(Kind::Data));
                }
                Some(next) => return Ok(next),
                None => {}
            }
            self.read()?;
        }
    }

    /// Waits for the one frame that answers a request.
    pub(super) fn receive_frame(&mut self) -> Result<Message, SourceError> {
        let expected = self.next_request_id.wrapping_sub(1);
        match self.receive()? {
            Next::Data { .. } => Err(SourceError::Unexpected(Kind::Data)),
            Next::Other(Received::Bad(bad)) => Err(bad.fault.into()),
            Next::Other(Received::Frame(Frame { request_id, message, .. })) => match message {
                message if request_id != expected => Err(SourceError::Unexpected(message.kind())),
                Message::Reply(Reply::Refused(refused)) => Err(SourceError::Refused(refused)),
                message => Ok(message),
            },
        }
    }

    /// Waits for exactly so many bytes of `Data` that answer the last request. Tells when some have come.
    pub(super) fn receive_bytes(
        &mut self,
        bytes: usize,
        some_came: &dyn Fn(),
    ) -> Result<Vec<u8>, SourceError> {
        let expected = self.next_request_id.wrapping_sub(1);
        // Grows with what comes, so that nobody is believed who announces much.
        let mut received = Vec::new();
        while received.len() < bytes {
            match self.receive()? {
                Next::Data { request_id } if request_id == expected => {
                    let data = self.inbox.opened();
                    if data.len() > bytes - received.len() {
                        return Err(SourceError::TooMany);
                    }
                    received.extend_from_slice(data);
                    some_came();
                    self.inbox.truncate(0);
                }
                Next::Data { .. } => return Err(SourceError::Unexpected(Kind::Data)),
                Next::Other(Received::Bad(bad)) => return Err(bad.fault.into()),
                Next::Other(Received::Frame(Frame { message, .. })) => match message {
                    Message::Reply(Reply::Refused(refused)) => return Err(SourceError::Refused(refused)),
                    message => return Err(SourceError::Unexpected(message.kind())),
                },
            }
        }
        Ok(received)
    }

    fn read(&mut self) -> Result<(), SourceError> {
        match self.stream.read(self.inbox.room()) {
            Ok(0) => return Err(SourceError::Ended),
            Ok(count) => {
                self.inbox.filled(count);
                self.floor.add(count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(SourceError::NoAnswer(self.stall));
            }
            Err(error) => return Err(SourceError::Broken(error)),
        }
        Ok(self.floor.check(Instant::now())?)
    }
}

/// Reads the answer to a handshake, all of which has to be there in time (BT-5.4-1).
fn read_accept(stream: &mut TcpStream, wait: Duration) -> Result<[u8; STREAM_ACCEPT_BYTES], SourceError> {
    let deadline = Instant::now() + wait;
    let mut accept = [0; STREAM_ACCEPT_BYTES];
    let mut filled = 0;
    while filled < accept.len() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(SourceError::NoAnswer(wait));
        }
        stream.set_read_timeout(Some(left)).map_err(SourceError::Broken)?;
        match stream.read(&mut accept[filled..]) {
            Ok(0) => return Err(SourceError::NotLetIn),
            Ok(count) => filled += count,
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {}
                io::ErrorKind::ConnectionReset => return Err(SourceError::NotLetIn),
                _ => return Err(SourceError::Broken(error)),
            },
        }
    }
    Ok(accept)
}
