//! Manifests: what is in a folder, as bytes that have a root themselves (BT-3.6).
//!
//! A manifest keeps the bytes that it was read from: a folder of a million files costs little more than they do.

use super::manifest_entry::{ManifestEntry, ManifestFile, read_entry, write_entry};
use super::manifest_error::ManifestError;
use super::root::Root;
use crate::limits::{
    FILE_BYTES_MAX, MANIFEST_BYTES_MAX, MANIFEST_DEPTH_MAX, MANIFEST_ENTRIES_MAX, PIECE_BYTES, PIECES_MAX,
};
use crate::number::FileBytes;
use crate::text::EntryName;

/// The files and folders of one folder. There is one manifest, byte for byte, for one state of a folder.
#[derive(Clone, Eq, PartialEq)]
pub struct Manifest {
    encoded: Box<[u8]>,
    /// Where the files' entries begin in `encoded`.
    file_starts: Vec<u32>,
    entries: u32,
    bytes: FileBytes,
}

/// What every manifest begins with.
const MAGIC: &[u8; 4] = b"BTM1";

const _: () = assert!(MANIFEST_BYTES_MAX <= u32::MAX as usize, "a place in a manifest has 32 bits");

impl Manifest {
    /// The manifest of these entries, whatever order they come in.
    ///
    /// # Errors
    /// Entries that can't be in one manifest.
    pub fn new(mut entries: Vec<ManifestEntry<'_>>) -> Result<Self, ManifestError> {
        if entries.len() > MANIFEST_ENTRIES_MAX {
            return Err(ManifestError::TooManyEntries);
        }
        entries.sort_unstable_by(|one, other| one.components().cmp(other.components()));
        let bytes = MAGIC.len() + entries.iter().map(ManifestEntry::encoded_bytes).sum::<usize>();
        if bytes > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLong { bytes });
        }
        let mut encoded = Vec::with_capacity(bytes);
        encoded.extend_from_slice(MAGIC);
        for (number, entry) in (0..).zip(&entries) {
            write_entry(&mut encoded, number, entry)?;
        }
        Self::checked(encoded.into())
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// The first thing that is wrong with the bytes, their number before all.
    pub fn decode(encoded: &[u8]) -> Result<Self, ManifestError> {
        if encoded.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLong { bytes: encoded.len() });
        }
        Self::checked(encoded.into())
    }

    /// The bytes of the manifest, whose root is the folder's.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.encoded
    }

    /// The folder's root.
    #[must_use]
    pub fn root(&self) -> Root {
        Root::of(&self.encoded)
    }

    /// All entries, in order: a folder stands before what is in it.
    pub fn entries(&self) -> impl Iterator<Item = ManifestEntry<'_>> {
        let mut start = MAGIC.len();
        (0..self.entries).map(move |_| {
            let (entry, end) = self.entry_at(start);
            start = end;
            entry
        })
    }

    /// The files, in order: those of the [`Layout`](super::Layout), which counts them from 0.
    pub fn files(&self) -> impl ExactSizeIterator<Item = ManifestFile<'_>> {
        self.file_starts.iter().map(|start| self.file_at(*start))
    }

    /// One of the files.
    #[must_use]
    pub fn file(&self, file: u32) -> Option<ManifestFile<'_>> {
        self.file_starts.get(file as usize).map(|start| self.file_at(*start))
    }

    /// How many entries there are.
    #[must_use]
    pub fn entry_count(&self) -> u32 {
        self.entries
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> FileBytes {
        self.bytes
    }

    fn file_at(&self, start: u32) -> ManifestFile<'_> {
        match self.entry_at(start as usize).0 {
            ManifestEntry::File(file) => file,
            ManifestEntry::Folder { .. } => unreachable!("only files' places are kept"),
        }
    }

    fn entry_at(&self, start: usize) -> (ManifestEntry<'_>, usize) {
        read_entry(&self.encoded, start, 0).expect("every entry was read when the manifest was built")
    }

    fn checked(encoded: Box<[u8]>) -> Result<Self, ManifestError> {
        if !encoded.starts_with(MAGIC) {
            return Err(ManifestError::Magic);
        }
        let mut file_starts = Vec::new();
        let mut checker = Checker::default();
        let mut start = MAGIC.len();
        while start < encoded.len() {
            if checker.entries as usize == MANIFEST_ENTRIES_MAX {
                return Err(ManifestError::TooManyEntries);
            }
            let (entry, end) = read_entry(&encoded, start, checker.entries)?;
            checker.check(entry)?;
            if matches!(entry, ManifestEntry::File(_)) {
                file_starts.push(u32::try_from(start).expect("a manifest is shorter than 4 GiB"));
            }
            start = end;
        }
        file_starts.shrink_to_fit();
        let (entries, bytes) = (checker.entries, checker.bytes);
        let bytes = FileBytes::new(bytes).expect("the sum was checked with every file");
        Ok(Self { encoded, file_starts, entries, bytes })
    }
}

