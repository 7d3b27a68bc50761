//! The stores: members and devices on disk, in DATA_DIR/members.redb, and what members have published, in
//! DATA_DIR/publications.redb.
//!
//! Each function that changes something returns when the change is durable (two-phase commit, fsync), and returns it as
//! [`Change`]s for the directory. A store that can't be read is reported and kept as it is: nothing here ever begins anew
//! in a damaged file's place.
//!
//! | file | what it holds |
//! |---|---|
//! | `file.rs` | making, opening and checking the file |
//! | `members.rs` | adding, changing, removing and listing members |
//! | `devices.rs` | the same for devices, and finding them by fingerprint |
//! | `records.rs` | what is kept of each |
//! | `transfer.rs` | all of it: given out as it is at one moment, and taken in |
//! | `publications.rs` | the other store, with a `transfer.rs` of its own |
//! | `trial.rs` | opening a file without changing it |

mod devices;
mod file;
mod members;
mod publications;
mod records;
mod transfer;
mod trial;

use std::path::PathBuf;
use std::sync::Arc;

use bittrickle_secret::SecretError;
use bittrickle_wire::MemberName;
use bittrickle_wire::seal::PublicKey;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::data_dir::DataDir;
use crate::directory::{Change, DEVICES_PER_MEMBER_MAX, Directory, MEMBERS_MAX};
pub use publications::{PublicationIntake, PublicationSnapshot, PublicationStore};
use records::DeviceRecord;
pub use records::{BadRecord, MemberRecord};
pub use transfer::{MemberEntry, MemberIntake, MemberNames, MemberSnapshot};

/// Members and devices on disk. While there is one, its process holds the data folder.
#[derive(Debug)]
pub struct Store {
    database: Database,
    data_dir: Arc<DataDir>,
}

/// A member, as lists show one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberRow {
    /// The name.
    pub member: MemberName,
    /// Whether the member may do nothing at present.
    pub disabled: bool,
    /// How many devices the member has.
    pub devices: u64,
    /// When the member was added, in seconds since 1970.
    pub created_unix_s: u64,
}

/// A device, as lists show one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceRow {
    /// Its key.
    pub device: PublicKey,
    /// Whose it is.
    pub member: MemberName,
    /// When it became this member's, in seconds since 1970.
    pub enrolled_unix_s: u64,
}

/// Why the store can't do what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its file is not acceptable, because of what it is or who may use it.
    #[error("a store is not acceptable: {0}")]
    File(#[from] SecretError),
    /// Its file is damaged.
    #[error(
        "the store {} is damaged ({reason}); it was left as it is: restore it from a backup, or move it away to begin \
         without what it holds", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: Damage,
    },
    /// The database can't go on.
    #[error("a store failed: {0}")]
    Database(Box<redb::Error>),
    /// A record can't be read.
    #[error("a store is damaged: {0}; restore it from a backup")]
    Record(#[from] BadRecord),
    /// There is no thread to read it on.
    #[error("the operating system has no thread for reading a store: {0}")]
    Thread(std::io::Error),
    /// There is no such member.
    #[error("there is no such member")]
    NoMember,
    /// There is one already.
    #[error("there is a member of this name already")]
    MemberExists,
    /// There is no room for another member.
    #[error("there are {MEMBERS_MAX} members already; remove some first")]
    TooManyMembers,
    /// There is no such device.
    #[error("there is no such device")]
    NoDevice,
    /// The member has as many devices as allowed.
    #[error("the member has {DEVICES_PER_MEMBER_MAX} devices already; revoke some first")]
    TooManyDevices,
    /// There is no room for another publication.
    #[error("there are as many publications already as a server keeps")]
    TooManyPublications,
}

/// What is wrong with a store's file.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// No bytes: a store that was made has some.
    #[error("it is empty")]
    Empty,
    /// The database doesn't recognise it, or a checksum is wrong.
    #[error("{0}")]
    Database(Box<redb::Error>),
    /// Made by another version of this program, or by another program.
    #[error("its version is {found:?}, this program knows {SCHEMA_VERSION}")]
    Version {
        /// The version it says.
        found: Option<u64>,
    },
    /// A record that can't be read.
    #[error(transparent)]
    Record(BadRecord),
    /// Tables that contradict each other.
    #[error("its tables contradict each other")]
    Contradiction,
}

/// Name to record.
const MEMBERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("members");

/// Key to record.
const DEVICES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("devices");

/// The same devices once more, in the order of their members.
const MEMBER_DEVICES: TableDefinition<'_, (&str, &[u8; 32]), ()> = TableDefinition::new("member_devices");

/// `version` to [`SCHEMA_VERSION`].
const SCHEMA: TableDefinition<'_, &str, u64> = TableDefinition::new("schema");

/// The tables' version. Another one needs a migration, which is not this program's yet.
const SCHEMA_VERSION: u64 = 1;

impl Store {
    /// Runs `read` on a snapshot.
    fn read<T>(&self, read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        read(&self.database.begin_read().map_err(failed)?)
    }

    /// Runs `change`, and makes what it did durable before this returns. After an error nothing has changed.
    fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let transaction = self.begin_write()?;
        let result = change(&transaction)?;
        transaction.commit().map_err(failed)?;
        Ok(result)
    }

    fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let mut transaction = self.database.begin_write().map_err(failed)?;
        transaction.set_durability(Durability::Immediate).map_err(failed)?;
        transaction.set_two_phase_commit(true);
        Ok(transaction)
    }
}

/// An error of the database as one of the store.
fn failed(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Database(Box::new(error.into()))
}

impl StoreError {
    /// Whether the reason is who else may use the store.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::File(error) if error.is_permission())
    }
}

#[cfg(test)]
mod tests;
