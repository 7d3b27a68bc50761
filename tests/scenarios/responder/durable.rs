//! Answers that wait until what they say is durable (BT-2.6-8).

use std::sync::Arc;

use bittrickle_server::index::{Catalogue, Edit};
use bittrickle_tests::samples;
use bittrickle_tests::socketless::{Device, Server};
use bittrickle_wire::messages::{Logout, RefusalCode, Reply, Request};
use bytes::BytesMut;

use super::{ALICE, BOB, heartbeat, publish, refusal};

/// A server that keeps publications, and has read that there are none.
fn world() -> (Server, Device, Device) {
    let mut world = Server::new();
    world.responder.keep_publications();
    let (alice, bob) = (world.log_in("alice", 1, ALICE), world.log_in("bob", 2, BOB));
    world.responder.load(Catalogue::default());
    (world, alice, bob)
}

/// The answer that has been held back longest.
fn next_held(world: &mut Server, device: &mut Device) -> Option<Reply> {
    let mut out = BytesMut::new();
    let to = world.responder.next_held(&mut out)?;
    to.and_then(|_| device.open(&out))
}

/// BT-2.6-8
#[test]
fn a_change_is_answered_when_it_is_durable_and_in_the_order_of_the_changes() {
    let (mut world, mut alice, mut bob) = world();
    assert_eq!(world.ask(&mut alice, publish("a")), None, "not yet");
    let first = world.responder.next_batch().unwrap();
    assert_eq!(world.ask(&mut bob, publish("b")), None);
    assert_eq!(world.ask(&mut bob, samples::unpublish(vec![samples::name("b")])), None);
    let second = world.responder.next_batch().unwrap();
    assert!(world.responder.next_batch().is_none(), "nothing has changed since");
    assert_eq!((first.number, second.number), (1, 2));
    assert!(matches!(&first.edits[..], [Edit::Publish { name, .. }] if name.as_str() == "a"));
    assert!(matches!(&second.edits[..], [Edit::Publish { .. }, Edit::Withdraw { .. }]));
    assert_eq!(next_held(&mut world, &mut alice), None);
    world.responder.made_durable(1);
    assert!(matches!(next_held(&mut world, &mut alice), Some(Reply::Published(_))));
    assert_eq!(next_held(&mut world, &mut bob), None);
    assert!(matches!(world.ask(&mut alice, publish("a")), Some(Reply::Published(_))), "nothing is new in it");
    assert_eq!(
        world.ask(&mut bob, samples::unpublish(vec![samples::name("b")])),
        None,
        "nor here, but before it"
    );
    world.responder.made_durable(2);
    assert!(matches!(next_held(&mut world, &mut bob), Some(Reply::Published(_))));
    assert!(matches!(next_held(&mut world, &mut bob), Some(Reply::Unpublished(_))));
    assert!(matches!(next_held(&mut world, &mut bob), Some(Reply::Unpublished(_))));
}

/// BT-2.6-8: a full disk, for instance.
#[test]
fn what_can_not_be_kept_is_refused_and_everything_else_goes_on() {
    let (mut world, mut alice, mut bob) = world();
    assert_eq!(world.ask(&mut alice, publish("a")), None);
    let batch = world.responder.next_batch().unwrap();
    world.responder.failed_to_keep();
    let told = next_held(&mut world, &mut alice);
    assert!(matches!(&told, Some(Reply::Refused(refused)) if refused.code == RefusalCode::BUSY), "{told:?}");
    assert_eq!(refusal(&mut world, &mut bob, publish("b")), Some(RefusalCode::BUSY));
    for request in [heartbeat(), samples::search("a", None)] {
        assert_eq!(refusal(&mut world, &mut bob, request), None);
    }
    world.responder.made_durable(batch.number);
    assert_eq!(world.ask(&mut bob, publish("b")), None);
    let batch = world.responder.next_batch().unwrap();
    world.responder.made_durable(batch.number);
    assert!(matches!(next_held(&mut world, &mut bob), Some(Reply::Published(_))));
}

