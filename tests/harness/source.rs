//! A source in a test's hands: the device of a real member, logged in at a real index, which lets everybody in and answers
//! as the test likes.

use std::fmt;
use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bittrickle_wire::messages::{Heartbeat, Offer, Part, Publish, Reply, Request};
use bittrickle_wire::seal::SecretKey;
use bittrickle_wire::{Encoding, Frame, List, Message};

use crate::client::Client;
use crate::content::Content;
use crate::noise::secret_key;
use crate::sealed_stream::SealedStream;
use crate::server::Server;

/// A running source. Dropped, it closes everything, and its member's session ends by silence.
pub struct Source {
    address: SocketAddr,
    client: Option<Arc<Mutex<Client>>>,
    serving: Arc<Serving>,
    threads: Vec<JoinHandle<()>>,
}

/// What a source does when it is asked for something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Act {
    /// Answers with these.
    Send(Vec<Message>),
    /// Answers with this again and again, until the other side has had enough.
    Repeat(Message),
    /// Answers with nothing, to this and to all that follows, and keeps the connection.
    Silence,
    /// Answers with these, and closes the connection.
    Close(Vec<Message>),
    /// Answers with these, the last of which arrives with one bit changed on the way.
    Break(Vec<Message>),
}

/// What becomes of a request and its honest answer.
pub type Acting = Box<dyn Fn(&Message, Vec<Message>) -> Act + Send + Sync>;

/// What the threads of a source share.
struct Serving {
    device: SecretKey,
    contents: Mutex<Vec<Arc<Served>>>,
    streams: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

/// One content that it has, and how it treats those who want it.
struct Served {
    targets: [String; 2],
    content: Content,
    act: Acting,
    connections: AtomicUsize,
    asked: Mutex<Vec<Message>>,
}

/// How often the threads here look whether they are needed any more, and how often a heartbeat is sent.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS_A_BEAT: u32 = 100;

impl Source {
    /// A member's new device, which is logged in and has published this content under a name.
    #[must_use]
    pub fn start(
        server: &Server,
        member: (&str, &str),
        name: &str,
        content: &Content,
        act: impl Fn(&Message, Vec<Message>) -> Act + Send + Sync + 'static,
    ) -> Self {
        let source = Self::log_in(server, member);
        source.share(name, content, act);
        source
    }

    /// A member's new device, which is logged in and has published nothing yet.
    #[must_use]
    pub fn log_in(server: &Server, (member, password): (&str, &str)) -> Self {
        let mut source = Self::unlisted();
        let (device, port) = (source.device().clone(), source.address.port());
        let client = Arc::new(Mutex::new(Client::log_in_with(server, device, member, password, port)));
        source.client = Some(Arc::clone(&client));
        let serving = Arc::clone(&source.serving);
        source.threads.push(std::thread::spawn(move || {
            let is_over = || serving.is_over.load(Ordering::Relaxed);
            while !is_over() {
                // Whatever the answer: a server that is gone is no business of a source's.
                lock(&client).ask(Encoding::Bincode, Request::Heartbeat(Heartbeat {}));
                (0..LOOKS_A_BEAT).take_while(|_| !is_over()).for_each(|_| std::thread::sleep(LOOK));
            }
        }));
        source
    }

    /// One that no index knows.
    ///
    /// # Panics
    /// There is no free port.
    #[must_use]
    pub fn unlisted() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("sockets can be so");
        let address = listener.local_addr().expect("it is bound");
        let serving = Arc::new(Serving {
            device: secret_key(),
            contents: Mutex::default(),
            streams: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&serving);
        let threads = vec![std::thread::spawn(move || serve(&listener, &accepting))];
        Self { address, client: None, serving, threads }
    }

    /// Serves this content from now on, and publishes it.
    pub fn share(
        &self,
        name: &str,
        content: &Content,
        act: impl Fn(&Message, Vec<Message>) -> Act + Send + Sync + 'static,
    ) {
        self.serve(name, content, act);
        self.publish(content.offer(name));
    }

    /// Serves this content from now on, in the place of what was served under this name; the index isn't told.
    pub fn serve(
        &self,
        name: &str,
        content: &Content,
        act: impl Fn(&Message, Vec<Message>) -> Act + Send + Sync + 'static,
    ) {
        let targets = [format!("name:{name}"), format!("root:{}", content.root())];
        let mut contents = lock(&self.serving.contents);
        contents.retain(|served| served.targets[0] != targets[0]);
        let (content, connections, asked) = (content.clone(), AtomicUsize::new(0), Mutex::default());
        contents.push(Arc::new(Served { targets, content, act: Box::new(act), connections, asked }));
    }

