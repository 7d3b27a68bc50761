//! The front: sorts datagrams, opens seals, and answers heartbeats without asking the index.
//!
//! There is one for each thread that has a socket. What it can't answer is [`Work`] for the responder, of which there is
//! one. So heartbeats wait for nothing, however much else there is to do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bittrickle_wire::legacy::Request as LegacyRequest;
use bittrickle_wire::limits::{LEGACY_DATAGRAM_BYTES_MAX, STRANGER_DATAGRAM_BYTES_MIN};
use bittrickle_wire::messages::{Reply, Request, Versions};
use bittrickle_wire::seal::{
    Cipher, Datagram, DatagramError, Hello, Initiate, OpenError, Opened, SEALED_HEAD_BYTES, Sealed,
};
use bittrickle_wire::{DatagramCodec, Encoding, Format, Frame, Header, Kind, Message, Received};
use bytes::{Buf as _, BytesMut};
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::Counters;
use crate::access::LegacyAccess;
use crate::index::Clock;
use crate::sealing::{Line, Lines, Rate};

/// Sorts datagrams, and answers heartbeats.
#[derive(Debug)]
pub struct Front<C> {
    lines: Arc<Lines<C>>,
    clock: Clock,
    others: Rate,
    legacy: LegacyAccess,
    counters: Counters,
}

/// What the responder has to do about a datagram.
#[derive(Debug)]
pub enum Work {
    /// This was under the seal of a session.
    Opened {
        /// Its head, with the server's index of the session.
        sealed: Sealed,
        /// Which of the sessions that have had this index.
        serial: u32,
        /// What it was.
        opened: Box<Opened>,
    },
    /// A request in the original's format.
    Legacy(Box<LegacyRequest>),
    /// The seal is none of a session that is known here.
    Unknown(Sealed),
    /// The first step of a handshake.
    Hello(Hello),
    /// The second one.
    Initiate(Box<Initiate>),
}

impl Work {
    /// Whether it comes from somebody who has a session. Others wait behind those.
    #[must_use]
    pub fn is_request(&self) -> bool {
        match self {
            Self::Opened { .. } | Self::Legacy(_) => true,
            Self::Unknown(_) | Self::Hello(_) | Self::Initiate(_) => false,
        }
    }

    /// Whether it is looked up in microseconds and changes nothing, so that nothing is left to be done when it has been
    /// answered. A search isn't: it may take milliseconds.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        let Self::Opened { opened, .. } = self else { return false };
        let Ok(Some(Received::Frame(Frame { message: Message::Request(request), .. }))) = &opened.frame
        else {
            return false;
        };
        matches!(request, Request::Locate(_) | Request::ListPeers(_) | Request::ListFiles(_))
    }
}

impl<C: Cipher> Front<C> {
    pub(super) fn new(lines: Arc<Lines<C>>, clock: Clock, others: Rate, legacy: LegacyAccess) -> Self {
        Self { lines, clock, others, legacy, counters: Counters::default() }
    }

    /// What became of the datagrams that were not given on.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Notes that this work is not done, as there is more than can be.
    pub fn shed(&mut self, work: &Work) {
        if work.is_request() {
            self.counters.requests_shed += 1;
        } else {
            self.counters.strangers_shed += 1;
        }
    }

