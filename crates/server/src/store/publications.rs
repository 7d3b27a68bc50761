//! What members have published, on disk. There may be ten million publications, so that a row is short: it has the number of
//! its member, and no text but its name.

mod transfer;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use bittrickle_wire::{Content, FileBytes, FileName, HexBytes, MemberName, Root};
use redb::{
    Database, Durability, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, Table,
    TableDefinition, WriteTransaction,
};

use super::file::{self, Layout};
use super::records::BadRecord;
use super::{Damage, DataDir, StoreError, failed};
use crate::index::Edit;
pub use transfer::{PublicationIntake, PublicationSnapshot};

/// Publications on disk. While there is one, its process holds the data folder.
pub struct PublicationStore {
    /// `None` after an error: a database that could not be written has to be opened again.
    database: Option<Database>,
    open: Box<dyn Fn() -> Result<Database, StoreError> + Send>,
    data_dir: Arc<DataDir>,
}

const LAYOUT: Layout = Layout {
    file_name: "publications.redb",
    create: |transaction| {
        transaction.open_table(MEMBER_NUMBERS)?;
        transaction.open_table(PUBLICATIONS)?;
        transaction.open_table(OFFLINE_HOURS)?;
        Ok(())
    },
    cache_bytes: 64 * 1_024 * 1_024,
};

/// A member's name to the member's number.
const MEMBER_NUMBERS: TableDefinition<'_, &str, u32> = TableDefinition::new("member_numbers");

/// A member's number, big-endian, and a file's name, to what stands behind it.
const PUBLICATIONS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("publications");

/// A member's name to the hours for which the member has been offline.
const OFFLINE_HOURS: TableDefinition<'_, &str, u32> = TableDefinition::new("offline_hours");

