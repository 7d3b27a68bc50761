//! Recalling and resuming (BT-2.13).

use std::sync::Arc;

use bittrickle_server::index::{Catalogue, Edit, Index};
use bittrickle_tests::samples;
use bittrickle_wire::messages::{
    Choice, Offer, Recall, Recalled, RefusalCode, Reply, Request, Resume, Resumed, offer_digest,
};
use bittrickle_wire::{Content, Encoding, Hex64, MemberName};

use super::{BOOT_ID, World, heartbeat, is_refused, publish};

const ALICE: u16 = 5_001;
const ALICES_OTHER: u16 = 5_002;
const BOB: u16 = 5_003;

impl World {
    fn recall(&mut self, device: u16, rank: u32) -> Recalled {
        match self.ask(device, Request::Recall(Recall { rank })) {
            Reply::Recalled(recalled) => recalled,
            other => panic!("{other:?}"),
        }
    }

    fn resume(&mut self, device: u16, rank: u32, places: &[u32], digest: u64) -> Resumed {
        let chosen: Choice = places.iter().copied().collect();
        match self.ask(device, Request::Resume(Resume { rank, chosen, digest: Hex64(digest) })) {
            Reply::Resumed(resumed) => resumed,
            other => panic!("{other:?}"),
        }
    }

    /// The server is started again, with what it has kept.
    fn restart(&mut self) {
        let kept = self.index.take_edits().into_iter().map(|edit| match edit {
            Edit::Publish { member, name, content } => (member, name, content),
            other => panic!("{other:?}"),
        });
        let kept: Vec<(Arc<MemberName>, _, Content)> = kept.collect();
        self.index = Index::new(self.now, BOOT_ID, super::small_limits());
        self.index.load(Catalogue::of(kept), |_| true);
    }
}

fn digest(files: &[Offer]) -> u64 {
    files.iter().map(offer_digest).fold(0, u64::wrapping_add)
}

/// `a` to `d`, with these sizes.
fn offers(sizes: &[u64]) -> Vec<Offer> {
    let offer = |(name, bytes): (char, &u64)| samples::hashed_offer(&name.to_string(), *bytes, 7, false);
    ('a'..='d').zip(sizes).map(offer).collect()
}

/// BT-2.13-1, BT-2.13-3, BT-2.13-4, BT-2.4-3
#[test]
fn what_was_published_before_a_restart_is_resumed_and_found() {
    let mut world = World::new();
    world.index.note_edits();
    world.log_in(ALICE, "alice");
    let files = offers(&[1, 2, 3]);
    world.ask(ALICE, samples::publish(files.clone()));
    world.restart();
    world.log_in(ALICE, "alice");
    world.log_in(BOB, "bob");
    let Recalled { publications, digests } = world.recall(ALICE, 0);
    assert_eq!(publications, 3);
    assert!(digests.iter().copied().eq(files.iter().map(|file| Hex64(offer_digest(file)))));
    world.index.note_edits();

    for _ in 0..2 {
        let resumed = world.resume(ALICE, 0, &[0, 2], digest(&[files[0].clone(), files[2].clone()]));
        assert_eq!(resumed, Resumed { offered: 2, is_resumed: true });
    }
    assert!(world.index.take_edits().is_empty(), "nothing has to become durable");
    let resumed = world.resume(ALICE, 1, &[0], digest(&files[1..2]));
    assert_eq!(resumed, Resumed { offered: 3, is_resumed: true });
    let heard = world.heartbeat(ALICE);
    assert_eq!((heard.offered, heard.digest), (3, Hex64(digest(&files))));
    let hits: Vec<_> = world.hits(BOB, "").into_iter().map(|(name, _, _, sources)| (name, sources)).collect();
    assert_eq!(hits, [("a".into(), 1), ("b".into(), 1), ("c".into(), 1)]);
}

/// BT-2.13-3: all that is chosen, or nothing.
#[test]
fn what_another_session_has_changed_is_not_resumed() {
    let mut world = World::new();
    let files = offers(&[1, 2, 3]);
    world.log_in(ALICE, "alice");
    world.ask(ALICE, samples::publish(files.clone()));
    world.log_out(ALICE);
    world.log_in(ALICES_OTHER, "alice");
    world.ask(ALICES_OTHER, samples::publish(offers(&[9])));
    world.log_in(ALICE, "alice");
    assert_eq!(world.resume(ALICE, 0, &[0, 1], digest(&files[..2])), nothing(0));
    assert_eq!(world.resume(ALICE, 1, &[0, 1], digest(&files[1..])).offered, 2);

    // What is withdrawn moves those behind it.
    world.unpublish(ALICES_OTHER, &["a"]);
    assert_eq!(world.resume(ALICE, 1, &[0, 1], digest(&files[1..])), nothing(2));
    assert_eq!(world.recall(ALICE, 0).publications, 2);
    assert_eq!(world.heartbeat(ALICE).digest, Hex64(digest(&files[1..])));
}

/// BT-2.13-3, BT-2.6-7: the session's own content under a name gives way, another session's stays.
#[test]
fn what_is_resumed_takes_the_place_of_what_the_session_offered() {
    let mut world = World::new();
    let (old, new) = (offers(&[1]), offers(&[2]));
    for (device, files) in [(ALICE, &old), (ALICES_OTHER, &new)] {
        world.log_in(device, "alice");
        world.ask(device, samples::publish(files.clone()));
    }
    let resumed = world.resume(ALICE, 0, &[0], digest(&new));
    assert_eq!(resumed, Resumed { offered: 1, is_resumed: true });
    for device in [ALICE, ALICES_OTHER] {
        assert_eq!(world.heartbeat(device).digest, Hex64(digest(&new)));
    }
    world.log_in(BOB, "bob");
    let [(name, bytes, members, sources)] = &world.hits(BOB, "a")[..] else { panic!("one content") };
    assert_eq!((name.as_str(), *bytes, *members, *sources), ("a", Some(2), 1, 2));
}

