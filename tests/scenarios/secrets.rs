//! What is seen of a whole exchange by those who aren't part of it: on the network, in the system's tables, on disk, in
//! logs. Two people join, one publishes, the other searches and fetches; every byte is recorded.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bittrickle_tests::network::{Recording, TcpProxy, UdpProxy};
use bittrickle_tests::peer::{Peer, join};
use bittrickle_tests::process::Process;
use bittrickle_tests::server::Server;
use bittrickle_wire::limits::DATAGRAM_BYTES_MAX;
use bittrickle_wire::seal::Invite;

use crate::programs;
use crate::sharing::listening_port;

/// Long enough that none is in random bytes by chance.
const MEMBERS: [(&str, &str); 2] =
    [("margarethe-von-waldeck", "mirror mirror on the wall"), ("gretchen-am-spinnrade", "meine ruh ist hin")];
const FILE_NAME: &str = "the seven dwarfs and their mine.pdf";
const QUERY: &str = "SEVEN DWARFS";
const FILE_BYTES: usize = 300_000;

/// The bytes that must not be seen in a row.
const WINDOW: usize = 16;

/// All that was started, sent and written.
struct Exchange {
    server: Server,
    peers: Vec<Peer>,
    recording: Recording,
    content: Vec<u8>,
    _udp: Vec<UdpProxy>,
}

impl Exchange {
    /// One peer writes frames in bincode, the other one in JSON.
    fn run() -> Self {
        let server = Server::start_with(&programs(), &["-v"]);
        let recording = Recording::default();
        let mut content = vec![0; FILE_BYTES];
        getrandom::fill(&mut content).unwrap();
        // What could be found in any other file as well.
        content[..60_000].copy_from_slice(&b"All of the mine's ore, in tonnes.\n".repeat(1_765)[..60_000]);
        // The server sees each peer at an address of its own, and sends others there.
        let (mut peers, mut udp) = (Vec::new(), Vec::new());
        for ((member, password), (outside, encoding)) in
            MEMBERS.into_iter().zip([("127.0.0.80", "bincode"), ("127.0.0.81", "json")])
        {
            let added = server.admin(&["user", "add", member, "--password-stdin"], &format!("{password}\n"));
            assert!(added.status.success(), "{added:?}");
            let proxy = UdpProxy::start(server.address(), outside.parse().unwrap(), &recording);
            let host = proxy.address().to_string().parse().unwrap();
            let invite = Invite { host, key: server.invite().key };
            peers.push(Peer::start(&programs(), &invite, member, password, &["--encoding", encoding]));
            udp.push(proxy);
        }
        let mut exchange = Self { server, peers, recording, content, _udp: udp };
        exchange.share();
        exchange
    }

    fn share(&mut self) {
        let [source, fetcher] = &mut self.peers[..] else { panic!("there are two") };
        let port = listening_port(source.id());
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), port);
        let _tcp = TcpProxy::start(at("127.0.0.80"), at("127.0.0.1"), &self.recording);
        source.write(FILE_NAME, &self.content);
        assert_eq!(source.ask(&format!("pub {FILE_NAME}")), ["File published successfully"]);
        assert_eq!(fetcher.ask(&format!("sch {QUERY}")), [FILE_NAME]);
        let fetched = fetcher.ask(&format!("get {FILE_NAME}"));
        assert_eq!(fetched, ["File downloaded successfully."], "{:?}", fetcher.stderr());
        assert_eq!(fetcher.ask("lap"), [MEMBERS[0].0]);
        assert_eq!(source.ask("lpf"), [FILE_NAME]);
        assert!(fs::read(fetcher.path(FILE_NAME)).unwrap() == self.content);
    }

    /// Every secret key there is, as bytes.
    fn secret_keys(&self) -> Vec<Vec<u8>> {
        let mut files = vec![self.server.data_dir().join("server.key")];
        files.extend(self.peers.iter().map(|peer| peer.state_dir().join("device.key")));
        files.iter().map(|file| from_hex(fs::read_to_string(file).unwrap().trim())).collect()
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.as_chunks().0.iter().map(|[high, low]| high << 4 | low).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Passwords, names, what was searched for.
fn texts() -> Vec<&'static str> {
    let members = MEMBERS.iter().flat_map(|(member, password)| [*member, *password]);
    members.chain([FILE_NAME, QUERY, "seven dwarfs"]).collect()
}

/// All that nobody may see, in pieces of a few bytes.
fn hidden(content: &[u8], keys: &[Vec<u8>]) -> HashSet<Vec<u8>> {
    let texts = texts();
    let root = blake3::hash(content);
    let root_text = root.to_hex();
    let whole = texts.iter().map(|text| text.as_bytes()).chain(keys.iter().map(Vec::as_slice));
    let whole = whole.chain([content, root.as_bytes(), root_text.as_bytes()]);
    // Of what is shorter, all of it.
    whole.flat_map(|bytes| bytes.windows(WINDOW.min(bytes.len())).map(<[u8]>::to_vec)).collect()
}

