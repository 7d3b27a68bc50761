//! `spec/vectors/seal.json`: whole handshakes and what is sealed with their keys, byte for byte.
//!
//! `inputs` and `vectors` are written from here when the tests run with the environment variable `BITTRICKLE_BLESS` set.
//! `keys` and `refused` were printed by an implementation of the Noise handshake in Python that knows none of this code,
//! and which agrees with every vector; they are kept as they are.

use std::fs;
use std::sync::Once;

use bittrickle_wire::seal::{
    Datagram, Invite, Reset, STREAM_KEY_FRAMES, SealedCodec, StreamAccepting, StreamError, StreamInitiating,
    Ticket,
};
use bittrickle_wire::{DatagramCodec, FileName, Frame, Target};
use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio_util::codec::Encoder as _;

use super::{
    DEVICE_INDEX, NOW, SERVER_INDEX, accept_stream, by_hand, bytes_from, cookie_keys, data, decode,
    described, device_secret, every_datagram, fetch, fetcher_secret, from, handshake, heartbeat, logged_in,
    login, open, opened_frame, record, sealed, server_secret,
};
use crate::project;

const ABOUT: &str = "One device and its server, then another device that fetches from the first, byte for byte. \
                     `inputs` are what a program would draw or know, `keys` follow from the handshakes, `vectors` is \
                     what crosses the network and what people see, `refused` must be refused.";
const NAME: &str = "notes.txt";
const TICKET_ENDS_MS: u64 = 1_120_000;
const TICKET_NUMBER: u64 = 7;

/// BT-6.3-1, BT-6.3-2, BT-6.5-2: the file can't go stale.
#[test]
fn the_file_of_seals_is_what_the_code_gives() {
    let (found, expected) = (read(), seal_file());
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

/// BT-6.5-2, BT-6.3-5: the listed keys open what was sealed, with the nonce and the associated data of the specification.
#[test]
fn the_listed_keys_open_what_was_sealed_over_datagrams() {
    for (name, frame, key, counter) in [
        ("sealed_login", "login_frame", "device_to_server", 0),
        ("sealed_heartbeat", "heartbeat_frame", "device_to_server", 1),
        ("sealed_logged_in", "logged_in_frame", "server_to_device", 0),
    ] {
        let opened = by_hand::open(&key_bytes(key), counter, 20, &vector(name));
        assert_eq!(opened, vector(frame), "{name}");
    }
}

/// BT-6.6-3, BT-6.6-4
#[test]
fn the_listed_keys_open_what_was_sealed_on_a_stream() {
    for (name, frame, key, counter) in [
        ("record_fetch", "fetch_frame", "fetcher_to_provider", 0),
        ("record_described", "described_frame", "provider_to_fetcher", 0),
        ("record_data", "data_frame", "provider_to_fetcher", 1),
        ("record_after_rekey", "data_frame", "provider_to_fetcher_after_rekey", 65_536),
    ] {
        let opened = by_hand::open(&key_bytes(key), counter, 12, &vector(name));
        assert_eq!(opened, vector(frame), "{name}");
    }
    let next = by_hand::next_key(&key_bytes("provider_to_fetcher"));
    assert_eq!(next, key_bytes("provider_to_fetcher_after_rekey"));
}

/// BT-6.7-1, BT-6.7-3
#[test]
fn the_listed_ticket_is_made_as_the_specification_says() {
    let mut hasher = blake3::Hasher::new_derive_key("BitTrickle 1 ticket key");
    hasher.update(&key_bytes("device_to_server")).update(&key_bytes("server_to_device"));
    let key = *hasher.finalize().as_bytes();
    assert_eq!(key[..], key_bytes("ticket_key"));
    let front = [TICKET_ENDS_MS.to_be_bytes(), TICKET_NUMBER.to_be_bytes()].concat();
    let said = [&front[..], &vector("fetcher_public"), target().to_string().as_bytes()].concat();
    let tag = blake3::keyed_hash(&key, &said);
    assert_eq!(vector("ticket"), [&front, &tag.as_bytes()[..16]].concat());
}

/// BT-6.4-2, BT-6.4-3
#[test]
fn the_listed_cookie_is_made_as_the_specification_says() {
    let context = "BitTrickle 1 cookie key";
    // The seed gives the key before the first, that one the first, and 130 s after the start the second is in use.
    let key = (0..3).fold(bytes_from::<32>(0xa0), |key, _| blake3::derive_key(context, &key));
    let time = 130_000_u64.to_be_bytes();
    let address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7, 0xc3, 0x50];
    let said = [&[1][..], &time, &address, &bytes_from::<16>(0x80)].concat();
    let tag = blake3::keyed_hash(&key, &said);
    assert_eq!(vector("retry")[28..52], [&time, &tag.as_bytes()[..16]].concat());
}

