//! The sealed channel to the index: the handshake, made anew when it has to be, and the seal around every frame (BT-6.4,
//! BT-6.5).
//!
//! Pure: the time and what arrived go in, [`Output`]s come out, as in [`crate::session`], which speaks through it.
//!
//! ```text
//!  Greeting ── Retry with the pinned key ──▶ Initiating ── Accept ──▶ live
//!     ▲                                                                │
//!     └── reset, silence, an hour's age: the old session stays until ──┘
//!         the new one stands
//! ```
#![deny(clippy::disallowed_methods)]

mod attempt;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bittrickle_wire::messages::Versions;
use bittrickle_wire::seal::{
    Datagram, DatagramError, DatagramSession, Entropy, PublicKey, Reset, SEALED_FRAMES_MAX, Sealed,
    SecretKey, TicketKey,
};
use bittrickle_wire::{DatagramCodec, Frame, Message, Received};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::Decoder as _;

use crate::resend::Jitter;
use attempt::{Attempt, Step};

/// The channel.
#[derive(Debug)]
pub struct Channel {
    server_key: PublicKey,
    device: SecretKey,
    entropy: Entropy,
    jitter: Jitter,
    attempt: Option<Attempt>,
    live: Option<Live>,
    silence_max: Duration,
    /// When a reset was believed last.
    reset_at: Option<Instant>,
    outputs: VecDeque<Output>,
}

/// What to do next.
#[derive(Debug)]
pub enum Output {
    /// Send this to the index.
    Send(Bytes),
    /// The index says this.
    Receive(Received),
    /// A handshake is done. This is the key for tickets from now on.
    Established(TicketKey),
    /// There is no channel, and there will be none.
    Failed(ChannelError),
}

/// Why there is no channel.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChannelError {
    /// Nothing that can be believed has come back.
    #[error("the server does not answer")]
    NoAnswer,
    /// Whoever answers there has another key than the one that is pinned.
    #[error("the server's key has changed: it is pinned as {}, and presents {}", .pinned.fingerprint(), .presented.fingerprint())]
    KeyChanged {
        /// Whom we expect.
        pinned: PublicKey,
        /// Who answers.
        presented: PublicKey,
    },
    /// The server speaks other versions.
    #[error("the server speaks versions {} to {} only", .0.lowest, .0.highest)]
    OtherVersion(Versions),
}

/// A session whose handshake is done.
#[derive(Debug)]
struct Live {
    session: DatagramSession,
    device_index: u32,
    since: Instant,
    heard: Instant,
}

/// When a new handshake is due (BT-6.5-6).
const AGE_MAX: Duration = Duration::from_secs(3_600);

/// The same, in frames.
const FRAMES_MAX: u64 = SEALED_FRAMES_MAX / 2;

/// How long no other reset is believed: somebody who sees what we send could make us shake hands for ever.
const RESET_PAUSE: Duration = Duration::from_secs(1);

/// A reset names a frame among so many that were sealed last (BT-6.5-5).
const RESET_FRAMES: u64 = 256;

impl Channel {
    /// A channel to the owner of `server_key`, which begins now. `seed` is 32 bytes from the operating system.
    #[must_use]
    pub fn new(now: Instant, server_key: PublicKey, device: SecretKey, seed: [u8; 32]) -> Self {
        let mut entropy = Entropy::new(seed);
        let jitter = Jitter::new(u64::from_be_bytes(entropy.draw()));
        let mut channel = Self {
            server_key,
            device,
            entropy,
            jitter,
            attempt: None,
            live: None,
            silence_max: Duration::from_secs(7),
            reset_at: None,
            outputs: VecDeque::new(),
        };
        channel.begin(now);
        channel
    }

    /// Seals a frame and sends it. While there is no session it is lost: whoever sends it, sends it again.
    pub fn send(&mut self, frame: Frame) {
        let Some(live) = &mut self.live else { return };
        let mut datagram = BytesMut::new();
        // Used-up keys: a new handshake has been due for a long time.
        if live.session.seal(frame, &mut datagram).is_ok() {
            self.outputs.push_back(Output::Send(datagram.freeze()));
        }
    }

