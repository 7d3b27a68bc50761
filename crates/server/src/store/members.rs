//! Members in the store.

use std::ops::Bound;

use bittrickle_wire::MemberName;
use redb::{ReadableTable, ReadableTableMetadata as _, WriteTransaction};

use super::devices::{devices_of, remove_device};
use super::records::Record as _;
use super::{
    Change, MEMBER_DEVICES, MEMBERS, MEMBERS_MAX, MemberRecord, MemberRow, Store, StoreError, failed,
};
use crate::accounts::PasswordHash;

impl Store {
    /// What is kept of a member, if there is one of this name.
    ///
    /// # Errors
    /// The record can't be read, or the disk fails.
    pub fn member(&self, name: &MemberName) -> Result<Option<MemberRecord>, StoreError> {
        self.read(|transaction| record(&transaction.open_table(MEMBERS).map_err(failed)?, name))
    }

    /// Adds a member.
    ///
    /// # Errors
    /// There is one of this name already, or no room, or the disk fails.
    pub fn add_member(
        &self,
        name: MemberName,
        password: PasswordHash,
        now_unix_s: u64,
    ) -> Result<Vec<Change>, StoreError> {
        let changes = self.import(vec![(name, password)], now_unix_s)?;
        if changes.is_empty() { Err(StoreError::MemberExists) } else { Ok(changes) }
    }

    /// Adds all of these that aren't members yet, or, if there is an error, none. Members stay as they are.
    ///
    /// # Errors
    /// There is no room for all, or the disk fails.
    pub fn import(
        &self,
        members: Vec<(MemberName, PasswordHash)>,
        now_unix_s: u64,
    ) -> Result<Vec<Change>, StoreError> {
        self.write(|transaction| {
            let mut table = transaction.open_table(MEMBERS).map_err(failed)?;
            let mut changes = Vec::new();
            for (name, password) in members {
                if record(&table, &name)?.is_none() {
                    let record = MemberRecord::new(password, now_unix_s).encode();
                    table.insert(name.as_str(), record.as_slice()).map_err(failed)?;
                    changes.push(Change::MemberAdded(name));
                }
            }
            if table.len().map_err(failed)? > MEMBERS_MAX as u64 {
                return Err(StoreError::TooManyMembers);
            }
            Ok(changes)
        })
    }

    /// Those of the names that no member has.
    ///
    /// # Errors
    /// The disk fails.
    pub fn missing(&self, names: Vec<MemberName>) -> Result<Vec<MemberName>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(MEMBERS).map_err(failed)?;
            let mut missing = Vec::new();
            for name in names {
                if table.get(name.as_str()).map_err(failed)?.is_none() {
                    missing.push(name);
                }
            }
            Ok(missing)
        })
    }

    /// Gives a member another password. Devices stay enrolled.
    ///
    /// # Errors
    /// There is no such member, or the disk fails.
    pub fn set_password(&self, name: &MemberName, password: PasswordHash) -> Result<(), StoreError> {
        self.write(|transaction| change_record(transaction, name, |record| record.password = password))
    }

    /// Disables or enables a member. Where that is so already, nothing changes.
    ///
    /// # Errors
    /// There is no such member, or the disk fails.
    pub fn set_disabled(&self, name: &MemberName, disabled: bool) -> Result<Vec<Change>, StoreError> {
        let was_disabled = self.member(name)?.ok_or(StoreError::NoMember)?.disabled;
        if was_disabled == disabled {
            return Ok(Vec::new());
        }
        self.write(|transaction| change_record(transaction, name, |record| record.disabled = disabled))?;
        let name = name.clone();
        Ok(vec![if disabled { Change::MemberDisabled(name) } else { Change::MemberEnabled(name) }])
    }

    /// Removes a member, with all devices.
    ///
    /// # Errors
    /// There is no such member, or the disk fails.
    pub fn remove_member(&self, name: &MemberName) -> Result<Vec<Change>, StoreError> {
        self.write(|transaction| {
            let mut members = transaction.open_table(MEMBERS).map_err(failed)?;
            if members.remove(name.as_str()).map_err(failed)?.is_none() {
                return Err(StoreError::NoMember);
            }
            let devices = devices_of(&transaction.open_table(MEMBER_DEVICES).map_err(failed)?, name)?;
            devices.iter().try_for_each(|device| remove_device(transaction, device).map(drop))?;
            Ok(vec![Change::MemberRemoved(name.clone())])
        })
    }

    /// At most `count` members, in the order of their names, behind `after`.
    ///
    /// # Errors
    /// A record can't be read, or the disk fails.
    pub fn members(&self, after: Option<&MemberName>, count: usize) -> Result<Vec<MemberRow>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(MEMBERS).map_err(failed)?;
            let devices = transaction.open_table(MEMBER_DEVICES).map_err(failed)?;
            let start = after.map_or(Bound::Unbounded, |name| Bound::Excluded(name.as_str()));
            let mut rows = Vec::new();
            for entry in table.range::<&str>((start, Bound::Unbounded)).map_err(failed)?.take(count) {
                let (name, record) = entry.map_err(failed)?;
                let record = MemberRecord::decode(record.value())?;
                let member = MemberName::new(name.value())
                    .map_err(|_| super::BadRecord { table: MemberRecord::TABLE })?;
                rows.push(MemberRow {
                    devices: devices_of(&devices, &member)?.len() as u64,
                    member,
                    disabled: record.disabled,
                    created_unix_s: record.created_unix_s,
                });
            }
            Ok(rows)
        })
    }
}

/// The record under this name.
fn record(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &MemberName,
) -> Result<Option<MemberRecord>, StoreError> {
    let bytes = table.get(name.as_str()).map_err(failed)?;
    Ok(bytes.map(|bytes| MemberRecord::decode(bytes.value())).transpose()?)
}

fn change_record(
    transaction: &WriteTransaction,
    name: &MemberName,
    change: impl FnOnce(&mut MemberRecord),
) -> Result<(), StoreError> {
    let mut table = transaction.open_table(MEMBERS).map_err(failed)?;
    let mut record = record(&table, name)?.ok_or(StoreError::NoMember)?;
    change(&mut record);
    table.insert(name.as_str(), record.encode().as_slice()).map_err(failed)?;
    Ok(())
}
