//! The peer's file server, from the other side: whom it lets in, what it refuses, how much it takes, when it closes.

mod admission;
mod bounds;
mod taken_back;
mod turns;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bittrickle_tests::noise::secret_key;
use bittrickle_tests::peer::Peer;
use bittrickle_tests::sealed_index::SealedIndex;
use bittrickle_tests::sealed_stream::SealedStream;
use bittrickle_wire::messages::{
    AskHave, Describe, Fetch, Heartbeat, Part, RefusalCode, Reply, Request, Versions,
};
use bittrickle_wire::seal::{PublicKey, SecretKey, Ticket};
use bittrickle_wire::{Encoding, Frame, Message, Root, Target};

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

/// Files up to this are published with their root.
const HASHED_AT_ONCE_BYTES: u64 = 64 << 20;

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
        self.index.ticket("alice", &self.device.public(), &self.target(name), ends_in_ms)
    }

    fn connect(&self) -> TcpStream {
        connect_from(Ipv4Addr::LOCALHOST, self.address)
    }

    /// The target that stands for what is shared under this name: its root, or the name where nothing is.
    fn target(&self, name: &str) -> String {
        let path = self.alice.path(name);
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() <= HASHED_AT_ONCE_BYTES => {
                Target::Root(Root::of(&std::fs::read(path).unwrap())).to_string()
            }
            Ok(_) | Err(_) => format!("name:{name}"),
        }
    }

    /// A connection of a device of its own, with a good ticket for what this name stands for.
    fn enter(&self, name: &str) -> SealedStream {
        self.enter_for(&self.target(name))
    }

    /// The same for this target.
    fn enter_for(&self, target: &str) -> SealedStream {
        let device = secret_key();
        let ticket = self.index.ticket("alice", &device.public(), target, LIFE_MS);
        self.show_for(&device, &ticket, target).expect("the ticket is good")
    }

    /// Takers of 63 pieces of this, as many as there are slots, that have read the first bytes only. Each asks as soon as it
    /// is let in: who doesn't within five seconds is closed.
    fn take_all_slots(&self, target: &str) -> Vec<SealedStream> {
        let taker = |_| {
            let mut taker = self.enter_for(target);
            taker.fetch(1, Encoding::Bincode, 0, 63).unwrap();
            assert!(taker.receive().is_some(), "its upload has begun");
            taker
        };
        (0..32).map(taker).collect()
    }

    /// A connection of this device with a good ticket, unless it is closed without a byte.
    fn enter_as(&self, device: &SecretKey, name: &str) -> Option<SealedStream> {
        let target = self.target(name);
        let ticket = self.index.ticket("alice", &device.public(), &target, LIFE_MS);
        self.show_for(device, &ticket, &target)
    }

    /// A connection with whatever ticket, unless it is closed without a byte.
    fn show(&self, device: &SecretKey, ticket: &Ticket, name: &str) -> Option<SealedStream> {
        self.show_for(device, ticket, &self.target(name))
    }

    fn show_for(&self, device: &SecretKey, ticket: &Ticket, target: &str) -> Option<SealedStream> {
        SealedStream::begin(self.connect(), device, &self.provider, ticket, target)
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

/// All bytes that answer a `Fetch`, as many as these.
fn bytes_of(stream: &mut SealedStream, id: u32, bytes: usize) -> Vec<u8> {
    let mut received = Vec::new();
    while received.len() < bytes {
        let frame = stream.receive().expect("more is to come");
        assert_eq!(frame.request_id, id);
        let Message::Data(data) = frame.message else { panic!("{:?}", frame.message) };
        assert!((1..=65_280).contains(&data.len()));
        received.extend_from_slice(&data);
    }
    assert_eq!(received.len(), bytes);
    received
}

/// BT-3.2-2, BT-3.3-1, BT-1.2-2, BT-1.2-3, BT-6.6-1, BT-6.6-3
#[test]
fn fetches_on_one_connection_are_answered_one_after_the_other() {
    let big: Vec<u8> = (0..3_000_000_u32).map(|i| (i / 7) as u8).collect();
    let sharing = Sharing::start(&[("small", b"abc"), ("big", &big)]);
    for (name, expected) in [("small", &b"abc"[..]), ("big", &big)] {
        let mut stream = sharing.enter(name);
        let pieces = expected.len().div_ceil(1 << 20) as u32;
        for id in [5, 6, 7] {
            stream.fetch(id, Encoding::Json, 0, pieces).unwrap();
        }
        for id in [5, 6, 7] {
            assert_eq!(bytes_of(&mut stream, id, expected.len()), expected);
        }
        stream.fetch(8, Encoding::Bincode, pieces - 1, 1).unwrap();
        let last = &expected[(pieces as usize - 1) << 20..];
        assert_eq!(bytes_of(&mut stream, 8, last.len()), last);
    }
}

/// BT-3.2-3, BT-3.2-4, BT-3.2-5, BT-5.3-4: what is no range of it is refused, and the connection goes on.
#[test]
fn a_content_is_described_and_only_its_ranges_are_sent() {
    let big = vec![7; (2 << 20) + 5];
    let sharing = Sharing::start(&[("big", &big)]);
    let mut stream = sharing.enter("big");
    let mut ask = |message| {
        stream.send(Frame { request_id: 1, encoding: Encoding::Json, message }).unwrap();
        stream.receive().expect("an answer").message
    };
    let Message::Described(described) = ask(Message::Describe(Describe {})) else { panic!() };
    assert_eq!(described.file_bytes.bytes(), big.len() as u64);
    assert_eq!(described.root, Some(Root::of(&big)));
    assert!(described.is_complete && described.manifest_bytes.is_none());
    let Message::Have(have) = ask(Message::AskHave(AskHave { first: 0 })) else { panic!() };
    assert_eq!((have.first, have.bitmap.as_bytes()), (0, &[0b111][..]));
    let Message::Have(have) = ask(Message::AskHave(AskHave { first: 4_096 })) else { panic!() };
    assert_eq!((have.first, have.bitmap.as_bytes()), (4_096, &[][..]), "past the end there is nothing");
    let fetch = |part, first, count| Message::Fetch(Fetch { part, first, count });
    for wrong in [
        Message::AskHave(AskHave { first: 8 }),
        fetch(Part::PIECES, 0, 0),
        fetch(Part::PIECES, 0, 4),
        fetch(Part::PIECES, 3, 1),
        fetch(Part::PIECES, u32::MAX, u32::MAX),
        fetch(Part::OUTLINE, 0, 4),
        fetch(Part::OUTLINE, 0, 0),
        fetch(Part::MANIFEST, 0, 1),
        fetch(Part(9), 0, 1),
    ] {
        let Message::Reply(Reply::Refused(refused)) = ask(wrong.clone()) else { panic!("{wrong:?}") };
        assert_eq!(refused.code, RefusalCode::MALFORMED, "{wrong:?}");
    }
    let Message::Data(outline) = ask(fetch(Part::OUTLINE, 0, 3)) else { panic!() };
    let (values, _) = outline.as_chunks();
    assert_eq!(bittrickle_wire::content::merge(values), Root::of(&big), "BT-3.1-6, BT-3.1-7");
}

/// BT-3.4-4, BT-3.1-5: by a name, each piece is followed by its chaining value.
#[test]
fn a_piece_that_is_fetched_by_name_comes_with_its_value() {
    let big = vec![9; (1 << 20) + 100];
    let sharing = Sharing::start(&[("big", &big), ("small", b"abc")]);
    for (name, bytes) in [("big", &big[..]), ("small", b"abc")] {
        let target = format!("name:{name}");
        let ticket = sharing.index.ticket("alice", &sharing.device.public(), &target, LIFE_MS);
        let mut stream = sharing.show_for(&sharing.device, &ticket, &target).unwrap();
        let pieces: Vec<&[u8]> = bytes.chunks(1 << 20).collect();
        stream.fetch(1, Encoding::Bincode, 0, pieces.len() as u32).unwrap();
        let received = bytes_of(&mut stream, 1, bytes.len() + 32 * pieces.len());
        let mut expected = Vec::new();
        for (number, piece) in pieces.iter().enumerate() {
            expected.extend_from_slice(piece);
            match pieces.len() {
                1 => expected.extend_from_slice(Root::of(piece).as_bytes()),
                _ => expected.extend(bittrickle_wire::content::chaining_value((number as u64) << 20, piece)),
            }
        }
        assert!(received == expected, "{name}");
        stream.send(fetch_outline(2)).unwrap();
        assert_eq!(refusal(stream.receive()), RefusalCode::NOT_HERE);
    }
}

fn fetch_outline(request_id: u32) -> Frame {
    let message = Message::Fetch(Fetch { part: Part::OUTLINE, first: 0, count: 1 });
    Frame { request_id, encoding: Encoding::Bincode, message }
}

/// BT-3.7-1, BT-3.3-4, BT-1.6-1, BT-1.6-2
#[test]
fn only_what_is_published_is_served_and_refusals_keep_the_connection() {
    let mut sharing = Sharing::start(&[("shared", b"abc"), ("gone", b"x"), ("taken back", b"y")]);
    sharing.alice.write("private", b"secret");
    let mut gone = sharing.enter("gone");
    std::fs::remove_file(sharing.alice.path("gone")).unwrap();
    assert_eq!(sharing.alice.ask("unp taken back"), ["File unpublished successfully"]);
    for name in ["private", "taken back"] {
        let mut stream = sharing.enter(name);
        for id in [1, 2] {
            stream.fetch(id, Encoding::Bincode, 0, 1).unwrap();
            assert_eq!(refusal(stream.receive()), RefusalCode::NOT_SHARED, "{name}");
        }
    }
    gone.fetch(1, Encoding::Bincode, 0, 1).unwrap();
    assert_eq!(refusal(gone.receive()), RefusalCode::CHANGED, "BT-3.7-2");
    let mut stream = sharing.enter("shared");
    stream.send(heartbeat()).unwrap();
    assert_eq!(refusal(stream.receive()), RefusalCode::UNEXPECTED_KIND);
    stream.send_text(&[0xb7, 1, 0x77, 1, 0, 0, 0, 3, 0, 0, 0, 0]).unwrap();
    assert_eq!(refusal(stream.receive()), RefusalCode::UNKNOWN_KIND);
    let evil = br#"{"name":"../shared"}"#;
    let head = [0xb7, 1, 0x41, 0, 0, 0, 0, 4, 0, 0, 0, evil.len() as u8];
    stream.send_text(&[&head[..], evil].concat()).unwrap();
    assert_eq!(refusal(stream.receive()), RefusalCode::MALFORMED);
    stream.fetch(9, Encoding::Bincode, 0, 1).unwrap();
    assert_eq!(bytes_of(&mut stream, 9, 3), b"abc");
}

/// BT-1.3-2, BT-1.7-2, BT-6.6-5: behind the handshake.
#[test]
fn a_stream_that_can_not_be_read_is_closed() {
    let sharing = Sharing::start(&[("shared", b"abc")]);
    let started = Instant::now();
    let fetch = [&[0xb7, 1, 0x41, 1, 0, 0, 0, 1, 0, 0, 0, 3][..], &[2, 0, 1]].concat();
    let huge = [0xb7, 1, 0x41, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
    for text in [&b"HELLO WORLD!"[..], &huge, &fetch[..13], &[&fetch[..], b"x"].concat(), &fetch.repeat(2)] {
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
    assert_eq!(stream.receive().map(|frame| frame.request_id), Some(1), "the first one is answered");
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

/// BT-3.3-2, BT-3.7-2, BT-3.7-3: what isn't the file that was hashed is never sent, and hashed again.
#[test]
fn a_file_that_changes_while_it_is_served_is_refused_and_published_anew() {
    let sharing = Sharing::start(&[("big", &vec![1; 3 << 20])]);
    let mut stream = sharing.enter("big");
    stream.fetch(1, Encoding::Bincode, 0, 1).unwrap();
    assert_eq!(bytes_of(&mut stream, 1, 1 << 20), vec![1; 1 << 20]);
    std::fs::File::options().write(true).open(sharing.alice.path("big")).unwrap().set_len(10).unwrap();
    stream.fetch(2, Encoding::Bincode, 1, 1).unwrap();
    assert_eq!(refusal(stream.receive()), RefusalCode::CHANGED);
    // Once it is hashed anew, what this connection was opened for isn't shared any more.
    stream.fetch(3, Encoding::Bincode, 2, 1).unwrap();
    let code = refusal(stream.receive());
    assert!([RefusalCode::CHANGED, RefusalCode::NOT_SHARED].contains(&code), "{code:?}");
    sharing.alice.wait_for_stderr("big has changed on disk; it is hashed and published anew");
    let hashed = sharing.alice.wait_for_stderr("big is hashed: ");
    assert!(hashed.ends_with(&Root::of(&[1; 10]).to_string()), "{hashed}");
    let mut stream = sharing.enter("big");
    stream.fetch(1, Encoding::Bincode, 0, 1).unwrap();
    assert_eq!(bytes_of(&mut stream, 1, 10), [1; 10]);
}
