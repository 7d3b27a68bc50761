//! An imitation of the original client, faults included, for a new server and a new peer to be tested against.
//!
//! It shares nothing with the project's peer, on purpose. It takes a new UDP socket for every command, serves any path
//! that the process can read, and believes every transfer that ends. Where the original would wait for ever, this one
//! gives up and fails, so that a test ends; and its file server listens on 127.0.0.1 only.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Map, Value};

use super::legacy_json::{self, DATAGRAM_READ_BYTES, Item};

/// A client that is logged in. Dropping it is `xit`: it says nothing to the server, its heartbeats end.
pub struct LegacyClient {
    server: SocketAddr,
    username: String,
    folder: PathBuf,
    file_server: FileServer,
    /// Only kept to end with the client.
    _heartbeats: Option<Heartbeats>,
}

impl LegacyClient {
    /// Logs in and keeps sending heartbeats. The folder is its working directory: what it serves and where it writes.
    ///
    /// # Errors
    /// The server's message, if it said no.
    pub fn login(server: SocketAddr, username: &str, password: &str, folder: &Path) -> Result<Self, String> {
        let mut client = Self::login_without_heartbeats(server, username, password, folder)?;
        client._heartbeats = Some(Heartbeats::start(server, username));
        Ok(client)
    }

    /// Logs in, but sends no heartbeats: goes stale.
    ///
    /// # Errors
    /// The server's message, if it said no.
    pub fn login_without_heartbeats(
        server: SocketAddr,
        username: &str,
        password: &str,
        folder: &Path,
    ) -> Result<Self, String> {
        let file_server = FileServer::start(folder);
        ask(
            server,
            &[
                ("type", Item::Text("login")),
                ("username", Item::Text(username)),
                ("password", Item::Text(password)),
                ("tcp_port", Item::Number(file_server.address.port().into())),
            ],
        )?;
        let (username, folder) = (username.to_owned(), folder.to_owned());
        Ok(Self { server, username, folder, file_server, _heartbeats: None })
    }

    /// Where its file server listens on 127.0.0.1.
    pub fn transfer_port(&self) -> u16 {
        self.file_server.address.port()
    }

    /// `pub`: the server's message.
    ///
    /// # Errors
    /// The server's message, if its status is `fail`.
    pub fn publish(&self, filename: &str) -> Result<String, String> {
        message(&self.command("pub", Some(("filename", filename)))?)
    }

    /// `unp`: the server's message.
    ///
    /// # Errors
    /// The server's message, if its status is `fail`.
    pub fn unpublish(&self, filename: &str) -> Result<String, String> {
        message(&self.command("unp", Some(("filename", filename)))?)
    }

    /// `lap`: the names of the other active users.
    ///
    /// # Errors
    /// The server's message, if its status is `fail`, as it is when there are none.
    pub fn active_peers(&self) -> Result<Vec<String>, String> {
        names(&self.command("lap", None)?, "users")
    }

    /// `lpf`: the names of the files that this user has published.
    ///
    /// # Errors
    /// The server's message, if its status is `fail`, as it is when nobody has published any.
    pub fn published_files(&self) -> Result<Vec<String>, String> {
        names(&self.command("lpf", None)?, "files")
    }

    /// `sch`: the names with this substring that others have published.
    ///
    /// # Errors
    /// The server's message, if its status is `fail`, as it is when there are none.
    pub fn search(&self, substring: &str) -> Result<Vec<String>, String> {
        names(&self.command("sch", Some(("substring", substring)))?, "files")
    }

    /// `get`: writes straight over the file of that name in the folder. A transfer that was short, or of a file that
    /// doesn't exist, is a success.
    ///
    /// # Errors
    /// The server's message, if it said no; or that the peer could not be reached or reset the connection.
    pub fn get(&self, filename: &str) -> Result<(), String> {
        let reply = self.command("get", Some(("filename", filename)))?;
        let host = legacy_json::text(&reply, "peer_address").ok_or("reply without peer_address")?;
        let port = reply.get("peer_port").and_then(Value::as_u64).and_then(|port| port.try_into().ok());
        self.fetch(host, port.ok_or("reply without peer_port")?, filename)
            .map_err(|error| format!("{filename} from {host}: {error}"))
    }

    fn fetch(&self, host: &str, port: u16, filename: &str) -> io::Result<()> {
        let mut stream = TcpStream::connect((host, port))?;
        stream.set_read_timeout(Some(TRANSFER_SILENCE_MAX))?;
        // Emptied before the request leaves, so that a client that is sent to itself always finds its file empty.
        let mut file = File::create(self.folder.join(filename))?;
        // Nothing marks the end of the request, and this side doesn't close its half either.
        stream.write_all(format!("GET {filename}").as_bytes())?;
        io::copy(&mut stream, &mut file)?;
        Ok(())
    }

    fn command(&self, kind: &str, field: Option<(&str, &str)>) -> Result<Map<String, Value>, String> {
        let mut items = vec![("type", Item::Text(kind)), ("username", Item::Text(&self.username))];
        items.extend(field.map(|(key, value)| (key, Item::Text(value))));
        ask(self.server, &items)
    }
}