/// BT-2.6-8: nobody loses what was kept before the disk was full by publishing it again.
#[test]
fn what_is_kept_already_can_be_published_again_while_nothing_new_can_be_kept() {
    let (mut world, mut alice, mut bob) = world();
    assert_eq!(world.ask(&mut alice, publish("a")), None);
    let batch = world.responder.next_batch().unwrap();
    world.responder.made_durable(batch.number);
    assert!(next_held(&mut world, &mut alice).is_some());
    assert_eq!(world.ask(&mut bob, publish("b")), None);
    world.responder.next_batch().unwrap();
    world.responder.failed_to_keep();
    assert!(next_held(&mut world, &mut bob).is_some());
    world.ask(&mut alice, Request::Logout(Logout {}));
    alice = world.log_in("alice", 1, ALICE);
    assert_eq!(refusal(&mut world, &mut alice, publish("a")), None);
    assert_eq!(
        refusal(&mut world, &mut alice, samples::publish(vec![samples::offer("a", 2)])),
        Some(RefusalCode::BUSY)
    );
    assert_eq!(world.ask(&mut bob, publish("b")), None, "what was under way may not be kept");
    let told = next_held(&mut world, &mut bob);
    assert!(matches!(&told, Some(Reply::Refused(refused)) if refused.code == RefusalCode::BUSY), "{told:?}");
}

/// BT-2.6-8, BT-6.2-9: also if somebody else gets the name before it is known what there was.
#[test]
fn who_is_removed_while_publications_are_read_leaves_none_to_the_next_of_this_name() {
    let mut world = Server::new();
    world.add_member("carol");
    world.responder.keep_publications();
    world.log_in("carol", 3, BOB);
    world.remove_member("carol");
    let batch = world.responder.next_batch().unwrap();
    assert!(matches!(&batch.edits[..], [Edit::Forget { member }] if member.as_str() == "carol"));
    world.log_in("carol", 4, BOB);
    let kept = (Arc::new(samples::member("carol")), samples::name("kept"), samples::hashed(5, 7));
    world.responder.load(Catalogue::of([kept]));
    assert_eq!(world.responder.index.publication_count(), 0);
}

/// BT-6.2-9: a removal was durable, and the server was killed before it is durable what was published.
#[test]
fn who_comes_while_publications_are_read_gets_none_that_somebody_of_this_name_has_left() {
    let mut world = Server::new();
    world.responder.keep_publications();
    world.log_in("carol", 4, BOB);
    let left = (Arc::new(samples::member("carol")), samples::name("left"), samples::hashed(5, 7));
    world.responder.load(Catalogue::of([left]));
    assert_eq!(world.responder.index.publication_count(), 0);
    let batch = world.responder.next_batch().unwrap();
    assert!(matches!(&batch.edits[..], [Edit::Forget { member }] if member.as_str() == "carol"));
}

/// BT-6.2-9: of very many publications a few are withdrawn at a time, and nobody else has the name before all are.
#[test]
fn a_member_with_very_many_publications_is_forgotten_bit_by_bit() {
    let mut world = Server::new();
    world.add_member("carol");
    world.responder.keep_publications();
    let carol = Arc::new(samples::member("carol"));
    let names = (0..5_000)
        .map(|number| (Arc::clone(&carol), samples::name(&format!("{number}")), samples::hashed(5, 7)));
    world.responder.load(Catalogue::of(names));
    world.remove_member("carol");
    let left = world.responder.index.publication_count();
    assert!(0 < left && left < 5_000 && world.responder.index.is_forgetting());
    let batch = world.responder.next_batch().unwrap();
    assert!(matches!(&batch.edits[..], [Edit::Forget { .. }]), "for good from the first moment");
    let mut next = world.device_of("carol", 4, BOB);
    assert_eq!(refusal(&mut world, &mut next, samples::login(6_000)), Some(RefusalCode::TOO_FAST));
    while world.responder.index.is_forgetting() {
        world.responder.index.forget_more();
    }
    assert_eq!(world.responder.index.publication_count(), 0);
    assert_eq!(refusal(&mut world, &mut next, samples::login(6_000)), None);
    assert!(world.responder.next_batch().is_none(), "nothing more is to be kept");
}

