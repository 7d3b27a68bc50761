//! The tree of a folder that is being downloaded (BT-3.6).

use std::collections::HashSet;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::sync::{Arc, Mutex, PoisonError};

use bittrickle_wire::content::{Manifest, ManifestEntry, ManifestFile};
use bittrickle_wire::fold;
use cap_fs_ext::{DirExt as _, FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _, OpenOptions, OpenOptionsExt as _};

use rustix::fs::{Mode, OFlags, openat};

use crate::share::folder::{Folder, FolderError, is_unable, open_to_read, unless_unable};

/// A hidden folder of our own, in which the tree grows. Nobody but its user can look into it before it is complete.
#[derive(Debug)]
pub(super) struct Tree {
    dir: Dir,
    /// The same folder once more: the handle above can't be synced.
    sync: File,
    manifest: Arc<Manifest>,
    open: Mutex<Open>,
}

/// What is likely to be written to next.
#[derive(Debug, Default)]
struct Open {
    /// The folder of the last file.
    parent: Option<(String, Dir)>,
    /// Files of several pieces.
    files: Vec<(u32, Arc<File>)>,
}

/// Files that are kept open while their pieces come in.
const OPEN_FILES_MAX: usize = 16;

impl Tree {
    /// Opens the tree, or begins it: all its folders and empty files are made.
    pub(super) fn open(
        folder: &Folder,
        part_name: &str,
        manifest: &Arc<Manifest>,
    ) -> Result<Self, FolderError> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        match folder.dir().create_dir_with(part_name, &builder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let dir = folder.dir().open_dir_nofollow(part_name)?;
        let sync = openat(&dir, ".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
        let sync = File::from(sync.map_err(io::Error::from)?);
        folder.check_owner(part_name, &sync.metadata()?)?;
        refuse_same_names(&dir, manifest)?;
        let tree = Self { dir, sync, manifest: Arc::clone(manifest), open: Mutex::default() };
        for entry in tree.manifest.entries() {
            match entry {
                ManifestEntry::Folder { path } => tree.make_folder(path)?,
                ManifestEntry::File(file) if file.file_bytes.bytes() == 0 => drop(tree.create(&file)?),
                ManifestEntry::File(_) => {}
            }
        }
        Ok(tree)
    }

    /// Writes bytes of a file, which is made when it isn't there.
    pub(super) fn write(&self, file: u32, offset: u64, bytes: &[u8], file_bytes: u64) -> io::Result<()> {
        if bytes.len() as u64 == file_bytes {
            return self.create(&self.file(file))?.write_all_at(bytes, 0);
        }
        self.open_to_write(file)?.write_all_at(bytes, offset)
    }

    /// One of its files.
    pub(super) fn open_to_read(&self, file: u32) -> Result<File, FolderError> {
        open_to_read(&self.dir, self.file(file).path)
    }

    /// Makes all that was written durable, in one go for however many files.
    pub(super) fn sync(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        match rustix::fs::syncfs(&self.sync).map_err(io::Error::from) {
            Err(error) if is_unable(&error) => sync_below(&self.dir)?,
            synced => synced?,
        }
        #[cfg(not(target_os = "linux"))]
        rustix::fs::sync();
        Ok(())
    }

    /// Makes the tree durable and accessible as any folder that its user makes.
    pub(super) fn finish(&self, file_mode: u32) -> io::Result<()> {
        // Who may read a file may look into its folder.
        let mode = 0o700 | file_mode | (file_mode & 0o444) >> 2;
        // Where the file system keeps no modes, it has its own.
        let _ = self.sync.set_permissions(Permissions::from_mode(mode));
        self.sync()
    }

    /// The folder itself.
    pub(super) fn handle(&self) -> &File {
        &self.sync
    }

    /// The tree that stands under this name now, if it has as many entries as this one.
    pub(super) fn reopen(&self, folder: &Folder, name: &str) -> io::Result<Self> {
        let dir = folder.dir().open_dir_nofollow(name)?;
        if entries(&dir)? != self.manifest.entries().count() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let sync = self.sync.try_clone()?;
        Ok(Self { dir, sync, manifest: Arc::clone(&self.manifest), open: Mutex::default() })
    }

    fn file(&self, file: u32) -> ManifestFile<'_> {
        self.manifest.file(file).expect("the layout has the manifest's files")
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        match self.dir.create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    /// Makes a file, empty: what a download that was interrupted has left of it goes.
    fn create(&self, file: &ManifestFile<'_>) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.truncate(true);
        self.open_with(file, options)
    }

    fn open_to_write(&self, file: u32) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, handle)) = open.files.iter().find(|(number, _)| *number == file) {
            return Ok(Arc::clone(handle));
        }
        drop(open);
        let handle = Arc::new(self.open_with(&self.file(file), OpenOptions::new())?);
        open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.files.len() == OPEN_FILES_MAX {
            open.files.remove(0);
        }
        open.files.push((file, Arc::clone(&handle)));
        Ok(handle)
    }

    fn open_with(&self, file: &ManifestFile<'_>, mut options: OpenOptions) -> io::Result<File> {
        // What the user's umask takes away is taken away by the system.
        let mode = if file.is_executable { 0o777 } else { 0o666 };
        options.write(true).create(true).follow(FollowSymlinks::No).mode(mode);
        let Some((parent, name)) = file.path.rsplit_once('/') else {
            return Ok(self.dir.open_with(file.path, &options)?.into_std());
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = match open.parent.take() {
            Some((path, dir)) if path == parent => dir,
            _ => self.dir.open_dir(parent)?,
        };
        let file = dir.open_with(name, &options);
        open.parent = Some((parent.to_owned(), dir));
        Ok(file?.into_std())
    }
}

/// Makes a folder durable, and what is below it, one by one.
fn sync_below(dir: &Dir) -> io::Result<()> {
    for entry in dir.entries()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_below(&dir.open_dir_nofollow(entry.file_name())?)?;
        } else {
            entry.open()?.into_std().sync_all()?;
        }
    }
    let handle = openat(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
    unless_unable(File::from(handle.map_err(io::Error::from)?).sync_all())
}

/// How many entries there are in a folder, at whatever depth.
fn entries(dir: &Dir) -> io::Result<usize> {
    let mut count = 0;
    for entry in dir.entries()? {
        let entry = entry?;
        count += 1;
        if entry.file_type()?.is_dir() {
            count += entries(&dir.open_dir_nofollow(entry.file_name())?)?;
        }
    }
    Ok(count)
}

/// Refuses a tree that a file system without upper and lower case can't hold, if this is one.
fn refuse_same_names(dir: &Dir, manifest: &Manifest) -> Result<(), FolderError> {
    let mut folded = HashSet::new();
    let Some(same) = manifest.entries().find(|entry| !folded.insert(fold(entry.path()))) else {
        return Ok(());
    };
    let (lower, upper) = (".bittrickle-case", ".BITTRICKLE-CASE");
    dir.write(lower, "")?;
    let is_blind = dir.symlink_metadata(upper).is_ok();
    dir.remove_file(lower)?;
    if is_blind { Err(FolderError::SameName(same.path().to_owned())) } else { Ok(()) }
}
