//! Joining: whom a device believes, what it keeps, and what it never says to whom.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use bittrickle_tests::network::{Recording, UdpProxy, Way};
use bittrickle_tests::peer::Peer;
use bittrickle_tests::process::run;
use bittrickle_tests::server::Server;
use bittrickle_tests::strangers::Impostor;
use bittrickle_wire::seal::{Datagram, Invite};
use tempfile::TempDir;

use crate::programs;

mod terminal;

/// What is told when one key is expected and another one presented.
const CHANGED: &str = "another key is presented";

/// A person's device: a state folder and a folder for files, and what is typed there.
struct Device(TempDir);

impl Device {
    fn new() -> Self {
        let device = Self(tempfile::tempdir().unwrap());
        fs::create_dir(device.0.path().join("files")).unwrap();
        device
    }

    fn state_dir(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = programs().peer();
        command.arg("--state-dir").arg(self.state_dir()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str], stdin: &str) -> Output {
        run(self.command(arguments), stdin)
    }

    fn join(&self, server: &str, user: &str, password: &str) -> Output {
        self.run(&["join", server, "--user", user, "--password-stdin"], &format!("{password}\n"))
    }

    /// Leaves at once.
    fn shell(&self, options: &[&str]) -> Output {
        let files = self.0.path().join("files");
        let options = [&["--dir", files.to_str().unwrap()], options, &["shell"]].concat();
        self.run(&options, "xit\n")
    }

