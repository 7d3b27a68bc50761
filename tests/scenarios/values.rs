//! Texts, numbers, addresses and lists: what each may be, in every decoder (BT-2.1).

mod escaping;
mod labels;
mod names;

use std::fmt::Debug;
use std::net::SocketAddr;

use bittrickle_tests::samples;
use bittrickle_wire::messages::{
    Described, Enrol, Files, Filter, Found, HeartbeatReply, ListPeers, Located, Login, Peers, Publish,
    Refused, Search, SourceCursor, Unpublish,
};
use bittrickle_wire::{
    Encoding, FileBytes, FileName, Frame, Hex64, Message, Password, Payload, Query, Sentence, SourceAddress,
    TransferPort,
};
use bytes::BytesMut;
use proptest::prelude::*;
use serde_json::json;

/// BT-2.1-1
#[test]
fn a_member_name_is_1_to_64_bytes_without_white_space() {
    for name in ["a", "zoë", "Ann", "-x", "../..", "a\"b\\", "日本語", "e\u{301}", "CON", "😀"] {
        assert!(member_is_taken(name), "{name}");
    }
    assert!(member_is_taken(&"n".repeat(64)) && member_is_taken(&"é".repeat(32)));
    assert!(!member_is_taken(&"n".repeat(65)) && !member_is_taken(&format!("{}n", "é".repeat(32))));
    assert!(!member_is_taken(""));
    for white in WHITE_SPACE {
        assert!(!member_is_taken(&white.to_string()) && !member_is_taken(&format!("a{white}b")), "{white:?}");
    }
    assert_ne!(samples::member("Ann"), samples::member("ann"), "upper and lower case differ");
}

/// BT-2.1-1, BT-2.1-2: each of them, in a member name and in a sentence.
#[test]
fn an_invisible_character_is_refused_and_no_other_is_called_so() {
    let mut count = 0;
    for character in '\0'..=char::MAX {
        let expected = is_invisible(character);
        assert_eq!(bittrickle_wire::is_invisible(character), expected, "U+{:04X}", character as u32);
        count += usize::from(expected);
        if expected {
            let text = format!("a{character}b");
            assert!(!member_is_taken(&text), "U+{:04X} in a member name", character as u32);
            assert!(Sentence::new(&text).is_err(), "U+{:04X} in a sentence", character as u32);
            let refused = json!({ "code": 1, "sentence": text });
            assert!(!reads_json::<Refused>(&refused), "U+{:04X} in a sentence", character as u32);
        }
    }
    assert_eq!(count, 65 + 4 + 5 + 7 + 16 + 1 + 3 + 128);
}

/// BT-2.1-4
#[test]
fn a_password_is_1_to_128_bytes_and_a_query_0_to_255_without_control_characters() {
    let password = |text: &str| {
        let enrol = json!({ "member": "a", "password": text });
        taken_by_all(
            Password::new(text).is_ok(),
            reads_json::<Enrol>(&enrol),
            reads_bincode::<Enrol>(&[b"\x01a", &text_bytes(text)[..]]),
        )
    };
    let query = |text: &str| {
        let search =
            json!({ "filter": { "is_exact": false, "is_prefix": false, "is_online": false }, "text": text });
        taken_by_all(
            Query::new(text).is_ok(),
            reads_json::<Search>(&search),
            reads_bincode::<Search>(&[&text_bytes(text)[..], b"\0\0\0\0\0\0\0\0\0"]),
        )
    };
    assert!(query("") && !password(""));
    assert!(password(&"p".repeat(128)) && !password(&"p".repeat(129)) && !password(&"é".repeat(65)));
    assert!(query(&"q".repeat(255)) && !query(&"q".repeat(256)) && !query(&"é".repeat(128)));
    for character in ('\0'..='\u{2ff}').chain("\u{2028}\u{202e}\u{feff}\u{200b} 日😀".chars()) {
        let text = format!("a{character}b");
        assert_eq!(password(&text), !is_control(character), "{text:?}");
        assert_eq!(query(&text), !is_control(character), "{text:?}");
    }
}

