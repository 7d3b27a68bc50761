//! A backup: a new folder that a server can be started with as it is.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::draft::Draft;
use super::progress::Progress;
use super::source::Source;
use super::{AdminError, print};
use crate::data_dir::{DataDir, LOCK_FILE_NAME};
use crate::server_key;
use crate::store::{PublicationStore, Store, StoreError};
use crate::transfer::{TakeError, Taken, take_in};

/// Copies both stores, as they are at one moment, and the server's key, if there is one yet. The folder has its name when it
/// is complete and durable, or never.
pub(super) fn backup(data_dir: &Path, target: &Path) -> Result<(), AdminError> {
    let draft = Draft::folder(target).map_err(AdminError::Target)?;
    draft.go_with_signals().map_err(AdminError::System)?;
    let taken = copy_stores(data_dir, draft.path())?;
    server_key::copy(data_dir, draft.path())?;
    draft.publish().map_err(AdminError::Target)?;
    let added = taken.added;
    print(|output| {
        writeln!(
            output,
            "backed up {} members, {} devices, {} publications to {}",
            added.members,
            added.devices,
            added.publications,
            target.display()
        )
    })
}

fn copy_stores(data_dir: &Path, draft: &Path) -> Result<Taken, AdminError> {
    let copy = Arc::new(DataDir::open_existing(draft, Duration::ZERO)?);
    let mut source = Source::open(data_dir)?;
    let mut progress = Progress::new("lines copied:");
    let open =
        || Ok::<_, StoreError>((Store::open(Arc::clone(&copy))?, PublicationStore::open(Arc::clone(&copy))?));
    let (members, mut publications) = open()?;
    let taken = take_in(source.lines(), &members, &mut publications, &mut || progress.step());
    let taken = match taken {
        Ok(taken) => taken,
        Err(error) if error.is_cut() => return Err(source.broken_off()),
        Err(TakeError::Half(error)) => return Err(AdminError::Backup(TakeError::Store(error))),
        Err(error) => return Err(AdminError::Backup(error)),
    };
    drop((members, publications));
    // What can't be read is no backup.
    let (members, mut publications) = open()?;
    members.directory()?;
    if publications.count()? as u64 != taken.added.publications {
        return Err(AdminError::BrokenOff);
    }
    drop((members, publications, copy));
    fs::remove_file(draft.join(LOCK_FILE_NAME)).map_err(AdminError::System)?;
    Ok(taken)
}
