//! Entries of a manifest, and their bytes (BT-3.6-1).

use super::manifest_error::ManifestError;
use super::root::{ROOT_BYTES, Root};
use crate::limits::MANIFEST_PATH_BYTES_MAX;
use crate::number::{FileBytes, HexBytes};

/// A file or a folder in a folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ManifestEntry<'a> {
    /// A folder. What is in it has entries of its own.
    Folder {
        /// Its path.
        path: &'a str,
    },
    /// A file.
    File(ManifestFile<'a>),
}

/// A file in a folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ManifestFile<'a> {
    /// Its path: the names of the folders around it, and its own, with `/` between them.
    pub path: &'a str,
    /// Whether it is a program.
    pub is_executable: bool,
    /// Its size.
    pub file_bytes: FileBytes,
    /// Its root.
    pub root: Root,
}

const FOLDER: u8 = 0;
const FILE: u8 = 1;
const EXECUTABLE: u8 = 2;

/// A kind and a path's length.
const HEAD_BYTES: usize = 3;

/// A size and a root.
const FILE_TAIL_BYTES: usize = 8 + ROOT_BYTES;

const _: () = assert!(MANIFEST_PATH_BYTES_MAX <= u16::MAX as usize);

impl<'a> ManifestEntry<'a> {
    /// The path within the folder, its components joined by `/`.
    #[must_use]
    pub fn path(&self) -> &'a str {
        match self {
            Self::Folder { path } => path,
            Self::File(file) => file.path,
        }
    }

    /// The components of the path. In a manifest, each is an [`EntryName`](crate::EntryName).
    pub fn components(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.path().split('/')
    }

    /// Bytes that the entry takes in a manifest.
    pub(super) fn encoded_bytes(&self) -> usize {
        let tail = match self {
            Self::Folder { .. } => 0,
            Self::File(_) => FILE_TAIL_BYTES,
        };
        HEAD_BYTES + self.path().len() + tail
    }
}

impl<'a> ManifestFile<'a> {
    /// The components of the path. In a manifest, each is an [`EntryName`](crate::EntryName).
    pub fn components(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.path.split('/')
    }
}

/// Appends an entry. What is in its path is checked when it is read.
///
/// # Errors
/// The path is too long to say how long it is.
pub(super) fn write_entry(
    encoded: &mut Vec<u8>,
    number: u32,
    entry: &ManifestEntry<'_>,
) -> Result<(), ManifestError> {
    let path = entry.path();
    let path_bytes = u16::try_from(path.len())
        .map_err(|_| ManifestError::PathBytes { entry: number, bytes: path.len() })?;
    let kind = match entry {
        ManifestEntry::Folder { .. } => FOLDER,
        ManifestEntry::File(file) if file.is_executable => EXECUTABLE,
        ManifestEntry::File(_) => FILE,
    };
    encoded.push(kind);
    encoded.extend_from_slice(&path_bytes.to_be_bytes());
    encoded.extend_from_slice(path.as_bytes());
    if let ManifestEntry::File(file) = entry {
        encoded.extend_from_slice(&file.file_bytes.bytes().to_be_bytes());
        encoded.extend_from_slice(file.root.as_bytes());
    }
    Ok(())
}

/// The entry that begins at `start`, and where it ends. Its path is a text of an allowed length, no more is checked.
///
/// # Errors
/// The entry is cut off, or one of its fields can't be read.
pub(super) fn read_entry(
    encoded: &[u8],
    start: usize,
    number: u32,
) -> Result<(ManifestEntry<'_>, usize), ManifestError> {
    let mut fields = Fields { rest: &encoded[start..], number };
    let [kind] = fields.array()?;
    if !matches!(kind, FOLDER | FILE | EXECUTABLE) {
        return Err(ManifestError::Kind { entry: number, kind });
    }
    let path_bytes = usize::from(u16::from_be_bytes(fields.array()?));
    if path_bytes == 0 || path_bytes > MANIFEST_PATH_BYTES_MAX {
        return Err(ManifestError::PathBytes { entry: number, bytes: path_bytes });
    }
    let path = std::str::from_utf8(fields.take(path_bytes)?)
        .map_err(|_| ManifestError::NotText { entry: number })?;
    let entry = if kind == FOLDER {
        ManifestEntry::Folder { path }
    } else {
        let bytes = u64::from_be_bytes(fields.array()?);
        let file_bytes =
            FileBytes::new(bytes).map_err(|_| ManifestError::FileBytes { entry: number, bytes })?;
        let root = Root(HexBytes(fields.array()?));
        ManifestEntry::File(ManifestFile { path, is_executable: kind == EXECUTABLE, file_bytes, root })
    };
    Ok((entry, encoded.len() - fields.rest.len()))
}

/// What is left of an entry's fields.
struct Fields<'a> {
    rest: &'a [u8],
    number: u32,
}

impl<'a> Fields<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], ManifestError> {
        let Some((field, rest)) = self.rest.split_at_checked(bytes) else {
            return Err(ManifestError::Short { entry: self.number, missing: bytes - self.rest.len() });
        };
        self.rest = rest;
        Ok(field)
    }

    fn array<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], ManifestError> {
        let field = self.take(BYTES)?;
        Ok(field.try_into().expect("so many bytes were taken"))
    }
}
