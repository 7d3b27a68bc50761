//! What is shared, and stays shared: `pub *`, names of every spelling, and publications that fail.

use std::fs;

use bittrickle_tests::content::random_bytes;
use bittrickle_tests::get::Taker;
use bittrickle_tests::peer::Peer;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::wait_until;

use crate::programs;

const COMPOSED: &str = "caf\u{e9}.txt";
const DECOMPOSED: &str = "cafe\u{301}.txt";

fn alice(server: &Server) -> Peer {
    Peer::start(&programs(), server, "alice", "wonderland", &[])
}

fn bob(server: &Server) -> Taker {
    Taker::join(&programs(), server, "bob", "builder")
}

/// BT-2.6-4: nor is it withdrawn when the server is back.
#[test]
fn a_publication_that_fails_changes_nothing() {
    let mut server = Server::start(&programs());
    let mut alice = alice(&server);
    alice.share("hello.txt", b"hello");
    server.kill();
    assert!(alice.ask("pub hello.txt").is_empty());
    alice.wait_for_stderr("the server does not answer");
    server.restart();
    alice.wait_for_stderr("The server is back");
    let bob = bob(&server);
    wait_until("it is on offer again", || bob.get("hello.txt").code() == Some(0));
    assert_eq!(fs::read(bob.path("hello.txt")).unwrap(), b"hello");
    assert_eq!(alice.ask("lpf"), ["hello.txt"]);
}

/// BT-3.7-3: a file that changes while the server is away is told when it is back.
#[test]
fn what_is_hashed_while_the_server_is_away_is_published_when_it_is_back() {
    let mut server = Server::start(&programs());
    let mut alice = Peer::start(&programs(), &server, "alice", "wonderland", &["--limit-rate", "1M"]);
    alice.share("log.bin", &random_bytes(6 << 20, 1));
    let bob = bob(&server);
    let get = bob.start("log.bin");
    wait_until("the download has begun", || bob.part_bytes() > 0);
    server.kill();
    let new = random_bytes(2 << 20, 2);
    alice.write("log.bin", &new);
    alice.wait_for_stderr(
        "log.bin: the server does not answer; its hash is published when the server answers",
    );
    drop(get);
    server.restart();
    wait_until("the new one is on offer", || bob.get("log.bin").code() == Some(0));
    assert!(fs::read(bob.path("log.bin")).unwrap() == new);
}

/// BT-2.1-3, BT-3.6-5: everything that can be, and of the rest each with its reason, as far as anybody reads.
#[test]
fn everything_is_published_and_what_can_not_be_is_told() {
    let server = Server::start(&programs());
    let mut alice = alice(&server);
    for number in 0..40 {
        alice.write(&format!("{number}.txt"), number.to_string().as_bytes());
    }
    fs::create_dir(alice.path("photos")).unwrap();
    alice.write("photos/a.jpg", b"a");
    alice.write("photos/b:c", b"b");
    for name in ["10:00.log", ".env", "a\tb"] {
        alice.write(name, b"x");
    }
    assert_eq!(alice.ask("pub *"), ["Published 40 files and 1 folder."]);
    let told = alice.stderr().join("\n");
    for line in [
        "not published: 10:00.log: its name is not acceptable",
        "not published: .env: its name is not acceptable",
        "not published: a\\u{9}b: its name is not acceptable",
        "not published: photos/b:c: its name is not acceptable",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    let bob = bob(&server);
    assert_eq!(bob.get("39.txt").code(), Some(0));
    assert_eq!(bob.get("photos/").code(), Some(0), "as `sch` shows it");
    assert_eq!(fs::read(bob.path("photos/a.jpg")).unwrap(), b"a");

    for number in 0..30 {
        alice.write(&format!("{number}:"), b"x");
    }
    assert_eq!(alice.ask("pub *"), ["Published 40 files and 1 folder."]);
    assert!(alice.stderr().contains(&"not published as well: 14 more".to_owned()), "{:?}", alice.stderr());
}

/// BT-2.1-13: a Mac's files, and what is pasted from one, are what everybody else calls them.
#[test]
fn names_are_composed_however_they_are_spelled() {
    let server = Server::start(&programs());
    let mut alice = alice(&server);
    alice.write(DECOMPOSED, b"coffee");
    let inside = alice.path("cafe\u{301}s").join("e\u{301}");
    fs::create_dir_all(&inside).unwrap();
    fs::write(inside.join(DECOMPOSED), b"inside").unwrap();
    assert_eq!(alice.ask("pub *"), ["Published 1 file and 1 folder."], "{:?}", alice.stderr());
    assert_eq!(alice.ask("lpf"), [COMPOSED, "caf\u{e9}s"]);
    for spelling in [COMPOSED, DECOMPOSED] {
        let bob = bob(&server);
        assert_eq!(bob.get(spelling).code(), Some(0), "{spelling}");
        assert_eq!(fs::read(bob.path(COMPOSED)).unwrap(), b"coffee");
    }
    let bob = bob(&server);
    let ended = bob.get("cafe\u{301}s");
    assert_eq!(ended.code(), Some(0), "{}", ended.told());
    assert_eq!(fs::read(bob.path("caf\u{e9}s/\u{e9}").join(COMPOSED)).unwrap(), b"inside");
    assert_eq!(alice.ask(&format!("unp {DECOMPOSED}")), ["File unpublished successfully"]);
    alice.publish(DECOMPOSED);
}
