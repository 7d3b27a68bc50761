//! The folder that files are published from and downloaded to.
//!
//! Everything is opened through a handle of the folder, by a [`FileName`], without following a symbolic link: no
//! name leads out of it, not even one that changes between a look and an open.

use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bittrickle_wire::{FileBytes, FileName};
use cap_fs_ext::{DirExt as _, FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use rustix::fs::{AtFlags, CWD, OFlags, RenameFlags, fstatvfs, linkat, renameat_with};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::content::{self, Spellings};

/// The folder.
#[derive(Debug)]
pub struct Folder {
    dir: Dir,
    /// The same folder once more: the handle above can't be synced.
    sync: File,
    file_mode: u32,
    /// How it spells its names, as far as that was looked for.
    spellings: Mutex<Spellings>,
}

/// A file that is open to be sent.
#[derive(Debug)]
pub struct SharedFile {
    /// The file, at its start.
    pub file: File,
    /// Its size when it was opened.
    pub file_bytes: FileBytes,
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
    /// It is being downloaded already.
    #[error("another download of it is under way in this folder")]
    UnderWay,
    /// Under the hidden name of a part or a journal, there is something that a download has not made.
    #[error("{0} is in the folder and was not made by a download of yours; move it away first")]
    NotOurs(String),
    /// What stands under a hidden name isn't what was written there.
    #[error(
        "somebody else has put another thing in the place of what was downloaded; fetch to a folder that only you can write to"
    )]
    Replaced,
    /// The file system doesn't tell upper from lower case, and the content has names that differ in nothing else.
    #[error("this file system can't hold both {0} and another name that differs from it in case only")]
    SameName(String),
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
        let spellings = Mutex::default();
        Ok(Self { dir, sync: File::open(path)?, file_mode: file_mode & 0o666, spellings })
    }

    /// Opens a file to send it.
    ///
    /// # Errors
    /// It isn't there, isn't a regular file, or can't be read.
    pub fn open_shared(&self, name: &FileName) -> Result<SharedFile, FolderError> {
        let file = open_to_read(&self.dir, &self.local(name))?;
        let file_bytes = FileBytes::new(file.metadata()?.len()).map_err(|_| FolderError::TooLarge)?;
        Ok(SharedFile { file, file_bytes })
    }

    /// Opens a folder to share what is in it. `None` when it is none.
    ///
    /// # Errors
    /// It can't be read.
    pub fn open_tree(&self, name: &FileName) -> Result<Option<Dir>, FolderError> {
        let local = self.local(name);
        match self.dir.symlink_metadata(&*local) {
            Ok(metadata) if metadata.is_dir() => Ok(Some(self.dir.open_dir_nofollow(&*local)?)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FolderError::NotFound),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether something of this name is there, of whatever type.
    #[must_use]
    pub fn has(&self, name: &FileName) -> bool {
        self.has_entry(&self.local(name))
    }

    /// What has this label in the folder: the label itself, or another spelling of it.
    fn local<'a>(&self, name: &'a FileName) -> Cow<'a, str> {
        let label = name.as_str();
        if label.is_ascii() || self.has_entry(label) {
            return Cow::Borrowed(label);
        }
        let mut spellings = self.spellings.lock().unwrap_or_else(PoisonError::into_inner);
        // What was seen before is there still, or all names are looked at once more.
        if let Some(name) = spellings.get(label).filter(|name| self.has_entry(name)) {
            return Cow::Owned(name.clone());
        }
        *spellings = content::spellings(&self.dir);
        spellings.get(label).map_or(Cow::Borrowed(label), |name| Cow::Owned(name.clone()))
    }

    /// The same for names that no content has.
    pub(super) fn has_entry(&self, name: &str) -> bool {
        self.dir.symlink_metadata(name).is_ok()
    }

    /// The folder itself, for what has to be opened in it.
    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Makes what happened to the names in it durable.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn sync(&self) -> io::Result<()> {
        unless_unable(self.sync.sync_all())
    }

    /// The mode of files that are downloaded to it.
    pub(super) fn file_mode(&self) -> u32 {
        self.file_mode
    }

    /// Refuses to write to what was there under a name of ours, and isn't a file that we have made (BT-3.5-6). One with a
    /// second name would be written to under that as well.
    ///
    /// # Errors
    /// It is no regular file, somebody else's, or has a second name.
    pub(super) fn check_own(&self, name: &str, file: &File) -> Result<(), FolderError> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(FolderError::NotAFile);
        }
        if metadata.nlink() > 1 {
            return Err(FolderError::NotOurs(name.to_owned()));
        }
        self.check_owner(name, &metadata)
    }

    /// Refuses what somebody else has made, who could change it again whenever it has been verified.
    ///
    /// # Errors
    /// It is somebody else's.
    pub(super) fn check_owner(&self, name: &str, metadata: &Metadata) -> Result<(), FolderError> {
        // Where a file system keeps no owners, everything is the folder's owner's, who can put anything in its place anyway.
        let is_ours = metadata.uid() == geteuid().as_raw() || metadata.uid() == self.sync.metadata()?.uid();
        if is_ours { Ok(()) } else { Err(FolderError::NotOurs(name.to_owned())) }
    }

    /// Refuses what would fill more than the whole disk.
    ///
    /// # Errors
    /// The disk has fewer bytes.
    pub fn check_size(&self, file_bytes: u64) -> Result<(), FolderError> {
        let Ok(disk) = fstatvfs(&self.sync) else { return Ok(()) };
        let disk_bytes = disk.f_blocks.saturating_mul(disk.f_frsize);
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        // Some file systems say nothing of their size.
        let fits = disk_bytes == 0 || file_bytes <= disk_bytes;
        if fits { Ok(()) } else { Err(FolderError::NoSpace { free_bytes, file_bytes }) }
    }

    /// Refuses what there is no room for.
    ///
    /// # Errors
    /// The disk has fewer bytes left.
    pub(super) fn check_room(&self, file_bytes: u64) -> Result<(), FolderError> {
        // Where it can't be asked, writing finds out.
        let Ok(disk) = fstatvfs(&self.sync) else { return Ok(()) };
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free_bytes < file_bytes { Err(FolderError::NoSpace { free_bytes, file_bytes }) } else { Ok(()) }
    }

    /// Moves an open file or folder from its hidden name to its final one (BT-3.5-6). An existing file of that name stays as it
    /// is. Another user of the folder may have replaced what the hidden name stands for: what gets the final name is the open
    /// file. On file systems whose inode numbers aren't stable, `is_right` compares the bytes instead.
    ///
    /// # Errors
    /// Something of this name is there, something else under the hidden one, or the disk fails.
    pub(super) fn give_name(
        &self,
        open: &File,
        hidden: &str,
        name: &str,
        is_right: &dyn Fn() -> bool,
    ) -> Result<(), FolderError> {
        if open.metadata()?.is_file() {
            match self.link_open(open, name) {
                Ok(()) => {
                    // The hidden name is removed only while it names this file. A file with both names is complete as well.
                    if self.is_same(open, hidden) {
                        let _ = self.dir.remove_file(hidden);
                    }
                    return Ok(());
                }
                Err(Errno::EXIST) => return Err(FolderError::Exists),
                // The file has no name any more.
                Err(Errno::NOENT) if open.metadata()?.nlink() == 0 => return Err(FolderError::Replaced),
                // A file system without links, or a system that doesn't show its open files.
                Err(_) => {}
            }
        }
        let has_numbers = self.has_numbers()?;
        if has_numbers && !self.is_same(open, hidden) {
            return Err(FolderError::Replaced);
        }
        self.rename_without_replacing(hidden, name)?;
        if self.is_same(open, name) || !has_numbers && is_right() {
            return Ok(());
        }
        // It was replaced in this very moment; under a hidden name nobody takes it for what was asked for.
        self.rename_without_replacing(name, &random_hidden_name()?)?;
        Err(FolderError::Replaced)
    }

    /// Whether the file system gives an open file and its name the same number, as nearly all do.
    fn has_numbers(&self) -> Result<bool, FolderError> {
        let probe = random_hidden_name()?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).follow(FollowSymlinks::No).mode(0o600);
        let file = self.dir.open_with(&probe, &options)?.into_std();
        let has_numbers = self.is_same(&file, &probe);
        self.dir.remove_file(&probe)?;
        Ok(has_numbers)
    }

    /// One more name for an open file, whatever has its name now.
    #[cfg(target_os = "linux")]
    fn link_open(&self, open: &File, name: &str) -> Result<(), Errno> {
        let path = format!("/proc/self/fd/{}", open.as_raw_fd());
        linkat(CWD, path, &self.dir, name, AtFlags::SYMLINK_FOLLOW)
    }

    #[cfg(not(target_os = "linux"))]
    fn link_open(&self, _: &File, _: &str) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }

    /// Whether this is what stands under a name, as far as the file system's numbers tell.
    fn is_same(&self, open: &File, name: &str) -> bool {
        let (Ok(open), Ok(there)) = (open.metadata(), self.dir.symlink_metadata(name)) else { return false };
        let there = (cap_std::fs::MetadataExt::dev(&there), cap_std::fs::MetadataExt::ino(&there));
        (open.dev(), open.ino()) == there
    }

    /// Gives what is there under one name another one. What has that name already stays as it is.
    fn rename_without_replacing(&self, from: &str, name: &str) -> Result<(), FolderError> {
        match renameat_with(&self.dir, from, &self.dir, name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(FolderError::Exists),
            // A file system that can't.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.rename_where_nothing_is(from, name),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// The same in several steps.
    fn rename_where_nothing_is(&self, from: &str, name: &str) -> Result<(), FolderError> {
        // A link doesn't replace anything either. There are none of folders, and on some file systems none at all.
        match self.dir.hard_link(from, &self.dir, name) {
            Ok(()) => return Ok(self.dir.remove_file(from)?),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(FolderError::Exists),
            Err(_) => {}
        }
        // A file that somebody makes right between these two is replaced. A folder replaces nothing but an empty one.
        match self.dir.symlink_metadata(name) {
            Ok(_) => Err(FolderError::Exists),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(self.dir.rename(from, &self.dir, name)?)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Opens a file beneath a folder to read it, following no link in its last component and leaving the folder by none.
///
/// # Errors
/// It isn't there, isn't a regular file, or can't be read.
pub(super) fn open_to_read(dir: &Dir, path: &str) -> Result<File, FolderError> {
    let mut options = OpenOptions::new();
    // A pipe that takes the file's place is opened without waiting for its other end, and then refused.
    options.read(true).follow(FollowSymlinks::No).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = match dir.open_with(path, &options) {
        Ok(file) => file.into_std(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(FolderError::NotFound),
        Err(error) if is_link(&error) => return Err(FolderError::NotAFile),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(FolderError::NotAFile) }
}

/// A name that nothing has, for what has none of its own.
pub(super) fn random_hidden_name() -> io::Result<String> {
    let random = getrandom::u64().map_err(io::Error::other)?;
    Ok(format!(".bittrickle-{random:016x}.part"))
}

/// A file system that can't do it at all hasn't failed: no disk is worse for it.
pub(super) fn unless_unable(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if is_unable(&error) => Ok(()),
        done => done,
    }
}

pub(super) fn is_unable(error: &io::Error) -> bool {
    let unable = [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP];
    unable.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// BT-3.5-6: on file systems that can't rename without replacing, whether they can link or, as of folders, not.
    #[test]
    fn what_gets_its_name_in_several_steps_replaces_nothing_either() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path(), 0o644).unwrap();
        let path = |name: &str| place.path().join(name);
        fs::write(path("file"), b"new").unwrap();
        fs::create_dir(path("folder")).unwrap();
        fs::write(path("folder/inside"), b"new").unwrap();
        fs::write(path("there"), b"old").unwrap();
        fs::create_dir(path("empty")).unwrap();
        for from in ["file", "folder"] {
            for name in ["there", "empty"] {
                let refused = folder.rename_where_nothing_is(from, name);
                assert!(matches!(refused, Err(FolderError::Exists)), "{from} to {name}: {refused:?}");
            }
            folder.rename_where_nothing_is(from, &format!("{from} at last")).unwrap();
            assert!(!path(from).exists(), "{from}");
        }
        assert_eq!(fs::read(path("there")).unwrap(), b"old");
        assert_eq!(fs::read_dir(path("empty")).unwrap().count(), 0);
        assert_eq!(fs::read(path("file at last")).unwrap(), b"new");
        assert_eq!(fs::read(path("folder at last/inside")).unwrap(), b"new");
    }
}