/// BT-6.3-4, BT-6.6-2: sealed well by a device that the ticket is for, and nonsense.
#[test]
fn first_messages_of_streams_that_ask_for_nonsense_are_refused() {
    let refused = list("refused");
    assert!(refused.len() >= 13);
    for vector in refused {
        let initiate = unhex(text(&vector, "hex"));
        let initiate = initiate[..].try_into().unwrap();
        let result = StreamAccepting::new(&device_secret(), &initiate, bytes_from(0x10));
        assert_eq!(result.err(), Some(StreamError::Target), "{}", vector["name"]);
    }
}

/// BT-6.1-3, BT-6.1-5: every kind has its bytes, and its index in the header.
#[test]
fn datagrams_outside_a_seal_have_their_kind_and_their_bytes() {
    let expected = [
        ("Hello", 0x01, 256, DEVICE_INDEX),
        ("Retry", 0x81, 84, DEVICE_INDEX),
        ("Initiate", 0x02, 256, DEVICE_INDEX),
        ("Accept", 0x82, 64, DEVICE_INDEX),
        ("Reset", 0x83, 20, SERVER_INDEX),
        ("Sealed", 0x03, 36 + vector("login_frame").len(), SERVER_INDEX),
    ];
    for ((name, bytes), (expected_name, kind, length, index)) in every_datagram().into_iter().zip(expected) {
        assert_eq!((name, bytes.len()), (expected_name, length));
        assert_eq!(bytes[..4], [0xb7, 1, kind, 2], "{name}");
        assert_eq!(bytes[4..8], index.to_be_bytes(), "{name}");
        assert_eq!(bytes[8..12], u32::try_from(length - 12).unwrap().to_be_bytes(), "{name}");
        assert!(Datagram::parse(&bytes).is_ok(), "{name}");
    }
}

/// The bytes of a listed key.
pub(super) fn key_bytes(name: &str) -> Vec<u8> {
    find("keys", name)
}

fn vector(name: &str) -> Vec<u8> {
    find("vectors", name)
}

fn find(section: &str, name: &str) -> Vec<u8> {
    let entry = list(section).into_iter().find(|entry| entry["name"] == name).expect(name);
    unhex(text(&entry, "hex"))
}

fn list(section: &str) -> Vec<Value> {
    let mut file: Value = serde_json::from_str(&read()).unwrap();
    serde_json::from_value(file[section].take()).unwrap()
}

/// The file's text, which is written first when the tests were told to.
fn read() -> String {
    static BLESSED: Once = Once::new();
    BLESSED.call_once(|| {
        if std::env::var_os("BITTRICKLE_BLESS").is_some() {
            fs::write(path(), seal_file()).unwrap();
        }
    });
    fs::read_to_string(path()).unwrap()
}

fn path() -> std::path::PathBuf {
    project().join("spec/vectors/seal.json")
}

/// The file as it should be: `keys` and `refused` as they are, the rest as the code gives it.
fn seal_file() -> String {
    let as_it_is = fs::read_to_string(path()).unwrap();
    let kept = |section: &str| {
        let start = as_it_is.find(&format!("\"{section}\": [\n")).expect(section) + section.len() + 6;
        as_it_is[start..start + as_it_is[start..].find("\n]").expect(section)].to_owned()
    };
    let mut made = datagram_vectors();
    let (streams, ticket) = (stream_vectors(), hex(&ticket().0.0));
    made.push(line(
        "ticket",
        "for the fetcher, the name of the record with Fetch, until 1,120,000 ms, number 7",
        &ticket,
    ));
    made.extend(streams);
    let sections = [
        ("inputs", inputs().join(",\n")),
        ("keys", kept("keys")),
        ("vectors", made.join(",\n")),
        ("refused", kept("refused")),
    ];
    let sections = sections.map(|(name, lines)| format!("\"{name}\": [\n{lines}\n]"));
    format!("{{\n\"about\": {},\n{}\n}}\n", json!(ABOUT), sections.join(",\n"))
}

