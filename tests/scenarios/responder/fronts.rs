//! Fronts: what a thread that reads datagrams answers by itself, and what it leaves to the responder (BT-2.4, BT-6.5).

use std::net::SocketAddr;

use bittrickle_server::directory::Change;
use bittrickle_server::index::Catalogue;
use bittrickle_server::responder::{Front, Work};
use bittrickle_tests::samples;
use bittrickle_tests::socketless::{Device, Server, secret};
use bittrickle_wire::messages::{HeartbeatReply, Logout, RefusalCode, Reply, Request};
use bittrickle_wire::seal::{Aes256Gcm, Datagram};
use bytes::BytesMut;

use super::{ALICE, BOB, heartbeat, publish};

type AFront = Front<Aes256Gcm>;

/// What a front does about a datagram: it answers, or there is work, or neither.
fn take(world: &Server, front: &mut AFront, from: SocketAddr, datagram: &[u8]) -> (BytesMut, Option<Work>) {
    let (mut datagram, mut out) = (BytesMut::from(datagram), BytesMut::new());
    let work = front.take(world.now, from, &mut datagram, &mut out);
    assert!(datagram.is_empty());
    (out, work)
}

fn work(world: &mut Server, from: SocketAddr, work: Work) -> BytesMut {
    let mut out = BytesMut::new();
    world.responder.work(world.now, from, work, &mut out);
    out
}

/// A heartbeat that is answered by a front alone.
fn beat(world: &Server, front: &mut AFront, device: &mut Device) -> HeartbeatReply {
    let datagram = device.sealed(heartbeat());
    let (out, work) = take(world, front, device.address, &datagram);
    assert!(work.is_none(), "{work:?}");
    match device.open(&out) {
        Some(Reply::HeartbeatReply(reply)) => reply,
        other => panic!("{other:?}"),
    }
}

/// A heartbeat that a front leaves to the responder: why it is refused.
fn refused_beat(world: &mut Server, front: &mut AFront, device: &mut Device) -> RefusalCode {
    let datagram = device.sealed(heartbeat());
    let (out, left) = take(world, front, device.address, &datagram);
    assert!(out.is_empty());
    let out = work(world, device.address, left.expect("it is for the responder"));
    match device.open(&out) {
        Some(Reply::Refused(refused)) => refused.code,
        other => panic!("{other:?}"),
    }
}

/// BT-2.3-4, BT-2.4-1
#[test]
fn a_front_answers_heartbeats_alone_and_they_keep_a_session() {
    let mut world = Server::new();
    let mut front = world.responder.front();
    let mut alice = world.log_in("alice", 1, ALICE);
    for _ in 0..60 {
        world.wait(2_000);
        assert_eq!(beat(&world, &mut front, &mut alice).offered, 0);
        world.responder.expire(world.now);
    }
    assert_eq!((world.responder.index.session_count(), world.responder.sealed_count()), (1, 1));
    assert_eq!(front.counters().frames_answered, 60);
}

/// BT-2.4-3
#[test]
fn what_a_session_offers_is_in_the_heartbeats_of_every_front() {
    let mut world = Server::new();
    let mut fronts = [world.responder.front(), world.responder.front()];
    let mut alice = world.log_in("alice", 1, ALICE);
    world.ask(&mut alice, publish("a"));
    world.ask(&mut alice, publish("b"));
    let replies = fronts.each_mut().map(|front| beat(&world, front, &mut alice));
    assert_eq!((replies[0].offered, &replies[0]), (2, &replies[1]));
    world.ask(&mut alice, samples::unpublish(vec![samples::name("a"), samples::name("b")]));
    let after = beat(&world, &mut fronts[0], &mut alice);
    assert_eq!((after.offered, after.digest.0), (0, 0));
}

/// BT-2.3-4, BT-2.3-6, BT-2.4-2, BT-6.2-9
#[test]
fn a_session_that_is_over_is_over_for_every_front() {
    let mut world = Server::new();
    let mut front = world.responder.front();
    let mut alice = world.log_in("alice", 1, ALICE);
    world.ask(&mut alice, Request::Logout(Logout {}));
    assert_eq!(refused_beat(&mut world, &mut front, &mut alice), RefusalCode::NO_SESSION);

    let mut bob = world.log_in("bob", 2, BOB);
    world.wait(6_999);
    beat(&world, &mut front, &mut bob);
    world.wait(7_000);
    assert_eq!(refused_beat(&mut world, &mut front, &mut bob), RefusalCode::NO_SESSION);

    let mut carol = world.log_in("carol", 3, "203.0.113.3:4000");
    beat(&world, &mut front, &mut carol);
    world.responder.apply(&Change::MemberDisabled(samples::member("carol")));
    assert_eq!(refused_beat(&mut world, &mut front, &mut carol), RefusalCode::NOT_ENROLLED);
}

