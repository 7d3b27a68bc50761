//! Hashing all files of a folder: small ones side by side, large ones one after the other with all threads.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use cap_fs_ext::{DirExt as _, FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use rustix::fs::OFlags;

use super::super::hasher::{HashError, Hashed};
use super::super::identity::Identity;
use super::super::settled::{Hashing, Settled};
use super::super::spelling::{Spellings, with_spelling};
use super::{LeftOut, WalkError, reason};

/// A file that was hashed.
pub(super) struct FoundFile {
    pub(super) settled: Settled,
    pub(super) is_executable: bool,
}

/// What became of a file.
pub(super) enum Outcome {
    Found(FoundFile),
    LeftOut(LeftOut),
}

/// A file of so many bytes gives every thread enough to do.
const LARGE_BYTES: u64 = 64 << 20;

/// The cache is told after so many bytes or files, so that a walk that is cut off doesn't begin anew.
const STORE_BYTES: u64 = 1 << 30;
const STORE_FILES: usize = 10_000;

/// The files of one walk, for all threads.
struct Files<'a> {
    dir: &'a Dir,
    path: &'a Path,
    paths: &'a [String],
    hashing: &'a Hashing<'a>,
    /// The next file that nobody has taken.
    next: AtomicUsize,
    /// Set by the first thread that is stopped.
    is_over: AtomicBool,
}

/// One thread's part.
struct Worker<'a> {
    files: &'a Files<'a>,
    /// The folder that the last file was in: the next one is often there as well.
    parent: Option<(String, Dir)>,
    /// How that folder spells its names, where one has been looked for.
    spellings: Option<Spellings>,
    /// What the cache isn't told yet.
    news: Vec<(PathBuf, Identity, Hashed)>,
    news_bytes: u64,
}

/// What became of each file, in the order of the paths, which is best the manifest's.
pub(super) fn hash_all(
    dir: &Dir,
    path: &Path,
    paths: &[String],
    hashing: &Hashing<'_>,
) -> Result<Vec<Outcome>, WalkError> {
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let files = Files { dir, path, paths, hashing, next, is_over };
    let mut outcomes: Vec<Option<Outcome>> = Vec::new();
    outcomes.resize_with(paths.len(), || None);
    for part in files.hash_small() {
        for (number, outcome) in part? {
            outcomes[number] = Some(outcome);
        }
    }
    let mut worker = Worker::new(&files);
    let outcomes = outcomes.into_iter().enumerate().map(|(number, outcome)| match outcome {
        Some(outcome) => Ok(outcome),
        None => worker.hash_large(number),
    });
    let outcomes = outcomes.collect();
    worker.tell_cache();
    outcomes
}

/// Numbers of files, and what became of them.
type Part = Vec<(usize, Outcome)>;

impl Files<'_> {
    /// What became of every file that isn't large, from each thread its part.
    fn hash_small(&self) -> Vec<Result<Part, WalkError>> {
        let others = self.hashing.threads.min(self.paths.len()).saturating_sub(1);
        thread::scope(|scope| {
            let others: Vec<_> = (0..others).map(|_| scope.spawn(|| Worker::new(self).hash_part())).collect();
            let own = Worker::new(self).hash_part();
            let others = others.into_iter().map(|other| other.join().expect("hashing doesn't panic"));
            others.chain([own]).collect()
        })
    }
}

impl<'a> Worker<'a> {
    fn new(files: &'a Files<'a>) -> Self {
        Self { files, parent: None, spellings: None, news: Vec::new(), news_bytes: 0 }
    }

    /// Hashes small files until none is left.
    fn hash_part(mut self) -> Result<Part, WalkError> {
        let mut part = Vec::new();
        let single = Hashing { threads: 1, ..*self.files.hashing };
        while !self.files.is_over.load(Ordering::Relaxed) {
            let number = self.files.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.files.paths.len() {
                break;
            }
            match self.hash(number, &single, LARGE_BYTES) {
                Ok(Some(outcome)) => part.push((number, outcome)),
                Ok(None) => {}
                Err(error) => {
                    self.files.is_over.store(true, Ordering::Relaxed);
                    self.tell_cache();
                    return Err(error);
                }
            }
        }
        self.tell_cache();
        Ok(part)
    }

