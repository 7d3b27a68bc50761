//! JSON and bincode: which bytes are a value, and which are not (BT-1.5).

use bittrickle_tests::samples::{self, every_message};
use bittrickle_wire::messages::Described;
use bittrickle_wire::{Encoding, Kind, Message, Received};
use serde_json::Value;

use super::{MESSAGE_BYTES_MAX, bytes_of, datagram, encode, good, payload};

/// BT-1.5-1
#[test]
fn both_encodings_carry_every_message() {
    for (name, message) in structured() {
        for encoding in [Encoding::Json, Encoding::Bincode] {
            let frame = good(datagram(&encode(encoding, 3, &message)).unwrap().unwrap());
            assert_eq!(
                (frame.message, frame.encoding, frame.request_id),
                (message.clone(), encoding, 3),
                "{name}"
            );
        }
    }
}

/// BT-1.5-2
#[test]
fn json_is_written_without_white_space_and_with_every_field() {
    for (name, message) in structured() {
        let text = json(&message);
        assert_eq!(spaced(&text, ""), text, "{name} has white space between its items");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(value.is_object(), "{name}");
    }
    let search = json(&Message::Request(samples::search("a", None)));
    assert_eq!(
        search,
        r#"{"text":"a","filter":{"is_exact":false,"is_prefix":false,"is_online":false,"extension":null,"bytes_min":null,"bytes_max":null,"member":null,"root_prefix":null},"after":null}"#,
        "a field that is absent is written as null"
    );
    for (name, message) in
        structured().filter(|(name, _)| matches!(*name, "heartbeat" | "enrolled" | "describe"))
    {
        assert_eq!(json(&message), "{}", "{name} has no fields");
    }
}

/// BT-1.5-2
#[test]
fn json_is_read_with_any_white_space_and_in_any_order() {
    for (name, message) in structured() {
        let text = json(&message);
        let value: Value = serde_json::from_str(&text).unwrap();
        for text in [spaced(&text, " "), reordered(&value, false), reordered(&value, true)] {
            if text.len() > MESSAGE_BYTES_MAX {
                continue;
            }
            assert_eq!(
                read(message.kind(), Encoding::Json, text.as_bytes()).as_ref(),
                Some(&message),
                "{name}: {text}"
            );
        }
    }
    for text in ["\t{\r\n\"after\" :\"a\"}  \n", "{\"\\u0061fter\":\"\\u0061\"}"] {
        assert!(read(Kind::ListPeers, Encoding::Json, text.as_bytes()).is_some(), "{text}");
    }
}

/// BT-1.5-2: in the message and in every object within it.
#[test]
fn a_field_that_is_not_known_or_comes_twice_is_refused() {
    for (name, message) in structured() {
        let text = json(&message);
        for (at, _) in text.match_indices('{').filter(|(at, _)| !in_string(&text, *at)) {
            let comma = if text[at + 1..].starts_with('}') { "" } else { "," };
            let unknown = format!("{}\"x\":1{comma}{}", &text[..=at], &text[at + 1..]);
            assert_eq!(read(message.kind(), Encoding::Json, unknown.as_bytes()), None, "{name}: {unknown}");
        }
        let Value::Object(fields) = serde_json::from_str(&text).unwrap() else {
            panic!("{name} is an object")
        };
        for (field, value) in fields {
            let twice = format!("{{\"{field}\":{value},{}", &text[1..]);
            if twice.len() > MESSAGE_BYTES_MAX {
                continue;
            }
            assert_eq!(read(message.kind(), Encoding::Json, twice.as_bytes()), None, "{name}: {twice}");
        }
    }
}

/// BT-1.5-2: only a field that may be absent can be left out.
#[test]
fn a_field_that_is_left_out_is_absent_or_refused() {
    for (name, message) in structured() {
        let Value::Object(fields) = serde_json::from_str(&json(&message)).unwrap() else { panic!("{name}") };
        for (field, value) in &fields {
            let mut fewer = fields.clone();
            fewer.remove(field);
            let expected = value.is_null().then_some(&message);
            let found = read(message.kind(), Encoding::Json, Value::Object(fewer).to_string().as_bytes());
            if matches!(field.as_str(), "after" | "next" | "root" | "manifest_bytes") {
                assert!(
                    found.is_some() && (!value.is_null() || found.as_ref() == expected),
                    "{name} without {field}"
                );
            } else {
                assert_eq!(found, None, "{name} without {field}");
            }
        }
    }
}

