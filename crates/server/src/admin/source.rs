//! The lines of an export: from the running server, or from the stopped server's folder.

use std::io::{BufRead, BufReader, BufWriter, pipe};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::AdminError;
use super::reach::{Missing, claim};
use crate::control;
use crate::store::{PublicationStore, Store};
use crate::transfer::{GiveError, Snapshot, give};

/// Where lines come from.
pub(super) struct Source {
    lines: Box<dyn BufRead>,
    /// Who gives them, when no server runs.
    folder: Option<Folder>,
}

struct Folder {
    giving: JoinHandle<Result<(), GiveError>>,
    /// Held as long as it is read.
    _stores: (Store, PublicationStore),
}

/// Read and written at once.
const BUFFER_BYTES: usize = 64 * 1_024;

impl Source {
    /// All that this data folder's server knows, as it is now.
    pub(super) fn open(data_dir: &Path) -> Result<Self, AdminError> {
        if !Store::is_in(data_dir) {
            bittrickle_secret::check_folder(data_dir)?;
            return Err(AdminError::NothingThere { path: data_dir.to_owned() });
        }
        let Some(claimed) = claim(data_dir, Missing::Refuse)? else {
            return Ok(Self { lines: Box::new(control::export(data_dir)??), folder: None });
        };
        let members = Store::open(Arc::clone(&claimed))?;
        let mut publications = PublicationStore::open(claimed)?;
        let snapshot = Snapshot { members: members.snapshot()?, publications: publications.snapshot()? };
        let (reader, writer) = pipe().map_err(AdminError::System)?;
        let give = move || give(&snapshot, BufWriter::with_capacity(BUFFER_BYTES, writer));
        let giving = std::thread::Builder::new().name("export".to_owned()).spawn(give);
        let giving = giving.map_err(AdminError::System)?;
        let lines = Box::new(BufReader::with_capacity(BUFFER_BYTES, reader));
        Ok(Self { lines, folder: Some(Folder { giving, _stores: (members, publications) }) })
    }

    /// The lines.
    pub(super) fn lines(&mut self) -> &mut dyn BufRead {
        &mut self.lines
    }

    /// Why they ended before the last one.
    pub(super) fn broken_off(self) -> AdminError {
        drop(self.lines);
        match self.folder.map(|folder| folder.giving.join()) {
            Some(Ok(Err(GiveError::Store(error)))) => error.into(),
            Some(Ok(Err(GiveError::Output(error)))) => AdminError::System(error),
            Some(Ok(Ok(())) | Err(_)) | None => AdminError::BrokenOff,
        }
    }
}
