//! Who may make a handshake, how often, and how many sessions there may be (BT-6.4, BT-6.2-10, BT-6.5-10).

use std::net::SocketAddr;

use bittrickle_server::responder::Counters;
use bittrickle_server::sealing::{Handshakes, Limits, QueueError, Rate};
use bittrickle_tests::noise::Handshake;
use bittrickle_tests::socketless::{Device, Server, secret, written};
use bittrickle_wire::messages::Reply;
use bittrickle_wire::seal::{Cookie, Datagram, Initiate, NONCE_BYTES};

use super::{ALICE, BOB, heartbeat};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Enough handshakes from everywhere, so that other limits are seen.
const UNHURRIED: Rate = Rate { per_second: 1_000_000, burst: 1_000_000 };

/// Few sessions, so that tests reach the limits.
fn small() -> Limits {
    Limits { sessions: 3, strangers: 4, strangers_of_network: 2, handshakes: UNHURRIED, ..Limits::default() }
}

/// An `Initiate` with a good cookie and no Noise message worth the name.
fn hollow(world: &mut Server, from: SocketAddr) -> Initiate {
    let retry = world.hello(from).unwrap();
    Initiate { device_index: retry.device_index, nonce: retry.nonce, cookie: retry.cookie, noise: [0; 204] }
}

fn is_alive(world: &mut Server, device: &mut Device) -> bool {
    matches!(world.ask(device, heartbeat()), Some(Reply::HeartbeatReply(_)))
}

/// BT-6.4-4, BT-6.4-2: of another address or nonce, changed, too old, or nobody's.
#[test]
fn an_initiate_without_a_good_cookie_is_dropped_and_counted() {
    let mut world = Server::new();
    let from = address(ALICE);
    let (_, initiate) = world.initiate(from, &secret(1));
    let mut sent = 0;
    let mut refuse = |world: &mut Server, from: SocketAddr, initiate: &Initiate| {
        sent += 1;
        assert!(world.send(from, &written(initiate)).is_empty());
        assert!(!world.responder.has_handshakes(), "it doesn't wait for its turn");
        assert_eq!(world.responder.counters().bad_cookies, sent);
    };
    for elsewhere in ["192.0.2.1:4001", "192.0.2.2:4000", "[::ffff:192.0.2.9]:4000", "127.0.0.1:4000"] {
        refuse(&mut world, address(elsewhere), &initiate);
    }
    refuse(&mut world, from, &Initiate { nonce: [7; NONCE_BYTES], ..initiate });
    refuse(&mut world, from, &Initiate { cookie: Cookie([0; 24]), ..initiate });
    for byte in 0..24 {
        let mut cookie = initiate.cookie;
        cookie.0[byte] ^= 1;
        refuse(&mut world, from, &Initiate { cookie, ..initiate });
    }
    world.wait(15_001);
    refuse(&mut world, from, &initiate);
    assert_eq!((world.responder.sealed_count(), world.responder.counters().handshakes), (0, 0));
}

/// BT-6.3-6, BT-6.2-8
#[test]
fn a_handshake_that_was_not_made_for_this_server_is_not_answered_and_is_counted() {
    let mut world = Server::new();
    let (_, initiate) = world.initiate(address(ALICE), &secret(1));
    for byte in (0..204).step_by(7) {
        let (_, mut changed) = world.initiate(address(ALICE), &secret(1));
        changed.noise[byte] ^= 1;
        world.wait(1_000);
        world.send(address(ALICE), &written(&changed));
        assert_eq!(world.next_handshake(), Some((address(ALICE), Default::default())), "byte {byte}");
    }
    let Counters { bad_seals, handshakes, .. } = world.responder.counters();
    assert_eq!((bad_seals, handshakes, world.responder.sealed_count()), (30, 30, 0));
    assert!(world.send(address(ALICE), &written(&initiate)).is_empty());
    assert_eq!(world.responder.counters().bad_cookies, 1, "a cookie of half a minute ago");
}

