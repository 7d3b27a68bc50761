//! A bare client: one socket, one handshake, one question, one answer.

use std::iter;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use bittrickle_wire::limits::DATAGRAM_BYTES_MAX;
use bittrickle_wire::messages::{Enrol, Login, Reply, Request};
use bittrickle_wire::seal::{
    Datagram, DatagramSession, Entropy, Hello, Initiating, PublicKey, SecretKey, TicketKey,
};
use bittrickle_wire::{Encoding, Frame, MemberName, Message, Password, Received, TransferPort};
use bytes::BytesMut;

use crate::noise::secret_key;
use crate::server::Server;

/// A client that sends what it is told, and nothing else.
#[derive(Debug)]
pub struct Client {
    socket: UdpSocket,
    server_key: PublicKey,
    device: SecretKey,
    entropy: Entropy,
    session: Option<DatagramSession>,
    next_request_id: u32,
}

/// After how long a datagram of a handshake is sent again, and how often it is sent at most.
const RESEND_AFTER: Duration = Duration::from_millis(500);
const SENDS: usize = 20;

impl Client {
    /// A client for this server, with a new device key and without a session.
    #[must_use]
    pub fn new(server: &Server) -> Self {
        Self::of(server.address(), server.invite().key)
    }

    /// A client for the owner of this key, at this address.
    #[must_use]
    pub fn of(server: SocketAddr, server_key: PublicKey) -> Self {
        Self::with_device(server, server_key, secret_key())
    }

    /// The same, with this device's key.
    #[must_use]
    pub fn with_device(server: SocketAddr, server_key: PublicKey, device: SecretKey) -> Self {
        let socket =
            UdpSocket::bind((if server.is_ipv4() { "127.0.0.1" } else { "::1" }, 0)).expect("a free port");
        socket.connect(server).expect("loopback is there");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out is possible");
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("the system has randomness");
        let entropy = Entropy::new(seed);
        Self { socket, server_key, device, entropy, session: None, next_request_id: 1 }
    }

    /// A client that has enrolled and logged in; its file server is said to be at `transfer_port`.
    #[must_use]
    pub fn log_in(server: &Server, member: &str, password: &str, transfer_port: u16) -> Self {
        Self::log_in_with(server, secret_key(), member, password, transfer_port)
    }

    /// The same, with this device's key.
    #[must_use]
    pub fn log_in_with(
        server: &Server,
        device: SecretKey,
        member: &str,
        password: &str,
        transfer_port: u16,
    ) -> Self {
        let mut client = Self::with_device(server.address(), server.invite().key, device);
        client.shake_hands();
        let reply = client.ask(Encoding::Bincode, enrol(member, password));
        assert!(matches!(reply, Reply::Enrolled(_)), "{reply:?}");
        let reply = client.ask(Encoding::Bincode, login(transfer_port));
        assert!(matches!(reply, Reply::LoggedIn(_)), "{reply:?}");
        client
    }

    /// Makes a handshake.
    ///
    /// # Panics
    /// The server doesn't answer as it should.
    pub fn shake_hands(&mut self) {
        let device_index = u32::from_be_bytes(self.entropy.draw());
        let mut datagram = BytesMut::new();
        Hello { device_index, nonce: self.entropy.draw() }.write(&mut datagram);
        let retry = self.ask_for_hands(&datagram, |answer| match answer {
            Datagram::Retry(retry) => Some(retry),
            _ => None,
        });
        let (mut initiating, initiate) =
            Initiating::new(&self.device, &self.server_key, &retry, self.entropy.draw());
        datagram.clear();
        initiate.write(&mut datagram);
        let accept = self.ask_for_hands(&datagram, |answer| match answer {
            Datagram::Accept(accept) => Some(accept),
            _ => None,
        });
        self.session = Some(initiating.finish(&accept).expect("the server has its key").0);
    }

    /// Sends a datagram of a handshake, and again until this answer comes, as devices do (BT-6.4-6): there may have been many
    /// handshakes of this address of late (BT-6.4-5).
    fn ask_for_hands<T>(&self, datagram: &[u8], answer: impl Fn(Datagram) -> Option<T>) -> T {
        let patience = self.socket.read_timeout().expect("it has been set");
        self.patience(RESEND_AFTER);
        let answered = (0..SENDS).find_map(|_| {
            self.send(datagram);
            iter::from_fn(|| self.receive()).find_map(|bytes| answer(Datagram::parse(&bytes).ok()?))
        });
        self.socket.set_read_timeout(patience).expect("a time-out is possible");
        answered.expect("an answer to a handshake")
    }

