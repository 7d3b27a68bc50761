//! Holdings: contents that this peer has, whole or in part, and can send (BT-3.7).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bittrickle_wire::content::{ChainingValue, Layout, Manifest};
use bittrickle_wire::messages::Described;
use bittrickle_wire::{Content, FileBytes, FileName, Root};
use cap_std::fs::Dir;

use super::folder::{Folder, FolderError, open_to_read};
use super::part::Part;
use crate::content::{Identity, Spellings, spellings_below};
use crate::transfer::PieceSet;

/// A content and where its bytes are. What it is stays the same; whether it may be sent doesn't:
///
/// ```text
/// on offer ──▶ changed on disk ──▶ taken back
///     │ └─────────────────────────────▲
///     └──▶ a download that is complete and over: its bytes are hashed again before they are sent
/// ```
#[derive(Debug)]
pub struct Holding {
    /// Absent while it is being hashed.
    pub root: Option<Root>,
    /// Where its pieces are.
    pub layout: Layout,
    /// A folder's.
    pub manifest: Option<Arc<Manifest>>,
    /// What its pieces are checked against by whoever fetches them.
    pub outline: Vec<ChainingValue>,
    store: Store,
    /// How a folder's files are spelled on disk, where one isn't there by its label.
    spellings: OnceLock<Spellings>,
    /// It isn't on offer any more.
    is_taken_back: AtomicBool,
    /// A file of it isn't the one that was hashed any more: its path in a folder.
    changed: OnceLock<Option<String>>,
    /// The download was complete when it ended: its files are the user's now, who may do with them as they like.
    is_users: AtomicBool,
}

#[derive(Debug)]
enum Store {
    /// A file of the shared folder.
    File { folder: Arc<Folder>, name: FileName, identity: Identity },
    /// A folder of the shared folder, with what its files were when they were hashed.
    Tree { dir: Dir, identities: Vec<Identity> },
    /// A download under way, and what has been verified of it. The part is let go of when it ends early, so that it can be
    /// gone on with, whoever is being served.
    Part { part: Mutex<Option<Arc<Part>>>, verified: Arc<Mutex<PieceSet>> },
}

/// Reads a holding's bytes, file by file: the one that was read last stays open.
#[derive(Debug)]
pub struct Reader {
    holding: Arc<Holding>,
    open: Option<(u32, File)>,
    /// The file that was read last, or was to be.
    last: u32,
}

