//! Sealed sessions: what is executed, from where, and until when (BT-6.5), and the tickets made of their keys (BT-6.7).

use bittrickle_wire::Target;
use std::collections::BTreeSet;

use bittrickle_server::responder::Counters;
use bittrickle_tests::samples;
use bittrickle_tests::socketless::{Device, Server, secret};
use bittrickle_wire::messages::{RefusalCode, Reply};
use bittrickle_wire::seal::{Datagram, TicketError};

use super::{ALICE, BOB, heartbeat, locate, publish, refusal};

fn offered(world: &mut Server, device: &mut Device) -> u32 {
    match world.ask(device, heartbeat()) {
        Some(Reply::HeartbeatReply(reply)) => reply.offered,
        other => panic!("{other:?}"),
    }
}

fn is_reset(answer: &[u8], of: &[u8]) -> bool {
    match Datagram::parse(answer) {
        Ok(Datagram::Reset(reset)) => {
            reset.index.to_be_bytes() == of[4..8] && reset.counter.to_be_bytes() == of[12..20]
        }
        _ => false,
    }
}

/// BT-6.5-4, BT-6.5-5
#[test]
fn a_frame_that_comes_again_is_not_executed_and_gets_silence() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    let datagram = device.sealed(publish("a"));
    assert!(!world.send(device.address, &datagram).is_empty());
    assert!(world.ask(&mut device, samples::unpublish(vec![samples::name("a")])).is_some());
    for count in 1..=100 {
        assert!(world.send(device.address, &datagram).is_empty());
        assert_eq!(world.responder.counters().replays, count);
    }
    assert_eq!(offered(&mut world, &mut device), 0);
}

/// BT-6.5-4: the network may turn the order around, within 256 frames.
#[test]
fn frames_may_come_in_another_order() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    let datagrams: Vec<_> = (0..300).map(|i| device.sealed(publish(&format!("{i}")))).collect();
    let answered = datagrams.iter().rev().filter(|datagram| !world.send(device.address, datagram).is_empty());
    assert_eq!(answered.count(), 256);
    assert_eq!(world.responder.counters().replays, 300 - 256, "the rest are too old to tell");
}

/// BT-6.5-5, BT-6.5-6, BT-6.2-11
#[test]
fn an_unknown_index_and_a_wrong_tag_get_one_reset_each() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    let datagram = device.sealed(publish("a"));
    for byte in 16..datagram.len() {
        let mut changed = datagram.clone();
        changed[byte] ^= 0x80;
        assert!(is_reset(&world.send(device.address, &changed), &changed), "byte {byte}");
    }
    for byte in 4..8 {
        let mut elsewhere = datagram.clone();
        elsewhere[byte] ^= 1;
        assert!(is_reset(&world.send(device.address, &elsewhere), &elsewhere));
    }
    let Counters { bad_seals, unknown_sessions, .. } = world.responder.counters();
    assert_eq!((bad_seals as usize, unknown_sessions), (datagram.len() - 16, 4));
    for byte in 12..16 {
        let mut beyond = datagram.clone();
        beyond[byte] ^= 1;
        assert!(world.send(device.address, &beyond).is_empty(), "no key seals so many");
    }
    assert_eq!(offered(&mut world, &mut device), 0, "nothing was executed, and the session goes on");
    assert!(!world.send(device.address, &datagram).is_empty(), "the true one still counts for new");
}

/// BT-6.5-5
#[test]
fn there_are_5000_resets_a_second_and_5000_at_once() {
    let mut world = Server::new();
    let mut unknown = world.log_in("alice", 1, ALICE).sealed(heartbeat());
    unknown[4] ^= 1;
    let resets = |world: &mut Server, sent: usize| {
        (0..sent).filter(|_| !world.send(ALICE.parse().unwrap(), &unknown).is_empty()).count()
    };
    assert_eq!(resets(&mut world, 20_000), 5_000);
    let mut later = 0;
    for _ in 0..100 {
        world.wait(10);
        later += resets(&mut world, 100);
    }
    assert_eq!(later, 5_000);
}

