//! Contents in the index: by name, by root, by what else is asked; and who is downloading them (BT-2.7, BT-2.8, BT-2.12).

use bittrickle_tests::samples;
use bittrickle_wire::messages::{Announce, Filter, Hit, Locate, Reply, Request, Search, Source};
use bittrickle_wire::{Extension, Query, RootPrefix, Target};

use super::World;

impl World {
    fn publish_hashed(&mut self, device: u16, name: &str, bytes: u64, root: u8) {
        let reply = self.ask(device, samples::publish(vec![samples::hashed_offer(name, bytes, root, false)]));
        assert!(matches!(reply, Reply::Published(_)), "{reply:?}");
    }

    fn announce(&mut self, device: u16, roots: &[u8]) {
        let roots = samples::list(roots.iter().map(|root| samples::root(*root)).collect());
        let reply = self.ask(device, Request::Announce(Announce { roots }));
        assert!(matches!(reply, Reply::Announced(_)), "{reply:?}");
    }

    fn filtered(&mut self, device: u16, text: &str, filter: Filter) -> Vec<Hit> {
        let text = Query::new(text).unwrap();
        match self.ask(device, Request::Search(Search { text, filter, after: None })) {
            Reply::Found(found) => found.hits.into_vec(),
            other => panic!("{other:?}"),
        }
    }

    fn swarm(&mut self, device: u16, root: u8) -> (u32, Vec<Source>) {
        let target = Target::Root(samples::root(root));
        match self.ask(device, Request::Locate(Locate { target, after: None })) {
            Reply::Located(located) => (located.members, located.sources.into_vec()),
            other => panic!("{other:?}"),
        }
    }
}

fn names(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.name.as_str()).collect()
}

/// BT-2.7-6, BT-2.8-1, BT-2.12-1, BT-2.12-2: one content is one swarm, whatever it is called, and who downloads it is in it.
#[test]
fn a_content_has_the_sources_of_all_its_names_and_those_who_announce_it() {
    let mut world = World::new();
    for (device, member) in [(2_000, "alice"), (2_001, "bob"), (2_002, "carol"), (2_003, "dave")] {
        world.log_in(device, member);
    }
    world.publish_hashed(2_001, "a.iso", 5, 1);
    world.publish_hashed(2_002, "another-name.iso", 5, 1);
    assert_eq!(world.swarm(2_000, 1).1.len(), 2);
    world.announce(2_003, &[1, 9]);
    let (members, sources) = world.swarm(2_000, 1);
    assert_eq!((members, sources.len()), (2, 3), "to announce is not to publish");
    assert_eq!(sources[2].content.file_bytes, None);
    let hits = world.filtered(2_000, "", Filter::default());
    assert_eq!(names(&hits), ["a.iso", "another-name.iso"]);
    assert!(hits.iter().all(|hit| (hit.members, hit.sources) == (1, 3)), "{hits:?}");
    // It replaces what was announced, can be repeated, and ends with the session.
    world.announce(2_003, &[9]);
    world.announce(2_003, &[9]);
    assert_eq!((world.swarm(2_000, 1).1.len(), world.swarm(2_000, 9)), (2, (0, world.swarm(2_000, 9).1)));
    assert_eq!(world.swarm(2_000, 9).1.len(), 1);
    assert_eq!(world.swarm(2_003, 9).1.len(), 0, "the asker's own member is never among them");
    world.log_out(2_003);
    assert_eq!(world.swarm(2_000, 9), (0, vec![]));
}

/// BT-2.6-7, BT-2.7-3, BT-2.6-4: sessions of one member may offer different contents under one name.
#[test]
fn each_session_offers_its_own_content_under_a_name() {
    let mut world = World::new();
    world.log_in(2_000, "alice");
    world.log_in(2_001, "bob");
    world.log_in(2_002, "bob");
    world.publish_hashed(2_001, "a", 5, 1);
    world.publish_hashed(2_002, "a", 7, 2);
    let hits = world.filtered(2_000, "a", Filter::default());
    let contents: Vec<_> = hits.iter().map(|hit| (hit.content, hit.members, hit.sources)).collect();
    assert_eq!(contents, [(samples::hashed(5, 1), 1, 1), (samples::hashed(7, 2), 1, 1)]);
    world.publish_hashed(2_001, "a", 7, 2);
    let hits = world.filtered(2_000, "a", Filter::default());
    assert_eq!((hits.len(), hits[0].sources), (1, 2));
    assert_eq!(world.swarm(2_000, 1).1.len(), 0, "what it was before is nobody's");
}

