//! Sources that misbehave: a TCP listener that does what a test tells it to.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use bittrickle_tests::client::{Client, login};
use bittrickle_tests::sealed_stream::SealedStream;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::{PATIENCE, wait_for};
use bittrickle_wire::content::chaining_value;
use bittrickle_wire::limits::PIECE_BYTES;
use bittrickle_wire::messages::{Described, Fetch, Offer, Part, Publish, Renewed, Reply, Request};
use bittrickle_wire::seal::SecretKey;
use bittrickle_wire::{Encoding, FileBytes, FileName, Frame, List, Message, Root, Target};
use bytes::Bytes;

/// A listener on a free port, and the thread that serves it.
pub(crate) struct Source {
    pub(crate) address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Source {
    /// Serves so many connections, each with `serve`.
    pub(crate) fn start(connections: usize, mut serve: impl FnMut(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            for _ in 0..connections {
                // A connection that never comes fails the test instead of hanging it.
                let accepted = wait_for("a connection comes", PATIENCE, || listener.accept().ok());
                let stream = accepted.0;
                stream.set_nonblocking(false).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                serve(stream);
            }
        });
        Self { address, thread: Some(thread) }
    }

    /// Waits until all connections have been served.
    pub(crate) fn join(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Reads the request, which fits one read, and forgets it.
pub(crate) fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = vec![0; 4_096];
    let bytes = stream.read(&mut request).unwrap();
    request.truncate(bytes);
    request
}

/// Reads the request and answers with these bytes and the end of the stream.
pub(crate) fn answer_with(bytes: Vec<u8>) -> impl FnMut(TcpStream) + Send + 'static {
    move |mut stream| {
        read_request(&mut stream);
        // The other side may close before it has read everything: that is what the tests are about.
        let _ = stream.write_all(&bytes).and_then(|()| stream.shutdown(Shutdown::Write));
        let _ = stream.read(&mut [0]);
    }
}

/// Lets a peer in as the owner of `device`, and answers each request about this content as an honest source would, after
/// `twist` has had its way with the answer. `None` from it ends the connection.
pub(crate) fn serve_content(
    device: SecretKey,
    bytes: Vec<u8>,
    mut twist: impl FnMut(&Message, Vec<Message>) -> Option<Vec<Message>> + Send + 'static,
) -> impl FnMut(TcpStream) + Send + 'static {
    move |stream| {
        let (mut stream, opening) = SealedStream::accept(stream, &device);
        assert_eq!(opening.target, Target::Root(Root::of(&bytes)).to_string(), "BT-6.6-6");
        while let Some(Frame { request_id, encoding, message }) = stream.receive() {
            let Some(answers) = twist(&message, honest(&bytes, &message)) else { return };
            for message in answers {
                let raw = matches!(message, Message::Data(_));
                let encoding = if raw { Encoding::Raw } else { encoding };
                // The other side may have had enough.
                if stream.send(Frame { request_id, encoding, message }).is_err() {
                    return;
                }
            }
        }
    }
}

/// No twist at all.
pub(crate) fn as_it_is(_: &Message, answers: Vec<Message>) -> Option<Vec<Message>> {
    Some(answers)
}

/// What an honest source of this content answers.
fn honest(bytes: &[u8], request: &Message) -> Vec<Message> {
    let pieces: Vec<&[u8]> = bytes.chunks(PIECE_BYTES).collect();
    match request {
        Message::Describe(_) => vec![Message::Described(Described {
            file_bytes: FileBytes::new(bytes.len() as u64).unwrap(),
            root: Some(Root::of(bytes)),
            manifest_bytes: None,
            is_complete: true,
        })],
        Message::Fetch(Fetch { part: Part::OUTLINE, first, count }) => {
            let (first, count) = (*first as usize, *count as usize);
            let value = |n: usize| chaining_value((n * PIECE_BYTES) as u64, pieces[n]);
            data(&(first..first + count).flat_map(value).collect::<Vec<u8>>())
        }
        Message::Fetch(Fetch { part: Part::PIECES, first, count }) => {
            data(&pieces[*first as usize..(*first + *count) as usize].concat())
        }
        Message::Renew(_) => vec![Message::Renewed(Renewed {})],
        other => panic!("{other:?} is not asked of a source that has everything"),
    }
}

/// Bytes, as frames.
pub(crate) fn data(bytes: &[u8]) -> Vec<Message> {
    bytes.chunks(65_280).map(|bytes| Message::Data(Bytes::copy_from_slice(bytes))).collect()
}

/// Bytes that don't repeat themselves from piece to piece.
pub(crate) fn content(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    });
    next.take(bytes).collect()
}

/// A member who has published one content. Stays online while it lives, for as long as a session lasts without heartbeats.
pub(crate) struct Sharer {
    client: Client,
    offer: Offer,
}

impl Sharer {
    /// A member with this device, whose file server is said to be at `source`.
    pub(crate) fn log_in(
        server: &Server,
        member: (&str, &str),
        device: &SecretKey,
        source: SocketAddr,
        name: &str,
        bytes: &[u8],
    ) -> Self {
        let mut client = Client::log_in_with(server, device.clone(), member.0, member.1, source.port());
        let file_bytes = FileBytes::new(bytes.len() as u64).unwrap();
        let root = Some(Root::of(bytes));
        let offer = Offer { name: FileName::new(name).unwrap(), file_bytes, root, is_folder: false };
        publish(&mut client, offer.clone());
        Self { client, offer }
    }

    /// The same member's peer, somewhere else, and online again should its session have been over.
    pub(crate) fn move_to(&mut self, source: SocketAddr) {
        let reply = self.client.ask(Encoding::Bincode, login(source.port()));
        assert!(matches!(reply, Reply::LoggedIn(_)), "{reply:?}");
        publish(&mut self.client, self.offer.clone());
    }
}

pub(crate) fn publish(client: &mut Client, offer: Offer) {
    let publish = Publish { files: List::new(vec![offer]).unwrap() };
    let reply = client.ask(Encoding::Bincode, Request::Publish(publish));
    assert!(matches!(reply, Reply::Published(_)), "{reply:?}");
}