fn inputs() -> Vec<String> {
    let mut lines: Vec<_> = [
        ("device_secret", "the device's secret key", 0x00),
        ("server_secret", "the server's secret key", 0x20),
        ("device_ephemeral", "the device's ephemeral secret", 0x40),
        ("server_ephemeral", "the server's ephemeral secret", 0x60),
        ("cookie_seed", "of which the server's keys for cookies come", 0xa0),
        ("fetcher_secret", "the secret key of the device that fetches", 0xc0),
        ("fetcher_ephemeral", "its ephemeral secret for the stream", 0xe0),
        (
            "provider_ephemeral",
            "the ephemeral secret for the stream of the device that provides, the first one",
            0x10,
        ),
    ]
    .into_iter()
    .map(|(name, what, first)| line(name, what, &hex(&bytes_from::<32>(first))))
    .collect();
    let now_ms = u64::try_from(NOW.as_millis()).unwrap();
    lines.extend([
        line("nonce", "the device's nonce", &hex(&bytes_from::<16>(0x80))),
        line("device_index", "the device's index", &hex(&DEVICE_INDEX.to_be_bytes())),
        line("server_index", "the server's index of the session", &hex(&SERVER_INDEX.to_be_bytes())),
        line(
            "cookie_time_ms",
            "when the cookie is made, since the server's start",
            &hex(&now_ms.to_be_bytes()),
        ),
        line("ticket_ends_ms", "when the ticket ends", &hex(&TICKET_ENDS_MS.to_be_bytes())),
        line("ticket_number", "the ticket's number", &hex(&TICKET_NUMBER.to_be_bytes())),
        text_line("address", "where the device's datagrams come from", &from().to_string()),
        text_line("name", "the file that is fetched", NAME),
    ]);
    lines
}

fn datagram_vectors() -> Vec<String> {
    let mut made = handshake();
    assert!(cookie_keys().check(NOW, from(), &made.initiate.nonce, &made.initiate.cookie).is_ok());
    let key = server_secret().public();
    let invite: Invite = format!("bt://index.example.org:16980/{key}").parse().unwrap();
    let login_datagram = sealed(&mut made.device, login(1));
    let heartbeat_datagram = sealed(&mut made.device, heartbeat(2));
    let logged_in_datagram = sealed(&mut made.server, logged_in(1));
    assert_eq!(opened_frame(&mut made.server, &login_datagram), login(1));
    assert_eq!(opened_frame(&mut made.device, &logged_in_datagram), logged_in(1));
    assert!(open(&mut made.server, &heartbeat_datagram).unwrap().is_newest);
    vec![
        line("device_public", "the device's key", &hex(device_secret().public().as_bytes())),
        line("server_public", "the server's key", &hex(key.as_bytes())),
        line(
            "fetcher_public",
            "the key of the device that fetches",
            &hex(fetcher_secret().public().as_bytes()),
        ),
        text_line("server_fingerprint", "of the server's key", &key.fingerprint().to_string()),
        text_line("invite", "to the server", &invite.to_string()),
        line("hello", "Hello", &written(|out| made.hello.write(out))),
        line("retry", "Retry, with a cookie", &written(|out| made.retry.write(out))),
        line("initiate", "Initiate, with the same cookie", &written(|out| made.initiate.write(out))),
        line("accept", "Accept", &written(|out| made.accept.write(out))),
        line("login_frame", "Login in bincode, request 1", &hex(&plain(login(1)))),
        line("sealed_login", "that frame, the first that the device seals", &hex(&login_datagram)),
        line("logged_in_frame", "LoggedIn in bincode, request 1", &hex(&plain(logged_in(1)))),
        line("sealed_logged_in", "that frame, the first that the server seals", &hex(&logged_in_datagram)),
        line("heartbeat_frame", "Heartbeat in bincode, request 2", &hex(&plain(heartbeat(2)))),
        line("sealed_heartbeat", "that frame, the second that the device seals", &hex(&heartbeat_datagram)),
        line(
            "reset",
            "Reset, as a server answers the sealed heartbeat when it has forgotten the session",
            &written(|out| Reset { index: SERVER_INDEX, counter: 1 }.write(out)),
        ),
    ]
}

