//! What waits for a password to be checked: enrolments and legacy logins (BT-2.11, BT-4.2-9).

use std::time::Duration;

use bittrickle_server::access::LegacyAccess;
use bittrickle_server::accounts::{Check, Purpose, Verdict};
use bittrickle_server::sealing::{Limits, Rate};
use bittrickle_tests::samples;
use bittrickle_tests::socketless::{Device, Server, secret};
use bittrickle_wire::messages::{RefusalCode, Reply};
use bytes::BytesMut;

use super::{ALICE, BOB, heartbeat, is_refused, refusal};

/// Many strangers from one address.
fn crowded() -> Limits {
    let handshakes = Rate { per_second: 1_000_000, burst: 1_000_000 };
    Limits { handshakes, strangers_of_network: 1_000, ..Limits::default() }
}

fn stranger(world: &mut Server, number: u8, from: &str) -> Device {
    world.shake_hands(from.parse().unwrap(), &secret(number)).unwrap()
}

/// Tells the server what came of a check: the answer to this device.
fn checked(world: &mut Server, device: &mut Device, check: &Check, verdict: Verdict) -> Option<Reply> {
    let mut out = BytesMut::new();
    let to = world.responder.checked(world.now, check.id, &verdict, &mut out)?;
    assert_eq!(to, device.address);
    device.open(&out)
}

/// BT-2.11-1, BT-2.11-2, BT-2.11-3, BT-2.11-8
#[test]
fn an_enrolment_is_answered_when_its_password_has_been_checked() {
    let codes = [
        (Verdict::Wrong, RefusalCode::AUTHENTICATION_FAILED),
        (Verdict::TryAgain { after: Duration::from_millis(1_500) }, RefusalCode::TOO_FAST),
        (Verdict::TooManyDevices, RefusalCode::LIMIT_REACHED),
        (Verdict::Failed, RefusalCode::BUSY),
    ];
    let mut world = Server::new();
    let mut device = stranger(&mut world, 1, ALICE);
    for (verdict, code) in codes {
        assert_eq!(world.ask(&mut device, samples::enrol("alice", "pw")), None);
        let check = world.responder.next_check().unwrap();
        assert_eq!((check.member.as_str(), check.password.as_str()), ("alice", "pw"));
        assert_eq!((check.from, check.purpose), (device.address.ip(), Purpose::Enrol(device.key)));
        let reply = checked(&mut world, &mut device, &check, verdict);
        assert!(is_refused(reply.as_ref(), code), "{verdict:?}: {reply:?}");
        assert_eq!(refusal(&mut world, &mut device, samples::login(6_000)), Some(RefusalCode::NOT_ENROLLED));
    }
    world.ask(&mut device, samples::enrol("alice", "pw"));
    let check = world.responder.next_check().unwrap();
    world.enrol("alice", device.key);
    let reply = checked(&mut world, &mut device, &check, Verdict::Right);
    assert!(matches!(reply, Some(Reply::Enrolled(_))), "{reply:?}");
    assert_eq!(refusal(&mut world, &mut device, samples::login(6_000)), None);
    assert_eq!(checked(&mut world, &mut device, &check, Verdict::Right), None, "it is answered once");
}

/// BT-2.11-5
#[test]
fn a_second_enrolment_of_the_device_waits_with_the_first_and_others_are_answered_meanwhile() {
    let mut world = Server::new();
    let mut device = stranger(&mut world, 1, ALICE);
    let mut other = world.log_in("bob", 2, BOB);
    for password in ["pw", "pw", "another"] {
        assert_eq!(world.ask(&mut device, samples::enrol("alice", password)), None);
    }
    let check = world.responder.next_check().unwrap();
    assert!(world.responder.next_check().is_none(), "one is checked");
    assert_eq!(world.responder.counters().waiting, 2);
    assert_eq!(refusal(&mut world, &mut other, heartbeat()), None);
    assert_eq!(refusal(&mut world, &mut device, heartbeat()), Some(RefusalCode::NOT_ENROLLED));
    let reply = checked(&mut world, &mut device, &check, Verdict::Wrong);
    assert!(is_refused(reply.as_ref(), RefusalCode::AUTHENTICATION_FAILED));
}

