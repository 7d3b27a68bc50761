//! The floor: what receiving a datagram and sending one costs a program that does nothing else.
//!
//! It reads and sends as the server does (many datagrams with one call, then it waits for more) and answers with as many
//! bytes as the request's header declares, so that one echo stands beside every kind of request.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::ExitCode;

use bittrickle_server::udp::batch::{Inbound, Outbound};
use bittrickle_wire::Header;
use bittrickle_wire::limits::{DATAGRAM_BYTES_MAX, HEADER_BYTES};
use rustix::event::{PollFd, PollFlags, poll};

/// Answers until the process is ended.
pub(crate) fn run() -> ExitCode {
    match serve() {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("the echo can't go on: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<std::convert::Infallible> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on {}", socket.local_addr()?)?;
    stdout.flush()?;
    let (mut inbound, mut outbound) = (Inbound::default(), Outbound::default());
    loop {
        answer_all(&socket, &mut inbound, &mut outbound)?;
        poll(&mut [PollFd::new(&socket, PollFlags::IN)], None)?;
    }
}

fn answer_all(socket: &UdpSocket, inbound: &mut Inbound, outbound: &mut Outbound) -> io::Result<()> {
    loop {
        match inbound.receive(socket) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // An earlier answer could not be delivered: the sender has gone.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error),
        }
        for (from, datagram) in inbound.datagrams() {
            let (bytes, out) = (answer_bytes(datagram), outbound.bytes());
            out.extend_from_slice(&datagram[..datagram.len().min(bytes)]);
            // What the answer has more than the question doesn't matter.
            out.resize(out.len() + bytes.saturating_sub(datagram.len()), 0);
            outbound.end(Some(from));
        }
        // What doesn't fit the socket's buffer is asked for again, as with the server.
        outbound.send(socket);
    }
}

fn answer_bytes(datagram: &[u8]) -> usize {
    let header = datagram.first_chunk::<HEADER_BYTES>().and_then(Header::parse);
    let payload_bytes = header.map_or(0, |header| header.payload_bytes as usize);
    payload_bytes.saturating_add(HEADER_BYTES).min(DATAGRAM_BYTES_MAX)
}
