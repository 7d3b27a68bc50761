//! How a command reaches the store: by itself when no server runs, through the running server otherwise.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::MemberName;

use super::{AdminError, execute};
use crate::accounts::unix_seconds;
use crate::control::{Answer, AskError, Command, NewMember, ask};
use crate::data_dir::{DataDir, DataDirError};
use crate::store::{PublicationStore, Store, StoreError};

/// The way to the store.
#[derive(Debug)]
pub(super) enum Reach {
    /// No server runs: this process holds the data folder.
    Store(Box<Store>, Arc<DataDir>),
    /// A server runs with this data folder.
    Server(PathBuf),
}

/// Whether a data folder that isn't there is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Missing {
    /// There is something to put into it.
    Create,
    /// There is nothing to be found in a new one.
    Refuse,
}

/// How long to wait for a server that is starting or stopping, or for another command.
const PATIENCE: Duration = Duration::from_secs(5);

const RETRY_PAUSE: Duration = Duration::from_millis(20);

impl Reach {
    /// Finds the way.
    pub(super) fn open(data_dir: &Path, missing: Missing) -> Result<Self, AdminError> {
        Ok(match claim(data_dir, missing)? {
            Some(claimed) => Self::Store(Box::new(Store::open(Arc::clone(&claimed))?), claimed),
            None => Self::Server(data_dir.to_owned()),
        })
    }

    /// Has a command carried out. A refusal is an error.
    pub(super) fn run(&self, command: Command) -> Result<Answer, AdminError> {
        let answer = match self {
            Self::Store(store, data_dir) => {
                PublicationStore::forget(data_dir, comers_and_goers(store, &command)?)?;
                execute::execute(store, unix_seconds(), command).0
            }
            Self::Server(data_dir) => ask(data_dir, &command)?,
        };
        match answer {
            Answer::Refused(refusal) => Err(AdminError::Refused(refusal)),
            answer => Ok(answer),
        }
    }
}

/// Takes the data folder. `None` if a server is running with it.
pub(super) fn claim(data_dir: &Path, missing: Missing) -> Result<Option<Arc<DataDir>>, AdminError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let opened = match missing {
            Missing::Create => DataDir::open(data_dir, Duration::ZERO),
            Missing::Refuse => DataDir::open_existing(data_dir, Duration::ZERO),
        };
        match opened {
            Ok(data_dir) => return Ok(Some(Arc::new(data_dir))),
            Err(DataDirError::InUse { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        match ask(data_dir, &Command::ListeningAddress) {
            Ok(_) => return Ok(None),
            // It holds the folder and has no socket yet, or no socket any more, or it is a command like this one.
            Err(AskError::Nobody(_)) if Instant::now() < deadline => std::thread::sleep(RETRY_PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Who isn't a member any more after a command, and who is only then: under neither's name anything is published.
fn comers_and_goers(store: &Store, command: &Command) -> Result<Vec<MemberName>, StoreError> {
    match command {
        Command::RemoveMember(member) if store.member(member)?.is_some() => Ok(vec![member.clone()]),
        Command::AddMember(NewMember { member, .. }) => store.missing(vec![member.clone()]),
        Command::ImportMembers(members) => {
            store.missing(members.iter().map(|NewMember { member, .. }| member.clone()).collect())
        }
        _ => Ok(Vec::new()),
    }
}
