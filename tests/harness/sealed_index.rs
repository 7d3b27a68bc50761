//! An index in a test's hands: it makes honest handshakes with its own key, and answers what it opens as the test likes.
//! What the test leaves to it, it answers as an index does that takes everybody in and knows of nobody else.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bittrickle_wire::messages::{
    Announced, Enrolled, Files, Found, HeartbeatReply, Located, LoggedIn, LoggedOut, Offer, Peers, Published,
    Recalled, Reply, Request, Resumed, Unpublished, offer_digest,
};
use bittrickle_wire::seal::{Cookie, Datagram, Hello, Invite, PublicKey, Reset, Retry, SecretKey, Ticket};
use bittrickle_wire::{
    DatagramCodec, Encoding, FileName, Frame, Header, Hex64, Kind, List, Message, Received,
};
use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, Encoder as _};

use crate::noise::{Handshake, Keys, secret_key};

/// A running index. Dropping it ends its thread and closes its socket.
#[derive(Debug)]
pub struct SealedIndex {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    silent: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// What an index answers.
    Honest,
    /// A frame of this kind with this payload, in JSON, acceptable or not.
    Json(Kind, String),
    /// Nothing.
    Silence,
}

type Answering = Box<dyn FnMut(&Request) -> Answer + Send>;

struct State {
    secret: SecretKey,
    started: Instant,
    answering: Answering,
    /// By the number that the index has given to each.
    sessions: HashMap<u32, Session>,
    next_session: u32,
    next_ticket: u64,
    /// The device that enrolled last under a name.
    members: HashMap<String, PublicKey>,
}

struct Session {
    keys: Keys,
    device: PublicKey,
    device_index: u32,
    from: SocketAddr,
    sent: u64,
    transfer_port: u16,
    offers: BTreeMap<FileName, Offer>,
}

/// What its clock says at the start: late enough that tickets can have ended long ago.
const CLOCK_START_MS: u64 = 1_000_000_000;

const BOOT_ID: Hex64 = Hex64(0xff);

