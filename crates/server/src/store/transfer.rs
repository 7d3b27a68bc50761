//! All of the store of members: given out as it is at one moment, and taken in.

use std::path::{Path, PathBuf};

use bittrickle_wire::MemberName;
use bittrickle_wire::seal::PublicKey;
use redb::{
    ReadOnlyTable, ReadTransaction, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    Table, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use super::devices::devices_of;
use super::file::LAYOUT;
use super::records::{DeviceRecord, Record as _};
use super::{
    DEVICES, DEVICES_PER_MEMBER_MAX, Damage, DeviceRow, MEMBER_DEVICES, MEMBERS, MEMBERS_MAX, MemberRecord,
    Store, StoreError, failed,
};
use crate::accounts::PasswordHash;

/// A member, with all that the store knows of one but the devices. Not for others to see: it has the password's hash.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberEntry {
    /// The name.
    pub member: MemberName,
    /// The password's hash.
    pub password: PasswordHash,
    /// Whether the member may do nothing at present.
    pub disabled: bool,
    /// When the member was added, in seconds since 1970.
    pub created_unix_s: u64,
}

/// The store of members as it was at one moment. Changes don't wait for it, and don't show in it.
pub struct MemberSnapshot {
    transaction: ReadTransaction,
    path: PathBuf,
}

/// Which members there are in a snapshot.
pub struct MemberNames(ReadOnlyTable<&'static str, &'static [u8]>);

/// Where members and devices are taken in.
pub struct MemberIntake<'a> {
    members: Table<'a, &'static str, &'static [u8]>,
    devices: Table<'a, &'static [u8; 32], &'static [u8]>,
    member_devices: Table<'a, (&'static str, &'static [u8; 32]), ()>,
}

impl Store {
    /// Whether there is a store in this data folder.
    #[must_use]
    pub fn is_in(data_dir: &Path) -> bool {
        data_dir.join(LAYOUT.file_name).symlink_metadata().is_ok()
    }

    /// All as it is now.
    ///
    /// # Errors
    /// The disk fails.
    pub fn snapshot(&self) -> Result<MemberSnapshot, StoreError> {
        let path = self.data_dir.path().join(LAYOUT.file_name);
        Ok(MemberSnapshot { transaction: self.database.begin_read().map_err(failed)?, path })
    }

    /// Makes durable what `take` takes in, all at once. After an error nothing has changed.
    ///
    /// # Errors
    /// Those of `take`, or the disk fails.
    pub fn take_in<T, E: From<StoreError>>(
        &self,
        take: impl FnOnce(&mut MemberIntake<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self.begin_write()?;
        let taken = take(&mut MemberIntake::open(&transaction)?)?;
        transaction.commit().map_err(failed)?;
        Ok(taken)
    }
}

impl MemberSnapshot {
    /// Gives all members, in the order of their names, until `each` fails.
    ///
    /// # Errors
    /// A record can't be read, the disk fails, or what `each` fails with.
    pub fn for_each_member<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(MemberEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        for entry in self.transaction.open_table(MEMBERS).map_err(failed)?.iter().map_err(failed)? {
            let (name, record) = entry.map_err(failed)?;
            let MemberRecord { password, disabled, created_unix_s, .. } =
                MemberRecord::decode(record.value()).map_err(StoreError::from)?;
            let member = MemberName::new(name.value());
            let damaged = |_| StoreError::Damaged { path: self.path.clone(), reason: Damage::Contradiction };
            each(MemberEntry { member: member.map_err(damaged)?, password, disabled, created_unix_s })?;
        }
        Ok(())
    }

    /// Gives all devices, in the order of their keys, until `each` fails.
    ///
    /// # Errors
    /// A record can't be read, the disk fails, or what `each` fails with.
    pub fn for_each_device<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(DeviceRow) -> Result<(), E>,
    ) -> Result<(), E> {
        for entry in self.transaction.open_table(DEVICES).map_err(failed)?.iter().map_err(failed)? {
            let (key, record) = entry.map_err(failed)?;
            let DeviceRecord { member, enrolled_unix_s, .. } =
                DeviceRecord::decode(record.value()).map_err(StoreError::from)?;
            each(DeviceRow { device: PublicKey::from_bytes(*key.value()), member, enrolled_unix_s })?;
        }
        Ok(())
    }

    /// Which members there are.
    ///
    /// # Errors
    /// The disk fails.
    pub fn names(&self) -> Result<MemberNames, StoreError> {
        Ok(MemberNames(self.transaction.open_table(MEMBERS).map_err(failed)?))
    }
}

impl MemberNames {
    /// Whether there is a member of this name.
    ///
    /// # Errors
    /// The disk fails.
    pub fn has(&self, name: &MemberName) -> Result<bool, StoreError> {
        Ok(self.0.get(name.as_str()).map_err(failed)?.is_some())
    }
}

