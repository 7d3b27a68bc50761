//! Sources that misbehave: a TCP listener that does what a test tells it to.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use bittrickle_tests::client::Client;
use bittrickle_tests::wait::{PATIENCE, wait_for};
use bittrickle_wire::messages::{Content, Done, Offer, Publish, Reply, Request};
use bittrickle_wire::{Encoding, FileBytes, FileName, Frame, FrameCodec, List, Message};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::Encoder as _;

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

/// Frames as bytes, with the request id that our peer uses for its one `Fetch`.
pub(crate) fn frames(messages: Vec<Message>) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    for message in messages {
        let frame = Frame { request_id: 1, encoding: Encoding::Bincode, message };
        FrameCodec::for_content().encode(frame, &mut bytes).unwrap();
    }
    bytes.to_vec()
}

pub(crate) fn content(file_bytes: u64) -> Message {
    Message::Content(Content { file_bytes: FileBytes::new(file_bytes).unwrap() })
}

pub(crate) fn data(bytes: usize) -> Message {
    Message::Data(Bytes::from(vec![b'x'; bytes]))
}

pub(crate) fn done() -> Message {
    Message::Done(Done {})
}

/// A member whose file server is said to be at `source`, and who has published `name`. Stays online while it lives,
/// for as long as a session lasts without heartbeats.
pub(crate) fn publish_at(server: SocketAddr, member: (&str, &str), source: SocketAddr, name: &str) -> Client {
    let mut client = Client::log_in(server, member.0, member.1, source.port());
    let offer = Offer { name: FileName::new(name).unwrap(), file_bytes: FileBytes::new(5).unwrap() };
    let publish = Publish { files: List::new(vec![offer]).unwrap() };
    let reply = client.ask(Encoding::Bincode, Request::Publish(publish));
    assert!(matches!(reply, Reply::Published(_)), "{reply:?}");
    client
}