/// BT-6.5-7: not executed, and nothing of the session goes there.
#[test]
fn an_authentic_frame_from_elsewhere_gets_a_reset_until_there_is_a_new_handshake() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    for elsewhere in ["192.0.2.1:4001", "192.0.2.9:4000", "[2001:db8::1]:4000"] {
        let datagram = device.sealed(publish("a"));
        let answer = world.send(elsewhere.parse().unwrap(), &datagram);
        assert!(is_reset(&answer, &datagram), "{elsewhere}: {answer:02x?}");
        assert!(world.send(ALICE.parse().unwrap(), &datagram).is_empty(), "its counter is taken");
    }
    assert_eq!(world.responder.counters().moved, 3);
    assert_eq!(offered(&mut world, &mut device), 0);

    let mut moved = world.shake_hands(BOB.parse().unwrap(), &secret(1)).unwrap();
    assert!(matches!(world.ask(&mut moved, publish("a")), Some(Reply::Published(_))), "its session goes on");
    let mut bob = world.log_in("bob", 2, "203.0.113.1:1");
    let from =
        |world: &mut Server, bob: &mut Device| locate(world, bob, "a").sources[0].address.socket_address();
    assert_eq!(from(&mut world, &mut bob).to_string(), "192.0.2.1:6000", "until it logs in from there");
    world.ask(&mut moved, samples::login(6_000));
    assert_eq!(from(&mut world, &mut bob).to_string(), "198.51.100.2:6000");
}

/// BT-6.5-7, BT-5.3-3: who can replay a device's frames elsewhere makes the server say no more than this.
#[test]
fn resets_for_a_device_that_has_moved_are_taken_from_its_own_budget() {
    let mut world = Server::new();
    let mut device = world.device_of("alice", 1, ALICE);
    let mut other = world.log_in("bob", 2, BOB);
    let resets = |world: &mut Server, device: &mut Device, count: usize| {
        let datagrams: Vec<_> = (0..count).map(|_| device.sealed(heartbeat())).collect();
        datagrams.iter().filter(|datagram| !world.send(BOB.parse().unwrap(), datagram).is_empty()).count()
    };
    assert_eq!(resets(&mut world, &mut device, 200), 40);
    world.wait(1_000);
    assert_eq!(resets(&mut world, &mut device, 200), 20);
    assert_eq!(world.responder.counters().moved, 400);
    assert_eq!(refusal(&mut world, &mut other, heartbeat()), None, "nobody else pays for it");
}

/// BT-6.5-8: exactly.
#[test]
fn a_session_is_forgotten_after_10_s_without_a_frame_and_60_s_of_silence() {
    for (waits, is_there) in [
        (vec![9_999], true),
        (vec![10_000], false),
        (vec![9_999, 59_999, 59_999], true),
        (vec![9_999, 59_999, 60_000], false),
        (vec![60_000], false),
    ] {
        let mut world = Server::new();
        let mut device = world.device_of("alice", 1, ALICE);
        let mut last = None;
        for wait in &waits {
            world.wait(*wait);
            let datagram = device.sealed(heartbeat());
            last = device.open(&world.send(device.address, &datagram));
        }
        assert_eq!(last.is_some(), is_there, "{waits:?}");
        assert_eq!(world.responder.sealed_count(), usize::from(is_there), "{waits:?}");
    }
}

/// BT-6.5-8: silence is what can't be opened, too.
#[test]
fn what_can_not_be_opened_keeps_no_session() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    let old = device.sealed(heartbeat());
    world.send(device.address, &old);
    for _ in 0..6 {
        world.wait(10_000);
        let mut changed = device.sealed(heartbeat());
        changed[30] ^= 1;
        world.send(device.address, &changed);
        world.send(device.address, &old);
    }
    world.responder.expire(world.now);
    assert_eq!(world.responder.sealed_count(), 0);
}

/// BT-6.5-8
#[test]
fn a_session_is_forgotten_after_1_h_5_min_however_busy_it_is() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    for _ in 0..3_899 {
        world.wait(1_000);
        assert!(world.ask(&mut device, heartbeat()).is_some());
    }
    world.wait(999);
    assert!(world.ask(&mut device, heartbeat()).is_some());
    world.wait(1);
    assert!(world.ask(&mut device, heartbeat()).is_none());
    assert_eq!(
        world.responder.index.session_count(),
        1,
        "its session with the index waits for the new handshake"
    );
    let mut renewed = world.shake_hands(device.address, &secret(1)).unwrap();
    assert_eq!(refusal(&mut world, &mut renewed, heartbeat()), None);
}

