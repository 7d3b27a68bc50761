//! All devices, each with its socket, in one thread that waits for all of them at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bittrickle_wire::Hex64;
use bittrickle_wire::limits::DATAGRAM_BYTES_MAX;
use bittrickle_wire::seal::PublicKey;
use bytes::BytesMut;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::ReturnError;
use super::device::{Device, HEARTBEAT};
use crate::{interrupt, people};

/// The thread, ended when this value is dropped.
pub(super) struct Crowd {
    devices: usize,
    shared: Arc<Shared>,
    all_online: Receiver<Instant>,
    thread: Option<JoinHandle<()>>,
}

/// What both threads look at.
#[derive(Default)]
struct Shared {
    online: AtomicUsize,
    stop: AtomicBool,
}

/// What the thread holds.
struct Members {
    members: Vec<Member>,
    epoll: OwnedFd,
    /// When to look at whom; an entry that its member doesn't know is passed over.
    wakes: BinaryHeap<Reverse<(Instant, usize)>>,
    /// The start of the server at which devices have logged in last, and how many have.
    boot_id: Option<Hex64>,
    online: usize,
    shared: Arc<Shared>,
    all_online: Sender<Instant>,
}

struct Member {
    device: Device,
    socket: UdpSocket,
    wake: Instant,
    boot_id: Option<Hex64>,
}

/// Files that are open besides the devices' sockets.
const OTHER_FILES: u64 = 64;

/// How long the thread sleeps at most: then it looks whether it should end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Sockets, or timers, that are served before the others get their turn.
const EVENTS: usize = 256;

/// Lets this process open so many sockets, if the system allows it.
///
/// # Errors
/// It doesn't.
pub(super) fn allow_files(devices: usize) -> Result<(), ReturnError> {
    let needed = devices as u64 + OTHER_FILES;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|files| files >= needed) {
        return Ok(());
    }
    if let Some(files) = limit.maximum.filter(|files| *files < needed) {
        return Err(ReturnError::Files { devices, files });
    }
    limit.current = Some(needed);
    Ok(setrlimit(Resource::Nofile, limit).map_err(io::Error::from)?)
}

impl Crowd {
    /// Devices that come online over the time between two heartbeats, and stay.
    ///
    /// # Errors
    /// There are not so many sockets.
    pub(super) fn start(devices: usize, server: SocketAddr, server_key: PublicKey) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (sender, all_online) = mpsc::channel();
        let mut members = Members::connect(devices, server, server_key, Arc::clone(&shared), sender)?;
        let thread = std::thread::Builder::new().name("devices".to_owned()).spawn(move || {
            match members.run() {
                Ok(()) if members.online == devices => {}
                Ok(()) => eprintln!("of the devices that are missing, {}", members.describe_missing()),
                // Whoever waits for them is told by the closed channel.
                Err(error) => eprintln!("the devices can't go on: {error}"),
            }
        })?;
        Ok(Self { devices, shared, all_online, thread: Some(thread) })
    }

    /// Waits until all are logged in at the same start of the server: returns when the last one was.
    ///
    /// # Errors
    /// They aren't in time.
    pub(super) fn all_online(&self, patience: Duration) -> Result<Instant, ReturnError> {
        let deadline = Instant::now() + patience;
        loop {
            if interrupt::requested() {
                return Err(ReturnError::Interrupted);
            }
            match self.all_online.recv_timeout(LOOK_EVERY) {
                Ok(at) => return Ok(at),
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let online = self.shared.online.load(Ordering::Relaxed);
                    return Err(ReturnError::TooLate { online, devices: self.devices });
                }
            }
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has printed what went wrong.
            let _ = thread.join();
        }
    }
}

impl Members {
    fn connect(
        devices: usize,
        server: SocketAddr,
        server_key: PublicKey,
        shared: Arc<Shared>,
        all_online: Sender<Instant>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let (mut members, mut wakes) = (Vec::with_capacity(devices), BinaryHeap::new());
        let start = Instant::now();
        for number in 0..devices {
            let socket = UdpSocket::bind((people::address_of(number), 0))?;
            socket.connect(server)?;
            socket.set_nonblocking(true)?;
            epoll::add(&epoll, &socket, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
            let wake = start + HEARTBEAT.mul_f64(number as f64 / devices as f64);
            let device = Device::new(number, wake, server_key);
            wakes.push(Reverse((wake, number)));
            members.push(Member { device, socket, wake, boot_id: None });
        }
        Ok(Self { members, epoll, wakes, boot_id: None, online: 0, shared, all_online })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        let mut datagram = BytesMut::new();
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            self.wake_up(now);
            let next = self.wakes.peek().map_or(LOOK_EVERY, |wake| wake.0.0.saturating_duration_since(now));
            let timeout = Timespec::try_from(next.min(LOOK_EVERY)).expect("some milliseconds");
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout))?;
            for event in &events {
                let number = usize::try_from(event.data.u64()).expect("a member's number");
                self.receive(number, &mut datagram);
            }
        }
        Ok(())
    }

    /// Some of those whose time has come; the others wait until arrivals have had their turn.
    fn wake_up(&mut self, now: Instant) {
        for _ in 0..EVENTS {
            let due = self.wakes.peek().copied().filter(|wake| wake.0.0 <= now);
            let Some(Reverse((at, number))) = due else { return };
            self.wakes.pop();
            if self.members[number].wake == at {
                self.members[number].device.tick(now);
                self.send_and_sleep(number);
            }
        }
    }

    /// What those are doing who aren't logged in at the latest start of the server.
    fn describe_missing(&self) -> String {
        let missing = self.members.iter().filter(|member| member.boot_id != self.boot_id);
        let mut counts = [0; 4];
        missing.for_each(|member| counts[member.device.stage() as usize] += 1);
        let [idle, cookie, accept, login] = counts;
        format!(
            "{idle} have done nothing yet, {cookie} wait for a cookie, {accept} for the answer to a handshake, {login} for \
             the answer to a login"
        )
    }

    /// One datagram; if there are more, the next round sees them.
    fn receive(&mut self, number: usize, datagram: &mut BytesMut) {
        let member = &mut self.members[number];
        datagram.resize(DATAGRAM_BYTES_MAX + 1, 0);
        // An error says that nobody has listened there a moment ago.
        let Ok(bytes) = member.socket.recv(datagram) else { return };
        datagram.truncate(bytes);
        let now = Instant::now();
        if let Some(boot_id) = member.device.receive(now, datagram) {
            self.count(now, number, boot_id);
        }
        self.send_and_sleep(number);
    }

    fn count(&mut self, now: Instant, number: usize, boot_id: Hex64) {
        if self.members[number].boot_id.replace(boot_id) == Some(boot_id) {
            return;
        }
        if self.boot_id.replace(boot_id) != Some(boot_id) {
            self.online = 0;
        }
        self.online += 1;
        self.shared.online.store(self.online, Ordering::Relaxed);
        if self.online == self.members.len() {
            // Nobody may wait any more.
            let _ = self.all_online.send(now);
        }
    }

    fn send_and_sleep(&mut self, number: usize) {
        let Member { device, socket, wake, .. } = &mut self.members[number];
        for datagram in device.take_outputs() {
            // The first error tells of an earlier datagram, which nobody took, and sends nothing.
            if socket.send(&datagram).is_err() {
                let _ = socket.send(&datagram);
            }
        }
        let next = device.next_wake();
        if next != *wake {
            *wake = next;
            self.wakes.push(Reverse((next, number)));
        }
    }
}
