//! What is in a folder, by name and kind.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use bittrickle_wire::limits::{MANIFEST_DEPTH_MAX, MANIFEST_ENTRIES_MAX, MANIFEST_PATH_BYTES_MAX};
use bittrickle_wire::{EntryName, composed};
use cap_fs_ext::DirExt as _;
use cap_std::fs::{Dir, FileType};

use super::{LeftOut, WalkError, reason};

/// Paths within a folder, in no particular order.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) folders: Vec<String>,
    pub(super) files: Vec<String>,
    pub(super) left_out: Vec<(String, LeftOut)>,
}

struct Lister<'a> {
    listing: Listing,
    /// Everything that was met, whether it is shared or not.
    met: usize,
    stop: &'a AtomicBool,
}

/// What a folder says of one of its entries.
struct Entry {
    name: OsString,
    kind: io::Result<FileType>,
}

/// A folder within the one that is listed.
struct Place<'a> {
    path: &'a str,
    depth: usize,
}

pub(super) fn list(dir: &Dir, stop: &AtomicBool) -> Result<Listing, WalkError> {
    let mut lister = Lister { listing: Listing::default(), met: 0, stop };
    let entries = lister.entries(dir)??;
    lister.take(dir, &Place { path: "", depth: 0 }, entries)?;
    Ok(lister.listing)
}

impl Lister<'_> {
    /// All entries of one folder: an error of the file system is the folder's own, any other one is the end of the walk.
    fn entries(&mut self, dir: &Dir) -> Result<io::Result<Vec<Entry>>, WalkError> {
        let mut entries = Vec::new();
        let found = match dir.entries() {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        for entry in found {
            self.met += 1;
            if self.met > MANIFEST_ENTRIES_MAX {
                return Err(WalkError::TooManyEntries);
            }
            match entry {
                Ok(entry) => entries.push(Entry { name: entry.file_name(), kind: entry.file_type() }),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(entries))
    }

    /// Takes in what is in a folder. Folders lie no deeper than paths may, and so often at most does this call itself.
    fn take(&mut self, dir: &Dir, place: &Place<'_>, entries: Vec<Entry>) -> Result<(), WalkError> {
        let labels = Labels::of(&entries);
        for entry in entries {
            if self.stop.load(Ordering::Relaxed) {
                return Err(WalkError::Stopped);
            }
            let name = entry.name.to_string_lossy();
            let path = place.join(&composed(&name));
            if labels.is_taken(&name) {
                self.listing.left_out.push((path, LeftOut::OtherSpelling));
                continue;
            }
            match kind(dir, &entry, &path, place) {
                Ok(kind) if kind.is_dir() => self.take_folder(dir, &entry.name, path, place.depth + 1)?,
                Ok(_) => self.listing.files.push(path),
                Err(reason) => self.listing.left_out.push((path, reason)),
            }
        }
        Ok(())
    }

    fn take_folder(&mut self, dir: &Dir, name: &OsStr, path: String, depth: usize) -> Result<(), WalkError> {
        let opened = match dir.open_dir_nofollow(name) {
            Ok(folder) => self.entries(&folder)?.map(|entries| (folder, entries)),
            Err(error) => Err(error),
        };
        match opened {
            Ok((folder, entries)) => {
                self.listing.folders.push(path.clone());
                self.take(&folder, &Place { path: &path, depth }, entries)
            }
            Err(error) => {
                self.listing.left_out.push((path, reason(&error)));
                Ok(())
            }
        }
    }
}

/// The labels of one folder's names: what is spelled so, and of what is spelled otherwise the first.
struct Labels(BTreeMap<String, String>);

impl Labels {
    fn of(entries: &[Entry]) -> Self {
        let names: BTreeSet<&str> = entries.iter().filter_map(|entry| entry.name.to_str()).collect();
        let mut labels = BTreeMap::new();
        for name in names.iter().filter(|name| !name.is_ascii()) {
            let label = composed(name);
            if label != **name && !names.contains(&*label) {
                labels.entry(label.into_owned()).or_insert_with(|| (*name).to_owned());
            }
        }
        Self(labels)
    }

    /// Whether another name has this one's label.
    fn is_taken(&self, name: &str) -> bool {
        let label = composed(name);
        label != name && self.0.get(&*label).is_none_or(|first| first != name)
    }
}

impl Place<'_> {
    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }
}

/// A file or a folder, or why it is neither or isn't shared.
fn kind(dir: &Dir, entry: &Entry, path: &str, place: &Place<'_>) -> Result<FileType, LeftOut> {
    let text = entry.name.to_str();
    if text.is_some_and(is_unfinished) {
        return Err(LeftOut::Unfinished);
    }
    let mut kind = *entry.kind.as_ref().map_err(reason)?;
    if !kind.is_file() && !kind.is_dir() && !kind.is_symlink() {
        // Some file systems don't say the kind along with the name.
        kind = dir.symlink_metadata(&entry.name).map_err(|error| reason(&error))?.file_type();
    }
    if kind.is_symlink() {
        return Err(LeftOut::Link);
    }
    if !kind.is_file() && !kind.is_dir() {
        return Err(LeftOut::Special);
    }
    EntryName::of_local(text.ok_or(LeftOut::NotText)?).map_err(LeftOut::Name)?;
    if place.depth >= MANIFEST_DEPTH_MAX {
        return Err(LeftOut::TooDeep);
    }
    if path.len() > MANIFEST_PATH_BYTES_MAX {
        return Err(LeftOut::PathTooLong);
    }
    Ok(kind)
}

/// Whether a name is one that downloads have until they are finished.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.starts_with(".bittrickle-") && (name.ends_with(".part") || name.ends_with(".journal"))
}
