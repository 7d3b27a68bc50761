//! File names: hostile ones are refused wherever they come in, and made harmless where they must be kept (BT-2.1-3).

use std::collections::BTreeSet;

use bittrickle_wire::FileName;
use bittrickle_wire::messages::{
    Content, Fetch, Files, Hit, HitCursor, ListFiles, Locate, Offer, OwnFile, Search, Unpublish,
};
use proptest::prelude::*;
use serde_json::json;
use sha2::{Digest as _, Sha256};

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

/// BT-2.1-3: so that the test above refuses the name, and nothing else.
#[test]
fn an_acceptable_name_is_taken_by_every_decoder() {
    for name in acceptable_names() {
        FileName::new(&name).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        for (field, taken) in readers(&name) {
            assert!(taken, "{name:?} in {field}");
        }
    }
}

/// BT-3.4-2
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

/// BT-3.4-2
#[test]
fn an_acceptable_name_stays_as_it_is() {
    for name in acceptable_names() {
        assert_eq!(FileName::sanitized(&name).as_str(), name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// BT-3.4-2
    #[test]
    fn any_label_becomes_one_harmless_component(label in any::<String>(), pieces in prop::collection::vec(piece(), 0..40)) {
        for label in [label.clone(), pieces.concat(), format!("{label}{}", pieces.concat()), pieces.concat().repeat(7)] {
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
    prop_oneof![4 => prop::sample::select(parts.to_vec()).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
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
    assert!(reads_json::<Content>(&json!({ "file_bytes": 1 })), "the reader works");
    vec![
        ("Fetch", reads_json::<Fetch>(&json!({ "name": name }))),
        ("Fetch", reads_bincode::<Fetch>(&[&written])),
        ("Locate", reads_json::<Locate>(&json!({ "name": name }))),
        ("Locate", reads_bincode::<Locate>(&[&behind(b"", b"\0")])),
        ("an offer", reads_json::<Offer>(&json!({ "name": name, "file_bytes": 1 }))),
        ("an offer", reads_bincode::<Offer>(&[&behind(b"", b"\x01")])),
        ("Unpublish", reads_json::<Unpublish>(&json!({ "names": ["a", name] }))),
        ("Unpublish", reads_bincode::<Unpublish>(&[&behind(b"\x02\x01a", b"")])),
        ("a hit", reads_json::<Hit>(&json!({ "name": name, "members": 1, "sources": 1 }))),
        ("a hit", reads_bincode::<Hit>(&[&behind(b"", b"\0\x01\x01")])),
        ("a hit cursor", reads_json::<HitCursor>(&json!({ "name": name }))),
        ("a search", reads_json::<Search>(&json!({ "text": "", "after": { "name": name } }))),
        ("a search", reads_bincode::<Search>(&[&behind(b"\0\x01", b"\0")])),
        ("an own file", reads_json::<OwnFile>(&json!({ "name": name, "sources": 1 }))),
        ("ListFiles", reads_bincode::<ListFiles>(&[&behind(b"\x01", b"")])),
        ("Files", reads_json::<Files>(&json!({ "files": [], "next": name }))),
    ]
}

/// Names that have harmed other programs, made systematically.
fn hostile_names() -> Vec<String> {
    let mut names: BTreeSet<String> = paths().chain(hidden()).chain(edges()).chain(lengths()).collect();
    for device in devices() {
        let mixed: String =
            device.char_indices().map(|(i, c)| if i % 2 == 0 { c.to_ascii_lowercase() } else { c }).collect();
        for name in [device.clone(), device.to_ascii_lowercase(), mixed] {
            names.extend(
                ["", ".txt", ".tar.gz", " .txt", "\u{a0}\u{3000}.x", "..x"].map(|end| format!("{name}{end}")),
            );
        }
    }
    let not_composed = [
        "e\u{301}",
        "A\u{30a}.txt",
        "\u{212b}",
        "\u{2126}",
        "\u{1100}\u{1161}",
        "q\u{307}\u{323}",
        "\u{fb1d}",
        "\u{f900}",
        "re\u{301}sume\u{301}",
    ];
    names.extend(not_composed.map(str::to_owned));
    names.into_iter().collect()
}

fn paths() -> impl Iterator<Item = String> {
    let frames = [
        "../{}",
        "../../{}",
        "../../../../tmp/{}",
        "./{}",
        "/{}",
        "//{}",
        "/tmp/{}",
        "{}/",
        "{}/..",
        "a/{}",
        "{}/../../b",
        "..\\{}",
        "..\\..\\{}",
        "\\{}",
        "\\\\host\\share\\{}",
        "\\\\?\\C:\\{}",
        "\\\\.\\{}",
        "{}\\",
        "a\\{}",
        "C:{}",
        "C:\\{}",
        "c:/{}",
        "{}:stream",
        "{}::$DATA",
        "file:///{}",
        "~/{}",
        "~root/{}",
        "%2e%2e/{}",
        "{}|x",
        "{}>x",
        "<{}",
        "\"{}\"",
        "{}?",
        "*{}",
        "a\n../{}",
    ];
    let seeds = ["passwd", "evil.exe", "résumé.pdf"];
    let framed = frames.into_iter().flat_map(move |frame| seeds.map(|seed| frame.replace("{}", seed)));
    framed.chain(["/", "\\", "..", ".", "/..", "../", "..\\", "C:", "~", "-", "*", "?"].map(str::to_owned))
}

fn hidden() -> impl Iterator<Item = String> {
    let controls = ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}');
    let others = "\u{ad}\u{34f}\u{61c}\u{180e}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\
                  \u{202e}\u{2060}\u{2064}\u{2066}\u{2067}\u{2068}\u{2069}\u{206f}\u{feff}\u{fff9}\u{fffb}\u{e0000}\u{e0041}\u{e007f}";
    let invisible = controls.chain(others.chars());
    invisible.flat_map(|c| [format!("a{c}b.txt"), format!("{c}a.txt"), format!("a.txt{c}"), c.to_string()])
}

fn edges() -> impl Iterator<Item = String> {
    let starts = [".", "..", "...", "-", "--", "~", " ", "\u{a0}", "\u{3000}", "\u{2003}"]
        .map(|start| format!("{start}name.txt"));
    let ends = [".", "..", " ", "  ", " .", ". ", "\u{a0}", "\u{3000}", "\u{1680}"]
        .map(|end| format!("name.txt{end}"));
    let only = [
        "",
        " ",
        "...",
        " . ",
        "-rf",
        ".bashrc",
        ".ssh",
        ".bittrickle-1.part",
        "--help",
        "~user",
        "\u{202f}",
    ];
    starts.into_iter().chain(ends).chain(only.map(str::to_owned))
}

fn lengths() -> impl Iterator<Item = String> {
    let plain = (256..=300).map(|bytes| "n".repeat(bytes));
    plain
        .chain((128..=150).map(|count| "é".repeat(count)))
        .chain(["日".repeat(86), format!("{}.txt", "n".repeat(252))])
}

/// BT-2.1-3, in upper case.
fn devices() -> Vec<String> {
    let mut devices: Vec<String> =
        ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].map(str::to_owned).to_vec();
    for digit in "0123456789¹²³".chars() {
        devices.extend([format!("COM{digit}"), format!("LPT{digit}")]);
    }
    devices
}

fn acceptable_names() -> Vec<String> {
    let names = [
        "a",
        "notes.txt",
        "a b.tar.gz",
        "résumé.pdf",
        "日本語",
        "❤\u{fe0f}.png",
        "_",
        "CONSOLE.txt",
        "COM",
        "com10",
        "LPT",
        "COM⁴",
        "CONIN",
        "conout",
        "aux1",
        "xCON",
        "con-1",
        "Null",
        "a.con",
        "a-b~c",
        "100%",
        "#1",
        "(x)",
        "{y}",
        "[z]",
        "a,b;c",
        "it's",
        "@",
        "$HOME",
        "a..b",
        "CON_",
        "ｃｏｎ",
        "\u{1f469}",
        "𝒜.txt",
        "com 1",
        "q\u{323}\u{307}",
        "각",
        "%2e%2e%2fpasswd",
    ];
    let mut names: Vec<String> = names.map(str::to_owned).to_vec();
    names.extend(["n".repeat(255), "日".repeat(85), format!("{}n", "é".repeat(127))]);
    names
}

fn short_hash(label: &str) -> String {
    Sha256::digest(label.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
