//! The main job, with real processes: publish, find, fetch; and what must go on when one of them goes.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use bittrickle_tests::peer::Peer;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::wait_until;
use rustix::process::Signal;

use crate::programs;

const PUBLISHED: [&str; 1] = ["File published successfully"];
const DOWNLOADED: [&str; 1] = ["File downloaded successfully."];

fn alice(server: &Server, extra: &[&str]) -> Peer {
    Peer::start(&programs(), server, "alice", "wonderland", extra)
}

fn bob(server: &Server, extra: &[&str]) -> Peer {
    Peer::start(&programs(), server, "bob", "builder", extra)
}

fn bytes(size: usize) -> Vec<u8> {
    let cycle: Vec<u8> = (0..253_u16).map(|i| (i * 7 % 253) as u8).collect();
    cycle.repeat(size.div_ceil(cycle.len()))[..size].to_vec()
}

/// BT-1.5-1, BT-2.3-9, BT-2.6-2, BT-2.7-2, BT-2.8-3, BT-3.7-1, BT-3.3-1: the same in both encodings, and between them.
#[test]
fn a_published_file_is_found_and_fetched() {
    let server = Server::start(&programs());
    for (alices, bobs) in [("bincode", "bincode"), ("json", "json"), ("bincode", "json")] {
        let mut alice = alice(&server, &["--encoding", alices]);
        let mut bob = bob(&server, &["--encoding", bobs]);
        for (name, size) in [("empty", 0), ("a b.txt", 1), ("résumé.pdf", 65_280), ("日本語.bin", 20_000_000)]
        {
            alice.write(name, &bytes(size));
            assert_eq!(alice.ask(&format!("pub {name}")), PUBLISHED, "{name}: {:?}", alice.stderr());
            assert_eq!(bob.ask(&format!("sch {name}")), [name]);
            assert_eq!(bob.ask(&format!("get {name}")), DOWNLOADED, "{name}: {:?}", bob.stderr());
            assert_eq!(fs::read(bob.path(name)).unwrap(), bytes(size), "{name}");
        }
        assert_eq!(alice.ask("sch b.txt"), ["No matching files found."], "the own files are left out");
        assert_eq!(alice.ask("lap"), ["bob"]);
        assert_eq!(bob.folder_names().len(), 4, "nothing but the files is left: {:?}", bob.folder_names());
    }
}

/// BT-2.1-8
#[test]
fn files_are_shared_over_ipv6_as_well() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        println!("this machine has no IPv6 loopback address: passed over");
        return;
    }
    let server = Server::start_at(&programs(), "[::1]:0", &[]);
    for mode in [&["--legacy"][..], &[]] {
        let (mut alice, mut bob) = (alice(&server, mode), bob(&server, mode));
        alice.write("notes.txt", &bytes(100_000));
        assert_eq!(alice.ask("pub notes.txt"), PUBLISHED);
        assert_eq!(bob.ask("get notes.txt"), DOWNLOADED, "{:?}", bob.stderr());
        assert_eq!(fs::read(bob.path("notes.txt")).unwrap(), bytes(100_000));
        assert_eq!(alice.ask("unp notes.txt"), ["File unpublished successfully"]);
    }
}

/// BT-2.6-3, BT-2.6-5
#[test]
fn several_members_own_one_name_and_each_takes_back_only_the_own() {
    let server = Server::start(&programs());
    let (mut alice, mut bob) = (alice(&server, &[]), bob(&server, &[]));
    let mut carol = Peer::start(&programs(), &server, "carol", "singer", &[]);
    for peer in [&mut alice, &mut bob] {
        peer.write("notes.txt", b"ours");
        assert_eq!(peer.ask("pub notes.txt"), PUBLISHED);
    }
    assert_eq!(
        carol.ask("unp notes.txt"),
        ["File cannot be unpublished as you are not the publisher of the file."]
    );
    assert_eq!(alice.ask("unp notes.txt"), ["File unpublished successfully"]);
    assert_eq!(alice.ask("lpf"), ["No files published"]);
    assert_eq!(carol.ask("sch notes"), ["notes.txt"]);
    assert_eq!(carol.ask("get notes.txt"), DOWNLOADED);
    assert_eq!(bob.ask("unp notes.txt"), ["File unpublished successfully"]);
    assert_eq!(carol.ask("unp notes.txt"), ["No files published with that filename"]);
    assert_eq!(carol.ask("sch notes"), ["No matching files found."]);
}

