//! Made-up members and their devices. The same number always gives the same one: whoever fills a server's store and
//! whoever plays the device need not tell each other.

use std::net::Ipv4Addr;
use std::ops::Range;

use bittrickle_server::directory::{Change, Directory};
use bittrickle_wire::seal::{KEY_BYTES, SecretKey};
use bittrickle_wire::{MemberName, TransferPort};

/// Devices of each member: numbers that follow each other, beginning at a multiple of this.
pub(crate) const DEVICES_PER_MEMBER: usize = 10;

/// The member whose device has this number.
pub(crate) fn member_of(device: usize) -> MemberName {
    let member = device / DEVICES_PER_MEMBER;
    MemberName::new(&format!("student{member:05}")).expect("letters and digits are a name")
}

/// The key of the device with this number. Everybody knows it: it guards nothing.
pub(crate) fn key_of(device: usize) -> SecretKey {
    let mut key = [0x42; KEY_BYTES];
    key[..8].copy_from_slice(&(device as u64).to_be_bytes());
    SecretKey::from_bytes(key)
}

/// Where this device's file server would be: its own port, for the index takes two sessions of one member at one port
/// for one peer (BT-2.3-2). Nobody listens there, and nobody connects.
pub(crate) fn transfer_port_of(device: usize) -> TransferPort {
    let port = u16::try_from(40_000 + device % 20_000).expect("it is below 60,000");
    TransferPort::new(port).expect("a high port")
}

/// An address of this device's own on this machine, so that nobody shares the limits of an address with it.
pub(crate) fn address_of(device: usize) -> Ipv4Addr {
    let host = u32::try_from(device).expect("far fewer devices") % 0x00fe_0000;
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 0).to_bits() + host)
}

/// Makes these devices and their members known, without a store. The first is its member's first.
pub(crate) fn make_known(directory: &mut Directory, devices: Range<usize>) {
    for device in devices {
        let member = member_of(device);
        if device % DEVICES_PER_MEMBER == 0 {
            directory.apply(&Change::MemberAdded(member.clone()));
        }
        directory.apply(&Change::DeviceAdded { device: key_of(device).public(), member });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_device_has_a_key_and_an_address_of_its_own() {
        let all = 0..1_000;
        assert_eq!(all.clone().map(|n| key_of(n).public()).collect::<BTreeSet<_>>().len(), all.len());
        assert_eq!(all.clone().map(address_of).collect::<BTreeSet<_>>().len(), all.len());
        assert!(all.clone().all(|n| address_of(n).is_loopback()));
        assert_eq!(all.clone().map(member_of).collect::<BTreeSet<_>>().len(), all.len() / DEVICES_PER_MEMBER);
    }
}