/// BT-2.13-1
#[test]
fn other_members_publications_are_neither_recalled_nor_resumed() {
    let mut world = World::new();
    let files = offers(&[1, 2]);
    world.log_in(ALICE, "alice");
    world.ask(ALICE, samples::publish(files.clone()));
    world.log_in(BOB, "bob");
    assert_eq!(world.recall(BOB, 0), Recalled { publications: 0, digests: samples::list(vec![]) });
    assert_eq!(world.resume(BOB, 0, &[0], digest(&files[..1])), nothing(0));
    world.ask(BOB, samples::publish(files[1..].to_vec()));
    let recalled = world.recall(BOB, 0);
    assert_eq!((recalled.publications, &recalled.digests[..]), (1, &[Hex64(digest(&files[1..]))][..]));
}

/// BT-2.13-1, BT-2.13-3
#[test]
fn beyond_the_last_publication_there_is_nothing() {
    let mut world = World::new();
    let files = offers(&[1, 2]);
    world.log_in(ALICE, "alice");
    world.ask(ALICE, samples::publish(files.clone()));
    world.log_out(ALICE);
    world.log_in(ALICE, "alice");
    for rank in [2, 3, u32::MAX] {
        let recalled = world.recall(ALICE, rank);
        assert_eq!((recalled.publications, recalled.digests.len()), (2, 0));
        assert_eq!(world.resume(ALICE, rank, &[0], digest(&files[..1])), nothing(0));
        assert_eq!(world.resume(ALICE, rank, &[], 0), Resumed { offered: 0, is_resumed: true });
    }
    for place in [1, 2, 127] {
        assert_eq!(world.resume(ALICE, 1, &[0, place], digest(&files[1..])), nothing(0), "{place}");
    }
    let all: Vec<u32> = (0..128).collect();
    assert_eq!(world.resume(ALICE, 0, &all, digest(&files)), nothing(0));
}

/// BT-2.13-1: a page has 128 digests, and in JSON as many as there is room for; with any page size all are seen.
#[test]
fn pages_are_as_long_as_a_datagram_allows() {
    let mut world = World::new();
    world.log_in(ALICE, "alice");
    let files: Vec<Offer> = (0..300).map(|i| samples::offer(&format!("file {i}"), i)).collect();
    for batch in files.chunks(20) {
        world.ask(ALICE, samples::publish(batch.to_vec()));
    }
    for (encoding, longest) in [(Encoding::Bincode, 128), (Encoding::Json, 57)] {
        world.encoding = encoding;
        let mut digests = Vec::new();
        loop {
            let page = world.recall(ALICE, u32::try_from(digests.len()).unwrap());
            assert!(page.digests.len() == longest || digests.len() + page.digests.len() == 300);
            if page.digests.is_empty() {
                break;
            }
            digests.extend(page.digests.into_vec());
        }
        assert!(digests.into_iter().eq(files.iter().map(|file| Hex64(offer_digest(file)))));
    }
    let all: Vec<u32> = (0..128).collect();
    let resumed = world.resume(ALICE, 172, &all, digest(&files[172..]));
    assert_eq!(resumed, Resumed { offered: 300, is_resumed: true });
}

/// BT-2.13-2: a publication of the original's format has no size.
#[test]
fn a_publication_without_a_size_is_never_resumed() {
    let mut world = World::new();
    assert!(world.legacy_log_in("alice", 6_000));
    world.legacy_publish("alice", "a");
    world.log_in(ALICE, "alice");
    let recalled = world.recall(ALICE, 0);
    assert_eq!((recalled.publications, &recalled.digests[..]), (1, &[Recalled::UNSIZED][..]));
    for digest in [0, offer_digest(&samples::offer("a", 0))] {
        assert_eq!(world.resume(ALICE, 0, &[0], digest), nothing(0));
    }
}

/// BT-2.2-4, BT-2.6-8
#[test]
fn nothing_is_recalled_without_a_session_or_before_the_index_has_read_what_it_kept() {
    let mut world = World::new();
    let requests = [
        Request::Recall(Recall { rank: 0 }),
        Request::Resume(Resume { rank: 0, chosen: [].into_iter().collect(), digest: Hex64(0) }),
    ];
    for request in &requests {
        assert!(is_refused(&world.ask(ALICE, request.clone()), RefusalCode::NO_SESSION));
    }
    world.log_in(ALICE, "alice");
    world.index.await_catalogue();
    for request in &requests {
        assert!(is_refused(&world.ask(ALICE, request.clone()), RefusalCode::TOO_FAST));
    }
    world.index.load(Catalogue::of(std::iter::empty()), |_| true);
    // BT-2.13-4: nor do they wait for a disk.
    world.index.refuse_changes(true);
    assert!(is_refused(&world.ask(ALICE, publish(&[("a", 1)])), RefusalCode::BUSY));
    for request in requests {
        assert!(!matches!(world.ask(ALICE, request), Reply::Refused(_)));
    }
    assert!(matches!(world.ask(ALICE, heartbeat()), Reply::HeartbeatReply(_)));
}

fn nothing(offered: u32) -> Resumed {
    Resumed { offered, is_resumed: false }
}
