//! Pages: complete, without repeats, and each in one datagram, whatever happens in between (BT-2.5).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bittrickle_server::index::Limits;
use bittrickle_tests::samples;
use bittrickle_wire::messages::{Hit, ListFiles, ListPeers, Reply, Request, Source, SourceCursor};
use bittrickle_wire::{Encoding, MemberName};
use proptest::prelude::*;

use super::{World, publish, unpublish};

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::Bincode];

impl World {
    /// Every page of a search; `between` happens before each page but the first.
    fn search_pages(&mut self, device: u16, text: &str, mut between: impl FnMut(&mut Self)) -> Vec<Vec<Hit>> {
        let mut found = self.search(device, text);
        let mut pages = vec![found.hits.to_vec()];
        while let Some(next) = found.next {
            assert!(pages.len() < 2_000, "the pages come to an end");
            between(self);
            found = self.search_after(device, text, Some(next));
            pages.push(found.hits.to_vec());
        }
        pages
    }

    fn locate_pages(
        &mut self,
        device: u16,
        name: &str,
        mut between: impl FnMut(&mut Self),
    ) -> Vec<Vec<Source>> {
        let (mut pages, mut after): (Vec<Vec<Source>>, Option<SourceCursor>) = (vec![], None);
        loop {
            let Reply::Located(located) = self.ask(device, samples::locate(name, after)) else { panic!() };
            assert!(located.sources.len() <= 8);
            pages.push(located.sources.to_vec());
            after = located.next;
            if after.is_none() {
                return pages;
            }
            between(self);
        }
    }

    fn peer_pages(&mut self, device: u16, mut between: impl FnMut(&mut Self)) -> Vec<Vec<String>> {
        let (mut pages, mut after): (_, Option<MemberName>) = (vec![], None);
        loop {
            let Reply::Peers(peers) = self.ask(device, Request::ListPeers(ListPeers { after })) else {
                panic!()
            };
            pages.push(peers.members.iter().map(|entry| entry.name.as_str().to_owned()).collect());
            after = peers.next;
            if after.is_none() {
                return pages;
            }
            between(self);
        }
    }

    fn file_pages(&mut self, device: u16, mut between: impl FnMut(&mut Self)) -> Vec<Vec<String>> {
        let (mut pages, mut after): (_, Option<u32>) = (vec![], None);
        loop {
            let Reply::Files(files) = self.ask(device, Request::ListFiles(ListFiles { after })) else {
                panic!()
            };
            pages.push(files.files.iter().map(|file| file.name.as_str().to_owned()).collect());
            after = files.next;
            if after.is_none() {
                return pages;
            }
            between(self);
        }
    }

    /// Publishes any number of files, a few in each request.
    fn publish_all(&mut self, device: u16, names: &[String]) {
        for names in names.chunks(4) {
            let files: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
            self.publish(device, &files);
        }
    }
}

fn world(encoding: Encoding, names_per_search: usize) -> World {
    let mut world = World::with(Limits { names_per_search, ..Limits::default() });
    world.encoding = encoding;
    world.log_in(2_000, "alice");
    world.log_in(2_001, "bob");
    world
}

/// BT-2.5-1: a page is full of entries or of bytes, and the last one has no `next`.
#[test]
fn a_page_has_at_most_64_entries() {
    for encoding in BOTH {
        for count in [63, 64, 65, 128, 129] {
            let mut world = world(encoding, 100_000);
            world.publish_all(2_001, &(0..count).map(|i| format!("{i:03}")).collect::<Vec<_>>());
            let pages = world.search_pages(2_000, "", |_| ());
            let own = world.file_pages(2_001, |_| ());
            assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), count);
            assert_eq!(own.iter().map(Vec::len).sum::<usize>(), count);
            if encoding == Encoding::Bincode {
                let full = count.div_ceil(64);
                assert_eq!((pages.len(), own.len()), (full, full), "{count} short entries");
                assert_eq!((pages[0].len(), own[0].len()), (count.min(64), count.min(64)));
            }
            assert!(pages.iter().all(|page| !page.is_empty() && page.len() <= 64));
        }
    }
}

