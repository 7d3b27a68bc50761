//! Sessions: how they begin, what keeps them, and what ends them (BT-2.2, BT-2.3, BT-2.4).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bittrickle_server::index::{Catalogue, Limits};
use bittrickle_tests::samples;
use bittrickle_wire::Hex64;
use bittrickle_wire::messages::{LoggedIn, Offer, RefusalCode, Reply, Request};
use sha2::{Digest as _, Sha256};

use super::{
    BOOT_ID, LAST_MOMENT, World, is_refused, key, local, publish, seconds, small_limits, without_clock,
};

/// BT-2.3-7, BT-2.3-8, BT-2.3-9
#[test]
fn a_login_starts_a_session_and_states_the_rhythm_and_the_clock() {
    let mut world = World::new();
    world.wait(seconds(1.5));
    let reply = world.ask(2_000, samples::login(2_000));
    let expected =
        LoggedIn { boot_id: BOOT_ID, clock_ms: 1_500, heartbeat_ms: 2_000, offline_after_ms: 7_000 };
    assert_eq!(reply, Reply::LoggedIn(expected));
    assert_eq!(world.index.session_count(), 1);
    world.wait(seconds(2.25));
    assert_eq!(world.heartbeat(2_000).clock_ms, 3_750);
}

/// BT-2.2-4, BT-2.2-6: a session is its device's, and neither its address nor its member makes it another's.
#[test]
fn a_request_of_a_device_without_a_session_is_refused_with_code_5() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    for (device, member, from) in [(2_001, "alice", local(2_000)), (2_002, "bob", local(2_002))] {
        world.enrol(device, member);
        for (name, request) in samples::requests() {
            if matches!(request, Request::Login(_) | Request::Enrol(_)) {
                continue;
            }
            let reply = world.ask_from(device, from, request.clone());
            match request {
                Request::Logout(_) => assert!(matches!(reply, Reply::LoggedOut(_)), "{name}"),
                _ => assert!(is_refused(&reply, RefusalCode::NO_SESSION), "{name} from {from}: {reply:?}"),
            }
        }
    }
    assert_eq!((world.index.session_count(), world.index.publication_count()), (1, 0));
}

/// BT-2.2-6, BT-2.3-7: only a login moves it.
#[test]
fn a_session_is_its_devices_wherever_the_device_asks_from() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.publish(2_000, &[("a", 1)]);
    for from in ["127.0.0.1:2001", "127.0.0.2:2000", "[::1]:2000"] {
        let reply = world.ask_from(2_000, from.parse().unwrap(), super::heartbeat());
        assert!(matches!(reply, Reply::HeartbeatReply(reply) if reply.offered == 1), "from {from}");
    }
    world.log_in(2_001, "bob");
    assert_eq!(world.sources(2_001, "a"), [("alice".to_owned(), "127.0.0.1:2000".to_owned())]);
}

/// BT-2.11-1: what a server does before a request reaches the index is not the index's to do.
#[test]
fn an_enrolment_at_the_index_is_refused_and_changes_nothing() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    let before = world.view(2_000, &[]);
    for device in [2_000, 2_001] {
        let reply = world.ask(device, samples::enrol("bob", "pw"));
        assert!(is_refused(&reply, RefusalCode::UNEXPECTED_KIND), "{reply:?}");
    }
    assert_eq!(world.view(2_000, &[]), before);
}

/// BT-2.3-4: to the nanosecond.
#[test]
fn a_session_is_over_after_seven_seconds_of_silence() {
    let mut world = World::new();
    for (silence, open) in [(LAST_MOMENT, true), (seconds(7.0), false), (seconds(7_000.0), false)] {
        world.log_in(2_000, "alice");
        world.wait(silence);
        assert_eq!(world.is_logged_in(2_000), open, "after {silence:?}");
        assert_eq!(world.index.session_count(), usize::from(open));
    }
}

/// BT-2.3-4
#[test]
fn any_request_of_a_session_is_a_sign_of_life() {
    for (name, request) in samples::requests() {
        if matches!(request, Request::Login(_) | Request::Logout(_) | Request::Enrol(_)) {
            continue;
        }
        let mut world = World::with(Limits { publications_per_member: 1, ..Limits::default() });
        world.log_in(2_000, "alice");
        for _ in 0..3 {
            world.wait(LAST_MOMENT);
            let reply = world.ask(2_000, request.clone());
            assert!(!is_refused(&reply, RefusalCode::NO_SESSION), "{name}: {reply:?}");
        }
        world.wait(seconds(7.0));
        assert!(!world.is_logged_in(2_000), "{name} counts from when it came");
    }
    let mut world = World::new();
    for _ in 0..3 {
        world.log_in(2_000, "alice");
        world.publish(2_000, &[("a", 1)]);
        world.wait(LAST_MOMENT);
    }
    world.log_in(2_000, "alice");
    assert_eq!(world.heartbeat(2_000).offered, 1, "a second login is a sign of life too");
}

