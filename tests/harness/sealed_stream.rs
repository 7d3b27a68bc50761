//! A sealed connection between peers, from either side, that sends whatever bytes a test wants under the seal.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use bittrickle_wire::messages::{Fetch, Part};
use bittrickle_wire::seal::{PublicKey, SecretKey, Ticket};
use bittrickle_wire::{Encoding, Frame, FrameCodec, HexBytes, Message, Received};
use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, Encoder as _};

use crate::noise::{Handshake, Keys};

/// A connection whose handshake is done.
#[derive(Debug)]
pub struct SealedStream {
    stream: TcpStream,
    keys: Keys,
    sent: u64,
    received: u64,
}

/// What a connection begins with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opening {
    /// Who it is.
    pub device: PublicKey,
    /// The permission that it shows.
    pub ticket: Ticket,
    /// What it wants.
    pub target: String,
}

/// Bytes of `Initiate` on a stream.
pub const INITIATE_BYTES: usize = 402;

/// Bytes of `Accept` on a stream.
pub const ACCEPT_BYTES: usize = 60;

const INITIATE_HEAD: [u8; 12] = [0xb7, 1, 0x02, 2, 0, 0, 0, 0, 0, 0, 1, 0x86];
const ACCEPT_HEAD: [u8; 12] = [0xb7, 1, 0x82, 2, 0, 0, 0, 0, 0, 0, 0, 48];
const TAG_BYTES: usize = 16;

/// What begins a connection to the owner of `provider` (BT-6.6-1).
#[must_use]
pub fn initiate(
    device: &SecretKey,
    provider: &PublicKey,
    ticket: &Ticket,
    target: &str,
) -> (Handshake, Vec<u8>) {
    let mut request = ticket.0.0.to_vec();
    let length = u16::try_from(target.len()).expect("a target has at most 260 bytes");
    request.extend_from_slice(&length.to_be_bytes());
    request.extend_from_slice(target.as_bytes());
    request.resize(294, 0);
    let mut handshake = Handshake::begin(&prologue(), device, provider);
    let message = handshake.write(&request);
    (handshake, [&INITIATE_HEAD[..], &message].concat())
}

impl SealedStream {
    /// Begins: the connection, or nothing when the other side closes it without a byte.
    ///
    /// # Panics
    /// What comes back is no `Accept` of this provider.
    #[must_use]
    pub fn begin(
        mut stream: TcpStream,
        device: &SecretKey,
        provider: &PublicKey,
        ticket: &Ticket,
        target: &str,
    ) -> Option<Self> {
        let (mut handshake, initiate) = initiate(device, provider, ticket, target);
        // Where the other side has closed already, this may fail: the end of the stream says so.
        let _ = stream.write_all(&initiate);
        let accept = match read_all(&mut stream, ACCEPT_BYTES) {
            Ok(accept) => accept,
            Err(bytes) => {
                assert_eq!(bytes, 0, "BT-6.6-2");
                return None;
            }
        };
        assert_eq!(accept[..12], ACCEPT_HEAD, "BT-6.6-1");
        assert_eq!(handshake.read(&accept[12..]), Some(Vec::new()), "BT-6.3-4");
        Some(Self { stream, keys: handshake.finish(), sent: 0, received: 0 })
    }

