//! Too much of everything: members go on, and strangers get little.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bittrickle_tests::client::{Client, enrol, login};
use bittrickle_tests::network::{Recording, UdpProxy};
use bittrickle_tests::server::Server;
use bittrickle_tests::strangers::Stranger;
use bittrickle_tests::wait::{PATIENCE, wait_for};
use bittrickle_wire::messages::{Filter, Logout, RefusalCode, Reply, Request, Search};
use bittrickle_wire::seal::{Accept, Cookie, Hello, Initiate, PublicKey, Reset, Retry};
use bittrickle_wire::{Encoding, Frame, Message, Query};
use bytes::BytesMut;

use super::{ask, heartbeat, is_sealed, publish, sealed};
use crate::programs;

/// Devices that are online during a flood.
const DEVICES: usize = 10;

/// How long a flood of garbage lasts.
const FLOOD: Duration = Duration::from_secs(3);

/// How often devices send a heartbeat meanwhile.
const BEAT: Duration = Duration::from_millis(200);

/// One of everything that looks like something, and some that doesn't. `sealed` is authentic, and seen before.
fn garbage(sealed: &[u8]) -> Vec<Vec<u8>> {
    let (device_index, nonce, cookie) = (7, [1; 16], Cookie([2; 24]));
    let mut written: [BytesMut; 5] = Default::default();
    let [hello, retry, initiate, accept, reset] = &mut written;
    Hello { device_index, nonce }.write(hello);
    Retry { device_index, nonce, cookie, server_key: PublicKey::from_bytes([3; 32]) }.write(retry);
    Initiate { device_index, nonce, cookie, noise: [4; 204] }.write(initiate);
    Accept { device_index, noise: [5; 52] }.write(accept);
    Reset { index: 0, counter: 1 }.write(reset);
    let mut garbage: Vec<Vec<u8>> = written.iter().map(|bytes| bytes.to_vec()).collect();
    let (mut changed, mut unknown, mut version) = (sealed.to_vec(), sealed.to_vec(), sealed.to_vec());
    *changed.last_mut().unwrap() ^= 1;
    unknown[4] = 0x7f;
    version.resize(256, 0);
    version[1] = 9;
    garbage.extend([sealed.to_vec(), changed, unknown, version, sealed[..19].to_vec(), vec![0xb7; 1_200]]);
    garbage.extend([
        vec![0; 512],
        b"{\"type\": \"heartbeat\", \"content\": {}}".to_vec(),
        b"{".to_vec(),
        Vec::new(),
    ]);
    garbage
}

/// BT-6.4-5, BT-6.5-5
#[test]
fn nobody_goes_offline_while_strangers_send_garbage_as_fast_as_they_can() {
    let server = Server::start(&programs());
    let device = |number: usize| {
        let (member, password) = [("alice", "wonderland"), ("bob", "builder")][number % 2];
        let mut client = Client::log_in(&server, member, password, 40_000 + u16::try_from(number).unwrap());
        ask(&mut client, publish("notes.txt"));
        client
    };
    let mut devices: Vec<Client> = (0..DEVICES).map(device).collect();
    let mut carol = Client::log_in(&server, "carol", "singer", 50_000);
    let seen = sealed(&mut carol, Request::Logout(Logout {}));
    // She has to be heard like all others: who asks for nothing for seven seconds is offline.
    devices.push(carol);
    let (over, sent, garbage) = (AtomicBool::new(false), AtomicU64::new(0), garbage(&seen));
    let answered = std::thread::scope(|scope| {
        for address in ["127.0.0.67", "127.0.0.68"] {
            scope.spawn(|| flood(address, &server, &garbage, &over, &sent));
        }
        let answered = beat_for(FLOOD, &mut devices);
        over.store(true, Ordering::Relaxed);
        answered
    });
    println!("{} datagrams of garbage, heartbeats answered: {answered:?}", sent.into_inner());
    assert!(answered.iter().all(|count| *count > 0), "each is heard during the flood: {answered:?}");
    let search = Request::Search(Search {
        text: Query::new("notes").unwrap(),
        filter: Filter::default(),
        after: None,
    });
    let carol = devices.last_mut().expect("she is there");
    let found = ask_again(carol, &search);
    let Reply::Found(found) = found else { panic!("no answer to a search: {found:?}") };
    assert_eq!(found.hits[0].sources as usize, DEVICES);
    for device in &mut devices {
        assert!(matches!(ask_again(device, &heartbeat()), Reply::HeartbeatReply(_)));
    }
}

