//! An imitation of the original server, faults included, for a new peer to be tested against.
//!
//! It shares nothing with the project's server, on purpose. What it gets wrong, it gets wrong as the original does:
//! it answers any user name, hands a published name to whoever publishes it last, and ends at a datagram that it
//! can't read (its socket is closed then, until [`LegacyServer::restart`]).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Map, Number, Value};

use super::legacy_json::{self, DATAGRAM_READ_BYTES, Item};

/// A running server. Dropping it ends its thread and closes its socket.
pub struct LegacyServer {
    address: SocketAddr,
    credentials: Vec<(String, String)>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Option<UdpSocket>>>,
}

impl LegacyServer {
    /// Binds 127.0.0.1 port 0. Credentials are pairs of user name and password.
    pub fn start(credentials: &[(&str, &str)]) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
        let address = socket.local_addr().expect("a bound socket has an address");
        let credentials =
            credentials.iter().map(|&(name, password)| (name.to_owned(), password.to_owned())).collect();
        let mut server = Self { address, credentials, stop: Arc::default(), thread: None };
        server.run(socket);
        server
    }

    /// Where it listens; a restart doesn't change it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forgets everything, as a restart on the same port would. Also brings back a server that a datagram ended.
    pub fn restart(&mut self) {
        // A live server's socket is kept, so that no other test can be given the port in between.
        let socket = self.end().unwrap_or_else(|| {
            UdpSocket::bind(self.address).expect("nobody took the port of the server that ended")
        });
        self.run(socket);
    }

    fn run(&mut self, socket: UdpSocket) {
        socket.set_read_timeout(Some(STOP_CHECK_EVERY)).expect("the time-out isn't zero");
        self.stop = Arc::default();
        let (index, stop) = (Index::new(self.credentials.clone()), Arc::clone(&self.stop));
        self.thread = Some(thread::spawn(move || serve(socket, index, &stop)));
    }

    /// Ends the thread, and hands back the socket unless the server had ended by itself.
    fn end(&mut self) -> Option<UdpSocket> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take()?.join().ok().flatten()
    }
}

impl Drop for LegacyServer {
    fn drop(&mut self) {
        self.end();
    }
}

/// The original's main loop. It returns the socket when told to stop, and nothing where the original's process dies.
fn serve(socket: UdpSocket, mut index: Index, stop: &AtomicBool) -> Option<UdpSocket> {
    let mut datagram = [0; DATAGRAM_READ_BYTES];
    loop {
        // Before it waits, not when something arrives: the request that ends a silence still meets the old view.
        // For the same reason this mustn't run again when only the read timed out.
        index.expire(Instant::now());
        let Some((length_bytes, from)) = receive(&socket, &mut datagram, stop) else {
            return Some(socket);
        };
        let reply = index.handle(Instant::now(), from, &datagram[..length_bytes])?;
        socket.send_to(&reply, from).ok()?;
    }
}

/// Waits for a datagram, or for the order to stop.
fn receive(socket: &UdpSocket, buffer: &mut [u8], stop: &AtomicBool) -> Option<(usize, SocketAddr)> {
    while !stop.load(Ordering::Relaxed) {
        if let Ok(received) = socket.recv_from(buffer) {
            return Some(received);
        }
    }
    None
}

/// What the original keeps in memory. `None` from any of its methods is an exception that ends the process.
struct Index {
    credentials: Vec<(String, String)>,
    /// In the order of their logins.
    active: Vec<User>,
    /// In the order in which the names were first published.
    files: Vec<File>,
    /// The variable that a request of an unknown type leaves as it was.
    reply: Option<Vec<u8>>,
}

struct User {
    name: String,
    login_from: SocketAddr,
    transfer_port: Number,
    last_sign_of_life: Instant,
}

/// A name and its one owner, who needn't be active, nor exist.
struct File {
    name: String,
    owner: String,
}

impl Index {
    fn new(credentials: Vec<(String, String)>) -> Self {
        Self { credentials, active: Vec::new(), files: Vec::new(), reply: None }
    }

    fn expire(&mut self, now: Instant) {
        self.active.retain(|user| now.duration_since(user.last_sign_of_life) <= SILENCE_MAX);
    }

    fn handle(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let request = legacy_json::read(datagram)?;
        let kind = legacy_json::text(&request, "type")?;
        let username = legacy_json::text(&request, "username")?;
        // Whatever the request and its outcome: a refused second login keeps the first one alive.
        if let Some(user) = self.active.iter_mut().find(|user| user.name == username) {
            user.last_sign_of_life = now;
        }
        let reply = match kind {
            "login" => self.login(now, from, username, &request)?,
            "heartbeat" => self.heartbeat(username),
            "lap" => self.list_active_peers(username),
            "lpf" => self.list_published_files(username),
            "pub" => self.publish(username, text_or_empty(&request, "filename")?),
            "unp" => self.unpublish(username, text_or_empty(&request, "filename")?),
            "sch" => self.search(username, legacy_json::text(&request, "substring")?),
            "get" => self.locate(text_or_empty(&request, "filename")?),
            // The reply before, to whomever that went.
            _ => self.reply.clone()?,
        };
        self.reply = Some(reply.clone());
        Some(reply)
    }

