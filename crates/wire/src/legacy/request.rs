//! What a legacy client asks: one JSON object a datagram (BT-4.1).

use serde::{Deserialize, Serialize};

use super::{LegacyError, python_json};

/// A request, as it stood in the datagram. Names are whatever the client sent: the index checks them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// Who says so: nothing else in the datagram tells who is speaking.
    pub username: String,
    /// What is asked.
    pub kind: RequestKind,
}

/// What a legacy client asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RequestKind {
    /// Asks to be let in; the file server listens at this TCP port.
    Login {
        /// In clear.
        password: String,
        /// Any number that fits a port.
        tcp_port: u16,
    },
    /// "Still here".
    Heartbeat,
    /// List active peers.
    Lap,
    /// List published files.
    Lpf,
    /// Publish a file. `None` is how the original asks when its user typed no name.
    Pub(Option<String>),
    /// Unpublish a file.
    Unp(Option<String>),
    /// Search by substring.
    Sch(Option<String>),
    /// Find a peer that has a file.
    Get(Option<String>),
    /// A type that the original doesn't have.
    Unknown,
}

/// The fields in the order in which the original prints them.
#[derive(Default, Deserialize, Serialize)]
struct Fields<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    substring: Option<String>,
}

impl Request {
    /// Reads a datagram.
    ///
    /// # Errors
    /// It isn't a JSON object with a type, a user name, and for a login a password and a port.
    pub fn decode(datagram: &[u8]) -> Result<Self, LegacyError> {
        let fields: Fields<'_> = serde_json::from_slice(datagram)?;
        let missing = |field| LegacyError::Json(serde::de::Error::missing_field(field));
        let kind = match fields.kind.as_ref() {
            "login" => RequestKind::Login {
                password: fields.password.ok_or_else(|| missing("password"))?,
                tcp_port: fields.tcp_port.ok_or_else(|| missing("tcp_port"))?,
            },
            "heartbeat" => RequestKind::Heartbeat,
            "lap" => RequestKind::Lap,
            "lpf" => RequestKind::Lpf,
            "pub" => RequestKind::Pub(fields.filename),
            "unp" => RequestKind::Unp(fields.filename),
            "sch" => RequestKind::Sch(fields.substring),
            "get" => RequestKind::Get(fields.filename),
            _ => RequestKind::Unknown,
        };
        Ok(Self { username: fields.username, kind })
    }

    /// The datagram, as the original client would print it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Fields { username: self.username.clone(), ..Fields::default() };
        fields.kind = match &self.kind {
            RequestKind::Login { password, tcp_port } => {
                fields.password = Some(password.clone());
                fields.tcp_port = Some(*tcp_port);
                "login".into()
            }
            RequestKind::Heartbeat => "heartbeat".into(),
            RequestKind::Lap => "lap".into(),
            RequestKind::Lpf => "lpf".into(),
            RequestKind::Pub(name) => with(&mut fields.filename, name, "pub"),
            RequestKind::Unp(name) => with(&mut fields.filename, name, "unp"),
            RequestKind::Sch(text) => with(&mut fields.substring, text, "sch"),
            RequestKind::Get(name) => with(&mut fields.filename, name, "get"),
            RequestKind::Unknown => "unknown".into(),
        };
        python_json::print(&fields)
    }
}

fn with(
    field: &mut Option<String>,
    value: &Option<String>,
    kind: &'static str,
) -> std::borrow::Cow<'static, str> {
    field.clone_from(value);
    kind.into()
}
