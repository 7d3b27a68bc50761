//! Parts: downloads that aren't complete, on disk (BT-3.5, BT-3.8).
//!
//! A part is a hidden file, or for a folder a hidden folder, beside a journal that says which pieces of it have been
//! verified. Both have names that follow from what is fetched and what it will be called, so that whoever fetches the same
//! again goes on with it; and only what has such a name is ever removed.

mod adopt;
mod open_journal;
#[cfg(test)]
mod tests;
mod tree;

use std::fs::{File, Permissions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bittrickle_wire::content::{Layout, Manifest, Piece};
use bittrickle_wire::limits::PIECE_BYTES;
use bittrickle_wire::{FileName, Root, Target};
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{OpenOptions, OpenOptionsExt as _};

use super::folder::{Folder, FolderError, open_to_read};
use crate::transfer::{JournalHeader, PieceSet};
use adopt::Adopting;
use open_journal::OpenJournal;
use tree::Tree;

/// A download under way. Whoever has it is the only one: its journal is locked.
#[derive(Debug)]
pub struct Part {
    folder: Arc<Folder>,
    name: FileName,
    layout: Layout,
    names: Names,
    journal: Mutex<OpenJournal>,
    store: Store,
}

#[derive(Debug)]
enum Store {
    File(File),
    Tree(Tree),
}

/// What the two are called while the download isn't complete.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Names {
    part: String,
    journal: String,
}

impl Names {
    fn of(target: &Target, name: &FileName) -> Self {
        let hash = blake3::hash(format!("{target}\n{}", name.as_str()).as_bytes());
        let digits: String = hash.as_bytes()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { part: format!(".bittrickle-{digits}.part"), journal: format!(".bittrickle-{digits}.journal") }
    }
}

impl Part {
    /// Begins a download, or goes on with one: then it says which pieces its journal claims. They have to be hashed again
    /// before they count. `manifest` is that of a folder.
    ///
    /// A download of the same name that was begun before the root was known is gone on with as well, and so is one of a root
    /// that the name doesn't stand for any more: of those in `superseded`, one is taken over, and the others go.
    ///
    /// # Errors
    /// Another one is under way, there is no room for it, the folder can't be written to, or somebody else has put something
    /// there under a name of ours.
    pub fn open(
        folder: &Arc<Folder>,
        target: &Target,
        name: &FileName,
        layout: &Layout,
        manifest: Option<&Arc<Manifest>>,
        superseded: &[Root],
    ) -> Result<(Self, PieceSet), FolderError> {
        let names = Names::of(target, name);
        let header = JournalHeader {
            target: target.clone(),
            name: name.clone(),
            file_bytes: layout.bytes(),
            is_folder: manifest.is_some(),
            pieces: layout.pieces(),
        };
        if let Target::Root(root) = target {
            let adopting = Adopting { folder, header: &header, names: &names, layout, manifest };
            if !folder.has_entry(&names.part) {
                adopting.of_name()?;
            }
            for before in superseded.iter().filter(|before| *before != root) {
                let taken = match folder.has_entry(&names.part) {
                    true => Ok(()),
                    false => adopting.of_root(*before),
                };
                match taken.and_then(|()| adopt::remove(folder, *before, name)) {
                    // Somebody else goes on with it.
                    Err(FolderError::UnderWay) => {}
                    taken => taken?,
                }
            }
        }
        let (journal, claimed) = OpenJournal::open(folder, &names, &header)?;
        let missing = layout.bytes() - claimed.ranges().map(|range| layout.range_bytes(range)).sum::<u64>();
        folder.check_room(missing)?;
        let store = match manifest {
            Some(manifest) => Store::Tree(Tree::open(folder, &names.part, manifest)?),
            None => Store::File(open_part(folder, &names.part)?),
        };
        let (folder, layout) = (Arc::clone(folder), layout.clone());
        let part = Self { folder, name: name.clone(), layout, names, journal: Mutex::new(journal), store };
        if claimed.count() > 0 {
            // Whoever wrote it may have been killed before the disk had it. If it can't have it, that is said now, and it is
            // written again.
            part.sync()?;
        }
        Ok((part, claimed))
    }

