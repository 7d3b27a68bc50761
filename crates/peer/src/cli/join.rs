//! `bittrickle join`: makes this device one of a member's devices at a server, and pins the server's key.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use bittrickle_secret::PasswordSource;
use bittrickle_wire::Encoding;
use bittrickle_wire::seal::{Fingerprint, Host, PublicKey, SecretKey};

use super::address::resolve;
use super::arguments::{Arguments, JoinArguments, JoinServer};
use super::device_key;
use super::error::PeerError;
use super::terminal::{confirm_key, member_password};
use crate::net::{enrol, server_key};
use crate::shell::Output;
use crate::state::{PinnedServer, PinnedServers, StateDir};

/// How often a password is asked for on a terminal.
const PASSWORDS_MAX: usize = 3;

/// Joins a server. It is pinned once it has proved its key and enrolled the device, and not before.
pub(super) async fn run(arguments: &Arguments, join: &JoinArguments) -> Result<u8, PeerError> {
    let state = StateDir::open(arguments.state_dir.as_deref())?;
    let lock = state.lock()?;
    let mut servers = state.servers()?;
    let host = join.server.host();
    let known = known_key(&join.server, &servers, join.accept_key)?;
    let address = resolve(host.as_str()).await?;
    let key = match known {
        Some(key) => key,
        None => ask_for_key(host, address, join.accept_key).await?,
    };
    // Tells now that there is no room for another server, and not when the device is enrolled there.
    let joined_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    servers.pin(PinnedServer { host: host.clone(), key, member: join.user.clone(), joined_at })?;
    let device = device_key(&state)?;
    enrol_device(join, address, key, &device, arguments.encoding()).await?;
    state.store_servers(&lock, &servers)?;
    let output = Output::open();
    // If nobody reads it, it is true all the same.
    let _ = output.say(&format!("Joined {host} as {}.", join.user.as_str()));
    let state_dir = arguments.state_dir.as_deref();
    let option = state_dir.map_or_else(String::new, |path| format!("--state-dir {} ", path.display()));
    output.complain(&format!("Now: bittrickle {option}--dir FOLDER shell"));
    output.complain("No password is needed any more on this device.");
    Ok(0)
}

/// The key that this server must have, where it is known without asking the server.
fn known_key(
    server: &JoinServer,
    servers: &PinnedServers,
    accepted: Option<Fingerprint>,
) -> Result<Option<PublicKey>, PeerError> {
    let host = server.host();
    let pinned = servers.find(host).map(|server| server.key);
    let key = match (server, pinned) {
        (JoinServer::Invite(invite), Some(pinned)) if invite.key != pinned => {
            let (pinned, presented) = (pinned.fingerprint(), invite.key.fingerprint());
            return Err(PeerError::KeyChanged { host: host.clone(), pinned, presented });
        }
        (JoinServer::Invite(invite), _) => Some(invite.key),
        (JoinServer::Host(_), pinned) => pinned,
    };
    match (key, accepted) {
        (Some(key), Some(accepted)) => accept(host, key, accepted).map(Some),
        (key, _) => Ok(key),
    }
}

/// Asks the server for its key, and the user whether it is the right one.
async fn ask_for_key(
    host: &Host,
    server: SocketAddr,
    accepted: Option<Fingerprint>,
) -> Result<PublicKey, PeerError> {
    let asked = server_key(server).await;
    let key = asked.map_err(|error| PeerError::ServerKey { host: host.clone(), error })?;
    match accepted {
        Some(accepted) => accept(host, key, accepted),
        None => confirm_key(host, server, key.fingerprint()).await.map(|()| key),
    }
}

fn accept(host: &Host, key: PublicKey, accepted: Fingerprint) -> Result<PublicKey, PeerError> {
    let presented = key.fingerprint();
    if presented == accepted {
        Ok(key)
    } else {
        Err(PeerError::OtherKey { host: host.clone(), accepted, presented })
    }
}

async fn enrol_device(
    join: &JoinArguments,
    address: SocketAddr,
    key: PublicKey,
    device: &SecretKey,
    encoding: Encoding,
) -> Result<(), PeerError> {
    let source = join.password_source();
    // What comes from a pipe or a file doesn't get better by reading it again.
    let mut tries = if source == PasswordSource::Terminal { PASSWORDS_MAX } else { 1 };
    let host = join.server.host();
    loop {
        tries -= 1;
        let tried = async {
            let prompt = format!("Password of {} at {host}: ", join.user.as_str());
            let password = member_password(source.clone(), prompt).await?;
            let enrolling = enrol(address, key, device, join.user.clone(), password, encoding);
            enrolling.await.map_err(|error| PeerError::enrol(host, error))
        };
        match tried.await {
            Err(error) if error.is_wrong_password() && tries > 0 => {
                Output::open().complain(&format!("{error}; try again"));
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use bittrickle_wire::MemberName;
    use bittrickle_wire::seal::Invite;

    use super::*;

    fn key(byte: u8) -> PublicKey {
        PublicKey::from_bytes([byte; 32])
    }

    fn invite(byte: u8) -> JoinServer {
        JoinServer::Invite(Invite { host: "h.example:1".parse().unwrap(), key: key(byte) })
    }

    fn pinned(byte: u8) -> PinnedServers {
        let (host, member) = ("h.example:1".parse().unwrap(), MemberName::new("alice").unwrap());
        let mut servers = PinnedServers::default();
        servers.pin(PinnedServer { host, key: key(byte), member, joined_at: 0 }).unwrap();
        servers
    }

    #[test]
    fn the_key_is_known_from_the_invite_or_from_the_first_time() {
        let (bare, nothing) = ("h.example:1".parse().unwrap(), PinnedServers::default());
        assert_eq!(known_key(&invite(1), &nothing, None).unwrap(), Some(key(1)));
        assert_eq!(known_key(&invite(1), &pinned(1), None).unwrap(), Some(key(1)));
        assert_eq!(known_key(&bare, &pinned(1), None).unwrap(), Some(key(1)));
        assert_eq!(known_key(&bare, &nothing, None).unwrap(), None);
        assert_eq!(known_key(&bare, &nothing, Some(key(1).fingerprint())).unwrap(), None);
    }

    #[test]
    fn an_invite_with_another_key_than_the_pinned_one_is_refused() {
        let error = known_key(&invite(2), &pinned(1), Some(key(2).fingerprint())).unwrap_err();
        assert!(matches!(error, PeerError::KeyChanged { .. }), "{error}");
        assert_eq!(error.exit_code(), 4);
    }

    #[test]
    fn a_key_with_another_fingerprint_than_the_accepted_one_is_refused() {
        let bare = "h.example:1".parse().unwrap();
        for (server, servers) in [(invite(1), PinnedServers::default()), (bare, pinned(1))] {
            let error = known_key(&server, &servers, Some(key(2).fingerprint())).unwrap_err();
            let advice = error.advice().join("\n");
            for byte in [1, 2] {
                assert!(advice.contains(&key(byte).fingerprint().to_string()), "{advice}");
            }
            assert_eq!(error.exit_code(), 4);
        }
    }
}
