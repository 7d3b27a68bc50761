//! Sources that send too little, too much, nothing, nonsense, or all of it slowly: a clear error in time, and no file.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bittrickle_peer::net::{DownloadError, Progress, SourceAt, download};
use bittrickle_peer::share::Folder;
use bittrickle_peer::transfer::{Deadlines, RateFloor, TooSlow};
use bittrickle_tests::noise::secret_key;
use bittrickle_tests::peer::Peer;
use bittrickle_tests::sealed_index::{Answer, SealedIndex};
use bittrickle_tests::sealed_stream::{INITIATE_BYTES, SealedStream};
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::wait_until;
use bittrickle_wire::messages::{Access, RefusalCode, Refused, Reply};
use bittrickle_wire::seal::{SecretKey, Ticket};
use bittrickle_wire::{HexBytes, Kind, Message};

use crate::programs;
use crate::source::{
    Source, answer_sealed, answer_with, content, data, done, move_to, publish_at, read_request, say, texts,
};

const ALICE: (&str, &str) = ("alice", "wonderland");

type Serve = Box<dyn FnMut(TcpStream) + Send>;

fn bob(server: &Server) -> Peer {
    Peer::start(&programs(), server, "bob", "builder", &[])
}

/// BT-3.3-1, BT-3.3-2, BT-3.3-3, BT-1.3-2, BT-6.6-5: each as a real peer sees it.
#[test]
fn a_source_that_breaks_the_rules_brings_an_error_and_no_file() {
    let server = Server::start(&programs());
    let mut bob = bob(&server);
    let device = secret_key();
    let mut alice = publish_at(&server, ALICE, &device, "127.0.0.1:9999".parse().unwrap(), "evil.bin");
    for (serve, error) in rule_breakers(&device) {
        let source = Source::start(1, serve);
        move_to(&mut alice, source.address, "evil.bin");
        let before = bob.stderr().len();
        assert!(bob.ask("get evil.bin").is_empty(), "{error}");
        wait_until("the error is told", || bob.stderr().len() > before);
        let told = bob.stderr().split_off(before);
        assert!(told.len() == 1 && told[0].contains(error), "{error}: {told:?}");
        source.join();
        assert_eq!(bob.folder_names(), Vec::<String>::new(), "{error}");
    }
}

