//! A peer that returns, or has been started again, says only what differs (BT-2.13-5).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bittrickle_peer::session::{CallError, Event};
use bittrickle_server::index::{Caller, Catalogue, Edit, Index, Limits};
use bittrickle_tests::samples;
use bittrickle_wire::messages::{
    Heartbeat, Offer, Published, Recalled, RefusalCode, Refused, Reply, Request, Resumed, offer_digest,
};
use bittrickle_wire::seal::PublicKey;
use bittrickle_wire::{Content, Encoding, FileName, Frame, Hex64, Kind, List, MemberName, Message, Received};

use super::{NoTickets, World, ask, index_with};

type Kept = BTreeMap<FileName, Content>;

const ALL_IS_WELL: Option<Reply> = None;

impl World {
    /// A session that offers these, at an index that keeps what is published.
    fn offering(files: &[Offer]) -> Self {
        let mut world = Self::new();
        world.index.note_edits();
        world.settle();
        for batch in files.chunks(10) {
            world.call(samples::publish(batch.to_vec()));
        }
        world.finished.clear();
        world.sent.clear();
        world
    }

    /// The index is started again with what it has kept, as far as `change` lets it.
    fn restart_index(&mut self, change: impl FnOnce(&mut Kept)) {
        let mut kept = Kept::new();
        for edit in self.index.take_edits() {
            match edit {
                Edit::Publish { name, content, .. } => kept.insert(name, content),
                Edit::Withdraw { name, .. } => kept.remove(&name),
                other => panic!("{other:?}"),
            };
        }
        change(&mut kept);
        let alice = Arc::new(samples::member("alice"));
        let kept = kept.into_iter().map(|(name, content)| (Arc::clone(&alice), name, content));
        self.index = Index::new(self.now, Hex64(8), Limits::default());
        self.index.load(Catalogue::of(kept), |_| true);
        self.index.note_edits();
    }

    /// A new handshake, as after every restart; then request after request is answered, by `answer` or by the index. How
    /// many there were of each kind, and how many bytes both ways.
    fn return_to_index(&mut self, answer: impl FnMut(&mut Self, &Request) -> Option<Reply>) -> Said {
        self.sent.clear();
        self.session.channel_renewed(self.now);
        self.answer_each(answer)
    }

    fn answer_each(&mut self, mut answer: impl FnMut(&mut Self, &Request) -> Option<Reply>) -> Said {
        self.connected = false;
        let mut said = Said::default();
        self.settle();
        while !self.sent.is_empty() {
            let (_, frame) = self.sent.remove(0);
            let Message::Request(request) = &frame.message else { panic!("a peer only asks") };
            *said.requests.entry(format!("{:?}", request.kind())).or_default() += 1;
            let reply = answer(self, request);
            let reply =
                reply.unwrap_or_else(|| ask(&mut self.index, self.now, frame.encoding, request.clone()));
            let reply = Frame { message: Message::Reply(reply), ..frame.clone() };
            said.bytes += sealed_bytes(frame) + sealed_bytes(reply.clone());
            self.session.receive(self.now, Received::Frame(reply));
            self.settle();
        }
        self.connected = true;
        said
    }

    fn check_offers(&mut self, files: &[Offer]) {
        let reply = ask(&mut self.index, self.now, Encoding::Bincode, Request::Heartbeat(Heartbeat {}));
        let Reply::HeartbeatReply(reply) = reply else { panic!("{reply:?}") };
        let digest = files.iter().map(offer_digest).fold(0, u64::wrapping_add);
        assert_eq!((reply.offered as usize, reply.digest), (files.len(), Hex64(digest)));
        self.sent.clear();
        self.run(Duration::from_secs(10));
        assert!(self.sent_kinds().iter().all(|kind| kind == "Heartbeat"), "once is enough");
    }
}

#[derive(Debug, Default)]
struct Said {
    requests: BTreeMap<String, usize>,
    bytes: usize,
}

impl Said {
    fn count(&self, kind: Kind) -> usize {
        self.requests.get(&format!("{kind:?}")).copied().unwrap_or(0)
    }

    /// Those that restore what is on offer.
    fn recalls_resumes_and_publishes(&self) -> (usize, usize, usize) {
        (self.count(Kind::Recall), self.count(Kind::Resume), self.count(Kind::Publish))
    }
}

fn sealed_bytes(frame: Frame) -> usize {
    use tokio_util::codec::Encoder as _;
    let mut bytes = bytes::BytesMut::new();
    bittrickle_wire::DatagramCodec.encode(frame, &mut bytes).unwrap();
    bytes.len() + bittrickle_wire::limits::SEAL_BYTES
}

fn files(count: usize) -> Vec<Offer> {
    let name = |number| format!("lecture notes {number:06}.pdf");
    (0..count).map(|i| samples::hashed_offer(&name(i), i as u64, i as u8, false)).collect()
}

