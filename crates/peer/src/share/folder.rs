//! The folder that files are published from and downloaded to.
//!
//! Everything is opened through a handle of the folder, by a [`FileName`], without following a symbolic link: no
//! name leads out of it, not even one that changes between a look and an open.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bittrickle_wire::{FileBytes, FileName};
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use rustix::fs::{OFlags, RenameFlags, fstatvfs, renameat_with};
use rustix::io::Errno;

/// The folder.
#[derive(Debug)]
pub struct Folder {
    dir: Dir,
    /// The same folder once more: the handle above can't be synced.
    sync: File,
    file_mode: u32,
}

/// A file that is open to be sent.
#[derive(Debug)]
pub struct SharedFile {
    /// The file, at its start.
    pub file: File,
    /// Its size when it was opened.
    pub file_bytes: FileBytes,
}

/// A download under way: a hidden file that goes when this does, unless [`PartFile::finish`] gives it its name.
#[derive(Debug)]
pub struct PartFile {
    dir: Dir,
    sync: File,
    file: File,
    part_name: String,
    file_mode: u32,
    finished: bool,
}

/// Why the folder can't do what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// There is no file of this name.
    #[error("there is no file of this name in the folder")]
    NotFound,
    /// A folder, a link, a device: nothing that is shared.
    #[error("it is not a regular file")]
    NotAFile,
    /// A file larger than the protocol knows.
    #[error("it is too large")]
    TooLarge,
    /// A file of this name is there already.
    #[error("a file of this name is already there, and is never overwritten; move it away first")]
    Exists,
    /// Not enough room on the disk.
    #[error("the disk has {free_bytes} bytes left, the file needs {file_bytes}")]
    NoSpace {
        /// Bytes that are free.
        free_bytes: u64,
        /// Bytes that are needed.
        file_bytes: u64,
    },
    /// The operating system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Folder {
    /// Opens a folder. Files that are downloaded to it get `file_mode`, without any executable bit.
    ///
    /// # Errors
    /// It isn't there, isn't a folder, or can't be read.
    pub fn open(path: &Path, file_mode: u32) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Self { dir, sync: File::open(path)?, file_mode: file_mode & 0o666 })
    }

    /// Opens a file to send it.
    ///
    /// # Errors
    /// It isn't there, isn't a regular file, or can't be read.
    pub fn open_shared(&self, name: &FileName) -> Result<SharedFile, FolderError> {
        let mut options = OpenOptions::new();
        // A pipe that takes the file's place is opened without waiting for its other end, and then refused.
        options.read(true).follow(FollowSymlinks::No).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = match self.dir.open_with(name.as_str(), &options) {
            Ok(file) => file.into_std(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(FolderError::NotFound),
            Err(error) if is_link(&error) => return Err(FolderError::NotAFile),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(FolderError::NotAFile);
        }
        let file_bytes = FileBytes::new(metadata.len()).map_err(|_| FolderError::TooLarge)?;
        Ok(SharedFile { file, file_bytes })
    }

    /// Whether something of this name is there, of whatever type.
    #[must_use]
    pub fn has(&self, name: &FileName) -> bool {
        self.dir.symlink_metadata(name.as_str()).is_ok()
    }

    /// Begins a download of so many bytes, or of a number that isn't known.
    ///
    /// # Errors
    /// There is no room for it, or the folder can't be written to.
    pub fn create_part(&self, file_bytes: Option<u64>) -> Result<PartFile, FolderError> {
        let (dir, sync) = (self.dir.try_clone()?, self.sync.try_clone()?);
        if let (Some(file_bytes), Ok(disk)) = (file_bytes, fstatvfs(&sync)) {
            let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
            if free_bytes < file_bytes {
                return Err(FolderError::NoSpace { free_bytes, file_bytes });
            }
        }
        let random = getrandom::u64().map_err(io::Error::other)?;
        let part_name = format!(".bittrickle-{random:016x}.part");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).follow(FollowSymlinks::No).mode(0o600);
        let file = dir.open_with(&part_name, &options)?.into_std();
        Ok(PartFile { dir, sync, file, part_name, file_mode: self.file_mode, finished: false })
    }
}

impl PartFile {
    /// Appends bytes.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.file, bytes)
    }

    /// Makes the download durable under its final name (BT-3.4-1). What is there already stays as it is.
    ///
    /// # Errors
    /// Something of this name is there, or the disk fails. Nothing is left behind then.
    pub fn finish(mut self, name: &FileName) -> Result<(), FolderError> {
        self.file.set_permissions(Permissions::from_mode(self.file_mode))?;
        self.file.sync_all()?;
        self.rename_without_replacing(name.as_str())?;
        self.finished = true;
        self.sync.sync_all()?;
        Ok(())
    }

    fn rename_without_replacing(&self, name: &str) -> Result<(), FolderError> {
        match renameat_with(&self.dir, &self.part_name, &self.dir, name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(FolderError::Exists),
            // A file system that can't: a link doesn't replace either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                self.dir.hard_link(&self.part_name, &self.dir, name).map_err(exists)?;
                Ok(self.dir.remove_file(&self.part_name)?)
            }
            Err(error) => Err(io::Error::from(error).into()),
        }
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.finished {
            // Our own name, in our own folder: nothing else can be hit. If it fails, a hidden file stays.
            let _ = self.dir.remove_file(&self.part_name);
        }
    }
}

fn exists(error: io::Error) -> FolderError {
    if error.kind() == io::ErrorKind::AlreadyExists { FolderError::Exists } else { error.into() }
}

fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}