/// BT-2.3-4: what others ask doesn't keep a session, nor does it take one's place.
#[test]
fn a_sign_of_life_is_for_one_session_only() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "alice");
    world.log_in(2_002, "bob");
    for _ in 0..7 {
        world.wait(seconds(1.0));
        world.heartbeat(2_001);
        world.ask(2_003, super::heartbeat());
    }
    assert!(!world.is_logged_in(2_000) && !world.is_logged_in(2_002) && world.is_logged_in(2_001));
}

/// BT-2.3-2
#[test]
fn a_second_login_of_the_same_device_keeps_the_session_and_its_offers() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "bob");
    world.publish(2_000, &[("a", 1), ("b", 2)]);
    let before = world.view(2_000, &[]);
    let seen = world.view(2_001, &["a", "b"]);
    world.log_in(2_000, "alice");
    assert_eq!(world.view(2_000, &[]), before);
    assert_eq!(world.view(2_001, &["a", "b"]), seen);
}

/// BT-2.3-4: a login that is refused keeps nobody's session, not even the device's own.
#[test]
fn a_refused_login_is_no_sign_of_life() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    for _ in 0..7 {
        world.wait(seconds(1.0));
        let reply = world.ask_from(2_000, "0.0.0.0:2000".parse().unwrap(), samples::login(2_000));
        assert!(is_refused(&reply, RefusalCode::MALFORMED), "nobody can be sent there: {reply:?}");
    }
    assert!(!world.is_logged_in(2_000));
}

/// BT-2.3-2, BT-2.2-5: the device has moved, or its file server has.
#[test]
fn a_second_login_from_elsewhere_keeps_what_is_on_offer_and_takes_the_new_address() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "carol");
    world.publish(2_000, &[("a", 1), ("b", 2)]);
    for (from, port, expected) in [
        ("127.0.0.1:2000", 3_000, "127.0.0.1:3000"),
        ("127.0.0.1:9", 3_000, "127.0.0.1:3000"),
        ("10.1.2.3:4000", 3_000, "10.1.2.3:3000"),
        ("[2001:db8::1]:4000", 65_535, "[2001:db8::1]:65535"),
        ("127.0.0.1:2000", 2_000, "127.0.0.1:2000"),
    ] {
        world.log_in_from(2_000, "alice", from.parse().unwrap(), port);
        assert_eq!((world.index.session_count(), world.heartbeat(2_000).offered), (2, 2));
        assert_eq!(world.sources(2_001, "a"), [("alice".to_owned(), expected.to_owned())]);
    }
}

/// BT-2.3-7, BT-2.3-3
#[test]
fn two_devices_of_one_member_have_a_session_each() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "alice");
    world.log_in(2_002, "bob");
    world.publish(2_000, &[("a", 1), ("both", 1)]);
    world.publish(2_001, &[("both", 1)]);
    assert_eq!((world.heartbeat(2_000).offered, world.heartbeat(2_001).offered), (2, 1));
    assert_eq!(world.sources(2_002, "both").len(), 2);
    assert_eq!(world.peers(2_002).members[..], [samples::entry("alice", 2)]);
    world.log_out(2_000);
    assert!(!world.is_logged_in(2_000) && world.is_logged_in(2_001));
    assert_eq!(world.sources(2_002, "both"), [("alice".to_owned(), "127.0.0.1:2001".to_owned())]);
}

/// BT-2.3-7, BT-2.11-4: the device has been enrolled anew.
#[test]
fn a_login_of_the_same_device_as_another_member_ends_the_old_session() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "carol");
    world.publish(2_000, &[("a", 1)]);
    world.log_in(2_000, "bob");
    assert_eq!(world.index.session_count(), 2);
    assert_eq!(world.heartbeat(2_000).offered, 0, "what the old session offered is not the new one's");
    assert_eq!(
        world.hits(2_001, ""),
        [("a".to_owned(), Some(1), 1, 0)],
        "the publication stays, and is alice's"
    );
    world.publish(2_000, &[("b", 1)]);
    assert_eq!(world.sources(2_001, "b"), [("bob".to_owned(), "127.0.0.1:2000".to_owned())]);
    assert_eq!(world.peers(2_001).members[..], [samples::entry("bob", 1)]);
}