/// BT-2.8-3, BT-6.7-1, BT-6.7-2, BT-6.7-3
#[test]
fn a_located_source_takes_the_ticket_of_exactly_this_device_for_exactly_this_name() {
    let mut world = Server::new();
    let mut source = world.log_in("alice", 1, ALICE);
    let mut bob = world.log_in("bob", 2, BOB);
    world.ask(&mut source, samples::publish(vec![samples::offer("a", 1), samples::offer("b", 1)]));
    world.wait(5_000);
    let clock_ms = world.responder.index.clock_ms(world.now);
    let key = source.session.ticket_key(true);
    let mut seen = BTreeSet::new();
    for name in ["a", "b"].repeat(15) {
        let access = locate(&mut world, &mut bob, name).sources[0].access.unwrap();
        assert_eq!(access.device, source.key);
        assert!(seen.insert(access.ticket), "each is another one");
        assert_eq!(access.ticket.ends_ms(), clock_ms + 120_000);
        let check = |at_ms, device, name| key.check(at_ms, device, &target(name), &access.ticket);
        assert_eq!(check(clock_ms, &bob.key, name), Ok(()));
        assert_eq!(check(clock_ms + 119_999, &bob.key, name), Ok(()));
        assert_eq!(check(clock_ms + 120_000, &bob.key, name), Err(TicketError::Expired));
        assert_eq!(check(clock_ms, &source.key, name), Err(TicketError::Forged), "it is bob's device's");
        let other = if name == "a" { "b" } else { "a" };
        assert_eq!(check(clock_ms, &bob.key, other), Err(TicketError::Forged));
        let bobs = bob.session.ticket_key(true);
        let foreign = bobs.check(clock_ms, &bob.key, &target(name), &access.ticket);
        assert_eq!(foreign, Err(TicketError::Forged), "another source doesn't take it");
    }
}

/// BT-6.7-1, BT-6.5-3: with the keys of the session that is used.
#[test]
fn tickets_are_made_with_the_keys_of_the_sources_newest_session_that_has_spoken() {
    let mut world = Server::new();
    let mut old = world.log_in("alice", 1, ALICE);
    let mut bob = world.log_in("bob", 2, BOB);
    world.ask(&mut old, publish("a"));
    let mut new = world.shake_hands(old.address, &secret(1)).unwrap();
    let made_with = |world: &mut Server, bob: &mut Device, device: &Device| {
        let clock_ms = world.responder.index.clock_ms(world.now);
        let ticket = locate(world, bob, "a").sources[0].access.unwrap().ticket;
        device.session.ticket_key(true).check(clock_ms, &bob.key, &target("a"), &ticket).is_ok()
    };
    assert!(made_with(&mut world, &mut bob, &old), "the new one's Accept may be lost");
    world.ask(&mut new, heartbeat());
    assert!(made_with(&mut world, &mut bob, &new) && !made_with(&mut world, &mut bob, &old));
}

/// BT-6.1-2, BT-1.6-2, BT-1.6-3
#[test]
fn kinds_that_stand_outside_a_seal_are_refused_inside_one() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    for code in (0x01..=0x0f).chain(0x81..=0x8f) {
        for encoding in [0, 1, 2, 9] {
            world.wait(100);
            let frame = [0xb7, 1, code, encoding, 0, 0, 0, 7, 0, 0, 0, 0];
            let answer = world.ask_bytes(&mut device, &frame);
            if code >= 0x80 {
                assert_eq!(answer, None, "0x{code:02x} is an answer");
                continue;
            }
            let answer = answer.expect("a refusal");
            assert_eq!(answer[2..8], [0xf0, u8::from(encoding == 1), 0, 0, 0, 7], "0x{code:02x}");
            let code = if encoding == 1 { &[3][..] } else { br#"{"code":3,"# };
            assert!(answer[12..].starts_with(code), "{answer:02x?}");
        }
    }
}

/// BT-1.4-1, BT-1.4-2: under a seal stands exactly one frame.
#[test]
fn what_is_sealed_and_is_no_frame_is_dropped_and_counted() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    let good = [0xb7, 1, 0x11, 1, 0, 0, 0, 7, 0, 0, 0, 0];
    let texts: [&[u8]; 6] = [
        &[&good[..], &good].concat(),
        &[&good[..], b"\0"].concat(),
        &[0; 12],
        br#"{"type":"lap"}"#,
        &[0xb7, 1, 0x11, 1, 0, 0, 0, 7, 0, 0, 0, 1],
        &[0xb7, 1, 0x11, 1, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff],
    ];
    for (count, text) in (1..).zip(texts) {
        assert_eq!(world.ask_bytes(&mut device, text), None, "{text:02x?}");
        assert_eq!(world.responder.counters().malformed, count);
    }
    assert!(world.ask_bytes(&mut device, &good).is_some());
}

/// BT-2.2-6, BT-2.2-4: a device that hasn't logged in has no session, whoever else is at its address.
#[test]
fn devices_at_one_address_are_told_apart_by_their_keys() {
    let mut world = Server::new();
    let mut alice = world.log_in("alice", 1, ALICE);
    let mut bob = world.device_of("bob", 2, ALICE);
    assert_eq!(refusal(&mut world, &mut bob, publish("a")), Some(RefusalCode::NO_SESSION));
    assert_eq!(refusal(&mut world, &mut alice, publish("a")), None);
    assert_eq!(refusal(&mut world, &mut bob, samples::login(6_001)), None);
    assert_eq!((offered(&mut world, &mut alice), offered(&mut world, &mut bob)), (1, 0));
}

fn target(name: &str) -> Target {
    Target::Name(samples::name(name))
}