/// BT-2.13-5: of a thousand files five have changed or gone; and only these are said in full.
#[test]
fn a_restarted_index_is_told_only_what_differs() {
    let files = files(1_000);
    let mut world = World::offering(&files);
    world.restart_index(Kept::clear);
    let all = world.return_to_index(|_, _| ALL_IS_WELL);
    assert_eq!(all.count(Kind::Recall), 1, "and its answer says that there is nothing");

    let mut world = World::offering(&files);
    world.restart_index(|kept| {
        for i in [0, 127, 500] {
            kept.insert(files[i].name.clone(), samples::hashed(7, 7));
        }
        for i in [128, 999] {
            kept.remove(&files[i].name);
        }
    });
    let said = world.return_to_index(|_, _| ALL_IS_WELL);
    println!("all: {all:?}\ndifferences: {said:?}");
    assert_eq!(said.recalls_resumes_and_publishes(), (8, 8, 1));
    assert!(said.bytes * 5 < all.bytes, "{} bytes, {} in full", said.bytes, all.bytes);
    assert_eq!(world.index.take_edits().len(), 5, "nothing else has to become durable");
    world.check_offers(&files);
    assert_eq!(world.index.publication_count(), 1_000);
    assert!(!world.events.iter().any(|event| matches!(event, Event::NotOffered(..))));
}

/// BT-2.13-5: a heartbeat finds it out as well, and JSON has shorter pages.
#[test]
fn a_heartbeat_that_is_refused_leads_to_the_same_return() {
    let files = files(300);
    let mut world = World::offering(&files);
    world.restart_index(|_| {});
    world.run(Duration::from_secs(3));
    let kinds = world.sent_kinds();
    assert!(kinds.contains(&"Recall".to_owned()) && !kinds.contains(&"Publish".to_owned()), "{kinds:?}");
    assert_eq!(world.events, [Event::LoggedIn, Event::Back]);
    world.check_offers(&files);
}

/// BT-2.13-5
#[test]
fn up_to_64_files_are_published_outright() {
    let files = files(65);
    for (count, recalls) in [(64, 0), (65, 1)] {
        let mut world = World::offering(&files[..count]);
        world.restart_index(|_| {});
        let said = world.return_to_index(|_, _| ALL_IS_WELL);
        assert_eq!(said.count(Kind::Recall), recalls);
        assert_eq!(said.count(Kind::Publish) == 0, recalls > 0);
        world.check_offers(&files[..count]);
    }
}

/// BT-2.13-5, BT-2.13-3: while it returns, another device of the member publishes something else under a name of the page.
#[test]
fn what_changes_meanwhile_is_published() {
    let files = files(300);
    let mut world = World::offering(&files);
    world.restart_index(|_| {});
    let mut has_changed = false;
    let said = world.return_to_index(|world, request| {
        if request.kind() == Kind::Resume && !std::mem::replace(&mut has_changed, true) {
            let changed = samples::hashed_offer(files[3].name.as_str(), 9, 9, false);
            ask_from_another_device(world, samples::login(5_001));
            ask_from_another_device(world, samples::publish(vec![changed]));
        }
        ALL_IS_WELL
    });
    let (recalls, resumes, publishes) = said.recalls_resumes_and_publishes();
    assert_eq!((recalls, resumes), (3, 3));
    assert!((1..=12).contains(&publishes), "one page of files: {said:?}");
    world.check_offers(&files);
}

/// BT-2.13-5: an index that doesn't know these requests, or has no time for them.
#[test]
fn where_recalling_is_refused_everything_is_published() {
    let files = files(200);
    let no = |code| Some(Reply::Refused(Refused::new(code, "no")));
    for code in [RefusalCode::UNKNOWN_KIND, RefusalCode::UNEXPECTED_KIND, RefusalCode::BUSY] {
        for kind in [Kind::Recall, Kind::Resume] {
            let mut world = World::offering(&files);
            world.restart_index(|_| {});
            let said = world
                .return_to_index(|_, request| if request.kind() == kind { no(code) } else { ALL_IS_WELL });
            assert!(said.count(Kind::Publish) > 5, "{said:?}");
            assert_eq!(world.events, [Event::LoggedIn], "nobody is told that anything is refused");
            world.check_offers(&files);
        }
    }
}

/// BT-2.13-5: what other devices have published is no reason to ask for ever, nor is what a liar says.
#[test]
fn no_more_pages_are_asked_for_than_are_worth_it() {
    let files = files(200);
    for (publications, recalls) in [(0, 1), (1_600, 13), (1_800, 1), (u32::MAX, 1)] {
        let mut world = World::offering(&files);
        world.restart_index(|_| {});
        let digests: List<_, 128> = List::new((1..=128).map(Hex64).collect()).unwrap();
        let lie = |request: &Request| match request {
            Request::Recall(_) => Some(Reply::Recalled(Recalled { publications, digests: digests.clone() })),
            Request::Resume(_) => Some(Reply::Resumed(Resumed { offered: 0, is_resumed: true })),
            _ => None,
        };
        let said = world.return_to_index(|_, request| lie(request));
        assert_eq!(said.count(Kind::Recall), recalls, "{publications}");
        world.check_offers(&files);
    }
}