/// BT-6.2-9: what an operator ends is over at once, and only that.
#[test]
fn the_session_of_a_device_that_is_closed_is_over_and_no_other() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "alice");
    world.log_in(2_002, "bob");
    world.publish(2_000, &[("a", 1)]);
    world.index.close_device(&key(2_000));
    world.index.close_device(&key(2_009));
    assert!(!world.is_logged_in(2_000) && world.is_logged_in(2_001) && world.is_logged_in(2_002));
    assert_eq!(world.hits(2_002, ""), [("a".to_owned(), Some(1), 1, 0)]);
    world.log_in(2_000, "alice");
    assert_eq!(world.heartbeat(2_000).offered, 0, "it starts from nothing");
}

/// BT-6.2-9: sessions of both formats; the publications wait for the member.
#[test]
fn the_sessions_of_a_member_who_is_closed_are_over_and_the_publications_stay() {
    for legacy in [false, true] {
        let mut world = World::new();
        if legacy {
            assert!(world.legacy_log_in("alice", 2_000));
            world.legacy_publish("alice", "a");
        } else {
            world.log_in(2_000, "alice");
            world.log_in(2_001, "alice");
            world.publish(2_001, &[("a", 1)]);
        }
        world.log_in(2_002, "bob");
        assert_eq!(world.sources(2_002, "a").len(), 1);
        world.index.close_member(&samples::member("alice"));
        world.index.close_member(&samples::member("nobody"));
        assert_eq!((world.index.session_count(), world.index.publication_count()), (1, 1));
        assert_eq!((world.sources(2_002, "a").len(), world.locate(2_002, "a").members), (0, 1));
        let lap = r#"{"type":"lap","username":"alice"}"#;
        assert!(world.legacy("127.0.0.1", lap).contains("Unknown user"));
    }
}

/// BT-6.2-9
#[test]
fn a_member_who_is_removed_leaves_nothing() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "alice");
    world.log_in(2_002, "bob");
    world.publish(2_000, &[("a", 1), ("both", 1)]);
    world.publish(2_002, &[("both", 2)]);
    world.log_out(2_001);
    world.index.remove_member(&samples::member("alice"));
    world.index.remove_member(&samples::member("alice"));
    assert_eq!((world.index.session_count(), world.index.publication_count()), (1, 1));
    assert_eq!(world.locate(2_002, "a").members, 0);
    world.log_in(2_000, "alice");
    assert_eq!(world.hits(2_000, ""), [("both".to_owned(), Some(2), 1, 1)]);
    assert!(world.files(2_000).files.is_empty(), "who comes back under the same name is somebody new");
}

/// BT-2.6-8: what the next one of this name publishes isn't withdrawn with what the one before has left.
#[test]
fn who_gets_a_name_while_very_many_publications_are_read_loses_none_of_their_own() {
    let mut world = World::new();
    world.index.note_edits();
    world.index.await_catalogue();
    world.index.remove_member(&samples::member("alice"));
    world.log_in(2_000, "alice");
    let alice = Arc::new(samples::member("alice"));
    let left = (0..1_500)
        .map(|number| (Arc::clone(&alice), samples::name(&format!("{number}")), samples::unhashed(Some(5))));
    world.index.load(Catalogue::of(left), |_| true);
    assert!(world.index.is_forgetting());
    let is_published = matches!(world.ask(2_000, publish(&[("own", 1)])), Reply::Published(_));
    while world.index.is_forgetting() {
        world.index.forget_more();
    }
    assert_eq!(world.index.publication_count(), usize::from(is_published));
    world.log_in(2_000, "alice");
    world.publish(2_000, &[("own", 1)]);
    assert_eq!(world.files(2_000).files[..], [samples::own_file("own", Some(1), 1)]);
}

/// BT-2.3-2: one of the two peers has gone.
#[test]
fn a_login_ends_the_members_other_session_with_the_same_transfer_address() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.publish(2_000, &[("a", 1)]);
    world.log_in(2_002, "carol");
    world.log_in_from(2_001, "alice", local(2_001), 2_000);
    assert!(!world.is_logged_in(2_000) && world.is_logged_in(2_001));
    assert_eq!(world.sources(2_002, "a"), [], "the new session has not offered it yet");

    world.log_in_from(2_003, "bob", local(2_003), 2_000);
    world.log_in_from(2_004, "alice", "127.0.0.2:2004".parse().unwrap(), 2_000);
    assert!(world.is_logged_in(2_001), "another member's, and another address's, are other peers");
    assert_eq!(world.index.session_count(), 4);

    world.publish(2_004, &[("b", 1)]);
    world.log_in_from(2_004, "alice", local(2_004), 2_000);
    assert!(!world.is_logged_in(2_001), "a device that moves to where another was takes its place");
    assert_eq!((world.index.session_count(), world.heartbeat(2_004).offered), (3, 1));
}

