//! What the original server answers (BT-4.2).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{LegacyError, python_json};
use crate::limits::LEGACY_DATAGRAM_BYTES_MAX;

/// The original's sentences. They are protocol constants, the misspelling of "heartbeat" included.
pub mod sentence {
    #![allow(missing_docs)]
    pub const WELCOME: &str = "Welcome to BitTrickle!";
    pub const WRONG_PASSWORD: &str = "Authentication failed. Please try again.";
    pub const ALREADY_LOGGED_IN: &str = "Authentication failed. You are already logged in.";
    pub const HEARTBEAT: &str = "Hearbeat received";
    pub const UNKNOWN_USER: &str = "Unknown user";
    pub const UNKNOWN_REQUEST: &str = "Unknown request";
    pub const PEERS_LISTED: &str = "Active users listed.";
    pub const NO_PEERS: &str = "No active peers";
    pub const FILES_LISTED: &str = "Files Listed.";
    pub const NO_FILES: &str = "No files published";
    pub const PUBLISHED: &str = "File published successfully";
    pub const NOT_PUBLISHED: &str = "File publish was unsuccessful";
    pub const UNPUBLISHED: &str = "File unpublished successfully";
    pub const NOTHING_TO_UNPUBLISH: &str = "No files published with that filename";
    pub const NOT_THE_PUBLISHER: &str =
        "File cannot be unpublished as you are not the publisher of the file.";
    pub const FOUND: &str = "Matching files found.";
    pub const NOTHING_FOUND: &str = "No matching files found.";
    pub const FILE_NOT_FOUND: &str = "File not found";
    pub const OWNER_NOT_ACTIVE: &str = "File owner is not active";
}

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// It worked, and there is nothing more to say.
    Success(String),
    /// It didn't, and why.
    Fail(String),
    /// The answer to `lap`.
    Users(Vec<String>),
    /// The answer to `lpf` and `sch`: the sentence and the names.
    Files(String, Vec<String>),
    /// The answer to `get`.
    Peer(PeerReply),
}

/// Where to fetch a file from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeerReply {
    /// The address from which the server saw the owner log in.
    pub address: IpAddr,
    /// Where the owner's file server listens there.
    pub port: u16,
}

/// The fields in the order in which the original prints them.
#[derive(Default, Deserialize, Serialize)]
struct Fields {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_port: Option<u16>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    #[default]
    Success,
    Fail,
}

impl Reply {
    /// The answer to `lap`, cut between names so that it stays readable for the original (BT-4.2-4).
    pub fn users<I: IntoIterator<Item = String>>(users: I) -> Self {
        let empty = Self::Users(Vec::new()).encode().len();
        Self::Users(cut(empty, users))
    }

    /// The answer to `lpf` or `sch`, cut between names so that it stays readable for the original (BT-4.2-4).
    pub fn files<I: IntoIterator<Item = String>>(sentence: &str, files: I) -> Self {
        let empty = Self::Files(sentence.to_owned(), Vec::new()).encode().len();
        Self::Files(sentence.to_owned(), cut(empty, files))
    }

    /// Reads a datagram.
    ///
    /// # Errors
    /// It isn't the JSON of an answer.
    pub fn decode(datagram: &[u8]) -> Result<Self, LegacyError> {
        if datagram.len() > LEGACY_DATAGRAM_BYTES_MAX {
            return Err(LegacyError::TooLong { bytes: datagram.len() });
        }
        let fields: Fields = serde_json::from_slice(datagram)?;
        Ok(match fields {
            Fields { status: Status::Fail, message, .. } => Self::Fail(message.unwrap_or_default()),
            Fields { peer_address: Some(address), peer_port: Some(port), .. } => {
                Self::Peer(PeerReply { address, port })
            }
            Fields { users: Some(users), .. } => Self::Users(users),
            Fields { files: Some(files), message, .. } => Self::Files(message.unwrap_or_default(), files),
            Fields { message: Some(message), .. } => Self::Success(message),
            _ => return Err(LegacyError::Shape),
        })
    }

    /// The datagram, as the original server would print it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Fields::default();
        match self.clone() {
            Self::Success(message) => fields.message = Some(message),
            Self::Fail(message) => {
                fields.status = Status::Fail;
                fields.message = Some(message);
            }
            Self::Users(users) => {
                fields.message = Some(sentence::PEERS_LISTED.to_owned());
                fields.users = Some(users);
            }
            Self::Files(message, files) => {
                fields.message = Some(message);
                fields.files = Some(files);
            }
            Self::Peer(PeerReply { address, port }) => {
                fields.peer_address = Some(address);
                fields.peer_port = Some(port);
            }
        }
        python_json::print(&fields)
    }
}

/// As many of the names as fit behind an answer of `empty` bytes without any.
fn cut<I: IntoIterator<Item = String>>(empty: usize, names: I) -> Vec<String> {
    // The last name has no comma behind it.
    let mut left = (LEGACY_DATAGRAM_BYTES_MAX + ", ".len()).saturating_sub(empty);
    let mut kept = Vec::new();
    for name in names {
        match left.checked_sub(python_json::item_bytes(&name)) {
            Some(rest) => left = rest,
            None => break,
        }
        kept.push(name);
    }
    kept
}
