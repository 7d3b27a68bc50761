//! Sealing (BT-6): who is who, the handshakes, and what is sealed with their keys, without sockets: what an attacker can do
//! to bytes is done here to every one of them.

mod by_hand;
mod cookies;
mod damage;
mod handshake;
mod memory;
mod records;
mod replay;
mod secrets;
mod stream_handshake;
mod texts;
mod tickets;
mod vectors;

use std::net::SocketAddr;
use std::time::Duration;

use bittrickle_wire::messages::{Described, Fetch, Heartbeat, LoggedIn, Login, Part, Reply, Request};
use bittrickle_wire::seal::{
    Accept, Accepting, CookieKeys, Datagram, DatagramSession, Hello, Initiate, Initiating, KEY_BYTES,
    NONCE_BYTES, OpenError, Opened, PublicKey, Retry, SealedCodec, SecretKey, SessionKeys, StreamAccepting,
    StreamInitiating, Ticket,
};
use bittrickle_wire::{
    Encoding, FileBytes, FileName, Frame, FramingError, Hex64, HexBytes, Message, Received, Target,
    TransferPort,
};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder as _, Encoder as _};

/// All that a handshake over datagrams has made.
struct Handshake {
    hello: Hello,
    retry: Retry,
    initiate: Initiate,
    accept: Accept,
    device: DatagramSession,
    device_keys: SessionKeys,
    server: DatagramSession,
}

/// Bytes that count up from `first`: keys, ephemeral secrets, nonces.
fn bytes_from<const BYTES: usize>(first: u8) -> [u8; BYTES] {
    std::array::from_fn(|place| first.wrapping_add(u8::try_from(place).unwrap()))
}

/// The secret key of 32 bytes that count up from `first`.
fn secret(first: u8) -> SecretKey {
    SecretKey::from_bytes(bytes_from(first))
}

fn device_secret() -> SecretKey {
    secret(0x00)
}

fn server_secret() -> SecretKey {
    secret(0x20)
}

/// The peer that fetches from the device of the handshake over datagrams.
fn fetcher_secret() -> SecretKey {
    secret(0xc0)
}

const NOW: Duration = Duration::from_millis(130_000);
const DEVICE_INDEX: u32 = 0x0001_0203;
const SERVER_INDEX: u32 = 0x0405_0607;

fn from() -> SocketAddr {
    "192.0.2.7:50000".parse().unwrap()
}

fn cookie_keys() -> CookieKeys {
    CookieKeys::new(bytes_from(0xa0))
}

/// The handshake of the vectors.
fn handshake() -> Handshake {
    handshake_of(0x40, 0x60)
}

/// A handshake with these ephemeral secrets, and all else as in the vectors.
fn handshake_of(device_ephemeral: u8, server_ephemeral: u8) -> Handshake {
    let nonce: [u8; NONCE_BYTES] = bytes_from(0x80);
    let hello = Hello { device_index: DEVICE_INDEX, nonce };
    let cookie = cookie_keys().make(NOW, from(), &nonce);
    let retry = Retry { device_index: DEVICE_INDEX, nonce, cookie, server_key: server_secret().public() };
    let (mut initiating, initiate) = initiating(&retry, device_ephemeral);
    let accepting =
        Accepting::new(&server_secret(), &initiate, bytes_from::<KEY_BYTES>(server_ephemeral)).unwrap();
    assert_eq!(accepting.device, device_secret().public());
    let (server, accept) = accepting.finish(SERVER_INDEX);
    let (device, device_keys) = initiating.finish(&accept).unwrap();
    Handshake { hello, retry, initiate, accept, device, device_keys, server }
}

fn initiating(retry: &Retry, ephemeral: u8) -> (Initiating, Initiate) {
    Initiating::new(&device_secret(), &server_secret().public(), retry, bytes_from(ephemeral))
}

/// The six kinds that stand outside a seal, as bytes.
fn every_datagram() -> Vec<(&'static str, BytesMut)> {
    let mut made = handshake();
    let mut written: [BytesMut; 5] = Default::default();
    made.hello.write(&mut written[0]);
    made.retry.write(&mut written[1]);
    made.initiate.write(&mut written[2]);
    made.accept.write(&mut written[3]);
    bittrickle_wire::seal::Reset { index: SERVER_INDEX, counter: 7 }.write(&mut written[4]);
    let names = ["Hello", "Retry", "Initiate", "Accept", "Reset"];
    let mut datagrams: Vec<_> = names.into_iter().zip(written).collect();
    datagrams.push(("Sealed", sealed(&mut made.device, login(1))));
    datagrams
}