/// One datagram to the server from a fresh socket, and the answer's bytes (waits at most 2 s; None when nothing came).
///
/// The answer is whole, so that a test can see that it is too long; the client itself reads only its beginning.
pub fn exchange(server: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
    let socket = unbound_socket();
    socket.set_read_timeout(Some(ANSWER_WAIT_MAX)).expect("the time-out isn't zero");
    socket.send_to(datagram, server).ok()?;
    let mut answer = vec![0; usize::from(u16::MAX)];
    let (length_bytes, _) = socket.recv_from(&mut answer).ok()?;
    answer.truncate(length_bytes);
    Some(answer)
}

/// Asks once; a reply whose status isn't `success` is an error with the server's message.
fn ask(server: SocketAddr, items: &[(&str, Item<'_>)]) -> Result<Map<String, Value>, String> {
    let answer = exchange(server, &legacy_json::print(items)).ok_or("no answer from the server")?;
    let read = &answer[..answer.len().min(DATAGRAM_READ_BYTES)];
    let reply = legacy_json::read(read).ok_or("the server's reply is broken JSON")?;
    match legacy_json::text(&reply, "status") {
        Some("success") => Ok(reply),
        Some(_) => Err(message(&reply)?),
        None => Err("reply without status".to_owned()),
    }
}

fn message(reply: &Map<String, Value>) -> Result<String, String> {
    Ok(legacy_json::text(reply, "message").ok_or("reply without message")?.to_owned())
}

fn names(reply: &Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    let list = reply.get(key).and_then(Value::as_array);
    let names = list.and_then(|list| list.iter().map(|name| Some(name.as_str()?.to_owned())).collect());
    names.ok_or_else(|| format!("reply without {key}"))
}

/// On all addresses and not connected, like a Python socket that was never bound: an answer may come from anywhere.
fn unbound_socket() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port is free")
}

/// The thread that says every two seconds that the user is there.
struct Heartbeats {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeats {
    fn start(server: SocketAddr, username: &str) -> Self {
        let heartbeat =
            legacy_json::print(&[("type", Item::Text("heartbeat")), ("username", Item::Text(username))]);
        let socket = unbound_socket();
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            loop {
                // Nobody reads the answers: they pile up in the socket, and an `Unknown user` goes unnoticed.
                socket.send_to(&heartbeat, server).ok();
                if stopped.recv_timeout(HEARTBEAT_EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Heartbeats {
    fn drop(&mut self) {
        self.stop.take();
        self.thread.take().map(JoinHandle::join);
    }
}

/// The thread that hands files to other clients.
struct FileServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FileServer {
    fn start(folder: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let stop: Arc<AtomicBool> = Arc::default();
        let (folder, told_to_stop) = (folder.to_owned(), Arc::clone(&stop));
        let thread = Some(thread::spawn(move || serve_files(&listener, &folder, &told_to_stop)));
        Self { address, stop, thread }
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread from its wait for a connection.
        TcpStream::connect(self.address).ok();
        self.thread.take().map(JoinHandle::join);
    }
}

fn serve_files(listener: &TcpListener, folder: &Path, stop: &AtomicBool) {
    let mut open: Vec<Weak<TcpStream>> = Vec::new();
    thread::scope(|scope| {
        loop {
            let accepted = listener.accept();
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let Ok((stream, _)) = accepted else { continue };
            let stream = Arc::new(stream);
            open.retain(|stream| stream.strong_count() > 0);
            open.push(Arc::downgrade(&stream));
            scope.spawn(move || send_file(&stream, folder));
        }
        // A peer that says nothing, or doesn't read, would keep its thread for ever.
        for stream in open.iter().filter_map(Weak::upgrade) {
            stream.shutdown(Shutdown::Both).ok();
        }
    });
}

/// Where the original's thread ends by an exception, this ends without a word; the peer sees an empty file either way.
fn send_file(mut stream: &TcpStream, folder: &Path) -> Option<()> {
    let mut request = [0; REQUEST_READ_BYTES];
    // Once: a request that arrives in two pieces is cut after the first.
    let length_bytes = stream.read(&mut request).ok()?;
    let request = std::str::from_utf8(&request[..length_bytes]).ok()?;
    // Python also splits at these four, which aren't white space to Unicode.
    let is_space = |character: char| character.is_whitespace() || ('\x1c'..='\x1f').contains(&character);
    let words: Vec<&str> = request.split(is_space).filter(|word| !word.is_empty()).collect();
    let [_, name] = words[..] else { return None };
    // Joining an absolute path replaces the folder, and `..` leaves it: any file can be had.
    let mut file = File::open(folder.join(name)).ok()?;
    io::copy(&mut file, &mut stream).ok()?;
    Some(())
}

/// How long a command waits for its answer; the original has no limit.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// The longest pause within a transfer; the original has no limit.
const TRANSFER_SILENCE_MAX: Duration = Duration::from_secs(10);

/// The pause between heartbeats. The first leaves right behind the login.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);

/// What the file server reads of a request.
const REQUEST_READ_BYTES: usize = 1024;
