//! Sources that misbehave: a TCP listener that does what a test tells it to.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use bittrickle_tests::client::{Client, login};
use bittrickle_tests::sealed_stream::SealedStream;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::{PATIENCE, wait_for};
use bittrickle_wire::messages::{Content, Done, Offer, Publish, Reply, Request};
use bittrickle_wire::seal::SecretKey;
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

/// Lets a peer in as the owner of `device`, takes its `Fetch`, answers as it is told, and ends the stream.
pub(crate) fn answer_sealed(
    device: SecretKey,
    mut answer: impl FnMut(&mut SealedStream) + Send + 'static,
) -> impl FnMut(TcpStream) + Send + 'static {
    move |stream| {
        let (mut stream, opening) = SealedStream::accept(stream, &device);
        let fetch = stream.receive().expect("a request");
        assert_eq!(fetch.request_id, 1);
        let Message::Fetch(fetch) = fetch.message else { panic!("{fetch:?}") };
        assert_eq!(fetch.name.as_str(), opening.name, "BT-6.6-6");
        answer(&mut stream);
        // As above.
        let _ = stream.stream().shutdown(Shutdown::Write);
        let _ = stream.stream().read(&mut [0]);
    }
}

/// Each message as the text of a record, with the request id that our peer uses for its one `Fetch`.
pub(crate) fn texts(messages: Vec<Message>) -> Vec<Vec<u8>> {
    let text = |message| {
        let mut bytes = BytesMut::new();
        let frame = Frame { request_id: 1, encoding: Encoding::Bincode, message };
        FrameCodec::for_content().encode(frame, &mut bytes).unwrap();
        bytes.to_vec()
    };
    messages.into_iter().map(text).collect()
}

/// Answers with these messages.
pub(crate) fn say(messages: Vec<Message>) -> impl FnMut(&mut SealedStream) + Send + 'static {
    let texts = texts(messages);
    move |stream| {
        for text in &texts {
            // The other side may close before it has read everything.
            let _ = stream.send_text(text);
        }
    }
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

/// A member with this device, whose file server is said to be at `source`, and who has published `name`. Stays online
/// while it lives, for as long as a session lasts without heartbeats.
pub(crate) fn publish_at(
    server: &Server,
    member: (&str, &str),
    device: &SecretKey,
    source: SocketAddr,
    name: &str,
) -> Client {
    let mut client = Client::log_in_with(server, device.clone(), member.0, member.1, source.port());
    publish(&mut client, name);
    client
}

/// The same for a member who is there already.
pub(crate) fn move_to(client: &mut Client, source: SocketAddr, name: &str) {
    let reply = client.ask(Encoding::Bincode, login(source.port()));
    assert!(matches!(reply, Reply::LoggedIn(_)), "{reply:?}");
    publish(client, name);
}

fn publish(client: &mut Client, name: &str) {
    let offer = Offer { name: FileName::new(name).unwrap(), file_bytes: FileBytes::new(5).unwrap() };
    let publish = Publish { files: List::new(vec![offer]).unwrap() };
    let reply = client.ask(Encoding::Bincode, Request::Publish(publish));
    assert!(matches!(reply, Reply::Published(_)), "{reply:?}");
}