/// BT-1.5-2: a message is an object, and so is a struct within it.
#[test]
fn an_array_in_the_place_of_an_object_is_refused() {
    let texts = [
        (Kind::Heartbeat, "[]"),
        (Kind::Fetch, "[2,0,1]"),
        (Kind::Login, "[5000]"),
        (Kind::Enrol, r#"["alice","wonderland"]"#),
        (Kind::Search, r#"["a",null]"#),
        (Kind::Search, r#"{"text":"a","filter":[],"after":null}"#),
        (Kind::Publish, r#"{"files":[["a",1]]}"#),
        (Kind::AskHave, "[0]"),
        (Kind::Refused, r#"[5,"no"]"#),
    ];
    for (kind, text) in texts {
        assert_eq!(read(kind, Encoding::Json, text.as_bytes()), None, "{kind:?}: {text}");
    }
}

/// BT-1.5-2, BT-1.5-4
#[test]
fn a_json_number_is_an_integer_within_its_range() {
    for number in ["0", "250", "9007199254740991"] {
        assert!(is_content(number), "{number}");
    }
    let refused = [
        "1.0",
        "1e3",
        "1E0",
        "-1",
        "-0",
        "01",
        "+1",
        "9007199254740992",
        "18446744073709551616",
        "\"1\"",
        "true",
        "null",
        "[1]",
        "{}",
        "NaN",
        "0x1",
        "1_000",
        "",
    ];
    for number in refused {
        assert!(!is_content(number), "{number}");
    }
}

/// BT-1.5-2: UTF-8, one value, nothing behind it.
#[test]
fn json_that_is_not_one_object_in_utf_8_is_refused() {
    let payloads: [&[u8]; 15] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"null",
        b"\"a\"",
        b"{\"name\":\"a\"}x",
        b"{\"name\":\"a\"}{\"name\":\"a\"}",
        b"{\"name\":\"a\",}",
        b"\xef\xbb\xbf{\"name\":\"a\"}",
        b"{\"name\":\"\xff\"}",
        b"{\"name\":\"\\ud800\"}",
        b"{'name':'a'}",
        b"{\"name\":\"a\"/**/}",
        b"{\"name\":\"a\"}\0",
    ];
    for payload in payloads {
        assert_eq!(
            read(Kind::Fetch, Encoding::Json, payload),
            None,
            "{:?}",
            String::from_utf8_lossy(payload)
        );
    }
    assert_eq!(read(Kind::Fetch, Encoding::Json, &[b'['; 1_152]), None, "nested as deep as a payload can be");
}

/// BT-1.5-4
#[test]
fn a_number_in_bincode_takes_the_first_form_that_fits() {
    let forms: [(u64, &[u8]); 9] = [
        (0, &[0]),
        (250, &[250]),
        (251, &[0xfb, 251, 0]),
        (0xffff, &[0xfb, 0xff, 0xff]),
        (0x1_0000, &[0xfc, 0, 0, 1, 0]),
        (0xffff_ffff, &[0xfc, 0xff, 0xff, 0xff, 0xff]),
        (0x1_0000_0000, &[0xfd, 0, 0, 0, 0, 1, 0, 0, 0]),
        (0x0102_0304_0506, &[0xfd, 6, 5, 4, 3, 2, 1, 0, 0]),
        ((1 << 53) - 1, &[0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0]),
    ];
    for (number, form) in forms {
        // A size, then no root, no manifest, not complete.
        let (message, form) = (described(number), [form, &[0, 0, 0]].concat());
        assert_eq!(payload(Encoding::Bincode, &message), form, "{number}");
        assert_eq!(read(Kind::Described, Encoding::Bincode, &form), Some(message), "{number}");
    }
}

/// BT-1.5-3, BT-1.5-4: a longer form of the same number is malformed, in sizes, lengths, counts, codes and ports.
#[test]
fn a_longer_form_of_a_number_is_refused() {
    let fields: [(Kind, &[u8], u64, &[u8]); 7] = [
        (Kind::Described, b"", 250, b"\0\0\0"),
        (Kind::Described, b"", 65_535, b"\0\0\0"),
        (Kind::Fetch, b"\x02", 1, b"\x01"),
        (Kind::Publish, b"", 0, b""),
        (Kind::Published, b"", 200, b""),
        (Kind::Refused, b"", 7, b"\0"),
        (Kind::Login, b"", 2_000, b""),
    ];
    for (kind, front, number, behind) in fields {
        let mut taken = 0;
        for form in forms(number) {
            let payload = [front, &form, behind].concat();
            taken += usize::from(read(kind, Encoding::Bincode, &payload).is_some());
        }
        assert_eq!(taken, 1, "{kind:?}: {number} has one form");
    }
    for number in [250, 251, 65_535, 65_536, u64::from(u32::MAX), 1 << 32] {
        let taken = forms(number)
            .iter()
            .filter(|form| read(Kind::Described, Encoding::Bincode, &[form, &[0; 3][..]].concat()).is_some())
            .count();
        assert_eq!(taken, 1, "{number}");
    }
}

/// BT-1.5-4
#[test]
fn the_mark_of_an_optional_value_is_0_or_1() {
    let source = b"\x01m\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xfb\0\x04\0\0\0";
    for byte in 0..=u8::MAX {
        let access = if byte == 0 { vec![] } else { vec![7; 64] };
        let located = [&b"\x01\x01"[..], source, &[byte], &access, b"\0"].concat();
        assert_eq!(read(Kind::Located, Encoding::Bincode, &located).is_some(), byte <= 1, "access {byte}");
        let list = [&[byte][..], b"\x01a"].concat();
        assert_eq!(read(Kind::ListPeers, Encoding::Bincode, &list).is_some(), byte == 1, "optional {byte}");
    }
}

/// BT-1.5-3: a payload ends where its value ends.
#[test]
fn a_payload_that_is_longer_or_shorter_than_its_value_is_refused() {
    for (name, message) in structured() {
        let bytes = payload(Encoding::Bincode, &message);
        for byte in [0, 1, 0xff] {
            let longer = [&bytes[..], &[byte]].concat();
            assert_eq!(read(message.kind(), Encoding::Bincode, &longer), None, "{name} and a {byte}");
        }
        for end in 0..bytes.len() {
            assert_eq!(read(message.kind(), Encoding::Bincode, &bytes[..end]), None, "{name} up to {end}");
        }
    }
}

/// BT-1.5-4: hex64 and address.
#[test]
fn hex_digits_and_addresses_are_written_as_the_table_says() {
    let hex = |text: &str| {
        let payload = format!(r#"{{"boot_id":"{text}","clock_ms":1,"heartbeat_ms":1,"offline_after_ms":1}}"#);
        read(Kind::LoggedIn, Encoding::Json, payload.as_bytes()).is_some()
    };
    assert!(hex("0123456789abcdef"));
    for text in [
        "0123456789ABCDEF",
        "123456789abcdef",
        "00123456789abcdef",
        "0x23456789abcdef",
        "+123456789abcdef",
        "",
    ] {
        assert!(!hex(text), "{text}");
    }
    for (text, bytes) in [
        ("1.2.3.4:5000", b"\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04\xfb\x88\x13"),
        ("[::1]:5000", b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xfb\x88\x13"),
    ] {
        let message = Message::Request(samples::locate("a", Some(samples::source_cursor("m", text))));
        assert_eq!(
            payload(Encoding::Bincode, &message),
            [&b"\x06name:a\x01\x01m"[..], bytes].concat(),
            "{text}"
        );
        assert!(json(&message).ends_with(&format!(r#""address":"{text}"}}}}"#)), "{text}");
    }
    assert_eq!(address("[::ffff:1.2.3.4]:5000"), address("1.2.3.4:5000"), "IPv4 written as IPv6 means IPv4");
    for text in
        ["1.2.3.4", ":5000", "localhost:5000", "::1:5000", "[1.2.3.4]:5000", "01.2.3.4:5000", " 1.2.3.4:5000"]
    {
        assert_eq!(address(text), None, "{text}");
    }
}

/// BT-1.5-4: a key or a ticket is 64 digits, or 32 bytes.
#[test]
fn keys_and_tickets_are_written_as_the_table_says() {
    let source = samples::source("m", "1.2.3.4:5000", None, Some(samples::access(0xf0)));
    let located =
        bittrickle_wire::messages::Located { members: 1, sources: samples::list(vec![source]), next: None };
    let message = Message::Reply(bittrickle_wire::messages::Reply::Located(located));
    let bytes: Vec<u8> = (0..64).map(|i: u8| i.wrapping_add(0xf0)).collect();
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(payload(Encoding::Bincode, &message).windows(64).any(|window| window == bytes));
    let text = json(&message);
    let access = format!(r#"{{"device":"{}","ticket":"{}"}}"#, &digits[..64], &digits[64..]);
    assert!(text.contains(&access), "{text}");
    let read = |text: &str| read(Kind::Located, Encoding::Json, text.as_bytes()).is_some();
    assert!(read(&text));
    for changed in [digits[..64].to_uppercase(), digits[..63].to_owned(), format!("{}00", &digits[..64])] {
        assert!(!read(&text.replace(&digits[..64], &changed)), "{changed}");
    }
}

/// BT-1.5-4: bincode has no room for a zone, so JSON can't carry one either.
#[test]
fn an_address_with_a_zone_is_refused() {
    for text in ["[fe80::1%1]:5000", "[fe80::1%4294967295]:5000", "[::1%0]:5000"] {
        assert_eq!(address(text), None, "{text}");
    }
}

/// A `Locate` behind a source at this address, if it is taken.
fn address(text: &str) -> Option<Message> {
    let payload = format!(r#"{{"target":"name:a","after":{{"member":"m","address":"{text}"}}}}"#);
    read(Kind::Locate, Encoding::Json, payload.as_bytes())
}

fn structured() -> impl Iterator<Item = (&'static str, Message)> {
    every_message()
        .into_iter()
        .filter(|(_, message)| !matches!(message, Message::Data(_) | Message::Versions(_)))
}

fn json(message: &Message) -> String {
    String::from_utf8(payload(Encoding::Json, message)).unwrap()
}

fn read(kind: Kind, encoding: Encoding, payload: &[u8]) -> Option<Message> {
    match datagram(&bytes_of(1, kind.code(), encoding.code(), payload)).expect("a frame") {
        Some(Received::Frame(frame)) => Some(frame.message),
        _ => None,
    }
}

fn is_content(number: &str) -> bool {
    let text = format!(r#"{{"file_bytes":{number},"root":null,"manifest_bytes":null,"is_complete":false}}"#);
    read(Kind::Described, Encoding::Json, text.as_bytes()).is_some()
}

fn described(bytes: u64) -> Message {
    let file_bytes = samples::size(bytes);
    Message::Described(Described { file_bytes, root: None, manifest_bytes: None, is_complete: false })
}

/// Every form in which bincode could write a number, the right one among them.
fn forms(number: u64) -> Vec<Vec<u8>> {
    let bytes = u128::from(number).to_le_bytes();
    let mut forms = vec![];
    if number <= 250 {
        forms.push(vec![bytes[0]]);
    }
    for (mark, width) in [(0xfb, 2), (0xfc, 4), (0xfd, 8), (0xfe, 16)] {
        if bytes[width..].iter().all(|byte| *byte == 0) {
            forms.push([&[mark][..], &bytes[..width]].concat());
        }
    }
    forms
}

/// The text with `space` around every sign that isn't in a string, and without any other white space.
fn spaced(text: &str, space: &str) -> String {
    let mut out = String::new();
    for (at, character) in text.char_indices() {
        if in_string(text, at) {
            out.push(character);
        } else if matches!(character, '{' | '}' | '[' | ']' | ':' | ',') {
            out.extend([space, &character.to_string(), space]);
        } else if !character.is_whitespace() {
            out.push(character);
        }
    }
    out
}

fn in_string(text: &str, at: usize) -> bool {
    let (mut inside, mut escaped) = (false, false);
    for character in text[..at].chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => inside = !inside,
            _ => {}
        }
    }
    inside
}

/// The fields of every object in the order of the alphabet, or backwards.
fn reordered(value: &Value, backwards: bool) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("\"{name}\":{}", reordered(value, backwards)))
                .collect();
            fields.sort();
            if backwards {
                fields.reverse();
            }
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(entries) => {
            let entries: Vec<String> = entries.iter().map(|entry| reordered(entry, backwards)).collect();
            format!("[{}]", entries.join(","))
        }
        other => other.to_string(),
    }
}
