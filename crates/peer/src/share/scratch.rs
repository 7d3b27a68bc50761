//! Downloads that can't be gone on with, as the original's format has nothing to tell them by: a hidden file that goes when
//! its download fails (BT-4.3-4).

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use bittrickle_wire::FileName;
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{OpenOptions, OpenOptionsExt as _};

use super::folder::{Folder, FolderError, random_hidden_name};

/// A hidden file, removed when it is dropped, unless [`Scratch::finish`] gives it its name.
#[derive(Debug)]
pub struct Scratch {
    folder: Arc<Folder>,
    file: File,
    scratch_name: String,
    finished: bool,
}

impl Scratch {
    /// Begins a download.
    ///
    /// # Errors
    /// The folder can't be written to.
    pub fn create(folder: &Arc<Folder>) -> Result<Self, FolderError> {
        let scratch_name = random_hidden_name()?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).follow(FollowSymlinks::No).mode(0o600);
        let file = folder.dir().open_with(&scratch_name, &options)?.into_std();
        Ok(Self { folder: Arc::clone(folder), file, scratch_name, finished: false })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FolderError> {
        Ok(self.file.write_all(bytes)?)
    }

    /// Makes the download durable under its final name. What is there already stays as it is.
    ///
    /// # Errors
    /// Something of this name is there, or the disk fails. Nothing is left behind then.
    pub fn finish(mut self, name: &FileName) -> Result<(), FolderError> {
        // Where the file system keeps no modes, it has its own.
        let _ = self.file.set_permissions(Permissions::from_mode(self.folder.file_mode()));
        self.file.sync_all()?;
        // Nothing but its handle tells what it is: there is no root.
        self.folder.give_name(&self.file, &self.scratch_name, name.as_str(), &|| false)?;
        self.finished = true;
        Ok(self.folder.sync()?)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.finished {
            // Our own name, in our own folder: nothing else can be hit. If it fails, a hidden file stays.
            let _ = self.folder.dir().remove_file(&self.scratch_name);
        }
    }
}
