//! When another handshake is due, and how a session gives way to the next (BT-6.5-3, BT-6.5-6, BT-6.5-7, BT-6.5-9).

use std::time::Duration;

use bittrickle_server::sealing::Limits;
use bittrickle_tests::samples;
use bittrickle_tests::socketless::{Server, secret};
use bittrickle_wire::messages::{LoggedIn, Reply};

use super::{ACCEPT, HELLO, INITIATE, RESET, SEALED, World, first_of};

/// Heartbeats every two seconds, for so many.
fn beat(world: &mut World, seconds: u64) {
    for _ in 0..seconds / 2 {
        world.run(Duration::from_secs(2));
        assert!(world.is_answered());
    }
}

/// BT-6.5-6: to the millisecond.
#[test]
fn a_session_is_renewed_after_an_hour() {
    let mut world = World::live();
    beat(&mut world, 3_598);
    world.run(Duration::from_millis(1_999));
    assert!(world.sent_of(HELLO).is_empty());
    world.run(Duration::from_millis(1));
    assert_eq!((world.sent_of(HELLO).len(), world.established), (1, 1));
    beat(&mut world, 60);
    assert_eq!((world.sent_of(HELLO).len(), world.server.responder.sealed_count()), (1, 1));
}

/// BT-6.5-6: seven seconds, until the server has said otherwise.
#[test]
fn a_session_is_renewed_when_the_server_has_been_silent() {
    for silence_ms in [7_000, 2_000, 60_000] {
        let mut world = World::live();
        if silence_ms != 7_000 {
            world.channel.set_silence_max(Duration::from_millis(silence_ms));
        }
        assert!(world.is_answered());
        world.run(Duration::from_millis(silence_ms - 1));
        assert!(world.sent_of(HELLO).is_empty(), "{silence_ms}");
        world.run(Duration::from_millis(1));
        assert_eq!((world.sent_of(HELLO).len(), world.established), (1, 1), "{silence_ms}");
    }
}

/// BT-6.5-6: what we say ourselves is no answer.
#[test]
fn a_server_that_answers_nothing_any_more_is_asked_for_a_new_handshake_again_and_again() {
    let mut world = World::live();
    world.loses = Box::new(|_| true);
    for _ in 0..60 {
        world.run(Duration::from_secs(2));
        world.ask(super::Request::Heartbeat(super::Heartbeat {}));
    }
    let hellos = world.sent_of(HELLO);
    assert!(world.failed.is_empty(), "who has a session doesn't give up");
    assert!(hellos.len() > 20, "{} hellos in two minutes", hellos.len());
    world.loses = Box::new(|_| false);
    world.run(Duration::from_secs(20));
    assert!(world.established >= 1);
    world.ask(samples::login(6_000));
    assert!(world.is_answered());
}

/// BT-6.2-11, BT-6.5-5: its first answer is a reset; the device needn't wait for the silence.
#[test]
fn a_server_that_was_started_again_is_back_at_once() {
    let mut world = World::live();
    world.run(Duration::from_secs(1));
    let now = world.server.now;
    world.server = Server::start(Limits::default(), "off".parse().unwrap(), 2);
    world.server.enrol("alice", secret(1).public());
    world.server.now = world.server.now.max(now);
    assert!(!world.is_answered());
    assert_eq!(world.answers_of(RESET).len(), 1);
    assert_eq!((world.kinds(), world.established), (vec![SEALED, HELLO, INITIATE], 1));
    world.ask(samples::login(6_000));
    assert!(
        matches!(world.replies.last(), Some(Reply::LoggedIn(LoggedIn { boot_id, .. })) if boot_id.0 == 2)
    );
}

/// BT-6.4-6, BT-6.2-11: started again between the two halves of a handshake, so that its cookie is unknown.
#[test]
fn a_server_that_is_started_again_during_a_handshake_costs_one_more_hello() {
    let mut world = World::new();
    world.loses = first_of(INITIATE, 1);
    world.settle();
    let now = world.server.now;
    world.server = Server::start(Limits::default(), "off".parse().unwrap(), 2);
    world.server.enrol("alice", secret(1).public());
    world.server.now = world.server.now.max(now);
    world.run(Duration::from_secs(5));
    let expected = vec![HELLO, INITIATE, INITIATE, INITIATE, HELLO, INITIATE];
    assert_eq!((world.kinds(), world.established), (expected, 1));
    assert_eq!(world.server.responder.counters().bad_cookies, 2);
}

/// BT-6.5-7
#[test]
fn a_device_whose_address_has_changed_gets_a_reset_and_comes_back() {
    let mut world = World::live();
    world.ask(samples::publish(vec![samples::offer("a", 1)]));
    for from in ["192.0.2.1:4001", "[2001:db8::7]:9", "198.51.100.9:4000"] {
        world.run(Duration::from_secs(1));
        world.forget();
        world.from = from.parse().unwrap();
        assert!(!world.is_answered(), "{from}");
        assert_eq!((world.answers_of(RESET).len(), world.established), (1, 1), "{from}");
        world.ask(samples::login(6_000));
        world.ask(super::Request::Heartbeat(super::Heartbeat {}));
        let Some(Reply::HeartbeatReply(reply)) = world.replies.last() else { panic!("{:?}", world.replies) };
        assert_eq!(reply.offered, 1, "what is on offer stays so");
        assert_eq!(
            (world.server.responder.sealed_count(), world.server.responder.index.session_count()),
            (1, 1)
        );
    }
}

/// BT-6.5-9, BT-6.5-3: nothing is lost between the two.
#[test]
fn the_old_session_is_used_until_the_new_ones_accept_has_come() {
    let mut world = World::live();
    beat(&mut world, 3_598);
    world.loses = first_of(ACCEPT, 1);
    world.run(Duration::from_secs(2));
    assert_eq!((world.sent_of(INITIATE).len(), world.established), (1, 0));
    assert!(world.is_answered(), "under the old keys");
    assert_eq!(world.server.responder.sealed_count(), 2);
    world.run(Duration::from_secs(1));
    assert_eq!(world.established, 1);
    assert_eq!(world.server.responder.sealed_count(), 2, "the server waits for the first frame");
    assert!(world.is_answered());
    assert_eq!(world.server.responder.sealed_count(), 1);
}

/// BT-6.4-6, BT-6.5-9: the new handshake fails; the old session goes on, and another handshake begins.
#[test]
fn a_renewal_that_gets_no_answer_is_tried_again_and_ends_nothing() {
    let mut world = World::live();
    beat(&mut world, 3_598);
    world.loses = first_of(HELLO, 12);
    beat(&mut world, 80);
    assert!(world.failed.is_empty());
    assert_eq!((world.sent_of(HELLO).len(), world.established), (13, 1));
}

/// BT-6.2-1: each handshake has an index, a nonce and keys of its own.
#[test]
fn no_two_handshakes_of_a_device_have_anything_in_common() {
    let mut world = World::live();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        world.run(Duration::from_secs(7));
    }
    for hello in world.sent_of(HELLO) {
        assert!(seen.insert(hello[4..8].to_vec()) && seen.insert(hello[12..28].to_vec()));
    }
    for initiate in world.sent_of(INITIATE) {
        assert!(seen.insert(initiate[52..84].to_vec()), "an ephemeral key");
    }
    assert!(seen.len() >= 3 * 19, "{}", seen.len());
}
