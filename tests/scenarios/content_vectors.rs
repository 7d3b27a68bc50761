//! `spec/vectors/content.json`: contents with their values and roots, manifests, and journals.
//!
//! It is written from here when the tests run with the environment variable `BITTRICKLE_BLESS` set, but for the manifests
//! that must be refused, which are spelled by hand.

use std::fs;
use std::sync::Once;

use bittrickle_peer::transfer::{Journal, JournalHeader};
use bittrickle_wire::content::{
    Checks, Layout, Manifest, ManifestEntry, ManifestFile, chaining_value, merge,
};
use bittrickle_wire::{FileBytes, FileName, Root, Target};
use serde_json::{Value, json};

use crate::project;

const ABOUT: &str = "Contents: byte n of each is (n / 251) xor n, modulo 256, and `values` are the chaining values of \
                     its pieces, where there are several. Manifests beside their entries, and bytes that are none. \
                     Journals beside what they claim: first piece and number of pieces.";

const MIB: usize = 1 << 20;

/// BT-3.1-4, BT-3.1-5, BT-3.1-6, BT-3.1-7, BT-3.6-1, BT-3.6-3, BT-3.8-2: the file can't go stale.
#[test]
fn the_file_of_contents_is_what_the_code_gives() {
    let (found, expected) = (read(), content_file());
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

/// BT-3.1-3, BT-3.1-6: roots are what BLAKE3 gives for the bytes, whoever computes it; the first is the one of nothing that its
/// paper lists.
#[test]
fn every_root_is_the_hash_of_the_bytes() {
    for content in list("contents") {
        let bytes = content["bytes"].as_u64().unwrap() as usize;
        assert_eq!(text(&content, "root"), blake3::hash(&sample(bytes)).to_hex().as_str());
    }
    let of_nothing = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(text(&list("contents")[0], "root"), of_nothing);
}

/// BT-3.1-7, BT-3.5-1: the values lead to the root, and no others do.
#[test]
fn the_values_lead_to_the_root_and_changed_ones_do_not() {
    for content in list("contents") {
        let root: Root = text(&content, "root").parse().unwrap();
        let values: Vec<[u8; 32]> = (content["values"].as_array().unwrap().iter())
            .map(|value| unhex(value.as_str().unwrap()).try_into().unwrap())
            .collect();
        let layout = Layout::of_file(content["bytes"].as_u64().unwrap()).unwrap();
        assert!(Checks::new(&layout, vec![root], values.clone()).is_ok(), "{content}");
        for changed in 0..values.len() {
            let mut values = values.clone();
            values[changed][0] ^= 1;
            assert!(Checks::new(&layout, vec![root], values).is_err(), "value {changed} of {content}");
        }
    }
}

/// BT-3.6-1, BT-3.6-2, BT-3.6-3, BT-3.6-4
#[test]
fn bytes_that_are_no_manifest_are_refused() {
    let refused = list("refused_manifests");
    assert!(refused.len() >= 12, "each rule has one");
    for manifest in refused {
        assert!(Manifest::decode(&unhex(text(&manifest, "hex"))).is_err(), "{manifest}");
    }
}

/// BT-3.8-4: what stands before the damage counts.
#[test]
fn a_journal_that_is_cut_anywhere_claims_what_stands_before() {
    for journal in list("journals") {
        let bytes = unhex(text(&journal, "hex"));
        let claims = |end: usize| {
            let read = Journal::read(&bytes[..end]).ok();
            read.map(|(_, claimed, _)| claimed.ranges().flatten().collect::<Vec<_>>())
        };
        let all = claims(bytes.len()).expect("it is whole");
        let mut before = Some(0);
        for end in (0..bytes.len()).rev() {
            let claimed = claims(end);
            assert!(claimed.iter().flatten().all(|piece| all.contains(piece)), "cut at {end}");
            let count = claimed.map(|claimed| claimed.len());
            assert!(end + 1 == bytes.len() || count <= before, "cut at {end}");
            before = count;
        }
        assert!(
            claims(bytes.len() - 1).is_some_and(|claimed| claimed.len() < all.len()),
            "its last record is torn"
        );
        assert_eq!(before, None, "without a header it says nothing");
    }
}

fn content_file() -> String {
    let sizes = [0, 1, 1_024, MIB, MIB + 1, 5 * MIB / 2, 5 * MIB];
    let contents = sizes.map(|bytes| {
        let bytes = sample(bytes);
        let pieces: Vec<_> = bytes.chunks(MIB).zip((0..).step_by(MIB)).collect();
        let values =
            || pieces.iter().map(|(piece, offset)| chaining_value(*offset, piece)).collect::<Vec<_>>();
        let (values, root) = match pieces.len() {
            0 | 1 => (Vec::new(), Root::of(&bytes)),
            _ => (values(), merge(&values())),
        };
        let values: Vec<String> = values.iter().map(|value| hex(value)).collect();
        json!({ "bytes": bytes.len(), "root": root.to_string(), "values": values })
    });
    let manifests = manifests().map(|(name, entries)| {
        let manifest = Manifest::new(entries).unwrap();
        let entries: Vec<Value> = manifest.entries().map(entry_value).collect();
        let root = manifest.root().to_string();
        json!({ "name": name, "entries": entries, "hex": hex(manifest.as_bytes()), "root": root })
    });
    let refused = refused_manifests().map(|(name, bytes)| json!({ "name": name, "hex": hex(&bytes) }));
    let journals = journals().map(|(name, header, claims)| {
        let (mut journal, mut bytes) = Journal::begin(&header);
        claims.iter().for_each(|ranges| bytes.extend(journal.append(ranges)));
        let claimed: Vec<_> =
            claims.iter().flatten().map(|range| [range.start, range.end - range.start]).collect();
        json!({
            "name": name, "target": header.target.to_string(), "final_name": header.name.as_str(),
            "file_bytes": header.file_bytes, "is_folder": header.is_folder, "pieces": header.pieces,
            "claimed": claimed, "hex": hex(&bytes),
        })
    });
    let sections = [
        ("contents", contents.to_vec()),
        ("manifests", manifests.to_vec()),
        ("refused_manifests", refused.to_vec()),
        ("journals", journals.to_vec()),
    ];
    let mut file = format!("{{\n\"about\": {}", json!(ABOUT));
    for (section, values) in sections {
        let lines: Vec<String> = values.iter().map(Value::to_string).collect();
        file += &format!(",\n\"{section}\": [\n{}\n]", lines.join(",\n"));
    }
    file + "\n}\n"
}

fn manifests() -> [(&'static str, Vec<ManifestEntry<'static>>); 4] {
    [
        ("an empty folder", vec![]),
        ("one file", vec![file("notes.txt", b"hello\n", false)]),
        (
            "a tree",
            vec![
                folder("empty"),
                folder("src"),
                folder("src/deep"),
                file("src/deep/.hidden", b"", false),
                file("src/run.sh", b"#!/bin/sh\n", true),
                // Behind all that is in `src`, though `-` is less than `/`.
                file("src-notes", b"abc", false),
                file("日本語 é", b"abc", false),
            ],
        ),
        ("names that differ in case alone", vec![file("A", b"abc", false), file("a", b"abc", false)]),
    ]
}

fn folder(path: &str) -> ManifestEntry<'_> {
    ManifestEntry::Folder { path }
}

