//! What administrators ask of a server, and its answers: one line of JSON each way. Pure.
//!
//! Passwords aren't among it: they are hashed where they are typed.
#![deny(clippy::disallowed_methods)]

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use bittrickle_wire::MemberName;
use bittrickle_wire::seal::PublicKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::accounts::PasswordHash;
use crate::directory::MEMBERS_MAX;
use crate::store::{DeviceRow, MemberRow};

/// Most bytes of a line, its line feed included.
pub const LINE_BYTES_MAX: usize = 64 * 1_024;

/// Most names, members or devices in one command or answer. Each has less than 500 bytes.
pub const BATCH_MAX: usize = 128;
const _: () = assert!(BATCH_MAX * 500 + 100 <= LINE_BYTES_MAX);

/// What an administrator asks for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Add a member.
    AddMember(NewMember),
    /// Give a member another password.
    SetPassword(NewMember),
    /// Let a member do nothing until enabled again.
    DisableMember(MemberName),
    /// Let a disabled member do everything again.
    EnableMember(MemberName),
    /// Remove a member, with all devices.
    RemoveMember(MemberName),
    /// Which of these names has no member? At most [`BATCH_MAX`].
    MissingMembers(Vec<MemberName>),
    /// Add those of these that aren't members yet. At most [`BATCH_MAX`].
    ImportMembers(Vec<NewMember>),
    /// The members behind this one, [`BATCH_MAX`] at a time.
    ListMembers {
        /// The last one that is known already.
        after: Option<MemberName>,
    },
    /// The devices behind this one, [`BATCH_MAX`] at a time.
    ListDevices {
        /// Whose; of all members if it isn't given.
        member: Option<MemberName>,
        /// The last one that is known already.
        after: Option<PublicKey>,
    },
    /// Make the one device whose fingerprint begins so nobody's.
    RevokeDevice(FingerprintStart),
    /// Where does the server listen?
    ListeningAddress,
    /// Give all that the server knows, as the lines of an export behind the answer.
    Export,
}

/// A name and a password's hash.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// The name.
    pub member: MemberName,
    /// The hash of the password.
    pub password: PasswordHash,
}

/// The answer to a [`Command`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// It is done.
    Done,
    /// These names have no member.
    Missing(Vec<MemberName>),
    /// So many members have been added.
    Imported {
        /// How many.
        added: usize,
    },
    /// Some members, in the order of their names.
    Members(Vec<MemberRow>),
    /// Some devices, in the order of their keys.
    Devices(Vec<DeviceRow>),
    /// A device is nobody's any more.
    Revoked {
        /// The device.
        device: PublicKey,
        /// Whose it was.
        member: MemberName,
    },
    /// Where the server listens.
    Listening(SocketAddr),
    /// The lines of an export come behind this one.
    Exporting,
    /// It isn't done.
    Refused(Refusal),
}

/// Why a command isn't carried out.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Refusal {
    /// The line is no command.
    #[error(
        "the running server doesn't know this command; use the bittrickle-server that it was started from"
    )]
    NotUnderstood,
    /// There is no such member.
    #[error("there is no such member; `bittrickle-server user list` shows them all")]
    NoMember,
    /// There is one already.
    #[error("there is a member of this name already; `bittrickle-server user passwd` changes the password")]
    MemberExists,
    /// There is no room for another member.
    #[error("there are {MEMBERS_MAX} members already; remove some first")]
    TooManyMembers,
    /// No device's fingerprint begins so.
    #[error("no device's fingerprint begins so; `bittrickle-server device list` shows them all")]
    NoDevice,
    /// The fingerprints of several devices begin so.
    #[error("the fingerprints of several devices begin so; give more of its digits")]
    SeveralDevices,
    /// Only a running server listens somewhere.
    #[error("no server is running with this data folder")]
    NotRunning,
    /// The server is about to stop.
    #[error("the server is stopping; try again when it has")]
    Stopping,
    /// It is done on disk, but what is in memory may not know yet.
    #[error(
        "it is done on disk, but the running server hasn't taken it in within five seconds; restart the server"
    )]
    NotApplied,
    /// Exporting takes long, and is done once at a time.
    #[error("another backup or export is under way; try again when it is done")]
    Busy,
    /// What has been published isn't known yet.
    #[error("the server is still reading what has been published; try again in a while")]
    Loading,
    /// The store of publications can't be read at present: it is closed, or opened again and again.
    #[error(
        "the server is stopping, or its disk refuses what is published: its log says which; try again then"
    )]
    NotKeeping,
    /// The store failed.
    #[error("{0}")]
    Store(String),
}

/// How a fingerprint begins: 8 to 32 hexadecimal digits. Dashes are passed over, capitals taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FingerprintStart(String);

/// Not the beginning of a fingerprint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "give a device's fingerprint, like 0f1e-2d3c-4b5a-6978-8796-a5b4-c3d2-e1f0, or at least its first eight digits"
)]
pub struct FingerprintStartError;

impl FingerprintStart {
    /// Whether this device's fingerprint begins so.
    #[must_use]
    pub fn fits(&self, device: &PublicKey) -> bool {
        device.fingerprint().to_string().replace('-', "").starts_with(&self.0)
    }
}

impl FromStr for FingerprintStart {
    type Err = FingerprintStartError;

    fn from_str(text: &str) -> Result<Self, FingerprintStartError> {
        let digits: String = text.trim().chars().filter(|character| *character != '-').collect();
        let good = (8..=32).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if good { Ok(Self(digits.to_ascii_lowercase())) } else { Err(FingerprintStartError) }
    }
}

impl fmt::Display for FingerprintStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for FingerprintStart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FingerprintStart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use bittrickle_wire::Password;

    use super::*;

    #[test]
    fn the_beginning_of_a_fingerprint_is_at_least_eight_digits() {
        let device = PublicKey::from_bytes([7; 32]);
        let fingerprint = device.fingerprint().to_string();
        for start in [fingerprint.as_str(), &fingerprint[..9], &fingerprint.to_uppercase().replace('-', "")] {
            assert!(start.parse::<FingerprintStart>().unwrap().fits(&device), "{start}");
        }
        assert!(!"00000000".parse::<FingerprintStart>().unwrap().fits(&device));
        for start in ["", "0000-000", "0000000g", "é0000000", &format!("{fingerprint}0")] {
            assert_eq!(start.parse::<FingerprintStart>(), Err(FingerprintStartError), "{start}");
        }
    }

    #[test]
    fn the_longest_batches_fit_one_line() {
        let member = MemberName::new(&"\\".repeat(64)).unwrap();
        let password = PasswordHash::of(&Password::new("a").unwrap()).unwrap();
        let row = MemberRow {
            member: member.clone(),
            disabled: false,
            devices: u64::MAX,
            created_unix_s: u64::MAX,
        };
        let device = PublicKey::from_bytes([7; 32]);
        let device = DeviceRow { device, member: member.clone(), enrolled_unix_s: u64::MAX };
        let import = Command::ImportMembers(vec![NewMember { member, password }; BATCH_MAX]);
        for line in [
            serde_json::to_vec(&import).unwrap(),
            serde_json::to_vec(&Answer::Members(vec![row; BATCH_MAX])).unwrap(),
            serde_json::to_vec(&Answer::Devices(vec![device; BATCH_MAX])).unwrap(),
        ] {
            assert!(line.len() < LINE_BYTES_MAX, "{}", line.len());
        }
    }
}
