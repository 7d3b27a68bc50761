//! Handshakes and seals, written from the specification without the project's own: what the counterparts of peers stand
//! on. They seal whatever bytes they are given, which the project's own code can't be made to.

use std::fmt;

use bittrickle_wire::HexBytes;
use bittrickle_wire::seal::{PublicKey, SecretKey, Ticket};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use snow::{Builder, HandshakeState};

/// A handshake that is under way (BT-6.3).
pub struct Handshake(HandshakeState);

/// What a handshake leaves behind: the two keys of one side.
pub struct Keys {
    ours: LessSafeKey,
    theirs: LessSafeKey,
    ticket_key: TicketMaker,
}

/// Makes tickets as an index does, good ones and others (BT-6.7-1, BT-6.7-3).
#[derive(Clone, Copy)]
pub struct TicketMaker([u8; 32]);

const PROTOCOL: &str = "Noise_IK_25519_AESGCM_SHA256";

impl Handshake {
    /// Begins one with the owner of `remote`.
    #[must_use]
    pub fn begin(prologue: &[u8], local: &SecretKey, remote: &PublicKey) -> Self {
        let builder = builder(prologue, local).remote_public_key(remote.as_bytes());
        Self(builder.and_then(Builder::build_initiator).expect("all that IK needs is there"))
    }

    /// Waits for one.
    #[must_use]
    pub fn expect(prologue: &[u8], local: &SecretKey) -> Self {
        Self(builder(prologue, local).build_responder().expect("all that IK needs is there"))
    }

    /// Writes the next message.
    #[must_use]
    pub fn write(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut message = vec![0; payload.len() + 256];
        let bytes = self.0.write_message(payload, &mut message).expect("it is our turn");
        message.truncate(bytes);
        message
    }

    /// Reads the other side's message: its payload, unless it was made for or by another key.
    pub fn read(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let mut payload = vec![0; message.len()];
        let bytes = self.0.read_message(message, &mut payload).ok()?;
        payload.truncate(bytes);
        Some(payload)
    }

    /// The key that the other side has proved.
    #[must_use]
    pub fn remote(&self) -> PublicKey {
        let key = self.0.get_remote_static().and_then(|key| key.try_into().ok());
        PublicKey::from_bytes(key.expect("the first message has been read"))
    }

    /// The keys, once both messages have been exchanged.
    #[must_use]
    pub fn finish(mut self) -> Keys {
        let (first, second) = self.0.dangerously_get_raw_split();
        let ticket_key = TicketMaker::new(&first, &second);
        let (ours, theirs) = if self.0.is_initiator() { (first, second) } else { (second, first) };
        Keys { ours: cipher(&ours), theirs: cipher(&theirs), ticket_key }
    }
}

impl Keys {
    /// Seals this text: what stands behind `head`, which is authenticated with it (BT-6.5-2).
    #[must_use]
    pub fn seal(&self, counter: u64, head: &[u8], text: &[u8]) -> Vec<u8> {
        let mut sealed = text.to_vec();
        self.ours
            .seal_in_place_append_tag(nonce(counter), Aad::from(head), &mut sealed)
            .expect("a frame is far shorter than the cipher allows");
        sealed
    }

    /// Opens what the other side has sealed.
    #[must_use]
    pub fn open(&self, counter: u64, head: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut text = sealed.to_vec();
        let bytes = self.theirs.open_in_place(nonce(counter), Aad::from(head), &mut text).ok()?.len();
        text.truncate(bytes);
        Some(text)
    }

    /// Makes the tickets of this session's device.
    #[must_use]
    pub fn tickets(&self) -> TicketMaker {
        self.ticket_key
    }
}

impl TicketMaker {
    fn new(first: &[u8; 32], second: &[u8; 32]) -> Self {
        Self(blake3::derive_key("BitTrickle 1 ticket key", &[&first[..], second].concat()))
    }

    /// A ticket for this device and this name.
    #[must_use]
    pub fn make(&self, device: &PublicKey, name: &str, ends_ms: u64, number: u64) -> Ticket {
        let mut ticket = [0; 32];
        ticket[..8].copy_from_slice(&ends_ms.to_be_bytes());
        ticket[8..16].copy_from_slice(&number.to_be_bytes());
        let authenticated = [&ticket[..16], device.as_bytes(), name.as_bytes()].concat();
        let mac = blake3::keyed_hash(&self.0, &authenticated);
        ticket[16..].copy_from_slice(&mac.as_bytes()[..16]);
        Ticket(HexBytes(ticket))
    }
}

/// A new secret key.
#[must_use]
pub fn secret_key() -> SecretKey {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    SecretKey::from_bytes(bytes)
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handshake(secret)")
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(secret)")
    }
}

impl fmt::Debug for TicketMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketMaker(secret)")
    }
}

fn builder<'a>(prologue: &'a [u8], local: &'a SecretKey) -> Builder<'a> {
    let builder = Builder::new(PROTOCOL.parse().expect("snow knows the protocol"));
    let builder = builder.prologue(prologue).and_then(|builder| builder.local_private_key(local.expose()));
    builder.expect("each is given once")
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has the cipher's length"))
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}
