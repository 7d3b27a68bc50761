//! The server's own folder. Today it holds a lock alone, so that two servers never share one.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The data folder, held by this process until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    _lock: File,
}

/// Why the data folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It can't be made or written to.
    #[error("can't use the data folder {}: {error}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another server has it.
    #[error("another bittrickle-server is using the data folder {}; stop it, or give this one another --data-dir", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

impl DataDir {
    /// Makes the folder if it isn't there, and takes it.
    ///
    /// # Errors
    /// It can't be made, can't be written to, or another server has it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |error| DataDirError::Io { path: path.to_owned(), error };
        fs::create_dir_all(path).map_err(failed)?;
        let lock = File::options().create(true).append(true).open(path.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
