//! While a content is being hashed: it can be fetched already, is final only with its root, and its hash is kept.

use std::fs;
use std::time::{Duration, SystemTime};

use bittrickle_tests::client::Client;
use bittrickle_tests::content::{Content, Entry, PIECE, random_bytes};
use bittrickle_tests::peer::Peer;
use bittrickle_tests::server::Server;
use bittrickle_tests::source::{Act, Source, asks_for, honest};
use bittrickle_tests::wait::wait_for;
use bittrickle_wire::messages::{Fetch, Filter, Hit, Part, Reply, Request, Search};
use bittrickle_wire::{Encoding, Message, Query};
use rustix::process::Signal;

use super::{
    ALICE, BOB, CAROL, MIB, assert_failed, assert_fetched, peer, root_of, taker, tree, wait_for_part,
};
use crate::programs;

fn sparse(peer: &Peer, name: &str, bytes: u64) -> fs::File {
    let file = fs::File::create(peer.path(name)).unwrap();
    file.set_len(bytes).unwrap();
    file
}

/// BT-3.4-3, BT-3.4-4: there is no need to wait for the hash of what one wants to have.
#[test]
fn a_large_file_can_be_fetched_from_before_it_is_hashed() {
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, &["--limit-rate", "8M"]), taker(&server, BOB));
    sparse(&alice, "fresh.img", 3 << 30);
    alice.publish("fresh.img");
    let mut get = bob.start("fresh.img");
    wait_for_part(&bob, &mut get, 1);
    let is_hashed = alice.stderr().iter().any(|line| line.contains("is hashed"));
    assert!(!is_hashed, "hashing 3 GiB takes longer than a process needs to begin: {:?}", alice.stderr());
    get.signal(Signal::INT);
    assert_failed(&bob, &get.wait(), 130);
}

/// A source that has published this without a root, and a download of it that waits for one with all its bytes here.
fn fetched_without_a_root(server: &Server, name: &str, content: &Content, bytes: usize) -> Waiting {
    let source = Source::log_in(server, ALICE);
    source.serve(name, content, honest);
    source.publish(content.unhashed_offer(name));
    let bob = taker(server, BOB);
    let mut get = bob.start(name);
    wait_for_part(&bob, &mut get, bytes);
    get.wait_for_stderr("it is still being hashed by who shares it; waiting for that");
    assert_eq!(bob.names(), bob.left_overs(), "nothing has the name before its root is known");
    Waiting { source, bob, get }
}

struct Waiting {
    source: Source,
    bob: super::Taker,
    get: super::Get,
}

/// Which pieces of this it was asked for by its root.
fn asked_pieces(source: &Source, name: &str) -> Vec<u32> {
    let pieces = |message: &Message| match message {
        Message::Fetch(Fetch { part: Part::PIECES, first, count }) => *first..*first + *count,
        _ => 0..0,
    };
    source.asked(name).iter().flat_map(pieces).collect()
}

/// BT-3.4-4, BT-3.4-6: what was fetched by name becomes final with the root, and isn't fetched again.
#[test]
fn what_is_fetched_before_its_root_is_known_waits_for_it() {
    let server = Server::start(&programs());
    for (name, bytes) in [("film.bin", 3 * MIB + 7), ("short.bin", 1_000)] {
        let bytes = random_bytes(bytes, 1);
        let content = Content::file(&bytes);
        let waiting = fetched_without_a_root(&server, name, &content, bytes.len());
        // Served anew, what it was asked for until now is forgotten.
        waiting.source.serve(name, &content, honest);
        waiting.source.publish(content.offer(name));
        assert_fetched(&waiting.bob, &waiting.get.wait(), name, &bytes);
        assert_eq!(asked_pieces(&waiting.source, name), Vec::<u32>::new(), "all of it was here");
    }
}

/// BT-3.4-6: bytes and values that go together, and not with the root that is published at last: what differs is fetched anew.
#[test]
fn what_was_fetched_without_a_root_and_is_wrong_is_fetched_again() {
    let server = Server::start(&programs());
    let right = random_bytes(4 * MIB + 7, 2);
    let mut wrong = right.clone();
    wrong[PIECE + 5] ^= 1;
    wrong[3 * PIECE + 5] ^= 1;
    let (right, wrong_content) = (right, Content::file(&wrong));
    let waiting = fetched_without_a_root(&server, "film.bin", &wrong_content, right.len());
    let content = Content::file(&right);
    waiting.source.serve("film.bin", &content, honest);
    waiting.source.publish(content.offer("film.bin"));
    assert_fetched(&waiting.bob, &waiting.get.wait(), "film.bin", &right);
    assert_eq!(asked_pieces(&waiting.source, "film.bin"), [1, 3]);
}

