//! The command lines: what they promise, and one clear sentence when something is wrong.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use bittrickle_tests::peer::{Peer, join};
use bittrickle_tests::process::Process;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::{PATIENCE, wait_for};
use rustix::process::Signal;

use crate::programs;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command that should end by itself.
fn run(command: &mut Command) -> Output {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    wait_for("it ends", PATIENCE, || child.try_wait().unwrap());
    child.wait_with_output().unwrap()
}

/// A peer that keeps its key and its servers there.
fn peer_with(state: &Path) -> Command {
    let mut command = programs().peer();
    command.arg("--state-dir").arg(state);
    command
}

struct ServerFiles(tempfile::TempDir);

impl ServerFiles {
    fn new(credentials: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("credentials"), credentials).unwrap();
        Self(folder)
    }

    fn command(&self, listen: &str) -> Command {
        let mut command = programs().server();
        command.args(["--listen", listen, "--data-dir"]).arg(self.0.path().join("data"));
        command.arg("--credentials").arg(self.0.path().join("credentials"));
        command
    }
}

#[test]
fn a_server_that_can_not_serve_says_why_in_one_sentence() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let good = ServerFiles::new(b"alice wonderland\n");
    let ended = run(&mut good.command(&taken.local_addr().unwrap().to_string()));
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains("another server running"), "{}", text(&ended.stderr));

    let cases: [(&[u8], &str); 6] = [
        (b"alice a\nbob b\nalice c\n", "line 3 stands in an earlier line"),
        (b" secret\n", "line 1 has no user name"),
        (b"alice\n", "line 1 has no password"),
        (b"alice a b\n", "line 1 has more than a user name and a password"),
        (b"\xff\xfe\n", "UTF-8"),
        (b"a\x1bb secret\n", "invisible character"),
    ];
    for (credentials, reason) in cases {
        let ended = run(&mut ServerFiles::new(credentials).command("127.0.0.1:0"));
        let told = text(&ended.stderr);
        assert_eq!((ended.status.code(), told.lines().count()), (Some(1), 1), "{told}");
        assert!(told.contains(reason), "{told}");
        assert!(!told.contains("secret"), "a password is never shown");
        assert!(ended.stdout.is_empty());
    }
    let ended = run(good.command("127.0.0.1:0").args(["--credentials", "/nowhere/credentials"]));
    assert_eq!(ended.status.code(), Some(2), "given twice: {}", text(&ended.stderr));
    fs::remove_file(good.0.path().join("credentials")).unwrap();
    let ended = run(&mut good.command("127.0.0.1:0"));
    assert!(text(&ended.stderr).contains("can't read the credentials file"), "{}", text(&ended.stderr));
    assert_eq!(ended.status.code(), Some(1));
}

#[test]
fn two_servers_never_share_a_data_folder() {
    let files = ServerFiles::new(b"alice wonderland\n");
    let mut command = files.command("127.0.0.1:0");
    let mut first = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 12];
    first.stdout.take().unwrap().read_exact(&mut line).unwrap();
    assert_eq!(&line, b"listening on");
    let _first = Process::new(first);
    let ended = run(&mut files.command("127.0.0.1:0"));
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains("another bittrickle-server is using"), "{}", text(&ended.stderr));
}

