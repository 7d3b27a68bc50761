//! The datagrams that exist outside a seal: one struct for each, its bytes and back (BT-6.4, BT-6.5).
//!
//! | kind | from | says | bytes |
//! |---|---|---|---|
//! | `Hello` | device | I would like a cookie | at least 256 |
//! | `Retry` | server | here it is, and this is my key | 84 |
//! | `Initiate` | device | the cookie, and Noise's first message | 256 |
//! | `Accept` | server | Noise's second message | 64 |
//! | `Sealed` | both | a frame, sealed | 36 more than its frame |
//! | `Reset` | server | I have no such session | 20 |

use bytes::{BufMut as _, BytesMut};

use super::cookie::{COOKIE_BYTES, Cookie};
use super::keys::{KEY_BYTES, PublicKey};
use super::noise::{FIRST_OVERHEAD_BYTES, SECOND_OVERHEAD_BYTES};
use crate::encoding::Encoding;
use crate::header::{Header, MAGIC, VERSION};
use crate::kind::Kind;
use crate::limits::{DATAGRAM_BYTES_MAX, HEADER_BYTES, STRANGER_DATAGRAM_BYTES_MIN};

/// Bytes of the number that a device draws for each hello.
pub const NONCE_BYTES: usize = 16;

/// Where the first byte of the text of a `Sealed` stands; what is before it is authenticated with it.
pub const SEALED_HEAD_BYTES: usize = HEADER_BYTES + 8;

/// Bytes of padding inside `Initiate`'s Noise message.
pub(super) const INITIATE_PADDING_BYTES: usize =
    STRANGER_DATAGRAM_BYTES_MIN - HEADER_BYTES - NONCE_BYTES - COOKIE_BYTES - FIRST_OVERHEAD_BYTES;

const INITIATE_NOISE_BYTES: usize = FIRST_OVERHEAD_BYTES + INITIATE_PADDING_BYTES;
const ACCEPT_NOISE_BYTES: usize = SECOND_OVERHEAD_BYTES + 4;
const RETRY_BYTES: usize = HEADER_BYTES + NONCE_BYTES + COOKIE_BYTES + KEY_BYTES;

// Before an address has proved itself, no answer is larger than its question (BT-6.4-1).
const _: () = assert!(RETRY_BYTES <= STRANGER_DATAGRAM_BYTES_MIN);
const _: () = assert!(HEADER_BYTES + ACCEPT_NOISE_BYTES <= STRANGER_DATAGRAM_BYTES_MIN);
const _: () = assert!(
    HEADER_BYTES + 8 < SEALED_HEAD_BYTES + super::cipher::TAG_BYTES,
    "Reset is smaller than its cause"
);

/// A datagram outside a seal. What is in it has not been checked, but for its length.
#[derive(Debug, Eq, PartialEq)]
pub enum Datagram {
    /// A device begins.
    Hello(Hello),
    /// A server answers `Hello`.
    Retry(Retry),
    /// A device shows its cookie.
    Initiate(Initiate),
    /// A server answers `Initiate`.
    Accept(Accept),
    /// A frame under a seal.
    Sealed(Sealed),
    /// A server doesn't know the session of a `Sealed`.
    Reset(Reset),
}

/// Asks for a cookie. The rest of its bytes are zeros.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hello {
    /// The number under which the device waits for answers, drawn anew for each handshake.
    pub device_index: u32,
    /// Drawn anew for each handshake.
    pub nonce: [u8; NONCE_BYTES],
}

/// A cookie for whoever said hello.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retry {
    /// As in `Hello`.
    pub device_index: u32,
    /// As in `Hello`.
    pub nonce: [u8; NONCE_BYTES],
    /// To be shown in `Initiate`.
    pub cookie: Cookie,
    /// Whom this server claims to be. Only the handshake proves it.
    pub server_key: PublicKey,
}

/// The first half of the handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Initiate {
    /// As in `Hello`.
    pub device_index: u32,
    /// As in `Hello`.
    pub nonce: [u8; NONCE_BYTES],
    /// As in `Retry`.
    pub cookie: Cookie,
    /// Noise's first message.
    pub noise: [u8; INITIATE_NOISE_BYTES],
}