    /// Reads one datagram and leaves its buffer empty. Appends the answer to `out` if there is one, or says what is to be
    /// done about it, if anything.
    ///
    /// `from` is canonical: an IPv4 address is never in IPv6 clothes.
    pub fn take(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Option<Work> {
        let work = match Format::of(datagram) {
            Some(Format::Frame) => self.take_frame(now, from, datagram, out),
            Some(Format::LegacyJson) if self.legacy.allows(from.ip()) => self.take_legacy(datagram),
            Some(Format::LegacyJson) => {
                self.counters.address_refused += 1;
                None
            }
            Some(Format::LegacyGet) | None => {
                self.counters.malformed += 1;
                None
            }
        };
        datagram.clear();
        work
    }

    fn take_frame(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Option<Work> {
        match Datagram::parse(datagram) {
            Ok(Datagram::Sealed(sealed)) => return self.take_sealed(now, from, sealed, datagram, out),
            Ok(Datagram::Hello(hello)) => return Some(Work::Hello(hello)),
            Ok(Datagram::Initiate(initiate)) => return Some(Work::Initiate(Box::new(initiate))),
            Ok(Datagram::Retry(_) | Datagram::Accept(_) | Datagram::Reset(_)) => {
                self.counters.unexpected_replies += 1;
            }
            Err(DatagramError::NotOutside) => self.counters.unsealed += 1,
            Err(DatagramError::Version(_)) => {
                self.counters.malformed += 1;
                say_versions(datagram, out);
            }
            Err(DatagramError::Length(_) | DatagramError::Encoding(_)) => self.counters.malformed += 1,
        }
        None
    }

    fn take_sealed(
        &mut self,
        now: Instant,
        from: SocketAddr,
        sealed: Sealed,
        datagram: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Option<Work> {
        let Some(mut line) = self.lines.line(sealed.index) else {
            self.counters.unknown_sessions += 1;
            return Some(Work::Unknown(sealed));
        };
        let (text, is_newest) = match line.session.open_in_place(sealed, datagram) {
            Ok(opened) => opened,
            Err(OpenError::BadTag(_)) => {
                self.counters.bad_seals += 1;
                // The index may have been another device's before this server was started.
                return Some(Work::Unknown(sealed));
            }
            Err(OpenError::Replay | OpenError::UsedUp) => {
                self.counters.replays += 1;
                return None;
            }
        };
        if line.address == from
            && let Some((request_id, encoding)) = as_heartbeat(text)
            && let Some(reply) = beat(&mut line, now, &self.clock, self.others)
        {
            let frame = Frame { request_id, encoding, message: Message::Reply(reply) };
            // Used-up keys: the device's own are used up as well, and it makes new ones.
            if line.session.seal(frame, out).is_ok() {
                self.counters.frames_answered += 1;
            }
            return None;
        }
        let text_bytes = text.len();
        datagram.advance(SEALED_HEAD_BYTES);
        datagram.truncate(text_bytes);
        let opened = Opened { frame: DatagramCodec.decode(datagram), is_newest };
        Some(Work::Opened { sealed, serial: line.serial, opened: Box::new(opened) })
    }

    fn take_legacy(&mut self, datagram: &BytesMut) -> Option<Work> {
        let readable = &datagram[..datagram.len().min(LEGACY_DATAGRAM_BYTES_MAX)];
        let request = LegacyRequest::decode(readable);
        if request.is_err() {
            self.counters.malformed += 1;
        }
        Some(Work::Legacy(Box::new(request.ok()?)))
    }
}

/// The answer to a heartbeat over this line, unless it is for the responder to say what is wrong.
fn beat<C>(line: &mut Line<C>, now: Instant, clock: &Clock, others: Rate) -> Option<Reply> {
    let pulse = line.pulse.as_ref().filter(|pulse| !pulse.is_over())?;
    let now_ms = clock.ms(now);
    if now_ms >= line.over_ms || !line.others.take(now_ms, others) {
        return None;
    }
    let reply = pulse.beat(now, clock)?;
    line.heard_ms = now_ms;
    Some(Reply::HeartbeatReply(reply))
}

/// The request id and the encoding of a heartbeat. It says nothing, so that its bytes are always the same, and it needn't be
/// decoded.
fn as_heartbeat(text: &[u8]) -> Option<(u32, Encoding)> {
    let (header, payload) = text.split_first_chunk()?;
    let header = Header::parse(header)?;
    let encoding = Encoding::from_code(header.encoding)?;
    let nothing: &[u8] = match encoding {
        Encoding::Json => b"{}",
        Encoding::Bincode => b"",
        Encoding::Raw => return None,
    };
    let is_whole = payload == nothing && header.payload_bytes as usize == payload.len();
    let is_heartbeat = header.is_readable() && header.kind == Kind::Heartbeat;
    (is_heartbeat && is_whole).then_some((header.request_id, encoding))
}

/// Tells who asks in another version which one is spoken here; the answer is far shorter than the question (BT-1.7-3).
fn say_versions(datagram: &[u8], out: &mut BytesMut) {
    let Some(header) = datagram.first_chunk().and_then(Header::parse) else { return };
    if datagram.len() < STRANGER_DATAGRAM_BYTES_MIN || header.kind.is_reply() {
        return;
    }
    let message = Message::Versions(Versions::SPOKEN);
    let frame = Frame { request_id: header.request_id, encoding: Encoding::Raw, message };
    DatagramCodec.encode(frame, out).expect("two bytes are few");
}
