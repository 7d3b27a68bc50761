//! Folders that are shared: what is in them becomes a manifest (BT-3.6-5).
//!
//! Nothing is opened but through a handle of the folder, component by component, and no symbolic link is followed.

mod files;
mod list;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use bittrickle_wire::content::{ChainingValue, Manifest, ManifestEntry, ManifestError, ManifestFile};
use bittrickle_wire::limits::{MANIFEST_DEPTH_MAX, MANIFEST_ENTRIES_MAX, MANIFEST_PATH_BYTES_MAX};
use bittrickle_wire::{FileBytes, TextError};
use cap_std::fs::Dir;

use super::identity::Identity;
use super::settled::{Hashing, Settled};
use files::{FoundFile, Outcome};
pub(crate) use list::is_unfinished;

/// A folder as it was found.
#[derive(Debug)]
pub struct Walked {
    /// What is in it.
    pub manifest: Manifest,
    /// What isn't in the manifest though it is in the folder: paths as a person is shown them (not yet escaped), each with
    /// the reason. What lies in a folder that is left out isn't listed.
    pub left_out: Vec<(String, LeftOut)>,
    /// The files as they were when they were hashed, in the order of the manifest's files.
    pub identities: Vec<Identity>,
    /// The values of the files' pieces: the folder's outline.
    pub outline: Vec<ChainingValue>,
}

/// Why something in a folder isn't shared with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LeftOut {
    /// It points somewhere else.
    #[error("it is a symbolic link")]
    Link,
    /// Neither a file nor a folder.
    #[error("it is neither a file nor a folder, but a device, a pipe or a socket")]
    Special,
    /// A download of ours that isn't finished.
    #[error("it is an unfinished download")]
    Unfinished,
    /// Its name isn't UTF-8.
    #[error("its name is not UTF-8; rename it to share it")]
    NotText,
    /// Its name isn't acceptable everywhere.
    #[error("its name is not acceptable on every system: {0}; rename it to share it")]
    Name(TextError),
    /// Another name beside it has the same label.
    #[error("another name beside it differs in its spelling only")]
    OtherSpelling,
    /// It lies too deep.
    #[error("it lies more than {MANIFEST_DEPTH_MAX} folders deep")]
    TooDeep,
    /// Its path is too long.
    #[error("its path has more than {MANIFEST_PATH_BYTES_MAX} bytes")]
    PathTooLong,
    /// It has too many bytes.
    #[error("it is larger than a file that is shared can be")]
    TooLarge,
    /// It was written to each time it was hashed.
    #[error("it kept changing while it was read; share the folder again when it is finished")]
    Changing,
    /// It went away after it was seen.
    #[error("it was deleted meanwhile")]
    Gone,
    /// It may not be read, or can't.
    #[error("it can't be read: {0}")]
    Unreadable(io::ErrorKind),
}

/// Why a folder can't be shared.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The folder itself can't be read.
    #[error("the folder can't be read: {0}")]
    Io(#[from] io::Error),
    /// There is too much in it.
    #[error("there are more than {MANIFEST_ENTRIES_MAX} files and folders in it; share parts of it")]
    TooManyEntries,
    /// The caller wants it no longer.
    #[error("hashing was stopped")]
    Stopped,
    /// What is in it is too much for one manifest.
    #[error("there is too much in it: {0}; share parts of it")]
    Manifest(#[from] ManifestError),
}

/// Reads and hashes what is in a folder. `path` is the folder's path, by which the cache knows its files. Names, kinds and
/// sizes are those of the moment when each was looked at: whoever changes the folder meanwhile gets some of both.
///
/// # Errors
/// The folder can't be read, there is too much in it, or hashing was stopped.
pub fn walk(dir: &Dir, path: &Path, hashing: &Hashing<'_>) -> Result<Walked, WalkError> {
    let mut listing = list::list(dir, hashing.stop)?;
    // In the manifest's order: files of one folder follow each other, and so do what is found and what is written.
    listing.files.sort_unstable_by(|one, other| one.split('/').cmp(other.split('/')));
    let outcomes = files::hash_all(dir, path, &listing.files, hashing)?;
    let mut found = Vec::with_capacity(outcomes.len());
    for (path, outcome) in listing.files.iter().zip(outcomes) {
        match outcome {
            Outcome::Found(file) => found.push((path.as_str(), file)),
            Outcome::LeftOut(reason) => listing.left_out.push((path.clone(), reason)),
        }
    }
    let folders = listing.folders.iter().map(|path| ManifestEntry::Folder { path });
    let files = found.iter().map(|(path, file)| ManifestEntry::File(manifest_file(path, file)));
    let manifest = Manifest::new(folders.chain(files).collect())?;
    let identities = found.iter().map(|(_, file)| file.settled.identity).collect();
    let outline = found.into_iter().flat_map(|(_, file)| file.settled.hashed.outline).collect();
    Ok(Walked { manifest, left_out: listing.left_out, identities, outline })
}

/// Hashes files of one folder, the small ones side by side, and tells the cache of many at once. What became of each, in
/// their order.
///
/// # Errors
/// Hashing was stopped.
pub fn hash_files(
    dir: &Dir,
    path: &Path,
    labels: &[String],
    hashing: &Hashing<'_>,
) -> Result<Vec<Result<Settled, LeftOut>>, WalkError> {
    let outcomes = files::hash_all(dir, path, labels, hashing)?;
    let settled = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::Found(file) => Ok(file.settled),
        Outcome::LeftOut(reason) => Err(reason),
    });
    Ok(settled.collect())
}

fn manifest_file<'a>(path: &'a str, file: &FoundFile) -> ManifestFile<'a> {
    let file_bytes = FileBytes::new(file.settled.identity.file_bytes);
    let file_bytes = file_bytes.expect("a file of that many pieces was left out");
    ManifestFile { path, is_executable: file.is_executable, file_bytes, root: file.settled.hashed.root }
}

/// What an error of the file system says of something that was there when the folder was listed.
fn reason(error: &io::Error) -> LeftOut {
    // What was a folder or a file may be a link by now.
    let is_link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    match error.kind() {
        io::ErrorKind::NotFound => LeftOut::Gone,
        _ if is_link => LeftOut::Link,
        kind => LeftOut::Unreadable(kind),
    }
}
