//! Sources that send too little, too much, nothing, nonsense, or all of it slowly: a clear error in time, and no file.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_peer::net::{DownloadError, Progress, SourceAt, download};
use bittrickle_peer::share::Folder;
use bittrickle_peer::transfer::{Deadlines, RateFloor, TooSlow};
use bittrickle_tests::peer::Peer;
use bittrickle_tests::server::Server;
use bittrickle_wire::Message;
use bittrickle_wire::messages::{RefusalCode, Refused, Reply};

use crate::programs;
use crate::source::{Source, answer_with, content, data, done, frames, publish_at, read_request};

const ALICE: (&str, &str) = ("alice", "wonderland");

/// BT-3.3-1, BT-3.3-2, BT-3.3-3, BT-1.3-2: each as a real peer sees it.
#[test]
fn a_source_that_breaks_the_rules_brings_an_error_and_no_file() {
    let server = Server::start(&programs());
    let mut bob = Peer::start(&programs(), server.address(), "bob", "builder", &[]);
    let mut wrong_id = frames(vec![content(5), data(5), done()]);
    wrong_id[7] = 9;
    let mut huge_length = frames(vec![content(5)]);
    huge_length.extend_from_slice(&[0xb7, 1, 0xc1, 2, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]);
    let refused = Refused::new(RefusalCode::BUSY, "come back later");
    let cases = [
        (frames(vec![content(5), data(4), done()]), "1 bytes before the end"),
        (frames(vec![content(5), data(4)]), "ends the connection in the middle"),
        (frames(vec![content(500), data(4)])[..30].to_vec(), "ends the connection in the middle"),
        (frames(vec![content(5), data(4), data(2)]), "1 bytes more than it announced"),
        (frames(vec![content(5), data(0)]), "an empty piece"),
        (frames(vec![data(5), done()]), "sends Data where that has no place"),
        (frames(vec![content(5), content(5)]), "sends Content where that has no place"),
        (frames(vec![Message::Reply(Reply::Refused(refused))]), "refuses: come back later"),
        (wrong_id, "answers another request"),
        (huge_length, "does not speak frames"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "does not speak frames"),
        (vec![0xb7, 9, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0], "version 9 is not spoken"),
        (Vec::new(), "ends the connection in the middle"),
        (frames(vec![content((1 << 53) - 1)]), "bytes left, the file needs"),
    ];
    for (bytes, error) in cases {
        let source = Source::start(1, answer_with(bytes));
        let _alice = publish_at(server.address(), ALICE, source.address, "evil.bin");
        assert!(bob.ask("get evil.bin").is_empty(), "{error}");
        bob.wait_for_stderr(error);
        source.join();
        assert_eq!(bob.folder_names(), Vec::<String>::new(), "{error}");
    }
}

/// BT-5.4-1
#[test]
fn a_source_that_says_nothing_is_left_in_time() {
    let server = Server::start(&programs());
    let mut bob = Peer::start(&programs(), server.address(), "bob", "builder", &[]);
    let source = Source::start(1, |mut stream| {
        read_request(&mut stream);
        // Returns when the other side has left.
        let _ = stream.read(&mut [0]);
    });
    let _alice = publish_at(server.address(), ALICE, source.address, "silent.bin");
    let started = Instant::now();
    assert!(bob.ask("get silent.bin").is_empty());
    bob.wait_for_stderr("does not answer within 5 s");
    assert!(started.elapsed() < Duration::from_secs(15));
    assert_eq!(bob.folder_names(), Vec::<String>::new());
    source.join();
}

/// BT-5.4-1: in both formats. The window is short here, so that the test is.
#[test]
fn a_source_that_drips_is_left_at_the_end_of_the_window() {
    let drip = |mut stream: TcpStream| {
        let framed = read_request(&mut stream).starts_with(&[0xb7]);
        if framed {
            stream.write_all(&frames(vec![content(1_000_000)])).unwrap();
        }
        let piece = if framed { frames(vec![data(1)]) } else { b"x".to_vec() };
        while stream.write_all(&piece).is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let deadlines = Deadlines { window: Duration::from_millis(500), ..Deadlines::default() };
    for legacy in [false, true] {
        let source = Source::start(1, drip);
        let (error, names) = fail_to_download(&source, legacy, deadlines);
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
    let (error, names) = fail_to_download(&source, true, Deadlines::default());
    assert!(matches!(error, DownloadError::Broken(_)), "{error}");
    assert_eq!(names, 0);
    source.join();
}

/// A failed source is replaced by another, by itself.
#[test]
fn when_one_source_fails_the_next_is_asked() {
    let server = Server::start(&programs());
    let bad = Source::start(1, answer_with(frames(vec![content(5), data(2)])));
    let good = Source::start(1, answer_with(frames(vec![content(5), data(5), done()])));
    let _alice = publish_at(server.address(), ALICE, bad.address, "file.bin");
    let _carol = publish_at(server.address(), ("carol", "singer"), good.address, "file.bin");
    let mut bob = Peer::start(&programs(), server.address(), "bob", "builder", &[]);
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
    let mut alice = Peer::start(&programs(), server.address(), "alice", "wonderland", &[]);
    let mut bob = Peer::start(&programs(), server.address(), "bob", "builder", &[]);
    let file = std::fs::File::create(alice.path("big.bin")).unwrap();
    file.set_len(4 << 30).unwrap();
    assert_eq!(alice.ask("pub big.bin"), ["File published successfully"]);
    bob.type_line("get big.bin");
    bittrickle_tests::wait::wait_until("the download has begun", || !bob.folder_names().is_empty());
    alice.kill();
    bob.wait_for_stderr("get big.bin: alice at");
    bittrickle_tests::wait::wait_until("the part is gone", || bob.folder_names().is_empty());
}

fn fail_to_download(source: &Source, legacy: bool, deadlines: Deadlines) -> (DownloadError, usize) {
    let folder = tempfile::tempdir().unwrap();
    let opened = Arc::new(Folder::open(folder.path(), 0o644).unwrap());
    let at = SourceAt { member: None, address: source.address, legacy };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let progress = Progress::default();
    let result = runtime.block_on(download(&at, "file.bin", &opened, &deadlines, &progress));
    // What is still being cleaned up ends with the runtime.
    drop(runtime);
    (result.expect_err("the source breaks the rules"), std::fs::read_dir(folder.path()).unwrap().count())
}
