//! Enrol: a member proves who they are, once, and the device that asks is theirs from then on (BT-2.11).

use serde::{Deserialize, Serialize};

use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::text::{MemberName, Password};

/// Makes the device that has made the handshake a device of this member.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// The member's account.
    pub member: MemberName,
    /// Its password. Sent to a server that has proved its key, under a seal, and never kept.
    pub password: Password,
}

/// The device is the member's. It can log in now.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Enrolled {}