/// BT-2.6-9: an hour a week is enough.
#[test]
fn who_has_been_online_between_two_looks_was_online() {
    let (mut world, mut alice, _) = world();
    assert_eq!(world.ask(&mut alice, publish("a")), None);
    for _ in 0..5 {
        world.ask(&mut alice, Request::Logout(Logout {}));
        for _ in 0..2 {
            assert!(world.responder.index.pass_hour(2).is_empty());
        }
        world.wait(60_000);
        alice = world.log_in("alice", 1, ALICE);
    }
    assert_eq!(world.responder.index.publication_count(), 1);
}

/// BT-2.6-9
#[test]
fn who_is_offline_for_too_many_hours_publishes_nothing_any_more() {
    let (mut world, mut alice, mut bob) = world();
    for (device, name) in [(&mut alice, "a"), (&mut bob, "b")] {
        assert_eq!(world.ask(device, publish(name)), None);
    }
    assert!(matches!(world.ask(&mut bob, Request::Logout(Logout {})), Some(Reply::LoggedOut(_))));
    let hours = |world: &mut Server| {
        let forgotten = world.responder.index.pass_hour(2);
        forgotten.iter().map(|member| member.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((hours(&mut world), hours(&mut world)), (vec![], vec![]));
    bob = world.log_in("bob", 2, BOB);
    assert_eq!(hours(&mut world), Vec::<String>::new(), "bob has been here");
    assert!(matches!(world.ask(&mut bob, Request::Logout(Logout {})), Some(Reply::LoggedOut(_))));
    assert_eq!((hours(&mut world), hours(&mut world)), (vec![], vec![]));
    assert_eq!(hours(&mut world), ["bob"]);
    assert_eq!(world.responder.index.publication_count(), 1, "alice is online");
    let edits = world.responder.next_batch().unwrap().edits;
    let counted = edits.iter().filter_map(|edit| match edit {
        Edit::Offline { member, hours } if member.as_str() == "bob" => Some(*hours),
        _ => None,
    });
    assert_eq!(counted.collect::<Vec<_>>(), [1, 2, 0, 1, 2]);
    assert!(matches!(edits.last(), Some(Edit::Forget { member }) if member.as_str() == "bob"));
}

/// BT-2.6-8: presence doesn't wait for what millions of publications take to be read.
#[test]
fn while_publications_are_read_what_is_asked_about_them_has_to_wait_and_nothing_else() {
    let mut world = Server::new();
    world.add_member("alice");
    world.responder.keep_publications();
    let mut alice = world.log_in("alice", 1, ALICE);
    assert_eq!(refusal(&mut world, &mut alice, heartbeat()), None);
    for (name, request) in samples::requests() {
        world.wait(1_000);
        let about =
            ["publish", "unpublish", "announce", "recall", "resume", "search", "locate", "list_files"];
        let waits = about.iter().any(|about| name == *about || name.starts_with(&format!("{about}_")));
        // A logout is good, and so is what doesn't fit in the middle of a session.
        if waits {
            assert_eq!(refusal(&mut world, &mut alice, request), Some(RefusalCode::TOO_FAST), "{name}");
        } else {
            let refused = world.ask(&mut alice, request);
            let is_asked_too_fast =
                matches!(&refused, Some(Reply::Refused(refused)) if refused.code == RefusalCode::TOO_FAST);
            assert!(!is_asked_too_fast, "{name}");
            alice = world.log_in("alice", 1, ALICE);
        }
    }
    let kept = |member| (Arc::new(samples::member(member)), samples::name("kept"), samples::hashed(5, 7));
    world.responder.load(Catalogue::of(["alice", "removed"].map(kept)));
    let mut bob = world.log_in("bob", 2, BOB);
    match world.ask(&mut bob, samples::search("kept", None)) {
        Some(Reply::Found(found)) => assert_eq!((found.hits[0].members, found.hits[0].sources), (1, 0)),
        other => panic!("{other:?}"),
    }
    let batch = world.responder.next_batch().unwrap();
    assert!(matches!(&batch.edits[..], [Edit::Forget { member }] if member.as_str() == "removed"));
}