fn stream_vectors() -> Vec<String> {
    let (initiating, initiate, accepting) = begin_stream_of_the_vectors();
    let (mut provider, accept) = accepting.finish();
    let mut fetcher = initiating.finish(&accept[..].try_into().unwrap()).unwrap();
    let hello = data(b"hello\n");
    let mut lines = vec![
        line("stream_initiate", "Initiate of a stream, with the ticket and the name", &hex(&initiate)),
        line("stream_accept", "Accept of a stream", &hex(&accept)),
    ];
    let mut add = |name, what, from: &mut SealedCodec, to: &mut SealedCodec, frame: &Frame| {
        let mut sealed = record(from, frame.clone());
        lines.push(line(name, what, &hex(&sealed)));
        assert_eq!(decode(to, &mut sealed).unwrap().as_ref(), Some(frame));
    };
    add(
        "record_fetch",
        "Fetch, the first record of the one that fetches",
        &mut fetcher,
        &mut provider,
        &fetch(),
    );
    add(
        "record_described",
        "Described, the provider's first record",
        &mut provider,
        &mut fetcher,
        &described(6),
    );
    add("record_data", "Data, the provider's second record", &mut provider, &mut fetcher, &hello);
    for _ in 2..STREAM_KEY_FRAMES {
        let mut sealed = record(&mut provider, hello.clone());
        assert!(decode(&mut fetcher, &mut sealed).unwrap().is_some());
    }
    let what = "the same Data, the provider's record after 65,536, with the key that follows";
    add("record_after_rekey", what, &mut provider, &mut fetcher, &hello);
    lines.extend([
        line("fetch_frame", "Fetch in bincode, request 1", &hex(&plain(fetch()))),
        line("described_frame", "Described, 6 bytes, in bincode, request 1", &hex(&plain(described(6)))),
        line("data_frame", "Data, request 1", &hex(&plain(hello))),
    ]);
    lines
}

/// Both ends of the stream whose keys are listed: the one that fetches, and the provider.
pub(super) fn stream_of_the_vectors() -> (SealedCodec, SealedCodec) {
    let (initiating, _, accepting) = begin_stream_of_the_vectors();
    let (provider, accept) = accepting.finish();
    (initiating.finish(&accept[..].try_into().unwrap()).unwrap(), provider)
}

fn begin_stream_of_the_vectors() -> (StreamInitiating, Bytes, StreamAccepting) {
    let (target, provider) = (target(), device_secret().public());
    let (initiating, initiate) =
        StreamInitiating::new(&fetcher_secret(), &provider, &ticket(), &target, bytes_from(0xe0));
    let accepting = accept_stream(&initiate);
    assert_eq!((&accepting.target, accepting.ticket), (&target, ticket()));
    (initiating, initiate, accepting)
}

fn target() -> Target {
    Target::Name(FileName::new(NAME).unwrap())
}

fn ticket() -> Ticket {
    handshake().server.ticket_key(false).issue(
        &fetcher_secret().public(),
        &target(),
        TICKET_ENDS_MS,
        TICKET_NUMBER,
    )
}

fn plain(frame: Frame) -> BytesMut {
    let mut out = BytesMut::new();
    DatagramCodec.encode(frame, &mut out).unwrap();
    out
}

fn written(write: impl Fn(&mut BytesMut)) -> String {
    let mut out = BytesMut::new();
    write(&mut out);
    hex(&out)
}

fn line(name: &str, what: &str, hex: &str) -> String {
    format!("{{\"name\": \"{name}\", \"what\": \"{what}\", \"hex\": \"{hex}\"}}")
}

fn text_line(name: &str, what: &str, text: &str) -> String {
    format!("{{\"name\": \"{name}\", \"what\": \"{what}\", \"text\": \"{text}\"}}")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field} in {value}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pair = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}
