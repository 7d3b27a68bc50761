//! What the store keeps of a member and of a device: JSON, so that a person can read it when all else fails.

use bittrickle_wire::MemberName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::accounts::PasswordHash;

/// A member, under the name.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberRecord {
    /// Which fields there are: always [`RECORD_VERSION`].
    version: u32,
    /// The password's hash.
    pub password: PasswordHash,
    /// Whether the member may do nothing at present.
    pub disabled: bool,
    /// When the member was added, in seconds since 1970.
    pub created_unix_s: u64,
}

/// A device, under its key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceRecord {
    version: u32,
    /// Whose it is.
    pub(super) member: MemberName,
    /// When it became this member's, in seconds since 1970.
    pub(super) enrolled_unix_s: u64,
}

/// The records' version. A reader refuses every other, rather than guess.
const RECORD_VERSION: u32 = 1;

/// A record that can't be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a record of the table `{table}` can't be read")]
pub struct BadRecord {
    /// The table that it is in.
    pub table: &'static str,
}

pub(super) trait Record: Serialize + DeserializeOwned {
    /// The table that holds such records.
    const TABLE: &'static str;

    /// Which fields there are.
    fn version(&self) -> u32;

    /// The bytes to keep.
    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record has nothing that JSON can't hold")
    }

    /// Reads what [`Record::encode`] wrote. Why it can't be read isn't told: the reason could quote the record.
    fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        let record =
            serde_json::from_slice(bytes).ok().filter(|record: &Self| record.version() == RECORD_VERSION);
        record.ok_or(BadRecord { table: Self::TABLE })
    }
}

impl MemberRecord {
    /// A new member, who is enabled.
    pub(super) fn new(password: PasswordHash, created_unix_s: u64) -> Self {
        Self { version: RECORD_VERSION, password, disabled: false, created_unix_s }
    }
}

impl DeviceRecord {
    pub(super) fn new(member: MemberName, enrolled_unix_s: u64) -> Self {
        Self { version: RECORD_VERSION, member, enrolled_unix_s }
    }
}

impl Record for MemberRecord {
    const TABLE: &'static str = "members";

    fn version(&self) -> u32 {
        self.version
    }
}

impl Record for DeviceRecord {
    const TABLE: &'static str = "devices";

    fn version(&self) -> u32 {
        self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_version_or_with_other_fields_is_refused() {
        let good = DeviceRecord::new(MemberName::new("alice").unwrap(), 7);
        let text = String::from_utf8(good.encode()).unwrap();
        assert_eq!(text, r#"{"version":1,"member":"alice","enrolled_unix_s":7}"#);
        assert_eq!(DeviceRecord::decode(text.as_bytes()), Ok(good));
        for bad in [
            text.replace(":1,", ":2,"),
            text.replace("alice", "a b"),
            text.replace('}', r#","more":1}"#),
            text[1..].to_owned(),
        ] {
            assert!(DeviceRecord::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
