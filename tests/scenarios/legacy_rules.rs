//! The legacy format at the index: datagrams in, datagrams out, at invented times and from invented addresses (BT-4.1).

mod answers;
mod lists;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_server::access::LegacyAccess;
use bittrickle_server::accounts::{Check, Verdict};
use bittrickle_server::directory::Directory;
use bittrickle_server::index::{Caller, Index, Limits, Tickets};
use bittrickle_server::responder::{Counters, Identity, Responder};
use bittrickle_server::sealing;
use bittrickle_tests::samples;
use bittrickle_wire::messages::{Reply, Request};
use bittrickle_wire::seal::{PublicKey, SecretKey, Ticket};
use bittrickle_wire::{Encoding, Hex64, HexBytes, MemberName, Target};
use bytes::BytesMut;
use serde_json::{Value, json};

/// The original's client: one address, a new port for every request.
const HERE: &str = "127.0.0.1";

/// A responder, and a clock that stands still until it is moved.
struct World {
    responder: Responder,
    now: Instant,
    port: u16,
    members: Vec<MemberName>,
    /// Whose framed session there is.
    framed: Arc<MemberName>,
}

/// One ticket for all: nobody looks at it here.
struct AnyTicket;

impl Tickets for AnyTicket {
    fn issue(&self, _: &PublicKey, _: &PublicKey, _: &Target) -> Option<Ticket> {
        Some(Ticket(HexBytes([0; 32])))
    }
}

impl World {
    fn new() -> Self {
        Self::with(&["alice", "bob", "carol", "zoë"], Limits::default(), LegacyAccess::loopback())
    }

