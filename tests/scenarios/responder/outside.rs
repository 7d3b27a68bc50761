//! What is said outside a seal, and what isn't (BT-6.1, BT-1.7-3).

use bittrickle_server::responder::Counters;
use bittrickle_tests::samples;
use bittrickle_tests::socketless::{Server, secret, written};
use bittrickle_wire::messages::{Reply, Request};
use bittrickle_wire::seal::{Cookie, Hello, NONCE_BYTES, Reset, Retry};
use bittrickle_wire::{DatagramCodec, Encoding, Frame, Header, Kind, Message};
use bytes::BytesMut;
use tokio_util::codec::Encoder as _;

use super::{ALICE, heartbeat};

/// Loopback addresses are no better than others.
const EVERYWHERE: [&str; 7] = [
    "127.0.0.1:4000",
    "127.9.9.9:1",
    "[::1]:4000",
    "10.0.0.1:4000",
    "[fe80::1]:4000",
    "203.0.113.9:4000",
    ALICE,
];

/// BT-6.1-1: whatever its kind and encoding, and also from the address of a device that is logged in.
#[test]
fn an_unsealed_frame_gets_no_byte_wherever_it_comes_from() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    let before = world.responder.counters();
    let mut sent = 0;
    for (name, message) in samples::every_message() {
        for encoding in [Encoding::Json, Encoding::Bincode] {
            let frame = Frame { request_id: 7, encoding, message: message.clone() };
            let mut bytes = BytesMut::new();
            DatagramCodec.encode(frame, &mut bytes).unwrap();
            for from in EVERYWHERE {
                assert!(world.send(from.parse().unwrap(), &bytes).is_empty(), "{name} from {from}");
                sent += u64::from(message.kind() != Kind::Versions);
            }
        }
    }
    assert_eq!(world.responder.counters().unsealed - before.unsealed, sent, "each is counted");
    assert_eq!(world.responder.index.publication_count(), 0);
    let Some(Reply::HeartbeatReply(reply)) = world.ask(&mut device, heartbeat()) else { panic!() };
    assert_eq!(reply.offered, 0, "nobody has published for it");
}

/// BT-6.1-1: kinds that nobody knows as well, and of any length.
#[test]
fn no_kind_but_a_hello_is_answered_unsealed() {
    let mut world = Server::new();
    for code in 0..=u8::MAX {
        for payload_bytes in [0_usize, 2, 36, 244, 300, 1_188] {
            for encoding in 0..4 {
                let mut bytes = vec![0xb7, 1, code, encoding, 0, 0, 0, 7];
                bytes.extend(u32::try_from(payload_bytes).unwrap().to_be_bytes());
                bytes.resize(12 + payload_bytes, 0);
                let answer = world.send(ALICE.parse().unwrap(), &bytes);
                let expected = match Kind::from_code(code) {
                    Kind::Hello if encoding == 2 && bytes.len() >= 256 => 84,
                    Kind::Sealed if encoding == 2 && bytes.len() >= 48 => 20,
                    _ => 0,
                };
                assert_eq!(answer.len(), expected, "0x{code:02x} in {encoding} of {} bytes", bytes.len());
            }
        }
    }
    assert!(!world.responder.has_handshakes());
    assert_eq!((world.responder.sealed_count(), world.responder.index.session_count()), (0, 0));
}

/// BT-6.1-4: what only a server says is nothing to a server.
#[test]
fn a_servers_answers_are_dropped_by_a_server_and_counted() {
    let mut world = Server::new();
    let device = world.log_in("alice", 1, ALICE);
    let (nonce, cookie) = ([1; NONCE_BYTES], Cookie([2; 24]));
    let mut answers: [BytesMut; 3] = Default::default();
    Retry { device_index: 7, nonce, cookie, server_key: world.key() }.write(&mut answers[0]);
    Reset { index: 0, counter: 0 }.write(&mut answers[1]);
    answers[2].extend_from_slice(&Header::new(Kind::Accept, Encoding::Raw, 7, 52).to_bytes());
    answers[2].resize(64, 0);
    for (count, answer) in (1..).zip(&answers) {
        assert!(world.send(device.address, answer).is_empty());
        assert_eq!(world.responder.counters().unexpected_replies, count);
    }
    assert_eq!(world.responder.sealed_count(), 1);
}

