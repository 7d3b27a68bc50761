//! What changes on its owner's disk while it is fetched: it is fetched as it is then, and what still holds is kept.

use std::fs;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bittrickle_tests::content::{Entry, random_bytes};
use bittrickle_tests::server::Server;
use rustix::process::Signal;

use super::{ALICE, BOB, CAROL, MIB, SLOW, assert_fetched, peer, taker, tree, wait_for_part, write_tree};
use crate::programs;

/// BT-3.7-3, BT-3.7-6, BT-3.8-5: a folder with one file that is appended to all the time.
#[test]
fn a_folder_with_a_file_that_grows_is_fetched_as_it_is_at_some_moment() {
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, &["--limit-rate", "8M"]), taker(&server, BOB));
    let large = random_bytes(8 * MIB, 51);
    let entries =
        [Entry::Folder("logs"), Entry::File("logs/app.log", b"begun\n"), Entry::File("z.bin", &large)];
    write_tree(&alice.path("work"), &entries);
    alice.publish("work");
    let (log, is_over) = (alice.path("work/logs/app.log"), Arc::new(AtomicBool::new(false)));
    let over = Arc::clone(&is_over);
    let appending = std::thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            fs::File::options().append(true).open(&log).unwrap().write_all(b"one more line\n").unwrap();
            std::thread::sleep(Duration::from_millis(1_500));
        }
    });
    let ended = bob.get("work");
    is_over.store(true, Ordering::Relaxed);
    appending.join().unwrap();
    assert_eq!(ended.code(), Some(0), "{}", ended.told());
    assert!(ended.told().contains("the content has changed on disk (logs/app.log)"), "{}", ended.told());
    assert!(ended.told().contains("it has changed meanwhile; fetching it as it is now"), "{}", ended.told());
    alice.wait_for_stderr("work/logs/app.log has changed on disk; it is hashed and published anew");
    assert_eq!(bob.names(), ["work"], "nothing is left of what it was before");
    let fetched = tree(&bob.path("work"));
    assert_eq!(fetched.len(), 3, "{:?}", fetched.keys());
    assert!(fetched["z.bin"].2 == large);
    assert!(fetched["logs/app.log"].2.starts_with(b"begun\none more line\n"));
}

/// BT-3.8-5: what was there of another root of the same name is taken over by the next `get` as well, and nothing else of it
/// stays.
#[test]
fn what_still_holds_of_an_older_root_is_taken_over() {
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, SLOW), taker(&server, BOB));
    let (old, new) = (random_bytes(4 * MIB, 52), random_bytes(5 * MIB, 53));
    let long = [&old[..3 * MIB], &new].concat();
    let before = [
        Entry::File("a.bin", &old),
        Entry::Program("b.sh", b"echo"),
        Entry::Folder("gone"),
        Entry::File("gone/c", b"c"),
        Entry::File("y.bin", &new),
    ];
    let after =
        [Entry::File("a.bin", &old[..4 * MIB - 7]), Entry::File("b.sh", b"echo"), Entry::File("y.bin", &new)];
    let files: [(&str, &[u8], &[u8]); 2] =
        [("longer.bin", &old, &long), ("shorter.bin", &old, &old[..3 * MIB + 1])];
    for (name, before, after) in files {
        alice.share(name, before);
        let mut get = bob.start(name);
        wait_for_part(&bob, &mut get, 2 * MIB);
        get.signal(Signal::INT);
        assert_eq!(get.wait().code(), Some(130));
        alice.share(name, after);
        let ended = bob.get(name);
        assert_fetched(&bob, &ended, name, after);
        assert!(ended.told().contains("MiB were here already"), "{name}: {}", ended.told());
        fs::remove_file(bob.path(name)).unwrap();
    }
    write_tree(&alice.path("folder"), &before);
    alice.publish("folder");
    let mut get = bob.start("folder");
    wait_for_part(&bob, &mut get, 6 * MIB);
    get.signal(Signal::INT);
    assert_eq!(get.wait().code(), Some(130));
    fs::remove_dir_all(alice.path("folder")).unwrap();
    write_tree(&alice.path("folder"), &after);
    alice.publish("folder");
    let ended = bob.get("folder");
    assert_eq!(ended.code(), Some(0), "{}", ended.told());
    assert!(ended.told().contains("MiB were here already"), "{}", ended.told());
    assert_eq!(bob.names(), ["folder"]);
    assert!(tree(&bob.path("folder")) == tree(&alice.path("folder")), "nothing but what is in it now");
}

/// BT-3.8-5: somebody else's content of the same name isn't what it was before.
#[test]
fn what_is_left_of_another_content_of_the_name_stays_as_long_as_that_is_listed() {
    let server = Server::start(&programs());
    let (mut alice, mut carol) = (peer(&server, ALICE, SLOW), peer(&server, CAROL, &[]));
    let (hers, other) = (random_bytes(4 * MIB, 54), random_bytes(MIB, 55));
    alice.share("file.bin", &hers);
    carol.share("file.bin", &other);
    let bob = taker(&server, BOB);
    let mut get = bob.start("file.bin@alice");
    wait_for_part(&bob, &mut get, 2 * MIB);
    get.signal(Signal::INT);
    assert_eq!(get.wait().code(), Some(130));
    assert_eq!(bob.get("file.bin@carol").code(), Some(0));
    assert_eq!(bob.left_overs().len(), 2, "{:?}", bob.names());
    fs::remove_file(bob.path("file.bin")).unwrap();
    let ended = bob.get("file.bin@alice");
    assert_fetched(&bob, &ended, "file.bin", &hers);
    assert!(ended.told().contains("MiB were here already"), "{}", ended.told());
}

/// BT-3.7-6: whoever comes second finds that it isn't shared any more as it was, and goes on with what it is now as well.
#[test]
fn two_takers_of_what_changes_both_get_what_it_is_then() {
    let server = Server::start(&programs());
    let mut alice = peer(&server, ALICE, SLOW);
    let (old, new) = (random_bytes(6 * MIB, 56), random_bytes(3 * MIB, 57));
    alice.share("file.bin", &old);
    let takers = [taker(&server, BOB), taker(&server, CAROL)];
    let mut gets: Vec<_> = takers.iter().map(|taker| taker.start("file.bin")).collect();
    for (taker, get) in takers.iter().zip(&mut gets) {
        wait_for_part(taker, get, MIB);
    }
    alice.write("file.bin", &new);
    for (taker, get) in takers.iter().zip(gets) {
        assert_fetched(taker, &get.wait(), "file.bin", &new);
    }
}
