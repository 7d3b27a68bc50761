//! All of the store of publications: given out as it is at one moment, and taken in.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use bittrickle_wire::{Content, FileName, MemberName};
use redb::{
    ReadTransaction, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, Table,
    WriteTransaction,
};

use super::{
    BadRecord, Damage, LAYOUT, MEMBER_NUMBERS, Numbers, OFFLINE_HOURS, PUBLICATIONS, PublicationStore,
    StoreError, failed, key, read_content, read_key, remove_all_of, write_content,
};
use crate::index::Limits;

/// The store of publications as it was at one moment. Commits don't wait for it, and don't show in it.
pub struct PublicationSnapshot {
    transaction: ReadTransaction,
    path: PathBuf,
}

/// Where publications are taken in.
pub struct PublicationIntake<'a> {
    numbers: Numbers<'a>,
    /// The member whose publications come at present.
    current: Option<(MemberName, u32)>,
    publications: Table<'a, &'static [u8], &'static [u8]>,
    offline_hours: Table<'a, &'static str, u32>,
    publications_max: u64,
}

impl PublicationStore {
    /// All as it is now.
    ///
    /// # Errors
    /// The disk fails.
    pub fn snapshot(&mut self) -> Result<PublicationSnapshot, StoreError> {
        let path = self.data_dir.path().join(LAYOUT.file_name);
        Ok(PublicationSnapshot { transaction: self.opened()?.begin_read().map_err(failed)?, path })
    }

    /// Makes durable what `take` takes in, all at once. After an error nothing has changed.
    ///
    /// # Errors
    /// Those of `take`, or the disk fails.
    pub fn take_in<T, E: From<StoreError>>(
        &mut self,
        take: impl FnOnce(&mut PublicationIntake<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let database = self.taken()?;
        let transaction = super::begin_write(&database)?;
        let taken = take(&mut PublicationIntake::open(&transaction)?)?;
        transaction.commit().map_err(failed)?;
        self.database = Some(database);
        Ok(taken)
    }
}

impl PublicationSnapshot {
    /// Gives every publication, by member, until `each` says that it is enough.
    ///
    /// # Errors
    /// A row can't be read, or the disk fails.
    pub fn for_each<B>(
        &self,
        mut each: impl FnMut(&Arc<MemberName>, FileName, Content) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, StoreError> {
        let bad_row = || self.damaged(Damage::Record(BadRecord { table: "publications" }));
        let members = self.members()?;
        for entry in self.transaction.open_table(PUBLICATIONS).map_err(failed)?.iter().map_err(failed)? {
            let (key, value) = entry.map_err(failed)?;
            let (number, name) = read_key(key.value()).ok_or_else(bad_row)?;
            let content = read_content(value.value()).ok_or_else(bad_row)?;
            let member = members.get(&number).ok_or_else(|| self.damaged(Damage::Contradiction))?;
            if let ControlFlow::Break(enough) = each(member, name, content) {
                return Ok(ControlFlow::Break(enough));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// For how many hours members have been offline.
    ///
    /// # Errors
    /// A row can't be read, or the disk fails.
    pub fn offline_hours(&self) -> Result<Vec<(Arc<MemberName>, u32)>, StoreError> {
        let mut all = Vec::new();
        for entry in self.transaction.open_table(OFFLINE_HOURS).map_err(failed)?.iter().map_err(failed)? {
            let (member, hours) = entry.map_err(failed)?;
            all.push((self.name(member.value())?, hours.value()));
        }
        Ok(all)
    }

    fn members(&self) -> Result<HashMap<u32, Arc<MemberName>>, StoreError> {
        let mut members = HashMap::new();
        for entry in self.transaction.open_table(MEMBER_NUMBERS).map_err(failed)?.iter().map_err(failed)? {
            let (name, number) = entry.map_err(failed)?;
            members.insert(number.value(), self.name(name.value())?);
        }
        Ok(members)
    }

    fn name(&self, text: &str) -> Result<Arc<MemberName>, StoreError> {
        MemberName::new(text).map(Arc::new).map_err(|_| self.damaged(Damage::Contradiction))
    }

    fn damaged(&self, reason: Damage) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), reason }
    }
}

impl<'a> PublicationIntake<'a> {
    fn open(transaction: &'a WriteTransaction) -> Result<Self, StoreError> {
        let publications_max = Limits::default().publications;
        Ok(Self {
            numbers: Numbers::open(transaction).map_err(failed)?,
            current: None,
            publications: transaction.open_table(PUBLICATIONS).map_err(failed)?,
            offline_hours: transaction.open_table(OFFLINE_HOURS).map_err(failed)?,
            publications_max: u64::try_from(publications_max).unwrap_or(u64::MAX),
        })
    }