    fn login(
        &mut self,
        now: Instant,
        from: SocketAddr,
        username: &str,
        request: &Map<String, Value>,
    ) -> Option<Vec<u8>> {
        let password = legacy_json::text(request, "password")?;
        let Value::Number(transfer_port) = request.get("tcp_port")? else { return None };
        if !self.credentials.iter().any(|(name, right)| name == username && right == password) {
            return Some(fail("Authentication failed. Please try again."));
        }
        if self.is_active(username) {
            return Some(fail("Authentication failed. You are already logged in."));
        }
        self.active.push(User {
            name: username.to_owned(),
            login_from: from,
            transfer_port: transfer_port.clone(),
            last_sign_of_life: now,
        });
        Some(success("Welcome to BitTrickle!"))
    }

    fn heartbeat(&self, username: &str) -> Vec<u8> {
        // The original spells it like this.
        if self.is_active(username) { success("Hearbeat received") } else { fail("Unknown user") }
    }

    fn list_active_peers(&self, username: &str) -> Vec<u8> {
        let others = self.active.iter().map(|user| user.name.as_str()).filter(|&name| name != username);
        let users: Vec<&str> = others.collect();
        if users.is_empty() {
            return fail("No active peers");
        }
        success_with_list("Active users listed.", "users", users)
    }

    fn list_published_files(&self, username: &str) -> Vec<u8> {
        // Whether anybody has published anything, not whether this user has.
        if self.files.is_empty() {
            return fail("No files published");
        }
        let own = self.files.iter().filter(|file| file.owner == username);
        success_with_list("Files Listed.", "files", own.map(|file| file.name.as_str()).collect())
    }

    fn publish(&mut self, username: &str, filename: &str) -> Vec<u8> {
        if filename.is_empty() {
            return success("File publish was unsuccessful");
        }
        // Taking a name over keeps its place in the list, as an assignment in a Python dictionary does.
        match self.files.iter_mut().find(|file| file.name == filename) {
            Some(file) => username.clone_into(&mut file.owner),
            None => self.files.push(File { name: filename.to_owned(), owner: username.to_owned() }),
        }
        success("File published successfully")
    }

    fn unpublish(&mut self, username: &str, filename: &str) -> Vec<u8> {
        let Some(position) = self.files.iter().position(|file| file.name == filename) else {
            return fail("No files published with that filename");
        };
        if self.files[position].owner != username {
            return fail("File cannot be unpublished as you are not the publisher of the file.");
        }
        self.files.remove(position);
        success("File unpublished successfully")
    }

    fn search(&self, username: &str, substring: &str) -> Vec<u8> {
        let found = self.files.iter().filter(|file| file.owner != username && file.name.contains(substring));
        let files: Vec<&str> = found.map(|file| file.name.as_str()).collect();
        if files.is_empty() {
            return fail("No matching files found.");
        }
        success_with_list("Matching files found.", "files", files)
    }

    /// Answers `get`. It doesn't look at who asks: a user may be handed the own address.
    fn locate(&self, filename: &str) -> Vec<u8> {
        let Some(file) = self.files.iter().find(|file| file.name == filename) else {
            return fail("File not found");
        };
        let Some(owner) = self.active.iter().find(|user| user.name == file.owner) else {
            return fail("File owner is not active");
        };
        legacy_json::print(&[
            ("status", Item::Text("success")),
            ("peer_address", Item::Text(&owner.login_from.ip().to_string())),
            ("peer_port", Item::Number(owner.transfer_port.clone())),
        ])
    }

    fn is_active(&self, username: &str) -> bool {
        self.active.iter().any(|user| user.name == username)
    }
}

/// A missing file name is an empty one, which nobody can have published.
fn text_or_empty<'a>(request: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    request.get(key).map_or(Some(""), Value::as_str)
}

fn success(message: &str) -> Vec<u8> {
    legacy_json::print(&[("status", Item::Text("success")), ("message", Item::Text(message))])
}

fn success_with_list(message: &str, key: &str, list: Vec<&str>) -> Vec<u8> {
    let (status, message) = (Item::Text("success"), Item::Text(message));
    legacy_json::print(&[("status", status), ("message", message), (key, Item::Texts(list))])
}

fn fail(message: &str) -> Vec<u8> {
    legacy_json::print(&[("status", Item::Text("fail")), ("message", Item::Text(message))])
}

/// A user who was silent for longer is dropped.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// How soon the thread notices that it is to end. Not part of the imitation.
const STOP_CHECK_EVERY: Duration = Duration::from_millis(20);