fn rule_breakers(device: &SecretKey) -> Vec<(Serve, &'static str)> {
    let sealed = |messages: Vec<Message>| -> Serve { Box::new(answer_sealed(device.clone(), say(messages))) };
    let text = |text: Vec<u8>| -> Serve {
        Box::new(answer_sealed(device.clone(), move |stream| drop(stream.send_text(&text))))
    };
    let unsealed = |bytes: Vec<u8>| -> Serve {
        Box::new(answer_sealed(device.clone(), move |stream| drop(stream.stream().write_all(&bytes))))
    };
    let record = |change: fn(&mut Vec<u8>)| -> Serve {
        Box::new(answer_sealed(device.clone(), move |stream| {
            let mut record = stream.seal(&texts(vec![content(5)])[0]);
            change(&mut record);
            let _ = stream.stream().write_all(&record);
        }))
    };
    let mut wrong_id = texts(vec![content(5)]).remove(0);
    wrong_id[7] = 9;
    let two_frames = texts(vec![content(5), data(5)]).concat();
    let half_a_frame = two_frames[..12].to_vec();
    let too_long = [&[0xb7, 1, 0xc1, 2, 0, 0, 0, 1, 0, 0, 0xff, 1][..], &[b'x'; 65_281]].concat();
    let refused = Refused::new(RefusalCode::BUSY, "come back later");
    vec![
        (sealed(vec![content(5), data(4), done()]), "1 bytes before the end"),
        (sealed(vec![content(5), data(4)]), "ends the connection in the middle"),
        (record(|bytes| bytes.truncate(20)), "ends the connection in the middle"),
        (sealed(vec![content(5), data(4), data(2)]), "1 bytes more than it announced"),
        (sealed(vec![content(5), data(0)]), "an empty piece"),
        (text(too_long), "it does not speak frames: a payload of"),
        (sealed(vec![data(5), done()]), "sends Data where that has no place"),
        (sealed(vec![content(5), content(5)]), "sends Content where that has no place"),
        (sealed(vec![Message::Reply(Reply::Refused(refused))]), "refuses: come back later"),
        (text(wrong_id), "answers another request"),
        (text(two_frames), "it does not speak frames: 17 bytes follow the frame"),
        (text(half_a_frame), "ends the connection in the middle"),
        (text(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "byte 0x48 does not begin a frame"),
        (text(vec![0xb7, 9, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0]), "version 9 is not spoken"),
        (
            unsealed(texts(vec![content(5), data(5), done()]).concat()),
            "the record is not sealed as it should be",
        ),
        (unsealed(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "the record is not sealed as it should be"),
        (unsealed([&[0xb7, 1, 3, 2, 0, 0, 0, 0][..], &[0xff; 4]].concat()), "a payload of 4294967295 bytes"),
        (record(|bytes| *bytes.last_mut().unwrap() ^= 1), "the record is not sealed as it should be"),
        (record(|bytes| bytes[7] ^= 1), "the record is not sealed as it should be"),
        (sealed(vec![]), "ends the connection in the middle"),
        (Box::new(answer_with(Vec::new())), "it does not let us in"),
        (sealed(vec![content((1 << 53) - 1)]), "bytes left, the file needs"),
    ]
}

/// BT-6.5-2, BT-6.6-3: what was sealed once is not taken twice, nor in another order.
#[test]
fn records_that_are_repeated_or_swapped_are_no_file() {
    let device = secret_key();
    let reorder: [fn(&mut Vec<Vec<u8>>); 3] = [
        |records| records.insert(1, records[1].clone()),
        |records| records.swap(1, 2),
        |records| drop(records.remove(1)),
    ];
    for change in reorder {
        let source = Source::start(
            1,
            answer_sealed(device.clone(), move |stream: &mut SealedStream| {
                let texts = texts(vec![content(10), data(5), data(5), done()]);
                let mut records: Vec<Vec<u8>> = texts.iter().map(|text| stream.seal(text)).collect();
                change(&mut records);
                let _ = stream.stream().write_all(&records.concat());
            }),
        );
        let (error, names) = fail_to_download(&source, Some(&device), Deadlines::default());
        assert!(matches!(error, DownloadError::Framing(_)), "{error}");
        assert_eq!(names, 0);
        source.join();
    }
}

/// BT-5.4-1: before the handshake, and after it.
#[test]
fn a_source_that_says_nothing_is_left_in_time() {
    let server = Server::start(&programs());
    let device = secret_key();
    let serves: [Serve; 2] = [
        Box::new(|mut stream| {
            read_request(&mut stream);
            // Returns when the other side has left.
            let _ = stream.read(&mut [0]);
        }),
        Box::new(answer_sealed(device.clone(), |stream| drop(stream.stream().read(&mut [0])))),
    ];
    let sources = serves.map(|serve| Source::start(1, serve));
    let mut bobs = [bob(&server), bob(&server)];
    let mut alice = publish_at(&server, ALICE, &device, sources[0].address, "silent.bin");
    let started = Instant::now();
    for (source, bob) in sources.iter().zip(&mut bobs) {
        move_to(&mut alice, source.address, "silent.bin");
        bob.type_line("get silent.bin");
        // Before it is moved: each asks for another source.
        wait_until("the source is connected to", || connections_to(source.address.port()) > 0);
    }
    for (source, bob) in sources.into_iter().zip(&bobs) {
        bob.wait_for_stderr("does not answer within 5 s");
        assert_eq!(bob.folder_names(), Vec::<String>::new());
        source.join();
    }
    assert!(started.elapsed() < Duration::from_secs(15));
}

/// Connections that stand to a port of this machine, from the kernel's own table.
fn connections_to(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let to = format!(":{port:04X}");
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.filter(|fields| fields[2].ends_with(&to) && fields[3] == "01").count()
}

/// BT-5.4-1: in both formats. The window is short here, so that the test is.
#[test]
fn a_source_that_drips_is_left_at_the_end_of_the_window() {
    let pause = || std::thread::sleep(Duration::from_millis(10));
    let device = secret_key();
    let sealed = answer_sealed(device.clone(), move |stream| {
        say(vec![content(1_000_000)])(stream);
        let piece = texts(vec![data(1)]).remove(0);
        while stream.send_text(&piece).is_ok() {
            pause();
        }
    });
    let legacy = move |mut stream: TcpStream| {
        read_request(&mut stream);
        while stream.write_all(b"x").is_ok() {
            pause();
        }
    };
    let deadlines = Deadlines { window: Duration::from_millis(500), ..Deadlines::default() };
    for (serve, device) in [(Box::new(sealed) as Serve, Some(&device)), (Box::new(legacy), None)] {
        let source = Source::start(1, serve);
        let (error, names) = fail_to_download(&source, device, deadlines);
        assert!(matches!(error, DownloadError::TooSlow(_)), "{error}");
        assert_eq!(names, 0);
        source.join();
    }
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
    let (error, names) = fail_to_download(&source, None, Deadlines::default());
    assert!(matches!(error, DownloadError::Broken(_)), "{error}");
    assert_eq!(names, 0);
    source.join();
}

/// A failed source is replaced by another, by itself.
#[test]
fn when_one_source_fails_the_next_is_asked() {
    let server = Server::start(&programs());
    let (alices, carols) = (secret_key(), secret_key());
    let bad = Source::start(1, answer_sealed(alices.clone(), say(vec![content(5), data(2)])));
    let good = Source::start(1, answer_sealed(carols.clone(), say(vec![content(5), data(5), done()])));
    let mut bob = bob(&server);
    let _alice = publish_at(&server, ALICE, &alices, bad.address, "file.bin");
    let _carol = publish_at(&server, ("carol", "singer"), &carols, good.address, "file.bin");
    assert_eq!(bob.ask("get file.bin"), ["File downloaded successfully."]);
    bob.wait_for_stderr("alice at");
    assert_eq!(std::fs::read(bob.path("file.bin")).unwrap(), b"xxxxx");
    assert_eq!(bob.folder_names(), ["file.bin"]);
    bad.join();
    good.join();
}

/// Killing the source in the middle of a file is told, and nothing is left.
#[test]
fn a_source_that_is_killed_in_the_middle_leaves_no_file() {
    let server = Server::start(&programs());
    let mut alice = Peer::start(&programs(), &server, "alice", "wonderland", &[]);
    let mut bob = bob(&server);
    let file = std::fs::File::create(alice.path("big.bin")).unwrap();
    file.set_len(4 << 30).unwrap();
    assert_eq!(alice.ask("pub big.bin"), ["File published successfully"]);
    bob.type_line("get big.bin");
    wait_until("the download has begun", || !bob.folder_names().is_empty());
    alice.kill();
    bob.wait_for_stderr("get big.bin: alice at");
    wait_until("the part is gone", || bob.folder_names().is_empty());
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
    let (_, initiate) = bittrickle_tests::sealed_stream::initiate(&someone, &source_key, &ticket, name);
    let not_the_peer = "whoever answers there is not the peer that the server named";
    for (answer, told) in [
        (Vec::new(), "it does not let us in"),
        (accept, not_the_peer),
        (initiate, not_the_peer),
        ([&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[b'x'; 60]].concat(), not_the_peer),
    ] {
        let (seen, sight) = mpsc::channel();
        let attacker = Source::start(1, move |mut stream| {
            let mut received = vec![0; INITIATE_BYTES];
            stream.read_exact(&mut received).unwrap();
            let _ = stream.write_all(&answer).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
            // The end, or a reset as we were sent more than was read.
            let _ = stream.read_to_end(&mut received);
            seen.send(received).unwrap();
        });
        let index = naming(attacker.address, Access { device: source_key, ticket });
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
fn naming(address: SocketAddr, access: Access) -> SealedIndex {
    let Access { device, ticket } = access;
    let access = format!(r#"{{"device":"{device}","ticket":"{}"}}"#, ticket.0);
    let source = format!(r#"{{"member":"alice","address":"{address}","file_bytes":1,"access":{access}}}"#);
    let located = format!(r#"{{"members":1,"sources":[{source}],"next":null}}"#);
    SealedIndex::start(move |request| match request.kind() {
        Kind::Locate => Answer::Json(Kind::Located, located.clone()),
        _ => Answer::Honest,
    })
}

/// Fetches from a source: sealed where it has a device's key, in the original's format where it has none.
fn fail_to_download(
    source: &Source,
    device: Option<&SecretKey>,
    deadlines: Deadlines,
) -> (DownloadError, usize) {
    let folder = tempfile::tempdir().unwrap();
    let opened = Arc::new(Folder::open(folder.path(), 0o644).unwrap());
    let ticket = Ticket(HexBytes([0; 32]));
    let access = device.map(|device| Access { device: device.public(), ticket });
    let at = SourceAt { member: None, address: source.address, access };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (progress, own) = (Progress::default(), secret_key());
    let downloading = download(&at, "file.bin", device.map(|_| &own), &opened, &deadlines, &progress);
    let result = runtime.block_on(downloading);
    // What is still being cleaned up ends with the runtime.
    drop(runtime);
    (result.expect_err("the source breaks the rules"), std::fs::read_dir(folder.path()).unwrap().count())
}