/// BT-3.4-4, BT-3.4-6, BT-3.5-3: without a root, a piece has to go with its value all the same.
#[test]
fn a_piece_that_does_not_go_with_its_value_is_thrown_away() {
    let server = Server::start(&programs());
    let bytes = random_bytes(2 * MIB, 3);
    let content = Content::file(&bytes);
    let liar = Source::log_in(&server, ALICE);
    liar.serve("film.bin", &content, |request, answer| {
        let zeros = |message: &Message| match message {
            Message::Data(bytes) => Message::Data(vec![0; bytes.len()].into()),
            other => other.clone(),
        };
        Act::Send(if asks_for(request, Part::PIECES) { answer.iter().map(zeros).collect() } else { answer })
    });
    liar.publish(content.unhashed_offer("film.bin"));
    let bob = taker(&server, BOB);
    let get = bob.start("film.bin");
    get.wait_for_stderr("it sends wrong bytes for piece 0; it is not asked again");
    assert_eq!(bob.part_bytes(), 0);
    get.signal(Signal::INT);
    assert_failed(&bob, &get.wait(), 130);
}

/// BT-3.4-5, BT-3.4-6: what is in a folder isn't known before its root is.
#[test]
fn a_folder_that_is_being_hashed_is_waited_for() {
    let server = Server::start(&programs());
    let content = Content::folder(&[Entry::File("a", b"hello"), Entry::Folder("b")]);
    let source = Source::log_in(&server, ALICE);
    source.serve("stuff", &content, honest);
    source.publish(content.unhashed_offer("stuff"));
    let bob = taker(&server, BOB);
    let get = bob.start("stuff");
    get.wait_for_stderr("it is still being hashed");
    assert_eq!(source.connections("stuff"), 0);
    source.publish(content.offer("stuff"));
    let ended = get.wait();
    assert_eq!(ended.code(), Some(0), "{}", ended.told());
    assert_eq!(tree(bob.out()).keys().collect::<Vec<_>>(), ["stuff", "stuff/a", "stuff/b"]);
}

/// BT-3.5-5, BT-3.5-8: who says that it hashes, and brings nothing, isn't waited for.
#[test]
fn a_source_without_a_root_that_brings_nothing_is_given_up() {
    let server = Server::start(&programs());
    let content = Content::file(&random_bytes(1_000, 5));
    let source = Source::log_in(&server, ALICE);
    source.serve("film.bin", &content, |_, _| Act::Close(Vec::new()));
    source.publish(content.unhashed_offer("film.bin"));
    let bob = taker(&server, BOB);
    let mut get = bob.start("film.bin");
    wait_for("the download ends", Duration::from_secs(40), || get.is_over().then_some(()));
    assert_failed(&bob, &get.wait(), 7);
    assert_eq!(source.connections("film.bin"), 3);
}

/// What the index lists under this name.
fn hits(client: &mut Client, name: &str) -> Vec<Hit> {
    let filter = Filter { is_exact: true, ..Filter::default() };
    let search = Search { text: Query::new(name).unwrap(), filter, after: None };
    match client.ask(Encoding::Bincode, Request::Search(search)) {
        Reply::Found(found) => found.hits.into_vec(),
        other => panic!("{other:?}"),
    }
}

/// BT-3.7-2, BT-3.7-3: what was hashed once is known when the program starts again, unless the file is another one by then.
#[test]
fn hashes_outlive_the_program() {
    let server = Server::start(&programs());
    let mut alice = peer(&server, ALICE, &[]);
    let file = sparse(&alice, "large.img", 200 << 20);
    // A while ago: what has just been written is hashed again by the next run.
    file.set_modified(SystemTime::now() - Duration::from_secs(3_600)).unwrap();
    alice.publish("large.img");
    let told = alice.wait_for_stderr("large.img is hashed: ");
    let root = told.rsplit(' ').next().unwrap().to_owned();
    assert_eq!(root, root_of(&vec![0; 200 << 20]));
    assert!(alice.state_dir().join("hashes.redb").exists());

    let mut alice = alice.kill_and_restart(&programs(), &[]);
    alice.publish("large.img");
    let mut carol = Client::log_in(&server, CAROL.0, CAROL.1, 40_000);
    let listed = hits(&mut carol, "large.img");
    let roots: Vec<_> = listed.iter().map(|hit| hit.content.root.map(|root| root.to_string())).collect();
    assert_eq!(roots, [Some(root.clone())], "it is listed with its root at once");
    assert!(!alice.stderr().iter().any(|line| line.contains("hash")), "{:?}", alice.stderr());

    // With another byte in it, it is another file; and a cache that is damaged is only a cache.
    std::os::unix::fs::FileExt::write_all_at(&file, b"!", 77).unwrap();
    let mut alice = alice.kill_and_restart(&programs(), &[]);
    alice.publish("large.img");
    let told = alice.wait_for_stderr("large.img is hashed: ");
    assert!(!told.contains(&root), "{told}");
    alice.kill();
    fs::write(alice.state_dir().join("hashes.redb"), random_bytes(100_000, 4)).unwrap();
    let mut alice = alice.kill_and_restart(&programs(), &[]);
    alice.publish("large.img");
    assert_eq!(alice.wait_for_stderr("large.img is hashed: "), told);
}
