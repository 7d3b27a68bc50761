//! Why a secret file can't be used.

use std::io;
use std::path::{Path, PathBuf};

/// Why a secret file can't be read or written. Each message says what to do next; none holds any of the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such file or folder.
    #[error("{} is not there; check the path", path.display())]
    Missing {
        /// The file or folder.
        path: PathBuf,
    },
    /// Something of this name is there already, and a new secret never replaces it.
    #[error("{} is already there and is never replaced; move it away first", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Its group or others have some access to the file.
    #[error("{} can be used by other users (mode {mode:04o}); run: chmod 600 {}", path.display(), path.display())]
    FileExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its group or others have some access to the folder.
    #[error("{} can be used by other users (mode {mode:04o}); run: chmod 700 {}", path.display(), path.display())]
    FolderExposed {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to another user, who could change it.
    #[error("{} belongs to another user; use it as that user, or change its owner with chown", path.display())]
    NotOurs {
        /// The file or folder.
        path: PathBuf,
    },
    /// A symbolic link, a folder, a pipe, a device.
    #[error("{} is not a regular file; give the path of the file itself", path.display())]
    NotAFile {
        /// What it is called.
        path: PathBuf,
    },
    /// Not a folder.
    #[error("{} is not a folder; choose another path", path.display())]
    NotAFolder {
        /// What it is called.
        path: PathBuf,
    },
    /// More bytes than such a file ever has.
    #[error("{} is longer than {bytes_max} bytes; is it the right file?", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Bytes it may have.
        bytes_max: usize,
    },
    /// Not what a key's file holds. It is kept as it is: only a person can tell whether the key still matters.
    #[error(
        "{} is not a key of 64 lower-case hexadecimal digits and a newline; restore it from a backup, or move it away \
         to begin with a new key", path.display()
    )]
    DamagedKey {
        /// The file.
        path: PathBuf,
    },
    /// The operating system says no.
    #[error("can't use {}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl SecretError {
    /// Whether the reason is who else may use the file or folder: for programs that tell so by their exit code.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        match self {
            Self::FileExposed { .. } | Self::FolderExposed { .. } | Self::NotOurs { .. } => true,
            Self::Io { error, .. } => error.kind() == io::ErrorKind::PermissionDenied,
            Self::Missing { .. }
            | Self::Exists { .. }
            | Self::NotAFile { .. }
            | Self::NotAFolder { .. }
            | Self::TooLong { .. }
            | Self::DamagedKey { .. } => false,
        }
    }

    /// What makes an error of the operating system one about `path`.
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        move |error| Self::Io { path: path.to_owned(), error }
    }
}
