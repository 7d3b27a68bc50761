//! Sources that send too little, too much, nothing, nonsense, or wrong bytes: a clear error in time, and no file.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bittrickle_peer::net::{LegacyDownloadError, download_legacy};
use bittrickle_peer::share::Folder;
use bittrickle_peer::transfer::{Deadlines, RateFloor, TooSlow};
use bittrickle_tests::noise::secret_key;
use bittrickle_tests::peer::Peer;
use bittrickle_tests::sealed_index::{Answer, SealedIndex};
use bittrickle_tests::sealed_stream::INITIATE_BYTES;
use bittrickle_tests::server::Server;
use bittrickle_wire::messages::{Access, Described, Fetch, Part, RefusalCode, Refused, Reply};
use bittrickle_wire::seal::Ticket;
use bittrickle_wire::{FileBytes, HexBytes, Kind, Message, Root};
use bytes::Bytes;

use crate::programs;
use crate::source::{Sharer, Source, as_it_is, content, data, read_request, serve_content};

const ALICE: (&str, &str) = ("alice", "wonderland");

/// How often a source is tried that has brought nothing (BT-3.5-5).
const ATTEMPTS: usize = 3;

/// What stands behind the name in the hostile index.
const CONTENT: &str = r#"{"file_bytes":1,"root":null,"is_folder":false}"#;

type Twist = Box<dyn FnMut(&Message, Vec<Message>) -> Option<Vec<Message>> + Send>;

fn bob(server: &Server) -> Peer {
    Peer::start(&programs(), server, "bob", "builder", &[])
}

/// Everything in the folder that has a name of its own.
fn files(peer: &Peer) -> Vec<String> {
    peer.folder_names().into_iter().filter(|name| !name.starts_with(".bittrickle-")).collect()
}

/// BT-3.3-3, BT-3.5-1, BT-3.5-2, BT-3.5-3, BT-3.5-4: each as a real peer sees it. It is told who it was, and that one isn't
/// asked again.
#[test]
fn a_source_that_lies_is_named_and_not_asked_again() {
    let server = Server::start(&programs());
    let mut bob = bob(&server);
    let (device, bytes) = (secret_key(), content((2 << 20) + 5, 1));
    let nowhere = "127.0.0.1:9999".parse().unwrap();
    let mut alice = Sharer::log_in(&server, ALICE, &device, nowhere, "evil.bin", &bytes);
    for (twist, error) in lies(&bytes) {
        let source = Source::start(1, serve_content(device.clone(), bytes.clone(), twist));
        alice.move_to(source.address);
        let before = bob.stderr().len();
        assert!(bob.ask("get evil.bin").is_empty(), "{error}");
        let told = bob.stderr().split_off(before).join("\n");
        assert!(told.contains("alice at") && told.contains(error), "{error}: {told}");
        assert!(
            told.contains("it is not asked again") && told.contains("every source sends wrong bytes"),
            "{told}"
        );
        source.join();
        assert_eq!(files(&bob), Vec::<String>::new(), "{error}");
    }
    // What was right has been kept all the while.
    let source = Source::start(1, serve_content(device, bytes.clone(), as_it_is));
    alice.move_to(source.address);
    assert_eq!(bob.ask("get evil.bin"), ["File downloaded successfully."]);
    assert!(std::fs::read(bob.path("evil.bin")).unwrap() == bytes);
}

fn lies(bytes: &[u8]) -> Vec<(Twist, &'static str)> {
    let is_pieces = |request: &Message| matches!(request, Message::Fetch(Fetch { part: Part::PIECES, .. }));
    let is_outline = |request: &Message| matches!(request, Message::Fetch(Fetch { part: Part::OUTLINE, .. }));
    let described = |file_bytes: u64, root| {
        let file_bytes = FileBytes::new(file_bytes).unwrap();
        vec![Message::Described(Described { file_bytes, root, manifest_bytes: None, is_complete: true })]
    };
    let on = |is_it: fn(&Message) -> bool, lie: Vec<Message>| -> Twist {
        Box::new(move |request, honest| Some(if is_it(request) { lie.clone() } else { honest }))
    };
    let is_describe: fn(&Message) -> bool = |request| matches!(request, Message::Describe(_));
    let size = bytes.len() as u64;
    let flip: Twist = Box::new(move |request, mut honest| {
        if let (true, Some(Message::Data(bytes))) = (is_pieces(request), honest.last_mut()) {
            let mut changed = bytes.to_vec();
            *changed.last_mut().unwrap() ^= 1;
            *bytes = Bytes::from(changed);
        }
        Some(honest)
    });
    let more: Twist = Box::new(move |request, mut honest| {
        if is_pieces(request) {
            honest.extend(data(&[1]));
        }
        Some(honest)
    });
    vec![
        (on(is_describe, described(size, Some(Root::of(b"another")))), "answers for another content"),
        (on(is_describe, described(size, None)), "answers for another content"),
        (on(is_describe, described(size - 1, Some(Root::of(bytes)))), "answers for another content"),
        (on(is_describe, data(b"hello")), "sends Data where that has no place"),
        (on(is_outline, data(&[7; 96])), "its chaining values are not those of the content"),
        (on(is_outline, data(&[7; 97])), "more bytes than were asked for"),
        (on(is_pieces, described(size, Some(Root::of(bytes)))), "sends Described where that has no place"),
        (more, "where that has no place"),
        (flip, "it sends wrong bytes for piece 2"),
    ]
}

