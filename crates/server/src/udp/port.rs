//! A socket to answer from, and which form of an address it wants.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use bytes::BytesMut;

use super::batch::Outbound;

/// Answers that go out together.
pub(super) struct Port {
    socket: UdpSocket,
    is_ipv6: bool,
    outbound: Outbound,
}

impl Port {
    /// Answers from this socket.
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        let is_ipv6 = socket.local_addr()?.is_ipv6();
        Ok(Self { socket, is_ipv6, outbound: Outbound::default() })
    }

    /// Where the next answer is appended.
    pub(super) fn bytes(&mut self) -> &mut BytesMut {
        self.outbound.bytes()
    }

    /// The answer that has just been written goes to this address. If none has been, nothing goes.
    pub(super) fn end(&mut self, to: SocketAddr) {
        self.outbound.end(Some(if self.is_ipv6 { in_ipv6(to) } else { to }));
    }

    /// Sends what has been written.
    pub(super) fn send(&mut self) {
        self.outbound.send(&self.socket);
    }
}

/// An IPv4 address is never in IPv6 clothes, whatever the socket says; a zone stays.
pub(super) fn canonical(from: SocketAddr) -> SocketAddr {
    match from.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, from.port()),
        IpAddr::V6(_) => from,
    }
}

/// An address as a socket for IPv6 wants it.
fn in_ipv6(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        SocketAddr::V6(_) => address,
    }
}
