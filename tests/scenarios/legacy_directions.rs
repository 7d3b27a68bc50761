//! The original and we, in all four directions, and mixed. The other side is written without our code.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use bittrickle_tests::get::Taker;
use bittrickle_tests::legacy_client::{LegacyClient, exchange};
use bittrickle_tests::legacy_server::LegacyServer;
use bittrickle_tests::peer::{At, Peer};
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::{PATIENCE, wait_for, wait_until};
use rustix::process::Signal;

use crate::programs;

const ACCOUNTS: [(&str, &str); 2] = [("alice", "wonderland"), ("bob", "builder")];
const DOWNLOADED: &str = "File downloaded successfully.";

/// Sizes around every buffer on the way.
fn contents() -> Vec<(String, Vec<u8>)> {
    let sizes = [0, 1, 1_023, 1_024, 1_025, 65_280, 65_281, 3_000_000];
    let content = |size: usize| (0..size).map(|i| (i * 31 % 251) as u8).collect();
    sizes.into_iter().map(|size| (format!("file-{size}.bin"), content(size))).collect()
}

fn legacy(server: std::net::SocketAddr, account: (&str, &str), folder: &Path) -> LegacyClient {
    LegacyClient::login(server, account.0, account.1, folder).unwrap()
}

fn published(index: &LegacyClient, name: &str) {
    assert_eq!(index.publish(name), Ok("File published successfully".to_owned()));
}

