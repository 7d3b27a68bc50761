//! `spec/vectors/content.json`: contents with their values and roots, manifests, and journals.
//!
//! It is written from here when the tests run with the environment variable `BITTRICKLE_BLESS` set, but for the manifests
//! that must be refused, which are spelled by hand.

mod manifests;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Once;

use allocation_counter::measure;
use bittrickle_peer::transfer::{Journal, JournalHeader};
use bittrickle_wire::content::{Checks, Layout, Manifest, ManifestEntry, chaining_value, merge};
use bittrickle_wire::messages::{Offer, offer_digest};
use bittrickle_wire::{FileBytes, FileName, Hex64, Root, Target};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::project;
use manifests::{manifests, refused_manifests};

const ABOUT: &str = "Contents: byte n of each is (n / 251) xor n, modulo 256. `values` are the chaining values of its \
                     pieces, where there are several, `outline` is how they travel, and each of `refused_outlines` \
                     doesn't lead to the root. Manifests beside their entries; a file of more than 10 bytes in them is \
                     one of the contents. Bytes that are no manifest, beside the clause that they break. Journals \
                     beside what they claim: first piece and number of pieces. `digest` is that of a session that \
                     offers the content or the folder alone, under its `name`, and `digest_without_root` the same \
                     before it has been hashed (BT-2.4-3).";

const MIB: usize = 1 << 20;

/// About where a file gets another piece, and where the tree of its pieces gets another shape.
const SIZES: [usize; 10] = [0, 1, 1_024, MIB - 1, MIB, MIB + 1, 2 * MIB, 5 * MIB / 2, 3 * MIB + 5, 5 * MIB];

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

/// BT-3.1-7, BT-3.5-1: too many, too few, others, or the same in another order.
#[test]
fn outlines_that_do_not_lead_to_the_root_are_refused() {
    for content in list("contents") {
        let root: Root = text(&content, "root").parse().unwrap();
        let layout = Layout::of_file(content["bytes"].as_u64().unwrap()).unwrap();
        assert_eq!(layout.pieces(), content["pieces"]);
        assert!(Checks::new(&layout, vec![root], outline(text(&content, "outline"))).is_ok(), "{content}");
        let refused = content["refused_outlines"].as_array().unwrap();
        assert!(!refused.is_empty());
        for refused in refused {
            let values = outline(text(refused, "hex"));
            assert!(Checks::new(&layout, vec![root], values).is_err(), "{refused} of {content}");
        }
    }
}

/// BT-3.1-4, BT-3.1-7, BT-3.5-1: pieces and values are counted through all files, and empty and short files have no values.
#[test]
fn the_outline_of_a_folder_has_the_values_of_its_files_in_order() {
    for folder in list("manifests") {
        let manifest = Manifest::decode(&unhex(text(&folder, "hex"))).unwrap();
        let layout = Layout::of_manifest(&manifest).unwrap();
        let roots = manifest.files().map(|file| file.root).collect();
        assert_eq!(layout.pieces(), folder["pieces"]);
        assert_eq!(layout.bytes(), folder["file_bytes"]);
        assert!(Checks::new(&layout, roots, outline(text(&folder, "outline"))).is_ok(), "{folder}");
    }
}

/// BT-2.4-3
#[test]
fn the_listed_digests_are_made_as_the_specification_says() {
    for (section, is_folder, bytes) in [("contents", 0, "bytes"), ("manifests", 1, "file_bytes")] {
        for offered in list(section) {
            let bytes = offered[bytes].as_u64().unwrap().to_be_bytes();
            let said = [text(&offered, "name").as_bytes(), &[0], &bytes, &[is_folder]].concat();
            for (field, root) in
                [("digest", unhex(text(&offered, "root"))), ("digest_without_root", Vec::new())]
            {
                let hash = Sha256::digest([&said[..], &root].concat());
                assert_eq!(text(&offered, field), hex(&hash[..8]), "{field} of {}", offered["name"]);
            }
        }
    }
}

/// BT-3.6-1, BT-3.6-2, BT-3.6-3, BT-3.6-4
#[test]
fn bytes_that_are_no_manifest_are_refused() {
    let refused = list("refused_manifests");
    for manifest in &refused {
        assert!(Manifest::decode(&unhex(text(manifest, "hex"))).is_err(), "{manifest}");
    }
    let clauses: BTreeSet<_> = refused.iter().map(|manifest| text(manifest, "clause")).collect();
    let expected = [1, 2, 3, 4].map(|clause| format!("BT-3.6-{clause}"));
    assert!(clauses.into_iter().eq(expected), "each rule has one");
}

