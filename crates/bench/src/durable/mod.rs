//! What it costs that publications are durable: how many a second, and how soon they are there again after a kill.
//!
//! The data folder is in the system's temporary place (`TMPDIR`), which had better be on a disk: in memory, nothing has to be
//! waited for.

mod publish;
mod restart;

use std::sync::Arc;
use std::time::Duration;

use bittrickle_server::data_dir::{DataDir, DataDirError};
use bittrickle_server::index::Edit;
use bittrickle_server::store::{PublicationStore, StoreError};
use bittrickle_wire::messages::Offer;
use bittrickle_wire::{FileBytes, FileName, MemberName};

use crate::catalog;
use crate::client::ClientError;
use crate::people::{self, DEVICES_PER_MEMBER};
use crate::process::ProcessError;
use crate::report::ReportError;
use crate::server::{DataFolder, ServerError};

pub(crate) use publish::{PublishOptions, publish};
pub(crate) use restart::{RestartOptions, restart};

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DurableError {
    /// The server can't be prepared or doesn't start.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// It doesn't run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It doesn't answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The data folder can't be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The store can't be filled.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The figures can't be handed over.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Edits of one commit where the store is filled by itself: what the server makes of a burst of requests.
const COMMIT: usize = 4_096;

/// Files that a member publishes before it is another one's turn: about as many as there is room for in a request.
const AT_ONCE: usize = 16;

/// The file behind the name with this number: each with a root of its own.
fn offer(number: usize, name: FileName) -> Offer {
    let file_bytes = FileBytes::new(1_000 + number as u64).expect("far below the largest");
    Offer { name, file_bytes, root: Some(catalog::root(number)), is_folder: false }
}

/// The member with this number.
fn member(number: usize) -> Arc<MemberName> {
    Arc::new(people::member_of(number * DEVICES_PER_MEMBER))
}

fn edit(member: &Arc<MemberName>, offer: &Offer) -> Edit {
    Edit::Publish { member: Arc::clone(member), name: offer.name.clone(), content: offer.content() }
}

/// Commits these edits to the store of this folder. No server runs in it.
fn fill(folder: &DataFolder, edits: impl Iterator<Item = Edit>) -> Result<(), DurableError> {
    let mut store = PublicationStore::open(Arc::new(DataDir::open(folder.path(), Duration::ZERO)?))?;
    let mut commit = Vec::with_capacity(COMMIT);
    for edit in edits {
        commit.push(edit);
        if commit.len() == COMMIT {
            store.commit(&commit)?;
            commit.clear();
        }
    }
    Ok(store.commit(&commit)?)
}