/// BT-6.3-1, BT-6.3-2, BT-6.3-3, BT-6.3-5: spelled with nothing but Noise; what stands where zeros do isn't looked at.
#[test]
fn a_handshake_can_be_made_by_hand() {
    for filling in [0, 0xff] {
        let mut world = Server::new();
        world.enrol("alice", secret(1).public());
        let others = [2, 3].map(|n| world.log_in("bob", n, &format!("198.51.100.{n}:1")));
        let retry = world.hello(address(ALICE)).unwrap();
        let mut initiate = vec![0xb7, 1, 0x02, 2];
        initiate.extend(retry.device_index.to_be_bytes());
        initiate.extend(244_u32.to_be_bytes());
        initiate.extend(retry.nonce);
        initiate.extend(retry.cookie.0);
        let prologue = [b"BitTrickle datagrams", &initiate[..]].concat();
        let mut handshake = Handshake::begin(&prologue, &secret(1), &world.key());
        initiate.extend(handshake.write(&[filling; 108]));
        assert_eq!(initiate.len(), 256);
        world.send(address(ALICE), &initiate);
        let (_, accept) = world.next_handshake().unwrap();
        assert_eq!(accept[..8], [&[0xb7, 1, 0x82, 2][..], &retry.device_index.to_be_bytes()].concat());
        let index = handshake.read(&accept[12..]).expect("the server has its key");
        assert_eq!(index.len(), 4, "the server's index and no more");
        assert!(others.iter().all(|other| other.session.remote_index().to_be_bytes() != index[..]));
        let mut head = vec![0xb7, 1, 0x03, 2];
        head.extend(&index);
        head.extend((8 + 12 + 16_u32).to_be_bytes());
        head.extend(0_u64.to_be_bytes());
        let heartbeat = [0xb7, 1, 0x11, 1, 0, 0, 0, 7, 0, 0, 0, 0];
        let keys = handshake.finish();
        let answer = world.send(address(ALICE), &[&head[..], &keys.seal(0, &head, &heartbeat)].concat());
        let text = keys.open(0, &answer[..20], &answer[20..]).expect("it is sealed for us");
        assert_eq!(text[..8], [0xb7, 1, 0xf0, 1, 0, 0, 0, 7], "log in first");
    }
}

/// BT-6.4-5
#[test]
fn a_network_makes_5_handshakes_at_once_and_20_a_second() {
    for (network, others) in [
        (["192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3"], ["192.0.2.2:1", "[2001:db8::]:1"]),
        (
            ["[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::ffff:1:2:3]:9"],
            ["[2001:db8:0:1::1]:1", "192.0.2.1:1"],
        ),
    ] {
        let mut world = Server::new();
        let attempt = |world: &mut Server, from: &str| {
            let before = world.responder.counters().handshakes;
            let initiate = hollow(world, address(from));
            world.send(address(from), &written(&initiate));
            world.responder.counters().handshakes > before
        };
        let taken = (0..60).filter(|i| attempt(&mut world, network[i % 3])).count();
        assert_eq!((taken, world.responder.counters().handshakes_shed), (5, 55));
        for other in others {
            assert!(attempt(&mut world, other), "{other} is another network");
        }
        let mut taken = 0;
        for milliseconds in 1..=10_000_usize {
            world.wait(1);
            taken += usize::from(attempt(&mut world, network[milliseconds % 3]));
            while world.next_handshake().is_some() {}
        }
        assert_eq!(taken, 200, "20 a second");
        world.wait(60_000);
        let taken = (0..60).filter(|i| attempt(&mut world, network[i % 3])).count();
        assert_eq!(taken, 5, "what isn't used is not saved up");
    }
}

/// BT-6.4-5: what sessions send doesn't wait behind handshakes.
#[test]
fn at_most_4096_handshakes_wait_and_heartbeats_go_past_them() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    let before = world.responder.counters();
    for host in 0..5_000_u32 {
        let from = SocketAddr::from(((0x0a00_0000 + host).to_be_bytes(), 4_000));
        let initiate = hollow(&mut world, from);
        assert!(world.send(from, &written(&initiate)).is_empty());
    }
    let after = world.responder.counters();
    assert_eq!(after.handshakes - before.handshakes, 4_096);
    assert_eq!(after.handshakes_shed - before.handshakes_shed, 5_000 - 4_096);
    assert!(is_alive(&mut world, &mut device));
    assert!(world.next_handshake().is_some());
    let initiate = hollow(&mut world, address(BOB));
    world.send(address(BOB), &written(&initiate));
    assert_eq!(world.responder.counters().handshakes, after.handshakes + 1, "there is a place again");
}

/// BT-6.4-5: who has asked lately is remembered, as many as there may be, and no more are served.
#[test]
fn networks_are_remembered_up_to_65536_of_them() {
    let rate = Rate { per_second: 20, burst: 5 };
    let mut handshakes = Handshakes::new(rate);
    let initiate = |number: u32| {
        let mut nonce = [0; NONCE_BYTES];
        nonce[..4].copy_from_slice(&number.to_be_bytes());
        Initiate { device_index: 0, nonce, cookie: Cookie([0; 24]), noise: [0; 204] }
    };
    let from = |number: u32| SocketAddr::from(((0x0a00_0000 + number).to_be_bytes(), 1));
    for number in 0..65_536 {
        assert_eq!(handshakes.push(1_000, from(number), initiate(number)), Ok(()));
        handshakes.pop(0).unwrap();
    }
    assert_eq!(handshakes.push(1_000, from(65_536), initiate(70_000)), Err(QueueError::Full));
    assert_eq!(handshakes.push(1_000, from(0), initiate(70_001)), Ok(()), "who is known is served");
    handshakes.pop(0).unwrap();
    assert_eq!(handshakes.push(2_100, from(65_536), initiate(70_002)), Ok(()), "full budgets are forgotten");
}

