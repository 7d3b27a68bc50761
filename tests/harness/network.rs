//! The network between the processes: proxies that record what passes, or let nothing pass.

use std::io::{ErrorKind, Read, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bittrickle_wire::limits::DATAGRAM_BYTES_MAX;

/// What has passed the proxies that share it, oldest first. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Recording(Arc<Mutex<Vec<Passed>>>);

/// A datagram, or bytes of a stream.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Which way it went.
    pub way: Way,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Which way something goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// To the server, or to the peer that provides.
    There,
    /// Back to who asked.
    Back,
}

/// What a proxy lets pass.
pub type Rule = fn(Way, &[u8]) -> bool;

/// How often the threads here look whether they are needed any more.
const LOOK: Duration = Duration::from_millis(50);

impl Recording {
    /// All of it.
    #[must_use]
    pub fn all(&self) -> Vec<Passed> {
        lock(&self.0).clone()
    }

    /// What went one way.
    #[must_use]
    pub fn going(&self, way: Way) -> Vec<Vec<u8>> {
        let passed = self.all().into_iter().filter(|passed| passed.way == way);
        passed.map(|passed| passed.bytes).collect()
    }

    fn add(&self, way: Way, bytes: &[u8]) {
        lock(&self.0).push(Passed { way, bytes: bytes.to_vec() });
    }
}

/// Stands before a server and passes datagrams on, each client's from a socket of its own.
#[derive(Debug)]
pub struct UdpProxy {
    address: SocketAddr,
    line: Arc<Line>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Line {
    inside: UdpSocket,
    outside: IpAddr,
    server: SocketAddr,
    clients: Mutex<Vec<(SocketAddr, Arc<UdpSocket>)>>,
    rule: Mutex<Rule>,
    recording: Recording,
    is_over: AtomicBool,
}

impl UdpProxy {
    /// A proxy before this server, which sees the clients at `outside`, an address of this machine.
    #[must_use]
    pub fn start(server: SocketAddr, outside: IpAddr, recording: &Recording) -> Self {
        let inside = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        inside.set_read_timeout(Some(LOOK)).expect("a time-out is possible");
        let address = inside.local_addr().expect("it is bound");
        let line = Arc::new(Line {
            inside,
            outside,
            server,
            clients: Mutex::default(),
            rule: Mutex::new(|_, _| true),
            recording: recording.clone(),
            is_over: AtomicBool::new(false),
        });
        let working = Arc::clone(&line);
        let thread = Some(std::thread::spawn(move || working.pass_there()));
        Self { address, line, thread }
    }

    /// Where clients come to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on only this passes. What doesn't is recorded all the same.
    pub fn let_pass(&self, rule: Rule) {
        *lock(&self.line.rule) = rule;
    }

    /// Sends these bytes to the server, from the address at which it sees the client that came last.
    ///
    /// # Panics
    /// No client has come.
    pub fn inject(&self, bytes: &[u8]) {
        let clients = lock(&self.line.clients);
        let (_, upstream) = clients.last().expect("a client has come");
        upstream.send(bytes).expect("loopback takes datagrams");
    }
}

impl Line {
    fn pass_there(self: &Arc<Self>) {
        let mut buffer = [0; DATAGRAM_BYTES_MAX + 1];
        while !self.is_over.load(Ordering::Relaxed) {
            let Ok((bytes, from)) = self.inside.recv_from(&mut buffer) else { continue };
            self.recording.add(Way::There, &buffer[..bytes]);
            if lock(&self.rule)(Way::There, &buffer[..bytes]) {
                // A server that is away loses datagrams as a network does.
                let _ = self.upstream_of(from).send(&buffer[..bytes]);
            }
        }
    }

    fn upstream_of(self: &Arc<Self>, client: SocketAddr) -> Arc<UdpSocket> {
        let mut clients = lock(&self.clients);
        if let Some((_, upstream)) = clients.iter().find(|(known, _)| *known == client) {
            return Arc::clone(upstream);
        }
        let upstream = UdpSocket::bind((self.outside, 0)).expect("a free port");
        upstream.connect(self.server).expect("loopback is there");
        upstream.set_read_timeout(Some(LOOK)).expect("a time-out is possible");
        let upstream = Arc::new(upstream);
        clients.push((client, Arc::clone(&upstream)));
        let (line, back) = (Arc::clone(self), Arc::clone(&upstream));
        std::thread::spawn(move || line.pass_back(client, &back));
        upstream
    }

    fn pass_back(&self, client: SocketAddr, upstream: &UdpSocket) {
        let mut buffer = [0; DATAGRAM_BYTES_MAX + 1];
        while !self.is_over.load(Ordering::Relaxed) {
            let Ok(bytes) = upstream.recv(&mut buffer) else { continue };
            self.recording.add(Way::Back, &buffer[..bytes]);
            if lock(&self.rule)(Way::Back, &buffer[..bytes]) {
                // The client may have gone.
                let _ = self.inside.send_to(&buffer[..bytes], client);
            }
        }
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        self.line.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // If it panicked, the test has failed for that already.
            let _ = thread.join();
        }
    }
}

/// Passes the bytes of streams on.
#[derive(Debug)]
pub struct TcpProxy {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TcpProxy {
    /// Takes connections at `listen`, and passes them on to `target`.
    #[must_use]
    pub fn start(listen: SocketAddr, target: SocketAddr, recording: &Recording) -> Self {
        let listener = TcpListener::bind(listen).expect("a free port");
        listener.set_nonblocking(true).expect("sockets can be so");
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, recording) = (Arc::clone(&is_over), recording.clone());
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => pass_stream(stream, target, &recording),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn pass_stream(stream: TcpStream, target: SocketAddr, recording: &Recording) {
    stream.set_nonblocking(false).expect("sockets can be so");
    let target = TcpStream::connect(target).expect("who is named as the source listens");
    let both = [stream.try_clone(), target.try_clone()].map(|clone| clone.expect("handles are not short"));
    let [back, there] = both;
    for (way, from, to) in [(Way::There, stream, there), (Way::Back, target, back)] {
        let recording = recording.clone();
        std::thread::spawn(move || pass_bytes(way, from, to, &recording));
    }
}

fn pass_bytes(way: Way, mut from: TcpStream, mut to: TcpStream, recording: &Recording) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        recording.add(way, &buffer[..bytes]);
        if to.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    // Either side may have closed both ways already.
    let _ = to.shutdown(Shutdown::Write);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
