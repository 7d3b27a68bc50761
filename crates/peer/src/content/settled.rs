//! Hashing a file that others may be writing to: what counts is a hash of one state of it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::SystemTime;

use super::cache::HashCache;
use super::hasher::{HashError, Hashed, hash_file};
use super::identity::Identity;

/// What goes with every file that is hashed.
#[derive(Clone, Copy, Debug)]
pub struct Hashing<'a> {
    /// Where to look before a file is read, and what to tell afterwards.
    pub cache: &'a HashCache,
    /// Threads that hash at a time; none counts as one.
    pub threads: usize,
    /// Grows by the bytes that are hashed. What the cache knows isn't hashed.
    pub progress: &'a AtomicU64,
    /// Set by whoever wants the hashes no longer.
    pub stop: &'a AtomicBool,
}

/// A file that stayed as it was while it was hashed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settled {
    /// The file as it was.
    pub identity: Identity,
    /// What it was hashed to.
    pub hashed: Hashed,
}

/// How often a file that changes is hashed before it is given up.
pub const ATTEMPTS_MAX: usize = 3;

impl Hashing<'_> {
    /// What an open file is hashed to: from the cache where it knows this state of the file, else by reading it. `path` is
    /// what the cache knows the file by.
    ///
    /// # Errors
    /// The file can't be read, is too large, doesn't stay the same, or hashing was stopped.
    pub fn file(&self, file: &File, path: &Path) -> Result<Settled, HashError> {
        let (settled, keep) = self.settle(file, path)?;
        if keep {
            // A hash that can't be kept is a hash all the same; the file is read again next time.
            let _ = self.cache.store(&[(path.to_owned(), settled.identity, settled.hashed.clone())]);
        }
        Ok(settled)
    }

    /// Like [`Hashing::file`], but leaves it to the caller to tell the cache. Also says whether it should be told: not what
    /// it knows already, and not what may have changed since without a trace.
    pub(super) fn settle(&self, file: &File, path: &Path) -> Result<(Settled, bool), HashError> {
        self.settle_by(file, path, Identity::of)
    }

    fn settle_by(
        &self,
        file: &File,
        path: &Path,
        mut identity_of: impl FnMut(&File) -> io::Result<Identity>,
    ) -> Result<(Settled, bool), HashError> {
        for _ in 0..ATTEMPTS_MAX {
            let now = SystemTime::now();
            let identity = identity_of(file)?;
            if let Some(hashed) = self.cache.find(path, &identity) {
                return Ok((Settled { identity, hashed }, false));
            }
            let hashed = match hash_file(file, identity.file_bytes, self.threads, self.progress, self.stop) {
                Err(HashError::Shorter) => continue,
                result => result?,
            };
            if identity_of(file)? == identity {
                return Ok((Settled { identity, hashed }, !identity.is_recent(now)));
            }
        }
        Err(HashError::Changing)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use bittrickle_wire::Root;

    use super::*;

    /// Hashes a file of 5 bytes that is changed so often while it is hashed. Also says how many bytes were hashed.
    fn settle_changing(changes: i128) -> (Result<(Settled, bool), HashError>, u64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "hello").unwrap();
        let (cache, progress, stop) = (HashCache::in_memory(), AtomicU64::new(0), AtomicBool::new(false));
        let hashing = Hashing { cache: &cache, threads: 1, progress: &progress, stop: &stop };
        // The file is looked at before it is read and afterwards, each time.
        let mut looks = 0;
        let settled = hashing.settle_by(&File::open(&path).unwrap(), &path, |file| {
            looks += 1;
            Ok(Identity { modified_ns: (looks / 2).min(changes), ..Identity::of(file)? })
        });
        (settled, progress.load(Ordering::Relaxed))
    }

    #[test]
    fn a_file_that_changes_is_hashed_until_it_stays_as_it_is() {
        for (changes, hashed_bytes) in [(0, 5), (1, 10), (2, 15)] {
            let (settled, bytes) = settle_changing(changes);
            let (settled, keep) = settled.unwrap();
            assert_eq!((settled.hashed.root, settled.identity.modified_ns), (Root::of(b"hello"), changes));
            assert!(keep && bytes == hashed_bytes, "{changes} changes, {bytes} bytes");
        }
    }

    #[test]
    fn a_file_that_keeps_changing_is_given_up() {
        let (settled, bytes) = settle_changing(i128::MAX);
        assert!(matches!(settled, Err(HashError::Changing)));
        assert_eq!(bytes, 5 * ATTEMPTS_MAX as u64);
    }

    #[test]
    fn a_file_that_is_hashed_by_itself_is_known_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "hello").unwrap();
        let file = File::options().write(true).read(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let (cache, progress, stop) = (HashCache::in_memory(), AtomicU64::new(0), AtomicBool::new(false));
        let hashing = Hashing { cache: &cache, threads: 1, progress: &progress, stop: &stop };
        let first = hashing.file(&file, &path).unwrap();
        assert_eq!(hashing.file(&file, &path).unwrap(), first);
        assert_eq!(progress.load(Ordering::Relaxed), 5);
    }
}
