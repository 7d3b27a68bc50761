//! Folders that have a manifest, and bytes that are none.

use bittrickle_wire::content::{ManifestEntry, ManifestFile};
use bittrickle_wire::{FileBytes, Root};

use super::{MIB, sample};

type Folder = (&'static str, Vec<ManifestEntry<'static>>);

pub(super) fn manifests() -> [Folder; 6] {
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
        (
            "files of several pieces and of none",
            vec![
                file("a", &sample(3 * MIB + 5), false),
                file("b", b"", false),
                file("c", &sample(MIB), true),
                file("d", &sample(2 * MIB), false),
                file("e", &sample(MIB + 1), false),
                file("f", &sample(1), false),
            ],
        ),
        ("as deep as may be", (1..=64).map(|depth| folder(&DEEP[..2 * depth - 1])).collect()),
    ]
}

/// 65 names, one more than a path may have.
const DEEP: &str = "d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/\
                    d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d";

fn folder(path: &str) -> ManifestEntry<'_> {
    ManifestEntry::Folder { path }
}

fn file<'a>(path: &'a str, bytes: &[u8], is_executable: bool) -> ManifestEntry<'a> {
    let file_bytes = FileBytes::new(bytes.len() as u64).unwrap();
    ManifestEntry::File(ManifestFile { path, is_executable, file_bytes, root: Root::of(bytes) })
}

/// What is wrong, the clause that says so, and the bytes: spelled by hand, as no folder has such a manifest.
pub(super) fn refused_manifests() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let a = || entry(1, b"a", 3);
    let bytes = [
        ("nothing", "BT-3.6-1", Vec::new()),
        ("another version", "BT-3.6-1", b"BTM2".to_vec()),
        ("cut off", "BT-3.6-1", of(&[a()[..20].to_vec()])),
        ("a byte behind it", "BT-3.6-1", of(&[a(), vec![0]])),
    ];
    let entries = [
        ("another kind", "BT-3.6-1", vec![entry(3, b"a", 3)]),
        ("no path", "BT-3.6-1", vec![entry(1, b"", 3)]),
        ("a path of 4,097 bytes", "BT-3.6-1", vec![entry(1, &[b"a/".repeat(2_048), vec![b'a']].concat(), 3)]),
        ("not text", "BT-3.6-2", vec![entry(1, b"\xff", 3)]),
        ("the folder itself", "BT-3.6-2", vec![entry(0, b".", 0)]),
        ("upwards", "BT-3.6-2", vec![entry(1, b"..", 3)]),
        ("upwards from a folder", "BT-3.6-2", vec![entry(0, b"a", 0), entry(1, b"a/..", 3)]),
        ("absolute", "BT-3.6-2", vec![entry(1, b"/a", 3)]),
        ("an empty name", "BT-3.6-2", vec![entry(0, b"a", 0), entry(1, b"a//b", 3)]),
        ("an empty name at the end", "BT-3.6-2", vec![entry(0, b"a", 0), entry(0, b"a/", 0)]),
        ("a backslash", "BT-3.6-2", vec![entry(1, b"a\\b", 3)]),
        ("an invisible character", "BT-3.6-2", vec![entry(1, "a\u{202e}b".as_bytes(), 3)]),
        ("not in normalization form C", "BT-3.6-2", vec![entry(1, "e\u{301}".as_bytes(), 3)]),
        ("a device of Windows", "BT-3.6-2", vec![entry(1, b"nul.txt", 3)]),
        ("a name of 256 bytes", "BT-3.6-2", vec![entry(1, &[b'a'; 256], 3)]),
        ("twice the same", "BT-3.6-3", vec![a(), a()]),
        ("a folder and a file of one name", "BT-3.6-3", vec![entry(0, b"a", 0), a()]),
        ("another order", "BT-3.6-3", vec![entry(1, b"b", 3), a()]),
        (
            "whole paths in the order of their bytes",
            "BT-3.6-3",
            vec![entry(0, b"a", 0), entry(1, b"a!", 3), entry(1, b"a/b", 3)],
        ),
        ("a folder without an entry", "BT-3.6-3", vec![entry(1, b"a/b", 3)]),
        ("a folder that only begins so", "BT-3.6-3", vec![entry(0, b"a", 0), entry(1, b"ab/c", 3)]),
        ("below a file", "BT-3.6-3", vec![a(), entry(1, b"a/b", 3)]),
        (
            "65 names in a path",
            "BT-3.6-4",
            (1..=65).map(|depth| entry(0, &DEEP.as_bytes()[..2 * depth - 1], 0)).collect(),
        ),
        ("a size of 2^53", "BT-3.6-4", vec![entry(1, b"a", 1 << 53)]),
        ("2^53 bytes together", "BT-3.6-4", vec![entry(1, b"a", (1 << 53) - 1), entry(1, b"b", 1)]),
        ("2^64 bytes together", "BT-3.6-4", vec![entry(1, b"a", u64::MAX), entry(1, b"b", 1)]),
        (
            "2^32 pieces together",
            "BT-3.6-4",
            vec![entry(1, b"a", ((1 << 32) - 1) * MIB as u64), entry(1, b"b", 1)],
        ),
    ];
    bytes.into_iter().chain(entries.map(|(name, clause, entries)| (name, clause, of(&entries)))).collect()
}

fn entry(kind: u8, path: &[u8], size: u64) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(u16::try_from(path.len()).unwrap().to_be_bytes());
    bytes.extend(path);
    if kind != 0 {
        bytes.extend(size.to_be_bytes());
        bytes.extend([7; 32]);
    }
    bytes
}

fn of(entries: &[Vec<u8>]) -> Vec<u8> {
    [&b"BTM1"[..], &entries.concat()].concat()
}
