//! The handshake over datagrams, as far as it is computing: whom to believe, and which keys follow (BT-6.3, BT-6.4).
//!
//! ```text
//! device                                  server
//!   │ ── Hello (nonce, padded) ──────────▶ │  keeps nothing, computes no curve
//!   │ ◀── Retry (cookie, server's key) ─── │
//!   │ ── Initiate (cookie, Noise 1) ─────▶ │  the address receives: now a curve is computed
//!   │ ◀── Accept (Noise 2) ─────────────── │
//!   │ ── Sealed … ───────────────────────▶ │  only now an older session of the device gives way
//! ```

use super::cookie::Cookie;
use super::datagrams::{Accept, INITIATE_PADDING_BYTES, Initiate, NONCE_BYTES, Retry};
use super::keys::{KEY_BYTES, PublicKey, SecretKey};
use super::noise::{Initiator, NoiseError, Responder};
use super::session::DatagramSession;
use super::session_keys::SessionKeys;

/// A device that has sent `Initiate`.
pub struct Initiating {
    device_index: u32,
    noise: Initiator,
}

/// A server that has read `Initiate` and knows whose device it is.
pub struct Accepting {
    device_index: u32,
    noise: Responder,
    /// The device's key, proved.
    pub device: PublicKey,
}

impl Initiating {
    /// Answers `Retry`. `ephemeral` is drawn for this handshake alone.
    #[must_use]
    pub fn new(
        device: &SecretKey,
        server: &PublicKey,
        retry: &Retry,
        ephemeral: [u8; KEY_BYTES],
    ) -> (Self, Initiate) {
        let Retry { device_index, nonce, cookie, .. } = *retry;
        let prologue = Initiate::prologue(device_index, &nonce, &cookie);
        let padding = [0; INITIATE_PADDING_BYTES];
        let (noise, message) = Initiator::new(&prologue, device, server, ephemeral, &padding);
        let noise_bytes = message.try_into().expect("the message has the length of its parts");
        (Self { device_index, noise }, Initiate { device_index, nonce, cookie, noise: noise_bytes })
    }

    /// Reads `Accept`. One that fails may be forged: the true one can still be read.
    ///
    /// # Errors
    /// The server doesn't have the key that it should have, or this isn't its answer.
    pub fn finish<C>(&mut self, accept: &Accept) -> Result<(DatagramSession<C>, SessionKeys), NoiseError> {
        // Noise doesn't protect the index, and takes its second message once: so the index is looked at first.
        if accept.device_index != self.device_index {
            return Err(NoiseError);
        }
        let (keys, payload) = self.noise.finish(&accept.noise)?;
        let index = payload.try_into().map(u32::from_be_bytes).map_err(|_| NoiseError)?;
        Ok((DatagramSession::new(keys.clone(), index), keys))
    }
}

impl Accepting {
    /// Reads `Initiate`, whose cookie is good.
    ///
    /// # Errors
    /// It was made for another server's key, or changed on its way.
    pub fn new(
        server: &SecretKey,
        initiate: &Initiate,
        ephemeral: [u8; KEY_BYTES],
    ) -> Result<Self, NoiseError> {
        let (nonce, cookie): (&[u8; NONCE_BYTES], &Cookie) = (&initiate.nonce, &initiate.cookie);
        let prologue = Initiate::prologue(initiate.device_index, nonce, cookie);
        let (noise, device, _padding) = Responder::new(&prologue, server, ephemeral, &initiate.noise)?;
        Ok(Self { device_index: initiate.device_index, noise, device })
    }

    /// Answers with `Accept`. `index` is the server's number for the session.
    #[must_use]
    pub fn finish<C>(self, index: u32) -> (DatagramSession<C>, Accept) {
        let (keys, message) = self.noise.finish(&index.to_be_bytes());
        let noise = message.try_into().expect("the message has the length of its parts");
        let accept = Accept { device_index: self.device_index, noise };
        (DatagramSession::new(keys, self.device_index), accept)
    }
}