/// BT-2.1-4: whoever prints what came in doesn't print this.
#[test]
fn a_password_is_never_shown() {
    let request = samples::enrol("alice", "wonderland");
    let message = Message::Request(request.clone());
    let frame = Frame { request_id: 1, encoding: Encoding::Json, message: message.clone() };
    let shown =
        [format!("{request:?}"), format!("{message:#?}"), format!("{frame:?}"), format!("{frame:#?}")];
    for text in shown {
        assert!(text.contains("alice") && !text.contains("wonderland"), "{text}");
    }
    let error = format!("{:?}", Password::new("wonder\0land").unwrap_err());
    assert!(!error.contains("wonder") && !error.contains("land"), "{error}");
}

/// BT-2.1-4
#[test]
fn a_sentence_is_0_to_200_bytes() {
    let taken = |text: &str| {
        let refused = json!({ "code": 1, "sentence": text });
        taken_by_all(
            Sentence::new(text).is_ok(),
            reads_json::<Refused>(&refused),
            reads_bincode::<Refused>(&[b"\x01", &text_bytes(text)[..]]),
        )
    };
    assert!(taken("") && taken(&"s".repeat(200)) && taken(&"é".repeat(100)) && taken("a b\u{a0}c, \"d\"!"));
    assert!(!taken(&"s".repeat(201)) && !taken(&format!("{}s", "é".repeat(100))));
}

/// BT-2.1-5: as many as the table says, and no more.
#[test]
fn a_list_has_at_most_its_entries() {
    let content = json!({ "file_bytes": null, "root": null, "is_folder": false });
    let publish = |count| json!({ "files": vec![json!({ "name": "a", "file_bytes": 1, "root": null, "is_folder": false }); count] });
    let unpublish = |count| json!({ "names": vec!["a"; count] });
    let found = |count| json!({ "hits": vec![json!({ "name": "a", "content": content, "members": 1, "sources": 1 }); count] });
    let source = json!({ "member": "m", "address": "127.0.0.1:5000", "content": content });
    let located = |count| json!({ "members": 1, "sources": vec![source.clone(); count] });
    let peers = |count| json!({ "members": vec![json!({ "name": "m", "sessions": 1 }); count] });
    let files =
        |count| json!({ "files": vec![json!({ "name": "a", "content": content, "sources": 1 }); count] });
    for count in [0, 1, 63, 64, 65, 66, 1_000] {
        let fits = count <= 64;
        assert_eq!(reads_json::<Publish>(&publish(count)), fits, "{count}");
        assert_eq!(reads_json::<Unpublish>(&unpublish(count)), fits, "{count}");
        assert_eq!(reads_json::<Found>(&found(count)), fits, "{count}");
        assert_eq!(reads_json::<Peers>(&peers(count)), fits, "{count}");
        assert_eq!(reads_json::<Files>(&files(count)), fits, "{count}");
        assert_eq!(reads_json::<Located>(&located(count)), count <= 8, "{count}");
        let Ok(byte) = u8::try_from(count) else { continue };
        assert_eq!(reads_bincode::<Publish>(&[&[byte], &b"\x01a\x01\0\0".repeat(count)]), fits, "{count}");
        assert_eq!(reads_bincode::<Unpublish>(&[&[byte], &b"\x01a".repeat(count)]), fits, "{count}");
        assert_eq!(
            reads_bincode::<Found>(&[&[byte], &b"\x01a\0\0\0\x01\x01".repeat(count), b"\0"]),
            fits,
            "{count}"
        );
        assert_eq!(reads_bincode::<Peers>(&[&[byte], &b"\x01m\x01".repeat(count), b"\0"]), fits, "{count}");
        assert_eq!(
            reads_bincode::<Files>(&[&[byte], &b"\x01a\0\0\0\x01".repeat(count), b"\0"]),
            fits,
            "{count}"
        );
    }
    for count in [7, 8, 9] {
        assert_eq!(reads_json::<Located>(&located(count)), count <= 8, "{count}");
        let source = b"\x01m\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\x01\xfb\0\x04\0\0\0\0";
        let byte = u8::try_from(count).unwrap();
        assert_eq!(
            reads_bincode::<Located>(&[&[1, byte], &source.repeat(count), b"\0"]),
            count <= 8,
            "{count}"
        );
    }
}