    /// Takes back all that is published under this name, as [`PublicationStore::forget`] does.
    ///
    /// # Errors
    /// The disk fails.
    pub fn forget(&mut self, member: &MemberName) -> Result<(), StoreError> {
        self.offline_hours.remove(member.as_str()).map_err(failed)?;
        let number = self.numbers.look_up(member).map_err(failed)?;
        remove_all_of(&mut self.publications, number).map_err(failed)
    }

    /// Adds a publication. One of the same member and name stays as it is. Says whether it was new.
    ///
    /// # Errors
    /// There is no room, or the disk fails.
    pub fn add(
        &mut self,
        member: &MemberName,
        name: &FileName,
        content: Content,
    ) -> Result<bool, StoreError> {
        let number = match &self.current {
            Some((current, number)) if current == member => *number,
            _ => self.numbers.look_up(member).map_err(failed)?,
        };
        self.current = Some((member.clone(), number));
        let key = key(number, name);
        if self.publications.get(&key[..]).map_err(failed)?.is_some() {
            return Ok(false);
        }
        if self.publications.len().map_err(failed)? >= self.publications_max {
            return Err(StoreError::TooManyPublications);
        }
        self.publications.insert(&key[..], &write_content(content)[..]).map_err(failed)?;
        Ok(true)
    }

    /// Notes for how many hours a member has been offline, unless that is known. Says whether it was new.
    ///
    /// # Errors
    /// The disk fails.
    pub fn add_offline_hours(&mut self, member: &MemberName, hours: u32) -> Result<bool, StoreError> {
        if self.offline_hours.get(member.as_str()).map_err(failed)?.is_some() {
            return Ok(false);
        }
        self.offline_hours.insert(member.as_str(), hours).map_err(failed)?;
        Ok(true)
    }
}

impl fmt::Debug for PublicationSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicationSnapshot").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{content, member, name, open, publish, rows};
    use super::*;
    use crate::index::Edit;

    fn take_in(
        store: &mut PublicationStore,
        entries: &[(&str, &str, u64)],
        publications_max: u64,
    ) -> Result<usize, StoreError> {
        store.take_in(|intake| {
            intake.publications_max = publications_max;
            let mut added = 0;
            for (who, what, bytes) in entries {
                added += usize::from(intake.add(&member(who), &name(what), content(*bytes, None))?);
            }
            Ok(added)
        })
    }

    #[test]
    fn what_is_taken_in_is_given_out_and_what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(&folder).unwrap();
        store.commit(&[publish("alice", "a", 1)]).unwrap();
        let entries = [("alice", "a", 2), ("bob", "a", 4), ("alice", "b", 6), ("bob", "a", 8)];
        assert_eq!(take_in(&mut store, &entries, 9).unwrap(), 2);
        store.commit(&[publish("carol", "c", 1)]).unwrap();
        let there: Vec<_> = rows(&mut store).into_values().collect();
        assert_eq!(
            there,
            [(1, None), (6, None), (4, None), (1, None)].map(|(bytes, root)| content(bytes, root))
        );
        let hours = |store: &mut PublicationStore, hours| {
            store.take_in(|intake| intake.add_offline_hours(&member("bob"), hours))
        };
        assert_eq!((hours(&mut store, 7).unwrap(), hours(&mut store, 8).unwrap()), (true, false));
        assert_eq!(store.offline_hours().unwrap(), [(member("bob"), 7)]);
    }

    #[test]
    fn after_an_error_nothing_is_taken_in_and_it_can_be_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(&folder).unwrap();
        let entries = [("alice", "a", 2), ("bob", "a", 4)];
        assert!(matches!(take_in(&mut store, &entries, 1), Err(StoreError::TooManyPublications)));
        assert_eq!(store.count().unwrap(), 0);
        assert_eq!(take_in(&mut store, &entries, 2).unwrap(), 2);
    }

    #[test]
    fn a_snapshot_stays_as_it_was_and_ends_with_its_database() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(&folder).unwrap();
        let edits: Vec<_> = (0..20_000).map(|number| publish("alice", &number.to_string(), 2)).collect();
        store.commit(&edits).unwrap();
        let snapshot = store.snapshot().unwrap();
        store.commit(&[Edit::Forget { member: member("alice") }]).unwrap();
        let mut count = 0;
        let all = snapshot.for_each(|_, _, _| {
            count += 1;
            ControlFlow::<()>::Continue(())
        });
        assert!(all.unwrap().is_continue() && count == 20_000 && store.count().unwrap() == 0);
        drop(store);
        open(&folder).unwrap().commit(&edits).unwrap();
        // What is still in memory may be given.
        let _ = snapshot.for_each(|who, _, _| {
            assert_eq!(*who, member("alice"));
            ControlFlow::<()>::Continue(())
        });
    }
}