/// BT-2.3-3, BT-5.3-2, BT-2.10-1
#[test]
fn a_login_beyond_the_limits_is_refused_with_code_7_and_nothing_is_dropped() {
    let mut world = World::with(small_limits());
    world.log_in(2_000, "alice");
    world.log_in(2_001, "alice");
    world.publish(2_000, &[("a", 1)]);
    let third = world.ask(2_002, samples::login(2_002));
    assert!(is_refused(&third, RefusalCode::LIMIT_REACHED), "two of one member: {third:?}");
    world.log_in(2_003, "bob");
    world.log_in(2_004, "carol");
    let before = world.view(2_003, &["a"]);
    world.enrol(2_005, "dave");
    let fifth = world.ask(2_005, samples::login(2_005));
    assert!(is_refused(&fifth, RefusalCode::LIMIT_REACHED), "four in all: {fifth:?}");
    assert_eq!(world.view(2_003, &["a"]), before);

    world.log_in(2_000, "alice");
    world.log_in_from(2_000, "alice", local(2_000), 2_009);
    assert_eq!(world.index.session_count(), 4, "a login that is repeated takes no more room");
    world.log_in_from(2_002, "alice", local(2_002), 2_009);
    assert_eq!(world.index.session_count(), 4, "nor does one that ends another");
    world.log_in(2_003, "dave");
    assert_eq!(world.index.session_count(), 4, "nor does one of a device that has changed its member");
    world.log_out(2_001);
    world.log_in(2_000, "alice");
    world.wait(seconds(7.0));
    for (port, member) in [(3_000, "alice"), (3_001, "bob"), (3_002, "carol"), (3_003, "dave")] {
        world.log_in(port, member);
    }
}

/// BT-2.3-3, BT-5.3-2: sessions of either format take room.
#[test]
fn legacy_sessions_count_among_all_sessions() {
    let mut world = World::with(small_limits());
    for (member, port) in [("alice", 2_000), ("bob", 2_001), ("carol", 2_002), ("dave", 2_003)] {
        assert!(world.legacy_log_in(member, port));
    }
    world.enrol(2_004, "zoë");
    let reply = world.ask(2_004, samples::login(2_004));
    assert!(is_refused(&reply, RefusalCode::LIMIT_REACHED), "{reply:?}");
    assert!(!world.legacy_log_in("zoë", 2_004));
    assert_eq!(world.index.session_count(), 4);
    world.log_in(2_000, "alice");
    assert_eq!(world.index.session_count(), 4, "a framed session took the place of the member's legacy one");
}

/// BT-2.3-5
#[test]
fn a_framed_login_ends_the_members_legacy_session_and_keeps_legacy_logins_out() {
    let mut world = World::new();
    assert!(world.legacy_log_in("alice", 2_000) && world.legacy_log_in("bob", 2_001));
    let lap = |member: &str| format!(r#"{{"type":"lap","username":"{member}"}}"#);
    assert!(world.legacy("127.0.0.1", &lap("alice")).contains("success"));
    world.log_in(2_002, "alice");
    assert!(world.legacy("127.0.0.1", &lap("alice")).contains("Unknown user"));
    assert!(
        world.legacy("127.0.0.1", &lap("bob")).contains("success"),
        "another member's legacy session stays"
    );
    assert!(!world.legacy_log_in("alice", 2_000));
    world.wait(LAST_MOMENT);
    assert!(!world.legacy_log_in("alice", 2_000), "as long as the framed session is open");
    assert!(world.is_logged_in(2_002));
    world.log_out(2_002);
    assert!(world.legacy_log_in("alice", 2_000));
}

/// BT-2.3-6
#[test]
fn a_logout_ends_the_session_at_once_and_is_always_answered() {
    let mut world = World::new();
    world.log_out(2_000);
    world.log_in(2_000, "alice");
    world.log_in(2_001, "bob");
    world.publish(2_000, &[("a", 1)]);
    world.log_out(2_000);
    world.log_out(2_000);
    assert!(!world.is_logged_in(2_000) && world.is_logged_in(2_001));
    assert_eq!(
        world.hits(2_001, ""),
        [("a".to_owned(), Some(1), 1, 0)],
        "nothing is on offer, the publication stays"
    );
}

/// BT-2.4-3
#[test]
fn a_heartbeat_is_answered_with_the_sum_of_what_is_on_offer() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    let mut offered: BTreeMap<String, Offer> = BTreeMap::new();
    let check = |world: &mut World, offered: &BTreeMap<String, Offer>| {
        let reply = world.heartbeat(2_000);
        let sum = offered.values().map(digest).fold(0, u64::wrapping_add);
        let expected = (offered.len(), Hex64(sum), BOOT_ID);
        assert_eq!((reply.offered as usize, reply.digest, reply.boot_id), expected);
    };
    check(&mut world, &offered);
    for round in 0..40 {
        let name = format!("é {round}.bin");
        world.publish(2_000, &[(&name, round), (&name, round + 1)]);
        let mut offer = samples::offer(&name, round + 1);
        if round % 2 == 0 {
            // It has been hashed.
            offer = samples::hashed_offer(&name, round + 1, round as u8, round % 4 == 0);
            world.ask(2_000, samples::publish(vec![offer.clone()]));
        }
        offered.insert(name, offer);
        if round % 3 == 0 {
            let gone = offered.keys().nth(offered.len() / 2).unwrap().clone();
            offered.remove(&gone);
            world.unpublish(2_000, &[&gone, "never there"]);
        }
        check(&mut world, &offered);
    }
    world.log_in(2_001, "alice");
    world.publish(2_001, &[("another session's", 1)]);
    check(&mut world, &offered);
}

