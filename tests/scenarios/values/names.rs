//! File names: hostile ones are refused wherever they come in, and made harmless where they must be kept (BT-2.1-3).

use std::collections::BTreeSet;

use bittrickle_wire::FileName;
use bittrickle_wire::messages::{Hit, Locate, Offer, OwnFile, Unpublish};
use proptest::prelude::*;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::labels::{acceptable_names, devices, hostile_names};
use super::{WHITE_SPACE, is_invisible, reads_bincode, reads_json, text_bytes};

/// BT-2.1-3: in every field that holds a name.
#[test]
fn a_hostile_name_is_refused_by_every_decoder() {
    let names = hostile_names();
    assert!(names.len() >= 300, "{} names", names.len());
    for name in &names {
        assert!(FileName::new(name).is_err(), "{name:?}");
        for (field, taken) in readers(name) {
            assert!(!taken, "{name:?} in {field}");
        }
    }
}

/// BT-2.1-3: the readers refuse a name, and nothing else.
#[test]
fn an_acceptable_name_is_taken_by_every_decoder() {
    for name in acceptable_names() {
        FileName::new(&name).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        for (field, taken) in readers(&name) {
            assert!(taken, "{name:?} in {field}");
        }
    }
}

/// BT-3.5-7
#[test]
fn a_hostile_name_made_harmless_is_one_component_and_stays_as_it_is() {
    let names = hostile_names();
    let mut harmless = BTreeSet::new();
    for label in &names {
        let name = FileName::sanitized(label);
        assert_harmless(label, &name);
        assert!(name.as_str().contains(&format!("_{}", short_hash(label))), "{label:?} became {name:?}");
        harmless.insert(name.as_str().to_owned());
    }
    assert_eq!(harmless.len(), names.len(), "no two of them meet");
}