impl std::fmt::Debug for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries()).finish()
    }
}

/// What entries must satisfy together, looked at one after the other.
#[derive(Default)]
struct Checker<'a> {
    last: Option<ManifestEntry<'a>>,
    entries: u32,
    bytes: u64,
    pieces: u64,
}

impl<'a> Checker<'a> {
    fn check(&mut self, entry: ManifestEntry<'a>) -> Result<(), ManifestError> {
        let number = self.entries;
        let mut depth = 0;
        for component in entry.components() {
            EntryName::check_component(component)
                .map_err(|error| ManifestError::Name { entry: number, error })?;
            depth += 1;
        }
        if depth > MANIFEST_DEPTH_MAX {
            return Err(ManifestError::Depth { entry: number, depth });
        }
        self.check_order(&entry)?;
        self.check_parent(&entry)?;
        if let ManifestEntry::File(file) = &entry {
            self.add_file(file)?;
        }
        self.last = Some(entry);
        self.entries += 1;
        Ok(())
    }

    fn check_order(&self, entry: &ManifestEntry<'a>) -> Result<(), ManifestError> {
        let Some(last) = &self.last else { return Ok(()) };
        match last.components().cmp(entry.components()) {
            std::cmp::Ordering::Less => Ok(()),
            std::cmp::Ordering::Equal => Err(ManifestError::Duplicate { entry: self.entries }),
            std::cmp::Ordering::Greater => Err(ManifestError::Order { entry: self.entries }),
        }
    }

    /// In order, nothing but what is in a folder stands between the folder and what is in it. So the entry before this one
    /// is the parent or lies within it, and one that lies within it has shown that the parent is a folder.
    fn check_parent(&self, entry: &ManifestEntry<'a>) -> Result<(), ManifestError> {
        let Some((parent, _)) = entry.path().rsplit_once('/') else { return Ok(()) };
        let rest = self.last.as_ref().and_then(|last| last.path().strip_prefix(parent));
        match (rest, &self.last) {
            (Some(""), Some(ManifestEntry::File(_))) => {
                Err(ManifestError::ParentIsFile { entry: self.entries })
            }
            (Some(rest), _) if rest.is_empty() || rest.starts_with('/') => Ok(()),
            _ => Err(ManifestError::NoParent { entry: self.entries }),
        }
    }

    fn add_file(&mut self, file: &ManifestFile<'_>) -> Result<(), ManifestError> {
        // Neither sum overflows: each summand and each sum so far has its bound.
        let bytes = self.bytes + file.file_bytes.bytes();
        if bytes > FILE_BYTES_MAX {
            return Err(ManifestError::TotalBytes { entry: self.entries, bytes });
        }
        let pieces = self.pieces + file.file_bytes.bytes().div_ceil(PIECE_BYTES as u64);
        if pieces > PIECES_MAX {
            return Err(ManifestError::TooManyPieces { entry: self.entries, pieces });
        }
        (self.bytes, self.pieces) = (bytes, pieces);
        Ok(())
    }
}
