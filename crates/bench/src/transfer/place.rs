//! Where big files are while they are measured, and how they are made.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A temporary folder in memory or on a disk.
#[derive(Debug)]
pub(super) struct Place {
    folder: TempDir,
    is_disk: bool,
}

/// Why there is no room for files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// There is no temporary folder.
    #[error("can't make a folder in {}: {error}", parent.display())]
    Folder {
        /// Where it was to be.
        parent: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Less is free than the measurement takes.
    #[error("{} has {free_mib} MiB free, {needed_mib} are needed", path.display())]
    Full {
        /// Where.
        path: PathBuf,
        /// What is free, in MiB.
        free_mib: u64,
        /// What is needed, in MiB.
        needed_mib: u64,
    },
    /// A file can't be made.
    #[error("can't make the files that are to be transferred: {0}")]
    Write(#[from] io::Error),
}

/// Many small files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// How many files.
    pub(super) files: u64,
    /// How many of them are in one sub folder.
    pub(super) files_a_folder: u64,
    /// Bytes of each.
    pub(super) file_bytes: u64,
}

pub(super) const MIB: u64 = 1_024 * 1_024;

pub(super) const GIB: u64 = 1_024 * MIB;

/// What sources share is in this folder.
pub(super) const SHARED: &str = "shared";

/// What isn't needed any more, but for its memory.
const ASIDE: &str = "aside";

/// The file system in memory that Linux has.
const SHARED_MEMORY: &str = "/dev/shm";

impl Place {
    /// In memory, if the system has a file system there; else where temporary files are.
    ///
    /// # Errors
    /// There can't be a folder.
    pub(super) fn in_memory() -> Result<Self, PlaceError> {
        if is_in_memory(SHARED_MEMORY) {
            return Self::below(Path::new(SHARED_MEMORY), false);
        }
        let parent = std::env::temp_dir();
        eprintln!("{SHARED_MEMORY} is no tmpfs: what is measured goes to {}", parent.display());
        Self::below(&parent, false)
    }

    /// On the disk that this folder is on.
    ///
    /// # Errors
    /// There can't be a folder.
    pub(super) fn on_disk(parent: &Path) -> Result<Self, PlaceError> {
        Self::below(parent, true)
    }

    fn below(parent: &Path, is_disk: bool) -> Result<Self, PlaceError> {
        let folder = tempfile::Builder::new().prefix("bittrickle-bench-").tempdir_in(parent);
        let folder = folder.map_err(|error| PlaceError::Folder { parent: parent.to_owned(), error })?;
        Ok(Self { folder, is_disk })
    }

    /// Whether a transfer has to wait for a disk here.
    pub(super) fn is_disk(&self) -> bool {
        self.is_disk
    }

    /// This name, marked when it is about a disk.
    pub(super) fn name(&self, name: &str) -> String {
        if self.is_disk { format!("{name}.disk") } else { name.to_owned() }
    }

    /// A path in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder in it, made if need be.
    ///
    /// # Errors
    /// It can't be made.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, PlaceError> {
        let path = self.path(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Makes sure that so many bytes fit.
    ///
    /// # Errors
    /// They don't.
    pub(super) fn reserve(&self, bytes: u64) -> Result<(), PlaceError> {
        let system = rustix::fs::statvfs(self.folder.path()).map_err(io::Error::from)?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        if free >= bytes {
            return Ok(());
        }
        let path = self.folder.path().to_owned();
        Err(PlaceError::Full { path, free_mib: free / MIB, needed_mib: bytes.div_ceil(MIB) })
    }

    /// Makes a file of random bytes in the [`SHARED`] folder.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn random_file(&self, name: &str, bytes: u64) -> Result<PathBuf, PlaceError> {
        let path = self.folder(SHARED)?.join(name);
        fill(&path, bytes)?;
        self.settle();
        Ok(path)
    }

    /// Makes a file in the [`SHARED`] folder that says it has so many bytes, and keeps none.
    ///
    /// # Errors
    /// It can't be made.
    pub(super) fn sparse_file(&self, name: &str, bytes: u64) -> Result<PathBuf, PlaceError> {
        let path = self.folder(SHARED)?.join(name);
        File::create_new(&path)?.set_len(bytes)?;
        Ok(path)
    }

    /// Makes a folder of sub folders of files of random bytes in the [`SHARED`] folder.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn random_folder(&self, name: &str, shape: Shape) -> Result<PathBuf, PlaceError> {
        let path = self.folder(SHARED)?.join(name);
        for file in 0..shape.files {
            let sub = path.join(format!("sub-{:04}", file / shape.files_a_folder));
            if file.is_multiple_of(shape.files_a_folder) {
                fs::create_dir_all(&sub)?;
            }
            fill(&sub.join(format!("file-{file:06}")), shape.file_bytes)?;
        }
        self.settle();
        Ok(path)
    }

    /// Makes room for a file or a folder like the one that was [put aside](Self::put_aside).
    ///
    /// # Errors
    /// What was put aside stays.
    pub(super) fn make_room(&self) -> Result<(), PlaceError> {
        self.remove(&self.path(ASIDE))?;
        self.settle();
        Ok(())
    }

    /// Takes a file or a folder that is no longer needed, and keeps it until [room is made](Self::make_room) for the next.
    ///
    /// Memory that is free for a second or two goes back from a virtual machine to its host, and to get it again takes
    /// several times as long as to fill it. Memory that becomes free just before it is needed is still there.
    ///
    /// # Errors
    /// It can't be moved.
    pub(super) fn put_aside(&self, path: &Path) -> Result<(), PlaceError> {
        self.make_room()?;
        Ok(fs::rename(path, self.path(ASIDE))?)
    }

    /// Removes a file, or a folder with all that is in it, if there is one.
    ///
    /// # Errors
    /// It stays.
    pub(super) fn remove(&self, path: &Path) -> Result<(), PlaceError> {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// What is still on its way to the disk would disturb what is measured next.
    fn settle(&self) {
        if self.is_disk {
            rustix::fs::sync();
        }
    }
}

fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let random = File::open("/dev/urandom")?;
    io::copy(&mut random.take(bytes), &mut File::create_new(path)?)?;
    Ok(())
}

fn is_in_memory(path: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').skip(1).take(2).eq([path, "tmpfs"]))
}