    /// The roots that unfinished downloads of this final name are of; those of which most is claimed come first.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn unfinished(folder: &Folder, name: &FileName) -> io::Result<Vec<Root>> {
        adopt::unfinished(folder, name)
    }

    /// Writes a piece that has been verified. [`Part::note`] says so then.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn write(&self, piece: u32, bytes: &[u8]) -> io::Result<()> {
        let Piece { file, offset, .. } = self.layout.piece(piece);
        match &self.store {
            Store::File(part) => part.write_all_at(bytes, offset),
            Store::Tree(tree) => tree.write(file, offset, bytes, self.layout.file_bytes(file)),
        }
    }

    /// Reads a piece back.
    ///
    /// # Errors
    /// It isn't there, or the disk fails.
    pub fn read(&self, piece: u32, buffer: &mut [u8]) -> io::Result<()> {
        let Piece { file, offset, .. } = self.layout.piece(piece);
        match &self.store {
            Store::File(part) => part.read_exact_at(buffer, offset),
            Store::Tree(tree) => match tree.open_to_read(file) {
                Ok(file) => file.read_exact_at(buffer, offset),
                Err(error) => Err(io::Error::other(error)),
            },
        }
    }

    /// One of its files, to be sent from.
    ///
    /// # Errors
    /// It isn't there, or can't be read.
    pub fn open_to_read(&self, file: u32) -> Result<File, FolderError> {
        match &self.store {
            Store::File(part) => Ok(part.try_clone()?),
            Store::Tree(tree) => tree.open_to_read(file),
        }
    }

    /// Notes in the journal that these pieces are written. After a crash they are hashed again, so that it doesn't matter
    /// which of the two reached the disk first.
    ///
    /// # Errors
    /// The disk is full or fails, or has failed before.
    pub fn note(&self, pieces: &[Range<u32>]) -> io::Result<()> {
        self.journal().note(pieces)
    }

    /// Makes durable what has been written and noted.
    ///
    /// # Errors
    /// The disk fails, or has failed before. The journal claims nothing any more that may be lost.
    pub fn sync(&self) -> io::Result<()> {
        self.make_durable(|| {
            match &self.store {
                Store::File(part) => part.sync_data()?,
                Store::Tree(tree) => tree.sync()?,
            }
            self.journal().sync()
        })
    }

    /// Makes the download durable under its final name (BT-3.5-6). What is there already stays as it is, and so does the
    /// part then. `is_good` says whether a piece has these bytes: it is asked where the file system doesn't tell whether what
    /// has got the name is what was written.
    ///
    /// # Errors
    /// Something of this name is there, somebody else has replaced the part, or the disk fails or has failed before.
    pub fn finish(&self, is_good: &dyn Fn(u32, &[u8]) -> bool) -> Result<(), FolderError> {
        if let Store::File(part) = &self.store {
            part.set_len(self.layout.bytes())?;
            // Where the file system keeps no modes, it has its own.
            let _ = part.set_permissions(Permissions::from_mode(self.folder.file_mode()));
        }
        self.make_durable(|| match &self.store {
            Store::File(part) => part.sync_all(),
            Store::Tree(tree) => tree.finish(self.folder.file_mode()),
        })?;
        let open = match &self.store {
            Store::File(part) => part,
            Store::Tree(tree) => tree.handle(),
        };
        let (name, is_right) = (self.name.as_str(), || self.is_under_final_name(is_good).unwrap_or(false));
        self.folder.give_name(open, &self.names.part, name, &is_right)?;
        // The journal has done its work: one that stays claims pieces of a part that isn't there.
        let _ = self.folder.dir().remove_file(&self.names.journal);
        Ok(self.folder.sync()?)
    }

    /// Whether all pieces are right in what has the final name.
    fn is_under_final_name(&self, is_good: &dyn Fn(u32, &[u8]) -> bool) -> io::Result<bool> {
        let name = self.name.as_str();
        let there = match &self.store {
            Store::File(_) => Store::File(open_to_read(self.folder.dir(), name).map_err(io::Error::other)?),
            Store::Tree(tree) => Store::Tree(tree.reopen(&self.folder, name)?),
        };
        let mut buffer = vec![0; PIECE_BYTES];
        for piece in 0..self.layout.pieces() {
            let Piece { file, offset, bytes } = self.layout.piece(piece);
            let bytes = &mut buffer[..bytes as usize];
            match &there {
                Store::File(file) => file.read_exact_at(bytes, offset)?,
                Store::Tree(tree) => {
                    tree.open_to_read(file).map_err(io::Error::other)?.read_exact_at(bytes, offset)?;
                }
            }
            if !is_good(piece, bytes) {
                return Ok(false);
            }
        }
        Ok(match &there {
            Store::File(file) => file.metadata()?.len() == self.layout.bytes(),
            Store::Tree(_) => true,
        })
    }

    /// Once this has failed, it fails for ever, and so does what comes after: what the disk has lost stays lost.
    fn make_durable(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        // What is noted from here on may not be in it.
        let noted = self.journal().noted();
        let synced = sync();
        self.journal().conclude(noted, synced)
    }

    fn journal(&self) -> MutexGuard<'_, OpenJournal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_part(folder: &Folder, part_name: &str) -> Result<File, FolderError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).follow(FollowSymlinks::No).mode(0o600);
    let file = folder.dir().open_with(part_name, &options)?.into_std();
    folder.check_own(part_name, &file)?;
    Ok(file)
}