    /// Asks under the seal, and gives the answer.
    ///
    /// # Panics
    /// No answer comes, or one that is not to this request or not in its encoding.
    pub fn ask(&mut self, encoding: Encoding, request: Request) -> Reply {
        self.try_ask(encoding, request).expect("an answer")
    }

    /// The same, of a server that may have been killed: `None` when no answer comes.
    ///
    /// # Panics
    /// An answer comes that is not to this request or not in its encoding.
    pub fn try_ask(&mut self, encoding: Encoding, request: Request) -> Option<Reply> {
        let request_id = self.next_request_id;
        self.next_request_id += 1;
        let frame = Frame { request_id, encoding, message: Message::Request(request) };
        let datagram = self.seal(frame);
        // Where nobody listens any more, sending says so the second time.
        self.socket.send(&datagram).ok()?;
        let is_accept = |datagram: &Vec<u8>| matches!(Datagram::parse(datagram), Ok(Datagram::Accept(_)));
        loop {
            // A handshake that was sent again is answered again.
            let answer = iter::from_fn(|| self.receive()).find(|datagram| !is_accept(datagram))?;
            match self.open(&answer) {
                // An answer to an earlier question that nobody has waited for any longer.
                Received::Frame(frame) if frame.request_id < request_id => {}
                Received::Frame(Frame { request_id: id, encoding: same, message: Message::Reply(reply) }) => {
                    assert_eq!((id, same), (request_id, encoding), "BT-1.2-2, BT-1.2-3");
                    return Some(reply);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// A datagram with this frame under the seal.
    ///
    /// # Panics
    /// There is no session.
    #[must_use]
    pub fn seal(&mut self, frame: Frame) -> BytesMut {
        let mut datagram = BytesMut::new();
        let session = self.session.as_mut().expect("hands have been shaken");
        session.seal(frame, &mut datagram).expect("the keys are fresh");
        datagram
    }

    /// The next datagram, opened.
    ///
    /// # Panics
    /// None comes, or none that is sealed.
    pub fn receive_sealed(&mut self) -> Received {
        let bytes = self.receive().expect("an answer");
        self.open(&bytes)
    }

    fn open(&mut self, bytes: &[u8]) -> Received {
        let mut datagram = BytesMut::from(bytes);
        let Ok(Datagram::Sealed(sealed)) = Datagram::parse(&datagram) else {
            panic!("it is not sealed: {bytes:02x?}");
        };
        let session = self.session.as_mut().expect("hands have been shaken");
        let opened = session.open(sealed, &mut datagram).expect("it is sealed with our keys");
        opened.frame.expect("a frame").expect("a whole frame")
    }

    /// Sends these bytes.
    pub fn send(&self, datagram: &[u8]) {
        self.socket.send(datagram).expect("loopback takes datagrams");
    }

    /// The next datagram, unless none comes in time.
    pub fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX + 1];
        let bytes = self.socket.recv(&mut buffer).ok()?;
        buffer.truncate(bytes);
        Some(buffer)
    }

    /// How long [`Client::receive`] waits.
    pub fn patience(&self, patience: Duration) {
        self.socket.set_read_timeout(Some(patience)).expect("a time-out is possible");
    }

    /// The key of this device.
    #[must_use]
    pub fn device(&self) -> &SecretKey {
        &self.device
    }

    /// The key for tickets of the present session.
    ///
    /// # Panics
    /// There is no session.
    #[must_use]
    pub fn ticket_key(&self) -> TicketKey {
        self.session.as_ref().expect("hands have been shaken").ticket_key(true)
    }
}

/// An enrolment of these.
#[must_use]
pub fn enrol(member: &str, password: &str) -> Request {
    Request::Enrol(Enrol {
        member: MemberName::new(member).expect("an acceptable name"),
        password: Password::new(password).expect("an acceptable password"),
    })
}

/// A login with this port.
#[must_use]
pub fn login(transfer_port: u16) -> Request {
    let transfer_port = TransferPort::new(transfer_port).expect("an acceptable port");
    Request::Login(Login { transfer_port })
}
