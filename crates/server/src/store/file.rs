//! The stores' files: made whole or not at all, opened only when nobody else can, checked before they are trusted.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bittrickle_secret::SecretError;
use bittrickle_wire::MemberName;
use bittrickle_wire::seal::PublicKey;
use redb::backends::FileBackend;
use redb::{
    Builder, Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    WriteTransaction,
};

use super::records::Record as _;
use super::trial::Trial;
use super::{
    Change, DEVICES, Damage, DataDir, DeviceRecord, Directory, MEMBER_DEVICES, MEMBERS, MemberRecord, SCHEMA,
    SCHEMA_VERSION, Store, StoreError, failed,
};

/// One of the databases in a data folder.
pub(super) struct Layout {
    pub(super) file_name: &'static str,
    /// Makes the tables, all of them empty.
    pub(super) create: fn(&WriteTransaction) -> Result<(), redb::Error>,
    /// Most memory that the database keeps of its file.
    pub(super) cache_bytes: usize,
}

pub(super) const LAYOUT: Layout = Layout {
    file_name: "members.redb",
    create: |transaction| {
        transaction.open_table(MEMBERS)?;
        transaction.open_table(DEVICES)?;
        transaction.open_table(MEMBER_DEVICES)?;
        Ok(())
    },
    cache_bytes: 16 * 1_024 * 1_024,
};

const VERSION_KEY: &str = "version";

/// Opens a database of this data folder; the first time, makes one.
pub(super) fn open(data_dir: &DataDir, layout: &Layout) -> Result<Database, StoreError> {
    make_if_missing(data_dir, layout)?;
    open_made(data_dir, layout)
}

/// Makes a database in this data folder if there is none.
pub(super) fn make_if_missing(data_dir: &DataDir, layout: &Layout) -> Result<(), StoreError> {
    let path = data_dir.path().join(layout.file_name);
    let missing = fs::symlink_metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    if missing { create(&path, layout) } else { Ok(()) }
}

/// Opens a database that has been made.
pub(super) fn open_made(data_dir: &DataDir, layout: &Layout) -> Result<Database, StoreError> {
    let path = data_dir.path().join(layout.file_name);
    let file = bittrickle_secret::open(&path, OpenOptions::new().read(true).write(true))?;
    let damaged = |reason| StoreError::Damaged { path: path.clone(), reason };
    if file.metadata().map_err(io_at(&path))?.len() == 0 {
        // The database would begin anew in an empty file.
        return Err(damaged(Damage::Empty));
    }
    let trial = Trial::new(file.try_clone().map_err(io_at(&path))?).map_err(io_at(&path))?;
    let database = builder(layout).set_check_integrity_on_open(true).create_with_backend(trial);
    let database = database.map_err(|error| damaged_or_failed(error.into(), &path))?;
    match version(&database) {
        Ok(Some(SCHEMA_VERSION)) => {}
        Ok(found) => return Err(damaged(Damage::Version { found })),
        Err(error) => return Err(damaged_or_failed(error, &path)),
    }
    drop(database);
    let backend = FileBackend::new(file).map_err(failed)?;
    builder(layout).create_with_backend(backend).map_err(|error| damaged_or_failed(error.into(), &path))
}

impl Store {
    /// Opens the store of this data folder; the first time, makes one.
    ///
    /// # Errors
    /// The file is damaged, of another version, others have access to it, or the disk fails.
    pub fn open(data_dir: Arc<DataDir>) -> Result<Self, StoreError> {
        Ok(Self { database: open(&data_dir, &LAYOUT)?, data_dir })
    }

    /// All that is in the store, as the directory to begin with.
    ///
    /// # Errors
    /// A record can't be read, the tables contradict each other, or the disk fails.
    pub fn directory(&self) -> Result<Directory, StoreError> {
        let damaged =
            |reason| StoreError::Damaged { path: self.data_dir.path().join(LAYOUT.file_name), reason };
        let mut directory = Directory::default();
        self.read(|transaction| {
            for entry in transaction.open_table(MEMBERS).map_err(failed)?.iter().map_err(failed)? {
                let (name, record) = entry.map_err(failed)?;
                let record =
                    MemberRecord::decode(record.value()).map_err(|bad| damaged(Damage::Record(bad)))?;
                let name = MemberName::new(name.value()).map_err(|_| damaged(Damage::Contradiction))?;
                directory.apply(&Change::MemberAdded(name.clone()));
                if record.disabled {
                    directory.apply(&Change::MemberDisabled(name));
                }
            }
            let by_member = transaction.open_table(MEMBER_DEVICES).map_err(failed)?;
            let devices = transaction.open_table(DEVICES).map_err(failed)?;
            let mut consistent = by_member.len().map_err(failed)? == devices.len().map_err(failed)?;
            for entry in devices.iter().map_err(failed)? {
                let (key, record) = entry.map_err(failed)?;
                let record =
                    DeviceRecord::decode(record.value()).map_err(|bad| damaged(Damage::Record(bad)))?;
                let pair = (record.member.as_str(), key.value());
                consistent &= by_member.get(pair).map_err(failed)?.is_some();
                let device = PublicKey::from_bytes(*key.value());
                directory.apply(&Change::DeviceAdded { device, member: record.member });
            }
            // A device whose member is missing is not taken in by the directory.
            consistent &= u64::try_from(directory.device_count()) == Ok(devices.len().map_err(failed)?);
            if consistent { Ok(()) } else { Err(damaged(Damage::Contradiction)) }
        })?;
        Ok(directory)
    }
}

fn builder(layout: &Layout) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(layout.cache_bytes);
    builder
}

/// Makes an empty database under another name first, so that there is never half of one under its own.
fn create(path: &Path, layout: &Layout) -> Result<(), StoreError> {
    // One that is there was left by a crash, and never held anything.
    let draft = &path.with_extension("redb.new");
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_at(draft)(error)),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    let file =
        options.read(true).write(true).create_new(true).mode(0o600).open(draft).map_err(io_at(draft))?;
    let backend = FileBackend::new(file).map_err(failed)?;
    let database = builder(layout).create_with_backend(backend).map_err(failed)?;
    let mut transaction = database.begin_write().map_err(failed)?;
    transaction.set_two_phase_commit(true);
    (layout.create)(&transaction).map_err(failed)?;
    transaction.open_table(SCHEMA).map_err(failed)?.insert(VERSION_KEY, SCHEMA_VERSION).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    drop(database);
    // Nobody else makes one meanwhile: this process holds the data folder.
    fs::rename(draft, path).map_err(io_at(path))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_at(folder))
}

/// The version that the store says. `None` if it doesn't.
fn version(database: &Database) -> Result<Option<u64>, redb::Error> {
    let transaction = database.begin_read()?;
    match transaction.open_table(SCHEMA) {
        Ok(table) => Ok(table.get(VERSION_KEY)?.map(|version| version.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the file is to blame, or the moment.
fn damaged_or_failed(error: redb::Error, path: &Path) -> StoreError {
    let other_file =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
    let damaged = match &error {
        redb::Error::Io(error) => other_file(error),
        error => !matches!(error, redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch),
    };
    if damaged {
        StoreError::Damaged { path: path.to_owned(), reason: Damage::Database(Box::new(error)) }
    } else {
        failed(error)
    }
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> StoreError + use<> {
    let path: PathBuf = path.to_owned();
    move |error| SecretError::Io { path: path.clone(), error }.into()
}
