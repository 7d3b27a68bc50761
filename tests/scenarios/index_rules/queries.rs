//! What a search finds, who is a source, and who is listed (BT-2.7, BT-2.8, BT-2.9).

use std::net::SocketAddr;

use bittrickle_server::index::Limits;
use bittrickle_tests::samples;
use bittrickle_wire::fold;
use proptest::prelude::*;

use super::{World, publish, seconds};

/// An index where alice asks at port 2000 and bob offers these names at port 2001.
fn world_with(names: &[&str]) -> World {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "bob");
    let files: Vec<(&str, u64)> = names.iter().map(|name| (*name, 1)).collect();
    world.publish(2_001, &files);
    world
}

fn names_found(world: &mut World, text: &str) -> Vec<String> {
    world.hits(2_000, text).into_iter().map(|hit| hit.0).collect()
}

/// BT-2.7-1
#[test]
fn a_name_is_found_by_any_part_of_it_whatever_its_case() {
    let mut world = world_with(&["Notes.TXT", "résumé.pdf", "ÜBUNG 1", "日本語.txt", "İstanbul", "50% off"]);
    for (text, expected) in [
        ("notes", &["Notes.TXT"][..]),
        ("OTES.t", &["Notes.TXT"]),
        ("RÉSUMÉ", &["résumé.pdf"]),
        ("übung", &["ÜBUNG 1"]),
        ("本", &["日本語.txt"]),
        (".txt", &["Notes.TXT", "日本語.txt"]),
        ("İSTAN", &["İstanbul"]),
        ("g 1", &["ÜBUNG 1"]),
        ("%", &["50% off"]),
        ("resume", &[]),
        ("*", &[]),
        ("notes.txt ", &["Notes.TXT"]),
        ("TXT notes", &["Notes.TXT"]),
        ("o  5\u{3000}f", &["50% off"]),
        ("notes 本", &[]),
    ] {
        assert_eq!(names_found(&mut world, text), expected, "{text}");
    }
}

/// BT-2.7-1
#[test]
fn the_empty_query_finds_every_name() {
    let mut world = world_with(&["b", "a", "é"]);
    assert_eq!(names_found(&mut world, ""), ["b", "a", "é"]);
}