/// BT-3.5-7
#[test]
fn an_acceptable_name_stays_as_it_is() {
    for name in acceptable_names() {
        assert_eq!(FileName::sanitized(&name).as_str(), name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// BT-3.5-7
    #[test]
    fn any_label_becomes_one_harmless_component(
        label in any::<String>(),
        pieces in prop::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.concat()),
    ) {
        for label in [label.clone(), pieces.clone(), format!("{label}{pieces}"), pieces.repeat(7)] {
            assert_harmless(&label, &FileName::sanitized(&label));
        }
    }

    /// BT-2.1-3: of texts whose normal form is known, exactly those are taken that the clause describes.
    #[test]
    fn a_name_is_taken_where_the_clause_takes_it(pieces in prop::collection::vec(stable_piece(), 0..8)) {
        let text = pieces.concat();
        prop_assert_eq!(FileName::new(&text).is_ok(), follows_the_clause(&text), "{:?}", text);
    }
}

/// Parts of which hostile labels are made.
fn piece() -> impl Strategy<Value = String> {
    let parts = [
        "..",
        ".",
        "/",
        "\\",
        ":",
        "CON",
        "nul",
        "com1",
        "LPT¹",
        " ",
        "\u{a0}",
        "\0",
        "\u{202e}",
        "\u{200b}",
        "e\u{301}",
        "\u{301}",
        "\u{338}",
        "<",
        "=",
        "-",
        "~",
        "é",
        "日本",
        ".txt",
        ".tar.gz",
        "😀",
        "\u{1100}",
        "\u{1161}",
        "\u{11a8}",
        "\u{f900}",
        "_",
        "ﬁ",
        "\u{e0041}",
        "n",
        "\u{b47}",
        "\u{b3e}",
    ];
    let part = prop::sample::select(parts.to_vec()).prop_map(str::to_owned);
    prop_oneof![4 => part, 1 => any::<char>().prop_map(String::from)]
}

/// Parts that are in normalization form C, in whatever order they come.
fn stable_piece() -> impl Strategy<Value = String> {
    let parts = [
        "a",
        "Z",
        "0",
        "_",
        "é",
        "日",
        "😀",
        ".",
        "..",
        "-",
        "~",
        " ",
        "\u{a0}",
        "\u{3000}",
        "/",
        "\\",
        ":",
        "<",
        ">",
        "\"",
        "|",
        "?",
        "*",
        "\0",
        "\u{1f}",
        "\u{7f}",
        "\u{9f}",
        "\u{ad}",
        "\u{200b}",
        "\u{202e}",
        "\u{2066}",
        "\u{feff}",
        "con",
        "PRN",
        "aUx",
        "Nul",
        "COM",
        "lpt",
        "1",
        "9",
        "¹",
        "³",
        "⁴",
        "conin$",
        "CONOUT$",
        ".txt",
        "long name of some bytes ",
    ];
    let long = (200..260_usize).prop_map(|bytes| "n".repeat(bytes));
    prop_oneof![12 => prop::sample::select(parts.to_vec()).prop_map(str::to_owned), 1 => long]
}

/// BT-2.1-3 but for normalization, typed off the specification.
fn follows_the_clause(text: &str) -> bool {
    let white = |c: char| WHITE_SPACE.contains(&c);
    let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else { return false };
    let stem = text.split('.').next().unwrap_or_default().trim_end_matches(white).to_ascii_uppercase();
    text.len() <= 255
        && !text.contains(is_invisible)
        && !text.contains(['/', '\\', ':', '<', '>', '"', '|', '?', '*'])
        && !matches!(first, '.' | '-' | '~')
        && !white(first)
        && last != '.'
        && !white(last)
        && !devices().contains(&stem)
}

fn assert_harmless(label: &str, name: &FileName) {
    let text = name.as_str();
    assert!((1..=255).contains(&text.len()), "{label:?} became {} bytes", text.len());
    assert!(FileName::new(text).is_ok() && follows_the_clause(text), "{label:?} became {text:?}");
    let components: Vec<_> = std::path::Path::new(text).components().collect();
    assert!(
        matches!(components.as_slice(), [std::path::Component::Normal(only)] if *only == text),
        "{text:?}"
    );
    assert_eq!(FileName::sanitized(text).as_str(), text, "{label:?}, made harmless again");
    if FileName::new(label).is_ok() {
        assert_eq!(text, label, "an acceptable label stays as it is");
    }
}

/// Every field that holds a name, and whether this one is taken there.
fn readers(name: &str) -> Vec<(&'static str, bool)> {
    let written = text_bytes(name);
    let behind = |front: &[u8], back: &[u8]| [front, &written, back].concat();
    let content = json!({ "file_bytes": 1, "root": null, "is_folder": false });
    let offer = json!({ "name": name, "file_bytes": 1, "root": null, "is_folder": false });
    let target = format!("name:{name}");
    let target_bytes = text_bytes(&target);
    vec![
        ("Locate", reads_json::<Locate>(&json!({ "target": target }))),
        ("Locate", reads_bincode::<Locate>(&[&target_bytes, b"\0"])),
        ("an offer", reads_json::<Offer>(&offer)),
        ("an offer", reads_bincode::<Offer>(&[&behind(b"", b"\x01\0\0")])),
        ("Unpublish", reads_json::<Unpublish>(&json!({ "names": ["a", name] }))),
        ("Unpublish", reads_bincode::<Unpublish>(&[&behind(b"\x02\x01a", b"")])),
        (
            "a hit",
            reads_json::<Hit>(&json!({ "name": name, "content": content, "members": 1, "sources": 1 })),
        ),
        ("a hit", reads_bincode::<Hit>(&[&behind(b"", b"\0\0\0\x01\x01")])),
        ("an own file", reads_json::<OwnFile>(&json!({ "name": name, "content": content, "sources": 1 }))),
    ]
}

fn short_hash(label: &str) -> String {
    Sha256::digest(label.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
