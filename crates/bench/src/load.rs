//! The load: many sockets, each with a window of requests in flight, driven by one thread.
//!
//! It runs on a core of its own and must be cheaper than what it measures. So it never waits for a single answer: it
//! goes round all sockets, takes what is there with one call, sends as many requests again with another, and rests for a
//! moment when little was there. Nobody has to wake it up, which would be charged to the server.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use bittrickle_server::udp::batch::{Inbound, Outbound};
use bittrickle_wire::Kind;
use bittrickle_wire::messages::Request;
use bittrickle_wire::seal::{KeysUsedUp, OpenError};
use bytes::BytesMut;

use crate::client::MEASURED_REQUEST_IDS;
use crate::interrupt;
use crate::voice::{Heard, Voice};

/// A request, and the answer that it must get.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// What to ask.
    pub(crate) request: Request,
    /// Bytes of its datagram.
    pub(crate) request_bytes: usize,
    /// The answer's kind.
    pub(crate) reply_kind: Kind,
    /// Bytes of the answer's datagram.
    pub(crate) reply_bytes: usize,
}

/// Sends requests and counts their answers.
#[derive(Debug)]
pub(crate) struct Load<'a, V> {
    lanes: Vec<Lane<'a, V>>,
    exchanges: &'a [Exchange],
    next_exchange: usize,
    sending: bool,
    counts: Counts,
    /// What is sent, and the answer that is looked at: the same memory again and again.
    outbound: Outbound,
    datagram: BytesMut,
    /// When an answer came last.
    heard_at: Instant,
}

/// What came of the requests so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Answers of the expected kind and length.
    pub(crate) replies: u64,
    /// Requests that were sent again because no answer came in time.
    pub(crate) repeats: u64,
}

/// One socket, what is spoken over it, and its requests in flight.
#[derive(Debug)]
struct Lane<'a, V> {
    socket: &'a UdpSocket,
    voice: V,
    slots: Vec<Slot>,
}

/// A place in the window.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// How often it was used: part of the request id, so that a late answer isn't taken for the next one.
    turn: u32,
    exchange: usize,
    sent_at: Instant,
    open: bool,
}

