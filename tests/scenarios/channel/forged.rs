//! What others put on the network: another key, answers that aren't the server's, resets (BT-6.2-6, BT-6.3-6, BT-6.5-5).

use std::time::Duration;

use bittrickle_peer::channel::ChannelError;
use bittrickle_tests::socketless::{Server, secret};
use bittrickle_wire::messages::Versions;
use bittrickle_wire::seal::{Datagram, PublicKey, Reset, Retry};
use bytes::BytesMut;

use super::{ACCEPT, HELLO, INITIATE, RETRY, SEALED, World, first_of, parse};

fn other_key() -> PublicKey {
    secret(0x77).public()
}

fn reset(index: u32, counter: u64) -> BytesMut {
    let mut datagram = BytesMut::new();
    Reset { index, counter }.write(&mut datagram);
    datagram
}

/// The server's index of the session, and the counter of the device's last frame.
fn last_frame(world: &World) -> (u32, u64) {
    match parse(world.sent_of(SEALED).last().unwrap()) {
        Datagram::Sealed(sealed) => (sealed.index, sealed.counter),
        other => panic!("{other:?}"),
    }
}

/// BT-6.2-6: no `Initiate`, and so nothing that tells who we are, goes to another than the pinned server.
#[test]
fn a_server_with_another_key_than_the_pinned_one_is_a_failure() {
    let server = Server::new();
    let presented = server.key();
    let mut world = World::pinned_to(server, other_key());
    world.run(Duration::from_secs(30));
    assert_eq!(world.failed, [ChannelError::KeyChanged { pinned: other_key(), presented }]);
    assert_eq!(world.kinds(), [HELLO]);
    let said = world.failed[0].to_string();
    assert!(
        said.contains(&other_key().fingerprint().to_string())
            && said.contains(&presented.fingerprint().to_string())
    );
}

/// BT-6.2-6, BT-6.4-8: while there is a session, whoever shows another key is passed over.
#[test]
fn a_retry_with_another_key_ends_no_session() {
    let mut world = World::live();
    world.loses = first_of(HELLO, u32::MAX);
    world.run(Duration::from_millis(7_100));
    let hello = world.sent_of(HELLO).remove(0);
    let Datagram::Hello(hello) = parse(&hello) else { panic!() };
    let truth = world.server.hello(world.from).unwrap();
    let mut forged = BytesMut::new();
    let (device_index, nonce) = (hello.device_index, hello.nonce);
    Retry { device_index, nonce, server_key: other_key(), cookie: truth.cookie }.write(&mut forged);
    world.receive(&forged);
    world.settle();
    assert!(world.failed.is_empty() && world.sent_of(INITIATE).is_empty());
    assert!(world.is_answered(), "the session goes on");
    world.loses = Box::new(|_| false);
    world.run(Duration::from_secs(4));
    assert_eq!((world.failed.len(), world.established), (0, 1), "and the true answer is taken");
}

/// BT-6.1-4, BT-6.4-8: of another handshake, or changed on its way.
#[test]
fn a_retry_that_nobody_asked_for_is_passed_over() {
    let mut world = World::new();
    world.loses = first_of(RETRY, 1);
    world.settle();
    let retry = world.answers_of(RETRY).remove(0);
    for byte in (4..8).chain(12..28) {
        let mut changed = retry.clone();
        changed[byte] ^= 1;
        world.receive(&changed);
        world.settle();
        assert_eq!((world.kinds(), world.failed.len()), (vec![HELLO], 0), "byte {byte}");
    }
    world.receive(&retry);
    world.settle();
    assert_eq!(world.established, 1);
}

/// BT-6.3-6: the true one is still taken.
#[test]
fn an_accept_that_is_forged_is_passed_over() {
    let mut world = World::new();
    world.loses = first_of(ACCEPT, 1);
    world.settle();
    let accept = world.answers_of(ACCEPT).remove(0);
    for byte in (4..8).chain(12..accept.len()) {
        let mut changed = accept.clone();
        changed[byte] ^= 1;
        world.receive(&changed);
        world.settle();
        assert_eq!(world.established, 0, "byte {byte}");
    }
    world.receive(&accept);
    world.settle();
    assert_eq!(world.established, 1);
    assert!(world.failed.is_empty());
}