/// BT-2.2-3: the answer is the same, and nothing more changes.
#[test]
fn every_request_can_be_repeated() {
    let mut world = World::with(small_limits());
    world.log_in(2_000, "alice");
    world.log_in(2_001, "bob");
    world.publish(2_001, &[("b", 1)]);
    let steps = [
        samples::login(2_000),
        publish(&[("a", 1), ("b", 2), ("c", 3), ("d", 4)]),
        super::heartbeat(),
        publish(&[("a", 5)]),
        publish(&[("one too many", 5)]),
        samples::search("b", None),
        samples::locate("b", None),
        super::unpublish(&["a", "c", "not there"]),
        Request::ListPeers(bittrickle_wire::messages::ListPeers { after: None }),
        Request::ListFiles(bittrickle_wire::messages::ListFiles { after: None }),
        Request::Logout(bittrickle_wire::messages::Logout {}),
    ];
    for request in steps {
        let first = without_clock(world.ask(2_000, request.clone()));
        let seen = world.view(2_001, &["a", "b", "c", "d"]);
        for _ in 0..4 {
            world.wait(Duration::from_millis(500));
            assert_eq!(without_clock(world.ask(2_000, request.clone())), first, "{request:?}");
            assert_eq!(world.view(2_001, &["a", "b", "c", "d"]), seen, "{request:?}");
        }
    }
}

/// BT-2.2-5
#[test]
fn an_address_that_is_handed_out_was_seen_by_the_index_itself() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    for (device, from, port, expected) in [
        (3_000, "127.0.0.9:4000", 5_000, "127.0.0.9:5000"),
        (3_001, "[::1]:4001", 5_001, "[::1]:5001"),
        (3_002, "127.1.2.3:4002", 65_535, "127.1.2.3:65535"),
    ] {
        let from: SocketAddr = from.parse().unwrap();
        world.log_in_from(device, "bob", from, port);
        world.ask_from(device, from, publish(&[(&format!("{port}"), 1)]));
        assert_eq!(world.sources(2_000, &format!("{port}")), [("bob".to_owned(), expected.to_owned())]);
    }
}

/// BT-2.1-8, BT-2.2-5: whoever can't be reached by others is nobody's source.
#[test]
fn a_login_from_where_nobody_can_be_sent_is_refused_with_code_1() {
    let mut world = World::new();
    for from in ["0.0.0.0:4000", "224.0.0.1:4000", "255.255.255.255:4000", "[::]:4000", "[ff02::1]:4000"] {
        let reply = world.ask_from(2_000, from.parse().unwrap(), samples::login(2_000));
        assert!(is_refused(&reply, RefusalCode::MALFORMED), "{from}: {reply:?}");
        assert_eq!(world.index.session_count(), 0);
    }
}

/// The first 8 bytes of the name's SHA-256, as a big-endian number.
/// Of all that an offer says (BT-2.4-3).
fn digest(offer: &Offer) -> u64 {
    let mut text = offer.name.as_str().as_bytes().to_vec();
    text.push(0);
    text.extend(offer.file_bytes.bytes().to_be_bytes());
    text.push(u8::from(offer.is_folder));
    text.extend(offer.root.iter().flat_map(|root| *root.as_bytes()));
    let hash = Sha256::digest(&text);
    hash.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
