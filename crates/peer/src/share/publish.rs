//! Publishing: what a file or a folder of the shared folder is, as far as it is known at once, and as it is hashed (BT-3.4).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use bittrickle_wire::content::{Layout, LayoutError};
use bittrickle_wire::{FileBytes, FileName};

use super::folder::{Folder, FolderError};
use super::holding::Holding;
use crate::content::{
    HashCache, HashError, Hashed, Hashing, Identity, LeftOut, Settled, WalkError, Walked, walk,
};

/// Hashes what is shared, and remembers it.
#[derive(Debug)]
pub struct Publisher {
    pub(super) folder: Arc<Folder>,
    /// Where the folder is: the cache knows files by it.
    pub(super) path: PathBuf,
    cache: Arc<HashCache>,
    threads: usize,
}

/// What is about to be shared.
#[derive(Debug)]
pub enum Prepared {
    /// Hashed already, or small enough to be.
    Hashed(Arc<Holding>),
    /// A file that takes a while to hash. It can be fetched meanwhile.
    Hashing(Arc<Holding>),
    /// A folder: what is in it isn't known before it is hashed.
    Folder,
}

/// A folder that has been hashed, and what of it is left out, and why.
pub type HashedTree = (Arc<Holding>, Vec<(String, LeftOut)>);

/// Why something can't be shared.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The folder says no.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It can't be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The folder can't be walked through.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// More pieces than a content may have.
    #[error("it is too large: {0}")]
    TooLarge(#[from] LayoutError),
}

/// A file of up to so many bytes is hashed before it is published: that takes no longer than telling the index twice.
const HASHED_AT_ONCE_BYTES: u64 = 64 << 20;

impl Publisher {
    /// Shares from this folder, with as many threads as the machine has for hashing.
    #[must_use]
    pub fn new(folder: Arc<Folder>, path: PathBuf, cache: Arc<HashCache>) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { folder, path, cache, threads }
    }

    /// Looks at what is to be shared. Waits for the disk.
    ///
    /// # Errors
    /// It isn't there, is neither a file nor a folder, or can't be read.
    pub fn prepare(&self, name: &FileName, stop: &AtomicBool) -> Result<Prepared, PublishError> {
        if self.folder.open_tree(name)?.is_some() {
            return Ok(Prepared::Folder);
        }
        let shared = self.folder.open_shared(name)?;
        let identity = Identity::of(&shared.file).map_err(FolderError::Io)?;
        if let Some(hashed) = self.cache.find(&self.path.join(name.as_str()), &identity) {
            return Ok(Prepared::Hashed(self.holding(name, identity, Some(hashed))?));
        }
        if identity.file_bytes <= HASHED_AT_ONCE_BYTES {
            return Ok(Prepared::Hashed(self.hash(name, &AtomicU64::new(0), stop)?));
        }
        Ok(Prepared::Hashing(self.holding(name, identity, None)?))
    }

    /// Hashes a file, once more if it changes meanwhile. `progress` grows with the bytes that are hashed.
    ///
    /// # Errors
    /// It can't be read, keeps changing, or `stop` was set.
    pub fn hash(
        &self,
        name: &FileName,
        progress: &AtomicU64,
        stop: &AtomicBool,
    ) -> Result<Arc<Holding>, PublishError> {
        let shared = self.folder.open_shared(name)?;
        let path = self.path.join(name.as_str());
        let Settled { identity, hashed } = self.hashing(progress, stop).file(&shared.file, &path)?;
        self.holding(name, identity, Some(hashed))
    }

    /// Hashes all that is in a folder. Says as well what is left out, and why.
    ///
    /// # Errors
    /// It can't be read, has more in it than a manifest may, or `stop` was set.
    pub fn walk(
        &self,
        name: &FileName,
        progress: &AtomicU64,
        stop: &AtomicBool,
    ) -> Result<HashedTree, PublishError> {
        let dir = self.folder.open_tree(name)?.ok_or(FolderError::NotAFile)?;
        let path = self.path.join(name.as_str());
        let Walked { manifest, left_out, identities, outline } =
            walk(&dir, &path, &self.hashing(progress, stop))?;
        let layout = Layout::of_manifest(&manifest)?;
        let holding = Holding::of_tree(dir, Arc::new(manifest), layout, outline, identities);
        Ok((Arc::new(holding), left_out))
    }

    pub(super) fn hashing<'a>(&'a self, progress: &'a AtomicU64, stop: &'a AtomicBool) -> Hashing<'a> {
        Hashing { cache: &self.cache, threads: self.threads, progress, stop }
    }

    pub(super) fn holding(
        &self,
        name: &FileName,
        identity: Identity,
        hashed: Option<Hashed>,
    ) -> Result<Arc<Holding>, PublishError> {
        FileBytes::new(identity.file_bytes).map_err(|_| FolderError::TooLarge)?;
        let layout = Layout::of_file(identity.file_bytes)?;
        let hashed = hashed.map(|Hashed { root, outline }| (root, outline));
        Ok(Arc::new(Holding::of_file(Arc::clone(&self.folder), name.clone(), identity, layout, hashed)))
    }
}
