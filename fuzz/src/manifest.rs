//! Manifests of folders: what is read is exactly what the specification calls a manifest (BT-3.6).

use std::collections::BTreeSet;

use bittrickle_wire::content::{Layout, Manifest, ManifestEntry};
use bittrickle_wire::{EntryName, TextError};

use super::names;

const PIECE: u64 = 1 << 20;
const BYTES_MAX: u64 = (1 << 53) - 1;
const MANIFEST_BYTES_MAX: usize = 64 << 20;
const ENTRIES_MAX: usize = 1_048_576;
const PATH_BYTES_MAX: usize = 4_096;
const DEPTH_MAX: usize = 64;

/// An entry as the bytes say it: path, and for a file whether it is a program, its size and its root.
#[derive(Debug, Eq, PartialEq)]
struct Entry {
    path: String,
    file: Option<(bool, u64, Vec<u8>)>,
}

/// The bytes are a manifest, or none.
pub fn manifest(data: &[u8]) {
    let expected = read(data);
    let manifest = match Manifest::decode(data) {
        Ok(manifest) => manifest,
        Err(error) => return assert_eq!(expected, None, "refused: {error}"),
    };
    let expected = expected.expect("what is none is refused");
    assert_eq!(manifest.entries().map(entry).collect::<Vec<_>>(), expected);
    assert_eq!(manifest.as_bytes(), data);

    let mut entries: Vec<_> = manifest.entries().collect();
    entries.reverse();
    let again = Manifest::new(entries).expect("they are in a manifest");
    assert_eq!(again.as_bytes(), data, "one folder has one manifest");

    let sizes: Vec<u64> = expected.iter().filter_map(|entry| Some(entry.file.as_ref()?.1)).collect();
    check_layout(&manifest, &sizes);
}

/// Where each file's pieces and values are, counted file by file (BT-3.1-4, BT-3.1-7).
fn check_layout(manifest: &Manifest, sizes: &[u64]) {
    let layout = Layout::of_manifest(manifest).expect("a manifest has a layout");
    assert_eq!(manifest.files().map(|file| file.file_bytes.bytes()).collect::<Vec<_>>(), sizes);
    let (mut bytes, mut pieces, mut values) = (0, 0, 0);
    for (file, size) in (0..).zip(sizes) {
        let file_pieces = u32::try_from(size.div_ceil(PIECE)).expect("a manifest has no more pieces");
        let file_values = if file_pieces > 1 { file_pieces } else { 0 };
        assert_eq!(layout.file_bytes(file), *size);
        assert_eq!(layout.file_pieces(file), pieces..pieces + file_pieces);
        assert_eq!(layout.outline_range(file), values..values + file_values);
        if let Some(before_last) = file_pieces.checked_sub(1) {
            let last = layout.piece(pieces + before_last);
            let offset = u64::from(before_last) * PIECE;
            assert_eq!((last.file, last.offset, u64::from(last.bytes)), (file, offset, size - offset));
        }
        (bytes, pieces, values) = (bytes + size, pieces + file_pieces, values + file_values);
    }
    assert_eq!((layout.bytes(), manifest.bytes().bytes()), (bytes, bytes));
    assert_eq!((layout.pieces(), layout.outline_values()), (pieces, values));
}

fn entry(entry: ManifestEntry<'_>) -> Entry {
    let file = match entry {
        ManifestEntry::Folder { .. } => None,
        ManifestEntry::File(file) => {
            Some((file.is_executable, file.file_bytes.bytes(), file.root.as_bytes().to_vec()))
        }
    };
    Entry { path: entry.path().to_owned(), file }
}

/// The plain way to read one: all entries first, then all rules, each by itself.
fn read(data: &[u8]) -> Option<Vec<Entry>> {
    let entries = fields(data.strip_prefix(b"BTM1")?)?;
    let paths: Vec<Vec<&[u8]>> =
        entries.iter().map(|entry| entry.path.split('/').map(str::as_bytes).collect()).collect();
    let is_ascending = paths.is_sorted_by(|one, next| one < next);
    let folders: BTreeSet<&[&[u8]]> = (entries.iter().zip(&paths))
        .filter(|(entry, _)| entry.file.is_none())
        .map(|(_, path)| path.as_slice())
        .collect();
    let has_parents = paths.iter().all(|path| (1..path.len()).all(|end| folders.contains(&path[..end])));
    let has_names = entries.iter().all(|entry| entry.path.split('/').all(is_name));
    let is_shallow = paths.iter().all(|path| path.len() <= DEPTH_MAX);
    let sizes = || entries.iter().filter_map(|entry| Some(u128::from(entry.file.as_ref()?.1)));
    let is_short = data.len() <= MANIFEST_BYTES_MAX && entries.len() <= ENTRIES_MAX;
    let is_small = sizes().all(|bytes| bytes <= u128::from(BYTES_MAX))
        && sizes().sum::<u128>() <= u128::from(BYTES_MAX)
        && sizes().map(|bytes| bytes.div_ceil(u128::from(PIECE))).sum::<u128>() <= u128::from(u32::MAX);
    let is_manifest = is_ascending && has_parents && has_names && is_shallow && is_short && is_small;
    is_manifest.then_some(entries)
}

/// The crate is asked for the normalization form alone: any other refusal of what is good here shows.
fn is_name(name: &str) -> bool {
    names::is_entry_name(name) && !matches!(EntryName::new(name), Err(TextError::NotNormalized))
}

fn fields(mut rest: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while let Some((kind, behind)) = rest.split_first() {
        let (length, behind) = behind.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if *kind > 2 || length == 0 || length > PATH_BYTES_MAX {
            return None;
        }
        let (path, behind) = behind.split_at_checked(length)?;
        let path = String::from_utf8(path.to_vec()).ok()?;
        let (file, behind) = if *kind == 0 {
            (None, behind)
        } else {
            let (bytes, behind) = behind.split_first_chunk()?;
            let (root, behind) = behind.split_at_checked(32)?;
            (Some((*kind == 2, u64::from_be_bytes(*bytes), root.to_vec())), behind)
        };
        entries.push(Entry { path, file });
        rest = behind;
    }
    Some(entries)
}