    /// Takes what arrived. What can't be believed is passed over.
    pub fn receive(&mut self, now: Instant, datagram: &mut BytesMut) {
        match Datagram::parse(datagram) {
            Ok(Datagram::Retry(retry)) => {
                let entropy = &mut self.entropy;
                let step =
                    self.attempt.as_mut().map(|a| a.retried(&retry, &self.server_key, &self.device, entropy));
                match step {
                    Some(Step::Send(bytes)) => self.outputs.push_back(Output::Send(bytes)),
                    Some(Step::OtherKey(presented)) => self.key_changed(presented),
                    Some(Step::Nothing) | None => {}
                }
            }
            Ok(Datagram::Accept(accept)) => {
                if let Some((session, device_index)) = self.attempt.as_mut().and_then(|a| a.accepted(&accept))
                {
                    self.attempt = None;
                    self.outputs.push_back(Output::Established(session.ticket_key(true)));
                    self.live = Some(Live { session, device_index, since: now, heard: now });
                }
            }
            Ok(Datagram::Sealed(sealed)) => self.open(now, sealed, datagram),
            Ok(Datagram::Reset(reset)) => self.take_reset(now, reset),
            Ok(Datagram::Hello(_) | Datagram::Initiate(_)) => {}
            Err(DatagramError::Version(_)) => self.take_versions(datagram),
            Err(DatagramError::NotOutside | DatagramError::Length(_) | DatagramError::Encoding(_)) => {}
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        if self.next_wake().is_none_or(|due| due > now) {
            return;
        }
        match self.attempt.as_mut().map(|attempt| attempt.again(now, &mut self.entropy, &mut self.jitter)) {
            Some(Some(bytes)) => self.outputs.push_back(Output::Send(bytes)),
            Some(None) if self.live.is_none() => self.fail(ChannelError::NoAnswer),
            // Its cookie is too old by now, or the server is away: from the start.
            Some(None) | None => self.begin(now),
        }
    }

    /// The moment at which [`Channel::tick`] has something to do, if nothing arrives before.
    #[must_use]
    pub fn next_wake(&self) -> Option<Instant> {
        self.attempt.as_ref().map(Attempt::due).or_else(|| self.handshake_due())
    }

    /// What to do next, oldest first.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// After how much silence the index may have forgotten us: it says so at login.
    pub fn set_silence_max(&mut self, silence_max: Duration) {
        self.silence_max = silence_max;
    }

    /// Nothing listens where the index should be. Before the first handshake that is final; later it may come back.
    pub fn refused_by_network(&mut self) {
        if self.live.is_none() && self.attempt.is_some() {
            self.fail(ChannelError::NoAnswer);
        }
    }

    fn begin(&mut self, now: Instant) {
        let (attempt, hello) = Attempt::new(now, &mut self.entropy, &mut self.jitter);
        self.attempt = Some(attempt);
        self.outputs.push_back(Output::Send(hello));
    }

    fn fail(&mut self, error: ChannelError) {
        self.attempt = None;
        self.outputs.push_back(Output::Failed(error));
    }

    fn handshake_due(&self) -> Option<Instant> {
        let live = self.live.as_ref()?;
        if live.session.sent() >= FRAMES_MAX {
            return Some(live.since);
        }
        Some((live.heard + self.silence_max).min(live.since + AGE_MAX))
    }

    /// Who can put a datagram on the network can present any key, so that this ends no session that stands.
    fn key_changed(&mut self, presented: PublicKey) {
        if self.live.is_none() {
            self.fail(ChannelError::KeyChanged { pinned: self.server_key, presented });
        }
    }

    fn open(&mut self, now: Instant, sealed: Sealed, datagram: &mut BytesMut) {
        let Some(live) = self.live.as_mut().filter(|live| live.device_index == sealed.index) else { return };
        if let Ok(opened) = live.session.open(sealed, datagram) {
            live.heard = now;
            if let Ok(Some(received)) = opened.frame {
                self.outputs.push_back(Output::Receive(received));
            }
        }
    }

    /// Who hasn't seen what we sent lately can't make us believe this; who has, gains one handshake (BT-6.5-5).
    fn take_reset(&mut self, now: Instant, reset: Reset) {
        let Some(live) = &self.live else { return };
        let sent = live.session.sent();
        let is_recent = reset.counter < sent && sent - reset.counter <= RESET_FRAMES;
        let is_early = self.reset_at.is_some_and(|at| now < at + RESET_PAUSE);
        if reset.index == live.session.remote_index() && is_recent && !is_early && self.attempt.is_none() {
            self.reset_at = Some(now);
            self.begin(now);
        }
    }

    fn take_versions(&mut self, datagram: &mut BytesMut) {
        let Some(attempt) = &self.attempt else { return };
        if let Ok(Some(Received::Frame(frame))) = DatagramCodec.decode(datagram)
            && let Message::Versions(versions) = frame.message
            && frame.request_id == attempt.device_index()
            && self.live.is_none()
        {
            self.fail(ChannelError::OtherVersion(versions));
        }
    }
}
