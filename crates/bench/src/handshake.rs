//! A device's side of a handshake, as a peer makes it: from `Hello` to a session. Nothing is sent here, and nothing
//! awaited.

use bittrickle_wire::seal::{
    Accept, DatagramSession, Entropy, Hello, Initiating, NONCE_BYTES, PublicKey, Retry, SecretKey,
};
use bytes::{Bytes, BytesMut};

/// A handshake that is under way.
pub(crate) struct Handshake {
    device_index: u32,
    nonce: [u8; NONCE_BYTES],
    /// Once the server has given a cookie.
    initiating: Option<Initiating>,
}

/// A session, from the device's side.
#[derive(Clone, Debug)]
pub(crate) struct Sealed<C> {
    /// Seals and opens.
    pub(crate) session: DatagramSession<C>,
    /// The number under which the server addresses the device.
    pub(crate) device_index: u32,
}

impl Handshake {
    /// Begins one: what to send first.
    pub(crate) fn begin(entropy: &mut Entropy) -> (Self, Bytes) {
        let device_index = u32::from_be_bytes(entropy.draw());
        Self::begin_as(device_index, entropy)
    }

    /// Begins one under a number that the device chooses: what to send first.
    pub(crate) fn begin_as(device_index: u32, entropy: &mut Entropy) -> (Self, Bytes) {
        let nonce = entropy.draw();
        let mut hello = BytesMut::new();
        Hello { device_index, nonce }.write(&mut hello);
        (Self { device_index, nonce, initiating: None }, hello.freeze())
    }

    /// Takes the server's cookie: what to send next, if this handshake still waits for one.
    pub(crate) fn retried(
        &mut self,
        retry: &Retry,
        device: &SecretKey,
        server: &PublicKey,
        entropy: &mut Entropy,
    ) -> Option<Bytes> {
        let is_ours = retry.device_index == self.device_index && retry.nonce == self.nonce;
        if !is_ours || self.initiating.is_some() {
            return None;
        }
        let (initiating, initiate) = Initiating::new(device, server, retry, entropy.draw());
        self.initiating = Some(initiating);
        let mut bytes = BytesMut::new();
        initiate.write(&mut bytes);
        Some(bytes.freeze())
    }

    /// Whether the server has given a cookie.
    pub(crate) fn has_cookie(&self) -> bool {
        self.initiating.is_some()
    }

    /// Takes the server's answer: the session, unless the answer is another's.
    pub(crate) fn accepted<C>(&mut self, accept: &Accept) -> Option<Sealed<C>> {
        let (session, _) = self.initiating.as_mut()?.finish(accept).ok()?;
        Some(Sealed { session, device_index: self.device_index })
    }
}

/// Randomness that is always the same for the same number. Good enough where nothing is secret.
pub(crate) fn entropy(number: usize) -> Entropy {
    let mut seed = [0x17; 32];
    seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
    Entropy::new(seed)
}