/// BT-2.5-1: also with the longest names; that an answer fits is seen to wherever the world is asked.
#[test]
fn every_page_of_the_longest_names_fits_a_datagram() {
    for encoding in BOTH {
        let mut world = world(encoding, 100_000);
        let names: Vec<String> = (0..40).map(|i| format!("{i:02}{}é", "n".repeat(251))).collect();
        let largest = (1 << 53) - 1;
        for name in &names {
            world.publish(2_001, &[(name, largest)]);
        }
        let pages = world.search_pages(2_000, "", |_| ());
        assert_eq!(pages.concat().len(), 40);
        assert!(pages.iter().all(|page| (1..=4).contains(&page.len())));
        assert_eq!(world.file_pages(2_001, |_| ()).concat(), names);
    }
}

/// BT-2.5-1: in JSON, every character of these names needs a backslash.
#[test]
fn every_page_of_the_longest_members_fits_a_datagram() {
    let members: Vec<String> = (0..80).map(|i| format!("{i:02}{}", "\"\\".repeat(31))).collect();
    for encoding in BOTH {
        let mut world = World::new();
        world.encoding = encoding;
        world.log_in(2_000, "alice");
        for (member, device) in members.iter().zip(1..) {
            let from = SocketAddr::new("::1".parse().unwrap(), device);
            world.log_in_from(device, member, from, 65_535);
            world.ask_from(device, from, publish(&[("a", (1 << 53) - 1)]));
        }
        let pages = world.locate_pages(2_000, "a", |_| ());
        let located: Vec<_> = pages.concat().iter().map(|source| source.member.as_str().to_owned()).collect();
        assert_eq!(located, members);
        assert_eq!(world.peer_pages(2_000, |_| ()).concat(), members);
    }
}

/// BT-2.7-4, BT-2.5-1: a page that ends because enough was looked at has a cursor of its own choice, which takes room.
#[test]
fn a_page_that_ends_at_a_long_name_without_a_hit_fits_a_datagram() {
    for encoding in BOTH {
        for (hits, bytes) in
            [(3, 250), (4, 190), (5, 150), (6, 100), (7, 90), (8, 70), (10, 50), (12, 30), (20, 30)]
        {
            let mut world = world(encoding, hits + 1);
            let names: Vec<String> = (0..hits).map(|i| format!("{i:02}{}", "n".repeat(bytes))).collect();
            world.publish_all(2_001, &names);
            world.publish(2_001, &[(&format!("5{}", "x".repeat(254)), 1), ("6", 1)]);
            let found = world.search_pages(2_000, "n", |_| ()).concat();
            assert_eq!(found.len(), hits, "{hits} hits of {bytes} bytes");
        }
    }
}

/// BT-2.5-2
#[test]
fn pages_of_sources_are_complete_while_sessions_come_and_go() {
    for encoding in BOTH {
        let mut world = world(encoding, 100_000);
        let join = |world: &mut World, member: &str, port: u16| {
            world.log_in(port, member);
            world.publish(port, &[("a", 1)]);
        };
        for i in 0..16 {
            join(&mut world, "carol", 3_000 + 10 * i);
            join(&mut world, "dave", 4_000 + 10 * i);
        }
        let mut step = 0;
        let pages = world.locate_pages(2_000, "a", |world| {
            world.log_out(3_000 + 10 * step);
            world.log_out(4_150 - 10 * step);
            join(world, "bob", 5_000 + step);
            join(world, "zoë", 6_000 + step);
            step += 1;
        });
        let listed: Vec<String> = pages.concat().iter().map(|source| format!("{source:?}")).collect();
        assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len(), "nobody twice");
        let stayed = (0..16).map(|i| 3_000 + 10 * i).filter(|port| *port >= 3_000 + 10 * step);
        for port in stayed.chain((0..16 - step).map(|i| 4_000 + 10 * i)) {
            assert!(
                listed.iter().any(|source| source.contains(&format!(":{port}"))),
                "{port} was there all the time"
            );
        }
    }
}

