//! Everything in the shared folder: what of it can be shared, what can't and why, and many files hashed at once.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use bittrickle_wire::FileName;
use cap_std::fs::{DirEntry, MetadataExt as _};

use super::folder::{Folder, FolderError};
use super::holding::Holding;
use super::publish::{PublishError, Publisher};
use crate::content::{LeftOut, hash_files, is_unfinished};

/// What stands in the shared folder.
#[derive(Debug, Default)]
pub struct Everything {
    /// Files by their labels, with their sizes.
    pub files: Vec<(FileName, u64)>,
    /// Folders by their labels.
    pub folders: Vec<FileName>,
    /// What can't be shared, as a person is shown it (not yet escaped), and why.
    pub left_out: Vec<(String, LeftOut)>,
}

/// What became of one of many files.
pub type HashedFile = (FileName, Result<Arc<Holding>, LeftOut>);

impl Publisher {
    /// What stands in the shared folder, by name.
    ///
    /// # Errors
    /// It can't be read.
    pub fn everything(&self) -> Result<Everything, PublishError> {
        Ok(Everything::of(&self.folder).map_err(FolderError::Io)?)
    }

    /// Hashes these files with all threads, and tells the cache of many at once.
    ///
    /// # Errors
    /// `stop` was set.
    pub fn hash_many(
        &self,
        names: Vec<FileName>,
        progress: &AtomicU64,
        stop: &AtomicBool,
    ) -> Result<Vec<HashedFile>, PublishError> {
        let labels: Vec<String> = names.iter().map(|name| name.as_str().to_owned()).collect();
        let hashed = hash_files(self.folder.dir(), &self.path, &labels, &self.hashing(progress, stop))?;
        let holding = |name: &FileName, settled: crate::content::Settled| {
            self.holding(name, settled.identity, Some(settled.hashed)).map_err(|_| LeftOut::TooLarge)
        };
        let files = names.into_iter().zip(hashed).map(|(name, hashed)| {
            let holding = hashed.and_then(|settled| holding(&name, settled));
            (name, holding)
        });
        Ok(files.collect())
    }
}

impl Everything {
    fn of(folder: &Folder) -> io::Result<Self> {
        let mut found = Self::default();
        let mut labels: BTreeMap<FileName, (String, Kind)> = BTreeMap::new();
        for entry in folder.dir().entries()? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let (label, kind) = match look(&entry) {
                Ok(looked) => looked,
                Err(reason) => {
                    found.left_out.push((name, reason));
                    continue;
                }
            };
            // Of several spellings of one label, the label itself is the one, else the first.
            let is_better = |other: &(String, Kind)| {
                label.as_str() == name || other.0 > name && other.0 != *label.as_str()
            };
            let other = match labels.get(&label) {
                None => labels.insert(label, (name, kind)),
                Some(other) if is_better(other) => labels.insert(label, (name, kind)),
                Some(_) => Some((name, kind)),
            };
            found.left_out.extend(other.map(|(name, _)| (name, LeftOut::OtherSpelling)));
        }
        for (label, (_, kind)) in labels {
            match kind {
                Kind::File(bytes) => found.files.push((label, bytes)),
                Kind::Folder => found.folders.push(label),
            }
        }
        found.left_out.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(found)
    }
}

enum Kind {
    File(u64),
    Folder,
}

/// An entry's label, or why it isn't shared.
fn look(entry: &DirEntry) -> Result<(FileName, Kind), LeftOut> {
    let name = entry.file_name();
    let text = name.to_str().ok_or(LeftOut::NotText)?;
    if is_unfinished(text) {
        return Err(LeftOut::Unfinished);
    }
    let metadata = entry.metadata().map_err(|error| LeftOut::Unreadable(error.kind()))?;
    let kind = match metadata.file_type() {
        kind if kind.is_symlink() => return Err(LeftOut::Link),
        kind if kind.is_file() => Kind::File(metadata.size()),
        kind if kind.is_dir() => Kind::Folder,
        _ => return Err(LeftOut::Special),
    };
    Ok((FileName::of_local(text).map_err(LeftOut::Name)?, kind))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::content::HashCache;

    /// BT-2.1-13, BT-3.6-5
    #[test]
    fn what_can_not_be_shared_is_told_with_its_reason() {
        let place = tempfile::tempdir().unwrap();
        for name in
            ["a.txt", "10:00.log", ".env", "a\tb", "cafe\u{301}", "\u{e9}", "e\u{301}", ".bittrickle-1.part"]
        {
            fs::write(place.path().join(name), name).unwrap();
        }
        fs::create_dir(place.path().join("photos")).unwrap();
        symlink("/etc", place.path().join("link")).unwrap();
        let folder = Folder::open(place.path(), 0o644).unwrap();
        let everything = Everything::of(&folder).unwrap();
        let files: Vec<_> = everything.files.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        assert_eq!(files, [("a.txt", 5), ("caf\u{e9}", 6), ("\u{e9}", 2)]);
        assert_eq!(everything.folders.iter().map(FileName::as_str).collect::<Vec<_>>(), ["photos"]);
        let left_out: Vec<_> =
            everything.left_out.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        for told in [
            "10:00.log: its name is not acceptable",
            ".env: its name is not acceptable",
            "a\tb: its name is not acceptable",
            "e\u{301}: another name beside it",
            ".bittrickle-1.part: it is an unfinished download",
            "link: it is a symbolic link",
        ] {
            assert!(left_out.iter().any(|line| line.starts_with(told)), "{told} in {left_out:?}");
        }
        assert_eq!(left_out.len(), 6);
    }

    /// The cache is on disk: a commit a file would take a hundred times longer than hashing.
    #[test]
    fn many_files_are_told_to_the_cache_together() {
        let place = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::open(place.path(), 0o644).unwrap());
        let names: Vec<FileName> = (0..2_000).map(|n| FileName::new(&n.to_string()).unwrap()).collect();
        for name in &names {
            let path = place.path().join(name.as_str());
            fs::write(&path, name.as_str()).unwrap();
            // What has just been written isn't kept.
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        }
        let cache = Arc::new(HashCache::in_memory());
        let publisher = Publisher::new(folder, place.path().to_owned(), Arc::clone(&cache));
        let hash =
            || publisher.hash_many(names.clone(), &AtomicU64::new(0), &AtomicBool::new(false)).unwrap();
        assert!(hash().iter().all(|(_, hashed)| hashed.is_ok()));
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        assert!((1..=threads + 1).contains(&cache.commits()), "{} commits", cache.commits());
        let before = cache.commits();
        assert!(hash().iter().all(|(_, hashed)| hashed.is_ok()));
        assert_eq!(cache.commits(), before, "all of them are known");
    }
}
