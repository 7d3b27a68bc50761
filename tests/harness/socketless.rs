//! A server without a socket, at invented times, and devices that make handshakes with it in the same process.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bittrickle_server::access::LegacyAccess;
use bittrickle_server::directory::{Change, Directory};
use bittrickle_server::index::{self, Index};
use bittrickle_server::responder::{Identity, Responder};
use bittrickle_server::sealing;
use bittrickle_wire::messages::{Reply, Request};
use bittrickle_wire::seal::{
    Datagram, DatagramSession, Entropy, Hello, Initiate, Initiating, PublicKey, Retry, SecretKey,
};
use bittrickle_wire::{DatagramCodec, Encoding, Frame, Hex64, MemberName, Message, Received};
use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, Encoder as _};

use crate::samples;

/// The server, and a clock that stands still until it is moved.
#[derive(Debug)]
pub struct Server {
    /// The server.
    pub responder: Responder,
    /// What time it is.
    pub now: Instant,
    key: PublicKey,
    entropy: Entropy,
    members: BTreeSet<MemberName>,
}

/// A device that has made a handshake.
#[derive(Debug)]
pub struct Device {
    /// Who it is.
    pub key: PublicKey,
    /// Where it speaks from.
    pub address: SocketAddr,
    /// Its side of the session.
    pub session: DatagramSession,
}

impl Server {
    /// A server that knows nobody, with the limits of the registry, and that takes no legacy datagram.
    #[must_use]
    pub fn new() -> Self {
        Self::with(sealing::Limits::default())
    }

    /// The same, with other limits.
    #[must_use]
    pub fn with(limits: sealing::Limits) -> Self {
        Self::start(limits, "off".parse().expect("nobody may"), 1)
    }

    /// A server that starts now. Its key is always the same; `start` tells one start from the others.
    #[must_use]
    pub fn start(limits: sealing::Limits, legacy: LegacyAccess, start: u8) -> Self {
        let (now, secret) = (Instant::now(), SecretKey::from_bytes([0x51; 32]));
        let key = secret.public();
        let identity = Identity { secret, directory: Directory::default(), seed: [start; 32] };
        let index = Index::new(now, Hex64(start.into()), index::Limits::default());
        let responder = Responder::new(index, identity, limits, legacy);
        Self { responder, now, key, entropy: Entropy::new([start ^ 0xff; 32]), members: BTreeSet::new() }
    }

    /// The server's key.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Lets time pass.
    pub fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    /// Adds a member, unless it is one.
    pub fn add_member(&mut self, member: &str) {
        let member = samples::member(member);
        if self.members.insert(member.clone()) {
            self.responder.apply(&Change::MemberAdded(member));
        }
    }

    /// Removes a member.
    pub fn remove_member(&mut self, member: &str) {
        let member = samples::member(member);
        self.members.remove(&member);
        self.responder.apply(&Change::MemberRemoved(member));
    }

    /// Makes a device a member's, as an enrolment does.
    pub fn enrol(&mut self, member: &str, device: PublicKey) {
        self.add_member(member);
        self.responder.apply(&Change::DeviceAdded { device, member: samples::member(member) });
    }

    /// Sends a datagram to the server. What it says at once, if anything.
    ///
    /// # Panics
    /// Something is left in the datagram's buffer.
    pub fn send(&mut self, from: SocketAddr, datagram: &[u8]) -> BytesMut {
        let (mut datagram, mut out) = (BytesMut::from(datagram), BytesMut::new());
        self.responder.respond(self.now, from, &mut datagram, &mut out);
        assert!(datagram.is_empty(), "the datagram is used up");
        out
    }

    /// Lets the server answer the handshake that has waited longest: to whom, and what.
    pub fn next_handshake(&mut self) -> Option<(SocketAddr, BytesMut)> {
        let mut out = BytesMut::new();
        let to = self.responder.next_handshake(self.now, &mut out)?;
        Some((to, out))
    }

    /// Says hello. The server's answer, if there is one.
    pub fn hello(&mut self, from: SocketAddr) -> Option<Retry> {
        let mut datagram = BytesMut::new();
        let device_index = u32::from_be_bytes(self.entropy.draw());
        Hello { device_index, nonce: self.entropy.draw() }.write(&mut datagram);
        match Datagram::parse(&self.send(from, &datagram)) {
            Ok(Datagram::Retry(retry)) => Some(retry),
            _ => None,
        }
    }