/// BT-3.5-5, BT-3.5-8, BT-3.3-4: who ends, or says no, is tried three times, and what is here is kept.
#[test]
fn a_source_that_brings_nothing_is_tried_three_times() {
    let server = Server::start(&programs());
    let mut bob = bob(&server);
    let (device, bytes) = (secret_key(), content(3 << 20, 2));
    let nowhere = "127.0.0.1:9999".parse().unwrap();
    let mut alice = Sharer::log_in(&server, ALICE, &device, nowhere, "file.bin", &bytes);
    let refused = || Message::Reply(Reply::Refused(Refused::new(RefusalCode::UNREADABLE, "come back later")));
    let twists: [(Twist, &str); 2] = [
        (Box::new(|_, _| None), "it ends the connection"),
        (Box::new(move |_, _| Some(vec![refused()])), "it refuses: come back later"),
    ];
    for (twist, error) in twists {
        let source = Source::start(ATTEMPTS, serve_content(device.clone(), bytes.clone(), twist));
        alice.move_to(source.address);
        let before = bob.stderr().len();
        assert!(bob.ask("get file.bin").is_empty());
        let told = bob.stderr().split_off(before);
        assert_eq!(told.iter().filter(|line| line.contains(error)).count(), ATTEMPTS, "{told:?}");
        assert!(told.last().unwrap().contains("no source is left"), "{told:?}");
        source.join();
        assert_eq!(files(&bob), Vec::<String>::new(), "{error}");
    }
}

/// BT-3.5-4: the download goes on with the others, and the liar is named.
#[test]
fn wrong_bytes_from_one_of_three_sources_do_no_harm() {
    let server = Server::start(&programs());
    let bytes = content((12 << 20) + 77, 3);
    let mut bob = bob(&server);
    let mut sources = Vec::new();
    let mut clients = Vec::new();
    for (member, password, lies) in
        [("alice", "wonderland", false), ("carol", "singer", true), ("alice", "wonderland", false)]
    {
        let device = secret_key();
        let twist = move |request: &Message, honest: Vec<Message>| {
            // Slow enough that all three have their part of it.
            std::thread::sleep(Duration::from_millis(20));
            let pieces = matches!(request, Message::Fetch(Fetch { part: Part::PIECES, .. }));
            let flip = |message: Message| match message {
                Message::Data(bytes) if lies && pieces => {
                    Message::Data(bytes.iter().map(|byte| !byte).collect())
                }
                message => message,
            };
            Some(honest.into_iter().map(flip).collect())
        };
        let source = Source::start(1, serve_content(device.clone(), bytes.clone(), twist));
        clients.push(Sharer::log_in(
            &server,
            (member, password),
            &device,
            source.address,
            "file.bin",
            &bytes,
        ));
        sources.push(source);
    }
    assert_eq!(bob.ask("get file.bin"), ["File downloaded successfully."]);
    assert!(std::fs::read(bob.path("file.bin")).unwrap() == bytes);
    let told = bob.stderr().join("\n");
    assert!(told.contains("carol at") && told.contains("it sends wrong bytes for piece"), "{told}");
    assert!(!told.contains("alice at"), "{told}");
    assert_eq!(files(&bob), ["file.bin"]);
}

/// BT-5.4-1: before the handshake, and after it.
#[test]
fn a_source_that_says_nothing_is_left_in_time() {
    let server = Server::start(&programs());
    let (device, bytes) = (secret_key(), content(10, 4));
    let silent = Source::start(ATTEMPTS, |mut stream: TcpStream| {
        read_request(&mut stream);
        // Returns when the other side has left.
        let _ = stream.read(&mut [0]);
    });
    let mut bob = bob(&server);
    let _alice = Sharer::log_in(&server, ALICE, &device, silent.address, "silent.bin", &bytes);
    let started = Instant::now();
    bob.type_line("get silent.bin");
    bob.wait_for_stderr("does not answer within 5 s");
    assert!(started.elapsed() < Duration::from_secs(12));
}