/// BT-3.6-4: what is taken and what is refused, cut in many places, and very many short entries.
#[test]
fn a_manifest_costs_no_more_memory_than_twice_its_length() {
    let assert_cheap = |bytes: &[u8]| {
        let info = measure(|| drop(Manifest::decode(bytes)));
        let allowed = u64::try_from(2 * bytes.len() + 1_024).unwrap();
        assert!(info.bytes_max <= allowed, "{info:?} for {} bytes", bytes.len());
    };
    for manifest in [list("manifests"), list("refused_manifests")].concat() {
        let bytes = unhex(text(&manifest, "hex"));
        (0..bytes.len()).step_by(1 + bytes.len() / 500).for_each(|end| assert_cheap(&bytes[..end]));
        assert_cheap(&bytes);
    }
    let mut many = b"BTM1".to_vec();
    for number in 0..50_000 {
        many.extend([&[1, 0, 5][..], format!("{number:05}").as_bytes(), &[0; 8], &[7; 32]].concat());
    }
    assert!(Manifest::decode(&many).is_ok());
    assert_cheap(&many);
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
    let contents = SIZES.map(content_value);
    let manifests = manifests().map(|(name, entries)| manifest_value(name, entries));
    let refused = refused_manifests()
        .into_iter()
        .map(|(name, clause, bytes)| json!({ "name": name, "clause": clause, "hex": hex(&bytes) }));
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
        ("refused_manifests", refused.collect()),
        ("journals", journals.to_vec()),
    ];
    let mut file = format!("{{\n\"about\": {}", json!(ABOUT));
    for (section, values) in sections {
        let lines: Vec<String> = values.iter().map(Value::to_string).collect();
        file += &format!(",\n\"{section}\": [\n{}\n]", lines.join(",\n"));
    }
    file + "\n}\n"
}

fn content_value(bytes: usize) -> Value {
    let name = format!("{bytes} bytes");
    let bytes = sample(bytes);
    let values = values(&bytes);
    let root = if values.is_empty() { Root::of(&bytes) } else { merge(&values) };
    let refused = refused_outlines(&values, root);
    let refused = refused.into_iter().map(|(name, hex)| json!({ "name": name, "hex": hex }));
    json!({
        "bytes": bytes.len(), "pieces": bytes.len().div_ceil(MIB), "root": root.to_string(),
        "values": values.iter().map(|value| hex(value)).collect::<Vec<_>>(),
        "outline": hex(&values.concat()), "refused_outlines": refused.collect::<Vec<_>>(),
        "digest": digest(&name, bytes.len() as u64, Some(root), false),
        "digest_without_root": digest(&name, bytes.len() as u64, None, false),
        "name": name,
    })
}

fn manifest_value(name: &str, entries: Vec<ManifestEntry<'_>>) -> Value {
    let manifest = Manifest::new(entries).unwrap();
    let sizes: Vec<u64> = manifest.files().map(|file| file.file_bytes.bytes()).collect();
    let values: Vec<_> = sizes.iter().flat_map(|bytes| values(&sample(*bytes as usize))).collect();
    let (file_bytes, root) = (sizes.iter().sum(), manifest.root());
    json!({
        "name": name, "entries": manifest.entries().map(entry_value).collect::<Vec<_>>(),
        "hex": hex(manifest.as_bytes()), "root": root.to_string(), "file_bytes": file_bytes,
        "pieces": sizes.iter().map(|bytes| bytes.div_ceil(MIB as u64)).sum::<u64>(),
        "outline": hex(&values.concat()), "digest": digest(name, file_bytes, Some(root), true),
        "digest_without_root": digest(name, file_bytes, None, true),
    })
}

/// None for a file that has no more than one piece.
fn values(bytes: &[u8]) -> Vec<[u8; 32]> {
    let pieces = bytes.chunks(MIB).zip((0..).step_by(MIB));
    if bytes.len() > MIB {
        pieces.map(|(piece, offset)| chaining_value(offset, piece)).collect()
    } else {
        Vec::new()
    }
}

fn refused_outlines(values: &[[u8; 32]], root: Root) -> Vec<(&'static str, String)> {
    let Some((last, rest)) = values.split_last() else {
        return vec![("a value where there is none", hex(root.as_bytes()))];
    };
    let mut swapped = values.to_vec();
    swapped.swap(0, 1);
    let mut changed = values.concat();
    *changed.last_mut().unwrap() ^= 1;
    vec![
        ("no values", String::new()),
        ("the last value left out", hex(&rest.concat())),
        ("the last value twice", hex(&[values, &[*last]].concat().concat())),
        ("the first two the other way round", hex(&swapped.concat())),
        ("the last bit changed", hex(&changed)),
    ]
}

fn digest(name: &str, file_bytes: u64, root: Option<Root>, is_folder: bool) -> String {
    let (name, file_bytes) = (FileName::new(name).unwrap(), FileBytes::new(file_bytes).unwrap());
    Hex64(offer_digest(&Offer { name, file_bytes, root, is_folder })).to_string()
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

fn outline(text: &str) -> Vec<[u8; 32]> {
    unhex(text).chunks(32).map(|value| value.try_into().unwrap()).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pair = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}