/// Why bytes can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file isn't the one that was hashed any more.
    #[error("the file has changed since it was hashed")]
    Changed,
    /// It is of a download that has ended early.
    #[error("the content is not shared any more")]
    TakenBack,
    /// The operating system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Holding {
    /// A file that was hashed, or is being hashed, while it was this one.
    #[must_use]
    pub fn of_file(
        folder: Arc<Folder>,
        name: FileName,
        identity: Identity,
        layout: Layout,
        hashed: Option<(Root, Vec<ChainingValue>)>,
    ) -> Self {
        let (root, outline) = hashed.map_or((None, Vec::new()), |(root, outline)| (Some(root), outline));
        Self::new(root, layout, None, outline, Store::File { folder, name, identity })
    }

    /// A folder whose files were these when they were hashed, in the order of its manifest.
    #[must_use]
    pub fn of_tree(
        dir: Dir,
        manifest: Arc<Manifest>,
        layout: Layout,
        outline: Vec<ChainingValue>,
        identities: Vec<Identity>,
    ) -> Self {
        let root = Some(manifest.root());
        Self::new(root, layout, Some(manifest), outline, Store::Tree { dir, identities })
    }

    /// A download under way. `verified` grows as it goes on.
    #[must_use]
    pub fn of_part(
        root: Root,
        layout: Layout,
        manifest: Option<Arc<Manifest>>,
        outline: Vec<ChainingValue>,
        part: Arc<Part>,
        verified: Arc<Mutex<PieceSet>>,
    ) -> Self {
        let part = Mutex::new(Some(part));
        Self::new(Some(root), layout, manifest, outline, Store::Part { part, verified })
    }

    fn new(
        root: Option<Root>,
        layout: Layout,
        manifest: Option<Arc<Manifest>>,
        outline: Vec<ChainingValue>,
        store: Store,
    ) -> Self {
        let (spellings, is_taken_back, changed, is_users) = Default::default();
        Self { root, layout, manifest, outline, store, spellings, is_taken_back, changed, is_users }
    }

    /// What it is.
    #[must_use]
    pub fn content(&self) -> Content {
        let file_bytes = FileBytes::new(self.layout.bytes()).ok();
        Content { file_bytes, root: self.root, is_folder: self.manifest.is_some() }
    }

    /// What a peer that asks is told of it.
    #[must_use]
    pub fn described(&self) -> Described {
        let checked = |bytes: u64| FileBytes::new(bytes).expect("it was checked when it was shared");
        Described {
            file_bytes: checked(self.layout.bytes()),
            root: self.root,
            manifest_bytes: self.manifest.as_ref().map(|manifest| checked(manifest.as_bytes().len() as u64)),
            is_complete: !matches!(self.store, Store::Part { .. }),
        }
    }

    /// Whether all of these pieces are here.
    #[must_use]
    pub fn has(&self, pieces: Range<u32>) -> bool {
        match &self.store {
            Store::File { .. } | Store::Tree { .. } => true,
            Store::Part { verified, .. } => {
                let verified = verified.lock().unwrap_or_else(PoisonError::into_inner);
                pieces.into_iter().all(|piece| verified.contains(piece))
            }
        }
    }

    /// The pieces that are here, from `first` on, one bit each, in as many bytes at most (BT-3.2-5).
    #[must_use]
    pub fn bitmap(&self, first: u32, bytes_max: usize) -> Vec<u8> {
        match &self.store {
            Store::File { .. } | Store::Tree { .. } => {
                // As many as one page tells of, however many there are.
                let pieces = self.layout.pieces().saturating_sub(first);
                PieceSet::full(pieces.min(8 * bytes_max as u32)).page(0, bytes_max)
            }
            Store::Part { verified, .. } => {
                verified.lock().unwrap_or_else(PoisonError::into_inner).page(first, bytes_max)
            }
        }
    }

    /// What a piece's bytes were hashed to: its chaining value or, where its file has one piece, the file's root
    /// (BT-3.4-4). `None` while that isn't known.
    ///
    /// # Panics
    /// There is no such piece.
    #[must_use]
    pub fn value(&self, piece: u32) -> Option<ChainingValue> {
        let file = self.layout.piece(piece).file;
        let pieces = self.layout.file_pieces(file);
        if pieces.len() == 1 {
            let root = match &self.manifest {
                Some(manifest) => manifest.file(file).map(|file| file.root),
                None => self.root,
            };
            return root.map(|root| *root.as_bytes());
        }
        let value = self.layout.outline_range(file).start + (piece - pieces.start);
        self.outline.get(value as usize).copied()
    }

    /// It isn't on offer any more, or something else is in its place: whoever sends from it looks again.
    pub(super) fn take_back(&self) {
        self.is_taken_back.store(true, Ordering::Relaxed);
        if let Store::Part { part, .. } = &self.store {
            *part.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// It is on offer again after all.
    pub(super) fn give_again(&self) {
        self.is_taken_back.store(false, Ordering::Relaxed);
    }

    /// The download is over. What is complete is sent on to those who are fetching it, who would have to look for another
    /// source; anything else is let go of.
    pub(super) fn end_download(&self, is_complete: bool) {
        if is_complete {
            self.is_users.store(true, Ordering::Relaxed);
        } else {
            self.take_back();
        }
    }

    /// Notes that this file of it isn't the one that was hashed. Says whether that is new.
    pub(super) fn note_changed(&self, file: u32) -> bool {
        let path = self.manifest.as_ref().and_then(|manifest| manifest.file(file));
        self.changed.set(path.map(|file| file.path.to_owned())).is_ok()
    }

    /// Which file of a folder isn't the one that was hashed any more.
    #[must_use]
    pub fn changed_path(&self) -> Option<&str> {
        self.changed.get()?.as_deref()
    }

    /// Whether it isn't on offer any more.
    #[must_use]
    pub fn is_taken_back(&self) -> bool {
        self.is_taken_back.load(Ordering::Relaxed)
    }

    /// Whether a file of it isn't the one that was hashed any more, as far as that has been noticed.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.changed.get().is_some()
    }

    /// Whether its bytes have to be hashed again before they are sent, as nothing else tells that they are still the same.
    #[must_use]
    pub fn is_to_be_verified(&self) -> bool {
        self.is_users.load(Ordering::Relaxed)
    }

    fn open(&self, file: u32) -> Result<File, ReadError> {
        let opened = match &self.store {
            Store::File { folder, name, .. } => folder.open_shared(name).map(|shared| shared.file),
            Store::Tree { dir, .. } => match open_to_read(dir, self.path(file)) {
                Err(FolderError::NotFound) if !self.path(file).is_ascii() => {
                    let spellings = self.spellings.get_or_init(|| spellings_below(dir));
                    let path = spellings.get(self.path(file)).ok_or(FolderError::NotFound);
                    path.and_then(|path| open_to_read(dir, path))
                }
                opened => opened,
            },
            Store::Part { part, .. } => {
                let part = part.lock().unwrap_or_else(PoisonError::into_inner).clone();
                part.ok_or(ReadError::TakenBack)?.open_to_read(file)
            }
        };
        opened.map_err(|error| match error {
            FolderError::Io(error) => ReadError::Io(error),
            // Gone, or something else in its place.
            _ => ReadError::Changed,
        })
    }

    fn path(&self, file: u32) -> &str {
        let manifest = self.manifest.as_ref().expect("a tree has a manifest");
        manifest.file(file).expect("the layout has the manifest's files").path
    }

    /// What the file has to be, for its bytes to be those that were hashed.
    fn identity(&self, file: u32) -> Option<&Identity> {
        match &self.store {
            Store::File { identity, .. } => Some(identity),
            Store::Tree { identities, .. } => identities.get(file as usize),
            Store::Part { .. } => None,
        }
    }
}

impl Reader {
    /// The number of the file that was read last, or was to be.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.last
    }

    /// Begins with no file open.
    #[must_use]
    pub fn new(holding: Arc<Holding>) -> Self {
        Self { holding, open: None, last: 0 }
    }

    /// Fills `buffer` with a file's bytes from `offset` on. They are those that were hashed: whether the file is still the
    /// same is looked at after they have been read, so before they are sent (BT-3.7-2).
    ///
    /// # Errors
    /// The file has changed, or can't be read; or it is of a download that has ended early.
    pub fn read(&mut self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.last = file;
        let open = match self.open.take() {
            Some((open, handle)) if open == file => handle,
            _ => self.holding.open(file)?,
        };
        match open.read_exact_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ReadError::Changed),
            read => read?,
        }
        if let Some(identity) = self.holding.identity(file)
            && Identity::of(&open)? != *identity
        {
            return Err(ReadError::Changed);
        }
        // The bytes of a part that was let go of may be another download's by now.
        if let (Store::Part { .. }, true) = (&self.holding.store, self.holding.is_taken_back()) {
            return Err(ReadError::TakenBack);
        }
        self.open = Some((file, open));
        Ok(())
    }
}
