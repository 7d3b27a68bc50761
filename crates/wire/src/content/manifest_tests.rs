//! What a manifest takes, and what it refuses.

use super::manifest::Manifest;
use super::manifest_entry::{ManifestEntry, ManifestFile};
use super::manifest_error::ManifestError;
use super::root::Root;
use crate::limits::{
    FILE_BYTES_MAX, MANIFEST_BYTES_MAX, MANIFEST_DEPTH_MAX, MANIFEST_ENTRIES_MAX, MANIFEST_PATH_BYTES_MAX,
    PIECE_BYTES, PIECES_MAX,
};
use crate::number::FileBytes;
use crate::text::TextError;

fn folder(path: &str) -> ManifestEntry<'_> {
    ManifestEntry::Folder { path }
}

fn file(path: &str, bytes: u64) -> ManifestEntry<'_> {
    let file_bytes = FileBytes::new(bytes).unwrap();
    ManifestEntry::File(ManifestFile {
        path,
        is_executable: false,
        file_bytes,
        root: Root::of(path.as_bytes()),
    })
}

fn program(path: &str) -> ManifestEntry<'_> {
    let file_bytes = FileBytes::new(1).unwrap();
    ManifestEntry::File(ManifestFile { path, is_executable: true, file_bytes, root: Root::of(&[1]) })
}

/// The bytes of these entries as they come, in whatever order, with whatever is wrong with them.
fn encoded(entries: &[ManifestEntry<'_>]) -> Vec<u8> {
    let mut bytes = b"BTM1".to_vec();
    for entry in entries {
        super::manifest_entry::write_entry(&mut bytes, 0, entry).unwrap();
    }
    bytes
}

fn decoded(entries: &[ManifestEntry<'_>]) -> Result<Manifest, ManifestError> {
    Manifest::decode(&encoded(entries))
}

fn sample() -> Vec<ManifestEntry<'static>> {
    vec![
        file(".gitignore", 7),
        folder("a"),
        folder("a/empty"),
        program("a/run"),
        // The folder's own entries come before a name that goes on where the folder's ends.
        file("a b", 0),
        file("z.txt", 3),
    ]
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    let manifest = Manifest::new(sample()).unwrap();
    assert_eq!(Manifest::decode(manifest.as_bytes()).unwrap(), manifest);
    assert_eq!(manifest.entries().collect::<Vec<_>>(), sample());
    assert_eq!(manifest.entry_count(), 6);
    let paths: Vec<_> = manifest.files().map(|file| file.path).collect();
    assert_eq!(paths, [".gitignore", "a/run", "a b", "z.txt"]);
    assert_eq!(manifest.file(1).map(|file| file.is_executable), Some(true));
    assert_eq!(manifest.file(4), None);
    assert_eq!(manifest.bytes().bytes(), 11);
    assert_eq!(manifest.root(), Root::of(manifest.as_bytes()));
}

#[test]
fn an_empty_folder_has_a_manifest() {
    let manifest = Manifest::new(Vec::new()).unwrap();
    assert_eq!((manifest.as_bytes(), manifest.entry_count(), manifest.bytes().bytes()), (&b"BTM1"[..], 0, 0));
    assert_eq!(Manifest::decode(b"BTM1").unwrap(), manifest);
}

#[test]
fn a_folder_has_one_manifest_whatever_order_its_entries_come_in() {
    let expected = encoded(&sample());
    let mut entries = sample();
    for _ in 0..entries.len() {
        entries.rotate_left(1);
        assert_eq!(Manifest::new(entries.clone()).unwrap().as_bytes(), expected);
    }
    entries.reverse();
    assert_eq!(Manifest::new(entries).unwrap().as_bytes(), expected);
}

#[test]
fn a_manifest_cut_anywhere_but_between_entries_is_refused() {
    let bytes = encoded(&sample());
    let ends: Vec<_> = (0..=sample().len()).map(|entries| encoded(&sample()[..entries]).len()).collect();
    for end in 0..bytes.len() {
        assert_eq!(Manifest::decode(&bytes[..end]).is_ok(), ends.contains(&end), "cut at {end}");
    }
    assert_eq!(Manifest::decode(&bytes[..6]), Err(ManifestError::Short { entry: 0, missing: 1 }));
    assert_eq!(
        Manifest::decode(&bytes[..bytes.len() - 5]),
        Err(ManifestError::Short { entry: 5, missing: 5 })
    );
}

#[test]
fn whatever_is_changed_in_a_manifest_it_is_refused_or_says_something_else() {
    let manifest = Manifest::new(sample()).unwrap();
    let bytes = manifest.as_bytes();
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.to_vec();
            changed[place] ^= 1 << bit;
            if let Ok(other) = Manifest::decode(&changed) {
                assert_ne!(other.entries().collect::<Vec<_>>(), sample(), "bit {bit} of byte {place}");
                assert_eq!(Manifest::new(other.entries().collect()).unwrap().as_bytes(), changed);
            }
        }
    }
}

#[test]
fn what_does_not_begin_like_a_manifest_or_has_an_unknown_kind_is_refused() {
    for bytes in [&b""[..], b"BTM", b"BTM2", b"btm1"] {
        assert_eq!(Manifest::decode(bytes), Err(ManifestError::Magic));
    }
    assert_eq!(Manifest::decode(b"BTM1\x03\0\x01a"), Err(ManifestError::Kind { entry: 0, kind: 3 }));
}