    fn hash_large(&mut self, number: usize) -> Result<Outcome, WalkError> {
        let outcome = self.hash(number, self.files.hashing, u64::MAX)?;
        Ok(outcome.expect("no file has more bytes than can be counted"))
    }

    /// What becomes of one file; nothing yet, if it has more than `bytes_max` bytes.
    fn hash(
        &mut self,
        number: usize,
        hashing: &Hashing<'_>,
        bytes_max: u64,
    ) -> Result<Option<Outcome>, WalkError> {
        if hashing.stop.load(Ordering::Relaxed) {
            return Err(WalkError::Stopped);
        }
        let path = &self.files.paths[number];
        let opened = match self.open(path) {
            Ok(opened) => opened,
            Err(reason) => return Ok(Some(Outcome::LeftOut(reason))),
        };
        if opened.file_bytes > bytes_max {
            return Ok(None);
        }
        let path = self.files.path.join(path);
        match hashing.settle(&opened.file, &path) {
            Ok((settled, keep)) => {
                if keep {
                    self.keep(path, &settled);
                }
                Ok(Some(Outcome::Found(FoundFile { settled, is_executable: opened.is_executable })))
            }
            Err(HashError::Stopped) => Err(WalkError::Stopped),
            Err(HashError::Changing | HashError::Shorter) => Ok(Some(Outcome::LeftOut(LeftOut::Changing))),
            Err(HashError::TooLarge(_)) => Ok(Some(Outcome::LeftOut(LeftOut::TooLarge))),
            Err(HashError::Io(error)) => Ok(Some(Outcome::LeftOut(reason(&error)))),
        }
    }

    fn open(&mut self, path: &str) -> Result<Opened, LeftOut> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut options = OpenOptions::new();
        // A pipe that takes the file's place is opened without waiting for its other end, and then left out.
        options.read(true).follow(FollowSymlinks::No).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let mut spellings = self.spellings.take().filter(|_| self.is_parent(parent));
        let dir = self.parent(parent).map_err(|error| reason(&error))?;
        let file = with_spelling(dir, &mut spellings, name, |name| dir.open_with(name, &options));
        self.spellings = spellings;
        let file = file.map_err(|error| reason(&error))?.into_std();
        let metadata = file.metadata().map_err(|error| reason(&error))?;
        if !metadata.is_file() {
            return Err(LeftOut::Special);
        }
        let is_executable = metadata.mode() & OWNER_EXECUTES != 0;
        Ok(Opened { file, file_bytes: metadata.len(), is_executable })
    }

    /// Whether the last file was in this folder.
    fn is_parent(&self, path: &str) -> bool {
        self.parent.as_ref().map_or("", |(parent, _)| parent) == path
    }

    /// The folder of this path, opened component by component: a link that took a component's place isn't followed.
    fn parent(&mut self, path: &str) -> io::Result<&Dir> {
        let files = self.files;
        if path.is_empty() {
            self.parent = None;
            return Ok(files.dir);
        }
        let opened = match self.parent.take() {
            Some((opened, dir)) if opened == path => dir,
            _ => {
                let open = |dir: &Dir, label| {
                    with_spelling(dir, &mut None, label, |name| dir.open_dir_nofollow(name))
                };
                let mut components = path.split('/');
                let first = open(files.dir, components.next().unwrap_or_default())?;
                components.try_fold(first, |dir, component| open(&dir, component))?
            }
        };
        Ok(&self.parent.insert((path.to_owned(), opened)).1)
    }

    fn keep(&mut self, path: PathBuf, settled: &Settled) {
        self.news.push((path, settled.identity, settled.hashed.clone()));
        self.news_bytes += settled.identity.file_bytes;
        if self.news_bytes >= STORE_BYTES || self.news.len() >= STORE_FILES {
            self.tell_cache();
        }
    }

    fn tell_cache(&mut self) {
        // A hash that can't be kept is a hash all the same; the file is read again next time.
        let _ = self.files.hashing.cache.store(&self.news);
        self.news.clear();
        self.news_bytes = 0;
    }
}

/// A regular file, open.
struct Opened {
    file: File,
    file_bytes: u64,
    is_executable: bool,
}

const OWNER_EXECUTES: u32 = 0o100;
