//! The server's own folder: for its owner alone, and for one process at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bittrickle_secret::SecretError;

/// The data folder, held by this process until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why the data folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It can't be made, or others have access to it.
    #[error("the data folder is not acceptable: {0}")]
    Folder(#[from] SecretError),
    /// It can't be written to.
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

/// The file in it by which a process holds it. It is empty.
pub(crate) const LOCK_FILE_NAME: &str = "lock";

/// How often a folder that is in use is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

impl DataDir {
    /// Makes the folder with mode 0700 if it isn't there, and takes it. If another process has it, it is waited for as long
    /// as `patience`: an administrator's command holds it for a moment only.
    ///
    /// # Errors
    /// It can't be made or written to, others have access to it, or another process keeps it.
    pub fn open(path: &Path, patience: Duration) -> Result<Self, DataDirError> {
        bittrickle_secret::create_folder(path)?;
        Self::open_existing(path, patience)
    }

    /// Takes the folder, which must be there.
    ///
    /// # Errors
    /// It isn't there, can't be written to, others have access to it, or another process keeps it.
    pub fn open_existing(path: &Path, patience: Duration) -> Result<Self, DataDirError> {
        bittrickle_secret::check_folder(path)?;
        let failed = |error| DataDirError::Io { path: path.to_owned(), error };
        let mut options = File::options();
        options.create(true).append(true).mode(0o600);
        let lock = options.open(path.join(LOCK_FILE_NAME)).map_err(failed)?;
        let deadline = Instant::now() + patience;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path: path.to_owned(), _lock: lock }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(RETRY_PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Err(DataDirError::InUse { path: path.to_owned() }),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl DataDirError {
    /// Whether the reason is who else may use the folder.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Folder(error) => error.is_permission(),
            Self::Io { error, .. } => error.kind() == io::ErrorKind::PermissionDenied,
            Self::InUse { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_data_folder_is_for_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = DataDir::open(&path, Duration::ZERO).unwrap();
        assert!(matches!(DataDir::open(&path, Duration::ZERO), Err(DataDirError::InUse { .. })));
        drop(first);
        DataDir::open(&path, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_data_folder_that_others_may_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let error = DataDir::open(folder.path(), Duration::ZERO).unwrap_err();
        assert!(error.is_permission() && error.to_string().contains("chmod 700"), "{error}");
    }
}
