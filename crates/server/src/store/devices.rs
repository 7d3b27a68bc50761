//! Devices in the store.

use std::ops::Bound;

use bittrickle_wire::MemberName;
use bittrickle_wire::seal::PublicKey;
use redb::{ReadableTable, WriteTransaction};

use super::records::Record as _;
use super::{
    Change, DEVICES, DEVICES_PER_MEMBER_MAX, DeviceRecord, DeviceRow, MEMBER_DEVICES, MEMBERS, Store,
    StoreError, failed,
};

/// The least and the greatest key.
const KEY_MIN: [u8; 32] = [0; 32];
const KEY_MAX: [u8; 32] = [0xff; 32];

impl Store {
    /// Makes a device this member's. If it is already, nothing changes; if it was another's, it is theirs no more.
    ///
    /// # Errors
    /// There is no such member, the member has as many devices as allowed, or the disk fails.
    pub fn add_device(
        &self,
        device: PublicKey,
        member: &MemberName,
        now_unix_s: u64,
    ) -> Result<Vec<Change>, StoreError> {
        let owner =
            self.read(|transaction| record(&transaction.open_table(DEVICES).map_err(failed)?, &device))?;
        if owner.is_some_and(|record| record.member == *member) {
            return Ok(Vec::new());
        }
        self.write(|transaction| {
            if transaction
                .open_table(MEMBERS)
                .map_err(failed)?
                .get(member.as_str())
                .map_err(failed)?
                .is_none()
            {
                return Err(StoreError::NoMember);
            }
            let own = devices_of(&transaction.open_table(MEMBER_DEVICES).map_err(failed)?, member)?;
            if own.len() >= DEVICES_PER_MEMBER_MAX {
                return Err(StoreError::TooManyDevices);
            }
            let revoked = remove_device(transaction, &device)?.map(|_| Change::DeviceRevoked(device));
            insert_device(transaction, device, member, now_unix_s)?;
            let added = Change::DeviceAdded { device, member: member.clone() };
            Ok(revoked.into_iter().chain([added]).collect())
        })
    }

    /// Makes a device nobody's. Returns whose it was, and the change.
    ///
    /// # Errors
    /// There is no such device, or the disk fails.
    pub fn revoke_device(&self, device: &PublicKey) -> Result<(MemberName, Vec<Change>), StoreError> {
        let member = self.write(|transaction| remove_device(transaction, device))?;
        Ok((member.ok_or(StoreError::NoDevice)?, vec![Change::DeviceRevoked(*device)]))
    }

    /// At most `count` devices, of one member or of all, in the order of their keys, behind `after`.
    ///
    /// # Errors
    /// There is no such member, a record can't be read, or the disk fails.
    pub fn devices(
        &self,
        member: Option<&MemberName>,
        after: Option<&PublicKey>,
        count: usize,
    ) -> Result<Vec<DeviceRow>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(DEVICES).map_err(failed)?;
            let mut keys = Vec::new();
            if let Some(member) = member {
                let members = transaction.open_table(MEMBERS).map_err(failed)?;
                members.get(member.as_str()).map_err(failed)?.ok_or(StoreError::NoMember)?;
                let own = devices_of(&transaction.open_table(MEMBER_DEVICES).map_err(failed)?, member)?;
                keys.extend(own.into_iter().filter(|key| after.is_none_or(|after| key > after)).take(count));
            } else {
                let start = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.as_bytes()));
                let range = table.range::<&[u8; 32]>((start, Bound::Unbounded)).map_err(failed)?;
                for entry in range.take(count) {
                    keys.push(PublicKey::from_bytes(*entry.map_err(failed)?.0.value()));
                }
            }
            keys.into_iter().map(|device| row(&table, device)).collect()
        })
    }

    /// The devices whose fingerprint fits, at most `count`.
    ///
    /// # Errors
    /// The disk fails.
    pub fn devices_that(
        &self,
        fits: impl Fn(&PublicKey) -> bool,
        count: usize,
    ) -> Result<Vec<PublicKey>, StoreError> {
        self.read(|transaction| {
            let mut found = Vec::new();
            for entry in transaction.open_table(DEVICES).map_err(failed)?.iter().map_err(failed)? {
                let device = PublicKey::from_bytes(*entry.map_err(failed)?.0.value());
                if fits(&device) {
                    found.push(device);
                }
                if found.len() == count {
                    break;
                }
            }
            Ok(found)
        })
    }
}

fn row(
    table: &impl ReadableTable<&'static [u8; 32], &'static [u8]>,
    device: PublicKey,
) -> Result<DeviceRow, StoreError> {
    let DeviceRecord { member, enrolled_unix_s, .. } = record(table, &device)?.ok_or(StoreError::NoDevice)?;
    Ok(DeviceRow { device, member, enrolled_unix_s })
}

fn record(
    table: &impl ReadableTable<&'static [u8; 32], &'static [u8]>,
    device: &PublicKey,
) -> Result<Option<DeviceRecord>, StoreError> {
    let bytes = table.get(device.as_bytes()).map_err(failed)?;
    Ok(bytes.map(|bytes| DeviceRecord::decode(bytes.value())).transpose()?)
}

/// The keys of a member's devices, in their order.
pub(super) fn devices_of(
    table: &impl ReadableTable<(&'static str, &'static [u8; 32]), ()>,
    member: &MemberName,
) -> Result<Vec<PublicKey>, StoreError> {
    let (first, last) = ((member.as_str(), &KEY_MIN), (member.as_str(), &KEY_MAX));
    let range = table.range::<(&str, &[u8; 32])>(first..=last).map_err(failed)?;
    range.map(|entry| Ok(PublicKey::from_bytes(*entry.map_err(failed)?.0.value().1))).collect()
}

fn insert_device(
    transaction: &WriteTransaction,
    device: PublicKey,
    member: &MemberName,
    now_unix_s: u64,
) -> Result<(), StoreError> {
    let record = DeviceRecord::new(member.clone(), now_unix_s).encode();
    let mut devices = transaction.open_table(DEVICES).map_err(failed)?;
    devices.insert(device.as_bytes(), record.as_slice()).map_err(failed)?;
    let mut by_member = transaction.open_table(MEMBER_DEVICES).map_err(failed)?;
    by_member.insert((member.as_str(), device.as_bytes()), ()).map_err(failed)?;
    Ok(())
}

/// Removes a device from both tables. Returns whose it was.
pub(super) fn remove_device(
    transaction: &WriteTransaction,
    device: &PublicKey,
) -> Result<Option<MemberName>, StoreError> {
    let mut devices = transaction.open_table(DEVICES).map_err(failed)?;
    let Some(DeviceRecord { member, .. }) = record(&devices, device)? else { return Ok(None) };
    devices.remove(device.as_bytes()).map_err(failed)?;
    let mut by_member = transaction.open_table(MEMBER_DEVICES).map_err(failed)?;
    by_member.remove((member.as_str(), device.as_bytes())).map_err(failed)?;
    Ok(Some(member))
}