/// BT-4.1-1, BT-4.2-1, BT-4.3-1
#[test]
fn original_clients_share_files_through_our_server() {
    let server = Server::start(&programs());
    let (alices, bobs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let alice = legacy(server.address(), ACCOUNTS[0], alices.path());
    let bob = legacy(server.address(), ACCOUNTS[1], bobs.path());
    for (name, content) in contents() {
        fs::write(alices.path().join(&name), &content).unwrap();
        published(&alice, &name);
        assert_eq!(bob.search(&name), Ok(vec![name.clone()]));
        assert_eq!(bob.get(&name), Ok(()));
        assert_eq!(fs::read(bobs.path().join(&name)).unwrap(), content, "{name}");
    }
    assert_eq!(bob.active_peers(), Ok(vec!["alice".to_owned()]));
    assert_eq!(alice.published_files().unwrap().len(), contents().len());
    assert_eq!(alice.unpublish("file-1.bin"), Ok("File unpublished successfully".to_owned()));
    assert_eq!(bob.get("file-1.bin"), Err("File not found".to_owned()));
}

/// BT-4.4-1
#[test]
fn our_peers_share_files_through_an_original_server() {
    let server = LegacyServer::start(&ACCOUNTS);
    let mut alice = Peer::start(&programs(), server.address(), "alice", "wonderland", &["--legacy"]);
    let mut bob = Peer::start(&programs(), server.address(), "bob", "builder", &["--legacy"]);
    assert_eq!(bob.ask("lpf"), ["No files published"]);
    assert_eq!(bob.ask("lap"), ["alice"]);
    for (name, content) in contents() {
        alice.write(&name, &content);
        assert_eq!(alice.ask(&format!("pub {name}")), ["File published successfully"]);
        assert_eq!(bob.ask(&format!("sch {name}")), [name.as_str()]);
        assert_eq!(bob.ask(&format!("get {name}")), [DOWNLOADED], "{name}: {:?}", bob.stderr());
        assert_eq!(fs::read(bob.path(&name)).unwrap(), content);
    }
    assert_eq!(alice.ask("lpf").len(), contents().len());
    assert_eq!(
        bob.ask("unp file-1.bin"),
        ["File cannot be unpublished as you are not the publisher of the file."]
    );
    assert_eq!(alice.ask("unp file-1.bin"), ["File unpublished successfully"]);
    assert_eq!(bob.ask("sch file-1.bin"), ["No matching files found."]);
    assert_eq!(bob.ask("get nothing"), ["File not found"]);
}

/// BT-4.3-4
#[test]
fn our_peer_fetches_from_an_original_client_at_either_server() {
    let ours = Server::start(&programs());
    let original = LegacyServer::start(&ACCOUNTS);
    for (server, mode) in [(At::from(&ours), &[][..]), (At::from(original.address()), &["--legacy"][..])] {
        let alices = tempfile::tempdir().unwrap();
        let alice = legacy(server.address(), ACCOUNTS[0], alices.path());
        let mut bob = Peer::start(&programs(), server, "bob", "builder", mode);
        for (name, content) in contents() {
            fs::write(alices.path().join(&name), &content).unwrap();
            published(&alice, &name);
            assert_eq!(bob.ask(&format!("get {name}")), [DOWNLOADED], "{name}: {:?}", bob.stderr());
            assert_eq!(fs::read(bob.path(&name)).unwrap(), content);
        }
        bob.wait_for_stderr("unverified");
        bob.wait_for_stderr("the file is empty, or it was missing");
    }
}

/// BT-4.3-1, BT-4.3-2, BT-4.3-3
#[test]
fn an_original_client_fetches_from_our_peer_at_either_server() {
    let ours = Server::start(&programs());
    let original = LegacyServer::start(&ACCOUNTS);
    for (server, mode) in [(At::from(&ours), &[][..]), (At::from(original.address()), &["--legacy"][..])] {
        let bobs = tempfile::tempdir().unwrap();
        let mut alice = Peer::start(&programs(), server.clone(), "alice", "wonderland", mode);
        let bob = legacy(server.address(), ACCOUNTS[1], bobs.path());
        for (name, content) in contents() {
            alice.write(&name, &content);
            assert_eq!(alice.ask(&format!("pub {name}")), ["File published successfully"]);
            assert_eq!(bob.get(&name), Ok(()), "{name}");
            assert_eq!(fs::read(bobs.path().join(&name)).unwrap(), content, "{name}");
        }
        // Gone from the folder: the original would have sent an empty file and called it a success.
        fs::remove_file(alice.path("file-1024.bin")).unwrap();
        assert!(bob.get("file-1024.bin").is_err());
    }
}

/// BT-4.4-2
#[test]
fn our_peer_returns_to_an_original_server_that_was_restarted_and_publishes_again() {
    let mut server = LegacyServer::start(&ACCOUNTS);
    let mut alice = Peer::start(&programs(), server.address(), "alice", "wonderland", &["--legacy"]);
    alice.write("notes.txt", b"kept");
    assert_eq!(alice.ask("pub notes.txt"), ["File published successfully"]);
    server.restart();
    let bobs = tempfile::tempdir().unwrap();
    let bob = legacy(server.address(), ACCOUNTS[1], bobs.path());
    wait_until("the file is listed again", || bob.search("notes") == Ok(vec!["notes.txt".to_owned()]));
    assert_eq!(bob.get("notes.txt"), Ok(()));
    assert_eq!(fs::read(bobs.path().join("notes.txt")).unwrap(), b"kept");
}

/// BT-2.3-5: the old format can't take the place of a member whose new client is online.
#[test]
fn a_member_with_a_framed_session_is_not_impersonated_through_the_old_format() {
    let server = Server::start(&programs());
    let folder = tempfile::tempdir().unwrap();
    let original = legacy(server.address(), ACCOUNTS[0], folder.path());
    fs::write(folder.path().join("a.txt"), b"a").unwrap();
    published(&original, "a.txt");

    let mut alice = Peer::start(&programs(), &server, "alice", "wonderland", &[]);
    assert_eq!(original.publish("b.txt"), Err("Unknown user".to_owned()));
    let again = LegacyClient::login(server.address(), "alice", "wonderland", folder.path()).map(drop);
    assert_eq!(again, Err("Authentication failed. You are already logged in.".to_owned()));
    assert_eq!(alice.ask("lpf"), ["a.txt"], "her publications are hers in either format");
}

/// BT-4.3-4: the format can't tell a cut file from a whole one; so what its user has stopped is none.
#[test]
fn what_is_interrupted_half_way_from_an_original_client_leaves_nothing() {
    let server = Server::start(&programs());
    let bob = Taker::join(&programs(), &server, "bob", "builder");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let say = |request: &str| {
        let answer = exchange(server.address(), request.as_bytes()).expect("the server answers");
        assert!(String::from_utf8_lossy(&answer).contains("success"), "{request}");
    };
    say(&format!(r#"{{"type":"login","username":"alice","password":"wonderland","tcp_port":{port}}}"#));
    say(r#"{"type":"pub","username":"alice","filename":"film.bin"}"#);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let get = bob.start("film.bin");
        let (mut stream, _) = wait_for("bob connects", PATIENCE, || {
            say(r#"{"type":"heartbeat","username":"alice"}"#);
            listener.accept().ok()
        });
        stream.set_nonblocking(false).unwrap();
        assert!(stream.read(&mut [0; 100]).unwrap() > 0, "the request comes");
        stream.write_all(&[7; 100_000]).unwrap();
        wait_until("some of it is there", || bob.part_bytes() > 0);
        get.signal(signal);
        let ended = get.wait();
        assert_eq!(ended.code(), Some(code), "{}", ended.told());
        assert_eq!(bob.names(), Vec::<String>::new(), "{}", ended.told());
    }
}
