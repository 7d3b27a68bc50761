//! `bittrickle servers`, `bittrickle forget` and `bittrickle key`: what this device keeps.

use std::io;
use std::path::Path;

use bittrickle_wire::seal::{Fingerprint, Host};
use bittrickle_wire::{MemberName, escaped};
use serde::Serialize;

use super::device_key;
use super::error::PeerError;
use crate::shell::Output;
use crate::state::{PinnedServer, PinnedServers, StateDir};

/// `bittrickle servers --json`.
#[derive(Serialize)]
struct Document<'a> {
    servers: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    host: &'a str,
    member: &'a MemberName,
    fingerprint: String,
    key: String,
    joined_at: u64,
    /// Whether a shell goes to it unless it is told otherwise.
    default: bool,
}

/// Lists the servers that were joined.
pub(super) fn list(state_dir: Option<&Path>, json: bool) -> Result<u8, PeerError> {
    let servers = match StateDir::open_existing(state_dir)? {
        Some(state) => state.servers()?,
        None => PinnedServers::default(),
    };
    let output = Output::open();
    if json {
        return said(output.say(&to_json(&servers)));
    }
    if servers.as_slice().is_empty() {
        output.complain(&PeerError::NothingJoined.to_string());
    }
    said(to_lines(&servers).iter().try_for_each(|line| output.say(line)))
}

/// Removes a server, and tells what was known of it.
pub(super) fn forget(state_dir: Option<&Path>, host: &Host) -> Result<u8, PeerError> {
    let unknown = || PeerError::NothingToForget(host.clone());
    let state = StateDir::open_existing(state_dir)?.ok_or_else(unknown)?;
    let lock = state.lock()?;
    let mut servers = state.servers()?;
    let PinnedServer { host, key, member, .. } = servers.forget(host).ok_or_else(unknown)?;
    state.store_servers(&lock, &servers)?;
    let member = escaped(member.as_str());
    said(
        Output::open()
            .say(&format!("Forgot {host}, joined as {member}, with the key {}.", key.fingerprint())),
    )
}

/// Shows this device's fingerprint. A device that has no key yet gets one.
pub(super) fn key(state_dir: Option<&Path>) -> Result<u8, PeerError> {
    let device = device_key(&StateDir::open(state_dir)?)?;
    said(Output::open().say(&device.public().fingerprint().to_string()))
}

fn to_json(servers: &PinnedServers) -> String {
    let last = servers.joined_last();
    let entries = servers.as_slice().iter().map(|server| Entry {
        host: server.host.as_str(),
        member: &server.member,
        fingerprint: server.key.fingerprint().to_string(),
        key: server.key.to_string(),
        joined_at: server.joined_at,
        default: last == Some(server),
    });
    let document = Document { servers: entries.collect() };
    serde_json::to_string(&document).expect("texts and numbers are always JSON")
}

/// One line a server, in columns, the one that a shell goes to at the end.
fn to_lines(servers: &PinnedServers) -> Vec<String> {
    let rows: Vec<(&str, String, Fingerprint)> = servers
        .as_slice()
        .iter()
        .map(|server| {
            let member = escaped(server.member.as_str()).to_string();
            (server.host.as_str(), member, server.key.fingerprint())
        })
        .collect();
    let width =
        |column: fn(&(&str, String, Fingerprint)) -> usize| rows.iter().map(column).max().unwrap_or(0);
    let (hosts, members) = (width(|row| row.0.len()), width(|row| row.1.chars().count()));
    rows.iter().map(|(host, member, key)| format!("{host:<hosts$}  {member:<members$}  {key}")).collect()
}

/// Nobody who stops reading makes what was done undone.
fn said(result: io::Result<()>) -> Result<u8, PeerError> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use bittrickle_wire::seal::PublicKey;

    use super::*;

    fn two_servers() -> PinnedServers {
        let mut servers = PinnedServers::default();
        for (host, member) in [("index.example.org:16980", "alice"), ("h:1", "robert")] {
            let (key, member) = (PublicKey::from_bytes([1; 32]), MemberName::new(member).unwrap());
            let server = PinnedServer { host: host.parse().unwrap(), key, member, joined_at: 7 };
            servers.pin(server).unwrap();
        }
        servers
    }

    #[test]
    fn servers_are_listed_in_columns() {
        let key = PublicKey::from_bytes([1; 32]).fingerprint();
        let expected = [
            format!("index.example.org:16980  alice   {key}"),
            format!("h:1                      robert  {key}"),
        ];
        assert_eq!(to_lines(&two_servers()), expected);
    }

    #[test]
    fn the_document_has_every_server_and_says_which_one_a_shell_goes_to() {
        let document: serde_json::Value = serde_json::from_str(&to_json(&two_servers())).unwrap();
        let key = PublicKey::from_bytes([1; 32]);
        assert_eq!(
            document["servers"][1],
            serde_json::json!({
                "host": "h:1", "member": "robert", "fingerprint": key.fingerprint().to_string(),
                "key": key.to_string(), "joined_at": 7, "default": true,
            })
        );
        assert_eq!(document["servers"][0]["default"], false);
        assert_eq!(to_json(&PinnedServers::default()), "{\"servers\":[]}");
    }

    #[test]
    fn a_server_is_forgotten_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let state = StateDir::open(Some(&path)).unwrap();
        state.store_servers(&state.lock().unwrap(), &two_servers()).unwrap();
        let host = "h:1".parse().unwrap();
        assert_eq!(forget(Some(&path), &host).unwrap(), 0);
        assert_eq!(state.servers().unwrap().as_slice().len(), 1);
        assert_eq!(forget(Some(&path), &host).unwrap_err().exit_code(), 3);
        assert_eq!(forget(Some(&folder.path().join("none")), &host).unwrap_err().exit_code(), 3);
    }
}
