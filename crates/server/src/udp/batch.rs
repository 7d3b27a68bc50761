//! Many datagrams with one call of the system, on Linux; elsewhere, one call each.
//!
//! A call of the system costs about as much as all that the index does for a heartbeat. The sockets don't wait: what isn't
//! there isn't received, and what has no room isn't sent.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsFd;

use bittrickle_wire::limits::DATAGRAM_BYTES_MAX;
use bytes::BytesMut;

/// Datagrams that are received, or sent, with one call.
pub const BATCH: usize = 64;

/// Most bytes that are read of a datagram: one more than any format allows, so that a longer one is seen to be.
const READ_BYTES: usize = DATAGRAM_BYTES_MAX + 1;

/// Datagrams that have come in together.
#[derive(Debug)]
pub struct Inbound {
    /// Room for [`BATCH`] of them.
    buffer: Box<[u8]>,
    /// From whom each is, and how many bytes.
    received: Vec<(SocketAddr, usize)>,
    calls: system::Receiving,
}

/// Datagrams that go out together.
#[derive(Debug)]
pub struct Outbound {
    /// One behind the other.
    bytes: BytesMut,
    /// To whom each goes, and where it ends.
    datagrams: Vec<(Option<SocketAddr>, usize)>,
    calls: system::Sending,
}

impl Default for Inbound {
    fn default() -> Self {
        let buffer = vec![0; BATCH * READ_BYTES].into();
        Self { buffer, received: Vec::with_capacity(BATCH), calls: system::Receiving::new() }
    }
}

impl Inbound {
    /// Receives what is there, in place of what was received before: one datagram at least, [`BATCH`] at most.
    ///
    /// # Errors
    /// There is none, or the socket can't be read.
    pub fn receive(&mut self, socket: &impl AsFd) -> io::Result<()> {
        self.received.clear();
        let room = self.buffer.chunks_exact_mut(READ_BYTES).map(IoSliceMut::new);
        self.calls.receive(socket.as_fd(), room, &mut self.received)
    }

    /// What was received, and from whom.
    pub fn datagrams(&self) -> impl ExactSizeIterator<Item = (SocketAddr, &[u8])> {
        let bytes = self.buffer.chunks_exact(READ_BYTES);
        self.received.iter().zip(bytes).map(|((from, length), bytes)| (*from, &bytes[..*length]))
    }
}

impl Default for Outbound {
    fn default() -> Self {
        let bytes = BytesMut::with_capacity(BATCH * DATAGRAM_BYTES_MAX);
        Self { bytes, datagrams: Vec::with_capacity(BATCH), calls: system::Sending::new() }
    }
}

impl Outbound {
    /// Where the next datagram is to be appended, if there is one; [`Outbound::end`] says to whom it goes.
    pub fn bytes(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// What has been appended since the last call goes to this address; without one, to where the socket is connected to. If
    /// nothing has been appended, nothing goes.
    pub fn end(&mut self, to: Option<SocketAddr>) {
        let start = self.datagrams.last().map_or(0, |(_, end)| *end);
        if self.bytes.len() > start {
            self.datagrams.push((to, self.bytes.len()));
        }
    }

    /// Sends all, and forgets them. What can't be sent is as good as lost on its way: because of a full send buffer, or because
    /// the other side has gone.
    pub fn send(&mut self, socket: &impl AsFd) {
        let mut start = 0;
        let datagrams = self.datagrams.iter().map(|(to, end)| {
            let datagram = (*to, IoSlice::new(&self.bytes[start..*end]));
            start = *end;
            datagram
        });
        let datagrams: Vec<_> = datagrams.collect();
        let mut rest = &datagrams[..];
        while let Some((to, _)) = rest.first() {
            match self.calls.send(socket.as_fd(), &rest[..rest.len().min(BATCH)]) {
                Ok(sent) => rest = &rest[sent..],
                Err(error) => {
                    tracing::debug!(?to, %error, "a datagram was not sent");
                    rest = &rest[1..];
                }
            }
        }
        self.bytes.clear();
        self.datagrams.clear();
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
    use std::os::fd::{AsRawFd as _, BorrowedFd};

    use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

    use super::BATCH;

    /// What `recvmmsg` needs.
    #[derive(Debug)]
    pub(super) struct Receiving(MultiHeaders<SockaddrStorage>);

    /// What `sendmmsg` needs.
    #[derive(Debug)]
    pub(super) struct Sending(MultiHeaders<SockaddrStorage>);

    impl Receiving {
        pub(super) fn new() -> Self {
            Self(MultiHeaders::preallocate(BATCH, None))
        }

        pub(super) fn receive<'a>(
            &'a mut self,
            socket: BorrowedFd<'_>,
            room: impl Iterator<Item = IoSliceMut<'a>>,
            received: &mut Vec<(SocketAddr, usize)>,
        ) -> io::Result<()> {
            let mut room: Vec<_> = room.map(|slice| [slice]).collect();
            let messages =
                recvmmsg(socket.as_raw_fd(), &mut self.0, &mut room, MsgFlags::MSG_DONTWAIT, None)?;
            for message in messages {
                let from = message.address.as_ref().and_then(address);
                // Every datagram has a place in the buffer, also one that nobody could be answered to.
                received.push((from.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into()), message.bytes));
            }
            Ok(())
        }
    }