/// The first of these pieces that stands there.
fn find_hidden(bytes: &[u8], hidden: &HashSet<Vec<u8>>) -> Option<String> {
    let lengths: HashSet<usize> = hidden.iter().map(Vec::len).collect();
    let seen = lengths.iter().find_map(|length| bytes.windows(*length).find(|piece| hidden.contains(*piece)));
    seen.map(|piece| String::from_utf8_lossy(piece).into_owned())
}

/// BT-6.1-1, BT-6.3-4
#[test]
fn nothing_that_was_said_or_sent_is_on_the_network_in_clear() {
    let exchange = Exchange::run();
    let recorded = exchange.recording.all();
    // A stream's bytes may have been passed on in any pieces: what is next to each other there is so here.
    let bytes = recorded.iter().flat_map(|passed| passed.bytes.clone()).collect::<Vec<u8>>();
    assert!(bytes.len() > FILE_BYTES, "the file went through the proxy: {} bytes", bytes.len());
    let hidden = hidden(&exchange.content, &exchange.secret_keys());
    assert_eq!(find_hidden(&bytes, &hidden), None);
    let datagrams = recorded.iter().filter(|passed| passed.bytes.len() <= DATAGRAM_BYTES_MAX);
    assert!(datagrams.clone().all(|passed| !passed.bytes.starts_with(b"{")), "no JSON outside a seal");

    // It would have been found.
    assert!(texts().iter().all(|text| text.len() >= 12), "not there by chance");
    let content = &exchange.content[FILE_BYTES - WINDOW..];
    for shown in texts().iter().map(|text| text.as_bytes()).chain([content]) {
        assert!(find_hidden(&[&bytes[..1_000], shown, &bytes[..9]].concat(), &hidden).is_some());
    }
}

#[test]
fn no_log_has_a_password_or_a_key() {
    let exchange = Exchange::run();
    let (folder, invite) = (tempfile::tempdir().unwrap(), exchange.server.invite().to_string());
    let tries = ["wrong wrong wrong", MEMBERS[0].1]
        .map(|password| join(&programs(), &invite, MEMBERS[0].0, password, &folder.path().join("state")));
    assert_eq!(tries.each_ref().map(|joined| joined.status.code()), [Some(4), Some(0)]);
    let mut logs = vec![exchange.server.log()];
    logs.extend(tries.iter().flat_map(|joined| [&joined.stdout, &joined.stderr]).map(|bytes| text(bytes)));
    logs.extend(exchange.peers.iter().map(|peer| peer.stderr().join("\n")));
    assert!(logs[0].contains("serving"), "{}", logs[0]);
    let keys = exchange.secret_keys();
    for log in logs {
        for password in MEMBERS.map(|(_, password)| password).into_iter().chain(["wrong wrong"]) {
            assert!(!log.contains(password), "{log}");
        }
        for key in &keys {
            let hex = to_hex(key);
            assert!(!log.to_lowercase().contains(&hex) && !contains(log.as_bytes(), key), "{log}");
        }
    }
}

/// BT-6.2-2
#[test]
fn whatever_holds_a_secret_is_for_its_owner_alone() {
    let exchange = Exchange::run();
    let mut folders = vec![exchange.server.data_dir()];
    folders.extend(exchange.peers.iter().map(Peer::state_dir));
    for folder in folders {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        let files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 3, "{files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
            let Ok(bytes) = fs::read(&file) else { continue };
            for (_, password) in MEMBERS {
                assert!(!contains(&bytes, password.as_bytes()), "{}", file.display());
            }
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn no_process_has_a_password_where_other_users_see_it() {
    let exchange = Exchange::run();
    let mut processes = vec![exchange.server.id()];
    processes.extend(exchange.peers.iter().map(Peer::id));
    processes.iter().for_each(|process| assert_silent(*process));

    // Those that take a password, while they wait for it.
    let folder = tempfile::tempdir().unwrap();
    let mut join = programs().peer();
    join.args(["join", &exchange.server.invite().to_string(), "--user", MEMBERS[0].0, "--password-stdin"]);
    join.arg("--state-dir").arg(folder.path().join("state"));
    let mut add = programs().server();
    add.args(["user", "add", "third", "--password-stdin", "--data-dir"]).arg(exchange.server.data_dir());
    for mut command in [join, add] {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut process = Process::new(child);
        let (first, rest) = MEMBERS[0].1.split_at(5);
        stdin.write_all(first.as_bytes()).unwrap();
        assert_silent(process.id());
        stdin.write_all(rest.as_bytes()).unwrap();
        drop(stdin);
        assert!(process.wait().success());
    }
}

fn assert_silent(process: u32) {
    for file in ["cmdline", "environ", "comm"] {
        let bytes = fs::read(format!("/proc/{process}/{file}")).unwrap();
        for (_, password) in MEMBERS {
            assert!(!contains(&bytes, password.as_bytes()), "{file}");
        }
    }
}
