//! What stands on disk under the hidden names of parts and journals, and isn't what a download has left there.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::Path;

use bittrickle_tests::content::{Content, Entry, random_bytes};
use bittrickle_tests::get::Taker;
use bittrickle_tests::server::Server;
use bittrickle_tests::source::{Source, honest};
use rustix::process::Signal;

use super::{
    ALICE, BOB, MIB, SLOW, assert_failed, assert_fetched, peer, taker, tree, wait_for_part, write_tree,
};
use crate::programs;

/// Somebody who isn't the user that runs the tests.
const SOMEBODY: u32 = 54_321;

/// BT-3.4-6, BT-3.8-4: a journal from before the root was known, whose part is gone, stands in the way of nothing.
#[test]
fn what_was_begun_without_a_root_and_has_lost_its_part_begins_anew() {
    let server = Server::start(&programs());
    let bytes = random_bytes(2 * MIB + 7, 1);
    let content = Content::file(&bytes);
    let source = Source::log_in(&server, ALICE);
    source.serve("film.bin", &content, honest);
    source.publish(content.unhashed_offer("film.bin"));
    let bob = taker(&server, BOB);
    let get = bob.start("film.bin");
    get.wait_for_stderr("it is still being hashed by who shares it; waiting for that");
    get.signal(Signal::INT);
    assert_failed(&bob, &get.wait(), 130);
    fs::remove_file(bob.part().unwrap()).unwrap();
    assert_eq!(bob.left_overs().len(), 1, "the journal is there");
    source.publish(content.offer("film.bin"));
    assert_fetched(&bob, &bob.get("film.bin"), "film.bin", &bytes);
}

/// Interrupts a download that has begun, and gives the names of its journal and of its part.
fn interrupted(bob: &Taker, what: &str) -> [String; 2] {
    let mut get = bob.start(what);
    wait_for_part(bob, &mut get, MIB);
    get.signal(Signal::INT);
    assert_failed(bob, &get.wait(), 130);
    bob.left_overs().try_into().expect("both are there")
}

/// The download ends and says why, and has changed nothing.
fn assert_refused(bob: &Taker, what: &str, name: &str) {
    let before = tree(bob.out());
    let ended = bob.get(what);
    assert_eq!(ended.code(), Some(1), "{name}: {}", ended.told());
    let why = format!("{name} is in the folder and was not made by a download of yours; move it away first");
    assert!(ended.told().contains(&why), "{}", ended.told());
    assert!(tree(bob.out()) == before, "{name}");
}

/// Whether it is somebody else's now, which not every user can do.
fn give_away(path: &Path) -> bool {
    match chown(path, Some(SOMEBODY), None) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            println!("files can't be given away here, passed over");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// BT-3.5-6: a part is made anew and for its owner alone. What has another name as well isn't written to under that, and what
/// is somebody else's could be changed again after it was verified.
#[test]
fn what_somebody_has_put_under_a_hidden_name_is_not_written_to() {
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, SLOW), taker(&server, BOB));
    let bytes = random_bytes(4 * MIB, 2);
    alice.share("file.bin", &bytes);
    write_tree(&alice.path("stuff"), &[Entry::Folder("a"), Entry::File("a/b", &bytes)]);
    alice.publish("stuff");

    let aside = bob.path("aside");
    for name in interrupted(&bob, "file.bin") {
        let path = bob.path(&name);
        fs::rename(&path, &aside).unwrap();
        fs::write(bob.path("diary"), "dear diary").unwrap();
        fs::hard_link(bob.path("diary"), &path).unwrap();
        assert_refused(&bob, "file.bin", &name);
        fs::remove_file(bob.path("diary")).unwrap();
        if give_away(&path) {
            assert_refused(&bob, "file.bin", &name);
        }
        fs::rename(&aside, &path).unwrap();
    }
    let ended = bob.get("file.bin");
    assert!(ended.told().contains("were here already"), "{}", ended.told());
    assert_fetched(&bob, &ended, "file.bin", &bytes);
    fs::remove_file(bob.path("file.bin")).unwrap();

    let [_, part] = interrupted(&bob, "stuff");
    if give_away(&bob.path(&part)) {
        assert_refused(&bob, "stuff", &part);
        fs::remove_dir_all(bob.path(&part)).unwrap();
    }
    assert_eq!(bob.get("stuff").code(), Some(0));
}