#[test]
fn hostile_names_are_refused() {
    for path in ["..", ".", "a/..", "../a", "a\\b", "c:", "a/b\u{202e}", "nul", "a/CON.txt", "a/ b", "a/b."] {
        let error = decoded(&[folder("a"), file(path, 1)]).unwrap_err();
        assert!(matches!(error, ManifestError::Name { entry: 1, .. }), "{path}: {error}");
    }
    for path in ["/a", "a/", "a//b", "/"] {
        let error = decoded(&[file(path, 1)]).unwrap_err();
        assert_eq!(error, ManifestError::Name { entry: 0, error: TextError::Empty }, "{path}");
    }
    assert_eq!(Manifest::decode(b"BTM1\0\0\x01\xff"), Err(ManifestError::NotText { entry: 0 }));
    assert_eq!(decoded(&[folder("")]), Err(ManifestError::PathBytes { entry: 0, bytes: 0 }));
}

#[test]
fn a_path_that_is_too_long_or_too_deep_is_refused() {
    let deep = |depth: usize, length: usize| vec!["a".repeat(length); depth].join("/");
    let with_parents = |path: &str| {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        decoded(&ends.map(|end| folder(&path[..end])).collect::<Vec<_>>())
    };
    assert!(with_parents(&deep(MANIFEST_DEPTH_MAX, 1)).is_ok());
    let depth = MANIFEST_DEPTH_MAX + 1;
    let error = ManifestError::Depth { entry: 64, depth };
    assert_eq!(with_parents(&deep(depth, 1)), Err(error));
    // 16 names of 255 bytes and the slashes between them are one byte short of the bound.
    let path = format!("{}/a", deep(16, 255));
    let error = ManifestError::PathBytes { entry: 16, bytes: MANIFEST_PATH_BYTES_MAX + 1 };
    assert_eq!(with_parents(&path), Err(error));
    assert!(with_parents(&deep(16, 255)).is_ok());
    let path = "a".repeat(70_000);
    assert_eq!(
        Manifest::new(vec![file(&path, 1)]),
        Err(ManifestError::PathBytes { entry: 0, bytes: 70_000 })
    );
}

#[test]
fn entries_out_of_order_or_twice_are_refused() {
    assert_eq!(decoded(&[file("b", 1), file("a", 1)]), Err(ManifestError::Order { entry: 1 }));
    assert_eq!(
        decoded(&[folder("a"), file("a b", 1), file("a/b", 1)]),
        Err(ManifestError::Order { entry: 2 })
    );
    for (one, other) in
        [(file("a", 1), file("a", 2)), (folder("a"), file("a", 1)), (program("a"), folder("a"))]
    {
        assert_eq!(decoded(&[one, other]), Err(ManifestError::Duplicate { entry: 1 }));
        assert_eq!(Manifest::new(vec![one, other]), Err(ManifestError::Duplicate { entry: 1 }));
    }
    assert!(decoded(&[file("A", 1), file("a", 1)]).is_ok(), "names that differ in case both exist");
}

#[test]
fn an_entry_without_its_parent_is_refused() {
    for entries in [
        &[file("a/b", 1)][..],
        &[folder("a"), file("ab/c", 1)],
        &[folder("a"), folder("a/b"), file("a/c/d", 1)],
        &[folder("a"), folder("a/b"), file("b/c", 1)],
        &[folder("a"), file("a!", 1), file("a!b/c", 1)],
    ] {
        let last = u32::try_from(entries.len()).unwrap() - 1;
        assert_eq!(decoded(entries), Err(ManifestError::NoParent { entry: last }), "{entries:?}");
    }
    assert_eq!(decoded(&[file("a", 1), file("a/b", 1)]), Err(ManifestError::ParentIsFile { entry: 1 }));
}

#[test]
fn sizes_are_bounded_each_and_together() {
    let mut bytes = encoded(&[file("a", 1)]);
    bytes[8..16].copy_from_slice(&u64::MAX.to_be_bytes());
    assert_eq!(Manifest::decode(&bytes), Err(ManifestError::FileBytes { entry: 0, bytes: u64::MAX }));
    let pieces_max_bytes = PIECES_MAX * PIECE_BYTES as u64;
    assert!(decoded(&[file("a", pieces_max_bytes - 1), file("b", 0)]).is_ok());
    let error = ManifestError::TooManyPieces { entry: 1, pieces: PIECES_MAX + 1 };
    assert_eq!(decoded(&[file("a", pieces_max_bytes), file("b", 1)]), Err(error));
    let error = ManifestError::TotalBytes { entry: 1, bytes: FILE_BYTES_MAX + 1 };
    let within = FILE_BYTES_MAX - pieces_max_bytes + 1;
    assert_eq!(decoded(&[file("a", pieces_max_bytes), file("b", within)]), Err(error));
}

#[test]
fn more_than_a_million_entries_are_refused() {
    let mut bytes = b"BTM1".to_vec();
    for number in 0..MANIFEST_ENTRIES_MAX {
        bytes.extend_from_slice(format!("\0\0\x06{number:06x}").as_bytes());
    }
    bytes.extend_from_slice(b"\0\0\x06ffffff");
    assert_eq!(Manifest::decode(&bytes), Err(ManifestError::TooManyEntries));
    let entries = vec![folder("a"); MANIFEST_ENTRIES_MAX + 1];
    assert_eq!(Manifest::new(entries), Err(ManifestError::TooManyEntries));
}

#[test]
fn a_manifest_that_is_too_long_is_not_looked_at() {
    let bytes = MANIFEST_BYTES_MAX + 1;
    assert_eq!(Manifest::decode(&vec![0; bytes]), Err(ManifestError::TooLong { bytes }));
    let path = "a".repeat(MANIFEST_PATH_BYTES_MAX);
    let entries = vec![folder(&path); MANIFEST_BYTES_MAX / path.len()];
    assert!(matches!(Manifest::new(entries), Err(ManifestError::TooLong { .. })));
}