/// BT-2.7-5, BT-2.7-7, BT-2.1-9, BT-2.1-10, BT-2.1-12
#[test]
fn a_search_finds_what_satisfies_all_its_conditions() {
    let mut world = World::new();
    for (device, member) in [(2_000, "alice"), (2_001, "bob"), (2_002, "carol")] {
        world.log_in(device, member);
    }
    world.publish_hashed(2_001, "disk.ISO", 700, 0x10);
    world.publish_hashed(2_001, "disk.txt", 7, 0x20);
    world.publish_hashed(2_002, "other disk.iso", 4_000, 0x30);
    world.publish(2_002, &[("hashing.iso", 100)]);
    let extension = |text: &str| Some(Extension::new(text).unwrap());
    let iso = Filter { extension: extension("iso"), ..Filter::default() };
    assert_eq!(names(&world.filtered(2_000, "", iso.clone())), ["disk.ISO", "other disk.iso", "hashing.iso"]);
    let large = Filter { bytes_min: Some(samples::size(701)), ..iso.clone() };
    assert_eq!(names(&world.filtered(2_000, "", large)), ["other disk.iso"]);
    let small = Filter { bytes_max: Some(samples::size(700)), ..iso };
    assert_eq!(names(&world.filtered(2_000, "disk", small)), ["disk.ISO"]);
    let carols = Filter { member: Some(samples::member("carol")), ..Filter::default() };
    assert_eq!(names(&world.filtered(2_000, "", carols.clone())), ["other disk.iso", "hashing.iso"]);
    assert_eq!(names(&world.filtered(2_000, "disk", carols)), ["other disk.iso"]);
    let nobodys = Filter { member: Some(samples::member("nobody")), ..Filter::default() };
    assert_eq!(names(&world.filtered(2_000, "", nobodys)), Vec::<&str>::new());
    let exact = Filter { is_exact: true, ..Filter::default() };
    assert_eq!(names(&world.filtered(2_000, "disk.txt", exact.clone())), ["disk.txt"]);
    assert_eq!(names(&world.filtered(2_000, "disk", exact)), Vec::<&str>::new(), "no part of a name");
    let prefix = Filter { is_prefix: true, ..Filter::default() };
    assert_eq!(names(&world.filtered(2_000, "Disk.", prefix.clone())), ["disk.ISO", "disk.txt"]);
    assert_eq!(names(&world.filtered(2_000, "H", prefix.clone())), ["hashing.iso"]);
    assert_eq!(
        names(&world.filtered(2_000, "isk", prefix)),
        Vec::<&str>::new(),
        "not in the middle of a name"
    );
    for digits in [8, 12, 64] {
        let root = samples::root(0x30).to_string();
        let root_prefix: Option<RootPrefix> = Some(root[..digits].parse().unwrap());
        let by_root = Filter { root_prefix, ..Filter::default() };
        assert_eq!(names(&world.filtered(2_000, "", by_root)), ["other disk.iso"], "{digits} digits");
    }
    world.log_out(2_002);
    let online = Filter { is_online: true, ..Filter::default() };
    assert_eq!(names(&world.filtered(2_000, "", online.clone())), ["disk.ISO", "disk.txt"]);
    world.announce(2_001, &[0x30]);
    assert_eq!(names(&world.filtered(2_000, "other", online)), ["other disk.iso"], "bob is downloading it");
    for wrong in ["1234567", "1234567G", "12345678A", &"a".repeat(65)] {
        assert!(wrong.parse::<RootPrefix>().is_err(), "{wrong}");
    }
    for wrong in ["", ".iso", "a/b", "a.", &"x".repeat(33)] {
        assert!(Extension::new(wrong).is_err(), "{wrong}");
    }
}

/// BT-2.1-11
#[test]
fn a_target_is_a_root_or_a_name() {
    let root = samples::root(0xf0);
    assert_eq!(format!("root:{root}").parse(), Ok(Target::Root(root)));
    assert_eq!("name:a b".parse(), Ok(Target::Name(samples::name("a b"))));
    let capitals = format!("root:{}", root.to_string().to_uppercase());
    for wrong in ["", "a", "name:", "name:../a", "root:", "root:ab", "Root:x", &capitals, &format!("{root}")]
    {
        assert!(wrong.parse::<Target>().is_err(), "{wrong}");
    }
}
