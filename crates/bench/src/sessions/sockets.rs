//! The sockets of a great many devices: fewer than there are devices, each with an address of its own.
//!
//! Neighbours share a socket, so that what is due together is sent with one call of the system; the next neighbours have
//! the next socket, so that the answers of a moment lie in many buffers, and none is lost while this process isn't running.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use bittrickle_server::udp::batch::{BATCH, Inbound, Outbound};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::people;

/// All sockets, and what is about to be sent.
pub(super) struct Sockets {
    sockets: Vec<UdpSocket>,
    epoll: OwnedFd,
    ready: Vec<epoll::Event>,
    inbound: Inbound,
    /// Room for datagrams, and whose socket they are for.
    pub(super) outbound: Outbound,
    outbound_for: usize,
}

/// Most sockets: their files are allowed everywhere.
const SOCKETS_MAX: usize = 512;

/// Sockets that are looked at together.
const EVENTS: usize = 64;

/// Devices next to each other that have one socket.
const NEIGHBOURS: usize = BATCH;

impl Sockets {
    /// Sockets for so many devices, which speak with this server.
    ///
    /// # Errors
    /// There are not so many.
    pub(super) fn connect(devices: usize, server: SocketAddr) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut sockets = Vec::new();
        for number in 0..devices.div_ceil(NEIGHBOURS).min(SOCKETS_MAX) {
            let socket = UdpSocket::bind((people::address_of(number), 0))?;
            socket.connect(server)?;
            socket.set_nonblocking(true)?;
            epoll::add(&epoll, &socket, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
            sockets.push(socket);
        }
        Ok(Self {
            sockets,
            epoll,
            ready: Vec::with_capacity(EVENTS),
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            outbound_for: 0,
        })
    }

    /// What is appended to `outbound` from here on is this device's. Sends what waits for another socket.
    pub(super) fn address(&mut self, device: usize) {
        let socket = device / NEIGHBOURS % self.sockets.len();
        if socket != self.outbound_for {
            self.flush();
            self.outbound_for = socket;
        }
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) {
        self.outbound.send(&self.sockets[self.outbound_for]);
    }

    /// Which sockets have something now; some of them, when there are many.
    ///
    /// # Errors
    /// The system doesn't tell.
    pub(super) fn ready(&mut self) -> io::Result<Vec<usize>> {
        self.ready.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut self.ready), Some(&Timespec::default()))?;
        let number = |event: &epoll::Event| usize::try_from(event.data.u64()).expect("a socket's number");
        Ok(self.ready.iter().map(number).collect())
    }

    /// Takes what has come on this socket, one call's worth: how many datagrams.
    ///
    /// # Errors
    /// Nobody listens at the server any more, or the socket fails.
    pub(super) fn receive(&mut self, socket: usize) -> io::Result<usize> {
        match self.inbound.receive(&self.sockets[socket]) {
            Ok(()) => Ok(self.inbound.datagrams().len()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// One of those that have come.
    pub(super) fn datagram(&self, number: usize) -> &[u8] {
        self.inbound.datagrams().nth(number).map_or(&[], |(_, bytes)| bytes)
    }
}
