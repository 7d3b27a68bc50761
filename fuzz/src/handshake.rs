//! Handshakes in which one message is not what the other side has sent: they come to nothing.

use std::sync::OnceLock;

use bittrickle_wire::HexBytes;
use bittrickle_wire::seal::{
    Accepting, Aes256Gcm, Cookie, CookieKeys, Datagram, DatagramSession, Hello, Initiating, PublicKey, Retry,
    STREAM_ACCEPT_BYTES, STREAM_INITIATE_BYTES, SealedCodec, SecretKey, StreamAccepting, StreamInitiating,
    Ticket,
};
use bittrickle_wire::{FileName, Target};
use bytes::BytesMut;

/// The first byte chooses a message and how it is damaged: replaced by the rest, or edited by it, three bytes an edit
/// (two for the place, one that is added there in binary). A handshake succeeds only with the true message.
pub fn handshake(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let made = made();
    let check = [to_server, to_device, to_provider, to_fetcher][usize::from(choice & 3)];
    let truth =
        [&made.initiate, &made.accept, &made.stream_initiate, &made.stream_accept][usize::from(choice & 3)];
    let message = if choice & 4 == 0 { edited(truth, rest) } else { rest.to_vec() };
    assert_eq!(check(made, &message), message == *truth, "it succeeds with the true message alone");
}

/// The true messages of two handshakes, over datagrams and on a stream.
struct Made {
    retry: Retry,
    initiate: Vec<u8>,
    accept: Vec<u8>,
    stream_initiate: Vec<u8>,
    stream_accept: Vec<u8>,
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let (hello, from) =
            (Hello { device_index: 7, nonce: [8; 16] }, "192.0.2.7:50000".parse().expect("an address"));
        let cookie: Cookie =
            CookieKeys::new([9; 32]).make(std::time::Duration::from_secs(1), from, &hello.nonce);
        let Hello { device_index, nonce } = hello;
        let retry = Retry { device_index, nonce, cookie, server_key: server().public() };
        let (_, first) = begin(&retry);
        let (_, second): (DatagramSession, _) =
            Accepting::new(&server(), &first, SERVER_EPHEMERAL).expect("the true message").finish(5);
        let (mut initiate, mut accept) = (BytesMut::new(), BytesMut::new());
        first.write(&mut initiate);
        second.write(&mut accept);
        let (_, stream_initiate) = begin_stream();
        let (_, stream_accept) = accept_stream(&stream_initiate).expect("the true message").finish();
        Made {
            retry,
            initiate: initiate.to_vec(),
            accept: accept.to_vec(),
            stream_initiate: stream_initiate.to_vec(),
            stream_accept: stream_accept.to_vec(),
        }
    })
}

fn to_server(_: &Made, message: &[u8]) -> bool {
    let Ok(Datagram::Initiate(initiate)) = Datagram::parse(message) else { return false };
    let Ok(accepting) = Accepting::new(&server(), &initiate, SERVER_EPHEMERAL) else { return false };
    assert_eq!(accepting.device, device().public());
    true
}

/// A forged answer leaves the device waiting for the true one.
fn to_device(made: &Made, message: &[u8]) -> bool {
    let (mut waiting, _) = begin(&made.retry);
    if let Ok(Datagram::Accept(accept)) = Datagram::parse(message)
        && waiting.finish::<Aes256Gcm>(&accept).is_ok()
    {
        return true;
    }
    let Ok(Datagram::Accept(truth)) = Datagram::parse(&made.accept) else { panic!("it is an Accept") };
    assert!(waiting.finish::<Aes256Gcm>(&truth).is_ok(), "the true answer is still taken");
    false
}

fn to_provider(_: &Made, message: &[u8]) -> bool {
    let Some(accepting) = accept_stream(message) else { return false };
    assert_eq!((accepting.device, accepting.ticket, accepting.target), (device().public(), TICKET, target()));
    true
}

fn to_fetcher(_: &Made, message: &[u8]) -> bool {
    let Ok(accept) = <&[u8; STREAM_ACCEPT_BYTES]>::try_from(message) else { return false };
    begin_stream().0.finish(accept).is_ok()
}

/// Both ends of a stream: of the peer that fetches, and of the provider.
pub(super) fn stream_ends() -> (SealedCodec, SealedCodec) {
    let (waiting, initiate) = begin_stream();
    let (provider, accept) = accept_stream(&initiate).expect("the true message").finish();
    let accept = accept[..].try_into().expect("an Accept's length");
    (waiting.finish(accept).expect("the true message"), provider)
}

fn begin(retry: &Retry) -> (Initiating, bittrickle_wire::seal::Initiate) {
    Initiating::new(&device(), &server().public(), retry, [3; 32])
}

fn begin_stream() -> (StreamInitiating, Vec<u8>) {
    let provider: PublicKey = server().public();
    let (waiting, initiate) = StreamInitiating::new(&device(), &provider, &TICKET, &target(), [3; 32]);
    (waiting, initiate.to_vec())
}

fn target() -> Target {
    Target::Name(FileName::new(NAME).expect("a name"))
}

fn accept_stream(initiate: &[u8]) -> Option<StreamAccepting> {
    let initiate: &[u8; STREAM_INITIATE_BYTES] = initiate.try_into().ok()?;
    StreamAccepting::new(&server(), initiate, SERVER_EPHEMERAL).ok()
}

pub(super) fn edited(bytes: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for [high, low, change] in edits.as_chunks().0 {
        let place = usize::from(u16::from_be_bytes([*high, *low])) % bytes.len();
        bytes[place] ^= change;
    }
    bytes
}

fn device() -> SecretKey {
    SecretKey::from_bytes([1; 32])
}

fn server() -> SecretKey {
    SecretKey::from_bytes([2; 32])
}

const SERVER_EPHEMERAL: [u8; 32] = [4; 32];
const TICKET: Ticket = Ticket(HexBytes([6; 32]));
const NAME: &str = "notes.txt";