    /// Lets in whoever comes, if it came for the owner of this key.
    ///
    /// # Panics
    /// What it begins with is no `Initiate` for this key.
    #[must_use]
    pub fn accept(mut stream: TcpStream, device: &SecretKey) -> (Self, Opening) {
        let initiate = read_all(&mut stream, INITIATE_BYTES).expect("a handshake");
        assert_eq!(initiate[..12], INITIATE_HEAD, "BT-6.6-1");
        let mut handshake = Handshake::expect(&prologue(), device);
        let request = handshake.read(&initiate[12..]).expect("it was made for this key");
        let length = usize::from(u16::from_be_bytes([request[32], request[33]]));
        let target = &request[34..34 + length];
        let opening = Opening {
            device: handshake.remote(),
            ticket: Ticket(HexBytes(request[..32].try_into().expect("32 bytes"))),
            target: String::from_utf8(target.to_vec()).expect("a target is UTF-8"),
        };
        assert!(request[34 + length..].iter().all(|byte| *byte == 0), "BT-6.3-4");
        let message = handshake.write(&[]);
        // The other side may have gone.
        let _ = stream.write_all(&[&ACCEPT_HEAD[..], &message].concat());
        (Self { stream, keys: handshake.finish(), sent: 0, received: 0 }, opening)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// The other side has closed.
    pub fn send(&mut self, frame: Frame) -> io::Result<()> {
        let sealed = self.seal_frame(frame);
        self.stream.write_all(&sealed)
    }

    /// Seals a frame as the next that is sent.
    ///
    /// # Panics
    /// It is no frame that may be sent.
    #[must_use]
    pub fn seal_frame(&mut self, frame: Frame) -> Vec<u8> {
        let mut text = BytesMut::new();
        FrameCodec::for_content()
            .encode(frame, &mut text)
            .expect("frames are built so that they can be sent");
        self.seal(&text)
    }

    /// Sends a request for these pieces.
    ///
    /// # Errors
    /// The other side has closed.
    pub fn fetch(&mut self, request_id: u32, encoding: Encoding, first: u32, count: u32) -> io::Result<()> {
        let message = Message::Fetch(Fetch { part: Part::PIECES, first, count });
        self.send(Frame { request_id, encoding, message })
    }

    /// Seals these bytes, whatever they are, and sends them.
    ///
    /// # Errors
    /// The other side has closed.
    pub fn send_text(&mut self, text: &[u8]) -> io::Result<()> {
        let sealed = self.seal(text);
        self.stream.write_all(&sealed)
    }

    /// Seals these bytes as the next that are sent.
    #[must_use]
    pub fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        let mut head = [0xb7, 1, 0x03, 2, 0, 0, 0, 0, 0, 0, 0, 0];
        let bytes = u32::try_from(text.len() + TAG_BYTES).expect("a frame is far shorter");
        head[8..].copy_from_slice(&bytes.to_be_bytes());
        let sealed = self.keys.seal(self.sent, &head, text);
        self.sent += 1;
        [&head[..], &sealed].concat()
    }

    /// The connection itself, for what isn't sealed.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// The next frame, or nothing at the end of the stream.
    ///
    /// # Panics
    /// What comes isn't sealed, or holds no acceptable frame.
    #[must_use]
    pub fn receive(&mut self) -> Option<Frame> {
        let head = read_all(&mut self.stream, 12).ok()?;
        assert_eq!(head[..8], [0xb7, 1, 0x03, 2, 0, 0, 0, 0], "BT-6.6-1");
        let bytes = u32::from_be_bytes(head[8..].try_into().expect("four bytes"));
        assert!(bytes <= 65_280 + 12 + 16, "BT-5.3-1: {bytes}");
        let sealed = read_all(&mut self.stream, bytes as usize).ok()?;
        let text = self.keys.open(self.received, &head, &sealed).expect("BT-6.5-2");
        self.received += 1;
        let mut text = BytesMut::from(&text[..]);
        let received = FrameCodec::for_content().decode(&mut text).expect("a frame").expect("a whole frame");
        assert!(text.is_empty(), "BT-6.6-3");
        match received {
            Received::Frame(frame) => Some(frame),
            Received::Bad(bad) => panic!("{bad:?}"),
        }
    }
}

/// So many bytes, or how many there were when the stream ended.
fn read_all(stream: &mut TcpStream, bytes: usize) -> Result<Vec<u8>, usize> {
    let mut read = vec![0; bytes];
    let mut count = 0;
    while count < bytes {
        match stream.read(&mut read[count..]) {
            Ok(more) if more > 0 => count += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("nothing comes, nor an end"),
            // Whether it is ended or broken off is the same to us.
            Ok(_) | Err(_) => return Err(count),
        }
    }
    Ok(read)
}

fn prologue() -> Vec<u8> {
    [b"BitTrickle stream", &INITIATE_HEAD[..]].concat()
}