/// The datagram in which a session seals a frame.
fn sealed(session: &mut DatagramSession, frame: Frame) -> BytesMut {
    let mut out = BytesMut::new();
    session.seal(frame, &mut out).unwrap();
    out
}

/// Opens a datagram as its receiver does.
fn open(session: &mut DatagramSession, datagram: &[u8]) -> Result<Opened, OpenError> {
    let Ok(Datagram::Sealed(head)) = Datagram::parse(datagram) else {
        panic!("{datagram:02x?} isn't sealed")
    };
    let mut datagram = BytesMut::from(datagram);
    let opened = session.open(head, &mut datagram);
    assert!(datagram.is_empty(), "its buffer is used again");
    opened
}

/// The frame in a datagram that has to open.
fn opened_frame(session: &mut DatagramSession, datagram: &[u8]) -> Frame {
    good(open(session, datagram).unwrap().frame.unwrap().unwrap())
}

fn good(received: Received) -> Frame {
    match received {
        Received::Frame(frame) => frame,
        Received::Bad(bad) => panic!("{bad:?}"),
    }
}

/// What a ticket looks like to who can't read it.
fn opaque_ticket() -> Ticket {
    Ticket(HexBytes(bytes_from(0x70)))
}

/// Both ends of a stream for this name: the codec of the peer that fetches, then the provider's.
fn stream(name: &str) -> (SealedCodec, SealedCodec) {
    stream_of(0xe0, 0x10, name)
}

/// A stream with these ephemeral secrets: those of who fetches, and of the provider.
fn stream_of(fetcher: u8, provider: u8, name: &str) -> (SealedCodec, SealedCodec) {
    let (initiating, initiate) = begin_stream_to(&device_secret().public(), name, fetcher);
    let initiate = initiate[..].try_into().unwrap();
    let accepting = StreamAccepting::new(&device_secret(), &initiate, bytes_from(provider)).unwrap();
    let (provider, accept) = accepting.finish();
    (initiating.finish(&accept[..].try_into().unwrap()).unwrap(), provider)
}

fn begin_stream(name: &str) -> (StreamInitiating, Bytes) {
    begin_stream_to(&device_secret().public(), name, 0xe0)
}

fn begin_stream_to(provider: &PublicKey, name: &str, ephemeral: u8) -> (StreamInitiating, Bytes) {
    let target = Target::Name(FileName::new(name).unwrap());
    StreamInitiating::new(&fetcher_secret(), provider, &opaque_ticket(), &target, bytes_from(ephemeral))
}

fn accept_stream(initiate: &[u8]) -> StreamAccepting {
    StreamAccepting::new(&device_secret(), initiate.try_into().unwrap(), bytes_from(0x10)).unwrap()
}

/// The record in which a stream's side seals a frame.
fn record(codec: &mut SealedCodec, frame: Frame) -> BytesMut {
    let mut out = BytesMut::new();
    codec.encode(frame, &mut out).unwrap();
    out
}

/// What a stream's side makes of these bytes; they are left where they are not read.
fn decode(codec: &mut SealedCodec, bytes: &mut BytesMut) -> Result<Option<Frame>, FramingError> {
    Ok(codec.decode(bytes)?.map(good))
}

fn frame(request_id: u32, message: Message) -> Frame {
    Frame { request_id, encoding: Encoding::Bincode, message }
}

fn login(request_id: u32) -> Frame {
    let login = Login { transfer_port: TransferPort::new(50_000).unwrap() };
    frame(request_id, Message::Request(Request::Login(login)))
}

fn logged_in(request_id: u32) -> Frame {
    let boot_id = Hex64(0x0123_4567_89ab_cdef);
    let reply = LoggedIn { boot_id, clock_ms: 1_000_000, heartbeat_ms: 2_000, offline_after_ms: 7_000 };
    frame(request_id, Message::Reply(Reply::LoggedIn(reply)))
}

fn heartbeat(request_id: u32) -> Frame {
    frame(request_id, Message::Request(Request::Heartbeat(Heartbeat {})))
}

fn fetch() -> Frame {
    frame(1, Message::Fetch(Fetch { part: Part::PIECES, first: 0, count: 1 }))
}

fn described(file_bytes: u64) -> Frame {
    let file_bytes = FileBytes::new(file_bytes).unwrap();
    let described = Described { file_bytes, root: None, manifest_bytes: None, is_complete: true };
    frame(1, Message::Described(described))
}

fn data(bytes: &'static [u8]) -> Frame {
    Frame::data(1, Bytes::from_static(bytes))
}