/// BT-3.5-6
#[test]
fn a_download_never_touches_a_file_that_is_there() {
    let server = Server::start(&programs());
    let (mut alice, mut bob) = (alice(&server, &[]), bob(&server, &[]));
    alice.write("notes.txt", b"from alice");
    assert_eq!(alice.ask("pub notes.txt"), PUBLISHED);
    bob.write("notes.txt", b"bob's own");
    let before = fs::metadata(bob.path("notes.txt")).unwrap();
    assert!(bob.ask("get notes.txt").is_empty());
    bob.wait_for_stderr("never overwritten");
    let after = fs::metadata(bob.path("notes.txt")).unwrap();
    assert_eq!(fs::read(bob.path("notes.txt")).unwrap(), b"bob's own");
    assert_eq!((before.mtime_nsec(), before.ino()), (after.mtime_nsec(), after.ino()));

    symlink("/nowhere", bob.path("link.txt")).unwrap();
    alice.write("link.txt", b"x");
    assert_eq!(alice.ask("pub link.txt"), PUBLISHED);
    assert!(bob.ask("get link.txt").is_empty(), "a link counts as being there");
}

#[test]
fn a_downloaded_file_is_never_executable() {
    let server = Server::start(&programs());
    let (mut alice, mut bob) = (alice(&server, &[]), bob(&server, &[]));
    alice.write("tool", b"#!/bin/sh\n");
    fs::set_permissions(alice.path("tool"), fs::Permissions::from_mode(0o4755)).unwrap();
    assert_eq!(alice.ask("pub tool"), PUBLISHED);
    assert_eq!(bob.ask("get tool"), DOWNLOADED);
    assert_eq!(fs::metadata(bob.path("tool")).unwrap().permissions().mode() & 0o7111, 0);
}

/// BT-2.1-3
#[test]
fn what_can_not_be_shared_is_refused_with_its_reason() {
    let server = Server::start(&programs());
    let mut alice = alice(&server, &[]);
    symlink("/etc/hostname", alice.path("link")).unwrap();
    assert!(rustix_fifo(&alice, "pipe"));
    let cases = [
        ("missing", "no file of this name"),
        ("link", "not a regular file"),
        ("pipe", "not a regular file"),
        ("../etc/passwd", "it contains '/'"),
        ("/etc/passwd", "it contains '/'"),
        ("..\\x", "it contains '\\\\'"),
        (".hidden", "it starts with '.'"),
        ("con.txt", "Windows device"),
        ("a\u{202e}b", "invisible character U+202E"),
        ("a\u{1b}[2J", "invisible character U+001B"),
    ];
    for (name, reason) in cases {
        assert!(alice.ask(&format!("pub {name}")).is_empty(), "{name}");
        alice.wait_for_stderr(reason);
    }
    assert!(alice.ask(&format!("pub {}", "n".repeat(300))).is_empty());
    alice.wait_for_stderr("it has 300 bytes, 255 are allowed");
    assert_eq!(alice.ask("lpf"), ["No files published"]);
    assert!(alice.stderr().iter().all(|line| !line.contains('\u{1b}') && !line.contains('\u{202e}')));
}

fn rustix_fifo(peer: &Peer, name: &str) -> bool {
    std::process::Command::new("mkfifo").arg(peer.path(name)).status().unwrap().success()
}

