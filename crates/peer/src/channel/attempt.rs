//! One attempt at a handshake: what was sent last, and when to send it again.

use std::time::Instant;

use bittrickle_wire::seal::{
    Accept, DatagramSession, Entropy, Hello, Initiating, NONCE_BYTES, PublicKey, Retry, SecretKey,
};
use bytes::{Bytes, BytesMut};

use crate::resend::{Jitter, Resend};

/// An attempt that is under way.
pub(super) struct Attempt {
    device_index: u32,
    nonce: [u8; NONCE_BYTES],
    /// Once the server has given a cookie.
    initiating: Option<Initiating>,
    initiates_sent: u32,
    last_sent: Bytes,
    resend: Resend,
}

/// What follows from a server's cookie.
pub(super) enum Step {
    /// Send this.
    Send(Bytes),
    /// The server claims to be somebody else.
    OtherKey(PublicKey),
    /// It answers another question, or one that has been answered.
    Nothing,
}

/// How often `Initiate` is sent before its cookie is taken for one that the server doesn't know any more.
const INITIATES_MAX: u32 = 3;

impl Attempt {
    /// Says hello.
    pub(super) fn new(now: Instant, entropy: &mut Entropy, jitter: &mut Jitter) -> (Self, Bytes) {
        let mut attempt = Self {
            device_index: 0,
            nonce: [0; NONCE_BYTES],
            initiating: None,
            initiates_sent: 0,
            last_sent: Bytes::new(),
            resend: Resend::new(now, jitter),
        };
        let hello = attempt.say_hello(entropy);
        (attempt, hello)
    }

    fn say_hello(&mut self, entropy: &mut Entropy) -> Bytes {
        (self.device_index, self.nonce) = (u32::from_be_bytes(entropy.draw()), entropy.draw());
        (self.initiating, self.initiates_sent) = (None, 0);
        let mut hello = BytesMut::new();
        Hello { device_index: self.device_index, nonce: self.nonce }.write(&mut hello);
        self.last_sent = hello.freeze();
        self.last_sent.clone()
    }

    pub(super) fn device_index(&self) -> u32 {
        self.device_index
    }

    pub(super) fn due(&self) -> Instant {
        self.resend.due
    }

    /// What to send now, unless enough has been sent: the same again, or another hello (BT-6.4-6).
    pub(super) fn again(
        &mut self,
        now: Instant,
        entropy: &mut Entropy,
        jitter: &mut Jitter,
    ) -> Option<Bytes> {
        if !self.resend.again(now, jitter) {
            return None;
        }
        if self.initiates_sent == INITIATES_MAX {
            return Some(self.say_hello(entropy));
        }
        self.initiates_sent += u32::from(self.initiating.is_some());
        Some(self.last_sent.clone())
    }

    pub(super) fn retried(
        &mut self,
        retry: &Retry,
        server_key: &PublicKey,
        device: &SecretKey,
        entropy: &mut Entropy,
    ) -> Step {
        let is_ours = retry.device_index == self.device_index && retry.nonce == self.nonce;
        if !is_ours || self.initiating.is_some() {
            return Step::Nothing;
        }
        if retry.server_key != *server_key {
            return Step::OtherKey(retry.server_key);
        }
        let (initiating, initiate) = Initiating::new(device, server_key, retry, entropy.draw());
        let mut bytes = BytesMut::new();
        initiate.write(&mut bytes);
        self.initiating = Some(initiating);
        self.initiates_sent = 1;
        self.last_sent = bytes.freeze();
        Step::Send(self.last_sent.clone())
    }

    /// The session, with the number under which the server addresses us.
    pub(super) fn accepted(&mut self, accept: &Accept) -> Option<(DatagramSession, u32)> {
        let (session, _) = self.initiating.as_mut()?.finish(accept).ok()?;
        Some((session, self.device_index))
    }
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").field("device_index", &self.device_index).finish_non_exhaustive()
    }
}
