//! What stays on offer when something fails, and how often an index is returned to that forgets or misbelieves.

use std::time::Duration;

use bittrickle_peer::session::CallError;
use bittrickle_tests::samples;
use bittrickle_wire::messages::{ListFiles, Publish, RefusalCode, Reply, Request};
use bittrickle_wire::{Encoding, Kind, List};

use super::{World, ask, index, publish, search};

/// What fails changes nothing: refused, or without an answer, it is on offer as before, also for an index that comes back.
#[test]
fn a_publication_that_fails_leaves_on_offer_what_was_before() {
    let offer = |bytes| {
        let files = List::new(vec![samples::offer("a", bytes)]).unwrap();
        Request::Publish(Publish { files })
    };
    for bytes in [1, 2] {
        for refusal in [Some(RefusalCode::LIMIT_REACHED), None] {
            let mut world = World::new();
            world.settle();
            world.call(offer(1));
            (world.refusal, world.connected) = (refusal, refusal.is_some());
            world.call(offer(bytes));
            world.run(Duration::from_secs(20));
            assert!(matches!(world.finished[..], [Ok(_), Err(_)]), "{:?}", world.finished);
            (world.refusal, world.connected) = (None, true);
            world.index = index();
            world.run(Duration::from_secs(10));
            let listed = ask(
                &mut world.index,
                world.now,
                Encoding::Bincode,
                Request::ListFiles(ListFiles { after: None }),
            );
            let Reply::Files(listed) = listed else { panic!("{listed:?}") };
            let bytes: Vec<_> =
                listed.files.iter().map(|file| file.content.file_bytes.unwrap().bytes()).collect();
            assert_eq!(bytes, [1], "{refusal:?}");
        }
    }
}

/// BT-2.4-2: an index that forgets us again and again isn't logged in at as fast as it answers.
#[test]
fn an_index_that_never_has_a_session_is_returned_to_less_and_less_often() {
    let logins =
        |world: &World| world.sent.iter().filter(|(_, frame)| frame.message.kind() == Kind::Login).count();
    let mut world = World::new();
    world.settle();
    world.forgets = true;
    world.call(search());
    world.run(Duration::from_secs(60));
    assert_eq!(world.finished.len(), 1, "whoever asks isn't kept waiting for ever");
    assert!(
        matches!(&world.finished[0], Err(CallError::Refused(refused)) if refused.code == RefusalCode::NO_SESSION)
    );
    assert!((5..=12).contains(&logins(&world)), "{}", logins(&world));
    world.run(Duration::from_secs(600));
    assert!(logins(&world) <= 12 + 21, "every half minute: {}", logins(&world));
    // Once it has one again, and for long enough, it is as ever.
    world.forgets = false;
    world.run(Duration::from_secs(120));
    assert_eq!(world.index.session_count(), 1);
    world.index = index();
    world.sent.clear();
    world.run(Duration::from_secs(3));
    assert_eq!((logins(&world), world.index.session_count()), (1, 1));
}

/// BT-2.4-3: nor is everything published again with every heartbeat.
#[test]
fn an_index_that_never_believes_what_is_on_offer_is_told_less_and_less_often() {
    let mut world = World::new();
    world.settle();
    world.call(publish("a"));
    world.lies_about_digests = true;
    world.run(Duration::from_secs(660));
    let published = world.sent.iter().filter(|(_, frame)| frame.message.kind() == Kind::Publish).count();
    assert!((5..=35).contains(&published), "{published}");
}
