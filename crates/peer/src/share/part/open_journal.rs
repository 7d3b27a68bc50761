//! A part's journal on disk: locked while its download is under way, and never claiming what the disk may have lost (BT-3.8).

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{OpenOptions, OpenOptionsExt as _};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::Names;
use crate::share::folder::{Folder, FolderError};
use crate::transfer::{Journal, JournalHeader, PieceSet};

/// The journal's file, at its end.
#[derive(Debug)]
pub(super) struct OpenJournal {
    file: File,
    journal: Journal,
    /// As it was when the last good sync began: what it claimed then is on disk.
    synced: Journal,
    /// A sync has failed.
    has_failed: bool,
}

/// Most bytes of a journal that are read.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;

/// How often a journal may go away between being opened and being locked.
const LOOKS_MAX: u32 = 100;

impl OpenJournal {
    /// Opens and locks a journal. One that belongs to something else, can't be read, or has lost its part, begins anew.
    pub(super) fn open(
        folder: &Folder,
        names: &Names,
        header: &JournalHeader,
    ) -> Result<(Self, PieceSet), FolderError> {
        let mut file = lock(folder, &names.journal, true)?.expect("it is made when it isn't there");
        let (synced, bytes) = Journal::begin(header);
        if folder.has_entry(&names.part)
            && let Some((read, claimed, journal)) = read(&mut file)?
            && read == *header
        {
            // A record that a crash has torn goes.
            file.set_len(journal.bytes())?;
            file.seek(io::SeekFrom::Start(journal.bytes()))?;
            return Ok((Self { file, journal, synced, has_failed: false }, claimed));
        }
        write_anew(&mut file, &bytes)?;
        let journal = synced.clone();
        Ok((Self { file, journal, synced, has_failed: false }, PieceSet::new(header.pieces)))
    }

    /// Notes that these pieces are written.
    pub(super) fn note(&mut self, pieces: &[Range<u32>]) -> io::Result<()> {
        if self.has_failed {
            return Err(Errno::IO.into());
        }
        let records = self.journal.append(pieces);
        self.file.write_all(&records)
    }

    /// As it is now.
    pub(super) fn noted(&self) -> Journal {
        self.journal.clone()
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Says what a sync has come to that began when the journal was `noted`.
    ///
    /// After a failed one the system may go on showing bytes that the disk never got, and calls them written: they would be
    /// hashed and found right. So what isn't known to be on disk isn't claimed any more, and is fetched again (BT-3.5-8).
    /// As that is for this run of the system only, the shorter journal needn't be durable.
    pub(super) fn conclude(&mut self, noted: Journal, synced: io::Result<()>) -> io::Result<()> {
        match synced {
            Ok(()) if self.has_failed => Err(Errno::IO.into()),
            Ok(()) => {
                self.synced = noted;
                Ok(())
            }
            Err(error) => {
                self.has_failed = true;
                self.journal = self.synced.clone();
                // If this fails as well, the first error is the one to tell.
                let _ = self.file.set_len(self.journal.bytes());
                Err(error)
            }
        }
    }
}

pub(super) fn read(file: &mut File) -> Result<Option<(JournalHeader, PieceSet, Journal)>, FolderError> {
    let mut bytes = Vec::new();
    file.take(JOURNAL_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Journal::read(&bytes).ok())
}

pub(super) fn write_anew(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(bytes)
}

/// Opens a journal and locks it; `None` if it isn't there and isn't to be made.
pub(super) fn lock(folder: &Folder, journal_name: &str, make: bool) -> Result<Option<File>, FolderError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(make).follow(FollowSymlinks::No).mode(0o600);
    for _ in 0..LOOKS_MAX {
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
            folder.check_own(journal_name, &file)?;
            return Ok(Some(file));
        }
    }
    // It goes and comes again and again, or the file system doesn't tell which file is which.
    Err(FolderError::UnderWay)
}
