//! The floor: what receiving a datagram and sending one costs a program that does nothing else.
//!
//! It reads as the server does (a burst of single datagrams, then it waits for more) and answers with as many bytes as
//! the request's header declares, so that one echo stands beside every kind of request.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::ExitCode;

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
    loop {
        answer_burst(&socket)?;
        poll(&mut [PollFd::new(&socket, PollFlags::IN)], None)?;
    }
}

fn answer_burst(socket: &UdpSocket) -> io::Result<()> {
    let mut datagram = [0; DATAGRAM_BYTES_MAX + 1];
    loop {
        let from = match socket.recv_from(&mut datagram) {
            Ok((_, from)) => from,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // An earlier answer could not be delivered: the sender has gone.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error),
        };
        // What doesn't fit the socket's buffer is asked for again, as with the server.
        let _ = socket.send_to(&datagram[..answer_bytes(&datagram)], from);
    }
}

fn answer_bytes(datagram: &[u8]) -> usize {
    let header = datagram.first_chunk::<HEADER_BYTES>().and_then(Header::parse);
    let payload_bytes = header.map_or(0, |header| header.payload_bytes as usize);
    payload_bytes.saturating_add(HEADER_BYTES).min(DATAGRAM_BYTES_MAX)
}