/// What is quick is answered by whatever thread has read it: nothing else may be waiting for it then.
#[test]
fn what_is_quickly_looked_up_is_answered_at_once_and_changes_nothing() {
    let mut quick = Vec::new();
    for (name, request) in samples::requests() {
        let mut world = Server::new();
        world.add_member("alice");
        world.responder.keep_publications();
        world.responder.load(Catalogue::default());
        let mut front = world.responder.front();
        let mut alice = world.log_in("alice", 1, ALICE);
        let (_, left) = take(&world, &mut front, ALICE.parse().unwrap(), &alice.sealed(request));
        let Some(left) = left.filter(Work::is_quick) else { continue };
        quick.push(name.split('_').next().unwrap());
        let out = work(&mut world, alice.address, left);
        assert!(alice.open(&out).is_some(), "{name} is answered");
        let responder = &mut world.responder;
        assert!(responder.next_batch().is_none() && responder.next_check().is_none(), "{name}");
        assert!(!responder.has_handshakes() && responder.index.session_count() == 1, "{name}");
    }
    quick.dedup();
    assert_eq!(quick, ["locate", "list"]);
}

/// BT-5.3-3
#[test]
fn heartbeats_beyond_the_rate_are_for_the_responder_to_refuse() {
    let mut world = Server::new();
    let mut front = world.responder.front();
    let mut alice = world.log_in("alice", 1, ALICE);
    let mut answered = 0;
    let refused = loop {
        let datagram = alice.sealed(heartbeat());
        match take(&world, &mut front, alice.address, &datagram).1 {
            None => answered += 1,
            Some(left) => break work(&mut world, alice.address, left),
        }
    };
    assert_eq!(answered, 39, "the login was one of forty");
    let Some(Reply::Refused(refused)) = alice.open(&refused) else { panic!("{answered}") };
    assert_eq!(refused.code, RefusalCode::TOO_FAST);
}

/// BT-6.5-4
#[test]
fn a_frame_that_one_front_has_opened_is_a_replay_for_the_others() {
    let mut world = Server::new();
    let mut fronts = [world.responder.front(), world.responder.front()];
    let mut alice = world.log_in("alice", 1, ALICE);
    let datagram = alice.sealed(heartbeat());
    let answers = fronts.each_mut().map(|front| take(&world, front, alice.address, &datagram).0.len());
    assert!(answers[0] > 0 && answers[1] == 0);
    assert_eq!(fronts[1].counters().replays, 1);
}

/// BT-6.5-7: whichever thread reads what comes from the new address.
#[test]
fn a_session_whose_address_has_changed_is_told_so() {
    let mut world = Server::new();
    let mut front = world.responder.front();
    let mut alice = world.log_in("alice", 1, ALICE);
    let elsewhere = "192.0.2.1:4001".parse().unwrap();
    let datagram = alice.sealed(heartbeat());
    let (out, left) = take(&world, &mut front, elsewhere, &datagram);
    assert!(out.is_empty());
    let out = work(&mut world, elsewhere, left.unwrap());
    assert!(matches!(Datagram::parse(&out), Ok(Datagram::Reset(_))));
    assert_eq!(world.responder.counters().moved, 1);
    beat(&world, &mut front, &mut alice);
}

/// BT-2.2-6: between the opening of a frame and its turn, its session may go and another one take its place.
#[test]
fn what_was_opened_for_one_session_is_never_executed_for_the_next_with_its_index() {
    let mut world = Server::new();
    let mut front = world.responder.front();
    let mut alice = world.log_in("alice", 1, ALICE);
    world.wait(59_000);
    let datagram = alice.sealed(publish("of-alice"));
    let (_, left) = take(&world, &mut front, alice.address, &datagram);
    world.wait(2_000);
    world.responder.expire(world.now);
    assert_eq!(world.responder.sealed_count(), 0);
    let mut bob = world.log_in("bob", 2, ALICE);
    assert_eq!(bob.session.remote_index(), alice.session.remote_index());
    let out = work(&mut world, alice.address, left.unwrap());
    assert!(matches!(Datagram::parse(&out), Ok(Datagram::Reset(_))));
    assert_eq!(beat(&world, &mut front, &mut bob).offered, 0);
    assert_eq!(world.responder.index.publication_count(), 0);
}

/// A new handshake of the device, and its login, let the front answer again; until then the responder does.
#[test]
fn a_new_handshake_goes_on_with_the_session() {
    let mut world = Server::new();
    let mut front = world.responder.front();
    let mut alice = world.log_in("alice", 1, ALICE);
    world.ask(&mut alice, publish("a"));
    let mut renewed = world.shake_hands(alice.address, &secret(1)).unwrap();
    let datagram = renewed.sealed(heartbeat());
    let (_, left) = take(&world, &mut front, renewed.address, &datagram);
    let out = work(&mut world, renewed.address, left.expect("it has not logged in"));
    assert!(matches!(renewed.open(&out), Some(Reply::HeartbeatReply(reply)) if reply.offered == 1));
    world.ask(&mut renewed, samples::login(6_000));
    assert_eq!(beat(&world, &mut front, &mut renewed).offered, 1);
    let (out, left) = take(&world, &mut front, alice.address, &alice.sealed(heartbeat()));
    assert!(out.is_empty() && matches!(left, Some(Work::Unknown(_))), "its old keys have gone");
}
