//! A peer that asks one thing at a time: makes a handshake, logs in, publishes, and tries each request before it is
//! measured.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bittrickle_wire::limits::DATAGRAM_BYTES_MAX;
use bittrickle_wire::messages::{Login, RefusalCode, Reply, Request};
use bittrickle_wire::seal::{Cipher, Datagram, Entropy, KeysUsedUp, OpenError, PublicKey};
use bittrickle_wire::{Encoding, Frame, Message, Received};
use bytes::BytesMut;

use crate::handshake::{self, Handshake, Sealed};
use crate::server::Server;
use crate::{interrupt, people};

/// A device's session, over a socket of its own.
#[derive(Debug)]
pub(crate) struct Client<C> {
    socket: UdpSocket,
    device: usize,
    server_key: PublicKey,
    entropy: Entropy,
    sealed: Sealed<C>,
    next_request_id: u32,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The answer.
    pub(crate) reply: Reply,
    /// Bytes of the request's datagram.
    pub(crate) request_bytes: usize,
    /// Bytes of its own.
    pub(crate) reply_bytes: usize,
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
    /// What came back can't be opened.
    #[error("the server's answer can't be opened: {0}")]
    Open(#[from] OpenError),
    /// The session is at its end.
    #[error(transparent)]
    KeysUsedUp(#[from] KeysUsedUp),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

/// How often a request is sent before the server is given up.
const TRIES: u32 = 10;

/// How long a server that has just been started is waited for: shorter than it waits for a sign of life.
const START: Duration = Duration::from_secs(5);

/// How long to wait until it is asked again.
const START_PAUSE: Duration = Duration::from_millis(10);

/// How long each try waits.
const TRY: Duration = Duration::from_millis(500);

/// Measurements number their requests from here up, and clients below: neither takes the other's late answer.
pub(crate) const MEASURED_REQUEST_IDS: u32 = 1 << 31;

impl<C: Cipher> Client<C> {
    /// Logs a device in.
    ///
    /// # Errors
    /// The server doesn't answer or refuses.
    pub(crate) fn log_in(server: &Server, device: usize) -> Result<Self, ClientError> {
        let socket = connect(server.process().address())?;
        socket.set_read_timeout(Some(TRY))?;
        let (server_key, mut entropy) = (server.key(), handshake::entropy(device));
        let sealed = make_handshake(&socket, device, &server_key, &mut entropy)?;
        let mut client = Self { socket, device, server_key, entropy, sealed, next_request_id: 0 };
        client.ask_for_session()?;
        Ok(client)
    }

    /// Begins anew with a handshake: a session that is still there is kept, and one that is over is replaced.
    ///
    /// # Errors
    /// The server doesn't answer or refuses.
    pub(crate) fn log_in_again(&mut self) -> Result<(), ClientError> {
        // A measurement has left the socket without blocking.
        self.socket.set_nonblocking(false)?;
        self.sealed = make_handshake(&self.socket, self.device, &self.server_key, &mut self.entropy)?;
        self.ask_for_session()
    }

    fn ask_for_session(&mut self) -> Result<(), ClientError> {
        let transfer_port = people::transfer_port_of(self.device);
        self.ask(Request::Login(Login { transfer_port })).map(drop)
    }

    /// Asks one request and waits for its answer.
    ///
    /// # Errors
    /// The server doesn't answer or refuses.
    pub(crate) fn ask(&mut self, request: Request) -> Result<Answer, ClientError> {
        let request_id = self.next_request_id;
        self.next_request_id = (request_id + 1) % MEASURED_REQUEST_IDS;
        let message = Message::Request(request);
        let frame = Frame { request_id, encoding: Encoding::Bincode, message };
        self.socket.set_nonblocking(false)?;
        let began = Instant::now();
        let mut tries = 0;
        while tries < TRIES {
            if interrupt::requested() {
                return Err(ClientError::Interrupted);
            }
            tries += 1;
            let mut datagram = BytesMut::new();
            self.sealed.session.seal(frame.clone(), &mut datagram)?;
            self.socket.send(&datagram)?;
            match self.wait_for(request_id)? {
                // It has just been started, and reads what is published.
                Some((Reply::Refused(refused), _))
                    if refused.code == RefusalCode::TOO_FAST && began.elapsed() < START =>
                {
                    tries = 0;
                    sleep(START_PAUSE);
                }
                Some((Reply::Refused(refused), _)) => {
                    return Err(ClientError::Refused(refused.sentence.as_str().to_owned()));
                }
                Some((reply, reply_bytes)) => {
                    return Ok(Answer { reply, request_bytes: datagram.len(), reply_bytes });
                }
                None => {}
            }
        }
        Err(ClientError::Silent)
    }

    /// The answer to this request and its datagram's bytes, or `None` when it doesn't come in time. Others are passed over.
    fn wait_for(&mut self, wanted: u32) -> Result<Option<(Reply, usize)>, ClientError> {
        while let Some(mut datagram) = receive(&self.socket)? {
            let bytes = datagram.len();
            let Ok(Datagram::Sealed(sealed)) = Datagram::parse(&datagram) else { continue };
            if sealed.index != self.sealed.device_index {
                continue;
            }
            let frame = self.sealed.session.open(sealed, &mut datagram)?.frame;
            if let Ok(Some(Received::Frame(Frame { request_id, message: Message::Reply(reply), .. }))) = frame
                && request_id == wanted
            {
                return Ok(Some((reply, bytes)));
            }
        }
        Ok(None)
    }

    /// Its socket and its session, for a load that speaks in this session.
    pub(crate) fn socket_and_session(&mut self) -> (&UdpSocket, &mut Sealed<C>) {
        (&self.socket, &mut self.sealed)
    }
}

/// From hello to a session.
fn make_handshake<C>(
    socket: &UdpSocket,
    device: usize,
    server_key: &PublicKey,
    entropy: &mut Entropy,
) -> Result<Sealed<C>, ClientError> {
    let key = people::key_of(device);
    let (mut handshake, mut next) = Handshake::begin(entropy);
    for _ in 0..TRIES {
        if interrupt::requested() {
            return Err(ClientError::Interrupted);
        }
        socket.send(&next)?;
        while let Some(datagram) = receive(socket)? {
            let datagram = Datagram::parse(&datagram);
            if let Ok(Datagram::Retry(retry)) = &datagram
                && let Some(initiate) = handshake.retried(retry, &key, server_key, entropy)
            {
                next = initiate;
                socket.send(&next)?;
            }
            if let Ok(Datagram::Accept(accept)) = &datagram
                && let Some(sealed) = handshake.accepted(accept)
            {
                return Ok(sealed);
            }
        }
    }
    Err(ClientError::Silent)
}

/// What comes next, or `None` when nothing comes in time.
fn receive(socket: &UdpSocket) -> io::Result<Option<BytesMut>> {
    let mut datagram = BytesMut::zeroed(DATAGRAM_BYTES_MAX + 1);
    match socket.recv(&mut datagram) {
        Ok(bytes) => {
            datagram.truncate(bytes);
            Ok(Some(datagram))
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A socket that speaks with this address only.
pub(crate) fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(address)?;
    Ok(socket)
}
