//! A peer that asks one thing at a time: logs in, publishes, and tries each request before it is measured.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use bittrickle_wire::limits::DATAGRAM_BYTES_MAX;
use bittrickle_wire::messages::{Login, Reply, Request};
use bittrickle_wire::{
    DatagramCodec, Encoding, Frame, FramingError, MemberName, Message, Password, Received, TransferPort,
};
use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::process::PASSWORD;
use crate::interrupt;

/// A session of one member, over a socket of its own.
#[derive(Debug)]
pub(super) struct Client {
    socket: UdpSocket,
    member: MemberName,
    transfer_port: TransferPort,
    next_request_id: u32,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    /// The answer.
    pub(super) reply: Reply,
    /// Bytes of its datagram.
    pub(super) bytes: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The socket fails; most often nobody listens any more.
    #[error("the server has ended, or a socket fails: {0}; a message of its own may stand above")]
    Socket(#[from] io::Error),
    /// The server says no.
    #[error("the server refuses what a benchmark asks ({0}); are server and benchmark of one version?")]
    Refused(String),
    /// Nothing came back.
    #[error("the server has not answered any of {TRIES} tries; is the machine stopped or far too busy?")]
    Silent,
    /// Something else came back.
    #[error("the server sent something that is no frame: {0}")]
    Framing(#[from] FramingError),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

/// How often a request is sent before the server is given up.
const TRIES: u32 = 10;

/// How long each try waits.
const TRY: Duration = Duration::from_millis(500);

/// The first peer's transfer port. Nobody listens there, and nobody connects.
const TRANSFER_PORT: u16 = 40_000;

/// Measurements number their requests from here up, and clients below: neither takes the other's late answer.
pub(super) const MEASURED_REQUEST_IDS: u32 = 1 << 31;

impl Client {
    /// Logs a member in, as the peer of this number: each has a transfer port of its own, for the index takes two
    /// sessions of one member at one port for one peer (BT-2.3-2).
    ///
    /// # Errors
    /// The server doesn't answer or refuses.
    pub(super) fn log_in(server: SocketAddr, member: &str, number: usize) -> Result<Self, ClientError> {
        let socket = connect(server)?;
        socket.set_read_timeout(Some(TRY))?;
        let member = MemberName::new(member).expect("made-up members have acceptable names");
        let port = u16::try_from(number).ok().and_then(|number| TRANSFER_PORT.checked_add(number));
        let transfer_port = TransferPort::new(port.expect("a few hundred peers")).expect("a high port");
        let mut client = Self { socket, member, transfer_port, next_request_id: 0 };
        client.log_in_again()?;
        Ok(client)
    }

    /// Logs in once more: a session that is still there is kept, and one that is over is replaced.
    ///
    /// # Errors
    /// The server doesn't answer or refuses.
    pub(super) fn log_in_again(&mut self) -> Result<(), ClientError> {
        let login = Login {
            member: self.member.clone(),
            password: Password::new(PASSWORD).expect("a short word"),
            transfer_port: self.transfer_port,
        };
        self.ask(Request::Login(login)).map(drop)
    }

    /// Asks one request and waits for its answer.
    ///
    /// # Errors
    /// The server doesn't answer or refuses.
    pub(super) fn ask(&mut self, request: Request) -> Result<Answer, ClientError> {
        let request_id = self.next_request_id;
        self.next_request_id = (request_id + 1) % MEASURED_REQUEST_IDS;
        let datagram = encoded(request_id, request);
        // A measurement has left the socket without blocking.
        self.socket.set_nonblocking(false)?;
        for _ in 0..TRIES {
            if interrupt::requested() {
                return Err(ClientError::Interrupted);
            }
            self.socket.send(&datagram)?;
            match self.wait_for(request_id)? {
                Some(Answer { reply: Reply::Refused(refused), .. }) => {
                    return Err(ClientError::Refused(refused.sentence.as_str().to_owned()));
                }
                Some(answer) => return Ok(answer),
                None => {}
            }
        }
        Err(ClientError::Silent)
    }

    /// The answer to this request, or `None` when it doesn't come in time. Others are passed over.
    fn wait_for(&self, wanted: u32) -> Result<Option<Answer>, ClientError> {
        loop {
            let mut datagram = BytesMut::zeroed(DATAGRAM_BYTES_MAX + 1);
            let bytes = match self.socket.recv(&mut datagram) {
                Ok(bytes) => bytes,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            };
            datagram.truncate(bytes);
            if let Some(Received::Frame(Frame { request_id, message: Message::Reply(reply), .. })) =
                DatagramCodec.decode(&mut datagram)?
                && request_id == wanted
            {
                return Ok(Some(Answer { reply, bytes }));
            }
        }
    }

    /// Its socket, for a load that speaks in this session.
    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }
}

/// A socket that speaks with this address only.
pub(super) fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(address)?;
    Ok(socket)
}

/// A request's datagram, in the encoding that peers use.
pub(super) fn encoded(request_id: u32, request: Request) -> BytesMut {
    let mut datagram = BytesMut::new();
    let frame = Frame { request_id, encoding: Encoding::Bincode, message: Message::Request(request) };
    DatagramCodec.encode(frame, &mut datagram).expect("a benchmark's requests fit one datagram");
    datagram
}