    impl Sending {
        pub(super) fn new() -> Self {
            Self(MultiHeaders::preallocate(BATCH, None))
        }

        pub(super) fn send(
            &mut self,
            socket: BorrowedFd<'_>,
            datagrams: &[(Option<SocketAddr>, IoSlice<'_>)],
        ) -> io::Result<usize> {
            let to: Vec<_> = datagrams.iter().map(|(to, _)| to.map(SockaddrStorage::from)).collect();
            let bytes: Vec<_> = datagrams.iter().map(|(_, bytes)| [*bytes]).collect();
            let none: [ControlMessage<'_>; 0] = [];
            let sent = sendmmsg(socket.as_raw_fd(), &mut self.0, &bytes, to, none, MsgFlags::MSG_DONTWAIT)?;
            Ok(sent.count())
        }
    }

    fn address(address: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = address.as_sockaddr_in().map(|v4| SocketAddrV4::from(*v4).into());
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into()))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::{Ipv4Addr, SocketAddr};
    use std::os::fd::BorrowedFd;

    use rustix::net::{RecvFlags, SendFlags, recvfrom, send, sendto};

    /// Needs nothing.
    #[derive(Debug)]
    pub(super) struct Receiving;

    /// Needs nothing.
    #[derive(Debug)]
    pub(super) struct Sending;

    impl Receiving {
        pub(super) fn new() -> Self {
            Self
        }

        /// Receives one.
        pub(super) fn receive<'a>(
            &mut self,
            socket: BorrowedFd<'_>,
            mut room: impl Iterator<Item = IoSliceMut<'a>>,
            received: &mut Vec<(SocketAddr, usize)>,
        ) -> io::Result<()> {
            let mut slice = room.next().expect("there is room for some");
            let (_, length, from) = recvfrom(socket, &mut *slice, RecvFlags::DONTWAIT)?;
            let from = from.and_then(|from| SocketAddr::try_from(from).ok());
            received.push((from.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into()), length));
            Ok(())
        }
    }

    impl Sending {
        pub(super) fn new() -> Self {
            Self
        }

        /// Sends the first.
        pub(super) fn send(
            &mut self,
            socket: BorrowedFd<'_>,
            datagrams: &[(Option<SocketAddr>, IoSlice<'_>)],
        ) -> io::Result<usize> {
            let (to, bytes) = &datagrams[0];
            match to {
                Some(to) => sendto(socket, bytes, SendFlags::DONTWAIT, to)?,
                None => send(socket, bytes, SendFlags::DONTWAIT)?,
            };
            Ok(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn socket(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    fn is_nothing_there(inbound: &mut Inbound, socket: &UdpSocket) -> bool {
        inbound.receive(socket).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    #[test]
    fn each_answer_goes_to_whom_it_is_for_and_none_where_there_is_none() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (ours, clients) = (socket(address), [socket(address), socket(address)]);
            let (mut inbound, mut outbound) = (Inbound::default(), Outbound::default());
            assert!(is_nothing_there(&mut inbound, &ours));
            for client in &clients {
                client.connect(ours.local_addr().unwrap()).unwrap();
                for number in 0..BATCH as u8 {
                    outbound.bytes().extend_from_slice(&[number; 100][..1 + usize::from(number)]);
                    outbound.end(None);
                }
                outbound.send(client);
            }
            let mut answered = 0;
            while inbound.receive(&ours).is_ok() {
                for (from, bytes) in inbound.datagrams() {
                    // Every second one gets no answer.
                    if bytes[0] % 2 == 0 {
                        outbound.bytes().extend_from_slice(bytes);
                    }
                    outbound.end(Some(from));
                    answered += 1;
                }
                outbound.send(&ours);
            }
            assert_eq!(answered, 2 * BATCH);
            for client in &clients {
                inbound.receive(client).unwrap();
                let heard: Vec<_> = inbound.datagrams().map(|(_, bytes)| bytes.to_vec()).collect();
                let expected =
                    (0..BATCH as u8).step_by(2).map(|number| vec![number; 1 + usize::from(number)]);
                assert!(heard.into_iter().eq(expected), "in order, and whole");
                assert!(is_nothing_there(&mut inbound, client));
            }
        }
    }

    #[test]
    fn a_datagram_that_is_longer_than_any_may_be_is_seen_to_be() {
        let (ours, client) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        client.send_to(&[7; 2_000], ours.local_addr().unwrap()).unwrap();
        client.send_to(&[8; 20], ours.local_addr().unwrap()).unwrap();
        let mut inbound = Inbound::default();
        inbound.receive(&ours).unwrap();
        let lengths: Vec<_> = inbound.datagrams().map(|(_, bytes)| bytes.len()).collect();
        assert_eq!(lengths, [READ_BYTES, 20]);
    }
}
