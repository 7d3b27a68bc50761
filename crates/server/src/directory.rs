//! The directory: who is a member, and which device is whose.
//!
//! Pure, and in memory: what the store keeps on disk, in the form that the index asks for. It changes by [`Change`]s that
//! are durable already.
#![deny(clippy::disallowed_methods, clippy::wildcard_enum_match_arm)]

use std::collections::HashMap;
use std::sync::Arc;

use bittrickle_wire::MemberName;
use bittrickle_wire::seal::PublicKey;

/// Most devices of one member.
pub const DEVICES_PER_MEMBER_MAX: usize = 16;

/// Most members of one server.
pub const MEMBERS_MAX: usize = 1_000_000;

/// Who is a member, and which device is whose.
#[derive(Debug, Default)]
pub struct Directory {
    members: HashMap<Arc<MemberName>, Member>,
    devices: HashMap<PublicKey, Arc<MemberName>>,
}

/// What is known of a member besides the name.
#[derive(Debug, Default)]
struct Member {
    disabled: bool,
    devices: Vec<PublicKey>,
}

/// Something that has become true, and is durable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// There is a new member, enabled and without devices.
    MemberAdded(MemberName),
    /// A member may not do anything any more, until enabled again.
    MemberDisabled(MemberName),
    /// A disabled member is one like any other again.
    MemberEnabled(MemberName),
    /// A member has gone, with all devices. For these there is no change of their own.
    MemberRemoved(MemberName),
    /// A device is this member's now. If it was another's, a [`Change::DeviceRevoked`] came first.
    DeviceAdded {
        /// The device.
        device: PublicKey,
        /// Whose it is.
        member: MemberName,
    },
    /// A device is nobody's any more.
    DeviceRevoked(PublicKey),
}

