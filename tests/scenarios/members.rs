//! Members and devices, as the operator sees them: the commands, what they do at once, and what is kept.

use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Instant;

use bittrickle_tests::client::{Client, enrol, login};
use bittrickle_tests::peer::Peer;
use bittrickle_tests::process::Process;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::{PATIENCE, wait_until};
use bittrickle_wire::messages::{Filter, Heartbeat, Hit, Locate, RefusalCode, Reply, Request, Search};
use bittrickle_wire::{Encoding, Query, Root, Target};
use rustix::process::{Signal, Uid};

use crate::programs;

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn ask(client: &mut Client, request: Request) -> Reply {
    client.ask(Encoding::Bincode, request)
}

/// What a client finds of this name.
fn hits(client: &mut Client, text: &str) -> Vec<Hit> {
    let search = Search { text: Query::new(text).unwrap(), filter: Filter::default(), after: None };
    match ask(client, Request::Search(search)) {
        Reply::Found(found) => found.hits.into_vec(),
        other => panic!("{other:?}"),
    }
}

/// How many sources a client is sent to.
fn sources(client: &mut Client, bytes: &[u8]) -> usize {
    let locate = Locate { target: Target::Root(Root::of(bytes)), after: None };
    match ask(client, Request::Locate(locate)) {
        Reply::Located(located) => located.sources.len(),
        other => panic!("{other:?}"),
    }
}

fn refused_with(reply: &Reply, code: RefusalCode) -> bool {
    matches!(reply, Reply::Refused(refused) if refused.code == code)
}