/// BT-5.4-1: the window is short here, so that the test is.
#[test]
fn a_legacy_source_that_drips_is_left_at_the_end_of_the_window() {
    let source = Source::start(1, |mut stream: TcpStream| {
        read_request(&mut stream);
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let deadlines = Deadlines { window: Duration::from_millis(500), ..Deadlines::default() };
    let (error, names) = fail_to_download(&source, deadlines);
    assert!(matches!(error, LegacyDownloadError::TooSlow(_)), "{error}");
    assert_eq!(names, 0);
    source.join();
}

/// BT-5.4-1
#[test]
fn a_transfer_that_falls_below_the_lowest_rate_is_over_at_the_end_of_the_window() {
    let start = Instant::now();
    let window = Duration::from_secs(30);
    let mut floor = RateFloor::new(start, window);
    floor.add(30 * 4_096);
    assert_eq!(floor.check(start + window), Ok(()), "the lowest rate is enough");
    floor.add(30 * 4_096 - 1);
    assert_eq!(floor.check(start + window + window / 2), Ok(()), "the second window isn't over");
    let too_slow = TooSlow { bytes: 30 * 4_096 - 1, bytes_min: 30 * 4_096, window };
    assert_eq!(floor.check(start + 2 * window), Err(too_slow));
}

/// BT-4.3-4: a legacy source that breaks the connection brings no file, an ordinary end does.
#[test]
fn a_legacy_transfer_that_is_reset_brings_no_file() {
    let source = Source::start(1, |mut stream: TcpStream| {
        read_request(&mut stream);
        stream.write_all(b"half of ").unwrap();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async move {
            stream.set_nonblocking(true).unwrap();
            let stream = tokio::net::TcpStream::from_std(stream).unwrap();
            stream.set_zero_linger().unwrap();
        });
    });
    let (error, names) = fail_to_download(&source, Deadlines::default());
    assert!(matches!(error, LegacyDownloadError::Broken(_)), "{error}");
    assert_eq!(names, 0);
    source.join();
}

/// BT-6.6-1, BT-6.6-7, BT-6.7-7: an index names a source, and somebody else answers at its address. They see a handshake
/// that they can't open, as long for every name, and nothing behind it.
#[test]
fn who_answers_with_another_key_than_the_sources_gets_no_frame() {
    let (source_key, ticket) = (secret_key().public(), Ticket(HexBytes([0x5a; 32])));
    let someone = secret_key();
    let name = "a-name-that-nobody-else-may-read.txt";
    // They break the connection off, answer with what looks like a handshake, with their own first half, or otherwise.
    let accept = [&[0xb7, 1, 0x82, 2, 0, 0, 0, 0, 0, 0, 0, 48][..], &[7; 48]].concat();
    let (_, initiate) =
        bittrickle_tests::sealed_stream::initiate(&someone, &source_key, &ticket, &format!("name:{name}"));
    let not_the_peer = "whoever answers there is not the peer that the server named";
    for (answer, told) in [
        (Vec::new(), "it does not let us in"),
        (accept, not_the_peer),
        (initiate, not_the_peer),
        ([&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[b'x'; 60]].concat(), not_the_peer),
    ] {
        let (seen, sight) = mpsc::channel();
        let attacker = Source::start(ATTEMPTS, move |mut stream| {
            let mut received = vec![0; INITIATE_BYTES];
            stream.read_exact(&mut received).unwrap();
            let _ = stream.write_all(&answer).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
            // The end, or a reset as we were sent more than was read.
            let _ = stream.read_to_end(&mut received);
            seen.send(received).unwrap();
        });
        let index = naming(name, attacker.address, Access { device: source_key, ticket });
        let mut bob = Peer::start(&programs(), &index, "bob", "builder", &[]);
        assert!(bob.ask(&format!("get {name}")).is_empty());
        bob.wait_for_stderr(told);
        attacker.join();
        let received = sight.recv().unwrap();
        assert_eq!(received.len(), INITIATE_BYTES, "nothing follows the handshake");
        let own = index.device_of("bob");
        for secret in [name.as_bytes(), &name.as_bytes()[..8], &ticket.0.0, &ticket.0.0[..8], own.as_bytes()]
        {
            assert!(!received.windows(secret.len()).any(|window| window == secret), "{told}");
        }
        assert_eq!(bob.folder_names(), Vec::<String>::new(), "{told}");
    }
}

/// An index that sends everybody to this source.
fn naming(name: &str, address: SocketAddr, access: Access) -> SealedIndex {
    let Access { device, ticket } = access;
    let access = format!(r#"{{"device":"{device}","ticket":"{}"}}"#, ticket.0);
    let source =
        format!(r#"{{"member":"alice","address":"{address}","content":{CONTENT},"access":{access}}}"#);
    let located = format!(r#"{{"members":1,"sources":[{source}],"next":null}}"#);
    let hit = format!(
        r#"{{"hits":[{{"name":"{name}","content":{CONTENT},"members":1,"sources":1}}],"next":null}}"#
    );
    SealedIndex::start(move |request| match request.kind() {
        Kind::Search => Answer::Json(Kind::Found, hit.clone()),
        Kind::Locate => Answer::Json(Kind::Located, located.clone()),
        _ => Answer::Honest,
    })
}

/// Fetches from a source in the original's format.
fn fail_to_download(source: &Source, deadlines: Deadlines) -> (LegacyDownloadError, usize) {
    let folder = tempfile::tempdir().unwrap();
    let opened = Arc::new(Folder::open(folder.path(), 0o644).unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bytes = Arc::new(AtomicU64::new(0));
    let downloading = download_legacy(source.address, "file.bin", &opened, &deadlines, &bytes);
    let result = runtime.block_on(downloading);
    // What is still being cleaned up ends with the runtime.
    drop(runtime);
    (result.expect_err("the source breaks the rules"), std::fs::read_dir(folder.path()).unwrap().count())
}
