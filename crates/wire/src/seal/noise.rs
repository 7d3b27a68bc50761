//! The Noise handshake, and the only file that names `snow` (BT-6.3).
//!
//! Randomness comes in as an argument: a resolver hands `snow` the ephemeral secret that it is given, so that a handshake
//! can be repeated byte for byte.

use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver, FallbackResolver, RingResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};

use super::keys::{KEY_BYTES, PublicKey, SecretKey};
use super::session_keys::SessionKeys;

/// Bytes that the first message adds to its payload: an ephemeral key, the sealed static key, two tags.
pub(super) const FIRST_OVERHEAD_BYTES: usize = 32 + 48 + 16;

/// Bytes that the second message adds to its payload: an ephemeral key and a tag.
pub(super) const SECOND_OVERHEAD_BYTES: usize = 32 + 16;

/// The protocol's name, which is also shown to people.
pub const PROTOCOL: &str = "Noise_IK_25519_AESGCM_SHA256";

/// The message was not made with the keys that it should have been made with, or was changed on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the handshake was not made for this key, or was changed on its way")]
pub struct NoiseError;

/// Who begins: has sent the first message and waits for the second.
pub(super) struct Initiator(HandshakeState);

/// Who answers: has read the first message and not answered yet.
pub(super) struct Responder(HandshakeState);

impl Initiator {
    /// Writes the first message, with this payload, to the owner of `remote`.
    pub(super) fn new(
        prologue: &[u8],
        local: &SecretKey,
        remote: &PublicKey,
        ephemeral: [u8; KEY_BYTES],
        payload: &[u8],
    ) -> (Self, Vec<u8>) {
        let builder = builder(prologue, local, ephemeral).remote_public_key(remote.as_bytes());
        let mut state = builder.and_then(Builder::build_initiator).expect("all that IK needs is there");
        let mut message = vec![0; FIRST_OVERHEAD_BYTES + payload.len()];
        let bytes = state.write_message(payload, &mut message).expect("the message has room");
        debug_assert_eq!(bytes, message.len());
        (Self(state), message)
    }

    /// Reads the second message. One that fails may be forged: the true one can still be read.
    pub(super) fn finish(&mut self, message: &[u8]) -> Result<(SessionKeys, Vec<u8>), NoiseError> {
        let payload = read(&mut self.0, message)?;
        let (to_responder, to_initiator) = self.0.dangerously_get_raw_split();
        Ok((SessionKeys::new(to_responder, to_initiator), payload))
    }
}

impl Responder {
    /// Reads the first message: who sent it, and its payload.
    pub(super) fn new(
        prologue: &[u8],
        local: &SecretKey,
        ephemeral: [u8; KEY_BYTES],
        message: &[u8],
    ) -> Result<(Self, PublicKey, Vec<u8>), NoiseError> {
        let builder = builder(prologue, local, ephemeral);
        let mut state = builder.build_responder().expect("all that IK needs is there");
        let payload = read(&mut state, message)?;
        let remote = state.get_remote_static().and_then(|key| key.try_into().ok()).ok_or(NoiseError)?;
        Ok((Self(state), PublicKey::from_bytes(remote), payload))
    }

    /// Writes the second message, with this payload.
    pub(super) fn finish(mut self, payload: &[u8]) -> (SessionKeys, Vec<u8>) {
        let mut message = vec![0; SECOND_OVERHEAD_BYTES + payload.len()];
        let bytes = self.0.write_message(payload, &mut message).expect("the message has room");
        debug_assert_eq!(bytes, message.len());
        let (to_responder, to_initiator) = self.0.dangerously_get_raw_split();
        (SessionKeys::new(to_initiator, to_responder), message)
    }
}

/// The public half of an X25519 secret.
pub(super) fn public_key(secret: &[u8; KEY_BYTES]) -> [u8; KEY_BYTES] {
    let mut curve = DefaultResolver.resolve_dh(&DHChoice::Curve25519).expect("the feature is on");
    curve.set(secret);
    let mut public = [0; KEY_BYTES];
    public.copy_from_slice(curve.pubkey());
    public
}

fn builder<'a>(prologue: &'a [u8], local: &'a SecretKey, ephemeral: [u8; KEY_BYTES]) -> Builder<'a> {
    let primitives = FallbackResolver::new(Box::new(RingResolver), Box::new(DefaultResolver));
    let resolver = Box::new(GivenRandomness { ephemeral, primitives });
    let builder = Builder::with_resolver(PROTOCOL.parse().expect("snow knows the protocol"), resolver);
    let builder = builder.prologue(prologue).and_then(|builder| builder.local_private_key(local.expose()));
    builder.expect("each is given once")
}

fn read(state: &mut HandshakeState, message: &[u8]) -> Result<Vec<u8>, NoiseError> {
    let mut payload = vec![0; message.len()];
    let bytes = state.read_message(message, &mut payload).map_err(|_| NoiseError)?;
    payload.truncate(bytes);
    Ok(payload)
}

/// Fast primitives from `ring`, the curve from `snow`'s own, and randomness that is given.
struct GivenRandomness {
    ephemeral: [u8; KEY_BYTES],
    primitives: FallbackResolver,
}

/// The one secret that a handshake draws.
struct Once(Option<[u8; KEY_BYTES]>);

impl CryptoResolver for GivenRandomness {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.ephemeral))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        self.primitives.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        self.primitives.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        self.primitives.resolve_cipher(choice)
    }
}

impl Random for Once {
    /// A second draw would repeat the first, so it fails instead.
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), snow::Error> {
        let secret = self.0.take().filter(|secret| secret.len() == out.len()).ok_or(snow::Error::Rng)?;
        out.copy_from_slice(&secret);
        Ok(())
    }
}
