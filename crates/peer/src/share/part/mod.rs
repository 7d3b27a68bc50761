//! Parts: downloads that aren't complete, on disk (BT-3.5, BT-3.8).
//!
//! A part is a hidden file, or for a folder a hidden folder, beside a journal that says which pieces of it have been
//! verified. Both have names that follow from what is fetched and what it will be called, so that whoever fetches the same
//! again goes on with it; and only what has such a name is ever removed.

mod tree;

use std::fs::{File, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bittrickle_wire::content::{Layout, Manifest, Piece};
use bittrickle_wire::{FileName, Target};
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{OpenOptions, OpenOptionsExt as _};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::folder::{Folder, FolderError};
use crate::transfer::{Journal, JournalHeader, PieceSet};
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

/// The journal's file, at its end.
#[derive(Debug)]
struct OpenJournal {
    file: File,
    journal: Journal,
}

/// What the two are called while the download isn't complete.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Names {
    part: String,
    journal: String,
}

/// Most bytes of a journal that are read.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;

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
    /// A download of the same name that was begun before the root was known is gone on with as well.
    ///
    /// # Errors
    /// Another one is under way, there is no room for it, or the folder can't be written to.
    pub fn open(
        folder: &Arc<Folder>,
        target: &Target,
        name: &FileName,
        layout: &Layout,
        manifest: Option<&Arc<Manifest>>,
    ) -> Result<(Self, PieceSet), FolderError> {
        let names = Names::of(target, name);
        let header = JournalHeader {
            target: target.clone(),
            name: name.clone(),
            file_bytes: layout.bytes(),
            is_folder: manifest.is_some(),
            pieces: layout.pieces(),
        };
        if let Target::Root(_) = target
            && folder.dir().symlink_metadata(&names.part).is_err()
        {
            adopt(folder, name, &header, &names)?;
        }
        let (journal, claimed) = OpenJournal::open(folder, &names.journal, &header)?;
        let missing = layout.bytes() - claimed.ranges().map(|range| layout.range_bytes(range)).sum::<u64>();
        folder.check_room(missing)?;
        let store = match manifest {
            Some(manifest) => Store::Tree(Tree::open(folder.dir(), &names.part, manifest)?),
            None => Store::File(open_part(folder, &names.part)?),
        };
        let (folder, layout) = (Arc::clone(folder), layout.clone());
        let part = Self { folder, name: name.clone(), layout, names, journal: Mutex::new(journal), store };
        Ok((part, claimed))
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
    /// The disk is full or fails.
    pub fn note(&self, pieces: &[Range<u32>]) -> io::Result<()> {
        let mut journal = self.journal();
        let records = journal.journal.append(pieces);
        journal.file.write_all(&records)
    }

    /// Makes durable what has been written and noted.
    ///
    /// # Errors
    /// The disk fails. What was written since the last time may be lost.
    pub fn sync(&self) -> io::Result<()> {
        match &self.store {
            Store::File(part) => part.sync_data()?,
            Store::Tree(tree) => tree.sync()?,
        }
        self.journal().file.sync_data()
    }

    /// Makes the download durable under its final name (BT-3.5-6). What is there already stays as it is, and so does the
    /// part then.
    ///
    /// # Errors
    /// Something of this name is there, or the disk fails.
    pub fn finish(&self) -> Result<(), FolderError> {
        match &self.store {
            Store::File(part) => {
                part.set_len(self.layout.bytes())?;
                part.set_permissions(Permissions::from_mode(self.folder.file_mode()))?;
                part.sync_all()?;
            }
            Store::Tree(tree) => tree.finish(self.folder.file_mode())?,
        }
        self.folder.rename_without_replacing(&self.names.part, self.name.as_str())?;
        // The journal has done its work: one that stays claims pieces of a part that isn't there.
        let _ = self.folder.dir().remove_file(&self.names.journal);
        Ok(self.folder.sync()?)
    }

    fn journal(&self) -> MutexGuard<'_, OpenJournal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenJournal {
    /// Opens and locks a journal. One that belongs to something else, or can't be read, begins anew.
    fn open(
        folder: &Folder,
        journal_name: &str,
        header: &JournalHeader,
    ) -> Result<(Self, PieceSet), FolderError> {
        let mut file = lock(folder, journal_name, true)?.expect("it is made when it isn't there");
        let mut bytes = Vec::new();
        (&mut file).take(JOURNAL_BYTES_MAX).read_to_end(&mut bytes)?;
        if let Ok((read, claimed, journal)) = Journal::read(&bytes)
            && read == *header
        {
            // A record that a crash has torn goes.
            file.set_len(journal.bytes())?;
            file.seek(io::SeekFrom::Start(journal.bytes()))?;
            return Ok((Self { file, journal }, claimed));
        }
        let (journal, bytes) = Journal::begin(header);
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(&bytes)?;
        Ok((Self { file, journal }, PieceSet::new(header.pieces)))
    }
}

/// Goes on with a download of the same name and size that was begun before the root was known: its bytes are taken for
/// what they are, and hashed before they count.
fn adopt(
    folder: &Arc<Folder>,
    name: &FileName,
    header: &JournalHeader,
    names: &Names,
) -> Result<(), FolderError> {
    let before = Names::of(&Target::Name(name.clone()), name);
    let Some(mut file) = lock(folder, &before.journal, false)? else { return Ok(()) };
    let mut bytes = Vec::new();
    (&mut file).take(JOURNAL_BYTES_MAX).read_to_end(&mut bytes)?;
    let Ok((read, claimed, _)) = Journal::read(&bytes) else { return Ok(()) };
    if (read.file_bytes, read.is_folder) != (header.file_bytes, header.is_folder) {
        return Ok(());
    }
    let (mut journal, mut bytes) = Journal::begin(header);
    bytes.extend(journal.append(&claimed.ranges().collect::<Vec<_>>()));
    let mut file = lock(folder, &names.journal, true)?.expect("it is made when it isn't there");
    file.set_len(0)?;
    file.write_all(&bytes)?;
    folder.dir().rename(&before.part, folder.dir(), &names.part)?;
    Ok(folder.dir().remove_file(&before.journal)?)
}

/// Opens a journal and locks it; `None` if it isn't there and isn't to be made.
fn lock(folder: &Folder, journal_name: &str, make: bool) -> Result<Option<File>, FolderError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(make).follow(FollowSymlinks::No).mode(0o600);
    loop {
        let file = match folder.dir().open_with(journal_name, &options) {
            Ok(file) => file.into_std(),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !make => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(FolderError::UnderWay),
            Err(error) => return Err(io::Error::from(error).into()),
        }
        // Whoever had the lock before may have removed the file.
        let there = folder.dir().symlink_metadata(journal_name);
        let is_same = |metadata: &cap_std::fs::Metadata| {
            cap_std::fs::MetadataExt::ino(metadata) == file.metadata().map_or(0, |metadata| metadata.ino())
        };
        if there.as_ref().is_ok_and(is_same) {
            return Ok(Some(file));
        }
    }
}

fn open_part(folder: &Folder, part_name: &str) -> Result<File, FolderError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).follow(FollowSymlinks::No).mode(0o600);
    let file = folder.dir().open_with(part_name, &options)?.into_std();
    if file.metadata()?.is_file() { Ok(file) } else { Err(FolderError::NotAFile) }
}