/// BT-2.11-5
#[test]
fn at_most_64_passwords_wait_and_one_more_is_told_to_come_back() {
    let mut world = Server::with(crowded());
    for number in 1..=64 {
        let mut device = stranger(&mut world, number, ALICE);
        assert_eq!(world.ask(&mut device, samples::enrol("alice", "pw")), None, "{number}");
    }
    let mut late = stranger(&mut world, 65, BOB);
    assert_eq!(refusal(&mut world, &mut late, samples::enrol("alice", "pw")), Some(RefusalCode::TOO_FAST));
    let first = world.responder.next_check().unwrap();
    let mut out = BytesMut::new();
    assert!(world.responder.checked(world.now, first.id, &Verdict::Wrong, &mut out).is_some());
    assert_eq!(world.ask(&mut late, samples::enrol("alice", "pw")), None, "there is a place");
    let checks = std::iter::from_fn(|| world.responder.next_check()).count();
    assert_eq!(checks, 64);
}

/// BT-2.11-5: who has gone meanwhile isn't told, and nobody else is.
#[test]
fn the_answer_to_a_device_that_has_gone_is_nobodys() {
    let mut world = Server::with(Limits { strangers: 1, ..crowded() });
    let mut device = stranger(&mut world, 1, ALICE);
    world.ask(&mut device, samples::enrol("alice", "pw"));
    let check = world.responder.next_check().unwrap();
    world.wait(60_001);
    world.responder.expire(world.now);
    let mut next = stranger(&mut world, 2, BOB);
    assert!(is_refused(world.ask(&mut next, heartbeat()).as_ref(), RefusalCode::NOT_ENROLLED));
    let mut out = BytesMut::new();
    assert_eq!(world.responder.checked(world.now, check.id, &Verdict::Wrong, &mut out), None);
    assert!(out.is_empty());
}

/// BT-2.11-5: an answer that never comes takes no place for ever.
#[test]
fn who_has_waited_for_30_s_is_not_waited_for_any_more() {
    let mut world = Server::with(crowded());
    let mut device = stranger(&mut world, 1, ALICE);
    for wait_ms in [0, 29_999] {
        world.wait(wait_ms);
        world.responder.expire(world.now);
        assert_eq!(world.ask(&mut device, samples::enrol("alice", "pw")), None);
    }
    assert_eq!(std::iter::from_fn(|| world.responder.next_check()).count(), 1);
    world.wait(1);
    world.responder.expire(world.now);
    assert_eq!(world.ask(&mut device, samples::enrol("alice", "pw")), None);
    let check = world.responder.next_check().expect("it is checked once more");
    let reply = checked(&mut world, &mut device, &check, Verdict::Wrong);
    assert!(is_refused(reply.as_ref(), RefusalCode::AUTHENTICATION_FAILED));
}

/// BT-4.2-9: the same login is checked once; what comes beyond 64 waits for nothing.
#[test]
fn a_legacy_login_is_answered_when_its_password_has_been_checked() {
    let mut world = Server::start(Limits::default(), LegacyAccess::loopback(), 1);
    let login = |name: &str| {
        format!(r#"{{"type":"login","username":"{name}","password":"pw","tcp_port":6000}}"#).into_bytes()
    };
    let from = |port: u16| ([127, 0, 0, 1], port).into();
    for _ in 0..3 {
        assert!(world.send(from(1), &login("alice")).is_empty());
    }
    let check = world.responder.next_check().unwrap();
    assert!(world.responder.next_check().is_none(), "one is checked");
    assert_eq!(check.purpose, Purpose::Legacy);
    for port in 2..=80 {
        assert!(world.send(from(port), &login("alice")).is_empty());
    }
    assert_eq!(std::iter::from_fn(|| world.responder.next_check()).count(), 63);
    let mut out = BytesMut::new();
    let to = world.responder.checked(world.now, check.id, &Verdict::Right, &mut out);
    assert_eq!(to, Some(from(1)));
    assert!(String::from_utf8_lossy(&out).contains("Welcome to BitTrickle!"));
    assert_eq!(world.responder.index.session_count(), 1);
}

/// BT-4.2-9, BT-2.11-8: whatever comes of it but a right password, in the same words.
#[test]
fn a_legacy_login_that_is_not_right_fails_with_the_first_sentence() {
    for verdict in [
        Verdict::Wrong,
        Verdict::TryAgain { after: Duration::from_secs(9) },
        Verdict::TooManyDevices,
        Verdict::Failed,
    ] {
        let mut world = Server::start(Limits::default(), LegacyAccess::loopback(), 1);
        let login = br#"{"type":"login","username":"alice","password":"pw","tcp_port":6000}"#;
        world.send(([127, 0, 0, 1], 1).into(), login);
        let check = world.responder.next_check().unwrap();
        let mut out = BytesMut::new();
        world.responder.checked(world.now, check.id, &verdict, &mut out);
        assert!(String::from_utf8_lossy(&out).contains("Authentication failed. Please try again."));
        assert_eq!(world.responder.index.session_count(), 0);
    }
}