/// BT-2.1-6
#[test]
fn a_size_is_at_most_2_to_the_53_less_1() {
    for (bytes, fits) in [(0, true), ((1 << 53) - 1, true), (1 << 53, false), (u64::MAX, false)] {
        let written = [&[0xfd][..], &bytes.to_le_bytes()].concat();
        let binary = if bytes == 0 { &b"\0"[..] } else { &written };
        let rest = &[0, 0, 0][..];
        let json = reads_json::<Described>(&described(&json!(bytes)));
        assert_eq!(
            taken_by_all(FileBytes::new(bytes).is_ok(), json, reads_bincode::<Described>(&[binary, rest])),
            fits,
            "{bytes}"
        );
    }
    assert!(!reads_json::<Described>(&described(&json!(-1))));
}

fn described(bytes: &serde_json::Value) -> serde_json::Value {
    json!({ "file_bytes": bytes, "root": null, "manifest_bytes": null, "is_complete": true })
}

/// BT-2.1-7
#[test]
fn a_transfer_port_is_1024_to_65535() {
    for port in 0..=u16::MAX {
        let number = if port <= 250 {
            vec![port.to_le_bytes()[0]]
        } else {
            [&[0xfb][..], &port.to_le_bytes()].concat()
        };
        let login = json!({ "transfer_port": port });
        let binary = reads_bincode::<Login>(&[&number]);
        assert_eq!(
            taken_by_all(TransferPort::new(port).is_ok(), reads_json::<Login>(&login), binary),
            port >= 1_024,
            "{port}"
        );
    }
    let login = json!({ "transfer_port": 65_536 });
    assert!(!reads_json::<Login>(&login) && !reads_bincode::<Login>(&[b"\xfc\0\0\x01\0"]));
}

