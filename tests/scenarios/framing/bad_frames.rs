//! What a bad frame leads to: an answer, silence, or the end of the stream (BT-1.6, BT-1.7).

use bittrickle_server::responder::Counters;
use bittrickle_tests::samples::every_message;
use bittrickle_wire::messages::{RefusalCode, Reply, Versions};
use bittrickle_wire::{Encoding, Frame, FrameCodec, FramingError, Kind, Message, Received, Verdict};
use bytes::BytesMut;
use tokio_util::codec::Decoder as _;

use super::{answers, assert_unchanged, bytes_of, encode, header, payload, server};

const HEARTBEAT: u8 = 0x11;
const JSON: u8 = 0;
const BINCODE: u8 = 1;
const RAW: u8 = 2;

/// BT-1.6-1
#[test]
fn a_payload_that_is_not_what_its_kind_says_is_refused_and_changes_nothing() {
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_reply() && !kind.is_outside()) {
        for (encoding, payloads) in [
            (JSON, [&b""[..], b"{", b"null", br#"{"x":1}"#, b"{}{}", b"\xff"]),
            (
                BINCODE,
                [&b"\xfb"[..], b"\xff", b"\x05a", b"\0\0\0\0\0\0\0\0\0", b"\xfd\xff", b"\x01a\x02\xfb"],
            ),
        ] {
            for payload in payloads {
                assert_refused(
                    &bytes_of(1, kind.code(), encoding, payload),
                    RefusalCode::MALFORMED,
                    encoding,
                );
            }
        }
    }
}

/// BT-1.6-1: a request that is good but for its last byte doesn't take effect in part.
#[test]
fn a_publish_with_one_bad_name_publishes_nothing() {
    let bincode = b"\x02\x05a.txt\x01\x05b/txt\x01";
    assert_refused(&bytes_of(1, 0x20, BINCODE, bincode), RefusalCode::MALFORMED, BINCODE);
    let json = br#"{"files":[{"name":"a.txt","file_bytes":1,"root":null,"is_folder":false},{"name":"..","file_bytes":1,"root":null,"is_folder":false}]}"#;
    assert_refused(&bytes_of(1, 0x20, JSON, json), RefusalCode::MALFORMED, JSON);
}

/// BT-1.6-2, BT-5.1-1: 0x00 is not known either.
#[test]
fn an_unknown_kind_is_refused_with_code_2_in_the_encoding_of_the_question() {
    let is_unknown =
        |code: &u8| matches!(Kind::from_code(*code), Kind::Unknown(_)) && !matches!(code, 1..=15);
    for code in (0..0x80).filter(is_unknown) {
        for (encoding, answered_in) in [(JSON, JSON), (BINCODE, BINCODE), (RAW, JSON), (3, JSON), (255, JSON)]
        {
            for payload in [&b""[..], b"{}", b"anything"] {
                let answer = refusal(&bytes_of(1, code, encoding, payload));
                assert_eq!(
                    (answer.0, answer.1.code()),
                    (RefusalCode::UNKNOWN_KIND, answered_in),
                    "0x{code:02x}"
                );
            }
        }
    }
}

/// BT-1.6-2
#[test]
fn an_unknown_encoding_is_refused_with_code_4_in_json() {
    for encoding in 3..=u8::MAX {
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_reply() && !kind.is_outside()) {
            assert_refused(&bytes_of(1, kind.code(), encoding, b""), RefusalCode::UNKNOWN_ENCODING, JSON);
        }
    }
}

/// BT-1.6-2
#[test]
fn a_fetch_at_the_index_is_refused_with_code_3() {
    for (name, message) in every_message().iter().filter(|(_, message)| message.kind() == Kind::Fetch) {
        for encoding in [Encoding::Json, Encoding::Bincode] {
            let answer = refusal(&encode(encoding, 0x0102_0304, message));
            assert_eq!(answer, (RefusalCode::UNEXPECTED_KIND, encoding), "{name}");
        }
    }
}