/// BT-2.5-2
#[test]
fn pages_of_lists_are_complete_while_entries_come_and_go() {
    let members: Vec<String> = (0..300).map(|i| format!("member-{i:03}")).collect();
    for encoding in BOTH {
        let mut world = World::new();
        world.encoding = encoding;
        world.log_in(2_000, "alice");
        world.publish_all(2_000, &(0..300).step_by(2).map(|i| format!("{i:03}.txt")).collect::<Vec<_>>());
        for i in (0..300).step_by(2) {
            world.log_in(3_000 + i, &members[usize::from(i)]);
        }
        let mut step = 1;
        let change = |world: &mut World, step: &mut u16| {
            world.log_out(3_000 + 4 * *step);
            world.log_in(3_000 + 8 * *step + 1, &members[usize::from(8 * *step + 1)]);
            world.unpublish(2_000, &[&format!("{:03}.txt", 4 * *step)]);
            world.publish(2_000, &[(&format!("{:03}.txt", 8 * *step + 1), 1)]);
            *step += 1;
        };
        let peers = world.peer_pages(2_000, |world| change(world, &mut step)).concat();
        let files = world.file_pages(2_000, |world| change(world, &mut step)).concat();
        assert!(peers.windows(2).all(|pair| pair[0] < pair[1]), "in order, nothing twice");
        assert_eq!(files.iter().collect::<BTreeSet<_>>().len(), files.len(), "nothing twice");
        for i in (2..300).step_by(4) {
            assert!(
                peers.contains(&members[i]) && files.contains(&format!("{i:03}.txt")),
                "{i} was there all the time"
            );
        }
    }
}

/// One change to the catalogue, between two pages: a name goes or comes, by one of two members, of one of two sizes.
type Change = (usize, bool, bool, u64);

fn name_of(i: usize) -> String {
    let length = [1, 3, 20, 90, 245][i % 5];
    format!("{:03}{}{}", i * 37 % 101, if i.is_multiple_of(3) { " HIT " } else { "." }, "n".repeat(length))
}

fn apply(world: &mut World, change: Change) {
    let (i, by_bob, publishes, size) = change;
    let port = if by_bob { 2_001 } else { 2_002 };
    let name = name_of(i);
    let reply = world.ask(port, if publishes { publish(&[(&name, size)]) } else { unpublish(&[&name]) });
    assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
}

/// What a search should list: each name with its sizes.
fn catalogue(world: &mut World) -> BTreeSet<(String, u64)> {
    let mut all = BTreeMap::new();
    for port in [2_001, 2_002] {
        for i in 0..101 {
            let located = world.locate(2_000, &name_of(i));
            for source in located.sources.iter().filter(|s| s.address.socket_address().port() == port) {
                all.insert((name_of(i), source.content.file_bytes.unwrap().bytes()), ());
            }
        }
    }
    all.into_keys().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// BT-2.5-2, BT-2.7-3, BT-2.7-4
    #[test]
    fn a_search_lists_once_what_was_there_all_the_time(
        text in prop::sample::select(vec!["", "hit", ".n", "nothing"]),
        json in any::<bool>(),
        names_per_search in 2..140_usize,
        first in prop::collection::vec((0..101_usize, any::<bool>(), Just(true), 1..3_u64), 0..120),
        changes in prop::collection::vec((0..101_usize, any::<bool>(), any::<bool>(), 1..3_u64), 0..60),
    ) {
        let mut world = world(if json { Encoding::Json } else { Encoding::Bincode }, names_per_search);
        world.log_in(2_002, "carol");
        first.into_iter().for_each(|change| apply(&mut world, change));
        let mut always = catalogue(&mut world);
        let mut ever = always.clone();
        let mut changes = changes.into_iter();
        let pages = world.search_pages(2_000, text, |world| {
            for change in changes.by_ref().take(3) {
                apply(world, change);
                let now = catalogue(world);
                always.retain(|entry| now.contains(entry));
                ever.extend(now);
            }
        });
        let listed: Vec<(String, u64)> =
            pages.concat().iter().map(|hit| (hit.name.as_str().to_owned(), hit.content.file_bytes.unwrap().bytes())).collect();
        let matches = |entry: &&(String, u64)| entry.0.to_lowercase().contains(text);
        for entry in always.iter().filter(matches) {
            let times = listed.iter().filter(|other| *other == entry).count();
            prop_assert_eq!(times, 1, "{:?} was there all the time", entry);
        }
        for entry in &listed {
            prop_assert!(ever.contains(entry) && matches(&entry), "{:?} was never there", entry);
        }
    }
}