/// BT-2.4-2, BT-6.2-11: nothing is lost when the server is killed.
#[test]
fn publications_are_back_after_the_server_was_killed_and_restarted() {
    let mut server = Server::start(&programs());
    let (mut alice, mut bob) = (alice(&server, &[]), bob(&server, &[]));
    let mut names: Vec<String> = (0..40).map(|i| format!("file-{i:02}-{}", "n".repeat(100))).collect();
    for name in &names {
        alice.write(name, b"kept");
        assert_eq!(alice.ask(&format!("pub {name}")), PUBLISHED);
    }
    server.kill_and_restart();
    assert_eq!(bob.ask("sch file-"), names, "they are kept");
    wait_until("all are offered again", || bob.ask("sch file- online:yes") == names);
    names.sort();
    assert_eq!(alice.ask("lpf"), names);
    assert_eq!(bob.ask(&format!("get {}", names[7])), DOWNLOADED);
}

/// BT-2.6-6
#[test]
fn a_peer_that_has_gone_leaves_its_publications_and_serves_nothing() {
    let server = Server::start(&programs());
    let mut bob = bob(&server, &[]);
    let mut gone = alice(&server, &[]);
    gone.write("notes.txt", b"x");
    assert_eq!(gone.ask("pub notes.txt"), PUBLISHED);
    gone.type_line("xit");
    let ended = gone.wait();
    assert_eq!(ended.stdout.last().map(String::as_str), Some("Goodbye!"));
    assert!(ended.status.success());
    assert_eq!(bob.ask("lap"), ["No active peers"]);
    assert_eq!(bob.ask("sch notes"), ["notes.txt"]);
    assert_eq!(bob.ask("get notes.txt"), ["File owner is not active"]);

    let mut alice = alice(&server, &[]);
    alice.wait_for_stderr("1 file of yours published earlier");
    assert_eq!(
        bob.ask("get notes.txt"),
        ["File owner is not active"],
        "what is served is published again first"
    );
    alice.write("notes.txt", b"y");
    assert_eq!(alice.ask("pub notes.txt"), PUBLISHED);
    assert_eq!(bob.ask("get notes.txt"), DOWNLOADED);
}

/// Uploads go on while the shell waits for input, several at a time.
#[test]
fn several_peers_fetch_at_once_while_the_shell_waits() {
    let server = Server::start(&programs());
    let mut alice = alice(&server, &[]);
    let expected = bytes(30_000_000);
    alice.write("big.bin", &expected);
    assert_eq!(alice.ask("pub big.bin"), PUBLISHED);
    let mut takers: Vec<Peer> = (0..4).map(|_| bob(&server, &[])).collect();
    takers.iter_mut().for_each(|taker| taker.type_line("get big.bin"));
    for taker in &takers {
        taker.wait_for_stdout(DOWNLOADED[0]);
        assert!(fs::read(taker.path("big.bin")).unwrap() == expected);
    }
}

#[test]
fn every_way_of_leaving_closes_the_sockets_and_has_its_exit_code() {
    let server = Server::start(&programs());
    type Leave = fn(&mut Peer);
    let ways: [(Leave, i32); 4] = [
        (|peer| peer.type_line("xit"), 0),
        (Peer::end_input, 0),
        (|peer| peer.signal(Signal::INT), 130),
        (|peer| peer.signal(Signal::TERM), 143),
    ];
    let mut bob = bob(&server, &[]);
    for (leave, code) in ways {
        let mut alice = alice(&server, &[]);
        let port = listening_port(alice.id());
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        leave(&mut alice);
        let ended = alice.wait();
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        assert_eq!(bob.ask("lap"), ["No active peers"], "the logout arrived");
    }
}

/// The one TCP port on which a process listens, from the kernel's own tables.
pub(crate) fn listening_port(process: u32) -> u16 {
    let sockets: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let listening = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut ports = listening
        .filter(|fields| fields[3] == "0A" && sockets.iter().any(|inode| inode == fields[9]))
        .map(|fields| u16::from_str_radix(fields[1].rsplit(':').next().unwrap(), 16).unwrap());
    let port = ports.next().expect("a listening socket");
    assert_eq!(ports.next(), None, "a peer listens on one port");
    port
}