/// BT-6.1-2: what stands outside a seal has no place inside one, in whatever encoding.
#[test]
fn a_kind_that_stands_outside_a_seal_is_refused_or_dropped_inside_one() {
    for code in (0x01..=0x0f).chain(0x81..=0x8f) {
        for encoding in [JSON, BINCODE, RAW] {
            let bytes = bytes_of(1, code, encoding, b"");
            if code >= 0x80 {
                assert_silent(&bytes, &format!("0x{code:02x}"));
            } else {
                let answered_in = if encoding == BINCODE { BINCODE } else { JSON };
                assert_refused(&bytes, RefusalCode::UNEXPECTED_KIND, answered_in);
            }
        }
    }
}

/// BT-1.2-5, BT-1.2-3
#[test]
fn raw_is_for_data_and_versions_and_they_are_for_raw() {
    for kind in Kind::ALL {
        let always_raw = matches!(kind, Kind::Data | Kind::Versions);
        let version = u8::from(kind != Kind::Versions);
        for encoding in [JSON, BINCODE, RAW] {
            for payload in [&b""[..], b"{}", b"\x01\x01"] {
                let received =
                    super::datagram(&bytes_of(version, kind.code(), encoding, payload)).unwrap().unwrap();
                let taken = matches!(received, Received::Frame(_));
                assert!(!taken || (encoding == RAW) == always_raw, "{kind:?} in encoding {encoding}");
                if encoding == RAW && !always_raw && !kind.is_reply() && !kind.is_outside() {
                    assert_refused(&bytes_of(1, kind.code(), RAW, payload), RefusalCode::MALFORMED, JSON);
                }
            }
        }
    }
    // Asked for in another encoding, they are written raw all the same.
    for (name, message) in every_message() {
        if matches!(message, Message::Data(_) | Message::Versions(_)) {
            assert_eq!(encode(Encoding::Json, 1, &message), encode(Encoding::Raw, 1, &message), "{name}");
        }
    }
}

/// BT-1.6-3
#[test]
fn an_answer_is_never_answered_whether_it_is_good_or_bad() {
    for (name, message) in every_message().iter().filter(|(_, message)| message.kind().is_reply()) {
        let encodings: &[Encoding] = match message {
            Message::Data(_) | Message::Versions(_) => &[Encoding::Raw],
            _ => &[Encoding::Json, Encoding::Bincode],
        };
        for encoding in encodings {
            assert_silent(&encode(*encoding, 7, message), name);
        }
    }
    for code in 0x80..=u8::MAX {
        for encoding in [JSON, BINCODE, RAW, 3, 255] {
            for payload in [&b""[..], b"{}", b"\xff\xff\xff"] {
                for version in [0, 1, 2, 255] {
                    assert_silent(&bytes_of(version, code, encoding, payload), "a bad answer");
                }
            }
        }
    }
}

/// BT-1.6-3, BT-1.3-1: on a stream as well, and the frame behind it is read.
#[test]
fn a_bad_answer_on_a_stream_is_dropped_and_reading_goes_on() {
    let behind = bytes_of(1, HEARTBEAT, BINCODE, b"");
    for (kind, encoding) in [(0x90, JSON), (0xc0, BINCODE), (0xc2, RAW), (0xee, BINCODE), (0xf0, 9)] {
        let mut codec = FrameCodec::for_content();
        let mut stream =
            BytesMut::from(&[bytes_of(1, kind, encoding, b"\xff\xff"), behind.clone()].concat()[..]);
        assert_eq!(verdict(codec.decode(&mut stream)), Verdict::Drop);
        assert!(matches!(codec.decode(&mut stream), Ok(Some(Received::Frame(_)))), "0x{kind:02x}");
    }
}