    /// Says hello, and makes the first half of a handshake of the answer, which is not sent.
    ///
    /// # Panics
    /// The server doesn't answer.
    pub fn initiate(&mut self, from: SocketAddr, device: &SecretKey) -> (Initiating, Initiate) {
        let retry = self.hello(from).expect("a hello is answered");
        Initiating::new(device, &self.key, &retry, self.entropy.draw())
    }

    /// A whole handshake, a millisecond later: of two cookies of one moment none is the younger. `None` when the server
    /// doesn't go along.
    ///
    /// # Panics
    /// Its answer isn't for this handshake.
    pub fn shake_hands(&mut self, from: SocketAddr, device: &SecretKey) -> Option<Device> {
        self.wait(1);
        let (mut initiating, initiate) = self.initiate(from, device);
        assert!(self.send(from, &written(&initiate)).is_empty(), "a handshake waits for its turn");
        let (to, out) = self.next_handshake()?;
        assert_eq!(to, from);
        let Ok(Datagram::Accept(accept)) = Datagram::parse(&out) else {
            assert!(out.is_empty());
            return None;
        };
        let (session, _) = initiating.finish(&accept).expect("the answer is for this device");
        Some(Device { key: device.public(), address: from, session })
    }

    /// Makes a new device a member's, with a handshake from this address; its number makes its key.
    ///
    /// # Panics
    /// The server doesn't go along.
    pub fn device_of(&mut self, member: &str, number: u8, from: &str) -> Device {
        self.enrol(member, secret(number).public());
        self.shake_hands(from.parse().expect("an address"), &secret(number)).expect("an Accept")
    }

    /// The same, and the device logs in; its file server is said to be at port 6000.
    ///
    /// # Panics
    /// The server doesn't go along.
    pub fn log_in(&mut self, member: &str, number: u8, from: &str) -> Device {
        let mut device = self.device_of(member, number, from);
        let reply = self.ask(&mut device, samples::login(6_000));
        assert!(matches!(reply, Some(Reply::LoggedIn(_))), "{reply:?}");
        device
    }

    /// Asks under the device's seal. The answer, if there is one.
    pub fn ask(&mut self, device: &mut Device, request: Request) -> Option<Reply> {
        let datagram = device.sealed(request);
        let answer = self.send(device.address, &datagram);
        device.open(&answer)
    }

    /// Asks under the device's seal, with the bytes of any frame. Those of the answer, if there is one.
    ///
    /// # Panics
    /// The answer isn't the device's.
    pub fn ask_bytes(&mut self, device: &mut Device, frame: &[u8]) -> Option<BytesMut> {
        let mut datagram = BytesMut::new();
        device.session.seal_bytes(frame, &mut datagram).expect("few frames are sealed");
        let answer = self.send(device.address, &datagram);
        device.open_bytes(&answer)
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Device {
    /// The datagram that asks this.
    ///
    /// # Panics
    /// The request doesn't fit a datagram.
    pub fn sealed(&mut self, request: Request) -> BytesMut {
        let message = Message::Request(request);
        let frame = Frame { request_id: 1, encoding: Encoding::Bincode, message };
        let mut text = BytesMut::new();
        DatagramCodec.encode(frame, &mut text).expect("requests are built to fit");
        let mut datagram = BytesMut::new();
        self.session.seal_bytes(&text, &mut datagram).expect("few frames are sealed");
        datagram
    }

    /// The reply under the seal of this datagram; `None` for no bytes, and for anything but `Sealed`.
    ///
    /// # Panics
    /// It is sealed for somebody else, or not a reply.
    pub fn open(&mut self, datagram: &[u8]) -> Option<Reply> {
        let mut text = self.open_bytes(datagram)?;
        match DatagramCodec.decode(&mut text) {
            Ok(Some(Received::Frame(Frame { message: Message::Reply(reply), .. }))) => Some(reply),
            other => panic!("{other:?} is no reply"),
        }
    }

    /// What is under the seal of this datagram; `None` for no bytes, and for anything but `Sealed`.
    ///
    /// # Panics
    /// It is sealed for somebody else.
    pub fn open_bytes(&mut self, datagram: &[u8]) -> Option<BytesMut> {
        let Ok(Datagram::Sealed(sealed)) = Datagram::parse(datagram) else { return None };
        let opened = self.session.open_bytes(sealed, &mut BytesMut::from(datagram));
        Some(opened.expect("it is sealed for this device").0)
    }
}

/// The key of the device with this number.
#[must_use]
pub fn secret(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32])
}

/// The bytes of an `Initiate`.
#[must_use]
pub fn written(initiate: &Initiate) -> BytesMut {
    let mut datagram = BytesMut::new();
    initiate.write(&mut datagram);
    datagram
}
