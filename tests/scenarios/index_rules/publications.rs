//! Publishing and unpublishing, and what remains when a session ends (BT-2.6, BT-2.10).

use bittrickle_server::index::Limits;
use bittrickle_tests::samples;
use bittrickle_wire::messages::{RefusalCode, Reply};

use super::{World, is_refused, publish, seconds, small_limits};

/// BT-2.6-1, BT-2.6-6
#[test]
fn a_publication_outlives_the_session_and_its_offers_do_not() {
    for by_silence in [true, false] {
        let mut world = World::new();
        world.log_in(2_000, "alice");
        world.publish(2_000, &[("a", 5)]);
        if by_silence {
            world.wait(seconds(7.0));
        } else {
            world.log_out(2_000);
        }
        world.log_in(2_001, "bob");
        assert_eq!(world.hits(2_001, "a"), [("a".to_owned(), Some(5), 1, 0)]);
        let located = world.locate(2_001, "a");
        assert_eq!((located.members, located.sources.len()), (1, 0));
        world.log_in(2_000, "alice");
        assert_eq!(world.heartbeat(2_000).offered, 0, "a new session offers what it publishes itself");
        assert_eq!(world.files(2_000).files[..], [samples::own_file("a", Some(5), 0)]);
    }
}

/// BT-2.6-2
#[test]
fn publishing_makes_the_session_a_source_of_each_file() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "bob");
    assert_eq!(world.publish(2_000, &[]), 0);
    assert_eq!(world.publish(2_000, &[("a", 0), ("b", (1 << 53) - 1)]), 2);
    assert_eq!(world.publish(2_000, &[("b", 7), ("c", 1)]), 3, "files that the session offers now");
    for name in ["a", "b", "c"] {
        assert_eq!(world.sources(2_001, name), [("alice".to_owned(), "127.0.0.1:2000".to_owned())]);
    }
}

/// BT-2.6-2, BT-2.6-4, BT-2.10-1, BT-5.3-2
#[test]
fn all_files_of_a_request_are_published_or_none() {
    let mut world = World::with(small_limits());
    world.log_in(2_000, "alice");
    world.log_in(2_001, "bob");
    world.log_in(2_002, "carol");
    world.publish(2_000, &[("a1", 1), ("a2", 1), ("a3", 1)]);
    let names = ["a1", "a2", "a3", "a4", "a5", "b1", "b2", "b3"];
    let refused = [
        (2_000, vec![("a1", 9), ("a4", 1), ("a5", 1)]),
        (2_001, vec![("a1", 9), ("b1", 1), ("b2", 1), ("b3", 1)]),
    ];
    for (port, files) in refused {
        let before = world.view(2_002, &names);
        let own = world.view(port, &names);
        assert!(is_refused(&world.ask(port, publish(&files)), RefusalCode::LIMIT_REACHED), "{files:?}");
        assert_eq!(world.view(2_002, &names), before, "not even the new size of a1");
        assert_eq!(world.view(port, &names), own);
    }
    assert_eq!(world.publish(2_000, &[("a1", 9), ("a4", 1)]), 4, "as many as one member may have");
    assert_eq!(world.publish(2_001, &[("b1", 1), ("a1", 9)]), 2, "as many as there may be in all");
    assert!(is_refused(&world.ask(2_002, publish(&[("c", 1)])), RefusalCode::LIMIT_REACHED));
    assert_eq!(world.index.publication_count(), 6);
}

/// BT-2.6-4, BT-2.2-3: at the limit, too.
#[test]
fn a_name_that_is_published_already_takes_the_new_size_and_no_room() {
    let mut world = World::with(small_limits());
    world.log_in(2_000, "alice");
    world.log_in(2_001, "bob");
    world.publish(2_000, &[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
    assert_eq!(world.publish(2_000, &[("a", 2), ("d", 3)]), 4);
    assert_eq!(world.hits(2_001, "a"), [("a".to_owned(), Some(2), 1, 1)]);
    assert_eq!(world.locate(2_001, "d").sources[0].content.file_bytes, Some(samples::size(3)));
    assert_eq!(world.index.publication_count(), 4);
}

/// BT-2.6-4: a name that stands twice in one request is one publication.
#[test]
fn a_name_that_comes_twice_counts_once_and_keeps_its_last_size() {
    let mut world = World::with(Limits { publications_per_member: 2, ..small_limits() });
    world.log_in(2_000, "alice");
    world.log_in(2_001, "bob");
    assert_eq!(world.publish(2_000, &[("a", 1), ("a", 2), ("b", 1), ("b", 1), ("a", 3)]), 2);
    assert_eq!(world.hits(2_001, "a"), [("a".to_owned(), Some(3), 1, 1)]);
    assert_eq!(world.index.publication_count(), 2);
}

/// BT-2.6-3
#[test]
fn several_members_publish_one_name_and_each_keeps_their_own() {
    let mut world = World::new();
    for (port, member) in [(2_000, "alice"), (2_001, "bob"), (2_002, "carol")] {
        world.log_in(port, member);
    }
    world.publish(2_000, &[("a", 1)]);
    world.publish(2_001, &[("a", 2)]);
    assert_eq!(world.index.publication_count(), 2);
    world.unpublish(2_000, &["a"]);
    assert_eq!(world.hits(2_002, "a"), [("a".to_owned(), Some(2), 1, 1)]);
    assert_eq!(world.files(2_000).files.len(), 0);
    assert_eq!(world.files(2_001).files[..], [samples::own_file("a", Some(2), 1)]);
}

/// BT-2.6-5
#[test]
fn unpublishing_ends_the_offer_and_withdraws_what_no_other_session_offers() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "alice");
    world.log_in(2_002, "bob");
    world.publish(2_000, &[("mine", 1), ("both", 1)]);
    world.publish(2_001, &[("both", 1), ("other", 1)]);
    world.publish(2_002, &[("bobs", 1)]);
    world.unpublish(2_000, &["mine", "both", "other", "bobs", "nobody's"]);
    assert_eq!(world.heartbeat(2_000).offered, 0);
    assert_eq!(world.heartbeat(2_001).offered, 2, "what the other session offers is untouched");
    assert_eq!(world.heartbeat(2_002).offered, 1);
    assert_eq!(
        world.hits(2_002, ""),
        [("both".to_owned(), Some(1), 1, 1), ("other".to_owned(), Some(1), 1, 1)]
    );
    assert_eq!(world.sources(2_002, "both"), [("alice".to_owned(), "127.0.0.1:2001".to_owned())]);
    world.unpublish(2_001, &["both", "other"]);
    assert_eq!(world.hits(2_002, ""), []);
    assert_eq!(world.index.publication_count(), 1);
}

