//! How often one sealed session may ask (BT-5.3-3).

use bittrickle_server::sealing::{Limits, Rate};
use bittrickle_tests::samples;
use bittrickle_tests::socketless::{Device, Server, secret};
use bittrickle_wire::messages::{
    ListFiles, ListPeers, Logout, Publish, Recall, RefusalCode, Request, Resume,
};
use bittrickle_wire::{Hex64, List};

use super::{ALICE, BOB, heartbeat, is_refused, publish, refusal};

/// How many of so many requests at once are answered, and not told to come back.
fn answered(world: &mut Server, device: &mut Device, count: usize, request: &Request) -> usize {
    let is_taken = |_: &usize| refusal(world, device, request.clone()) != Some(RefusalCode::TOO_FAST);
    (0..count).filter(is_taken).count()
}

/// How many are answered in ten seconds of asking every millisecond.
fn answered_in_10_s(world: &mut Server, device: &mut Device, request: &Request) -> usize {
    let mut count = 0;
    for _ in 0..10_000 {
        world.wait(1);
        count += answered(world, device, 1, request);
    }
    count
}

/// BT-5.3-3: 40 at once and 20 a second, of all these together.
#[test]
fn queries_are_answered_40_at_once_and_20_a_second() {
    let queries = [
        samples::search("x", None),
        samples::locate("x", None),
        Request::ListPeers(ListPeers { after: None }),
    ];
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    assert_eq!(answered(&mut world, &mut device, 10, &queries[0]), 10);
    for query in &queries {
        assert_eq!(answered(&mut world, &mut device, 10, query), 10);
    }
    for query in &queries {
        assert_eq!(answered(&mut world, &mut device, 10, query), 0);
    }
    assert_eq!(answered_in_10_s(&mut world, &mut device, &queries[1]), 200);
    world.wait(3_600);
    assert_eq!(answered(&mut world, &mut device, 100, &queries[0]), 40, "and no more are saved up");
}

fn resume() -> Request {
    Request::Resume(Resume { rank: 0, chosen: [0].into_iter().collect(), digest: Hex64(0) })
}

/// A request that names so many files.
fn publish_many(count: usize) -> Request {
    let files = (0..count).map(|number| samples::offer(&format!("{number}"), 1)).collect();
    Request::Publish(Publish { files: List::new(files).unwrap() })
}

/// BT-5.3-3: what is counted is files, however many there are in a request, and pages of them.
#[test]
fn a_sessions_own_publications_are_taken_100000_at_once_and_10000_a_second() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    assert_eq!(answered(&mut world, &mut device, 1_500, &publish_many(32)), 1_500, "48,000 files");
    let names = (0..20).map(|number| samples::name(&number.to_string())).collect();
    assert_eq!(answered(&mut world, &mut device, 500, &samples::unpublish(names)), 500, "10,000 files");
    let chosen = (0..100).collect();
    let many = Request::Resume(Resume { rank: 0, chosen, digest: Hex64(0) });
    assert_eq!(answered(&mut world, &mut device, 100, &many), 100, "10,000 files");
    assert_eq!(answered(&mut world, &mut device, 500, &Request::Recall(Recall { rank: 0 })), 500, "4,000");
    assert_eq!(answered(&mut world, &mut device, 500, &Request::ListFiles(ListFiles { after: None })), 500);
    assert_eq!(answered(&mut world, &mut device, 4_000, &resume()), 3_000, "the rest, each as good as eight");
    let before = world.responder.index.publication_count();
    assert_eq!(answered(&mut world, &mut device, 100, &publish("b")), 0);
    assert_eq!(answered(&mut world, &mut device, 100, &publish_many(32)), 0);
    assert_eq!(world.responder.index.publication_count(), before, "what is refused has changed nothing");
    assert_eq!(answered_in_10_s(&mut world, &mut device, &publish_many(32)), 100_000 / 32);
}

/// BT-5.3-3
#[test]
fn all_other_requests_are_answered_40_at_once_and_20_a_second() {
    let mut world = Server::new();
    let mut device = world.device_of("alice", 1, ALICE);
    for request in [samples::login(6_000), heartbeat(), Request::Logout(Logout {}), samples::login(6_001)] {
        assert_eq!(answered(&mut world, &mut device, 10, &request), 10);
    }
    assert_eq!(answered(&mut world, &mut device, 10, &heartbeat()), 0);
    assert_eq!(answered_in_10_s(&mut world, &mut device, &heartbeat()), 200);
}

/// BT-5.3-3: one kind of request doesn't keep the others waiting, nor one device another.
#[test]
fn budgets_are_of_one_session_and_one_sort_of_request() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    let mut other = world.log_in("alice", 2, BOB);
    let query = samples::search("x", None);
    assert_eq!(answered(&mut world, &mut device, 100, &query), 40);
    assert_eq!(answered(&mut world, &mut device, 30, &heartbeat()), 30);
    assert_eq!(answered(&mut world, &mut device, 100, &publish("a")), 100);
    assert_eq!(answered(&mut world, &mut other, 40, &query), 40);
}

/// BT-5.3-3: what isn't even a request takes from the budget of all others, and gets silence beyond.
#[test]
fn bad_frames_are_answered_40_at_once_and_20_a_second() {
    let mut world = Server::new();
    let mut device = world.device_of("alice", 1, ALICE);
    let bad = [0xb7, 1, 0x7f, 1, 0, 0, 0, 7, 0, 0, 0, 0];
    let answered = |world: &mut Server, device: &mut Device, count: usize| {
        (0..count).filter(|_| world.ask_bytes(device, &bad).is_some()).count()
    };
    assert_eq!(answered(&mut world, &mut device, 200), 40);
    world.wait(1_000);
    assert_eq!(answered(&mut world, &mut device, 200), 20);
    assert_eq!(world.responder.counters().malformed, 340);
}

/// BT-5.3-3: a new handshake is no way to ask more.
#[test]
fn a_new_handshake_brings_no_new_budget() {
    let mut world = Server::new();
    let mut device = world.log_in("alice", 1, ALICE);
    let query = samples::search("x", None);
    assert_eq!(answered(&mut world, &mut device, 100, &query), 40);
    let mut renewed = world.shake_hands(device.address, &secret(1)).unwrap();
    assert_eq!(answered(&mut world, &mut renewed, 100, &query), 0);
}

/// BT-2.3-4: what is refused as too fast is no sign of life.
#[test]
fn who_only_asks_too_fast_is_offline_after_seven_seconds() {
    let mut world = Server::with(Limits { queries: Rate { per_second: 0, burst: 1 }, ..Limits::default() });
    let mut device = world.log_in("alice", 1, ALICE);
    let query = samples::search("x", None);
    assert_eq!(refusal(&mut world, &mut device, query.clone()), None);
    for _ in 0..6 {
        world.wait(1_000);
        let reply = world.ask(&mut device, query.clone());
        assert!(is_refused(reply.as_ref(), RefusalCode::TOO_FAST));
    }
    world.wait(999);
    world.responder.expire(world.now);
    assert_eq!(world.responder.index.session_count(), 1);
    world.wait(1);
    assert_eq!(refusal(&mut world, &mut device, heartbeat()), Some(RefusalCode::NO_SESSION));
}