/// BT-2.7-1: every part of a name is contained in it, so it finds it: at the end of a word as well.
#[test]
fn a_part_of_a_greek_name_finds_it() {
    let mut world = world_with(&["ΟΔΟΣΑ.txt"]);
    for text in ["ΟΔΟΣΑ", "ΟΔΟΣ", "Σ", "οδοσ", "ΔΟΣΑ.TXT"] {
        assert_eq!(names_found(&mut world, text), ["ΟΔΟΣΑ.txt"], "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// BT-2.7-1
    #[test]
    fn a_name_is_found_by_each_of_its_parts(
        name in "[a-zA-ZéÉßıİΣςσΑA日 1]{1,20}",
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let name = bittrickle_wire::FileName::sanitized(&name);
        let characters: Vec<char> = name.as_str().chars().collect();
        let (from, to) = (from.index(characters.len() + 1), to.index(characters.len() + 1));
        let part: String = characters[from.min(to)..from.max(to)].iter().collect();
        let mut world = world_with(&[name.as_str()]);
        prop_assert_eq!(names_found(&mut world, &part), [name.as_str()], "{:?}", part);
    }
}

/// BT-2.7-2
#[test]
fn the_askers_own_publications_are_neither_listed_nor_counted() {
    let mut world = world_with(&["both", "bobs"]);
    world.publish(2_000, &[("both", 1), ("mine", 1)]);
    world.log_in(2_002, "alice");
    world.publish(2_002, &[("both", 1)]);
    assert_eq!(
        world.hits(2_000, ""),
        [("both".to_owned(), Some(1), 1, 1), ("bobs".to_owned(), Some(1), 1, 1)]
    );
    assert_eq!(
        world.hits(2_001, ""),
        [("both".to_owned(), Some(1), 1, 2), ("mine".to_owned(), Some(1), 1, 1)]
    );
}

/// BT-2.7-3, BT-2.5-3
#[test]
fn a_hit_is_one_name_with_one_size_ordered_by_first_publication_and_size() {
    let mut world = World::new();
    for (port, member) in [(2_000, "alice"), (2_001, "bob"), (2_002, "Bob"), (2_004, "dave")] {
        world.log_in(port, member);
    }
    world.publish(2_001, &[("a", 1 << 40), ("Z", 1), ("é", 1), ("z", 1), ("~a".trim_start_matches('~'), 10)]);
    world.publish(2_002, &[("a", 2)]);
    world.publish(2_004, &[("a", 10), ("\u{fffd}", 1), ("😀", 1)]);
    assert!(world.legacy_log_in("carol", 2_003));
    world.legacy_publish("carol", "a");
    let expected = [
        ("a", None, 1, 1),
        ("a", Some(2), 1, 1),
        ("a", Some(10), 2, 2),
        ("Z", Some(1), 1, 1),
        ("é", Some(1), 1, 1),
        ("z", Some(1), 1, 1),
        ("\u{fffd}", Some(1), 1, 1),
        ("😀", Some(1), 1, 1),
    ];
    let expected = expected.map(|(name, size, members, sources)| (name.to_owned(), size, members, sources));
    assert_eq!(world.hits(2_000, ""), expected);
    world.wait(seconds(3.0));
    assert_eq!(world.hits(2_000, "a")[0], ("a".to_owned(), None, 1, 0), "carol's session is over");
}

/// BT-2.8-1
#[test]
fn a_source_is_a_session_that_offers_the_name_now() {
    let mut world = world_with(&["a"]);
    world.log_in(2_002, "bob");
    world.log_in(2_003, "carol");
    world.log_in(2_004, "dave");
    world.publish(2_003, &[("a", 9)]);
    world.publish(2_004, &[("a", 9)]);
    world.log_out(2_004);
    let located = world.locate(2_000, "a");
    let expected = [
        samples::source("bob", "127.0.0.1:2001", Some(1), world.access(2_001, 2_000, "a")),
        samples::source("carol", "127.0.0.1:2003", Some(9), world.access(2_003, 2_000, "a")),
    ];
    assert_eq!((located.members, &located.sources[..], &located.next), (3, &expected[..], &None));
    assert_eq!(world.locate(2_000, "A").members, 0, "a name is itself, whatever a search would find");
    for _ in 0..2 {
        world.wait(seconds(4.0));
        world.heartbeat(2_000);
        world.heartbeat(2_001);
    }
    let located = world.locate(2_000, "a");
    assert_eq!((located.members, &located.sources[..]), (3, &expected[..1]), "carol has been silent for 8 s");
}

/// BT-2.8-1, BT-2.8: it has no offers of its own, it is a source of all that its member has published.
#[test]
fn a_legacy_session_is_a_source_of_all_its_member_has_published() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "bob");
    world.publish(2_001, &[("framed", 5)]);
    world.log_out(2_001);
    assert_eq!(world.sources(2_000, "framed"), []);
    assert!(world.legacy_log_in("bob", 2_002));
    world.legacy_publish("bob", "old");
    let located = [world.locate(2_000, "framed"), world.locate(2_000, "old")];
    assert_eq!(located[0].sources[..], [samples::source("bob", "127.0.0.1:2002", Some(5), None)]);
    assert_eq!(located[1].sources[..], [samples::source("bob", "127.0.0.1:2002", None, None)]);
}

/// BT-2.8-2
#[test]
fn the_askers_own_sessions_are_never_handed_out() {
    let mut world = world_with(&["a"]);
    world.log_in(2_002, "bob");
    world.publish(2_002, &[("a", 1)]);
    for port in [2_001, 2_002] {
        let located = world.locate(port, "a");
        assert_eq!((located.members, located.sources.len()), (0, 0));
    }
    world.publish(2_000, &[("a", 1)]);
    assert_eq!(world.sources(2_002, "a"), [("alice".to_owned(), "127.0.0.1:2000".to_owned())]);
    assert_eq!(world.sources(2_000, "a").len(), 2);
}

/// BT-2.8-2, BT-2.5-3
#[test]
fn sources_are_ordered_by_member_then_address_then_port() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    let from = [
        ("bob", "[::1]:9", 2_001),
        ("bob", "127.0.0.1:11", 60_000),
        ("bob", "127.0.0.2:12", 1_024),
        ("bob", "127.0.0.1:13", 9_999),
        ("Bob", "127.9.9.9:14", 5_000),
        ("zoë", "127.0.0.1:15", 5_000),
        ("carol", "127.0.0.1:16", 5_000),
    ];
    for (device, (member, from, port)) in (3_000..).zip(from) {
        let from: SocketAddr = from.parse().unwrap();
        world.log_in_from(device, member, from, port);
        world.ask_from(device, from, publish(&[("a", 1)]));
    }
    let expected = [
        ("Bob", "127.9.9.9:5000"),
        ("bob", "[::1]:2001"),
        ("bob", "127.0.0.1:9999"),
        ("bob", "127.0.0.1:60000"),
        ("bob", "127.0.0.2:1024"),
        ("carol", "127.0.0.1:5000"),
        ("zoë", "127.0.0.1:5000"),
    ];
    assert_eq!(world.sources(2_000, "a"), expected.map(|(member, at)| (member.to_owned(), at.to_owned())));
}