/// BT-2.13-5: what the user does meanwhile counts.
#[test]
fn what_is_taken_back_or_changed_during_the_return_stays_so() {
    let files = files(300);
    let mut world = World::offering(&files);
    world.restart_index(|_| {});
    let changed = samples::hashed_offer(files[5].name.as_str(), 9, 9, false);
    let mut is_first = true;
    world.return_to_index(|world, request| {
        if request.kind() == Kind::Recall && std::mem::take(&mut is_first) {
            world.session.call(world.now, samples::unpublish(vec![files[299].name.clone()]));
            world.session.call(world.now, samples::publish(vec![changed.clone()]));
        }
        ALL_IS_WELL
    });
    let mut expected = files[..299].to_vec();
    expected[5] = changed;
    world.check_offers(&expected);
}

/// BT-2.13-5: a peer that has been started again offers many files at once.
#[test]
fn many_files_of_a_restarted_peer_are_resumed() {
    let files = files(1_000);
    let mut first = World::offering(&files[..990]);
    first.restart_index(|_| {});
    let mut world = World::new();
    world.index = first.index;
    world.settle();
    world.sent.clear();
    world.session.offer(world.now, &files);
    assert!(world.finished.is_empty());
    let said = world.answer_each(|_, _| ALL_IS_WELL);
    assert_eq!(said.recalls_resumes_and_publishes(), (8, 8, 1));
    assert_eq!(world.finished, [Ok(Reply::Published(Published { offered: 1_000 }))]);
    world.check_offers(&files);
}

/// BT-2.13-5, BT-2.6-8: several requests are under way at once, and the answer is there with the last of theirs.
#[test]
fn many_files_are_offered_in_batches_before_and_after_the_login() {
    let files = files(500);
    let mut world = World::without_channel();
    world.session.offer(world.now, &files[..200]);
    world.session.begin(world.now);
    world.session.offer(world.now, &files[200..300]);
    world.answer_each(|_, _| ALL_IS_WELL);
    assert_eq!(world.finished.len(), 2);
    world.session.offer(world.now, &files[300..]);
    world.session.offer(world.now, &[]);
    world.connected = false;
    let mut under_way = 0;
    world.answer_each(|world, request| {
        if matches!(request, Request::Publish(_)) {
            under_way = under_way.max(1 + world.sent.len());
        }
        ALL_IS_WELL
    });
    assert_eq!(under_way, 8);
    let offered = |result: &Result<Reply, CallError>| matches!(result, Ok(Reply::Published(_)));
    assert!(world.finished.len() == 4 && world.finished.iter().all(offered), "{:?}", world.finished);
    world.check_offers(&files);
    world.session.offer(world.now, &[]);
    world.settle();
    assert_eq!(world.finished.len(), 5, "nothing is offered at once");
}

/// BT-2.13-5, BT-2.4-3
#[test]
fn of_many_files_what_is_refused_is_told_and_what_has_no_answer_is_offered_later() {
    let files = files(200);
    let mut world = World::new();
    world.index = index_with(Limits { publications_per_member: 150, ..Limits::default() });
    world.settle();
    world.session.offer(world.now, &files);
    world.run(Duration::from_secs(3));
    assert_eq!(world.finished.len(), 1);
    assert!(world.events.iter().any(|event| matches!(event, Event::NotOffered(..))), "{:?}", world.events);

    // Nobody is kept waiting for a disk, and nothing is forgotten.
    let mut world = World::new();
    world.settle();
    world.index.refuse_changes(true);
    world.session.offer(world.now, &files);
    world.settle();
    assert!(matches!(&world.finished[..], [Err(CallError::Refused(_))]), "{:?}", world.finished);
    world.index.refuse_changes(false);
    world.run(Duration::from_secs(10));
    world.check_offers(&files);

    let mut world = World::new();
    world.settle();
    world.connected = false;
    world.session.offer(world.now, &files);
    world.run(Duration::from_secs(60));
    assert_eq!(world.finished, [Err(CallError::NoAnswer)]);
    world.connected = true;
    world.run(Duration::from_secs(60));
    world.check_offers(&files);
}

fn ask_from_another_device(world: &mut World, request: Request) {
    let member = Arc::new(MemberName::new("alice").unwrap());
    let (device, address) = (PublicKey::from_bytes([2; 32]), "127.0.0.2:40001".parse().unwrap());
    let caller = Caller { member: &member, device, address };
    let reply = world.index.handle(world.now, caller, Encoding::Bincode, request, &NoTickets);
    assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
}