/// The second half of the handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Accept {
    /// As in `Initiate`.
    pub device_index: u32,
    /// Noise's second message, which holds the server's index of the session.
    pub noise: [u8; ACCEPT_NOISE_BYTES],
}

/// What can be told of a sealed frame before it is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sealed {
    /// The receiver's number for the session.
    pub index: u32,
    /// Counts what the sender has sealed in this session.
    pub counter: u64,
}

/// Tells a device that the server has no such session, or not from its address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reset {
    /// As in the `Sealed` that it answers.
    pub index: u32,
    /// As in the `Sealed` that it answers: who can't see what the device sends can't make it believe a reset.
    pub counter: u64,
}

/// Why bytes are none of these datagrams.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DatagramError {
    /// Not a frame, or one of a kind that exists inside a seal only.
    #[error("it is nothing that may come outside a seal")]
    NotOutside,
    /// A frame in another version.
    #[error("version {0} is not spoken here, version {VERSION} is")]
    Version(u8),
    /// Not as long as its kind, or as its header, says.
    #[error("it has {0} bytes, which its kind does not have")]
    Length(usize),
    /// Not in raw bytes.
    #[error("encoding {0} is not that of a datagram outside a seal")]
    Encoding(u8),
}

impl Datagram {
    /// Reads a datagram.
    ///
    /// # Errors
    /// It is none.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all other kinds exist inside a seal, new ones too")]
    pub fn parse(bytes: &[u8]) -> Result<Self, DatagramError> {
        let header = bytes.first_chunk().and_then(Header::parse).ok_or(DatagramError::NotOutside)?;
        if header.version != VERSION {
            return Err(DatagramError::Version(header.version));
        }
        let reader = Reader { header, rest: &bytes[HEADER_BYTES..] };
        match header.kind {
            Kind::Hello => reader.hello().map(Self::Hello),
            Kind::Retry => reader.retry().map(Self::Retry),
            Kind::Initiate => reader.initiate().map(Self::Initiate),
            Kind::Accept => reader.accept().map(Self::Accept),
            Kind::Sealed => reader.sealed().map(Self::Sealed),
            Kind::Reset => reader.reset().map(Self::Reset),
            _ => Err(DatagramError::NotOutside),
        }
    }
}

/// A header, and the bytes behind it that haven't been read yet.
struct Reader<'a> {
    header: Header,
    rest: &'a [u8],
}

impl Reader<'_> {
    fn hello(mut self) -> Result<Hello, DatagramError> {
        if HEADER_BYTES + self.rest.len() < STRANGER_DATAGRAM_BYTES_MIN {
            return Err(self.wrong_length());
        }
        self.check(self.rest.len())?;
        Ok(Hello { device_index: self.header.request_id, nonce: self.take() })
    }

    fn retry(mut self) -> Result<Retry, DatagramError> {
        self.check(RETRY_BYTES - HEADER_BYTES)?;
        let (device_index, nonce, cookie) = (self.header.request_id, self.take(), Cookie(self.take()));
        Ok(Retry { device_index, nonce, cookie, server_key: PublicKey::from_bytes(self.take()) })
    }

    fn initiate(mut self) -> Result<Initiate, DatagramError> {
        self.check(STRANGER_DATAGRAM_BYTES_MIN - HEADER_BYTES)?;
        let (device_index, nonce, cookie) = (self.header.request_id, self.take(), Cookie(self.take()));
        Ok(Initiate { device_index, nonce, cookie, noise: self.take() })
    }

    fn accept(mut self) -> Result<Accept, DatagramError> {
        self.check(ACCEPT_NOISE_BYTES)?;
        Ok(Accept { device_index: self.header.request_id, noise: self.take() })
    }

    fn sealed(mut self) -> Result<Sealed, DatagramError> {
        let smallest = 8 + HEADER_BYTES + super::cipher::TAG_BYTES;
        if !(smallest..=DATAGRAM_BYTES_MAX - HEADER_BYTES).contains(&self.rest.len()) {
            return Err(self.wrong_length());
        }
        self.check(self.rest.len())?;
        Ok(Sealed { index: self.header.request_id, counter: u64::from_be_bytes(self.take()) })
    }

    fn reset(mut self) -> Result<Reset, DatagramError> {
        self.check(8)?;
        Ok(Reset { index: self.header.request_id, counter: u64::from_be_bytes(self.take()) })
    }

    /// Holds what the header says, and what is there, against what this kind has.
    fn check(&self, payload_bytes: usize) -> Result<(), DatagramError> {
        if self.header.encoding != Encoding::Raw.code() {
            return Err(DatagramError::Encoding(self.header.encoding));
        }
        let declared = self.header.payload_bytes as usize;
        let is_right = declared == payload_bytes && self.rest.len() == payload_bytes;
        if is_right && payload_bytes <= DATAGRAM_BYTES_MAX - HEADER_BYTES {
            Ok(())
        } else {
            Err(self.wrong_length())
        }
    }

    fn wrong_length(&self) -> DatagramError {
        DatagramError::Length(HEADER_BYTES + self.rest.len())
    }

    fn take<const BYTES: usize>(&mut self) -> [u8; BYTES] {
        let (taken, rest) = self.rest.split_first_chunk().expect("the length has been checked");
        self.rest = rest;
        *taken
    }
}