/// BT-6.4-5: an answer that comes too late is of no use to anybody.
#[test]
fn a_handshake_that_has_waited_for_more_than_three_seconds_is_passed_over() {
    let mut world = Server::new();
    for (waited, is_answered) in [(3_000, true), (3_001, false)] {
        let initiate = hollow(&mut world, address(ALICE));
        world.send(address(ALICE), &written(&initiate));
        world.wait(waited);
        assert_eq!(world.next_handshake().is_some(), is_answered, "{waited} ms");
        assert!(!world.responder.has_handshakes());
    }
}

/// BT-6.4-7: while it waits, and before its session's first frame.
#[test]
fn an_initiate_that_comes_again_gets_the_same_accept_and_no_second_session() {
    let mut world = Server::new();
    world.enrol("alice", secret(1).public());
    let from = address(ALICE);
    let (mut initiating, initiate) = world.initiate(from, &secret(1));
    for _ in 0..50 {
        assert!(world.send(from, &written(&initiate)).is_empty());
    }
    assert_eq!(
        world.responder.counters().handshakes_shed,
        0,
        "it takes nothing from the budget while it waits"
    );
    let (_, accept) = world.next_handshake().unwrap();
    assert!(!world.responder.has_handshakes(), "it waited once");
    for _ in 0..4 {
        assert_eq!(world.send(from, &written(&initiate)), accept, "found again, and nothing computed");
        assert!(!world.responder.has_handshakes());
        assert_eq!(world.responder.sealed_count(), 1);
    }
    let Ok(Datagram::Accept(accept)) = Datagram::parse(&accept) else { panic!() };
    let (session, _) = initiating.finish(&accept).unwrap();
    let mut device = Device { key: secret(1).public(), address: from, session };
    assert!(world.ask(&mut device, heartbeat()).is_some());
}

/// BT-6.4-7, BT-6.5-3: an `Initiate` that somebody has recorded makes no session, and ends none.
#[test]
fn an_initiate_that_is_replayed_later_is_dropped_and_counted() {
    let mut world = Server::new();
    world.enrol("alice", secret(1).public());
    let from = address(ALICE);
    let (mut initiating, initiate) = world.initiate(from, &secret(1));
    world.send(from, &written(&initiate));
    let (_, accept) = world.next_handshake().unwrap();
    let Ok(Datagram::Accept(accept)) = Datagram::parse(&accept) else { panic!() };
    let mut device =
        Device { key: secret(1).public(), address: from, session: initiating.finish(&accept).unwrap().0 };
    assert!(world.ask(&mut device, bittrickle_tests::samples::login(6_000)).is_some());
    for replays in 1..=10 {
        world.wait(1_000);
        world.send(from, &written(&initiate));
        assert_eq!(world.next_handshake(), Some((from, Default::default())));
        assert_eq!((world.responder.counters().replays, world.responder.sealed_count()), (replays, 1));
        assert!(is_alive(&mut world, &mut device));
    }
}

/// BT-6.4-7: of two handshakes that were begun, the one whose cookie is younger counts, in whichever order they come.
#[test]
fn a_handshake_that_was_begun_before_the_newest_session_is_a_replay() {
    let mut world = Server::new();
    world.enrol("alice", secret(1).public());
    let from = address(ALICE);
    let (_, older) = world.initiate(from, &secret(1));
    let mut device = world.shake_hands(from, &secret(1)).unwrap();
    for _ in 0..2 {
        world.send(from, &written(&older));
        assert_eq!(world.next_handshake(), Some((from, Default::default())));
        assert_eq!(world.responder.sealed_count(), 1);
        assert!(world.ask(&mut device, heartbeat()).is_some());
    }
    assert_eq!(world.responder.counters().replays, 2);
    assert!(world.shake_hands(from, &secret(1)).is_some(), "a younger one is taken");
}

