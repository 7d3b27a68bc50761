//! Those who speak to the server, or as one, without being anybody: an impostor and strangers.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bittrickle_wire::limits::DATAGRAM_BYTES_MAX;
use bittrickle_wire::seal::{
    Cookie, Datagram, DatagramSession, Entropy, Hello, Initiating, PublicKey, Retry, SecretKey,
};
use bytes::BytesMut;

/// Stands where a server should be, and answers each hello with a key of its own.
#[derive(Debug)]
pub struct Impostor {
    address: SocketAddr,
    key: SecretKey,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How often the thread here looks whether it is needed any more.
const LOOK: Duration = Duration::from_millis(50);

/// How long a stranger waits for an answer, and how often it asks in all.
const PATIENCE: Duration = Duration::from_millis(300);
const TRIES: usize = 6;

impl Impostor {
    /// Begins.
    #[must_use]
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(LOOK)).expect("a time-out is possible");
        let address = socket.local_addr().expect("it is bound");
        let key = SecretKey::from_bytes(entropy().draw());
        let received = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let (public, kept, over) = (key.public(), Arc::clone(&received), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; DATAGRAM_BYTES_MAX + 1];
            while !over.load(Ordering::Relaxed) {
                let Ok((bytes, from)) = socket.recv_from(&mut buffer) else { continue };
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(buffer[..bytes].to_vec());
                let Ok(Datagram::Hello(hello)) = Datagram::parse(&buffer[..bytes]) else { continue };
                let (Hello { device_index, nonce }, cookie) = (hello, Cookie([7; 24]));
                let mut answer = BytesMut::new();
                Retry { device_index, nonce, cookie, server_key: public }.write(&mut answer);
                socket.send_to(&answer, from).expect("loopback takes datagrams");
            }
        });
        Self { address, key, received, is_over, thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that it presents.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.key.public()
    }

    /// What it was sent so far.
    #[must_use]
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Devices that nobody knows, at one address.
#[derive(Debug)]
pub struct Stranger {
    /// Its socket, connected to the server.
    pub socket: UdpSocket,
    entropy: Entropy,
}

impl Stranger {
    /// A stranger at this address of this machine.
    #[must_use]
    pub fn at(ip: IpAddr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a free port");
        socket.connect(server).expect("loopback is there");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out is possible");
        Self { socket, entropy: entropy() }
    }

    /// Makes a handshake as a new device, unless it isn't answered.
    pub fn shake_hands(&mut self, server_key: &PublicKey) -> Option<DatagramSession> {
        let mut bytes = BytesMut::new();
        let hello =
            Hello { device_index: u32::from_be_bytes(self.entropy.draw()), nonce: self.entropy.draw() };
        hello.write(&mut bytes);
        let retry = self.ask(&bytes, |answer| match answer {
            Datagram::Retry(retry) if retry.nonce == hello.nonce => Some(retry),
            _ => None,
        });
        let device = SecretKey::from_bytes(self.entropy.draw());
        let (mut initiating, initiate) =
            Initiating::new(&device, server_key, &retry.expect("a cookie"), self.entropy.draw());
        bytes.clear();
        initiate.write(&mut bytes);
        let accept = self.ask(&bytes, |answer| match answer {
            Datagram::Accept(accept) if accept.device_index == hello.device_index => Some(accept),
            _ => None,
        })?;
        Some(initiating.finish(&accept).expect("the server has its key").0)
    }

    /// Asks again and again, as a device does: it may have asked too fast.
    fn ask<T>(&self, datagram: &[u8], read: impl Fn(Datagram) -> Option<T>) -> Option<T> {
        for _ in 0..TRIES {
            self.socket.send(datagram).expect("loopback takes datagrams");
            while let Some(answer) = self.receive() {
                if let Some(answer) = Datagram::parse(&answer).ok().and_then(&read) {
                    return Some(answer);
                }
            }
        }
        None
    }

    /// The next datagram, unless none comes.
    pub fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX + 1];
        let bytes = self.socket.recv(&mut buffer).ok()?;
        buffer.truncate(bytes);
        Some(buffer)
    }
}

fn entropy() -> Entropy {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("the system has randomness");
    Entropy::new(seed)
}