/// Why a measurement ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The socket fails; most often nobody listens any more.
    #[error("what is measured has ended, or a socket fails: {0}; a message of its own may stand above")]
    Socket(#[from] io::Error),
    /// No answer for a long time.
    #[error("no answer for {} s; is the machine stopped or far too busy?", SILENCE_MAX.as_secs())]
    Silent,
    /// Another answer than the one that the same request got before.
    #[error(
        "an answer of kind {kind:?} and {bytes} bytes instead of {expected_kind:?} and {expected_bytes}; \
             did a session end while the machine was too busy?"
    )]
    Answer {
        /// Its kind.
        kind: Kind,
        /// Its length.
        bytes: usize,
        /// The kind it should have.
        expected_kind: Kind,
        /// The length it should have.
        expected_bytes: usize,
    },
    /// Not a frame.
    #[error("an answer that is no frame")]
    NoFrame,
    /// What is measured says no.
    #[error("an answer that refuses what is asked: {0}")]
    Refused(String),
    /// Not sealed with this session's keys, or seen before.
    #[error("an answer that can't be opened: {0}")]
    Open(#[from] OpenError),
    /// The session is at its end.
    #[error(transparent)]
    KeysUsedUp(#[from] KeysUsedUp),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

/// Most requests in flight on one socket.
pub(crate) const SLOTS_MAX: u32 = 64;

/// How much longer or shorter an answer may be than the one before: a clock in it takes more bytes as time goes on.
const REPLY_BYTES_MORE: usize = 8;

/// When a request counts as lost. Far above any queue's delay.
const REPEAT_AFTER: Duration = Duration::from_millis(200);

/// How often lost requests are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// When what is measured counts as dead.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// How long to rest when fewer than one of [`REST_BELOW_PART`] requests were answered.
const REST: Duration = Duration::from_micros(20);

const REST_BELOW_PART: usize = 8;

/// How long the last answers may take when no more requests are sent.
const SETTLE: Duration = Duration::from_millis(500);

impl<'a, V: Voice> Load<'a, V> {
    /// A load over these sockets, with `window` requests in flight on each.
    ///
    /// # Errors
    /// A socket fails.
    pub(crate) fn new(
        sockets: impl Iterator<Item = (&'a UdpSocket, V)>,
        exchanges: &'a [Exchange],
        window: usize,
    ) -> Result<Self, LoadError> {
        let now = Instant::now();
        let slot = Slot { turn: 0, exchange: 0, sent_at: now, open: false };
        let lane = |(socket, voice)| Lane { socket, voice, slots: vec![slot; window] };
        let lanes: Vec<_> = sockets.map(lane).collect();
        for lane in &lanes {
            lane.socket.set_nonblocking(true)?;
        }
        Ok(Self {
            lanes,
            exchanges,
            next_exchange: 0,
            sending: true,
            counts: Counts::default(),
            outbound: Outbound::default(),
            datagram: BytesMut::new(),
            heard_at: now,
        })
    }

    /// What came of the requests so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Sends and receives until this time.
    ///
    /// # Errors
    /// Answers stay away or are wrong, or somebody wants the program to end.
    pub(crate) fn run_until(&mut self, end: Instant) -> Result<(), LoadError> {
        self.sending = true;
        self.open_windows()?;
        let enough = (self.lanes.len() * self.lanes[0].slots.len()).div_ceil(REST_BELOW_PART);
        let (mut look_at, mut inbound) = (Instant::now(), Inbound::default());
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            if now >= look_at {
                self.look_after_lost(now)?;
                look_at = now + LOOK_EVERY;
            }
            if self.go_round(now, &mut inbound)? < enough {
                std::thread::sleep(REST);
            }
        }
    }

    /// Waits for the answers that are still on their way, so that nobody is busy when the next measurement begins.
    ///
    /// # Errors
    /// As for [`run_until`](Self::run_until).
    pub(crate) fn settle(&mut self) -> Result<(), LoadError> {
        self.sending = false;
        let (end, mut inbound) = (Instant::now() + SETTLE, Inbound::default());
        while self.lanes.iter().any(|lane| lane.slots.iter().any(|slot| slot.open)) {
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            self.go_round(now, &mut inbound)?;
            std::thread::sleep(REST);
        }
        Ok(())
    }

    fn open_windows(&mut self) -> Result<(), LoadError> {
        let now = Instant::now();
        self.heard_at = now;
        for lane in 0..self.lanes.len() {
            for slot in 0..self.lanes[lane].slots.len() {
                if !self.lanes[lane].slots[slot].open {
                    self.say_next(lane, slot, now)?;
                }
            }
            self.outbound.send(self.lanes[lane].socket);
        }
        Ok(())
    }

    /// Takes what has come on every socket. Returns how many requests were answered.
    fn go_round(&mut self, now: Instant, inbound: &mut Inbound) -> Result<usize, LoadError> {
        let mut answered = 0;
        for lane in 0..self.lanes.len() {
            answered += self.receive(lane, now, inbound)?;
        }
        if answered > 0 {
            self.heard_at = now;
            self.counts.replies += answered as u64;
        }
        Ok(answered)
    }

    fn receive(&mut self, lane: usize, now: Instant, inbound: &mut Inbound) -> Result<usize, LoadError> {
        match inbound.receive(self.lanes[lane].socket) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error.into()),
        }
        let mut answered = 0;
        for (_, bytes) in inbound.datagrams() {
            self.datagram.clear();
            self.datagram.extend_from_slice(bytes);
            if let Some(slot) = self.accept(lane)? {
                answered += 1;
                if self.sending {
                    self.say_next(lane, slot, now)?;
                }
            }
        }
        self.outbound.send(self.lanes[lane].socket);
        Ok(answered)
    }

    /// The slot whose request this answers; `None` for the second answer to a request that was repeated.
    fn accept(&mut self, lane: usize) -> Result<Option<usize>, LoadError> {
        let bytes = self.datagram.len();
        let Some(Heard { request_id, kind }) = self.lanes[lane].voice.hear(&mut self.datagram)? else {
            return Ok(None);
        };
        let number = (request_id % SLOTS_MAX) as usize;
        let Some(slot) = self.lanes[lane].slots.get_mut(number) else { return Ok(None) };
        if !slot.open || request_id != self::request_id(number, slot.turn) {
            return Ok(None);
        }
        let expected = &self.exchanges[slot.exchange];
        if kind != expected.reply_kind || bytes.abs_diff(expected.reply_bytes) > REPLY_BYTES_MORE {
            return Err(LoadError::Answer {
                kind,
                bytes,
                expected_kind: expected.reply_kind,
                expected_bytes: expected.reply_bytes,
            });
        }
        slot.open = false;
        Ok(Some(number))
    }

    fn say_next(&mut self, lane: usize, number: usize, now: Instant) -> Result<(), LoadError> {
        let slot = &mut self.lanes[lane].slots[number];
        *slot =
            Slot { turn: slot.turn.wrapping_add(1), exchange: self.next_exchange, sent_at: now, open: true };
        self.next_exchange = (self.next_exchange + 1) % self.exchanges.len();
        self.say(lane, number)
    }

    /// Adds a request to what is sent next. What has no room is as good as lost: it will be repeated.
    fn say(&mut self, lane: usize, number: usize) -> Result<(), LoadError> {
        let lane = &mut self.lanes[lane];
        let slot = lane.slots[number];
        let request_id = request_id(number, slot.turn);
        lane.voice.say(&self.exchanges[slot.exchange], request_id, self.outbound.bytes())?;
        self.outbound.end(None);
        Ok(())
    }

    /// Asks again what was lost, with its old request id, and gives up when nothing is heard any more.
    fn look_after_lost(&mut self, now: Instant) -> Result<(), LoadError> {
        if interrupt::requested() {
            return Err(LoadError::Interrupted);
        }
        if now.duration_since(self.heard_at) > SILENCE_MAX {
            return Err(LoadError::Silent);
        }
        for lane in 0..self.lanes.len() {
            for number in 0..self.lanes[lane].slots.len() {
                let slot = &mut self.lanes[lane].slots[number];
                if slot.open && now.duration_since(slot.sent_at) > REPEAT_AFTER {
                    slot.sent_at = now;
                    self.counts.repeats += 1;
                    self.say(lane, number)?;
                }
            }
            self.outbound.send(self.lanes[lane].socket);
        }
        Ok(())
    }
}

/// A measured request's id: above those of clients, then how often its slot was used, then the slot.
fn request_id(slot: usize, turn: u32) -> u32 {
    let slot = u32::try_from(slot).expect("a window has few slots");
    MEASURED_REQUEST_IDS + turn % (MEASURED_REQUEST_IDS / SLOTS_MAX) * SLOTS_MAX + slot
}