/// BT-6.5-3
#[test]
fn an_older_session_goes_with_the_first_frame_of_the_new_one_and_not_before() {
    let mut world = Server::new();
    let mut old = world.log_in("alice", 1, ALICE);
    let mut newest = None;
    for _ in 0..4 {
        newest = world.shake_hands(address(ALICE), &secret(1));
        assert!(is_alive(&mut world, &mut old), "the new one's Accept may be lost");
        assert_eq!(world.responder.sealed_count(), 2, "of those that say nothing there is the newest");
    }
    let mut newest = newest.unwrap();
    assert!(is_alive(&mut world, &mut newest), "the session with the index goes on");
    assert_eq!(world.responder.sealed_count(), 1);
    let datagram = old.sealed(heartbeat());
    let answer = world.send(old.address, &datagram);
    assert!(matches!(Datagram::parse(&answer), Ok(Datagram::Reset(_))));
    assert!(is_alive(&mut world, &mut newest));
}

/// BT-6.5-10: a full table refuses newcomers; who is there goes on, and comes back.
#[test]
fn a_full_table_turns_newcomers_away_and_nobody_out() {
    let mut world = Server::with(small());
    let mut devices: Vec<Device> =
        (1..=3).map(|n| world.log_in("alice", n, &format!("192.0.2.{n}:4000"))).collect();
    for n in 4..=30 {
        world.enrol("bob", secret(n).public());
        assert!(world.shake_hands(address(&format!("198.51.100.{n}:4000")), &secret(n)).is_none(), "{n}");
    }
    assert_eq!(world.responder.counters().handshakes_shed, 27);
    assert!(devices.iter_mut().all(|device| is_alive(&mut world, device)));
    for (n, old) in (1..).zip(&mut devices) {
        let mut renewed =
            world.shake_hands(address("203.0.113.1:9"), &secret(n)).expect("it makes room itself");
        assert!(is_alive(&mut world, old) && is_alive(&mut world, &mut renewed));
        *old = renewed;
    }
    assert_eq!(world.responder.sealed_count(), 3);
    world.wait(61_000);
    assert!(world.shake_hands(address(BOB), &secret(4)).is_some(), "when they are over there is room");
}

/// BT-6.2-10: strangers have places of their own, few from each network.
#[test]
fn strangers_take_no_places_of_members() {
    let mut world = Server::with(small());
    let mut alice = world.log_in("alice", 1, ALICE);
    let strangers = |world: &mut Server, numbers: std::ops::Range<u8>, network: &str| {
        let mut join = |n| world.shake_hands(address(&format!("{network}:{n}")), &secret(n)).is_some();
        numbers.filter(|n| join(*n)).count()
    };
    assert_eq!(strangers(&mut world, 10..20, "203.0.113.1"), 2, "of one address");
    assert_eq!(strangers(&mut world, 20..30, "[2001:db8::1]"), 2, "of one /64");
    assert_eq!(strangers(&mut world, 30..40, "[2001:db8::2]"), 0, "it is the same /64");
    assert_eq!(strangers(&mut world, 40..50, "203.0.113.2"), 0, "four in all");
    assert_eq!(world.responder.sealed_count(), 5);
    assert!(is_alive(&mut world, &mut alice));
    for n in 2..=3 {
        world.log_in("alice", n, &format!("203.0.113.1:{n}"));
    }
    world.wait(10_001);
    assert_eq!(strangers(&mut world, 50..60, "203.0.113.2"), 2, "who says nothing is forgotten soon");
}

/// BT-6.2-10: who becomes a member's leaves the strangers' places, and takes one again when thrown out.
#[test]
fn a_stranger_who_is_enrolled_makes_room_for_another() {
    let mut world = Server::with(small());
    let from = |n: u8| address(&format!("203.0.113.1:{n}"));
    for n in 10..12 {
        assert!(world.shake_hands(from(n), &secret(n)).is_some());
    }
    assert!(world.shake_hands(from(12), &secret(12)).is_none());
    world.enrol("alice", secret(10).public());
    assert!(world.shake_hands(from(12), &secret(12)).is_some());
    let revoked = bittrickle_server::directory::Change::DeviceRevoked(secret(10).public());
    world.responder.apply(&revoked);
    assert!(world.shake_hands(from(13), &secret(13)).is_none());
}

/// BT-6.5-10, BT-6.2-10, BT-6.4-5: as the text has them.
#[test]
fn the_limits_are_those_of_the_text() {
    let limits = Limits::default();
    assert_eq!((limits.sessions, limits.strangers, limits.strangers_of_network), (262_144, 1_024, 16));
    assert_eq!(limits.handshakes, Rate { per_second: 20, burst: 5 });
    assert_eq!(limits.queries, Rate { per_second: 20, burst: 40 });
    assert_eq!(limits.own_publications, Rate { per_second: 10_000, burst: 100_000 });
    assert_eq!(limits.others, Rate { per_second: 20, burst: 40 });
}
