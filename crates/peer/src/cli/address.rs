//! From names to addresses, each time anew.

use std::io;
use std::net::{IpAddr, SocketAddr};

use futures_util::future::join_all;

use super::error::PeerError;
use crate::state::{PinnedServer, PinnedServers};

/// The server's address; of several the first IPv4 one, on which the original listens.
pub(super) async fn resolve(server: &str) -> Result<SocketAddr, PeerError> {
    let failed = |error| PeerError::Resolve { server: server.to_owned(), error };
    let addresses = addresses(server).await.map_err(failed)?;
    let ipv4 = addresses.iter().find(|address| address.is_ipv4());
    ipv4.or(addresses.first()).copied().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
}

/// The pinned server that this name or this address belongs to.
pub(super) async fn pinned_at<'a>(
    servers: &'a PinnedServers,
    name: &str,
    address: SocketAddr,
) -> Option<&'a PinnedServer> {
    if let Some(pinned) = name.parse().ok().and_then(|host| servers.find(&host)) {
        return Some(pinned);
    }
    let at = join_all(servers.as_slice().iter().map(|server| addresses(server.host.as_str()))).await;
    // A name that leads nowhere now can't be compared, and doesn't lead to this address either.
    let is_there = |found: io::Result<Vec<SocketAddr>>| {
        found.is_ok_and(|found| found.into_iter().any(|other| canonical(other) == canonical(address)))
    };
    servers.as_slice().iter().zip(at).find_map(|(server, found)| is_there(found).then_some(server))
}

async fn addresses(server: &str) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host(server).await?.collect())
}

/// The same for an IPv4 address however it is written.
fn canonical(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use bittrickle_wire::MemberName;
    use bittrickle_wire::seal::PublicKey;

    use super::*;

    #[tokio::test]
    async fn a_pinned_server_is_known_by_its_name_and_by_its_address() {
        let mut servers = PinnedServers::default();
        for host in ["no-such-host.invalid:7", "127.0.0.1:7"] {
            let (key, member) = (PublicKey::from_bytes([1; 32]), MemberName::new("alice").unwrap());
            servers.pin(PinnedServer { host: host.parse().unwrap(), key, member, joined_at: 0 }).unwrap();
        }
        let pinned = async |name: &str, address: &str| {
            let found = pinned_at(&servers, name, address.parse().unwrap()).await;
            found.map(|server| server.host.as_str().to_owned())
        };
        let by_name = pinned("No-Such-Host.invalid:7", "192.0.2.1:7").await;
        assert_eq!(by_name.as_deref(), Some("no-such-host.invalid:7"));
        assert_eq!(pinned("localhost:7", "127.0.0.1:7").await.as_deref(), Some("127.0.0.1:7"));
        assert_eq!(pinned("[::1]:7", "[::ffff:127.0.0.1]:7").await.as_deref(), Some("127.0.0.1:7"));
        assert_eq!(pinned("localhost:8", "127.0.0.1:8").await, None);
        assert_eq!(pinned("other.example:7", "192.0.2.1:7").await, None);
    }

    #[tokio::test]
    async fn of_several_addresses_the_ipv4_one_is_taken() {
        assert_eq!(resolve("127.0.0.1:7").await.unwrap().to_string(), "127.0.0.1:7");
        assert_eq!(resolve("[::1]:7").await.unwrap().to_string(), "[::1]:7");
        assert_eq!(resolve("no port").await.unwrap_err().exit_code(), 2);
    }
}
