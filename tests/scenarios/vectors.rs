//! The vectors of `spec/vectors` and the code agree, byte for byte.
//!
//! `frames.json` is written from the samples of the harness: when a sample or the format changes on purpose, run the
//! tests once with the environment variable `BITTRICKLE_BLESS` set, and read the difference. `legacy.json` was printed
//! by Python, whose `json.dumps` is what the format follows; it is mended by hand.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Once;

use bittrickle_tests::samples;
use bittrickle_wire::legacy::{self, GetRequest, PeerReply, RequestKind};
use bittrickle_wire::messages::Versions;
use bittrickle_wire::{DatagramCodec, Encoding, Frame, Kind, Message, Received};
use bytes::BytesMut;
use serde_json::{Value, json};
use tokio_util::codec::{Decoder as _, Encoder as _};

use crate::project;

const ABOUT: &str = "Frames in hexadecimal, header included, beside what they say: every kind in both \
                     encodings, or raw. The request ids are the first four letters of the names.";

/// BT-1.5-1, BT-1.5-3, BT-1.5-4: the file can't go stale.
#[test]
fn the_file_of_frames_is_what_the_samples_give() {
    let (found, expected) = (read("frames.json"), frames_file());
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

/// BT-1.2-1, BT-1.5-3: every value has one form in bincode, and one without white space in JSON.
#[test]
fn every_vector_is_decoded_and_encoded_again_to_the_same_bytes() {
    for vector in vectors("frames.json", "vectors") {
        let bytes = unhex(text(&vector, "hex"));
        let frame = decode(&bytes);
        assert_eq!(encode(frame.clone()), bytes, "{}", vector["name"]);
        assert_eq!(format!("{:?}", frame.message.kind()), text(&vector, "kind"));
        assert_eq!(encoding_name(frame.encoding), text(&vector, "encoding"), "{}", vector["name"]);
        assert_eq!(json!(frame.request_id), vector["request_id"], "{}", vector["name"]);
    }
}

/// BT-1.5-1: JSON and bincode carry the same values.
#[test]
fn every_vector_says_what_stands_beside_it() {
    for vector in vectors("frames.json", "vectors") {
        let message = decode(&unhex(text(&vector, "hex"))).message;
        let value: Value = serde_json::from_str(&value_text(&message)).unwrap();
        assert_eq!(value, vector["value"], "{}", vector["name"]);
    }
}

/// BT-5.1-1, BT-1.2-5: `Data` and `Versions` are raw, the others are not. What stands outside a seal has a file of its own.
#[test]
fn every_kind_has_a_vector_in_each_of_its_encodings() {
    let vectors = vectors("frames.json", "vectors");
    let covered: BTreeSet<(String, String)> =
        vectors.iter().map(|v| (text(v, "kind").to_owned(), text(v, "encoding").to_owned())).collect();
    let expected: BTreeSet<(String, String)> = Kind::ALL
        .iter()
        .filter(|kind| !kind.is_outside())
        .flat_map(|kind| {
            encodings(*kind).iter().map(move |e| (format!("{kind:?}"), encoding_name(*e).to_owned()))
        })
        .collect();
    assert_eq!(covered, expected);
    let names: BTreeSet<_> = vectors.iter().map(|v| (text(v, "name"), text(v, "encoding"))).collect();
    assert_eq!(names.len(), vectors.len(), "each vector has a name of its own in its encoding");
}

/// BT-1.2-1, BT-1.5-2, BT-1.5-3, BT-1.5-4: a few frames, spelled by hand from the specification.
#[test]
fn frames_that_were_spelled_by_hand_are_among_the_vectors() {
    let by_hand = [
        ("login", "bincode", "b7 01 10 01 6c6f6769 00000003 fb 50c3"),
        ("enrol", "bincode", "b7 01 13 01 656e726f 00000011 05 616c696365 0a 776f6e6465726c616e64"),
        ("heartbeat", "json", "b7 01 11 00 68656172 00000002 7b7d"),
        ("logout", "bincode", "b7 01 12 01 6c6f676f 00000000"),
        ("described_251", "bincode", "b7 01 c0 01 64657363 00000006 fb fb00 00 00 01"),
        ("described_65536", "bincode", "b7 01 c0 01 64657363 00000008 fc 00000100 00 00 01"),
        ("described_2_32", "bincode", "b7 01 c0 01 64657363 0000000c fd 0000000001000000 00 00 01"),
        ("describe", "json", "b7 01 40 00 64657363 00000002 7b7d"),
        ("fetch_pieces", "bincode", "b7 01 41 01 66657463 00000009 02 fb ffff fc 00000100"),
        ("ask_have", "bincode", "b7 01 42 01 61736b5f 00000003 fb 0010"),
        ("have_some", "bincode", "b7 01 c2 01 68617665 00000007 fb 0010 03 0180ff"),
        (
            "logged_in",
            "bincode",
            "b7 01 90 01 6c6f6767 00000013 0123456789abcdef fc 87d61200 fb d007 fb 581b",
        ),
        (
            "located",
            "bincode",
            "b7 01 a3 01 6c6f6361 0000005f 02 01 03 626f62 00000000000000000000ffff7f000001 fb 50c3 01 05 00 00 \
             01 101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f \
             303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f 00",
        ),
        ("data", "raw", "b7 01 c1 02 64617461 00000006 68656c6c6f0a"),
        ("versions", "raw", "b7 00 ff 02 76657273 00000002 01 01"),
    ];
    let vectors = vectors("frames.json", "vectors");
    for (name, encoding, hex) in by_hand {
        let vector = vectors.iter().find(|v| v["name"] == name && v["encoding"] == encoding).expect(name);
        assert_eq!(text(vector, "hex"), hex.replace(' ', ""), "{name}");
    }
}

/// BT-4.1-2
#[test]
fn every_legacy_request_is_read_and_printed_as_python_does() {
    let vectors = vectors("legacy.json", "requests");
    let types: BTreeSet<_> = vectors.iter().map(|v| text(&v["value"], "type").to_owned()).collect();
    assert_eq!(types.len(), 8, "each type has a vector: {types:?}");
    for vector in vectors {
        let expected = legacy_request(&vector["value"]);
        let printed = text(&vector, "text");
        assert_eq!(legacy::Request::decode(printed.as_bytes()).unwrap(), expected, "{}", vector["name"]);
        assert_eq!(String::from_utf8(expected.encode()).unwrap(), printed, "{}", vector["name"]);
    }
}

/// BT-4.1-2, BT-4.2-1: each of the original's sentences stands in a vector.
#[test]
fn every_legacy_reply_is_read_and_printed_as_python_does() {
    let vectors = vectors("legacy.json", "replies");
    for vector in &vectors {
        let expected = legacy_reply(&vector["value"]);
        let printed = text(vector, "text");
        assert_eq!(legacy::Reply::decode(printed.as_bytes()).unwrap(), expected, "{}", vector["name"]);
        assert_eq!(String::from_utf8(expected.encode()).unwrap(), printed, "{}", vector["name"]);
    }
    for sentence in SENTENCES {
        assert!(vectors.iter().any(|v| v["value"]["message"] == sentence), "{sentence}");
    }
}

/// BT-4.3-1: the longest request that there may be is among them.
#[test]
fn every_legacy_get_is_read_and_written() {
    let vectors = vectors("legacy.json", "gets");
    assert!(!vectors.is_empty());
    for vector in vectors {
        let request = GetRequest { name: text(&vector, "value").to_owned() };
        let bytes = text(&vector, "text").as_bytes();
        assert_eq!(GetRequest::decode(bytes).unwrap(), request, "{}", vector["name"]);
        assert_eq!(request.encode().unwrap(), bytes, "{}", vector["name"]);
    }
}

/// BT-4.2-1, from the table of the specification.
const SENTENCES: [&str; 19] = [
    "Welcome to BitTrickle!",
    "Authentication failed. Please try again.",
    "Authentication failed. You are already logged in.",
    "Hearbeat received",
    "Active users listed.",
    "No active peers",
    "Files Listed.",
    "No files published",
    "File published successfully",
    "File publish was unsuccessful",
    "File unpublished successfully",
    "No files published with that filename",
    "File cannot be unpublished as you are not the publisher of the file.",
    "Matching files found.",
    "No matching files found.",
    "File not found",
    "File owner is not active",
    "Unknown user",
    "Unknown request",
];

fn legacy_request(value: &Value) -> legacy::Request {
    let string = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    let kind = match text(value, "type") {
        "login" => RequestKind::Login {
            password: string("password").unwrap(),
            tcp_port: value["tcp_port"].as_u64().unwrap().try_into().unwrap(),
        },
        "heartbeat" => RequestKind::Heartbeat,
        "lap" => RequestKind::Lap,
        "lpf" => RequestKind::Lpf,
        "pub" => RequestKind::Pub(string("filename")),
        "unp" => RequestKind::Unp(string("filename")),
        "sch" => RequestKind::Sch(string("substring")),
        "get" => RequestKind::Get(string("filename")),
        other => panic!("no type is called {other}"),
    };
    legacy::Request { username: string("username").unwrap(), kind }
}

fn legacy_reply(value: &Value) -> legacy::Reply {
    let strings =
        |list: &Value| list.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect();
    let message = || text(value, "message").to_owned();
    if value["status"] == "fail" {
        legacy::Reply::Fail(message())
    } else if let Some(users) = value.get("users") {
        assert_eq!(message(), "Active users listed.");
        legacy::Reply::Users(strings(users))
    } else if let Some(files) = value.get("files") {
        legacy::Reply::Files(message(), strings(files))
    } else if let Some(address) = value.get("peer_address") {
        let port = value["peer_port"].as_u64().unwrap().try_into().unwrap();
        legacy::Reply::Peer(PeerReply { address: address.as_str().unwrap().parse().unwrap(), port })
    } else {
        legacy::Reply::Success(message())
    }
}

fn frames_file() -> String {
    let lines: Vec<String> = samples::every_message()
        .iter()
        .flat_map(|(name, message)| encodings(message.kind()).iter().map(|e| vector_line(name, *e, message)))
        .collect();
    format!("{{\n\"about\": {},\n\"vectors\": [\n{}\n]\n}}\n", json!(ABOUT), lines.join(",\n"))
}

fn vector_line(name: &str, encoding: Encoding, message: &Message) -> String {
    let first_letters = *name.as_bytes().first_chunk::<4>().expect("a name of four letters or more");
    let request_id = u32::from_be_bytes(first_letters);
    let hex = hex(&encode(Frame { request_id, encoding, message: message.clone() }));
    let (kind, value) = (message.kind(), value_text(message));
    format!(
        "{{\"name\": \"{name}\", \"kind\": \"{kind:?}\", \"encoding\": \"{}\", \"request_id\": {request_id}, \
         \"hex\": \"{hex}\", \"value\": {value}}}",
        encoding_name(encoding)
    )
}

/// What a message says, as JSON: its payload in that encoding, or our own form of what is always raw.
fn value_text(message: &Message) -> String {
    match message {
        Message::Data(bytes) => json!({ "hex": hex(bytes) }).to_string(),
        Message::Versions(Versions { lowest, highest }) => {
            format!("{{\"lowest\":{lowest},\"highest\":{highest}}}")
        }
        _ => {
            let frame = Frame { request_id: 0, encoding: Encoding::Json, message: message.clone() };
            String::from_utf8(encode(frame).split_off(12)).unwrap()
        }
    }
}

fn encodings(kind: Kind) -> &'static [Encoding] {
    if matches!(kind, Kind::Data | Kind::Versions) {
        &[Encoding::Raw]
    } else {
        &[Encoding::Json, Encoding::Bincode]
    }
}

fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => "json",
        Encoding::Bincode => "bincode",
        Encoding::Raw => "raw",
    }
}

fn encode(frame: Frame) -> Vec<u8> {
    let mut out = BytesMut::new();
    DatagramCodec.encode(frame, &mut out).expect("samples fit a datagram");
    out.to_vec()
}

fn decode(bytes: &[u8]) -> Frame {
    match DatagramCodec.decode(&mut BytesMut::from(bytes)) {
        Ok(Some(Received::Frame(frame))) => frame,
        other => panic!("{other:?}"),
    }
}

fn vectors(file: &str, list: &str) -> Vec<Value> {
    let mut file: Value = serde_json::from_str(&read(file)).unwrap();
    serde_json::from_value(file[list].take()).unwrap()
}

/// The file's text; that of the frames is written first when the tests were told to.
fn read(file: &str) -> String {
    static BLESSED: Once = Once::new();
    let folder = project().join("spec/vectors");
    BLESSED.call_once(|| {
        if std::env::var_os("BITTRICKLE_BLESS").is_some() {
            fs::write(folder.join("frames.json"), frames_file()).unwrap();
        }
    });
    fs::read_to_string(folder.join(file)).unwrap()
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