/// BT-6.1-4: one byte more, one byte less, another encoding, another length than it says.
#[test]
fn a_datagram_of_another_length_or_encoding_is_dropped_and_counted() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    let (_, initiate) = world.initiate(ALICE.parse().unwrap(), &secret(1));
    let mut hello = BytesMut::new();
    Hello { device_index: 7, nonce: [1; NONCE_BYTES] }.write(&mut hello);
    let good = [hello, written(&initiate), device.sealed(heartbeat())];
    for datagram in &good {
        let before = world.responder.counters();
        let mut changed: Vec<Vec<u8>> = (0..datagram.len()).map(|end| datagram[..end].to_vec()).collect();
        changed.push([&datagram[..], b"\0"].concat());
        for encoding in [0, 1, 3, 255] {
            let mut other = datagram.to_vec();
            other[3] = encoding;
            changed.push(other);
        }
        for declared in [0, 1, 0xffff_ffff_u32] {
            let mut other = datagram.to_vec();
            other[8..12].copy_from_slice(&declared.to_be_bytes());
            changed.push(other);
        }
        for bytes in &changed {
            assert!(
                world.send(device.address, bytes).is_empty(),
                "{} bytes of {:02x}",
                bytes.len(),
                datagram[2]
            );
        }
        let after = world.responder.counters();
        let counted = after.malformed + after.unsealed - before.malformed - before.unsealed;
        assert_eq!(counted, changed.len() as u64, "kind 0x{:02x}", datagram[2]);
    }
    assert_eq!(world.send(device.address, &good[0]).len(), 84, "as it was, it is answered");
}

/// BT-6.4-1: a longer one is one as well, and its answer is as short.
#[test]
fn a_hello_may_be_longer_and_its_padding_is_not_looked_at() {
    let mut world = Server::new();
    for bytes in [256_usize, 257, 1_199, 1_200, 1_201, 2_000] {
        let payload_bytes = u32::try_from(bytes - 12).unwrap();
        let mut hello = Header::new(Kind::Hello, Encoding::Raw, 7, payload_bytes).to_bytes().to_vec();
        hello.resize(bytes, 0xee);
        let answer = world.send(ALICE.parse().unwrap(), &hello);
        assert_eq!(answer.len(), if bytes <= 1_200 { 84 } else { 0 }, "{bytes} bytes");
    }
}

/// BT-1.7-3
#[test]
fn another_version_gets_versions_when_the_question_is_long_enough() {
    let mut world = Server::new();
    for version in (0..=u8::MAX).filter(|version| *version != 1) {
        for (kind, bytes, is_answered) in [
            (0x01, 256, true),
            (0x10, 256, true),
            (0x7f, 1_200, true),
            (0x03, 300, true),
            (0x01, 255, false),
            (0x10, 12, false),
            (0x01, 20, false),
            (0x80, 256, false),
            (0x81, 1_200, false),
            (0xff, 256, false),
        ] {
            let mut datagram = vec![0xb7, version, kind, 2, 1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff];
            datagram.resize(bytes, 0);
            let answer = world.send(ALICE.parse().unwrap(), &datagram);
            let versions: &[u8] = &[0xb7, 0, 0xff, 2, 1, 2, 3, 4, 0, 0, 0, 2, 1, 1];
            let expected = if is_answered { versions } else { &[] };
            assert_eq!(answer, expected, "version {version}, kind 0x{kind:02x}, {bytes} bytes");
        }
    }
    assert_eq!(world.responder.counters(), Counters { malformed: 255 * 10, ..Counters::default() });
}

/// BT-1.1-2, BT-4.1-5: where the legacy format is off, a server is silent to all but frames.
#[test]
fn what_begins_with_no_format_that_is_spoken_gets_no_byte() {
    let mut world = Server::new();
    for first in (0..=u8::MAX).filter(|first| *first != 0xb7) {
        for bytes in [1, 12, 256, 1_200, 60_000] {
            for from in EVERYWHERE {
                assert!(world.send(from.parse().unwrap(), &vec![first; bytes]).is_empty(), "0x{first:02x}");
            }
        }
    }
    assert!(world.send(ALICE.parse().unwrap(), b"").is_empty());
}

/// BT-6.4-4: nothing is kept, nothing waits, and each gets a cookie of its own.
#[test]
fn hellos_leave_nothing_behind() {
    let mut world = Server::new();
    let mut cookies = std::collections::BTreeSet::new();
    for port in 1..=10_000 {
        let retry = world.hello(([192, 0, 2, 1], port).into()).unwrap();
        assert_eq!(retry.server_key, world.key());
        cookies.insert(retry.cookie.0);
    }
    assert_eq!(cookies.len(), 10_000);
    assert_eq!((world.responder.sealed_count(), world.responder.has_handshakes()), (0, false));
    assert_eq!(world.responder.counters(), Counters { hellos: 10_000, ..Counters::default() });
}

/// BT-2.2-6, BT-6.1-1: what says it is a login is one only under a seal.
#[test]
fn an_unsealed_login_logs_nobody_in() {
    let mut world = Server::new();
    let device = world.device_of("alice", 1, ALICE);
    let frame = |request: Request| {
        let mut bytes = BytesMut::new();
        let message = Message::Request(request);
        DatagramCodec.encode(Frame { request_id: 7, encoding: Encoding::Json, message }, &mut bytes).unwrap();
        bytes
    };
    for request in [samples::login(6_000), samples::enrol("alice", "pw")] {
        assert!(world.send(device.address, &frame(request)).is_empty());
    }
    assert_eq!(world.responder.index.session_count(), 0);
    assert!(world.responder.next_check().is_none());
}