/// BT-2.9-1, BT-2.9-2
#[test]
fn peers_are_the_other_members_who_have_a_session() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    assert!(world.peers(2_000).members.is_empty());
    world.log_in(2_001, "zoë");
    world.log_in(2_002, "bob");
    world.log_in(2_003, "bob");
    world.log_in(2_004, "alice");
    assert!(world.legacy_log_in("carol", 2_005));
    world.publish(2_001, &[("a", 1)]);
    let all = [samples::entry("bob", 2), samples::entry("carol", 1), samples::entry("zoë", 1)];
    let peers = world.peers(2_000);
    assert_eq!((&peers.members[..], peers.next), (&all[..], None));
    world.wait(seconds(3.0));
    world.log_out(2_001);
    assert_eq!(
        world.peers(2_000).members[..],
        [samples::entry("bob", 2)],
        "carol's session and zoë's are over"
    );
    assert_eq!(world.peers(2_002).members[..], [samples::entry("alice", 2)]);
}

/// BT-2.9-3
#[test]
fn files_are_the_members_own_publications_whichever_session_made_them() {
    let mut world = world_with(&["bobs"]);
    world.log_in(2_002, "alice");
    world.publish(2_000, &[("b", 1), ("a", 2)]);
    world.publish(2_002, &[("c", 3), ("a", 2)]);
    let expected = [
        samples::own_file("b", Some(1), 1),
        samples::own_file("a", Some(2), 2),
        samples::own_file("c", Some(3), 1),
    ];
    for port in [2_000, 2_002] {
        let files = world.files(port);
        assert_eq!((&files.files[..], files.next), (&expected[..], None));
    }
    world.log_out(2_002);
    assert_eq!(world.files(2_000).files.iter().map(|file| file.sources).collect::<Vec<_>>(), [1, 1, 0]);
    world.log_out(2_000);
    assert!(world.legacy_log_in("alice", 2_005));
    world.legacy_publish("alice", "b");
    world.log_in(2_006, "alice");
    assert_eq!(
        world.files(2_006).files[0],
        samples::own_file("b", None, 0),
        "published again without a size"
    );
}

/// BT-2.7-4, BT-5.3-2
#[test]
fn one_search_looks_at_a_bounded_number_of_names() {
    let mut world = World::with(Limits { names_per_search: 8, ..Limits::default() });
    world.log_in(2_000, "alice");
    world.log_in(2_001, "bob");
    let names: Vec<String> = (0..64).map(|i| format!("{i:02}")).collect();
    let files: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    world.publish(2_001, &files);
    let mut found = world.search(2_000, "6");
    let mut hits = found.hits.to_vec();
    let mut pages = 1;
    while let Some(next) = found.next {
        assert!(found.hits.len() <= 4, "few of eight names have a 6");
        found = world.search_after(2_000, "6", Some(next));
        hits.extend(found.hits.to_vec());
        pages += 1;
    }
    let found: Vec<_> = hits.iter().map(|hit| hit.name.as_str()).collect();
    assert_eq!(found, ["06", "16", "26", "36", "46", "56", "60", "61", "62", "63"]);
    assert_eq!(pages, 8);
    // What few names have is looked up.
    let found = world.search(2_000, "63");
    assert_eq!((found.hits.len(), found.next), (1, None));
}

/// BT-2.7-1, BT-2.7-3, BT-2.7-4: whether names are looked up by their letters or gone through, the hits are the same, in their order.
#[test]
fn rare_texts_and_common_ones_find_the_same_names_as_a_look_at_each() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "bob");
    let word = |number: usize| ["Linux", "RÉSUMÉ", "photo", "σίσυφος", "tar"][number % 5];
    let names: Vec<String> = (0..600)
        .map(|i| format!("{} {}-{}.{}", word(i * 7), i * 37 % 600, word(i / 5), ["txt", "iso"][i % 2]))
        .collect();
    let (gone, kept) = names.split_at(100);
    for some in names.chunks(8) {
        world.publish(2_001, &some.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
    }
    for name in gone {
        world.unpublish(2_001, &[name]);
    }
    for text in [
        "x", "lin", "LINUX", "résumé", "ΣΊΣ", "-tar", "599", "59", ".iso", "photo 11", "nothing", "x-t",
        "tar.",
    ] {
        let mut expected: Vec<&str> = (kept.iter().map(String::as_str))
            .filter(|name| text.split(' ').all(|word| fold(name).contains(&fold(word))))
            .collect();
        expected.sort_by_key(|name| names.iter().position(|published| published == name));
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = world.search_after(2_000, text, after);
            found.extend(page.hits.iter().map(|hit| hit.name.as_str().to_owned()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{text}");
    }
}