/// What a commit does to the publications: the last word on each.
#[derive(Default)]
struct Changes {
    /// Members all of whose publications go first.
    forgotten: Vec<u32>,
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl PublicationStore {
    /// Opens the store of this data folder; the first time, makes one. All of it is checked: of ten million publications
    /// that is a matter of seconds.
    ///
    /// # Errors
    /// The file is damaged, of another version, others have access to it, or the disk fails.
    pub fn open(data_dir: Arc<DataDir>) -> Result<Self, StoreError> {
        file::make_if_missing(&data_dir, &LAYOUT)?;
        let dir = Arc::clone(&data_dir);
        // A file that goes away while the server runs isn't made anew.
        Self::open_with(data_dir, Box::new(move || file::open_made(&dir, &LAYOUT)))
    }

    fn open_with(
        data_dir: Arc<DataDir>,
        open: Box<dyn Fn() -> Result<Database, StoreError> + Send>,
    ) -> Result<Self, StoreError> {
        Ok(Self { database: Some(open()?), open, data_dir })
    }

    /// Makes these changes durable, in their order: all of them or, after an error, none. After an error it can be tried
    /// again.
    ///
    /// # Errors
    /// The disk fails or is full.
    pub fn commit(&mut self, edits: &[Edit]) -> Result<(), StoreError> {
        let database = self.taken()?;
        let transaction = begin_write(&database)?;
        write(&transaction, edits).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        self.database = Some(database);
        Ok(())
    }

    /// Takes back all that is published under these names, in the store of this data folder. A member who is new may have the
    /// name of one who was removed, and whose publications are still there, as the server was killed meanwhile.
    ///
    /// # Errors
    /// The store can't be opened, or the disk fails or is full.
    pub fn forget(data_dir: &Arc<DataDir>, members: Vec<MemberName>) -> Result<(), StoreError> {
        if members.is_empty() {
            return Ok(());
        }
        let forget = |member| Edit::Forget { member: Arc::new(member) };
        Self::open(Arc::clone(data_dir))?.commit(&members.into_iter().map(forget).collect::<Vec<_>>())
    }

    /// How many publications there are.
    ///
    /// # Errors
    /// The disk fails.
    pub fn count(&mut self) -> Result<usize, StoreError> {
        let transaction = self.opened()?.begin_read().map_err(failed)?;
        let count = transaction.open_table(PUBLICATIONS).map_err(failed)?.len().map_err(failed)?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// For how many hours members have been offline.
    ///
    /// # Errors
    /// A row can't be read, or the disk fails.
    pub fn offline_hours(&mut self) -> Result<Vec<(Arc<MemberName>, u32)>, StoreError> {
        self.snapshot()?.offline_hours()
    }

    /// The database, to be put back when it has done what it is taken for.
    fn taken(&mut self) -> Result<Database, StoreError> {
        match self.database.take() {
            Some(database) => Ok(database),
            None => (self.open)(),
        }
    }

    fn opened(&mut self) -> Result<&Database, StoreError> {
        if self.database.is_none() {
            self.database = Some((self.open)()?);
        }
        Ok(self.database.as_ref().expect("it has just been opened"))
    }

    /// Gives every publication, by member, until `each` says that it is enough.
    ///
    /// # Errors
    /// A row can't be read, or the disk fails.
    pub fn for_each(
        &mut self,
        each: impl FnMut(&Arc<MemberName>, FileName, Content) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.snapshot()?.for_each(each).map(drop)
    }
}

impl fmt::Debug for PublicationStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicationStore").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

fn begin_write(database: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database.begin_write().map_err(failed)?;
    transaction.set_durability(Durability::Immediate).map_err(failed)?;
    // A server that was killed is to start at once, however much it holds. Implies a commit in two phases.
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn write(transaction: &WriteTransaction, edits: &[Edit]) -> Result<(), redb::Error> {
    let mut numbers = Numbers::open(transaction)?;
    let mut changes = Changes::default();
    let mut offline_hours = transaction.open_table(OFFLINE_HOURS)?;
    for edit in edits {
        match edit {
            Edit::Offline { member, hours: 0 } => drop(offline_hours.remove(member.as_str())?),
            Edit::Offline { member, hours } => drop(offline_hours.insert(member.as_str(), hours)?),
            Edit::Forget { member } => drop(offline_hours.remove(member.as_str())?),
            Edit::Publish { .. } | Edit::Withdraw { .. } => {}
        }
        changes.add(numbers.number(edit.member())?, edit);
    }
    let mut publications = transaction.open_table(PUBLICATIONS)?;
    for number in changes.forgotten {
        remove_all_of(&mut publications, number)?;
    }
    for (key, value) in &changes.rows {
        match value {
            Some(value) => drop(publications.insert(&key[..], &value[..])?),
            None => drop(publications.remove(&key[..])?),
        }
    }
    Ok(())
}

fn remove_all_of(
    publications: &mut Table<'_, &'static [u8], &'static [u8]>,
    member: u32,
) -> Result<(), redb::Error> {
    let (from, to) = (member.to_be_bytes(), member.checked_add(1).map(u32::to_be_bytes));
    let to = to.as_ref().map_or(&[0xff; 5][..], |to| &to[..]);
    Ok(publications.retain_in(&from[..]..to, |_, _| false)?)
}

/// The numbers of members, given in a transaction.
struct Numbers<'a> {
    table: Table<'a, &'static str, u32>,
    known: HashMap<&'a MemberName, u32>,
    next: Option<u32>,
}

impl<'a> Numbers<'a> {
    fn open(transaction: &'a WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self { table: transaction.open_table(MEMBER_NUMBERS)?, known: HashMap::new(), next: None })
    }

    fn number(&mut self, member: &'a MemberName) -> Result<u32, redb::Error> {
        if let Some(number) = self.known.get(member) {
            return Ok(*number);
        }
        let number = self.look_up(member)?;
        self.known.insert(member, number);
        Ok(number)
    }

    /// The same, for a member who isn't there as long as the transaction.
    fn look_up(&mut self, member: &MemberName) -> Result<u32, redb::Error> {
        let stored = self.table.get(member.as_str())?.map(|number| number.value());
        stored.map_or_else(|| self.add(member), Ok)
    }

    fn add(&mut self, member: &MemberName) -> Result<u32, redb::Error> {
        let number = match self.next {
            Some(number) => number,
            None => self.lowest_free()?,
        };
        self.next = Some(number + 1);
        self.table.insert(member.as_str(), number)?;
        Ok(number)
    }

    /// Looks at all members: once in a transaction that has a new one, and there are far fewer of them than publications.
    fn lowest_free(&self) -> Result<u32, redb::Error> {
        let mut free = 0;
        for entry in self.table.iter()? {
            free = free.max(entry?.1.value().saturating_add(1));
        }
        Ok(free)
    }
}

impl Changes {
    fn add(&mut self, number: u32, edit: &Edit) {
        match edit {
            Edit::Publish { name, content, .. } => {
                self.rows.insert(key(number, name), Some(write_content(*content)));
            }
            Edit::Withdraw { name, .. } => {
                self.rows.insert(key(number, name), None);
            }
            Edit::Forget { .. } => {
                self.forgotten.push(number);
                self.rows.retain(|key, _| !key.starts_with(&number.to_be_bytes()));
            }
            Edit::Offline { .. } => {}
        }
    }
}

fn key(member: u32, name: &FileName) -> Vec<u8> {
    [&member.to_be_bytes(), name.as_str().as_bytes()].concat()
}

fn read_key(key: &[u8]) -> Option<(u32, FileName)> {
    let (number, name) = key.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), FileName::new(std::str::from_utf8(name).ok()?).ok()?))
}

/// The first byte says what there is: the size in 8 bytes, the root in 32, and whether it is a folder.
const HAS_SIZE: u8 = 1;
const HAS_ROOT: u8 = 2;
const IS_FOLDER: u8 = 4;

fn write_content(Content { file_bytes, root, is_folder }: Content) -> Vec<u8> {
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    let mut row = vec![
        flag(file_bytes.is_some(), HAS_SIZE) | flag(root.is_some(), HAS_ROOT) | flag(is_folder, IS_FOLDER),
    ];
    row.extend(file_bytes.into_iter().flat_map(|size| size.bytes().to_be_bytes()));
    row.extend(root.into_iter().flat_map(|Root(HexBytes(root))| root));
    row
}

fn read_content(row: &[u8]) -> Option<Content> {
    let (&flags, mut rest) = row.split_first()?;
    let (mut file_bytes, mut root) = (None, None);
    if flags & HAS_SIZE != 0 {
        let (size, behind) = rest.split_first_chunk()?;
        (file_bytes, rest) = (Some(FileBytes::new(u64::from_be_bytes(*size)).ok()?), behind);
    }
    if flags & HAS_ROOT != 0 {
        let (bytes, behind) = rest.split_first_chunk()?;
        (root, rest) = (Some(Root(HexBytes(*bytes))), behind);
    }
    let is_known = flags & !(HAS_SIZE | HAS_ROOT | IS_FOLDER) == 0;
    (is_known && rest.is_empty()).then_some(Content { file_bytes, root, is_folder: flags & IS_FOLDER != 0 })
}

#[cfg(test)]
mod power_cut;
#[cfg(test)]
mod tests;
