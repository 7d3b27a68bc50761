//! All that the UDP loop needs to know who is who.

use std::io;

use bittrickle_wire::seal::SecretKey;
use tokio::sync::mpsc;

use super::{Accounts, Notice};
use crate::directory::Directory;
use crate::store::{Store, StoreError};

/// Who the server is, who its members are, and who checks their passwords.
#[derive(Debug)]
pub struct Membership {
    /// What has changed since the directory was read. First, so that it goes before what would wait for its reader.
    pub notices: mpsc::Receiver<Notice>,
    /// Who checks passwords.
    pub accounts: Accounts,
    /// The members and devices when the server started.
    pub directory: Directory,
    /// The server's own key.
    pub key: SecretKey,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No threads, or no randomness.
    #[error("the operating system refuses what checking passwords needs: {0}")]
    System(#[from] io::Error),
}

impl Membership {
    /// Reads the directory and starts whoever checks passwords.
    ///
    /// # Errors
    /// The store can't be read, or the operating system has no threads or randomness.
    pub fn start(store: Store, key: SecretKey) -> Result<Self, MembershipError> {
        let directory = store.directory()?;
        let (accounts, notices) = Accounts::start(store)?;
        Ok(Self { notices, accounts, directory, key })
    }
}
