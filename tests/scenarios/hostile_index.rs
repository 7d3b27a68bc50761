//! An index that lies, in both formats: the peer says so, shows nothing dangerous, and goes on.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bittrickle_tests::peer::Peer;
use bittrickle_wire::{Header, Kind};

use crate::programs;
use crate::source::{Source, answer_with};

/// A UDP server that answers each datagram with what a function makes of it.
struct FakeIndex {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeIndex {
    fn start(mut answer: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while !stopping.load(Ordering::Relaxed) {
                let Ok((bytes, from)) = socket.recv_from(&mut buffer) else { continue };
                if let Some(reply) = answer(&buffer[..bytes]) {
                    socket.send_to(&reply, from).unwrap();
                }
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for FakeIndex {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

const LOGGED_IN: &str = r#"{"boot_id":"00000000000000ff","heartbeat_ms":2000,"offline_after_ms":7000}"#;
const NOTHING_OFFERED: &str = r#"{"boot_id":"00000000000000ff","offered":0,"digest":"0000000000000000"}"#;

/// A framed index that behaves, in JSON, but for one kind of request.
fn framed(hostile: Kind, reply: (Kind, String)) -> FakeIndex {
    FakeIndex::start(move |datagram| {
        let header = Header::parse(datagram.first_chunk()?)?;
        let (kind, payload) = match header.kind {
            kind if kind == hostile => (reply.0, reply.1.clone()),
            Kind::Login => (Kind::LoggedIn, LOGGED_IN.to_owned()),
            Kind::Heartbeat => (Kind::HeartbeatReply, NOTHING_OFFERED.to_owned()),
            Kind::Logout => (Kind::LoggedOut, "{}".to_owned()),
            Kind::ListPeers => (Kind::Peers, r#"{"members":[],"next":null}"#.to_owned()),
            Kind::ListFiles => (Kind::Files, r#"{"files":[],"next":null}"#.to_owned()),
            _ => return None,
        };
        let mut frame = vec![0xb7, 1, kind.code(), 0];
        frame.extend_from_slice(&header.request_id.to_be_bytes());
        frame.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(payload.as_bytes());
        Some(frame)
    })
}

fn peer(index: &FakeIndex, extra: &[&str]) -> Peer {
    Peer::start(&programs(), index.address, "bob", "builder", extra)
}

/// BT-2.1-3: a page with a name that isn't acceptable is no answer, and nothing of it is shown.
#[test]
fn a_hostile_name_in_a_page_of_hits_is_refused_and_not_shown() {
    for name in
        ["../etc/passwd", "/etc/passwd", "..\\\\x", "a\\u0000b", "a\\u001b[2J", "\\u202egnp.exe", "NUL.txt"]
    {
        let hit =
            format!(r#"{{"hits":[{{"name":"{name}","file_bytes":1,"members":1,"sources":1}}],"next":null}}"#);
        let index = framed(Kind::Search, (Kind::Found, hit));
        let mut bob = peer(&index, &[]);
        assert!(bob.ask("sch x").is_empty(), "{name}");
        let told = bob.wait_for_stderr("the server answers with what is no answer");
        assert!(
            !told.contains('\u{1b}') && !told.contains('\u{202e}') && !told.contains('\u{0}'),
            "{told:?}"
        );
        assert_eq!(bob.ask("lap"), ["No active peers"], "and it goes on");
    }
}

/// BT-2.1-8, BT-2.2-5: nobody can be aimed at what isn't a peer.
#[test]
fn an_address_that_is_no_peers_is_never_connected_to() {
    for address in [
        "192.0.2.7:22222",
        "127.0.0.1:80",
        "224.0.0.1:5000",
        "255.255.255.255:5000",
        "0.0.0.0:5000",
        "[::]:5000",
        "127.0.0.1:0",
    ] {
        let source = format!(r#"{{"member":"eve","address":"{address}","file_bytes":1,"legacy":false}}"#);
        let located = format!(r#"{{"members":1,"sources":[{source}],"next":null}}"#);
        let index = framed(Kind::Locate, (Kind::Located, located));
        let mut bob = peer(&index, &[]);
        assert!(bob.ask("get x").is_empty());
        let elsewhere = address.starts_with("192");
        bob.wait_for_stderr(if elsewhere {
            "not on this machine"
        } else {
            "the server answers with what is no answer"
        });
    }
}

/// BT-2.5-2: an index that leads in circles is told so, and left.
#[test]
fn pages_that_lead_back_are_no_answer() {
    let hit = r#"{"name":"a","file_bytes":1,"members":1,"sources":1}"#;
    let page = format!(r#"{{"hits":[{hit}],"next":{{"name":"a","file_bytes":1}}}}"#);
    let index = framed(Kind::Search, (Kind::Found, page));
    let mut bob = peer(&index, &[]);
    assert!(bob.ask("sch a").is_empty());
    bob.wait_for_stderr("a page that leads back");
}

/// BT-1.7-2, BT-2.10-1: what can't be read is told with its reason, and escapes nobody's terminal.
#[test]
fn strange_answers_become_clear_errors() {
    let refused = |sentence: &str| (Kind::Refused, format!(r#"{{"code":999,"sentence":"{sentence}"}}"#));
    let cases = [
        (refused("not today"), "not today"),
        (refused("a\\u001b[2Jb"), "no answer"),
        ((Kind::Files, r#"{"files":[],"next":null}"#.to_owned()), "no answer: Files answers Search"),
        ((Kind::Found, "{}".to_owned()), "no answer"),
        ((Kind::Found, "not JSON".to_owned()), "no answer"),
        ((Kind::Unknown(0xee), String::new()), "kind 0xee is not known"),
    ];
    for (reply, told) in cases {
        let index = framed(Kind::Search, reply);
        let mut bob = peer(&index, &[]);
        assert!(bob.ask("sch x").is_empty());
        let line = bob.wait_for_stderr(told);
        assert!(!line.contains('\u{1b}'));
    }
}

/// BT-2.3-1: nothing a login is answered with makes the peer hang or panic.
#[test]
fn a_login_answered_with_nonsense_ends_with_a_clear_error() {
    let index = framed(Kind::Login, (Kind::Peers, r#"{"members":[],"next":null}"#.to_owned()));
    let mut bob = Peer::launch(&programs(), index.address, &[]);
    bob.type_line("bob");
    bob.type_line("builder");
    let ended = bob.wait();
    assert_eq!(ended.status.code(), Some(6), "{ended:?}");
    assert!(ended.stderr.iter().any(|line| line.contains("can't log in")), "{ended:?}");

    let index = framed(Kind::Login, (Kind::LoggedIn, "{\"\\u001b]0;pwned\\u0007\":1}".to_owned()));
    let mut bob = Peer::launch(&programs(), index.address, &[]);
    bob.type_line("bob");
    bob.type_line("builder");
    let ended = bob.wait();
    assert!(ended.stderr.iter().any(|line| line.contains("pwned")), "{ended:?}");
    assert!(ended.stderr.iter().all(|line| !line.contains(['\u{1b}', '\u{7}'])), "{ended:?}");
}

/// BT-4.3-4, BT-3.4-2: a hostile legacy index lists what it likes; the file still lands in the folder.
#[test]
fn a_hostile_legacy_index_shows_nothing_dangerous_and_leads_nowhere() {
    let source = Source::start(1, answer_with(b"evil".to_vec()));
    let port = source.address.port();
    let index = FakeIndex::start(move |datagram| {
        let text = std::str::from_utf8(datagram).ok()?;
        let reply = if text.contains(r#""type": "sch""#) {
            r#"{"status": "success", "message": "m", "files": ["../../evil", "a\u001b[2Jb", "x\ny"]}"#
                .to_owned()
        } else if text.contains(r#""type": "get""#) {
            format!(r#"{{"status": "success", "peer_address": "127.0.0.1", "peer_port": {port}}}"#)
        } else if text.contains(r#""type": "lap""#) {
            r#"{"status": "fail", "message": "\u001b[31mred\u202e"}"#.to_owned()
        } else {
            r#"{"status": "success", "message": "Welcome to BitTrickle!"}"#.to_owned()
        };
        Some(reply.into_bytes())
    });
    let mut bob = peer(&index, &["--legacy"]);
    assert_eq!(
        bob.ask("sch e"),
        ["../../evil", "a\\u{1b}[2Jb", "x\\u{a}y"],
        "one name a line, whatever it holds"
    );
    assert_eq!(bob.ask("lap"), ["\\u{1b}[31mred\\u{202e}"]);
    assert_eq!(bob.ask("get ../../evil"), ["File downloaded successfully."]);
    bob.wait_for_stderr("saved as _");
    let names = bob.folder_names();
    assert_eq!(names.len(), 1);
    assert!(names[0].starts_with("_.._.._evil_"), "{names:?}");
    assert_eq!(std::fs::read(bob.path(&names[0])).unwrap(), b"evil");
    source.join();
}

/// BT-2.2-2: silence is told once it is sure.
#[test]
fn a_server_that_falls_silent_is_told_and_so_is_its_return() {
    let silent = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&silent);
    let index = FakeIndex::start(move |datagram| {
        let header = Header::parse(datagram.first_chunk()?)?;
        let (kind, payload) = match header.kind {
            Kind::Login => (0x90, LOGGED_IN.replace("2000", "200").replace("7000", "600")),
            Kind::Heartbeat if !switch.load(Ordering::Relaxed) => (0x91, NOTHING_OFFERED.to_owned()),
            _ => return None,
        };
        let mut frame = vec![0xb7, 1, kind, 0];
        frame.extend_from_slice(&header.request_id.to_be_bytes());
        frame.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(payload.as_bytes());
        Some(frame)
    });
    let bob = Peer::start(&programs(), index.address, "bob", "builder", &[]);
    // The shell asks for left-overs first; nobody answers that either.
    silent.store(true, Ordering::Relaxed);
    bob.wait_for_stderr("The server has gone silent");
    silent.store(false, Ordering::Relaxed);
    bob.wait_for_stderr("The server is back");
}