impl Hello {
    /// Appends its bytes.
    pub fn write(&self, out: &mut BytesMut) {
        let padding = [0; STRANGER_DATAGRAM_BYTES_MIN - HEADER_BYTES - NONCE_BYTES];
        write(out, Kind::Hello, self.device_index, &[&self.nonce, &padding]);
    }
}

impl Retry {
    /// Appends its bytes.
    pub fn write(&self, out: &mut BytesMut) {
        let parts = [&self.nonce[..], &self.cookie.0, self.server_key.as_bytes()];
        write(out, Kind::Retry, self.device_index, &parts);
    }
}

impl Initiate {
    /// Appends its bytes.
    pub fn write(&self, out: &mut BytesMut) {
        write(out, Kind::Initiate, self.device_index, &[&self.nonce, &self.cookie.0, &self.noise]);
    }

    /// All that stands before the Noise message, which authenticates it.
    pub(super) fn prologue(device_index: u32, nonce: &[u8; NONCE_BYTES], cookie: &Cookie) -> Vec<u8> {
        let mut prologue = BytesMut::from(&b"BitTrickle datagrams"[..]);
        let noise = [0; INITIATE_NOISE_BYTES];
        Self { device_index, nonce: *nonce, cookie: *cookie, noise }.write(&mut prologue);
        prologue.truncate(prologue.len() - INITIATE_NOISE_BYTES);
        prologue.into()
    }
}

impl Accept {
    /// Appends its bytes.
    pub fn write(&self, out: &mut BytesMut) {
        write(out, Kind::Accept, self.device_index, &[&self.noise]);
    }
}

impl Reset {
    /// Appends its bytes.
    pub fn write(&self, out: &mut BytesMut) {
        write(out, Kind::Reset, self.index, &[&self.counter.to_be_bytes()]);
    }
}

impl Sealed {
    /// What stands before the sealed text, which authenticates it.
    pub(super) fn head(&self, text_bytes: usize) -> [u8; SEALED_HEAD_BYTES] {
        let payload_bytes = 8 + text_bytes + super::cipher::TAG_BYTES;
        let payload_bytes = u32::try_from(payload_bytes).expect("a frame is far shorter");
        let header = Header::new(Kind::Sealed, Encoding::Raw, self.index, payload_bytes);
        let mut head = [MAGIC; SEALED_HEAD_BYTES];
        head[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        head[HEADER_BYTES..].copy_from_slice(&self.counter.to_be_bytes());
        head
    }
}

fn write(out: &mut BytesMut, kind: Kind, request_id: u32, parts: &[&[u8]]) {
    let payload_bytes: usize = parts.iter().map(|part| part.len()).sum();
    let payload_bytes = u32::try_from(payload_bytes).expect("a datagram is far shorter");
    out.put_slice(&Header::new(kind, Encoding::Raw, request_id, payload_bytes).to_bytes());
    parts.iter().for_each(|part| out.put_slice(part));
}