/// BT-6.5-5: who hasn't seen what we sent lately is not believed.
#[test]
fn a_reset_that_is_forged_is_ignored() {
    let mut world = World::live();
    for _ in 0..300 {
        world.server.wait(100);
        assert!(world.is_answered());
    }
    let (index, counter) = last_frame(&world);
    for (index, counter) in [
        (index ^ 1, counter),
        (index.wrapping_add(1), counter),
        (index, counter + 1),
        (index, u64::MAX),
        (index, counter - 256),
        (index, 0),
    ] {
        world.receive(&reset(index, counter));
        world.settle();
        assert!(world.sent_of(HELLO).is_empty(), "{index} {counter}");
    }
    let true_one = reset(index, counter);
    for end in 0..true_one.len() {
        world.receive(&true_one[..end]);
    }
    world.settle();
    assert!(world.sent_of(HELLO).is_empty(), "cut anywhere");
}

/// BT-6.5-5, BT-6.5-9: the oldest and the newest of the last 256.
#[test]
fn a_true_reset_begins_one_handshake_and_the_old_session_goes_on_meanwhile() {
    for behind in [0, 1, 255] {
        let mut world = World::live();
        for _ in 0..300 {
            world.server.wait(100);
            assert!(world.is_answered());
        }
        let (index, counter) = last_frame(&world);
        world.loses = first_of(HELLO, 1);
        for _ in 0..10 {
            world.receive(&reset(index, counter - behind));
            world.settle();
        }
        assert_eq!(world.sent_of(HELLO).len(), 1, "one handshake, however often it comes");
        assert!(world.is_answered(), "the old session works");
        world.run(Duration::from_millis(700));
        assert_eq!(world.established, 1);
        assert!(world.is_answered());
    }
}

/// BT-6.5-5: whoever sees what we send doesn't keep us busy with handshakes.
#[test]
fn a_reset_is_believed_once_a_second() {
    let mut world = World::live();
    world.run(Duration::from_millis(1));
    for milliseconds in 0..10_000_u64 {
        if milliseconds % 1_500 == 0 {
            assert!(world.is_answered());
        }
        let sealed = world.sent_of(SEALED);
        let Datagram::Sealed(last) = parse(sealed.last().unwrap()) else { panic!() };
        world.receive(&reset(last.index, last.counter));
        world.run(Duration::from_millis(1));
    }
    let hellos = world.sent_of(HELLO).len();
    assert!((5..=10).contains(&hellos), "{hellos} handshakes in ten seconds");
    assert_eq!(world.established, hellos);
}

/// BT-6.5-9: what can't be opened is no sign of the server.
#[test]
fn a_sealed_datagram_that_can_not_be_opened_is_passed_over() {
    let mut world = World::live();
    assert!(world.is_answered());
    let answer = world.answers_of(SEALED).remove(0);
    let started = world.server.now;
    for second in 0..7 {
        world.run(Duration::from_secs(1));
        world.receive(&answer);
        let mut changed = answer.clone();
        changed[19] = second + 100;
        world.receive(&changed);
        world.receive(&[0xb7; 300]);
        world.settle();
    }
    assert_eq!(world.replies.len(), 1);
    let hello =
        world.sent.iter().find(|(_, datagram)| datagram[2] == HELLO).expect("the server seems silent");
    assert_eq!(hello.0 - started, Duration::from_secs(7));
}

/// BT-1.7-3: before there is a session, and of the handshake that is under way.
#[test]
fn versions_are_believed_before_the_first_session_only() {
    let versions = |index: &[u8]| {
        let mut datagram = vec![0xb7, 0, 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 2, 2, 9];
        datagram[4..8].copy_from_slice(index);
        datagram
    };
    let mut world = World::new();
    world.loses = Box::new(|_| true);
    world.settle();
    let hello = world.sent_of(HELLO).remove(0);
    let mut index = hello[4..8].to_vec();
    index[0] ^= 1;
    world.receive(&versions(&index));
    world.settle();
    assert!(world.failed.is_empty(), "of another handshake");
    world.receive(&versions(&hello[4..8]));
    world.settle();
    assert_eq!(world.failed, [ChannelError::OtherVersion(Versions { lowest: 2, highest: 9 })]);

    let mut world = World::live();
    world.loses = first_of(HELLO, 1);
    world.run(Duration::from_millis(7_001));
    let hello = world.sent_of(HELLO).remove(0);
    world.receive(&versions(&hello[4..8]));
    world.run(Duration::from_secs(1));
    assert_eq!((world.failed.len(), world.established), (0, 1));
}

/// BT-6.1-4
#[test]
fn what_only_a_device_says_is_nothing_to_a_device() {
    let mut world = World::live();
    assert!(world.is_answered());
    world.loses = Box::new(|_| true);
    world.run(Duration::from_millis(7_001));
    for (_, datagram) in world.sent.clone() {
        world.receive(&datagram);
    }
    let before = world.sent.len();
    world.settle();
    assert_eq!((world.sent.len(), world.established, world.failed.len()), (before, 0, 0));
}