/// BT-1.6: length, version, kind, encoding, payload, place. The first that is wrong decides (BT-1.6-1, BT-1.6-2).
#[test]
fn the_first_thing_that_is_wrong_decides() {
    let fetch = Kind::Fetch.code();
    let code = |bytes: &[u8]| refusal(bytes).0;
    assert_eq!(code(&bytes_of(1, 0x7f, 9, b"\xff")), RefusalCode::UNKNOWN_KIND, "kind before encoding");
    assert_eq!(
        code(&bytes_of(1, fetch, 9, b"\xff")),
        RefusalCode::UNKNOWN_ENCODING,
        "encoding before payload"
    );
    assert_eq!(code(&bytes_of(1, fetch, JSON, b"\xff")), RefusalCode::MALFORMED, "payload before place");
    assert_eq!(
        code(&bytes_of(1, fetch, JSON, br#"{"part":2,"first":0,"count":1}"#)),
        RefusalCode::UNEXPECTED_KIND
    );
    assert_eq!(code(&bytes_of(1, 0x02, 9, b"\xff")), RefusalCode::UNEXPECTED_KIND, "kind before encoding");
    assert!(is_versions(&answers(&bytes_of(2, 0x7f, 9, b"\xff"))), "version before kind");
    for (kind, encoding) in [(0x7f, JSON), (HEARTBEAT, 9), (HEARTBEAT, BINCODE), (fetch, JSON)] {
        let mut short = header(1, kind, encoding, 3);
        short.extend(b"\xff\xff");
        assert!(answers(&short).is_empty(), "length before everything else: too short");
        short.extend(b"\xff\xff");
        assert!(answers(&short).is_empty(), "length before everything else: too long");
        assert!(
            answers(&header(1, kind, encoding, 1_153)).is_empty(),
            "length before everything else: over its limit"
        );
    }
}

/// BT-1.7-2, BT-1.7-1
#[test]
fn a_frame_in_another_version_is_answered_with_the_versions_that_are_spoken() {
    let expected = [0xb7, 0, 0xff, 2, 1, 2, 3, 4, 0, 0, 0, 2, 1, 1];
    for version in (0..=u8::MAX).filter(|version| *version != 1) {
        for kind in [0x00, HEARTBEAT, 0x40, 0x7f] {
            for (encoding, declared) in [(JSON, 0), (BINCODE, 4), (RAW, 5), (9, 1_153), (255, u32::MAX)] {
                let mut bytes = header(version, kind, encoding, declared);
                bytes.extend(b"then");
                let answers = answers(&bytes);
                let [answer] = answers.as_slice() else {
                    panic!("version {version} has {} answers", answers.len())
                };
                assert_eq!(encode(answer.encoding, answer.request_id, &answer.message), expected);
            }
        }
    }
}

/// BT-1.7-2: no other frame has version byte 0, and `Versions` has no other.
#[test]
fn versions_is_read_in_version_0_only_and_has_two_bytes() {
    let message = |bytes: &[u8]| match super::datagram(bytes) {
        Ok(Some(Received::Frame(frame))) => Some(frame.message),
        _ => None,
    };
    let spoken = Message::Versions(Versions { lowest: 1, highest: 9 });
    assert_eq!(message(&bytes_of(0, 0xff, RAW, b"\x01\x09")), Some(spoken));
    for version in 1..=u8::MAX {
        assert_eq!(message(&bytes_of(version, 0xff, RAW, b"\x01\x09")), None, "version {version}");
    }
    for payload in [&b""[..], b"\x01", b"\x01\x01\x01"] {
        assert_eq!(message(&bytes_of(0, 0xff, RAW, payload)), None, "{} bytes", payload.len());
    }
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Versions) {
        assert_eq!(message(&bytes_of(0, kind.code(), RAW, b"\x01\x01")), None, "{kind:?}");
    }
}

/// BT-1.7-2: where the next frame would begin, nobody knows.
#[test]
fn a_stream_is_closed_after_a_frame_in_another_version() {
    for (version, kind) in [(0, HEARTBEAT), (2, HEARTBEAT), (9, 0x7f), (255, 0xc1), (2, 0xff)] {
        let mut codec = FrameCodec::for_requests();
        let good = bytes_of(1, HEARTBEAT, BINCODE, b"");
        let mut stream =
            BytesMut::from(&[header(version, kind, BINCODE, u32::MAX), good.clone()].concat()[..]);
        match verdict(codec.decode(&mut stream)) {
            Verdict::AnswerAndClose(answer) => {
                assert!(kind < 0x80 && is_versions(&[answer]), "version {version}");
            }
            other => assert!(kind >= 0x80 && other == Verdict::Drop, "{other:?}"),
        }
        for _ in 0..2 {
            stream.extend_from_slice(&good);
            assert!(matches!(codec.decode(&mut stream), Err(FramingError::VersionLost)));
        }
        assert!(matches!(codec.decode_eof(&mut stream), Err(FramingError::VersionLost)));
    }
}

/// BT-1.6-2: a refusal on a stream doesn't end it.
#[test]
fn a_stream_goes_on_after_a_frame_that_is_refused() {
    let bad =
        [bytes_of(1, 0x7f, JSON, b"x"), bytes_of(1, 0x41, 9, b""), bytes_of(1, 0x41, BINCODE, b"\x02a")];
    let good = bytes_of(1, 0x41, BINCODE, b"\x02\x00\x01");
    let mut codec = FrameCodec::for_requests();
    let mut stream = BytesMut::from(&bad.concat()[..]);
    stream.extend_from_slice(&good);
    for code in [RefusalCode::UNKNOWN_KIND, RefusalCode::UNKNOWN_ENCODING, RefusalCode::MALFORMED] {
        let Verdict::Answer(answer) = verdict(codec.decode(&mut stream)) else {
            panic!("{code:?} is an answer")
        };
        assert_eq!(code_of(&answer), Some(code));
    }
    assert!(matches!(codec.decode(&mut stream), Ok(Some(Received::Frame(_)))));
}

/// BT-5.2-1
#[test]
fn refusal_codes_are_those_of_the_registry_and_others_are_read() {
    let codes = [
        RefusalCode::MALFORMED,
        RefusalCode::UNKNOWN_KIND,
        RefusalCode::UNEXPECTED_KIND,
        RefusalCode::UNKNOWN_ENCODING,
        RefusalCode::NO_SESSION,
        RefusalCode::AUTHENTICATION_FAILED,
        RefusalCode::LIMIT_REACHED,
        RefusalCode::BUSY,
        RefusalCode::NOT_SHARED,
        RefusalCode::UNREADABLE,
        RefusalCode::NOT_ENROLLED,
        RefusalCode::TOO_FAST,
        RefusalCode::NO_TICKET,
    ];
    assert_eq!(codes.map(|code| code.0), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    for code in 0..=u16::MAX {
        let payload = format!(r#"{{"code":{code},"sentence":"no"}}"#);
        let frame = super::datagram(&bytes_of(1, 0xf0, JSON, payload.as_bytes())).unwrap().map(super::good);
        assert_eq!(code_of(&frame.unwrap()), Some(RefusalCode(code)));
    }
}

fn assert_refused(bytes: &[u8], code: RefusalCode, encoding: u8) {
    let (mut server, mut device) = server();
    let answer = server.ask_bytes(&mut device, bytes).expect("an answer");
    let answer = super::datagram(&answer).unwrap().map(super::good).expect("a frame");
    assert_eq!(code_of(&answer), Some(code), "{bytes:02x?}");
    assert_eq!((answer.request_id, answer.encoding.code()), (0x0102_0304, encoding), "{bytes:02x?}");
    assert_unchanged(&mut server, &mut device);
}

fn assert_silent(bytes: &[u8], name: &str) {
    let (mut server, mut device) = server();
    let before = server.responder.counters();
    assert_eq!(server.ask_bytes(&mut device, bytes), None, "{name} is answered: {bytes:02x?}");
    let expected = Counters { unexpected_replies: before.unexpected_replies + 1, ..before };
    assert_eq!(server.responder.counters(), expected, "{name}: {bytes:02x?}");
    assert_unchanged(&mut server, &mut device);
}

/// The code and the encoding of the refusal that answers these bytes.
fn refusal(bytes: &[u8]) -> (RefusalCode, Encoding) {
    let answers = answers(bytes);
    let [answer] = answers.as_slice() else { panic!("{} answers to {bytes:02x?}", answers.len()) };
    assert_eq!(answer.request_id, 0x0102_0304);
    (code_of(answer).expect("a refusal"), answer.encoding)
}

fn code_of(frame: &Frame) -> Option<RefusalCode> {
    match &frame.message {
        Message::Reply(Reply::Refused(refused)) => Some(refused.code),
        _ => None,
    }
}

fn verdict(received: Result<Option<Received>, FramingError>) -> Verdict {
    match received {
        Ok(Some(Received::Bad(bad))) => bad.verdict(),
        other => panic!("{other:?}"),
    }
}

fn is_versions(answers: &[Frame]) -> bool {
    let spoken = Message::Versions(Versions { lowest: 1, highest: 1 });
    matches!(answers, [answer] if answer.message == spoken && payload(Encoding::Raw, &answer.message) == [1, 1])
}