impl SealedIndex {
    /// An index on 127.0.0.1 that answers requests as it is told.
    #[must_use]
    pub fn start(answering: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("the time-out isn't zero");
        let address = socket.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State {
            secret: secret_key(),
            started: Instant::now(),
            answering: Box::new(answering),
            sessions: HashMap::new(),
            next_session: 1,
            next_ticket: 1,
            members: HashMap::new(),
        }));
        let (stop, silent): (Arc<AtomicBool>, Arc<AtomicBool>) = Default::default();
        let (shared, stopping, hushed) = (Arc::clone(&state), Arc::clone(&stop), Arc::clone(&silent));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while !stopping.load(Ordering::Relaxed) {
                let Ok((bytes, from)) = socket.recv_from(&mut buffer) else { continue };
                if hushed.load(Ordering::Relaxed) {
                    continue;
                }
                if let Some(answer) = lock(&shared).answer(from, &buffer[..bytes]) {
                    // Whoever asked may have gone.
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self { address, state, stop, silent, thread: Some(thread) }
    }

    /// An index that answers as an index does.
    #[must_use]
    pub fn honest() -> Self {
        Self::start(|_| Answer::Honest)
    }

    /// What lets a peer join.
    #[must_use]
    pub fn invite(&self) -> Invite {
        let host = self.address.to_string().parse().expect("an address is a host");
        Invite { host, key: self.state().secret.public() }
    }

    /// The device that enrolled last under this name.
    ///
    /// # Panics
    /// None has.
    #[must_use]
    pub fn device_of(&self, member: &str) -> PublicKey {
        *self.state().members.get(member).expect("the member has joined")
    }

    /// Where the member's file server answers.
    ///
    /// # Panics
    /// The member isn't logged in.
    #[must_use]
    pub fn source_of(&self, member: &str) -> SocketAddr {
        let device = self.device_of(member);
        let state = self.state();
        let session = state.session_of(&device);
        SocketAddr::new(session.from.ip(), session.transfer_port)
    }

    /// A ticket from this member's device for this name, which ends in so many milliseconds, or did so long ago.
    ///
    /// # Panics
    /// The member isn't logged in.
    #[must_use]
    pub fn ticket(&self, source: &str, device: &PublicKey, target: &str, ends_in_ms: i64) -> Ticket {
        let source = self.device_of(source);
        let mut state = self.state();
        let ends_ms = state.clock_ms().saturating_add_signed(ends_in_ms);
        let number = state.next_ticket;
        state.next_ticket += 1;
        state.session_of(&source).keys.tickets().make(device, target, ends_ms, number)
    }

    /// How many handshakes have been made.
    #[must_use]
    pub fn handshakes(&self) -> u32 {
        self.state().next_session - 1
    }

    /// Answers nothing any more, not even a `Hello`, or answers again.
    pub fn be_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    /// Forgets every session, as a restart does. Whoever goes on with one gets a `Reset`.
    pub fn forget_sessions(&self) {
        self.state().sessions.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn answer(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let mut out = BytesMut::new();
        match Datagram::parse(datagram).ok()? {
            Datagram::Hello(Hello { device_index, nonce }) => {
                // Nobody invents addresses here.
                let cookie = Cookie([7; 24]);
                Retry { device_index, nonce, cookie, server_key: self.secret.public() }.write(&mut out);
            }
            Datagram::Initiate(initiate) => {
                out.extend_from_slice(&self.accept(from, initiate.device_index, datagram)?);
            }
            Datagram::Sealed(sealed) => match self.sessions.get(&sealed.index) {
                Some(session) => {
                    let text = session.keys.open(sealed.counter, &datagram[..20], &datagram[20..])?;
                    let reply = self.reply(sealed.index, &text)?;
                    out.extend_from_slice(&self.sessions.get_mut(&sealed.index)?.seal(&reply));
                }
                None => Reset { index: sealed.index, counter: sealed.counter }.write(&mut out),
            },
            Datagram::Retry(_) | Datagram::Accept(_) | Datagram::Reset(_) => return None,
        }
        Some(out.to_vec())
    }

    /// Makes a session.
    fn accept(&mut self, from: SocketAddr, device_index: u32, initiate: &[u8]) -> Option<Vec<u8>> {
        let prologue = [b"BitTrickle datagrams", &initiate[..52]].concat();
        let mut handshake = Handshake::expect(&prologue, &self.secret);
        handshake.read(&initiate[52..])?;
        let device = handshake.remote();
        let index = self.next_session;
        self.next_session += 1;
        let message = handshake.write(&index.to_be_bytes());
        let offers = self.newest_of(&device).map(|session| session.offers.clone()).unwrap_or_default();
        let keys = handshake.finish();
        let session = Session { keys, device, device_index, from, sent: 0, transfer_port: 0, offers };
        self.sessions.insert(index, session);
        let head = Header::new(Kind::Accept, Encoding::Raw, device_index, 52).to_bytes();
        Some([&head[..], &message].concat())
    }

    /// The text of the answer to this one.
    fn reply(&mut self, index: u32, text: &[u8]) -> Option<Vec<u8>> {
        let received = DatagramCodec.decode(&mut BytesMut::from(text)).ok()??;
        let Received::Frame(Frame { request_id, encoding, message: Message::Request(request) }) = received
        else {
            return None;
        };
        match (self.answering)(&request) {
            Answer::Honest => {
                let message = Message::Reply(self.honest_reply(index, request));
                let mut text = BytesMut::new();
                DatagramCodec
                    .encode(Frame { request_id, encoding, message }, &mut text)
                    .expect("it is short");
                Some(text.to_vec())
            }
            Answer::Json(kind, payload) => {
                let bytes = u32::try_from(payload.len()).expect("a payload is short");
                let head = Header::new(kind, Encoding::Json, request_id, bytes).to_bytes();
                Some([&head[..], payload.as_bytes()].concat())
            }
            Answer::Silence => None,
        }
    }

    fn honest_reply(&mut self, index: u32, request: Request) -> Reply {
        let clock_ms = self.clock_ms();
        let session = self.sessions.get_mut(&index).expect("it has just been opened");
        let offered =
            |offers: &BTreeMap<FileName, Offer>| u32::try_from(offers.len()).expect("few are offered");
        match request {
            Request::Enrol(enrol) => {
                self.members.insert(enrol.member.as_str().to_owned(), session.device);
                Reply::Enrolled(Enrolled {})
            }
            Request::Login(login) => {
                session.transfer_port = login.transfer_port.number();
                let (heartbeat_ms, offline_after_ms) = (2_000, 7_000);
                Reply::LoggedIn(LoggedIn { boot_id: BOOT_ID, clock_ms, heartbeat_ms, offline_after_ms })
            }
            Request::Heartbeat(_) => {
                let digest = session.offers.values().map(offer_digest).fold(0, u64::wrapping_add);
                let (offered, digest) = (offered(&session.offers), Hex64(digest));
                Reply::HeartbeatReply(HeartbeatReply { boot_id: BOOT_ID, clock_ms, offered, digest })
            }
            Request::Logout(_) => {
                session.offers.clear();
                Reply::LoggedOut(LoggedOut {})
            }
            Request::Publish(publish) => {
                let files = publish.files.into_vec().into_iter();
                session.offers.extend(files.map(|offer| (offer.name.clone(), offer)));
                Reply::Published(Published { offered: offered(&session.offers) })
            }
            Request::Unpublish(unpublish) => {
                session.offers.retain(|name, _| !unpublish.names.contains(name));
                Reply::Unpublished(Unpublished {})
            }
            Request::Announce(_) => Reply::Announced(Announced {}),
            // It keeps nothing beside what sessions offer.
            Request::Recall(_) => Reply::Recalled(Recalled { publications: 0, digests: List::default() }),
            Request::Resume(_) => {
                Reply::Resumed(Resumed { offered: offered(&session.offers), is_resumed: false })
            }
            Request::Search(_) => Reply::Found(Found { hits: List::default(), next: None }),
            Request::Locate(_) => {
                Reply::Located(Located { members: 0, sources: List::default(), next: None })
            }
            Request::ListPeers(_) => Reply::Peers(Peers { members: List::default(), next: None }),
            Request::ListFiles(_) => Reply::Files(Files { files: List::default(), next: None }),
        }
    }

    fn clock_ms(&self) -> u64 {
        CLOCK_START_MS + u64::try_from(self.started.elapsed().as_millis()).expect("tests are short")
    }

    fn session_of(&self, device: &PublicKey) -> &Session {
        self.newest_of(device).expect("the device has a session")
    }

    fn newest_of(&self, device: &PublicKey) -> Option<&Session> {
        let sessions = self.sessions.iter().filter(|(_, session)| session.device == *device);
        sessions.max_by_key(|(index, _)| **index).map(|(_, session)| session)
    }
}

impl Session {
    fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        let bytes = u32::try_from(8 + text.len() + 16).expect("a frame is short");
        let header = Header::new(Kind::Sealed, Encoding::Raw, self.device_index, bytes).to_bytes();
        let head = [&header[..], &self.sent.to_be_bytes()].concat();
        let sealed = self.keys.seal(self.sent, &head, text);
        self.sent += 1;
        [&head[..], &sealed].concat()
    }
}

impl Drop for SealedIndex {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        // A test that fails already has said enough.
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the index panicked");
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
