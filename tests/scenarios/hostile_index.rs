//! An index that lies, in both formats: the peer says so, shows nothing dangerous, and goes on.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bittrickle_tests::get::Taker;
use bittrickle_tests::peer::{At, Peer, join};
use bittrickle_tests::sealed_index::{Answer, SealedIndex};
use bittrickle_wire::Kind;

use crate::programs;
use crate::source::{Source, answer_with};

/// A legacy index that answers each datagram with what a function makes of it.
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

/// A framed index that behaves, but for one kind of request.
fn hostile(kind: Kind, reply: (Kind, String)) -> SealedIndex {
    SealedIndex::start(move |request| {
        if request.kind() == kind { Answer::Json(reply.0, reply.1.clone()) } else { Answer::Honest }
    })
}

fn bob(index: impl Into<At>, extra: &[&str]) -> Peer {
    Peer::start(&programs(), index, "bob", "builder", extra)
}

/// What stands behind a name: a byte that isn't hashed.
const UNHASHED: &str = r#"{"file_bytes":1,"root":null,"is_folder":false}"#;

/// A page with this name, and this behind it.
fn found(name: &str, content: &str) -> String {
    let hit = format!(r#"{{"name":"{name}","content":{content},"members":1,"sources":1}}"#);
    format!(r#"{{"hits":[{hit}],"next":null}}"#)
}

/// BT-2.1-9, BT-2.1-10: what can't stand behind a name is no answer; what can is shown.
#[test]
fn a_hostile_content_in_a_page_of_hits_is_refused() {
    let root = "ab".repeat(32);
    let content = |bytes: &str, root: &str, rest: &str| {
        format!(r#"{{"file_bytes":{bytes},"root":"{root}","is_folder":{rest}}}"#)
    };
    let index = hostile(Kind::Search, (Kind::Found, found("x.txt", &content("1", &root, "false"))));
    assert_eq!(bob(&index, &[]).ask("sch x"), ["x.txt"]);
    for content in [
        "null".to_owned(),
        "1".to_owned(),
        content("9007199254740992", &root, "false"),
        content("-1", &root, "false"),
        content("1", &root[1..], "false"),
        content("1", &format!("../{}", &root[3..]), "false"),
        content("1", &root, "2"),
        content("1", &root, r#"false,"path":"/etc/passwd""#),
    ] {
        let index = hostile(Kind::Search, (Kind::Found, found("x.txt", &content)));
        let mut bob = bob(&index, &[]);
        for command in ["sch x", "get x.txt"] {
            assert!(bob.ask(command).is_empty(), "{content}");
        }
        bob.wait_for_stderr("get x.txt: the server answers with what is no answer");
        assert_eq!(bob.folder_names(), Vec::<String>::new());
    }
}

/// BT-2.1-3: a page with a name that isn't acceptable is no answer, and nothing of it is shown.
#[test]
fn a_hostile_name_in_a_page_of_hits_is_refused_and_not_shown() {
    for name in
        ["../etc/passwd", "/etc/passwd", "..\\\\x", "a\\u0000b", "a\\u001b[2J", "\\u202egnp.exe", "NUL.txt"]
    {
        let index = hostile(Kind::Search, (Kind::Found, found(name, UNHASHED)));
        let mut bob = bob(&index, &[]);
        assert!(bob.ask("sch x").is_empty(), "{name}");
        let told = bob.wait_for_stderr("the server answers with what is no answer");
        assert!(
            !told.contains('\u{1b}') && !told.contains('\u{202e}') && !told.contains('\u{0}'),
            "{told:?}"
        );
        assert_eq!(bob.ask("lap"), ["No active peers"], "and it goes on");
    }
}

/// BT-2.1-8: nobody can be aimed at what isn't a peer.
#[test]
fn an_address_that_is_no_peers_is_never_connected_to() {
    let access = format!(r#"{{"device":"{}","ticket":"{}"}}"#, "a5".repeat(32), "5a".repeat(32));
    for address in
        ["127.0.0.1:80", "224.0.0.1:5000", "255.255.255.255:5000", "0.0.0.0:5000", "[::]:5000", "127.0.0.1:0"]
    {
        let index = naming_sources(located(address, &access));
        let mut bob = bob(&index, &[]);
        assert!(bob.ask("get x").is_empty());
        bob.wait_for_stderr("the server answers with what is no answer");
    }
}

/// BT-4.3-5: an index that says of a source that it is an original one doesn't bring a name over the network in clear.
#[test]
fn a_source_elsewhere_is_never_asked_in_clear() {
    let index = naming_sources(located("192.0.2.7:22222", "null"));
    let mut bob = bob(&index, &[]);
    assert!(bob.ask("get x").is_empty());
    bob.wait_for_stderr("eve at 192.0.2.7:22222: it speaks the original's format only, in clear");
    assert_eq!(bob.ask("lap"), ["No active peers"], "and it goes on");
}

/// A framed index that knows a name in the original's format, and these sources of it.
fn naming_sources(located: String) -> SealedIndex {
    let content = r#"{"file_bytes":null,"root":null,"is_folder":false}"#;
    let found = found("x", content);
    SealedIndex::start(move |request| match request.kind() {
        Kind::Search => Answer::Json(Kind::Found, found.clone()),
        Kind::Locate => Answer::Json(Kind::Located, located.clone()),
        _ => Answer::Honest,
    })
}

fn located(address: &str, access: &str) -> String {
    let source =
        format!(r#"{{"member":"eve","address":"{address}","content":{UNHASHED},"access":{access}}}"#);
    format!(r#"{{"members":1,"sources":[{source}],"next":null}}"#)
}

/// BT-2.5-2: an index that leads in circles is told so, and left.
#[test]
fn pages_that_lead_back_are_no_answer() {
    let page = found("a", UNHASHED);
    let next = format!(r#""next":{{"number":1,"content":{UNHASHED}}}"#);
    let page = page.replace(r#""next":null"#, &next);
    let index = hostile(Kind::Search, (Kind::Found, page));
    let mut bob = bob(&index, &[]);
    assert!(bob.ask("sch a").is_empty());
    bob.wait_for_stderr("a page that leads back");
}

/// BT-2.8-1: sources that can't be read are none, and nobody waits for them for ever.
#[test]
fn sources_that_can_not_be_read_end_a_download() {
    let content = format!(r#"{{"file_bytes":1,"root":"{}","is_folder":false}}"#, "ab".repeat(32));
    for located in ["{}", r#"{"members":1,"sources":[{"member":"x"}],"next":null}"#, "not JSON"] {
        let found = found("x", &content);
        let index = SealedIndex::start(move |request| match request.kind() {
            Kind::Search => Answer::Json(Kind::Found, found.clone()),
            Kind::Locate => Answer::Json(Kind::Located, located.to_owned()),
            _ => Answer::Honest,
        });
        let bob = Taker::join(&programs(), &index, "bob", "builder");
        let ended = bob.get("x");
        assert_eq!(ended.code(), Some(6), "{located}: {}", ended.told());
        assert!(ended.told().contains("the server answers with what is no answer"), "{}", ended.told());
    }
}

/// BT-3.5-5: however many ports of a machine the index names, for one download or for several.
#[test]
fn an_index_can_not_aim_its_peers_at_the_ports_of_a_machine() {
    let victims: Vec<TcpListener> = (0..40).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<SocketAddr> = victims.iter().map(|victim| victim.local_addr().unwrap()).collect();
    let content = format!(r#"{{"file_bytes":1,"root":"{}","is_folder":false}}"#, "ab".repeat(32));
    let found = found("x", &content);
    let mut asked = 0;
    let index = SealedIndex::start(move |request| match request.kind() {
        Kind::Search => Answer::Json(Kind::Found, found.clone()),
        Kind::Locate => {
            // Each of another member's, another device, at another port.
            let source = |number: usize| {
                let access = format!(r#"{{"device":"{number:064x}","ticket":"{}"}}"#, "5a".repeat(32));
                let address = addresses[number % addresses.len()];
                format!(
                    r#"{{"member":"m{number}","address":"{address}","content":{content},"access":{access}}}"#
                )
            };
            let sources: Vec<String> = (asked..asked + 2).map(|number| source(number + 9)).collect();
            asked += 2;
            Answer::Json(
                Kind::Located,
                format!(r#"{{"members":1,"sources":[{}],"next":null}}"#, sources.join(",")),
            )
        }
        _ => Answer::Honest,
    });
    // A victim says nothing, and closes.
    let over = Arc::new(AtomicBool::new(false));
    let counting = {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            let mut counts = vec![0; victims.len()];
            victims.iter().for_each(|victim| victim.set_nonblocking(true).unwrap());
            while !over.load(Ordering::Relaxed) {
                for (victim, count) in victims.iter().zip(&mut counts) {
                    while victim.accept().is_ok() {
                        *count += 1;
                    }
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            counts
        })
    };
    let mut bob = bob(&index, &[]);
    for _ in 0..3 {
        assert!(bob.ask("get x").is_empty());
    }
    over.store(true, Ordering::Relaxed);
    let counts: Vec<u32> = counting.join().unwrap();
    let ports = counts.iter().filter(|count| **count > 0).count();
    assert_eq!(ports, 16, "{counts:?}");
    assert!(counts.iter().all(|count| *count <= 3), "{counts:?}");
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
        let index = hostile(Kind::Search, reply);
        let mut bob = bob(&index, &[]);
        assert!(bob.ask("sch x").is_empty());
        let line = bob.wait_for_stderr(told);
        assert!(!line.contains('\u{1b}'));
    }
}

/// BT-2.3-7: nothing a login is answered with makes the peer hang or panic.
#[test]
fn a_login_answered_with_nonsense_ends_with_a_clear_error() {
    let enter = |reply| {
        let index = hostile(Kind::Login, reply);
        Peer::enter(&programs(), &index, "bob", "builder", &[]).wait()
    };
    let ended = enter((Kind::Peers, r#"{"members":[],"next":null}"#.to_owned()));
    assert_eq!(ended.status.code(), Some(6), "{ended:?}");
    assert!(ended.stderr.iter().any(|line| line.contains("can't log in")), "{ended:?}");

    let ended = enter((Kind::LoggedIn, "{\"\\u001b]0;pwned\\u0007\":1}".to_owned()));
    assert!(ended.stderr.iter().any(|line| line.contains("pwned")), "{ended:?}");
    assert!(ended.stderr.iter().all(|line| !line.contains(['\u{1b}', '\u{7}'])), "{ended:?}");
}

/// BT-5.2-1, BT-6.2-5: what the server says decides the exit code, and a server that refuses is not pinned.
#[test]
fn a_refused_enrolment_leaves_nothing_pinned() {
    for (code, exit_code) in [(6, 4), (7, 5), (12, 5), (999, 1)] {
        let refused = format!(r#"{{"code":{code},"sentence":"not you"}}"#);
        let index = hostile(Kind::Enrol, (Kind::Refused, refused));
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let joined = join(&programs(), &index.invite().to_string(), "bob", "builder", &state);
        let told = String::from_utf8_lossy(&joined.stderr).into_owned();
        assert_eq!(joined.status.code(), Some(exit_code), "{told}");
        assert!(told.contains("can't join") && told.contains("not you"), "{told}");
        assert!(!state.join("servers.json").exists(), "{told}");
    }
}

/// BT-4.3-4, BT-3.5-7: a hostile legacy index lists what it likes; the file still lands in the folder.
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
    let mut bob = bob(index.address, &["--legacy"]);
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

/// BT-2.2-2, BT-6.5-6: silence is told once it is sure.
#[test]
fn a_server_that_falls_silent_is_told_and_so_is_its_return() {
    let logged_in =
        r#"{"boot_id":"00000000000000ff","clock_ms":1,"heartbeat_ms":200,"offline_after_ms":600}"#;
    let index = hostile(Kind::Login, (Kind::LoggedIn, logged_in.to_owned()));
    let bob = bob(&index, &[]);
    index.be_silent(true);
    bob.wait_for_stderr("The server has gone silent");
    index.be_silent(false);
    bob.wait_for_stderr("The server is back");
}