#[test]
fn wrong_usage_ends_with_code_two_and_help_shows_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let server = |arguments: &[&str]| run(programs().server().args(arguments));
    let peer = |arguments: &[&str]| run(peer_with(&state).args(arguments));
    let wrong = [
        server(&[]),
        server(&["--listen", "nonsense", "--data-dir", "x", "--credentials", "y"]),
        server(&["--legacy", "10.0.0.0/40", "--data-dir", "x", "--credentials", "y"]),
        peer(&[]),
        peer(&["--server", "127.0.0.1:1", "dance"]),
        peer(&["--server", "no port", "shell"]),
        peer(&["--server", "no port", "--legacy", "shell"]),
        peer(&["--legacy", "shell"]),
        peer(&["join", "bt://127.0.0.1:1/abc", "--user", "alice"]),
        peer(&["join", "127.0.0.1:1"]),
    ];
    for ended in wrong {
        assert_eq!(ended.status.code(), Some(2), "{}", text(&ended.stderr));
        assert!(!ended.stderr.is_empty());
    }
    for help in [server(&["--help"]), peer(&["--help"])] {
        assert!(help.status.success());
        assert!(text(&help.stdout).contains("Example:"), "{}", text(&help.stdout));
    }
    let join = text(&peer(&["join", "--help"]).stdout);
    assert!(join.contains("--password-stdin") && join.contains("--password-file"), "{join}");
    assert!(!join.contains("--password <"), "a password never comes from the command line");
}

#[test]
fn a_server_stops_cleanly_on_either_signal() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut server = Server::start(&programs());
        assert_eq!(server.stop(signal).code(), Some(0));
        assert!(server.log().contains("stopped"), "{}", server.log());
    }
}

#[test]
fn a_server_that_is_not_there_is_told_as_such() {
    let told = |ended: &[String]| ended.iter().any(|line| line.contains("running there?"));
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut peer = Peer::launch(&programs(), nobody, &["--legacy"]);
    peer.type_line("alice");
    peer.type_line("wonderland");
    let ended = peer.wait();
    assert_eq!(ended.status.code(), Some(6));
    assert!(told(&ended.stderr), "{ended:?}");

    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let invite = format!("bt://{nobody}/{}", "a5".repeat(32));
    let ended = join(&programs(), &invite, "alice", "wonderland", &state);
    assert_eq!(ended.status.code(), Some(6));
    assert!(told(&[text(&ended.stderr)]), "{ended:?}");

    let mut server = Server::start(&programs());
    assert!(join(&programs(), &server.invite().to_string(), "alice", "wonderland", &state).status.success());
    server.kill();
    let shell = run(peer_with(&state).arg("--dir").arg(folder.path()).arg("shell"));
    let get = run(peer_with(&state).args(["get", "notes.txt", "--out"]).arg(folder.path()));
    for ended in [shell, get] {
        assert_eq!(ended.status.code(), Some(6));
        assert!(told(&[text(&ended.stderr)]), "{ended:?}");
    }
}