impl Directory {
    /// Takes in a change. One that is known already, or that is about somebody unknown, changes nothing.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::MemberAdded(name) => {
                self.members.entry(Arc::new(name.clone())).or_default();
            }
            Change::MemberDisabled(name) => self.set_disabled(name, true),
            Change::MemberEnabled(name) => self.set_disabled(name, false),
            Change::MemberRemoved(name) => {
                for device in self.members.remove(name).unwrap_or_default().devices {
                    self.devices.remove(&device);
                }
            }
            Change::DeviceAdded { device, member } => self.add_device(*device, member),
            Change::DeviceRevoked(device) => self.revoke(device),
        }
    }

    /// Whose device this is: `None` if nobody knows it, or if the member is disabled.
    #[must_use]
    pub fn member_of(&self, device: &PublicKey) -> Option<Arc<MemberName>> {
        let name = self.devices.get(device)?;
        let enabled = self.members.get(name).is_some_and(|member| !member.disabled);
        enabled.then(|| Arc::clone(name))
    }

    /// The member of this name: `None` if there is none, or if the member is disabled.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Arc<MemberName>> {
        let name = MemberName::new(name).ok()?;
        let (name, member) = self.members.get_key_value(&name)?;
        (!member.disabled).then(|| Arc::clone(name))
    }

    /// Whether there is a member of this name, disabled or not.
    #[must_use]
    pub fn has_member(&self, name: &MemberName) -> bool {
        self.members.contains_key(name)
    }

    /// The devices of a member, disabled or not, at most [`DEVICES_PER_MEMBER_MAX`].
    pub fn devices_of(&self, member: &MemberName) -> impl Iterator<Item = PublicKey> + use<'_> {
        self.members.get(member).into_iter().flat_map(|member| member.devices.iter().copied())
    }

    /// How many members there are, the disabled included.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// How many devices there are, those of disabled members included.
    #[must_use]
    pub fn device_count(&self) -> usize {
        self.devices.len()
    }

    fn set_disabled(&mut self, name: &MemberName, disabled: bool) {
        if let Some(member) = self.members.get_mut(name) {
            member.disabled = disabled;
        }
    }

    fn add_device(&mut self, device: PublicKey, member: &MemberName) {
        let Some((name, _)) = self.members.get_key_value(member) else { return };
        let name = Arc::clone(name);
        self.revoke(&device);
        let member = self.members.get_mut(&name).expect("it has just been found");
        // There are few devices a member and many members: no room is reserved for more.
        member.devices.reserve_exact(1);
        member.devices.push(device);
        self.devices.insert(device, name);
    }

    fn revoke(&mut self, device: &PublicKey) {
        let Some(name) = self.devices.remove(device) else { return };
        if let Some(member) = self.members.get_mut(&name) {
            member.devices.retain(|own| own != device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MemberName {
        MemberName::new(text).unwrap()
    }

    fn device(byte: u8) -> PublicKey {
        PublicKey::from_bytes([byte; 32])
    }

    fn with(changes: &[Change]) -> Directory {
        let mut directory = Directory::default();
        changes.iter().for_each(|change| directory.apply(change));
        directory
    }

    fn two_members() -> Vec<Change> {
        vec![
            Change::MemberAdded(name("alice")),
            Change::MemberAdded(name("bob")),
            Change::DeviceAdded { device: device(1), member: name("alice") },
            Change::DeviceAdded { device: device(2), member: name("alice") },
            Change::DeviceAdded { device: device(3), member: name("bob") },
        ]
    }

    #[test]
    fn a_device_is_its_members_until_it_is_revoked() {
        let mut directory = with(&two_members());
        assert_eq!(directory.member_of(&device(2)).as_deref(), Some(&name("alice")));
        assert_eq!((directory.member_count(), directory.device_count()), (2, 3));
        directory.apply(&Change::DeviceRevoked(device(2)));
        assert_eq!(directory.member_of(&device(2)), None);
        assert_eq!(directory.devices_of(&name("alice")).collect::<Vec<_>>(), [device(1)]);
    }

    #[test]
    fn a_disabled_member_and_the_devices_are_unknown_until_enabled_again() {
        let mut directory = with(&two_members());
        directory.apply(&Change::MemberDisabled(name("alice")));
        assert_eq!((directory.member("alice"), directory.member_of(&device(1))), (None, None));
        assert!(directory.member("bob").is_some());
        assert_eq!(directory.devices_of(&name("alice")).count(), 2);
        directory.apply(&Change::MemberEnabled(name("alice")));
        assert!(directory.member("alice").is_some() && directory.member_of(&device(1)).is_some());
    }

    #[test]
    fn a_removed_member_takes_the_devices_along_and_comes_back_without_them() {
        let mut directory = with(&two_members());
        directory.apply(&Change::MemberRemoved(name("alice")));
        directory.apply(&Change::MemberAdded(name("alice")));
        assert_eq!((directory.member_of(&device(1)), directory.device_count()), (None, 1));
        assert_eq!(directory.devices_of(&name("alice")).count(), 0);
    }

    #[test]
    fn a_change_can_be_repeated_and_one_about_a_stranger_changes_nothing() {
        let mut directory = with(&[two_members(), two_members()].concat());
        directory.apply(&Change::DeviceAdded { device: device(9), member: name("eve") });
        directory.apply(&Change::DeviceRevoked(device(8)));
        directory.apply(&Change::MemberRemoved(name("eve")));
        assert_eq!((directory.member_count(), directory.device_count()), (2, 3));
        assert_eq!(directory.devices_of(&name("alice")).count(), 2);
    }

    #[test]
    fn a_device_that_moves_is_one_members_only() {
        let mut directory = with(&two_members());
        directory.apply(&Change::DeviceAdded { device: device(1), member: name("bob") });
        assert_eq!(directory.member_of(&device(1)).as_deref(), Some(&name("bob")));
        assert_eq!(directory.devices_of(&name("alice")).collect::<Vec<_>>(), [device(2)]);
        assert_eq!(directory.device_count(), 3);
    }
}
