//! What it takes to fetch from a source: its key, and a ticket for whoever asks (BT-2.8-3).

use bittrickle_tests::samples;
use bittrickle_wire::messages::{Access, Reply};

use super::{World, key};

/// What each source on the first page gives to the device that asks.
fn accesses(world: &mut World, device: u16, name: &str) -> Vec<Option<Access>> {
    world.locate(device, name).sources.iter().map(|source| source.access).collect()
}

/// Two devices of bob's, 2001 and 2002, and one of carol's, 2003, offer `a` and `b`; alice has 2000 and 2009.
fn world() -> World {
    let mut world = World::new();
    for (member, devices) in [("alice", &[2_000, 2_009][..]), ("bob", &[2_001, 2_002]), ("carol", &[2_003])] {
        devices.iter().for_each(|device| world.log_in(*device, member));
    }
    for device in [2_001, 2_002, 2_003] {
        world.publish(device, &[("a", 1), ("b", 1)]);
    }
    world
}

/// BT-2.8-3
#[test]
fn a_ticket_is_for_this_device_this_source_and_this_name() {
    let mut world = world();
    for requester in [2_000, 2_009] {
        for name in ["a", "b"] {
            let expected = [2_001, 2_002, 2_003].map(|source| world.access(source, requester, name));
            assert_eq!(accesses(&mut world, requester, name), expected, "{requester} asks for {name}");
        }
    }
}

/// BT-2.8-3: its keys have gone before its session.
#[test]
fn a_source_with_which_no_key_is_shared_is_left_out() {
    let mut world = world();
    world.tickets.strangers.insert(key(2_002));
    let sources = [("bob", "127.0.0.1:2001"), ("carol", "127.0.0.1:2003")];
    assert_eq!(world.sources(2_000, "a"), sources.map(|(member, at)| (member.to_owned(), at.to_owned())));
    assert_eq!(world.locate(2_000, "a").members, 2, "members are counted, online or not");
    world.tickets.strangers.extend([key(2_001), key(2_003)]);
    let located = world.locate(2_000, "a");
    assert_eq!((located.members, located.sources.len(), located.next), (2, 0, None));
    world.tickets.strangers.clear();
    assert_eq!(world.locate(2_000, "a").sources.len(), 3);
}

/// BT-2.8-3, BT-2.5-2: whatever stands at their edges.
#[test]
fn pages_of_sources_go_on_behind_those_that_are_left_out() {
    let some: [&[u16]; 5] = [&[], &[3_007], &[3_008], &[3_007, 3_008, 3_009, 3_010], &[3_029]];
    let many = [(3_000..3_009).collect(), (3_004..3_030).collect(), (3_000..3_030).collect()];
    for left_out in some.into_iter().map(<[u16]>::to_vec).chain::<[Vec<u16>; 3]>(many) {
        let mut world = World::new();
        world.log_in(2_000, "alice");
        for device in 3_000..3_030 {
            // Sixteen sessions are the most that one member may have.
            world.log_in(device, if device < 3_015 { "bob" } else { "carol" });
            world.publish(device, &[("a", 1)]);
        }
        world.tickets.strangers.extend(left_out.iter().map(|device| key(*device)));
        let (mut ports, mut after) = (vec![], None);
        loop {
            let Reply::Located(located) = world.ask(2_000, samples::locate("a", after)) else { panic!() };
            ports.extend(located.sources.iter().map(|source| source.address.socket_address().port()));
            after = located.next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<u16> = (3_000..3_030).filter(|device| !left_out.contains(device)).collect();
        assert_eq!(ports, expected, "without {left_out:?}");
    }
}

/// BT-2.8-3, BT-2.8-1: the old program knows nothing of tickets.
#[test]
fn a_legacy_source_has_no_access() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    assert!(world.legacy_log_in("bob", 2_001));
    world.legacy_publish("bob", "a");
    assert_eq!(accesses(&mut world, 2_000, "a"), [None]);
    world.log_in(2_002, "carol");
    world.publish(2_002, &[("a", 1)]);
    let carol = world.access(2_002, 2_000, "a");
    assert_eq!(accesses(&mut world, 2_000, "a"), [None, carol]);
}