/// BT-2.6-5: nobody offers it any more, so any session of the member may withdraw it.
#[test]
fn a_publication_of_a_session_that_is_over_can_be_withdrawn_by_another() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.publish(2_000, &[("a", 1)]);
    world.log_out(2_000);
    assert!(world.legacy_log_in("bob", 2_001));
    world.legacy_publish("bob", "b");
    world.log_in(2_001, "bob");
    world.log_in(2_002, "alice");
    world.unpublish(2_001, &["a", "b"]);
    assert_eq!(world.index.publication_count(), 1, "b was bob's, a isn't");
    world.unpublish(2_002, &["a"]);
    assert_eq!(world.index.publication_count(), 0);
}

/// BT-2.6-6: of two sessions, one ends.
#[test]
fn what_another_session_of_the_member_offers_stays_on_offer() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "alice");
    world.log_in(2_002, "bob");
    world.publish(2_000, &[("a", 1)]);
    world.publish(2_001, &[("a", 1)]);
    assert_eq!(world.hits(2_002, "a"), [("a".to_owned(), Some(1), 1, 2)]);
    world.log_out(2_000);
    assert_eq!(world.hits(2_002, "a"), [("a".to_owned(), Some(1), 1, 1)]);
    assert_eq!(world.sources(2_002, "a"), [("alice".to_owned(), "127.0.0.1:2001".to_owned())]);
    world.unpublish(2_001, &["a"]);
    assert_eq!(world.index.publication_count(), 0);
}

/// BT-2.6-4, BT-5.3-2: whoever published it, in whichever format.
#[test]
fn legacy_publications_take_room_too() {
    let mut world = World::with(small_limits());
    assert!(world.legacy_log_in("alice", 2_000));
    for name in ["a", "b", "c", "d"] {
        world.legacy_publish("alice", name);
    }
    world.legacy_publish("alice", "a");
    let fifth = world.legacy("127.0.0.1", r#"{"type":"pub","username":"alice","filename":"e"}"#);
    assert!(fifth.contains("File publish was unsuccessful"), "{fifth}");
    world.log_in(2_000, "alice");
    assert!(is_refused(&world.ask(2_000, publish(&[("e", 1)])), RefusalCode::LIMIT_REACHED));
    assert_eq!(world.publish(2_000, &[("a", 1)]), 1);
    assert_eq!(world.index.publication_count(), 4);
}

/// BT-2.10-1
#[test]
fn a_request_without_a_session_changes_nothing() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.publish(2_000, &[("a", 1)]);
    let before = world.view(2_000, &["a"]);
    for request in [publish(&[("a", 9), ("b", 1)]), super::unpublish(&["a"]), super::heartbeat()] {
        let reply = world.ask(2_001, request);
        assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
        assert_eq!(world.view(2_000, &["a"]), before);
    }
}

/// BT-5.3-2
#[test]
fn the_limits_are_those_of_the_registry() {
    let expected = Limits {
        sessions: 262_144,
        sessions_per_member: 16,
        publications: 10_000_000,
        publications_per_member: 1_000_000,
        names_per_search: 4_096,
        names_per_legacy_search: 20_000,
    };
    assert_eq!(Limits::default(), expected);
    let mut world = World::new();
    for port in 2_000..2_016 {
        world.log_in(port, "alice");
    }
    let seventeenth = world.ask(2_016, samples::login(2_016));
    assert!(is_refused(&seventeenth, RefusalCode::LIMIT_REACHED));
}