/// Each command ends as it should and says what it should; what fails is told on stderr.
fn run_every_command(server: &Server) {
    let file = server.data_dir().with_file_name("more");
    fs::write(&file, "alice other\nerik viking\nfrida painter\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let import = format!("user import {}", file.display());
    let commands = [
        ("user add dora --password-stdin", "explorer\n", 0, "added dora\n"),
        ("user add dora --password-stdin", "again\n", 13, ""),
        ("user passwd dora --password-stdin", "traveller\n", 0, "changed the password of dora\n"),
        ("user passwd nobody --password-stdin", "x\n", 3, ""),
        ("user disable dora", "", 0, "disabled dora\n"),
        ("user disable dora", "", 0, "disabled dora\n"),
        ("user enable dora", "", 0, "enabled dora\n"),
        ("user enable nobody", "", 3, ""),
        ("user disable nobody", "", 3, ""),
        (&import, "", 0, "2 added, 1 there already\n"),
        ("user remove dora", "", 0, "removed dora\n"),
        ("user remove dora", "", 3, ""),
        ("device list", "", 0, "FINGERPRINT  MEMBER  ENROLLED (UTC)\n"),
        ("device list alice --json", "", 0, "[]\n"),
        ("device list nobody", "", 3, ""),
        ("device revoke 0f1e-2d3c", "", 3, ""),
        ("device revoke 0f1e", "", 2, ""),
        ("user add two\u{a0}words --password-stdin", "x\n", 2, ""),
        ("user add gina --password x", "", 2, ""),
        ("user add gina --password-stdin", "", 1, ""),
        ("user add gina --password-stdin", "a\u{7}b\n", 1, ""),
        ("user import /nowhere/members", "", 1, ""),
        ("user list --listen 127.0.0.1:0", "", 2, ""),
    ];
    for (line, stdin, code, said) in commands {
        let output = server.admin(&line.split(' ').collect::<Vec<_>>(), stdin);
        assert_eq!(
            (output.status.code(), stdout(&output).as_str()),
            (Some(code), said),
            "{line}: {output:?}"
        );
        assert_eq!(code == 0, stderr(&output).is_empty(), "{line}: {output:?}");
    }
}

#[test]
fn every_command_does_the_same_whether_the_server_runs_or_not() {
    let (running, mut stopped) = (Server::start(&programs()), Server::start(&programs()));
    assert!(stopped.stop(Signal::TERM).success());
    for server in [&running, &stopped] {
        run_every_command(server);
        let listed = server.admin(&["user", "list", "--json"], "").stdout;
        let listed: Vec<serde_json::Value> = serde_json::from_slice(&listed).unwrap();
        let names: Vec<_> = listed.iter().map(|row| row["member"].as_str().unwrap()).collect();
        assert_eq!(names, ["alice", "bob", "carol", "dave", "erik", "frida"]);
    }
    let key = running.invite().key;
    let invite = format!("bt://{}/{key}\n", running.address());
    assert_eq!(stdout(&running.admin(&["invite"], "")), invite);
    let nowhere = stopped.admin(&["invite"], "");
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(stderr(&nowhere).contains("--host HOST:PORT"), "{nowhere:?}");
    let named = stdout(&stopped.admin(&["invite", "--host", "index.example.org:1"], ""));
    assert!(named.starts_with("bt://index.example.org:1/") && !named.contains(&key.to_string()), "{named}");
}

/// BT-2.11-1, BT-2.11-2
#[test]
fn members_and_passwords_hold_at_once_and_devices_stay_enrolled() {
    let server = Server::start(&programs());
    let add = server.admin(&["user", "add", "dora", "--password-stdin"], "explorer\n");
    assert!(add.status.success(), "{add:?}");
    let mut device = Client::log_in(&server, "dora", "explorer", 40_000);
    let changed = server.admin(&["user", "passwd", "dora", "--password-stdin"], "traveller\n");
    assert!(changed.status.success(), "{changed:?}");
    let mut other = Client::new(&server);
    other.shake_hands();
    assert!(refused_with(&ask(&mut other, enrol("dora", "explorer")), RefusalCode::AUTHENTICATION_FAILED));
    assert!(matches!(ask(&mut other, enrol("dora", "traveller")), Reply::Enrolled(_)));
    assert!(matches!(ask(&mut device, Request::Heartbeat(Heartbeat {})), Reply::HeartbeatReply(_)));
}

/// BT-6.2-9, BT-6.2-8
#[test]
fn a_disabled_member_is_out_at_once_and_back_when_enabled() {
    let server = Server::start(&programs());
    let mut alice = Peer::start(&programs(), &server, "alice", "wonderland", &[]);
    let mut tablet = Client::log_in(&server, "alice", "wonderland", 40_000);
    let mut bob = Client::log_in(&server, "bob", "builder", 40_001);
    alice.write("notes.txt", b"x");
    alice.ask("pub notes.txt");
    assert_eq!((hits(&mut bob, "notes")[0].sources, sources(&mut bob, b"x")), (1, 1));

    assert!(server.admin(&["user", "disable", "alice"], "").status.success());
    let disabled = Instant::now();
    assert_eq!((hits(&mut bob, "notes")[0].sources, sources(&mut bob, b"x")), (0, 0));
    for request in [Request::Heartbeat(Heartbeat {}), login(40_000)] {
        assert!(refused_with(&ask(&mut tablet, request), RefusalCode::NOT_ENROLLED));
    }
    let enrolled = ask(&mut tablet, enrol("alice", "wonderland"));
    assert!(refused_with(&enrolled, RefusalCode::AUTHENTICATION_FAILED), "{enrolled:?}");
    assert_ended(alice, disabled);

    assert!(server.admin(&["user", "enable", "alice"], "").status.success());
    assert!(matches!(ask(&mut tablet, login(40_000)), Reply::LoggedIn(_)), "no password is needed");
    assert_eq!(hits(&mut bob, "notes").len(), 1, "what a member has published stays");
    assert!(server.admin(&["user", "remove", "alice"], "").status.success());
    assert_eq!(hits(&mut bob, "notes"), [], "until the member is removed");
    assert!(refused_with(&ask(&mut tablet, login(40_000)), RefusalCode::NOT_ENROLLED));
}

/// The shell was told with the next heartbeat, not by silence, and says what to do.
fn assert_ended(peer: Peer, since: Instant) {
    let ended = peer.wait();
    assert!(since.elapsed().as_secs() < 7, "{:?}", since.elapsed());
    assert_eq!(ended.status.code(), Some(4), "{ended:?}");
    let told = ended.stderr.join("\n");
    assert!(told.contains("ended the session") && told.contains("ask the admin"), "{told}");
}

/// BT-6.2-9
#[test]
fn a_revoked_device_is_out_and_the_members_others_are_not() {
    let server = Server::start(&programs());
    let mut alice = Peer::start(&programs(), &server, "alice", "wonderland", &[]);
    let mut tablet = Client::log_in(&server, "alice", "wonderland", 40_000);
    let mut bob = Client::log_in(&server, "bob", "builder", 40_001);
    alice.write("notes.txt", b"x");
    alice.ask("pub notes.txt");
    let own = tablet.device().public().fingerprint().to_string();
    let listed = server.admin(&["device", "list", "alice", "--json"], "").stdout;
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&listed).unwrap();
    let fingerprints = listed.iter().map(|row| row["fingerprint"].as_str().unwrap().to_owned());
    let others: Vec<String> = fingerprints.filter(|fingerprint| *fingerprint != own).collect();
    assert_eq!((listed.len(), others.len()), (2, 1));

    let revoked = server.admin(&["device", "revoke", &others[0][..9]], "");
    let revoked_at = Instant::now();
    assert_eq!(stdout(&revoked), format!("revoked {} of alice\n", others[0]));
    assert_eq!((hits(&mut bob, "notes")[0].sources, sources(&mut bob, b"x")), (0, 0));
    assert_ended(alice, revoked_at);
    assert!(matches!(ask(&mut tablet, login(40_000)), Reply::LoggedIn(_)));
    assert_eq!(server.admin(&["device", "revoke", &others[0]], "").status.code(), Some(3));
}