    /// Publishes something, or publishes it anew.
    ///
    /// # Panics
    /// It isn't logged in, or the index refuses.
    pub fn publish(&self, offer: Offer) {
        let files = List::new(vec![offer]).expect("one is few");
        let client = self.client.as_ref().expect("it is logged in");
        let reply = lock(client).ask(Encoding::Bincode, Request::Publish(Publish { files }));
        assert!(matches!(reply, Reply::Published(_)), "{reply:?}");
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its key.
    #[must_use]
    pub fn device(&self) -> &SecretKey {
        &self.serving.device
    }

    /// How many connections have come for what is served under this name.
    #[must_use]
    pub fn connections(&self, name: &str) -> usize {
        self.served(name).connections.load(Ordering::Relaxed)
    }

    /// What it was asked so far about what is served under this name.
    #[must_use]
    pub fn asked(&self, name: &str) -> Vec<Message> {
        lock(&self.served(name).asked).clone()
    }

    fn served(&self, name: &str) -> Arc<Served> {
        let target = format!("name:{name}");
        let contents = lock(&self.serving.contents);
        let served = contents.iter().find(|served| served.targets[0] == target);
        Arc::clone(served.expect("it is served"))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.serving.is_over.store(true, Ordering::Relaxed);
        for stream in lock(&self.serving.streams).iter() {
            // The other side may have closed it.
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            // If it panicked, the test has failed for that already.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("address", &self.address).finish_non_exhaustive()
    }
}

fn serve(listener: &TcpListener, serving: &Arc<Serving>) {
    while !serving.is_over.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(LOOK);
            continue;
        };
        stream.set_nonblocking(false).expect("sockets can be so");
        lock(&serving.streams).push(stream.try_clone().expect("handles are not short"));
        let serving = Arc::clone(serving);
        std::thread::spawn(move || serving.serve_one(stream));
    }
}

impl Serving {
    fn serve_one(&self, stream: TcpStream) {
        let (mut stream, opening) = SealedStream::accept(stream, &self.device);
        let served = {
            let contents = lock(&self.contents);
            let named = contents.iter().rev().find(|served| served.targets.contains(&opening.target));
            // Who lies about the root of what it has is asked for that one.
            Arc::clone(named.or(contents.last()).expect("something is served"))
        };
        served.connections.fetch_add(1, Ordering::Relaxed);
        let by_name = opening.target.starts_with("name:");
        let mut is_silent = false;
        while let Some(Frame { request_id, encoding, message }) = stream.receive() {
            lock(&served.asked).push(message.clone());
            let frame = |message: Message| {
                let is_data = matches!(message, Message::Data(_));
                let encoding = if is_data { Encoding::Raw } else { encoding };
                Frame { request_id, encoding, message }
            };
            if is_silent {
                continue;
            }
            // The other side may have had enough at any moment.
            match (served.act)(&message, served.content.answer(&message, by_name)) {
                Act::Send(messages) => {
                    let _ = messages.into_iter().try_for_each(|message| stream.send(frame(message)));
                }
                Act::Repeat(message) => while stream.send(frame(message.clone())).is_ok() {},
                Act::Silence => is_silent = true,
                Act::Break(messages) => {
                    let mut sealed: Vec<u8> =
                        messages.into_iter().flat_map(|message| stream.seal_frame(frame(message))).collect();
                    if let Some(byte) = sealed.last_mut() {
                        *byte ^= 0x40;
                    }
                    let _ = stream.stream().write_all(&sealed);
                }
                Act::Close(messages) => {
                    let _ = messages.into_iter().try_for_each(|message| stream.send(frame(message)));
                    let _ = stream.stream().shutdown(Shutdown::Both);
                    return;
                }
            }
        }
    }
}

/// No lie at all.
#[must_use]
pub fn honest(_: &Message, answer: Vec<Message>) -> Act {
    Act::Send(answer)
}

/// Whether it asks for a part of a content.
#[must_use]
pub fn asks_for(request: &Message, part: Part) -> bool {
    matches!(request, Message::Fetch(fetch) if fetch.part == part)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