    /// All that it keeps, by name.
    fn kept(&self) -> BTreeMap<String, Vec<u8>> {
        let Ok(entries) = fs::read_dir(self.state_dir()) else { return BTreeMap::new() };
        let file =
            |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
        entries.map(|entry| file(entry.unwrap())).collect()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// It failed with this exit code, said this, and said nothing on stdout.
fn assert_refused(output: &Output, code: i32, told: &[&str]) {
    let stderr = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(told.iter().all(|text| stderr.contains(text)), "{told:?} in {stderr}");
    assert_eq!(stdout(output), "");
}

fn proxy_before(server: &Server) -> (UdpProxy, Recording, Invite) {
    let recording = Recording::default();
    let proxy = UdpProxy::start(server.address(), "127.0.0.1".parse().unwrap(), &recording);
    let host = proxy.address().to_string().parse().unwrap();
    (proxy, recording, Invite { host, key: server.invite().key })
}

fn is_hello(datagram: &[u8]) -> bool {
    matches!(Datagram::parse(datagram), Ok(Datagram::Hello(_)))
}

/// BT-6.2-4, BT-6.2-5, BT-2.11-1
#[test]
fn who_joins_with_an_invite_needs_no_password_from_then_on() {
    let (server, device) = (Server::start(&programs()), Device::new());
    let host = server.address().to_string();
    let joined = device.join(&format!("  {} ", server.invite()), "alice", "wonderland");
    assert_eq!(stdout(&joined), format!("Joined {host} as alice.\n"), "{}", stderr(&joined));

    let greeted = device.shell(&[]);
    assert!(stdout(&greeted).starts_with("Welcome to BitTrickle!"), "{}", stderr(&greeted));
    assert_refused(&device.shell(&["--user", "bob"]), 2, &["alice's at", "not bob's"]);
    let fingerprint = stdout(&device.run(&["key"], ""));
    let listed = stdout(&server.admin(&["device", "list", "alice"], ""));
    assert!(listed.contains(fingerprint.trim()), "{fingerprint} in {listed}");
    let servers = stdout(&device.run(&["servers"], ""));
    let key = server.invite().key.fingerprint();
    assert_eq!(servers, format!("{host}  alice  {key}\n"));
    assert!(device.kept().values().all(|bytes| !contains(bytes, b"wonderland")), "no password is kept");
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// BT-6.2-5
#[test]
fn a_bare_address_is_joined_only_with_the_right_fingerprint_when_nobody_can_be_asked() {
    let (server, device) = (Server::start(&programs()), Device::new());
    let (_proxy, recording, Invite { host, key }) = proxy_before(&server);
    let right = key.fingerprint().to_string();
    let wrong = "0f1e-2d3c-4b5a-6978-8796-a5b4-c3d2-e1f0";
    assert_refused(&device.join(host.as_str(), "alice", "wonderland"), 4, &["there is no terminal", &right]);

    let join = |fingerprint: &str| {
        let options = ["--user", "alice", "--password-stdin", "--accept-key", fingerprint];
        device.run(&[&["join", host.as_str()], &options[..]].concat(), "wonderland\n")
    };
    assert_refused(&join(wrong), 4, &["no password was sent", wrong, &right]);
    assert!(recording.going(Way::There).iter().all(|sent| is_hello(sent)), "nothing more is sent");
    assert!(!device.kept().contains_key("servers.json"));
    let joined = join(&right);
    assert!(joined.status.success(), "{}", stderr(&joined));
    // From now on it is pinned, and nobody is asked.
    assert!(device.join(host.as_str(), "alice", "wonderland").status.success());
}

/// BT-6.2-4, BT-6.2-6
#[test]
fn whoever_stands_in_the_servers_place_at_first_contact_shows_a_key_and_gets_nothing() {
    let (server, impostor, device) = (Server::start(&programs()), Impostor::start(), Device::new());
    let host = impostor.address().to_string();
    let (true_key, shown) = (server.invite().key, impostor.key().fingerprint().to_string());
    let refused = device.join(&host, "alice", "wonderland");
    assert_refused(&refused, 4, &[&shown]);
    assert!(!stderr(&refused).contains(&true_key.fingerprint().to_string()));

    let refused = device.join(&format!("bt://{host}/{true_key}"), "alice", "wonderland");
    assert_refused(&refused, 4, &[CHANGED, &shown, &true_key.fingerprint().to_string()]);
    let received = impostor.received();
    assert!(received.len() >= 2 && received.iter().all(|sent| is_hello(sent)), "{received:02x?}");
    assert!(!device.kept().contains_key("servers.json"));
}

/// BT-2.11-2
#[test]
fn a_wrong_password_joins_nothing_and_does_not_tell_who_is_a_member() {
    let (server, device) = (Server::start(&programs()), Device::new());
    let invite = server.invite().to_string();
    let told = ["alice", "mallory"].map(|user| {
        let refused = device.join(&invite, user, "guess");
        assert_refused(&refused, 4, &["the member name or the password is wrong"]);
        stderr(&refused)
    });
    assert_eq!(told[0], told[1]);
    assert_refused(&device.join(&invite, "alice", ""), 4, &["the password is empty"]);
    assert!(!device.kept().contains_key("servers.json"));
    assert_refused(&device.shell(&[]), 4, &["join first: bittrickle join INVITE --user NAME"]);
}

/// BT-2.11-1, BT-2.11-4
#[test]
fn joining_again_changes_nothing_and_joining_as_another_member_moves_the_device() {
    let (server, device) = (Server::start(&programs()), Device::new());
    let invite = server.invite().to_string();
    let owners = || {
        let listed = server.admin(&["device", "list", "--json"], "").stdout;
        let listed: Vec<serde_json::Value> = serde_json::from_slice(&listed).unwrap();
        listed.iter().map(|row| row["member"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (user, password) in [("alice", "wonderland"), ("alice", "wonderland"), ("bob", "builder")] {
        let joined = device.join(&invite, user, password);
        assert!(joined.status.success(), "{}", stderr(&joined));
        assert_eq!(owners(), [user]);
        assert!(device.shell(&["--user", user]).status.success());
    }
    assert_eq!(stdout(&device.run(&["servers"], "")).lines().count(), 1);
}

/// BT-6.2-2
#[test]
fn a_password_file_or_a_state_folder_that_others_can_use_is_refused() {
    let (server, device) = (Server::start(&programs()), Device::new());
    let (_proxy, recording, invite) = proxy_before(&server);
    let (invite, file) = (invite.to_string(), device.0.path().join("password"));
    fs::write(&file, "wonderland\n").unwrap();
    let join = || {
        let options = ["--user", "alice", "--password-file", file.to_str().unwrap()];
        device.run(&[&["join", &invite], &options[..]].concat(), "")
    };
    let set_mode =
        |path: &PathBuf, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o644, 0o640, 0o602] {
        set_mode(&file, mode);
        assert_refused(&join(), 4, &["chmod 600"]);
    }
    set_mode(&file, 0o600);
    set_mode(&device.state_dir(), 0o750);
    assert_refused(&join(), 4, &["chmod 700"]);
    assert!(recording.all().is_empty(), "nothing was sent");
    set_mode(&device.state_dir(), 0o700);
    assert!(join().status.success());
    set_mode(&device.state_dir().join("device.key"), 0o640);
    assert_refused(&device.shell(&[]), 4, &["chmod 600"]);
}

/// BT-6.2-6: a server that was installed anew at the same place is another one, until the device is told otherwise.
#[test]
fn a_server_with_another_key_than_the_pinned_one_is_told_nothing() {
    let (mut server, device) = (Server::start(&programs()), Device::new());
    let (_proxy, recording, invite) = proxy_before(&server);
    assert!(device.join(&invite.to_string(), "alice", "wonderland").status.success());
    let (kept, before) = (device.kept(), recording.all().len());
    server.kill();
    fs::remove_dir_all(server.data_dir()).unwrap();
    server.restart();
    let line = stdout(&server.admin(&["invite", "--host", invite.host.as_str()], ""));
    let other: Invite = line.parse().unwrap();
    let [old, new] = [invite.key, other.key].map(|key| key.fingerprint().to_string());

    let accept = ["--user", "alice", "--password-stdin", "--accept-key", &new];
    for (refused, told) in [
        (device.shell(&[]), CHANGED),
        (device.join(&invite.to_string(), "alice", "wonderland"), CHANGED),
        (device.join(&other.to_string(), "alice", "wonderland"), CHANGED),
        (device.join(invite.host.as_str(), "alice", "wonderland"), CHANGED),
        (device.run(&[&["join", invite.host.as_str()], &accept[..]].concat(), "wonderland\n"), "asks for"),
    ] {
        assert_refused(&refused, 4, &[told, &old, &new]);
    }
    assert_eq!(device.kept(), kept, "nothing has changed on the device");
    let passed = recording.all().split_off(before);
    let sent = passed.iter().filter(|passed| passed.way == Way::There);
    assert!(sent.clone().count() >= 2 && sent.clone().all(|sent| is_hello(&sent.bytes)));

    assert!(device.run(&["forget", invite.host.as_str()], "").status.success());
    assert!(device.join(&other.to_string(), "alice", "wonderland").status.success());
    assert!(device.shell(&[]).status.success());
}

/// BT-6.2-7
#[test]
fn a_pinned_server_is_never_spoken_to_in_clear_under_whatever_name() {
    let (server, device) = (Server::start(&programs()), Device::new());
    let (proxy, recording, invite) = proxy_before(&server);
    assert!(device.join(&invite.to_string(), "alice", "wonderland").status.success());
    let before = recording.all().len();
    let (address, by_name) =
        (invite.host.as_str().to_owned(), format!("localhost:{}", proxy.address().port()));
    for server in [&address, &by_name] {
        let options = ["--server", server, "--legacy", "--user", "alice", "shell"];
        assert_refused(&device.run(&options, "wonderland\nxit\n"), 4, &["leave --legacy out"]);
    }
    assert_eq!(recording.all().len(), before, "not a byte was sent");

    let options = ["--server", &by_name, "--legacy", "--user", "alice", "shell"];
    let stranger = Device::new().run(&options, "wonderland\nxit\n");
    assert!(stranger.status.success(), "{}", stderr(&stranger));
    assert!(recording.all()[before].bytes.starts_with(b"{"), "it would have been seen");
}

/// BT-6.2-7, and no way leads there when frames don't arrive: an error, and no byte of JSON.
#[test]
fn who_gets_no_frame_through_says_so_and_says_nothing_in_clear() {
    let (server, joined, joining) = (Server::start(&programs()), Device::new(), Device::new());
    let (proxy, recording, invite) = proxy_before(&server);
    assert!(joined.join(&invite.to_string(), "alice", "wonderland").status.success());
    proxy.let_pass(|_, datagram| !datagram.starts_with(&[0xb7]));
    let before = recording.all().len();
    std::thread::scope(|scope| {
        let shell = scope.spawn(|| joined.shell(&[]));
        let join = scope.spawn(|| joining.join(&invite.to_string(), "bob", "builder"));
        for tried in [shell, join] {
            assert_refused(&tried.join().unwrap(), 6, &["does not answer"]);
        }
    });
    let sent = recording.all().split_off(before);
    assert!(sent.len() >= 6, "each has tried for a while: {}", sent.len());
    assert!(sent.iter().all(|sent| is_hello(&sent.bytes)));
}

#[test]
fn a_state_folder_is_for_one_process_at_a_time() {
    let server = Server::start(&programs());
    let mut peer = Peer::start(&programs(), &server, "alice", "wonderland", &[]);
    let (device, invite) = (Device::new(), server.invite().to_string());
    std::os::unix::fs::symlink(peer.state_dir(), device.state_dir()).unwrap();
    let kept = device.kept();
    let host = server.address().to_string();
    for refused in
        [device.join(&invite, "bob", "builder"), device.shell(&[]), device.run(&["forget", &host], "")]
    {
        assert_refused(&refused, 5, &["another bittrickle is using the state folder"]);
    }
    assert_eq!(device.kept(), kept);
    assert!(stdout(&device.run(&["servers"], "")).contains(&host), "looking is allowed");
    peer.kill();
    assert!(device.run(&["forget", &host], "").status.success(), "no lock outlives its process");
}

#[test]
fn a_forgotten_server_has_to_be_joined_again() {
    let (server, device) = (Server::start(&programs()), Device::new());
    let (host, invite) = (server.address().to_string(), server.invite().to_string());
    assert_refused(&device.run(&["forget", &host], ""), 3, &["nothing to forget"]);
    assert!(device.join(&invite, "alice", "wonderland").status.success());
    let forgot = stdout(&device.run(&["forget", &host], ""));
    let key = server.invite().key.fingerprint();
    assert_eq!(forgot, format!("Forgot {host}, joined as alice, with the key {key}.\n"));
    assert_refused(&device.shell(&[]), 4, &["join first"]);
    assert_refused(&device.shell(&["--server", &host]), 4, &["join first"]);
    assert!(device.join(&invite, "alice", "wonderland").status.success());
    assert!(device.shell(&["--server", &host]).status.success());
}