/// BT-2.11-9, BT-6.2-2
#[test]
fn of_passwords_only_hashes_are_kept_and_nobody_else_can_read_them() {
    let server = Server::start(&programs());
    let passwords = ["wonderland", "builder", "singer", "correct horse", "battery-staple"];
    assert!(server.admin(&["user", "add", "dora", "--password-stdin"], "correct horse\n").status.success());
    let file = server.data_dir().with_file_name("more");
    fs::write(&file, "erik battery-staple\n").unwrap();
    let imported = server.admin(&["user", "import", file.to_str().unwrap()], "");
    assert!(stderr(&imported).contains("other users can read"), "{imported:?}");
    assert_eq!(fs::metadata(server.data_dir()).unwrap().mode() & 0o7777, 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(server.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600, "{}", path.display());
        let Ok(bytes) = fs::read(&path) else { continue };
        for password in passwords.map(str::as_bytes) {
            assert!(!bytes.windows(password.len()).any(|window| window == password), "{}", path.display());
        }
    }
    names.sort();
    assert_eq!(names, ["control.sock", "lock", "members.redb", "publications.redb", "server.key"]);
}

/// BT-6.2-2
#[test]
fn a_data_folder_a_key_or_a_store_that_others_can_use_is_refused() {
    let mut server = Server::start(&programs());
    assert!(server.stop(Signal::TERM).success());
    let folder = server.data_dir();
    for (path, exposed, good) in [
        (folder.clone(), 0o750, 0o700),
        (folder.join("server.key"), 0o640, 0o600),
        (folder.join("members.redb"), 0o604, 0o600),
    ] {
        fs::set_permissions(&path, Permissions::from_mode(exposed)).unwrap();
        let told = refused_to_start(&folder, 4);
        assert!(told.contains(&format!("chmod {good:o}")), "{told}");
        fs::set_permissions(&path, Permissions::from_mode(good)).unwrap();
    }
    server.restart();
    assert!(server.admin(&["user", "list"], "").status.success());
}

