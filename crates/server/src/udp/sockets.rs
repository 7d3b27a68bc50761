//! The sockets of one port: one for each thread that reads datagrams.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;

use rustix::net::sockopt;

use super::losses::Losses;

/// Sockets of one port among which the system shares out what comes, by where it comes from.
#[derive(Debug)]
pub struct Sockets {
    all: Vec<UdpSocket>,
    address: SocketAddr,
    receive_bytes: usize,
}

/// What each should be able to hold of what hasn't been read: that of 100,000 peers for some tenths of a second.
pub const RECEIVE_BYTES: usize = 8 << 20;

impl Sockets {
    /// Binds so many, on Linux; elsewhere one.
    ///
    /// # Errors
    /// The address can't be had: another server may be running there.
    pub fn bind(address: SocketAddr, count: NonZeroUsize) -> io::Result<Self> {
        // The first one has the port for itself when it is bound: whoever else has it, another server of the same user
        // included, is noticed. Only then is the port opened to the others.
        let first = UdpSocket::bind(address)?;
        let address = first.local_addr()?;
        let mut all = vec![first];
        bind_others(&mut all, address, count)?;
        let mut receive_bytes = usize::MAX;
        for socket in &all {
            socket.set_nonblocking(true)?;
            receive_bytes = receive_bytes.min(enlarge_receive_buffer(socket)?);
        }
        Ok(Self { all, address, receive_bytes })
    }

    /// Where they are.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// What each can hold of what hasn't been read: [`RECEIVE_BYTES`], or less where the system allows no more.
    #[must_use]
    pub fn receive_bytes(&self) -> usize {
        self.receive_bytes
    }

    pub(super) fn losses(&self) -> Losses {
        Losses::of(&self.all)
    }

    pub(super) fn into_all(self) -> Vec<UdpSocket> {
        self.all
    }

    /// One more handle of the first one, to answer from.
    pub(super) fn try_clone_first(&self) -> io::Result<UdpSocket> {
        self.all[0].try_clone()
    }
}

#[cfg(target_os = "linux")]
fn bind_others(all: &mut Vec<UdpSocket>, address: SocketAddr, count: NonZeroUsize) -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

    if count.get() > 1 {
        sockopt::set_socket_reuseport(&all[0], true)?;
    }
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    while all.len() < count.get() {
        let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseport(&socket, true)?;
        bind(&socket, &address)?;
        all.push(UdpSocket::from(socket));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn bind_others(_: &mut Vec<UdpSocket>, _: SocketAddr, _: NonZeroUsize) -> io::Result<()> {
    Ok(())
}

/// Gives a socket as much room as it should have, or as the system allows (on Linux `net.core.rmem_max`, but for root).
fn enlarge_receive_buffer(socket: &UdpSocket) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    let is_forced = sockopt::set_socket_recv_buffer_size_force(socket, RECEIVE_BYTES).is_ok();
    #[cfg(not(target_os = "linux"))]
    let is_forced = false;
    if !is_forced {
        // Some systems refuse what Linux cuts down.
        let _ = sockopt::set_socket_recv_buffer_size(socket, RECEIVE_BYTES);
    }
    let bytes = sockopt::socket_recv_buffer_size(socket)?;
    // Linux counts what it needs for itself, and says twice what was asked for.
    Ok(if cfg!(target_os = "linux") { bytes / 2 } else { bytes })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn a_port_that_a_server_has_can_not_be_had_by_another_one() {
        for count in [1, 3] {
            let count = NonZeroUsize::new(count).unwrap();
            let sockets = Sockets::bind(ANY, count).unwrap();
            let error = Sockets::bind(sockets.address(), count).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_comes_from_many_addresses_is_shared_out_and_each_address_stays_where_it_is() {
        let sockets = Sockets::bind(ANY, NonZeroUsize::new(2).unwrap()).unwrap();
        let clients: Vec<_> = (0..32).map(|_| UdpSocket::bind(ANY).unwrap()).collect();
        for client in clients.iter().chain(&clients) {
            client.send_to(&[1], sockets.address()).unwrap();
        }
        let received = |socket: &UdpSocket| {
            let mut from: Vec<_> =
                std::iter::from_fn(|| socket.recv_from(&mut [0; 8]).ok()).map(|(_, from)| from).collect();
            from.sort_unstable();
            from
        };
        let [first, second] = [received(&sockets.all[0]), received(&sockets.all[1])];
        assert!(!first.is_empty() && !second.is_empty(), "2^-31 that all go one way");
        assert_eq!(first.len() + second.len(), 64);
        assert!(first.chunks(2).chain(second.chunks(2)).all(|pair| pair[0] == pair[1]));
    }
}
