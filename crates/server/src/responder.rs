//! From datagram to datagram: tells the formats apart, asks the index, and counts what is dropped.
//!
//! Pure, so that tests, fuzzers and benchmarks drive it without a socket.
#![deny(clippy::disallowed_methods)]

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use bittrickle_wire::limits::LEGACY_DATAGRAM_BYTES_MAX;
use bittrickle_wire::messages::{RefusalCode, Refused, Reply};
use bittrickle_wire::{DatagramCodec, Format, Frame, Message, Received, Verdict, legacy};
use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, Encoder as _};

use crate::access::{LegacyAccess, frames_allowed};
use crate::index::Index;

/// Answers datagrams.
#[derive(Debug)]
pub struct Responder {
    /// What it answers from.
    pub index: Index,
    legacy: LegacyAccess,
    counters: Counters,
}

/// What became of the datagrams that came in. Every one is counted once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Frames that got an answer, refusals included.
    pub frames_answered: u64,
    /// Legacy datagrams that got an answer.
    pub legacy_answered: u64,
    /// Dropped: no format begins so, or the framing or the JSON is broken.
    pub malformed: u64,
    /// Dropped: the address may not speak this format.
    pub address_refused: u64,
    /// Dropped: answers that nobody asked for.
    pub unexpected_replies: u64,
}

impl Responder {
    /// Answers from this index; legacy datagrams only where `legacy` allows it.
    #[must_use]
    pub fn new(index: Index, legacy: LegacyAccess) -> Self {
        Self { index, legacy, counters: Counters::default() }
    }

    /// What became of the datagrams so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Reads one datagram, leaves its buffer empty, and appends the answer to `out` if there is one.
    ///
    /// `from` is canonical: an IPv4 address is never in IPv6 clothes.
    pub fn respond(&mut self, now: Instant, from: SocketAddr, datagram: &mut BytesMut, out: &mut BytesMut) {
        match Format::of(datagram) {
            Some(Format::Frame) if frames_allowed(from.ip()) => {
                self.respond_to_frame(now, from, datagram, out);
            }
            Some(Format::LegacyJson) if self.legacy.allows(from.ip()) => {
                self.respond_to_legacy(now, from, datagram, out);
            }
            Some(Format::Frame | Format::LegacyJson) => self.counters.address_refused += 1,
            Some(Format::LegacyGet) | None => self.counters.malformed += 1,
        }
        datagram.clear();
    }

    fn respond_to_frame(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &mut BytesMut,
        out: &mut BytesMut,
    ) {
        let answer = match DatagramCodec.decode(datagram) {
            Ok(Some(Received::Frame(frame))) => self.answer_frame(now, from, frame),
            Ok(Some(Received::Bad(bad))) => match bad.verdict() {
                Verdict::Answer(frame) | Verdict::AnswerAndClose(frame) => Some(frame),
                Verdict::Drop => {
                    self.counters.unexpected_replies += 1;
                    None
                }
            },
            Ok(None) | Err(_) => {
                self.counters.malformed += 1;
                None
            }
        };
        if let Some(frame) = answer {
            self.counters.frames_answered += 1;
            DatagramCodec
                .encode(frame, out)
                .expect("pages are filled so that every answer fits one datagram");
        }
    }

    fn answer_frame(&mut self, now: Instant, from: SocketAddr, frame: Frame) -> Option<Frame> {
        let Frame { request_id, encoding, message } = frame;
        let kind = message.kind();
        let reply = match message {
            Message::Request(request) => self.index.handle(now, from, encoding, request),
            _ if kind.is_reply() => {
                self.counters.unexpected_replies += 1;
                return None;
            }
            Message::Fetch(_) | Message::Reply(_) | Message::Content(_) => unexpected(),
            Message::Data(_) | Message::Done(_) | Message::Versions(_) => unexpected(),
        };
        Some(Frame { request_id, encoding, message: Message::Reply(reply) })
    }

    fn respond_to_legacy(&mut self, now: Instant, from: SocketAddr, datagram: &BytesMut, out: &mut BytesMut) {
        let readable = &datagram[..datagram.len().min(LEGACY_DATAGRAM_BYTES_MAX)];
        match legacy::Request::decode(readable) {
            Ok(request) => {
                self.counters.legacy_answered += 1;
                out.extend_from_slice(&self.index.handle_legacy(now, from, &request).encode());
            }
            Err(_) => self.counters.malformed += 1,
        }
    }
}

fn unexpected() -> Reply {
    Reply::Refused(Refused::new(RefusalCode::UNEXPECTED_KIND, "the index does not answer this kind of frame"))
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} frames and {} legacy datagrams answered; dropped: {} malformed, {} from addresses that may not \
             speak so, {} answers nobody asked for",
            self.frames_answered,
            self.legacy_answered,
            self.malformed,
            self.address_refused,
            self.unexpected_replies
        )
    }
}