    /// The password of each member is `pw`.
    fn with(members: &[&str], limits: Limits, access: LegacyAccess) -> Self {
        let (now, secret) = (Instant::now(), SecretKey::from_bytes([1; 32]));
        let identity = Identity { secret, directory: Directory::default(), seed: [2; 32] };
        let index = Index::new(now, Hex64(1), limits);
        let responder = Responder::new(index, identity, sealing::Limits::default(), access);
        let members = members.iter().map(|member| samples::member(member)).collect();
        Self { responder, now, port: 10_000, members, framed: Arc::new(samples::member("nobody")) }
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    /// The bytes that come back, if any do; every datagram comes from another port (BT-4.1-1).
    fn send(&mut self, ip: &str, datagram: &[u8]) -> Option<Vec<u8>> {
        self.port += 1;
        let from = SocketAddr::new(ip.parse().unwrap(), self.port);
        let (mut buffer, mut out) = (BytesMut::from(datagram), BytesMut::new());
        self.responder.respond(self.now, from, &mut buffer, &mut out);
        if let Some(check) = self.responder.next_check() {
            let verdict = self.verdict(&check);
            let to = self.responder.checked(self.now, check.id, &verdict, &mut out);
            assert_eq!(to, Some(from), "whoever asked is answered");
        }
        assert!(buffer.is_empty(), "the datagram is used up");
        assert!(out.len() <= 1_024, "the original reads no more: {} bytes", out.len());
        (!out.is_empty()).then(|| out.to_vec())
    }

    fn verdict(&self, check: &Check) -> Verdict {
        let is_right = self.members.contains(&check.member) && check.password.as_str() == "pw";
        if is_right { Verdict::Right } else { Verdict::Wrong }
    }

    fn ask_from(&mut self, ip: &str, request: &Value) -> String {
        let answer = self.send(ip, request.to_string().as_bytes());
        String::from_utf8(answer.unwrap_or_else(|| panic!("no answer to {request}"))).unwrap()
    }

    fn ask(&mut self, request: &Value) -> String {
        self.ask_from(HERE, request)
    }

    fn log_in(&mut self, member: &str, port: u16) -> String {
        self.ask(&login(member, "pw", port))
    }

    fn publish(&mut self, member: &str, name: &str) {
        assert_eq!(self.ask(&file("pub", member, name)), success("File published successfully"), "{name}");
    }

    /// The names in the answer to `lpf`, `sch` or `lap`; none where it fails.
    fn list(&mut self, request: &Value) -> Vec<String> {
        let answer: Value = serde_json::from_str(&self.ask(request)).unwrap();
        let list = answer.get("files").or(answer.get("users")).and_then(Value::as_array);
        list.into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    fn framed(&mut self, from: &str, request: Request) -> Reply {
        let device = PublicKey::from_bytes([7; 32]);
        let caller = Caller { member: &self.framed, device, address: from.parse().unwrap() };
        self.responder.index.handle(self.now, caller, Encoding::Bincode, request, &AnyTicket)
    }

    fn framed_log_in(&mut self, from: &str, member: &str, port: u16) {
        self.framed = Arc::new(samples::member(member));
        let reply = self.framed(from, samples::login(port));
        assert!(matches!(reply, Reply::LoggedIn(_)), "{reply:?}");
    }

    fn dropped(&self) -> u64 {
        self.responder.counters().malformed
    }
}

fn login(member: &str, password: &str, port: u16) -> Value {
    json!({ "type": "login", "username": member, "password": password, "tcp_port": port })
}

/// `heartbeat`, `lap` or `lpf`.
fn plain(kind: &str, member: &str) -> Value {
    json!({ "type": kind, "username": member })
}

/// `pub`, `unp` or `get`.
fn file(kind: &str, member: &str, name: &str) -> Value {
    json!({ "type": kind, "username": member, "filename": name })
}

fn search(member: &str, text: &str) -> Value {
    json!({ "type": "sch", "username": member, "substring": text })
}

fn success(sentence: &str) -> String {
    format!(r#"{{"status": "success", "message": "{sentence}"}}"#)
}

fn fail(sentence: &str) -> String {
    format!(r#"{{"status": "fail", "message": "{sentence}"}}"#)
}

/// BT-4.1-1
#[test]
fn a_user_is_told_by_name_and_address_from_whichever_port() {
    let mut world = World::new();
    assert_eq!(world.log_in("alice", 50_000), success("Welcome to BitTrickle!"));
    assert_eq!(world.log_in("bob", 50_001), success("Welcome to BitTrickle!"));
    for _ in 0..3 {
        assert_eq!(world.ask(&plain("heartbeat", "alice")), success("Hearbeat received"));
        assert_eq!(world.ask(&plain("heartbeat", "bob")), success("Hearbeat received"));
    }
    assert_eq!(world.responder.index.session_count(), 2);
}

/// BT-4.1-2: any spelling, any order, fields that aren't known.
#[test]
fn a_request_is_read_in_any_json_spelling() {
    let mut world = World::new();
    world.log_in("zoë", 50_000);
    for spelling in [
        r#"{"type":"heartbeat","username":"zoë"}"#,
        r#"{"type": "heartbeat", "username": "zo\u00eb"}"#,
        r#"{"username":"zo\u00EB","type":"heart\u0062eat"}"#,
        "{ \"type\"\t:\r\n \"heartbeat\" , \"username\" : \"zoë\" } \n",
        r#"{"type":"heartbeat","username":"zoë","version":3,"more":{"of":[null,{"it":1.5e3}]},"x":"\ud83d\ude00"}"#,
        r#"{"\u0074ype":"heartbeat","username":"zoë","filename":"ignored","tcp_port":1}"#,
    ] {
        let answer = world.send(HERE, spelling.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(answer, Some(success("Hearbeat received")), "{spelling}");
    }
}

/// BT-4.1-2: `, ` and `: `, and nothing but printable ASCII.
#[test]
fn an_answer_is_printed_as_python_prints_it() {
    let mut world = World::new();
    world.log_in("alice", 50_000);
    world.log_in("zoë", 50_001);
    for name in ["a, b.txt", "ÿ\u{100}.txt", "日本", "😀", "it's"] {
        world.publish("alice", name);
    }
    let expected = concat!(
        r#"{"status": "success", "message": "Files Listed.", "#,
        r#""files": ["a, b.txt", "\u00ff\u0100.txt", "\u65e5\u672c", "\ud83d\ude00", "it's"]}"#
    );
    assert_eq!(world.ask(&plain("lpf", "alice")), expected);
    let expected = r#"{"status": "success", "message": "Active users listed.", "users": ["zo\u00eb"]}"#;
    assert_eq!(world.ask(&plain("lap", "alice")), expected);
}

/// BT-4.1-3
#[test]
fn what_follows_1024_bytes_is_not_read() {
    let mut world = World::new();
    world.log_in("alice", 50_000);
    let request = plain("heartbeat", "alice").to_string();
    let padded = |bytes: usize, behind: &str| format!("{request:<bytes$}{behind}").into_bytes();
    assert!(world.send(HERE, &padded(1_024, "")).is_some());
    assert!(world.send(HERE, &padded(1_024, "x")).is_some(), "nobody sees the x");
    assert!(world.send(HERE, &padded(1_024, &"}".repeat(60_000))).is_some());
    assert!(world.send(HERE, &padded(1_023, "x")).is_none(), "here it is seen");
    let long = |bytes: usize| {
        let without = file("get", "alice", "").to_string().len();
        file("get", "alice", &"n".repeat(bytes - without)).to_string().into_bytes()
    };
    assert!(world.send(HERE, &long(1_024)).is_some());
    assert!(world.send(HERE, &long(1_025)).is_none(), "the last brace is cut off");
    assert_eq!(world.dropped(), 2);
}

/// BT-4.1-4: a sample of each fault, counted once, and nothing else happens.
#[test]
fn a_datagram_that_is_no_request_is_counted_and_dropped() {
    let mut world = World::new();
    world.log_in("alice", 50_000);
    world.publish("alice", "a");
    let broken: [&[u8]; 11] = [
        b"{",
        b"{}",
        b"{\"type\": \"lap\", \"username\": \"alice\"",
        b"{\"type\": \"lap\", \"username\": \"alice\"}}",
        b"{\"type\": \"lap\", \"username\": \"alice\"}{}",
        b"{\"type\": \"lap\", \"username\": \"alice\",}",
        b"{'type': 'lap', 'username': 'alice'}",
        b"{\"type\": \"lap\" \"username\": \"alice\"}",
        b"{\"type\": \"lap\", \"username\": \"\xff\"}",
        b"{\"type\": \"lap\", \"username\": \"ali\nce\"}",
        b"{null}",
    ];
    let faults = [
        r#"{"username": "alice"}"#,
        r#"{"type": "lap"}"#,
        r#"{"type": null, "username": "alice"}"#,
        r#"{"type": "lap", "username": null}"#,
        r#"{"type": "login", "username": "bob", "tcp_port": 50000}"#,
        r#"{"type": "login", "username": "bob", "password": "pw"}"#,
        r#"{"type": 1, "username": "alice"}"#,
        r#"{"type": ["lap"], "username": "alice"}"#,
        r#"{"type": "lap", "username": 7}"#,
        r#"{"type": "lap", "username": {"name": "alice"}}"#,
        r#"{"type": "login", "username": "bob", "password": 7, "tcp_port": 50000}"#,
        r#"{"type": "login", "username": "bob", "password": "pw", "tcp_port": "50000"}"#,
        r#"{"type": "login", "username": "bob", "password": "pw", "tcp_port": true}"#,
        r#"{"type": "login", "username": "bob", "password": "pw", "tcp_port": [50000]}"#,
        r#"{"type": "unp", "username": "alice", "filename": ["a"]}"#,
        r#"{"type": "get", "username": "alice", "filename": 5}"#,
        r#"{"type": "sch", "username": "alice", "substring": false}"#,
        r#"{"type": "lap", "username": "alice\ud800"}"#,
        r#"{"type": "pub", "username": "alice", "filename": "\udc00\ud800"}"#,
    ];
    let faults = faults.iter().map(|fault| fault.as_bytes());
    for (count, datagram) in (1..).zip(broken.into_iter().chain(faults)) {
        let text = String::from_utf8_lossy(datagram).into_owned();
        assert_eq!(world.send(HERE, datagram), None, "{text}");
        assert_eq!(
            world.responder.counters(),
            Counters { legacy_answered: 2, passwords: 1, malformed: count, ..Counters::default() },
            "{text}"
        );
    }
    assert_eq!((world.responder.index.session_count(), world.responder.index.publication_count()), (1, 1));
    world.wait(2_999);
    assert!(world.send(HERE, b"{\"type\": \"heartbeat\", \"username\": 1}").is_none());
    world.wait(1);
    assert_eq!(
        world.ask(&plain("heartbeat", "alice")),
        fail("Unknown user"),
        "none of them was a sign of life"
    );
}

/// BT-4.1-4, BT-1.1-2: what doesn't begin with a brace isn't looked at; a `GET` belongs on TCP.
#[test]
fn a_datagram_that_begins_otherwise_is_counted_and_dropped() {
    let mut world = World::new();
    let datagrams: [&[u8]; 6] = [b"", b" {}", b"[]", b"GET notes.txt", b"\xef\xbb\xbf{}", b"null"];
    for (count, datagram) in (1..).zip(datagrams) {
        assert_eq!(world.send(HERE, datagram), None);
        assert_eq!(world.responder.counters(), Counters { malformed: count, ..Counters::default() });
    }
}

/// BT-4.1-5
#[test]
fn legacy_datagrams_are_taken_from_the_addresses_that_are_allowed() {
    let loopback = ["127.0.0.1", "127.255.0.9", "::1"];
    let elsewhere = ["10.0.0.1", "192.168.7.7", "8.8.8.8", "::2", "fe80::1", "128.0.0.1"];
    for (access, allowed) in [
        (LegacyAccess::loopback(), &loopback[..]),
        ("off".parse().unwrap(), &[]),
        ("10.0.0.0/8, ::2".parse().unwrap(), &["10.0.0.1", "::2"]),
        (
            "0.0.0.0/0,::/0".parse().unwrap(),
            &[
                "10.0.0.1",
                "192.168.7.7",
                "8.8.8.8",
                "::2",
                "fe80::1",
                "128.0.0.1",
                "127.0.0.1",
                "127.255.0.9",
                "::1",
            ],
        ),
    ] {
        let mut world = World::with(&["alice"], Limits::default(), access.clone());
        let mut refused = 0;
        for ip in loopback.iter().chain(&elsewhere) {
            let answer = world.send(ip, plain("lap", "alice").to_string().as_bytes());
            assert_eq!(answer.is_some(), allowed.contains(ip), "{ip} with {access}");
            refused += u64::from(answer.is_none());
            assert_eq!(world.responder.counters().address_refused, refused, "{ip} with {access}");
        }
        assert_eq!(world.dropped(), 0);
    }
}