#[test]
fn a_download_to_a_folder_that_is_not_there_says_so() {
    let server = Server::start(&programs());
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    assert!(join(&programs(), &server.invite().to_string(), "alice", "wonderland", &state).status.success());
    fs::write(folder.path().join("a file"), b"x").unwrap();
    for out in ["nowhere", "a file"] {
        let ended = run(peer_with(&state).args(["get", "notes.txt", "--out"]).arg(folder.path().join(out)));
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let told = text(&ended.stderr);
        assert!(told.contains(out) && told.lines().count() == 1, "{told}");
    }
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn a_device_that_has_not_joined_is_told_to() {
    let server = Server::start(&programs());
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let nothing = run(peer_with(&state).arg("shell"));
    let get = run(peer_with(&state).args(["get", "notes.txt"]));
    let other = run(peer_with(&state).args(["--server", &server.address().to_string(), "shell"]));
    for ended in [nothing, get, other] {
        assert_eq!(ended.status.code(), Some(4));
        let told = text(&ended.stderr);
        assert!(told.contains("join first: bittrickle join INVITE --user NAME"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

/// BT-4.2-1: asked again until it is right; questions go to stderr, so that stdout has only answers.
#[test]
fn names_and_passwords_are_asked_for_until_they_are_right() {
    let server = Server::start(&programs());
    let modes = [(&["--legacy"][..], "wonderland"), (&["--legacy", "--user", "bob"], "builder")];
    for (mode, password) in modes {
        let mut peer = Peer::launch(&programs(), server.address(), mode);
        for password in ["wrong", password] {
            if !mode.contains(&"--user") {
                peer.type_line("alice");
            }
            peer.type_line(password);
        }
        peer.type_line("xit");
        let ended = peer.wait();
        let expected = [
            "Authentication failed. Please try again.",
            "Welcome to BitTrickle!",
            "Available commands are: get, lap, lpf, pub, sch, unp, xit",
            "Goodbye!",
        ];
        assert_eq!(ended.stdout, expected, "{ended:?}");
        assert!(ended.stderr[0].contains("Enter your password: "), "{ended:?}");
    }
    let mut peer = Peer::launch(&programs(), server.address(), &["--legacy"]);
    peer.type_line("alice");
    peer.type_line("wrong");
    peer.end_input();
    let ended = peer.wait();
    assert_eq!(ended.status.code(), Some(4), "{ended:?}");
}

/// BT-2.3-9: who has joined is asked for nothing.
#[test]
fn a_device_that_has_joined_needs_no_name_and_no_password() {
    let server = Server::start(&programs());
    let mut peer = Peer::enter(&programs(), &server, "alice", "wonderland", &[]);
    peer.type_line("xit");
    let ended = peer.wait();
    let expected =
        ["Welcome to BitTrickle!", "Available commands are: get, lap, lpf, pub, sch, unp, xit", "Goodbye!"];
    assert_eq!(ended.stdout, expected, "{ended:?}");
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
}

#[test]
fn a_peer_takes_strange_lines_without_harm() {
    let server = Server::start(&programs());
    let mut peer = Peer::start(&programs(), &server, "alice", "wonderland", &[]);
    peer.type_bytes(b"\xff\xfe\n");
    peer.wait_for_stderr("can't read that line");
    peer.type_bytes(&[vec![b'a'; 200_000], b"\n".to_vec()].concat());
    peer.wait_for_stderr("it is too long");
    assert!(peer.ask("dance").is_empty());
    peer.wait_for_stderr("unknown command; `help` lists them");
    assert!(peer.ask("pub").is_empty());
    peer.wait_for_stderr("which file? Usage: pub NAME");
    assert!(peer.ask("").is_empty());
    assert!(peer.ask(&format!("sch {}", "s".repeat(256))).is_empty());
    peer.wait_for_stderr("it has 256 bytes, 255 are allowed");
    assert_eq!(peer.ask("lpf\r"), ["No files published"]);
    peer.type_bytes(b"xit");
    peer.end_input();
    assert_eq!(peer.wait().status.code(), Some(0), "a last line needs no newline");
}

#[test]
fn a_peer_whose_output_nobody_reads_leaves() {
    let server = Server::start(&programs());
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let joined = join(&programs(), &server.invite().to_string(), "alice", "wonderland", &state);
    assert!(joined.status.success(), "{joined:?}");
    let mut command = peer_with(&state);
    command.arg("--dir").arg(folder.path()).arg("shell");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    child.stdin.as_mut().unwrap().write_all(b"lpf\nlpf\n").unwrap();
    let _stdin = child.stdin.take();
    assert_eq!(Process::new(child).wait().code(), Some(0));
}

/// BT-2.11-9: no secret is in the arguments or the environment of any process, nor a password in any file.
#[test]
fn a_password_is_in_no_processs_arguments_or_environment_and_in_no_file() {
    let server = Server::start(&programs());
    let peer = Peer::start(&programs(), &server, "alice", "wonderland", &[]);
    for process in [server.id(), peer.id()] {
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{process}/{file}")).unwrap();
            assert!(!text(&bytes).contains("wonderland"));
        }
    }
    let mut files = 0;
    for folder in [server.data_dir(), peer.state_dir()] {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                let bytes = fs::read(entry.path()).unwrap();
                assert!(
                    !bytes.windows(10).any(|window| window == b"wonderland"),
                    "{}",
                    entry.path().display()
                );
                files += 1;
            }
        }
    }
    assert!(files >= 4, "the key and what is known, on both sides: {files}");
}
