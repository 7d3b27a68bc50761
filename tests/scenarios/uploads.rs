//! The peer's file server, from the other side: whom it lets in, what it refuses, how much it takes, when it closes.

mod admission;
mod bounds;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bittrickle_tests::noise::secret_key;
use bittrickle_tests::peer::Peer;
use bittrickle_tests::sealed_index::SealedIndex;
use bittrickle_tests::sealed_stream::SealedStream;
use bittrickle_wire::messages::{Heartbeat, RefusalCode, Reply, Request, Versions};
use bittrickle_wire::seal::{PublicKey, SecretKey, Ticket};
use bittrickle_wire::{Encoding, Frame, Message};

use crate::programs;

/// A peer that shares files, and an index that gives tickets for them to whom the test likes.
struct Sharing {
    alice: Peer,
    index: SealedIndex,
    /// Who fetches.
    device: SecretKey,
    /// Where Alice's file server is, and her device's key.
    address: SocketAddr,
    provider: PublicKey,
}

/// As long as the index's tickets are good.
const LIFE_MS: i64 = 120_000;

impl Sharing {
    fn start(files: &[(&str, &[u8])]) -> Self {
        let index = SealedIndex::honest();
        let mut alice = Peer::start(&programs(), &index, "alice", "wonderland", &[]);
        for (name, bytes) in files {
            alice.write(name, bytes);
            assert_eq!(alice.ask(&format!("pub {name}")), ["File published successfully"]);
        }
        let (address, provider) = (index.source_of("alice"), index.device_of("alice"));
        Self { alice, index, device: secret_key(), address, provider }
    }

    fn ticket(&self, name: &str, ends_in_ms: i64) -> Ticket {
        self.index.ticket("alice", &self.device.public(), name, ends_in_ms)
    }

    fn connect(&self) -> TcpStream {
        connect_from(Ipv4Addr::LOCALHOST, self.address)
    }

    /// A connection of a device of its own, with a good ticket for this name.
    fn enter(&self, name: &str) -> SealedStream {
        self.enter_as(&secret_key(), name).expect("the ticket is good")
    }

    /// A connection of this device with a good ticket, unless it is closed without a byte.
    fn enter_as(&self, device: &SecretKey, name: &str) -> Option<SealedStream> {
        let ticket = self.index.ticket("alice", &device.public(), name, LIFE_MS);
        self.show(device, &ticket, name)
    }

    /// A connection with whatever ticket, unless it is closed without a byte.
    fn show(&self, device: &SecretKey, ticket: &Ticket, name: &str) -> Option<SealedStream> {
        SealedStream::begin(self.connect(), device, &self.provider, ticket, name)
    }

    /// What `status` says about those who weren't let in.
    fn turned_away(&mut self) -> String {
        let lines = self.alice.ask("status");
        let line = lines.iter().find_map(|line| line.strip_prefix("turned away"));
        line.expect("it is told").trim().to_owned()
    }
}

/// A connection from this address.
fn connect_from(ip: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(IpAddr::V4(ip), 0)).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn heartbeat() -> Frame {
    let message = Message::Request(Request::Heartbeat(Heartbeat {}));
    Frame { request_id: 2, encoding: Encoding::Bincode, message }
}

fn refusal(frame: Option<Frame>) -> RefusalCode {
    match frame.expect("an answer").message {
        Message::Reply(Reply::Refused(refused)) => refused.code,
        other => panic!("{other:?}"),
    }
}

/// All that comes until the other side closes; a reset is an end, too.
fn rest_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it is closed in time");
    }
    rest
}

