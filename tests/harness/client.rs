//! A bare client in frames: one socket, one question, one answer.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use bittrickle_wire::messages::{Login, Reply, Request};
use bittrickle_wire::{
    DatagramCodec, Encoding, Frame, MemberName, Message, Password, Received, TransferPort,
};
use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, Encoder as _};

/// A client that sends what it is told, and nothing else.
#[derive(Debug)]
pub struct Client {
    socket: UdpSocket,
    next_request_id: u32,
}

impl Client {
    /// A client for the server at this address.
    #[must_use]
    pub fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.connect(server).expect("loopback is there");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out is possible");
        Self { socket, next_request_id: 1 }
    }

    /// A client that has logged in; its file server is said to be at `transfer_port`.
    #[must_use]
    pub fn log_in(server: SocketAddr, member: &str, password: &str, transfer_port: u16) -> Self {
        let mut client = Self::new(server);
        let reply = client.ask(Encoding::Bincode, login(member, password, transfer_port));
        assert!(matches!(reply, Reply::LoggedIn(_)), "{reply:?}");
        client
    }

    /// Asks, and gives the answer.
    ///
    /// # Panics
    /// No answer comes, or one that is not to this request or not in its encoding.
    pub fn ask(&mut self, encoding: Encoding, request: Request) -> Reply {
        let request_id = self.next_request_id;
        self.next_request_id += 1;
        let frame = Frame { request_id, encoding, message: Message::Request(request) };
        let mut datagram = BytesMut::new();
        DatagramCodec.encode(frame, &mut datagram).expect("the request fits a datagram");
        match self.exchange(&datagram).expect("an answer") {
            Received::Frame(Frame { request_id: id, encoding: same, message: Message::Reply(reply) }) => {
                assert_eq!((id, same), (request_id, encoding), "BT-1.2-2, BT-1.2-3");
                reply
            }
            other => panic!("{other:?}"),
        }
    }

    /// Sends these bytes and reads the answer, if one comes.
    pub fn exchange(&self, datagram: &[u8]) -> Option<Received> {
        self.send(datagram);
        self.receive()
            .and_then(|bytes| DatagramCodec.decode(&mut BytesMut::from(&bytes[..])).expect("a frame"))
    }

    /// Sends these bytes.
    pub fn send(&self, datagram: &[u8]) {
        self.socket.send(datagram).expect("loopback takes datagrams");
    }

    /// The next datagram, unless none comes in time.
    pub fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        let bytes = self.socket.recv(&mut buffer).ok()?;
        buffer.truncate(bytes);
        Some(buffer)
    }

    /// How long [`Client::receive`] waits.
    pub fn patience(&self, patience: Duration) {
        self.socket.set_read_timeout(Some(patience)).expect("a time-out is possible");
    }
}

/// A login of these.
#[must_use]
pub fn login(member: &str, password: &str, transfer_port: u16) -> Request {
    Request::Login(Login {
        member: MemberName::new(member).expect("an acceptable name"),
        password: Password::new(password).expect("an acceptable password"),
        transfer_port: TransferPort::new(transfer_port).expect("an acceptable port"),
    })
}
