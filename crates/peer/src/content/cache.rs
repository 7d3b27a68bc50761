//! What files were hashed to, kept from one run to the next. It is only a cache: whatever is wrong with it costs time,
//! never a wrong hash.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase as _, ReadableTableMetadata as _, TableDefinition,
};

use super::hasher::Hashed;
use super::identity::Identity;
use super::record::{decode, encode};

/// Files by their paths. What it says of a file is said of the file as it was, so an [`Identity`] goes with it.
#[derive(Debug)]
pub struct HashCache {
    database: Database,
    /// So many files, and then it begins anew: paths that are gone would fill it for good.
    entries_max: u64,
    #[cfg(test)]
    commits: std::sync::atomic::AtomicUsize,
}

/// Why hashes can't be kept. Files can be hashed all the same.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Another process has the file.
    #[error("another bittrickle is using {}, so this one forgets what it hashes when it ends", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be read or written.
    #[error("can't use {}, so what is hashed is forgotten at the end: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The database says no.
    #[error("can't keep what files were hashed to: {0}")]
    Database(Box<redb::Error>),
}

/// From a path's bytes to a record. Another form of record gets another table's name.
const HASHES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("hashes-1");

/// Most files that the cache's file knows.
const FILE_ENTRIES_MAX: u64 = 1_000_000;

/// Most files that a cache in memory knows: at some 300 bytes each, that is 30 MB.
const MEMORY_ENTRIES_MAX: u64 = 100_000;

/// Most memory that the database keeps of its file.
const CACHE_BYTES: usize = 16 * 1_024 * 1_024;

impl HashCache {
    /// Opens the cache in this file, for its owner alone. A file that isn't there is made, and one that is damaged is
    /// deleted and begun anew.
    ///
    /// # Errors
    /// Another process has the file, or it can't be read or written.
    pub fn open(path: &Path) -> Result<Self, CacheError> {
        let database = match database_in(path) {
            Err(OpenError::Damaged) => {
                fs::remove_file(path).map_err(|error| CacheError::Io { path: path.to_owned(), error })?;
                database_in(path)
            }
            result => result,
        };
        let database = database.map_err(|error| error.told(path))?;
        Ok(Self::with(database, FILE_ENTRIES_MAX))
    }

    /// A cache that is gone when it is dropped.
    #[must_use]
    pub fn in_memory() -> Self {
        let database = builder().create_with_backend(InMemoryBackend::new());
        let database = database.expect("an empty database in memory can be made");
        Self::with(database, MEMORY_ENTRIES_MAX)
    }

    fn with(database: Database, entries_max: u64) -> Self {
        Self {
            database,
            entries_max,
            #[cfg(test)]
            commits: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// How often it was written to.
    #[cfg(test)]
    pub(crate) fn commits(&self) -> usize {
        self.commits.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Opens the cache in this file or, where that can't be, in memory. Why it can't be is said as well.
    #[must_use]
    pub fn open_or_in_memory(path: &Path) -> (Self, Option<CacheError>) {
        match Self::open(path) {
            Ok(cache) => (cache, None),
            Err(error) => (Self::in_memory(), Some(error)),
        }
    }

    /// What the file at this path was hashed to, if it is still the same. Nothing, if the cache can't be read.
    #[must_use]
    pub fn find(&self, path: &Path, identity: &Identity) -> Option<Hashed> {
        let key = path.as_os_str().as_bytes();
        let transaction = self.database.begin_read().ok()?;
        let record = transaction.open_table(HASHES).ok()?.get(key).ok()??;
        decode(key, record.value(), identity)
    }

    /// Keeps what these files were hashed to, all of them or none. What was known of their paths is replaced. A file that
    /// was [recent](Identity::is_recent) when it was hashed doesn't belong here.
    ///
    /// # Errors
    /// They can't be written.
    pub fn store(&self, entries: &[(PathBuf, Identity, Hashed)]) -> Result<(), CacheError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.write(entries).map_err(|error| CacheError::Database(Box::new(error)))
    }

    #[cfg(test)]
    pub(super) fn with_entries_max(self, entries_max: u64) -> Self {
        Self { entries_max, ..self }
    }

    fn write(&self, entries: &[(PathBuf, Identity, Hashed)]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        let known = transaction.open_table(HASHES)?.len()?;
        if known.saturating_add(entries.len() as u64) > self.entries_max {
            transaction.delete_table(HASHES)?;
        }
        {
            let mut table = transaction.open_table(HASHES)?;
            let entries_max = usize::try_from(self.entries_max).unwrap_or(usize::MAX);
            for (path, identity, hashed) in entries.iter().take(entries_max) {
                let key = path.as_os_str().as_bytes();
                table.insert(key, encode(key, identity, hashed).as_slice())?;
            }
        }
        transaction.commit()?;
        #[cfg(test)]
        self.commits.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

enum OpenError {
    Damaged,
    InUse,
    Io(io::Error),
    Database(DatabaseError),
}

impl OpenError {
    fn told(self, path: &Path) -> CacheError {
        let path = path.to_owned();
        match self {
            Self::InUse => CacheError::InUse { path },
            Self::Io(error) => CacheError::Io { path, error },
            Self::Damaged => CacheError::Io { path, error: io::ErrorKind::InvalidData.into() },
            Self::Database(error) => CacheError::Database(Box::new(error.into())),
        }
    }
}

fn database_in(path: &Path) -> Result<Database, OpenError> {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let backend = FileBackend::new(file.map_err(OpenError::Io)?).map_err(damaged_or_failed)?;
    // A record that was damaged on disk is found by its checksum, but a damaged tree would be followed.
    builder().set_check_integrity_on_open(true).create_with_backend(backend).map_err(damaged_or_failed)
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Whether the file is to blame, or the moment.
fn damaged_or_failed(error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse,
        DatabaseError::Storage(redb::StorageError::Io(error)) => match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => OpenError::Damaged,
            _ => OpenError::Io(error),
        },
        DatabaseError::Storage(redb::StorageError::Corrupted(_))
        | DatabaseError::RepairAborted
        | DatabaseError::UpgradeRequired(_) => OpenError::Damaged,
        error => OpenError::Database(error),
    }
}