/// BT-3.1-2, BT-3.3-1, BT-1.2-2, BT-1.2-3, BT-6.6-1, BT-6.6-3
#[test]
fn fetches_on_one_connection_are_answered_one_after_the_other() {
    let big = vec![7; 200_000];
    let sharing = Sharing::start(&[("small", b"abc"), ("big", &big), ("empty", b"")]);
    for (name, expected) in [("small", &b"abc"[..]), ("big", &big), ("empty", b"")] {
        let mut stream = sharing.enter(name);
        for id in [5, 6, 7] {
            stream.fetch(id, Encoding::Json, name).unwrap();
        }
        for id in [5, 6, 7] {
            let mut bytes = Vec::new();
            loop {
                let frame = stream.receive().unwrap();
                assert_eq!(frame.request_id, id);
                match frame.message {
                    Message::Content(content) => {
                        assert_eq!(frame.encoding, Encoding::Json);
                        assert_eq!(content.file_bytes.bytes(), expected.len() as u64);
                    }
                    Message::Data(data) => {
                        assert!((1..=65_280).contains(&data.len()));
                        bytes.extend_from_slice(&data);
                    }
                    Message::Done(_) => break,
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(bytes, expected);
        }
    }
}

/// BT-3.1-1, BT-3.2-1, BT-1.6-1, BT-1.6-2
#[test]
fn only_what_is_published_is_served_and_refusals_keep_the_connection() {
    let mut sharing = Sharing::start(&[("shared", b"abc"), ("gone", b"x"), ("taken back", b"y")]);
    sharing.alice.write("private", b"secret");
    std::fs::remove_file(sharing.alice.path("gone")).unwrap();
    assert_eq!(sharing.alice.ask("unp taken back"), ["File unpublished successfully"]);
    let cases = [
        ("private", RefusalCode::NOT_SHARED),
        ("taken back", RefusalCode::NOT_SHARED),
        ("gone", RefusalCode::UNREADABLE),
    ];
    for (name, code) in cases {
        let mut stream = sharing.enter(name);
        for id in [1, 2] {
            stream.fetch(id, Encoding::Bincode, name).unwrap();
            assert_eq!(refusal(stream.receive()), code, "{name}");
        }
    }
    let mut stream = sharing.enter("shared");
    stream.send(heartbeat()).unwrap();
    assert_eq!(refusal(stream.receive()), RefusalCode::UNEXPECTED_KIND);
    stream.send_text(&[0xb7, 1, 0x77, 1, 0, 0, 0, 3, 0, 0, 0, 0]).unwrap();
    assert_eq!(refusal(stream.receive()), RefusalCode::UNKNOWN_KIND);
    let evil = br#"{"name":"../shared"}"#;
    let head = [0xb7, 1, 0x40, 0, 0, 0, 0, 4, 0, 0, 0, evil.len() as u8];
    stream.send_text(&[&head[..], evil].concat()).unwrap();
    assert_eq!(refusal(stream.receive()), RefusalCode::MALFORMED);
    stream.fetch(9, Encoding::Bincode, "shared").unwrap();
    let content = stream.receive().unwrap().message;
    assert!(matches!(content, Message::Content(_)), "{content:?}");
}

/// BT-1.3-2, BT-1.7-2, BT-6.6-5: behind the handshake.
#[test]
fn a_stream_that_can_not_be_read_is_closed() {
    let sharing = Sharing::start(&[("shared", b"abc")]);
    let started = Instant::now();
    let fetch = [&[0xb7, 1, 0x40, 0, 0, 0, 0, 1, 0, 0, 0, 17][..], br#"{"name":"shared"}"#].concat();
    let huge = [0xb7, 1, 0x40, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
    for text in [&b"HELLO WORLD!"[..], &huge, &fetch[..20], &[&fetch[..], b"x"].concat(), &fetch.repeat(2)] {
        let mut stream = sharing.enter("shared");
        stream.send_text(text).unwrap();
        assert_eq!(stream.receive(), None, "{text:02x?}");
    }
    // What isn't sealed at all, what was changed on its way, what is sent twice, and what no record may declare.
    let mut stream = sharing.enter("shared");
    stream.stream().write_all(&fetch).unwrap();
    assert_eq!(stream.receive(), None);
    let mut stream = sharing.enter("shared");
    let mut changed = stream.seal(&fetch);
    changed[20] ^= 1;
    stream.stream().write_all(&changed).unwrap();
    assert_eq!(stream.receive(), None);
    let mut stream = sharing.enter("shared");
    let record = stream.seal(&fetch);
    stream.stream().write_all(&record.repeat(2)).unwrap();
    for _ in 0..3 {
        assert_eq!(stream.receive().map(|frame| frame.request_id), Some(1), "the first one is answered");
    }
    assert_eq!(stream.receive(), None);
    let mut stream = sharing.enter("shared");
    stream.stream().write_all(&[0xb7, 1, 0x03, 2, 0, 0, 0, 0, 0, 0, 0xff, 0xff]).unwrap();
    assert_eq!(stream.receive(), None, "more than a request may have is not waited for");

    let mut stream = sharing.enter("shared");
    stream.send_text(&[0xb7, 2, 0x40, 1, 0, 0, 0, 1, 0, 0, 0, 0]).unwrap();
    let versions = stream.receive().unwrap();
    assert_eq!((versions.request_id, versions.message), (1, Message::Versions(Versions::SPOKEN)));
    assert_eq!(stream.receive(), None);
    assert!(started.elapsed() < Duration::from_secs(4), "each is closed at once");
}

/// BT-4.3-1, BT-4.3-2, BT-4.3-3
#[test]
fn a_legacy_get_is_served_for_published_names_and_reset_for_all_others() {
    let sharing = Sharing::start(&[("notes.txt", b"abc"), ("empty", b"")]);
    sharing.alice.write("private", b"secret");
    let get = |request: &[u8]| {
        let mut stream = sharing.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map(|_| answer).ok()
    };
    assert_eq!(get(b"GET notes.txt"), Some(b"abc".to_vec()));
    assert_eq!(get(b"GET notes.txt\n"), Some(b"abc".to_vec()));
    assert_eq!(get(b"GET  notes.txt \r\n"), Some(b"abc".to_vec()));
    assert_eq!(get(b"GET empty"), Some(Vec::new()));
    let absolute = format!("GET {}", sharing.alice.path("notes.txt").display());
    for request in [
        &b"GET private"[..],
        b"GET ./notes.txt",
        b"GET ../notes.txt",
        absolute.as_bytes(),
        b"GET",
        b"GET a b",
        b"GOT notes.txt",
        b"GET \xff\xfe",
        &[b'G'; 2_000],
    ] {
        assert_eq!(get(request), None, "{}", String::from_utf8_lossy(request));
    }
}

/// BT-4.3-5
#[test]
fn nothing_is_taken_in_clear_from_another_machine() {
    let from = |ip: &str| bittrickle_peer::net::takes_legacy_from(ip.parse().unwrap());
    assert!(from("127.0.0.1") && from("127.8.9.10") && from("::1") && from("::ffff:127.0.0.1"));
    assert!(
        !from("192.0.2.1")
            && !from("10.0.0.1")
            && !from("fe80::1")
            && !from("::ffff:192.0.2.1")
            && !from("0.0.0.0")
    );
}

/// BT-3.3-2: a file that shrinks while it is sent is not completed.
#[test]
fn a_file_that_shrinks_while_it_travels_is_never_called_done() {
    let sharing = Sharing::start(&[("big", &vec![1; 8_000_000])]);
    let mut stream = sharing.enter("big");
    stream.fetch(1, Encoding::Bincode, "big").unwrap();
    let content = stream.receive().unwrap();
    assert!(matches!(content.message, Message::Content(_)));
    std::fs::File::options().write(true).open(sharing.alice.path("big")).unwrap().set_len(10).unwrap();
    let mut bytes = 0;
    while let Some(frame) = stream.receive() {
        match frame.message {
            Message::Data(data) => bytes += data.len(),
            // Fast enough to have been read before it shrank: then all of it was sent.
            Message::Done(_) => return assert_eq!(bytes, 8_000_000),
            other => panic!("{other:?}"),
        }
    }
    assert!(bytes < 8_000_000);
}