impl<'a> MemberIntake<'a> {
    fn open(transaction: &'a WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            members: transaction.open_table(MEMBERS).map_err(failed)?,
            devices: transaction.open_table(DEVICES).map_err(failed)?,
            member_devices: transaction.open_table(MEMBER_DEVICES).map_err(failed)?,
        })
    }

    /// Whether there is a member of this name by now.
    ///
    /// # Errors
    /// The disk fails.
    pub fn has_member(&self, name: &MemberName) -> Result<bool, StoreError> {
        Ok(self.members.get(name.as_str()).map_err(failed)?.is_some())
    }

    /// Adds a member. One who is there stays as is. Says whether it was new.
    ///
    /// # Errors
    /// There is no room, or the disk fails.
    pub fn add_member(&mut self, entry: MemberEntry) -> Result<bool, StoreError> {
        let MemberEntry { member, password, disabled, created_unix_s } = entry;
        if self.has_member(&member)? {
            return Ok(false);
        }
        if self.members.len().map_err(failed)? >= MEMBERS_MAX as u64 {
            return Err(StoreError::TooManyMembers);
        }
        let mut record = MemberRecord::new(password, created_unix_s);
        record.disabled = disabled;
        self.members.insert(member.as_str(), record.encode().as_slice()).map_err(failed)?;
        Ok(true)
    }

    /// Adds a device. One that is there stays whose it is. Says whether it was new.
    ///
    /// # Errors
    /// Its member isn't there or has as many devices as allowed, or the disk fails.
    pub fn add_device(&mut self, row: DeviceRow) -> Result<bool, StoreError> {
        let DeviceRow { device, member, enrolled_unix_s } = row;
        if self.devices.get(device.as_bytes()).map_err(failed)?.is_some() {
            return Ok(false);
        }
        if !self.has_member(&member)? {
            return Err(StoreError::NoMember);
        }
        if devices_of(&self.member_devices, &member)?.len() >= DEVICES_PER_MEMBER_MAX {
            return Err(StoreError::TooManyDevices);
        }
        self.member_devices.insert((member.as_str(), device.as_bytes()), ()).map_err(failed)?;
        let record = DeviceRecord::new(member, enrolled_unix_s).encode();
        self.devices.insert(device.as_bytes(), record.as_slice()).map_err(failed)?;
        Ok(true)
    }
}

impl std::fmt::Debug for MemberSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemberSnapshot").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bittrickle_wire::Password;
    use tempfile::TempDir;

    use super::*;
    use crate::data_dir::DataDir;

    fn store() -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(&folder.path().join("data"), Duration::ZERO).unwrap();
        (folder, Store::open(Arc::new(data_dir)).unwrap())
    }

    fn member(name: &str, disabled: bool) -> MemberEntry {
        let password = PasswordHash::of(&Password::new("wonderland").unwrap()).unwrap();
        MemberEntry { member: MemberName::new(name).unwrap(), password, disabled, created_unix_s: 7 }
    }

    fn device(number: u8, member: &str) -> DeviceRow {
        let device = PublicKey::from_bytes([number; 32]);
        DeviceRow { device, member: MemberName::new(member).unwrap(), enrolled_unix_s: 8 }
    }

    fn take_in(store: &Store, members: &[MemberEntry], devices: &[DeviceRow]) -> Result<usize, StoreError> {
        store.take_in(|intake| {
            let mut added = 0;
            for member in members {
                added += usize::from(intake.add_member(member.clone())?);
            }
            for device in devices {
                added += usize::from(intake.add_device(device.clone())?);
            }
            Ok(added)
        })
    }

    fn all(snapshot: &MemberSnapshot) -> (Vec<MemberEntry>, Vec<DeviceRow>) {
        let (mut members, mut devices) = (Vec::new(), Vec::new());
        let mut add_member = |entry| {
            members.push(entry);
            Ok::<_, StoreError>(())
        };
        snapshot.for_each_member(&mut add_member).unwrap();
        let mut add_device = |row| {
            devices.push(row);
            Ok::<_, StoreError>(())
        };
        snapshot.for_each_device(&mut add_device).unwrap();
        (members, devices)
    }

    #[test]
    fn what_is_taken_in_is_given_out_and_what_is_there_stays() {
        let (_folder, store) = store();
        let (alice, bob) = (member("alice", false), member("bob", true));
        assert_eq!(take_in(&store, &[alice.clone(), bob.clone()], &[device(1, "alice")]).unwrap(), 3);
        let expected = (vec![alice, bob], vec![device(1, "alice")]);
        assert_eq!(all(&store.snapshot().unwrap()), expected);
        assert_eq!(take_in(&store, &[member("alice", true)], &[device(1, "bob")]).unwrap(), 0);
        assert_eq!(all(&store.snapshot().unwrap()), expected);
        store.directory().unwrap();
    }

    #[test]
    fn after_an_error_nothing_is_taken_in() {
        let (_folder, store) = store();
        let error = take_in(&store, &[member("alice", false)], &[device(1, "alice"), device(2, "eve")]);
        assert!(matches!(error, Err(StoreError::NoMember)));
        let most = u8::try_from(DEVICES_PER_MEMBER_MAX).unwrap();
        let devices: Vec<_> = (0..=most).map(|number| device(number, "alice")).collect();
        let error = take_in(&store, &[member("alice", false)], &devices);
        assert!(matches!(error, Err(StoreError::TooManyDevices)));
        assert_eq!(all(&store.snapshot().unwrap()), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_snapshot_stays_as_it_was() {
        let (_folder, store) = store();
        let alice = member("alice", true);
        take_in(&store, std::slice::from_ref(&alice), &[device(1, "alice")]).unwrap();
        let snapshot = store.snapshot().unwrap();
        store.remove_member(&alice.member).unwrap();
        assert!(snapshot.names().unwrap().has(&alice.member).unwrap());
        assert_eq!(all(&snapshot), (vec![alice], vec![device(1, "alice")]));
        assert_eq!(all(&store.snapshot().unwrap()), (Vec::new(), Vec::new()));
    }
}
