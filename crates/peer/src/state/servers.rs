//! The servers that this device has joined, each pinned to the key that it proved then.

use bittrickle_wire::MemberName;
use bittrickle_wire::limits::MEMBER_NAME_BYTES_MAX;
use bittrickle_wire::seal::{Host, PublicKey};
use serde::{Deserialize, Serialize};

use super::error::PinError;

/// A server that was joined.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedServer {
    /// Where it is, as it was given when it was joined; a name is looked up anew each time.
    #[serde(with = "host_text")]
    pub host: Host,
    /// The only key that is accepted from it.
    pub key: PublicKey,
    /// Whose device this is there.
    pub member: MemberName,
    /// When it was joined, in seconds since 1970.
    pub joined_at: u64,
}

/// All of them, in the order in which they were joined: the last one is the one that a shell goes to.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ServersFile", into = "ServersFile")]
pub struct PinnedServers(Vec<PinnedServer>);

/// Most servers that one device joins.
pub const SERVERS_MAX: usize = 256;

/// Most bytes of the file that they are kept in.
pub(super) const FILE_BYTES_MAX: usize = 256 * 1024;

/// Most bytes of one server in it: a host, a key, a name of which every character is escaped, a number, and what
/// stands around them.
const SERVER_BYTES_MAX: usize = 260 + 64 + 2 * MEMBER_NAME_BYTES_MAX + 20 + 200;
const _: () = assert!(SERVERS_MAX * SERVER_BYTES_MAX < FILE_BYTES_MAX);

/// The file, as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServersFile {
    servers: Vec<PinnedServer>,
}

/// Why a list is none that was written here.
#[derive(Debug, thiserror::Error)]
enum ServersFileError {
    #[error("it has {0} servers, {SERVERS_MAX} are the most")]
    TooMany(usize),
    #[error("it has the server {0} twice")]
    Twice(Host),
}

impl PinnedServers {
    /// The server at this host. Names are compared as the domain name system does, without regard to capitals.
    #[must_use]
    pub fn find(&self, host: &Host) -> Option<&PinnedServer> {
        self.0.iter().find(|server| is_same(&server.host, host))
    }

    /// The server that was joined last.
    #[must_use]
    pub fn joined_last(&self) -> Option<&PinnedServer> {
        self.0.last()
    }

    /// All of them, the one that was joined last at the end.
    #[must_use]
    pub fn as_slice(&self) -> &[PinnedServer] {
        &self.0
    }

    /// Pins a server, as the one that was joined last. One that is joined again may have another member.
    ///
    /// # Errors
    /// It is pinned with another key, or there are too many.
    pub fn pin(&mut self, server: PinnedServer) -> Result<(), PinError> {
        match self.find(&server.host) {
            Some(known) if known.key != server.key => {
                let (pinned, presented) = (known.key.fingerprint(), server.key.fingerprint());
                return Err(PinError::OtherKey { pinned, presented });
            }
            None if self.0.len() >= SERVERS_MAX => return Err(PinError::TooMany),
            Some(_) | None => {}
        }
        self.forget(&server.host);
        self.0.push(server);
        Ok(())
    }

    /// Removes a server, and gives what was known of it.
    pub fn forget(&mut self, host: &Host) -> Option<PinnedServer> {
        let index = self.0.iter().position(|server| is_same(&server.host, host))?;
        Some(self.0.remove(index))
    }

    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("texts and numbers are always JSON");
        bytes.push(b'\n');
        bytes
    }
}

impl TryFrom<ServersFile> for PinnedServers {
    type Error = ServersFileError;

    fn try_from(file: ServersFile) -> Result<Self, ServersFileError> {
        if file.servers.len() > SERVERS_MAX {
            return Err(ServersFileError::TooMany(file.servers.len()));
        }
        let mut servers = Self::default();
        for server in file.servers {
            if servers.find(&server.host).is_some() {
                return Err(ServersFileError::Twice(server.host));
            }
            servers.0.push(server);
        }
        Ok(servers)
    }
}

impl From<PinnedServers> for ServersFile {
    fn from(servers: PinnedServers) -> Self {
        Self { servers: servers.0 }
    }
}

fn is_same(one: &Host, other: &Host) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

/// A host in JSON: its text.
mod host_text {
    use bittrickle_wire::seal::Host;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(host: &Host, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(host.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Host, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bittrickle_wire::seal::KEY_BYTES;

    use super::*;

    /// A server with a key of this byte.
    pub(crate) fn pinned(host: &str, key: u8, member: &str) -> PinnedServer {
        PinnedServer {
            host: host.parse().unwrap(),
            key: PublicKey::from_bytes([key; KEY_BYTES]),
            member: MemberName::new(member).unwrap(),
            joined_at: 1_750_000_000,
        }
    }

    #[test]
    fn a_server_that_is_joined_again_is_the_last_one_and_may_have_another_member() {
        let mut servers = PinnedServers::default();
        for server in [pinned("a:1", 1, "alice"), pinned("b:1", 2, "alice"), pinned("A:1", 1, "bob")] {
            servers.pin(server).unwrap();
        }
        assert_eq!(servers.as_slice(), [pinned("b:1", 2, "alice"), pinned("A:1", 1, "bob")]);
        assert_eq!(servers.joined_last(), Some(&pinned("A:1", 1, "bob")));
    }

    #[test]
    fn another_key_is_let_in_only_after_the_first_was_forgotten() {
        let (mut servers, before) = (PinnedServers::default(), pinned("a:1", 1, "alice"));
        servers.pin(before.clone()).unwrap();
        let other = pinned("A:1", 2, "alice");
        let error =
            PinError::OtherKey { pinned: before.key.fingerprint(), presented: other.key.fingerprint() };
        assert_eq!(servers.pin(other.clone()), Err(error));
        assert_eq!(servers.joined_last(), Some(&before));
        assert_eq!(servers.forget(&other.host), Some(before));
        assert_eq!(servers.pin(other), Ok(()));
    }

    #[test]
    fn there_are_never_more_servers_than_the_file_has_room_for() {
        let mut servers = PinnedServers::default();
        let name = "\"".repeat(MEMBER_NAME_BYTES_MAX);
        let server = |number: usize| pinned(&format!("{}{number:03}:65535", "h".repeat(250)), 1, &name);
        for number in 0..SERVERS_MAX {
            servers.pin(server(number)).unwrap();
        }
        assert_eq!(servers.pin(server(SERVERS_MAX)), Err(PinError::TooMany));
        assert_eq!(servers.pin(server(0)), Ok(()), "it is there already");
        let json = servers.to_json();
        assert!(json.len() <= FILE_BYTES_MAX, "{}", json.len());
        assert_eq!(PinnedServers::from_json(&json).unwrap(), servers);
    }

    #[test]
    fn a_list_that_has_a_server_twice_is_damaged() {
        let servers = PinnedServers(vec![pinned("a:1", 1, "alice"), pinned("A:1", 2, "alice")]);
        let error = PinnedServers::from_json(&servers.to_json()).unwrap_err();
        assert!(error.to_string().contains("twice"), "{error}");
    }
}