/// Asks as a peer does, more than once: the server's buffer may still be full.
fn ask_again(client: &mut Client, request: &Request) -> Reply {
    client.patience(Duration::from_secs(1));
    (0..3).find_map(|_| client.try_ask(Encoding::Bincode, request.clone())).expect("an answer")
}

fn flood(address: &str, server: &Server, garbage: &[Vec<u8>], over: &AtomicBool, sent: &AtomicU64) {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    for datagram in garbage.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        // A full buffer is what a flood is about.
        sent.fetch_add(u64::from(socket.send_to(datagram, server.address()).is_ok()), Ordering::Relaxed);
    }
}

/// Each device sends heartbeats. Says how many were answered.
fn beat_for(duration: Duration, devices: &mut [Client]) -> Vec<usize> {
    let mut answered = vec![0; devices.len()];
    let started = Instant::now();
    devices.iter().for_each(|device| device.patience(Duration::from_millis(20)));
    while started.elapsed() < duration {
        let next = Instant::now() + BEAT;
        for device in devices.iter_mut() {
            let datagram = sealed(device, heartbeat());
            device.send(&datagram);
        }
        for (device, answered) in devices.iter().zip(&mut answered) {
            *answered += usize::from(device.receive().is_some());
        }
        // More often would be too fast, and answered with that.
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    answered
}

/// BT-6.4-1, BT-6.4-4: each gets less than it sends, and leaves nothing behind.
#[test]
fn hellos_from_ten_thousand_addresses_leave_nothing_behind() {
    let server = Server::start(&programs());
    let mut alice = Client::log_in(&server, "alice", "wonderland", 40_000);
    let hello_from = |number: u32| {
        let [_, a, b, c] = number.to_be_bytes();
        let socket = UdpSocket::bind((Ipv4Addr::new(127, a + 1, b, c), 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut hello, mut answer) = (BytesMut::new(), [0; 1_200]);
        Hello { device_index: number, nonce: [9; 16] }.write(&mut hello);
        socket.send_to(&hello, server.address()).unwrap();
        let answer_bytes = socket.recv(&mut answer).expect("loopback loses nothing of this little");
        assert!(answer_bytes < hello.len(), "{answer_bytes} bytes for {}", hello.len());
        socket.set_nonblocking(true).unwrap();
        assert!(socket.recv(&mut answer).is_err(), "one datagram for one");
    };
    // What is allocated once is there after the first thousand.
    (0..1_000).for_each(hello_from);
    let before = resident_kib(server.id());
    for number in 1_000..10_000 {
        hello_from(number);
        // Who asks for nothing for seven seconds is offline, and on a busy machine this takes longer.
        if number % 250 == 0 {
            assert!(matches!(ask(&mut alice, heartbeat()), Reply::HeartbeatReply(_)));
        }
    }
    let after = resident_kib(server.id());
    assert!(after < before + 256, "{before} KiB, then {after} KiB");
    assert!(matches!(ask(&mut alice, heartbeat()), Reply::HeartbeatReply(_)));
    let mut bob = Client::log_in(&server, "bob", "builder", 40_001);
    assert!(matches!(ask(&mut bob, heartbeat()), Reply::HeartbeatReply(_)));
}

/// The memory that a process uses, in KiB.
fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// A client whom the server sees at another address.
fn client_at(address: &str, server: &Server) -> (UdpProxy, Client) {
    let proxy = UdpProxy::start(server.address(), address.parse().unwrap(), &Recording::default());
    let mut client = Client::of(proxy.address(), server.invite().key);
    client.shake_hands();
    (proxy, client)
}

/// Tries a password: `None` when that has to wait.
fn try_password(client: &mut Client, member: &str, password: &str) -> Option<bool> {
    match ask(client, enrol(member, password)) {
        Reply::Enrolled(_) => Some(true),
        Reply::Refused(refused) if refused.code == RefusalCode::AUTHENTICATION_FAILED => Some(false),
        Reply::Refused(refused) if refused.code == RefusalCode::TOO_FAST => None,
        other => panic!("{other:?}"),
    }
}

/// BT-2.11-6, BT-2.11-8
#[test]
fn who_guesses_has_to_wait_longer_and_longer_and_nobody_else_does() {
    let server = Server::start(&programs());
    let mut enrolled = Client::log_in(&server, "alice", "wonderland", 40_000);
    let (_guessers, mut guesser) = client_at("127.0.0.69", &server);
    let mut asked = Instant::now();
    for _ in 0..5 {
        asked = Instant::now();
        assert_eq!(try_password(&mut guesser, "alice", "guess"), Some(false));
    }
    for seconds in [1, 2] {
        let before = asked;
        let looked_at = wait_for("the next guess is looked at", PATIENCE, || {
            asked = Instant::now();
            try_password(&mut guesser, "alice", "guess")
        });
        assert!(!looked_at && before.elapsed() > Duration::from_secs(seconds), "{:?}", before.elapsed());
    }
    assert_eq!(try_password(&mut guesser, "alice", "wonderland"), None, "it isn't even looked at");
    assert_eq!(try_password(&mut guesser, "carol", "singer"), None, "whoever's password it is");

    let (_elsewhere, mut other) = client_at("127.0.0.70", &server);
    assert_eq!(try_password(&mut other, "alice", "wonderland"), Some(true));
    enrolled.shake_hands();
    assert!(matches!(ask(&mut enrolled, login(40_000)), Reply::LoggedIn(_)));
}

/// BT-2.11-7
#[test]
fn a_member_whose_password_is_guessed_from_everywhere_is_never_locked_out() {
    let server = Server::start(&programs());
    let mut enrolled = Client::log_in(&server, "bob", "builder", 40_000);
    let mut guessers: Vec<_> = (71..=73).map(|n| client_at(&format!("127.0.0.{n}"), &server)).collect();
    for number in 0..12 {
        let (_, guesser) = &mut guessers[number % 3];
        let guess = || try_password(guesser, "bob", "guess");
        assert!(!wait_for("a guess is looked at", PATIENCE, guess));
    }
    let mut is_put_off = |number: usize| try_password(&mut guessers[number].1, "bob", "guess").is_none();
    assert!((0..3).any(&mut is_put_off), "they are slow by now");
    let (_owners, mut owner) = client_at("127.0.0.74", &server);
    assert!(wait_for("the owner is let in", PATIENCE, || try_password(&mut owner, "bob", "builder")));
    enrolled.shake_hands();
    assert!(matches!(ask(&mut enrolled, login(40_000)), Reply::LoggedIn(_)));
}

/// BT-6.2-10
#[test]
fn strangers_who_take_all_places_of_strangers_take_none_of_members() {
    let server = Server::start(&programs());
    let key = server.invite().key;
    let mut alice = Client::log_in(&server, "alice", "wonderland", 40_000);
    let mut bob = Client::log_in(&server, "bob", "builder", 40_001);
    let at = |n: u8| Stranger::at(IpAddr::from([127, 0, 1, n]), server.address());
    let mut strangers: Vec<Stranger> = (1..=64).map(at).collect();
    for round in 0..16 {
        assert!(matches!(ask(&mut alice, heartbeat()), Reply::HeartbeatReply(_)));
        for stranger in &mut strangers {
            let mut session = stranger.shake_hands(&key).unwrap_or_else(|| panic!("round {round}"));
            // Only so a session stays for longer than ten seconds.
            let message = Message::Request(heartbeat());
            let mut datagram = BytesMut::new();
            session
                .seal(Frame { request_id: 1, encoding: Encoding::Bincode, message }, &mut datagram)
                .unwrap();
            stranger.socket.send(&datagram).unwrap();
            assert!(std::iter::from_fn(|| stranger.receive()).any(|answer| is_sealed(&answer)), "a refusal");
        }
    }
    assert!(at(65).shake_hands(&key).is_none(), "there are no more places for strangers");
    assert!(matches!(ask(&mut alice, heartbeat()), Reply::HeartbeatReply(_)));
    for _ in 0..3 {
        bob.shake_hands();
        assert!(matches!(ask(&mut bob, login(40_001)), Reply::LoggedIn(_)));
    }
}

/// BT-6.2-10
#[test]
fn one_address_has_sixteen_places_for_strangers() {
    let server = Server::start(&programs());
    let key = server.invite().key;
    let mut here = Stranger::at(IpAddr::from([127, 0, 0, 75]), server.address());
    assert!((0..16).all(|_| here.shake_hands(&key).is_some()));
    assert!(here.shake_hands(&key).is_none());
    let mut elsewhere = Stranger::at(IpAddr::from([127, 0, 0, 76]), server.address());
    assert!(elsewhere.shake_hands(&key).is_some());
}