/// BT-2.1-8
#[test]
fn a_source_address_is_unicast_and_has_a_transfer_port() {
    let taken = [
        "127.0.0.1:1024",
        "10.0.0.1:65535",
        "0.0.0.1:5000",
        "223.255.255.255:5000",
        "240.0.0.1:5000",
        "[::1]:1024",
        "[2001:db8::1]:5000",
        "[fe80::1]:5000",
        "[::ffff:1.2.3.4]:5000",
        "[feff::1]:5000",
    ];
    let refused = [
        "127.0.0.1:0",
        "127.0.0.1:1023",
        "[::1]:1023",
        "0.0.0.0:5000",
        "[::]:5000",
        "224.0.0.1:5000",
        "239.255.255.255:5000",
        "255.255.255.255:5000",
        "[ff02::1]:5000",
        "[ff00::]:5000",
        "[::ffff:0.0.0.0]:5000",
        "[::ffff:224.0.0.1]:5000",
        "[::ffff:255.255.255.255]:5000",
    ];
    for (addresses, expected) in [(&taken[..], true), (&refused[..], false)] {
        for address in addresses {
            let parsed: SocketAddr = address.parse().unwrap();
            let json = reads_json::<SourceCursor>(&json!({ "member": "m", "address": address }));
            let binary = reads_bincode::<SourceCursor>(&[b"\x01m", &address_bytes(parsed)]);
            assert_eq!(taken_by_all(SourceAddress::new(parsed).is_ok(), json, binary), expected, "{address}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// BT-1.5-1, BT-1.5-4
    #[test]
    fn names_and_numbers_come_through_both_encodings(
        label in any::<String>(),
        bytes in prop_oneof![0..(1_u64 << 53), 0..70_000_u64, prop::sample::select(&samples::NUMBERS[..])],
        number in prop_oneof![any::<u32>(), 0..300_u32, 65_500..65_600_u32],
        hex in any::<u64>(),
    ) {
        let name = FileName::sanitized(&label);
        assert_comes_through(&samples::offer(name.as_str(), bytes));
        assert_comes_through(&samples::hit(name.as_str(), Some(bytes), number, number / 3));
        assert_comes_through(&samples::own_file(name.as_str(), None, number));
        assert_comes_through(&HeartbeatReply {
            boot_id: Hex64(hex),
            clock_ms: hex,
            offered: number,
            digest: Hex64(!hex),
        });
    }

    /// BT-2.1-8, BT-1.5-4
    #[test]
    fn addresses_and_queries_come_through_both_encodings(
        ip in any::<std::net::IpAddr>(),
        port in 1_024..=u16::MAX,
        text in "\\PC{0,40}",
    ) {
        if let Ok(address) = SourceAddress::new(SocketAddr::new(ip, port)) {
            assert_comes_through(&SourceCursor { member: samples::member("m"), address });
        }
        if let Ok(text) = Query::new(&text) {
            assert_comes_through(&Search { text, filter: Filter::default(), after: None });
        }
    }
}

/// The characters with Unicode's property White_Space.
const WHITE_SPACE: [char; 25] = [
    '\t', '\n', '\u{b}', '\u{c}', '\r', ' ', '\u{85}', '\u{a0}', '\u{1680}', '\u{2000}', '\u{2001}',
    '\u{2002}', '\u{2003}', '\u{2004}', '\u{2005}', '\u{2006}', '\u{2007}', '\u{2008}', '\u{2009}',
    '\u{200a}', '\u{2028}', '\u{2029}', '\u{202f}', '\u{205f}', '\u{3000}',
];

/// BT-2.1-2, typed off the specification.
fn is_invisible(character: char) -> bool {
    is_control(character)
        || matches!(
            u32::from(character),
            0xad | 0x34f | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f
                | 0xfeff | 0xfff9..=0xfffb
                | 0xe0000..=0xe007f
        )
}

/// Unicode's category Cc.
fn is_control(character: char) -> bool {
    matches!(u32::from(character), 0..=0x1f | 0x7f..=0x9f)
}

fn member_is_taken(name: &str) -> bool {
    let binary = reads_bincode::<ListPeers>(&[b"\x01", &text_bytes(name)]);
    let json = reads_json::<ListPeers>(&json!({ "after": name }));
    taken_by_all(bittrickle_wire::MemberName::new(name).is_ok(), json, binary)
}

/// All three ways into a value say the same.
fn taken_by_all(built: bool, json: bool, bincode: bool) -> bool {
    assert_eq!(
        (built, json, bincode),
        (built, built, built),
        "built by hand, read from JSON, read from bincode"
    );
    built
}

fn reads_json<T: Payload>(value: &serde_json::Value) -> bool {
    Encoding::Json.decode::<T>(value.to_string().as_bytes()).is_ok()
}

fn reads_bincode<T: Payload>(parts: &[&[u8]]) -> bool {
    Encoding::Bincode.decode::<T>(&parts.concat()).is_ok()
}

/// A text as bincode writes it, whatever it is.
fn text_bytes(text: &str) -> Vec<u8> {
    let bytes = text.len();
    let length = match u8::try_from(bytes) {
        Ok(byte @ 0..=250) => vec![byte],
        _ => [&[0xfb][..], &u16::try_from(bytes).unwrap().to_le_bytes()].concat(),
    };
    [&length, text.as_bytes()].concat()
}

fn address_bytes(address: SocketAddr) -> Vec<u8> {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        std::net::IpAddr::V6(ip) => ip,
    };
    let port = address.port().to_le_bytes();
    let number = if address.port() <= 250 { vec![port[0]] } else { vec![0xfb, port[0], port[1]] };
    [&ip.octets()[..], &number].concat()
}

fn assert_comes_through<T: Payload + PartialEq + Debug>(value: &T) {
    for encoding in [Encoding::Json, Encoding::Bincode] {
        let mut bytes = BytesMut::new();
        encoding.encode(value, &mut bytes);
        assert_eq!(&encoding.decode::<T>(&bytes).unwrap(), value, "{encoding:?}");
    }
}
