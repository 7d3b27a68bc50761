//! Nanoseconds to seal and to open a heartbeat in one thread, and what of it the cipher needs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bittrickle_wire::messages::{Heartbeat, Request};
use bittrickle_wire::seal::{
    Accepting, Aes256Gcm, COOKIE_BYTES, Cipher, Cookie, Datagram, DatagramSession, Initiating, NONCE_BYTES,
    Retry, SEALED_HEAD_BYTES,
};
use bittrickle_wire::{Encoding, Frame, Message};
use bytes::BytesMut;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::cipher::NullCipher;
use crate::people;
use crate::report::{Line, Report, ReportError};

const NAME: &str = "sealed.packet";

const UNIT: &str = "ns";

/// Datagrams in one round.
const ROUND: u32 = 1_000;

/// Measures all by turns; the best round of each counts, for what else the machine does only makes a round slower.
pub(super) fn run(seconds: f64, report: &mut Report) -> Result<(), ReportError> {
    let (mut sealed, mut null) = (pair::<Aes256Gcm>(), pair::<NullCipher>());
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("32 bytes are a key"));
    let [mut sealed_ns, mut null_ns, mut ready_ns, mut fresh_ns] = [f64::INFINITY; 4];
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end {
        sealed_ns = sealed_ns.min(round(|| there(&mut sealed)));
        null_ns = null_ns.min(round(|| there(&mut null)));
        ready_ns = ready_ns.min(round(|| bare(&key, &key)));
        fresh_ns = fresh_ns.min(round(|| {
            let key = || UnboundKey::new(&AES_256_GCM, black_box(&[7; 32])).expect("32 bytes are a key");
            bare(&LessSafeKey::new(key()), &LessSafeKey::new(key()));
        }));
    }
    report.add(&Line::with_floor(NAME.to_owned(), sealed_ns, UNIT, null_ns))?;
    report.add(&Line::with_floor(format!("{NAME}.aes_with_keys"), fresh_ns, UNIT, ready_ns))
}

fn round(mut one: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..ROUND).for_each(|_| one());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUND)
}

/// Both sides of a session, and the buffers that they use again and again.
struct Pair<C> {
    device: DatagramSession<C>,
    server: DatagramSession<C>,
    datagram: BytesMut,
}

/// From the device to the server: encoded, sealed, opened, decoded.
fn there<C: Cipher>(pair: &mut Pair<C>) {
    let message = Message::Request(Request::Heartbeat(Heartbeat {}));
    let frame = Frame { request_id: 7, encoding: Encoding::Bincode, message };
    pair.datagram.reserve(256);
    pair.device.seal(black_box(frame), &mut pair.datagram).expect("far fewer than a key may seal");
    let Ok(Datagram::Sealed(sealed)) = Datagram::parse(&pair.datagram) else { panic!("it was sealed") };
    let opened = pair.server.open(sealed, &mut pair.datagram).expect("it was sealed for the server");
    assert!(matches!(black_box(opened).frame, Ok(Some(_))));
}

/// The same bytes through the cipher alone: a frame's header is the text, a head is authenticated with it.
fn bare(seals: &LessSafeKey, opens: &LessSafeKey) {
    let mut text = [1; HEARTBEAT_BYTES + 16];
    let nonce = || Nonce::assume_unique_for_key([3; NONCE_LEN]);
    let head = black_box([2; SEALED_HEAD_BYTES]);
    let (plain, tag) = text.split_at_mut(HEARTBEAT_BYTES);
    let made = seals.seal_in_place_separate_tag(nonce(), Aad::from(head), plain).expect("a few bytes");
    tag.copy_from_slice(made.as_ref());
    black_box(
        opens.open_in_place(nonce(), Aad::from(head), black_box(&mut text)).expect("it was just sealed"),
    );
}

const HEARTBEAT_BYTES: usize = bittrickle_wire::limits::HEADER_BYTES;

/// A session without a server: the cookie is for the server to look at, and there is none.
fn pair<C>() -> Pair<C> {
    let (device, server) = (people::key_of(0), people::key_of(1));
    let server_key = server.public();
    let cookie = Cookie([0; COOKIE_BYTES]);
    let retry = Retry { device_index: 1, nonce: [0; NONCE_BYTES], cookie, server_key };
    let (mut initiating, initiate) = Initiating::new(&device, &server_key, &retry, [5; 32]);
    let accepting = Accepting::new(&server, &initiate, [6; 32]).expect("it was made for this server");
    let (server, accept) = accepting.finish(2);
    let (device, _) = initiating.finish(&accept).expect("it was made for this device");
    Pair { device, server, datagram: BytesMut::new() }
}