/// A server for this data folder doesn't start, and ends so. Gives what it says.
fn refused_to_start(data_dir: &Path, code: i32) -> String {
    let mut command = programs().server();
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stderr.take().unwrap();
    let mut process = Process::new(child);
    assert_eq!(process.wait().code(), Some(code));
    let mut told = String::new();
    pipe.read_to_string(&mut told).unwrap();
    told
}

#[test]
fn a_damaged_store_is_told_and_kept_as_it_is() {
    let mut server = Server::start(&programs());
    assert!(server.stop(Signal::TERM).success());
    let (folder, store) = (server.data_dir(), server.data_dir().join("members.redb"));
    let good = fs::read(&store).unwrap();
    let mut flipped = good.clone();
    flipped.iter_mut().step_by(512).for_each(|byte| *byte ^= 0x10);
    let damaged =
        [good[..good.len() / 2].to_vec(), Vec::new(), vec![0; good.len()], flipped, b"[]\n".to_vec()];
    for (case, bytes) in damaged.into_iter().enumerate() {
        fs::write(&store, &bytes).unwrap();
        let told = refused_to_start(&folder, 1);
        assert!(told.contains("damaged") && told.contains("backup"), "case {case}: {told}");
        let listed = server.admin(&["user", "list"], "");
        assert_eq!(
            (listed.status.code(), stdout(&listed).as_str()),
            (Some(1), ""),
            "case {case}: {listed:?}"
        );
        assert!(fs::read(&store).unwrap() == bytes, "case {case}: it was left as it is");
    }
    fs::write(&store, &good).unwrap();
    server.restart();
    assert!(stdout(&server.admin(&["user", "list"], "")).contains("carol"));
}

/// BT-2.11-1: what was acknowledged is there, whatever happens to the process.
#[test]
fn a_member_who_was_added_is_there_after_a_kill() {
    let mut server = Server::start(&programs());
    for round in 0..20 {
        let name = format!("member{round}");
        let added = server.admin(&["user", "add", &name, "--password-stdin"], "secret\n");
        server.kill();
        assert!(added.status.success(), "{added:?}");
        server.restart();
    }
    let listed = stdout(&server.admin(&["user", "list"], ""));
    for round in 0..20 {
        assert!(listed.contains(&format!("member{round} ")), "{listed}");
    }
}

/// BT-6.2-2. Even where the folder's mode would let them through, other users aren't listened to.
#[test]
fn another_user_gives_no_commands() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can become another user: passed over");
        return;
    }
    let server = Server::start(&programs());
    let (folder, socket) = (server.data_dir(), server.data_dir().join("control.sock"));
    let command = b"{\"list_members\":{\"after\":null}}\n";
    let ask = move || {
        let mut stream = UnixStream::connect(&socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(command)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    let as_nobody = || {
        let ask = ask.clone();
        let thread = std::thread::spawn(move || {
            // Of this thread alone, for good.
            rustix::thread::set_thread_uid(Uid::from_raw(65_534)).unwrap();
            ask()
        });
        thread.join().unwrap()
    };
    assert!(as_nobody().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied));
    for (path, mode) in
        [(folder.parent().unwrap(), 0o711), (&folder, 0o711), (&folder.join("control.sock"), 0o666)]
    {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    // The connection is closed, and its end may be told as an error: the command was not read.
    assert_eq!(as_nobody().unwrap_or_default(), "");
    wait_until("it is told", || server.log().contains("another user tried to give commands"));
    assert!(ask().unwrap().contains("alice"), "the owner is answered");
}

/// What isn't understood is refused, and however long it is, nothing breaks.
#[test]
fn the_control_socket_takes_nonsense_without_harm() {
    let server = Server::start(&programs());
    for nonsense in [&b"\n"[..], b"{}\n", b"\xff\xfe\n", b"{\"list_members\"", &[b'['; 200_000]] {
        let mut stream = UnixStream::connect(server.data_dir().join("control.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may stop reading before all is written.
        let _ = stream.write_all(nonsense);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"{\"refused\":"), "{answer:?}");
    }
    assert!(server.admin(&["user", "list"], "").status.success());
}
