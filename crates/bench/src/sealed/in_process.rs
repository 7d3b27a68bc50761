//! A server without a socket, and devices that make handshakes with it in the same process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bittrickle_server::directory::Directory;
use bittrickle_server::index::{self, Caller, Index, Tickets};
use bittrickle_server::responder::{Identity, Responder};
use bittrickle_server::sealing::Limits;
use bittrickle_wire::messages::{Reply, Request};
use bittrickle_wire::seal::{Aes256Gcm, Datagram, Entropy, PublicKey, SecretKey, Ticket};
use bittrickle_wire::{Encoding, Frame, Hex64, MemberName, Message, Received, Target};
use bytes::{Bytes, BytesMut};

use crate::handshake::{Handshake, Sealed};
use crate::people;

/// The server, and the way to it.
pub(super) struct InProcess {
    /// The server.
    pub(super) responder: Responder,
    key: PublicKey,
    /// What it has answered last.
    pub(super) out: BytesMut,
}

/// A handshake whose first half is done: the server has only to answer.
pub(super) struct Prepared {
    handshake: Handshake,
    /// Where it comes from.
    pub(super) from: SocketAddr,
    /// The device's `Hello`, which has been answered.
    pub(super) hello: Bytes,
    /// The device's `Initiate`, which is still to be sent.
    pub(super) initiate: Bytes,
}

/// Logins need none.
struct NoTickets;

/// The server's own key.
const SERVER_KEY: [u8; 32] = [0x55; 32];

impl InProcess {
    /// A server that knows this many devices, and has started now.
    pub(super) fn start(now: Instant, devices: usize, limits: Limits) -> Self {
        let mut directory = Directory::default();
        people::make_known(&mut directory, 0..devices);
        let secret = SecretKey::from_bytes(SERVER_KEY);
        let key = secret.public();
        let index = Index::new(now, Hex64(1), index::Limits::default());
        let identity = Identity { secret, directory, seed: [1; 32] };
        let responder = Responder::new(index, identity, limits, "off".parse().expect("nobody"));
        Self { responder, key, out: BytesMut::new() }
    }

    /// Sends a datagram; the answer, if there is one, is in `out` then.
    pub(super) fn send(&mut self, now: Instant, from: SocketAddr, datagram: &mut BytesMut) {
        self.out.clear();
        self.responder.respond(now, from, datagram, &mut self.out);
    }

    /// A device's `Hello`, the server's `Retry`, and the device's `Initiate`, which isn't sent.
    pub(super) fn prepare(
        &mut self,
        now: Instant,
        from: SocketAddr,
        device: usize,
        entropy: &mut Entropy,
    ) -> Prepared {
        let (mut handshake, hello) = Handshake::begin(entropy);
        self.send(now, from, &mut BytesMut::from(&hello[..]));
        let Ok(Datagram::Retry(retry)) = Datagram::parse(&self.out) else { panic!("a hello is answered") };
        let initiate = handshake.retried(&retry, &people::key_of(device), &self.key, entropy);
        Prepared { handshake, from, hello, initiate: initiate.expect("it has waited for this") }
    }

    /// A whole handshake.
    pub(super) fn shake_hands(
        &mut self,
        now: Instant,
        from: SocketAddr,
        device: usize,
        entropy: &mut Entropy,
    ) -> Sealed<Aes256Gcm> {
        let mut prepared = self.prepare(now, from, device, entropy);
        self.send(now, from, &mut BytesMut::from(&prepared.initiate[..]));
        self.responder.next_handshake(now, &mut self.out).expect("a handshake waits");
        let Ok(Datagram::Accept(accept)) = Datagram::parse(&self.out) else { panic!("it is accepted") };
        prepared.handshake.accepted(&accept).expect("the answer is this device's")
    }

    /// Asks the server one thing in a session.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        from: SocketAddr,
        sealed: &mut Sealed<Aes256Gcm>,
        request: Request,
    ) -> Reply {
        let frame = Frame { request_id: 1, encoding: Encoding::Bincode, message: Message::Request(request) };
        let mut datagram = BytesMut::new();
        sealed.session.seal(frame, &mut datagram).expect("a few frames");
        self.send(now, from, &mut datagram);
        let Ok(Datagram::Sealed(answer)) = Datagram::parse(&self.out) else { panic!("a member is answered") };
        let opened = sealed.session.open(answer, &mut self.out).expect("it is sealed for this session");
        let Ok(Some(Received::Frame(Frame { message: Message::Reply(reply), .. }))) = opened.frame else {
            panic!("requests are answered with replies")
        };
        reply
    }

    /// Puts a request to the index as a device's, past its sealed session.
    pub(super) fn ask_index(
        &mut self,
        now: Instant,
        member: &Arc<MemberName>,
        device: usize,
        request: Request,
    ) -> Reply {
        let caller = Caller { member, device: people::key_of(device).public(), address: address_of(device) };
        self.responder.index.handle(now, caller, Encoding::Bincode, request, &NoTickets)
    }
}

impl Tickets for NoTickets {
    fn issue(&self, _: &PublicKey, _: &PublicKey, _: &Target) -> Option<Ticket> {
        None
    }
}

/// Where a device speaks from.
pub(super) fn address_of(device: usize) -> SocketAddr {
    (people::address_of(device), 50_000).into()
}