fn file<'a>(path: &'a str, bytes: &[u8], is_executable: bool) -> ManifestEntry<'a> {
    let file_bytes = FileBytes::new(bytes.len() as u64).unwrap();
    ManifestEntry::File(ManifestFile { path, is_executable, file_bytes, root: Root::of(bytes) })
}

fn entry_value(entry: ManifestEntry<'_>) -> Value {
    match entry {
        ManifestEntry::Folder { path } => json!({ "path": path, "kind": 0 }),
        ManifestEntry::File(file) => json!({
            "path": file.path,
            "kind": if file.is_executable { 2 } else { 1 },
            "file_bytes": file.file_bytes.bytes(),
            "root": file.root.to_string(),
        }),
    }
}

/// Spelled by hand, as [`Manifest::new`] makes none of these.
fn refused_manifests() -> [(&'static str, Vec<u8>); 16] {
    let entry = |kind: u8, path: &[u8], size: u64| {
        let mut bytes = vec![kind];
        bytes.extend(u16::try_from(path.len()).unwrap().to_be_bytes());
        bytes.extend(path);
        if kind != 0 {
            bytes.extend(size.to_be_bytes());
            bytes.extend([7; 32]);
        }
        bytes
    };
    let of = |entries: &[Vec<u8>]| [&b"BTM1"[..], &entries.concat()].concat();
    let a = || entry(1, b"a", 3);
    [
        ("nothing", Vec::new()),
        ("another version", b"BTM2".to_vec()),
        ("cut off", of(&[a()[..20].to_vec()])),
        ("a byte behind it", of(&[a(), vec![0]])),
        ("another kind", of(&[entry(3, b"a", 3)])),
        ("no path", of(&[entry(1, b"", 3)])),
        ("not text", of(&[entry(1, b"\xff", 3)])),
        ("upwards", of(&[entry(1, b"..", 3)])),
        ("absolute", of(&[entry(1, b"/a", 3)])),
        ("an empty name", of(&[entry(0, b"a", 0), entry(1, b"a//b", 3)])),
        ("twice the same", of(&[a(), a()])),
        ("another order", of(&[entry(1, b"b", 3), a()])),
        ("a folder without an entry", of(&[entry(1, b"a/b", 3)])),
        ("below a file", of(&[a(), entry(1, b"a/b", 3)])),
        ("a size of 2^53", of(&[entry(1, b"a", 1 << 53)])),
        ("2^53 bytes together", of(&[entry(1, b"a", (1 << 53) - 1), entry(1, b"b", 1)])),
    ]
}

type Claims = Vec<Vec<std::ops::Range<u32>>>;

fn journals() -> [(&'static str, JournalHeader, Claims); 2] {
    let header = |target, name: &str, file_bytes, is_folder, pieces| JournalHeader {
        target,
        name: FileName::new(name).unwrap(),
        file_bytes,
        is_folder,
        pieces,
    };
    let by_name = Target::Name(FileName::new("big.iso").unwrap());
    [
        (
            "a file, by its name",
            header(by_name, "big.iso", 5 * MIB as u64 / 2, false, 3),
            vec![vec![0..1], vec![2..3]],
        ),
        (
            "a folder, by its root",
            header(Target::Root(Root::of(b"BTM1")), "photos", 10_000, true, 20),
            vec![vec![0..4, 9..12], vec![4..5]],
        ),
    ]
}

fn sample(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|place| ((place / 251) ^ place) as u8).collect()
}

/// The file's text, which is written first when the tests were told to.
fn read() -> String {
    static BLESSED: Once = Once::new();
    let path = project().join("spec/vectors/content.json");
    BLESSED.call_once(|| {
        if std::env::var_os("BITTRICKLE_BLESS").is_some() {
            fs::write(&path, content_file()).unwrap();
        }
    });
    fs::read_to_string(path).unwrap()
}

fn list(section: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(&read()).unwrap();
    file[section].as_array().unwrap().clone()
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
