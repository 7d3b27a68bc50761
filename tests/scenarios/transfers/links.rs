//! Links that somebody puts in the place of what a download writes to: nothing lands outside.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bittrickle_tests::content::{Entry, random_bytes};
use bittrickle_tests::get::names_in;
use bittrickle_tests::peer::Peer;
use bittrickle_tests::server::Server;

use super::{ALICE, BOB, MIB, SLOW, peer, rounds, taker, tree, wait_for_part, write_tree};
use crate::programs;

/// BT-3.6-6, BT-3.5-6: somebody who can write to the target folder puts links in the place of whatever grows there, over and
/// over. Nothing lands outside. `BITTRICKLE_SWAPS` says how many downloads it goes on for: each sees some forty links, and
/// with many more than there are now the peers have to wait for the index (BT-5.3-3).
#[test]
fn links_in_the_place_of_what_grows_lead_nowhere() {
    let rounds = rounds("BITTRICKLE_SWAPS", 300);
    let server = Server::start(&programs());
    let mut alice = peer(&server, ALICE, &[]);
    let (one, two) = (random_bytes(2_000, 9), random_bytes(MIB + 5, 10));
    let entries = [
        Entry::Folder("a"),
        Entry::Folder("a/b"),
        Entry::File("a/b/one", &one),
        Entry::File("a/empty", b""),
        Entry::File("a/two", &two),
        Entry::File("top", &one),
    ];
    write_tree(&alice.path("stuff"), &entries);
    alice.publish("stuff");
    alice.share("file.bin", &two);
    let outside = tempfile::tempdir().unwrap();
    // The same names are there, so that a link is as good as the folder it stands for.
    for name in ["one", "two", "top", "empty"] {
        fs::write(outside.path().join(name), b"outside").unwrap();
    }
    fs::create_dir(outside.path().join("b")).unwrap();
    fs::write(outside.path().join("b/one"), b"outside").unwrap();
    let before = tree(outside.path());
    // The index answers each device so often only; several take turns.
    let counts = std::thread::scope(|scope| {
        // Joined one after the other: passwords that come at once count as tries until they have been checked.
        let takers: Vec<Peer> = (0..TAKERS).map(|_| peer(&server, BOB, &[])).collect();
        let (each, outside) = (rounds.div_ceil(TAKERS), outside.path());
        let run = |taker| scope.spawn(move || swapped_downloads(taker, each, outside));
        let running: Vec<_> = takers.into_iter().map(run).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let (fetched, swaps) = counts.into_iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    println!("{rounds} rounds, {fetched} fetched, {swaps} swaps");
    assert!(fetched > 0 && swaps > u64::from(rounds) / 4, "{fetched} fetched, {swaps} swaps");
    assert!(tree(outside.path()) == before, "{:?}", tree(outside.path()).keys());
}

/// BT-3.5-6: the target folder is the one that was opened, whatever stands under its path by now.
#[test]
fn a_link_in_the_place_of_the_target_folder_leads_nowhere() {
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, SLOW), taker(&server, BOB));
    let bytes = random_bytes(4 * MIB, 11);
    alice.share("file.bin", &bytes);
    write_tree(&alice.path("stuff"), &[Entry::Folder("a"), Entry::File("a/b", &bytes)]);
    alice.publish("stuff");
    let (outside, top) = (tempfile::tempdir().unwrap(), bob.own().to_owned());
    let (out, aside) = (top.join("out"), top.join("aside"));
    fs::create_dir(&out).unwrap();
    let bob = bob.to(&out);
    for name in ["file.bin", "stuff"] {
        let mut get = bob.start(name);
        wait_for_part(&bob, &mut get, MIB);
        fs::rename(&out, &aside).unwrap();
        symlink(outside.path(), &out).unwrap();
        let ended = get.wait();
        fs::remove_file(&out).unwrap();
        fs::rename(&aside, &out).unwrap();
        assert_eq!(ended.code(), Some(0), "{}", ended.told());
        let file = if name == "stuff" { out.join("stuff/a/b") } else { out.join(name) };
        assert!(fs::read(file).unwrap() == bytes, "{name}");
        assert_eq!(names_in(outside.path()), Vec::<String>::new(), "{name}");
    }
}

const TAKERS: u32 = 8;

/// So many downloads of one peer, in a folder where links come and go. How many were fetched, and how many links there were.
fn swapped_downloads(mut bob: Peer, rounds: u32, outside: &Path) -> (u32, u64) {
    let (folder, is_over) = (bob.folder().to_owned(), AtomicBool::new(false));
    let mut fetched = 0;
    std::thread::scope(|scope| {
        let swapping = scope.spawn(|| swap(&is_over, &folder, outside));
        // If a round panics, the other thread has to hear of it.
        let over = OnDrop(&is_over);
        for round in 0..rounds {
            let told = bob.ask(if round % 3 == 0 { "get file.bin" } else { "get stuff" });
            fetched += u32::from(told == ["File downloaded successfully."]);
            clean(&folder);
        }
        drop(over);
        (fetched, swapping.join().unwrap())
    })
}

struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Puts links in the place of parts, journals, and what is in parts, and what was there back. Says how often.
fn swap(is_over: &AtomicBool, folder: &Path, outside: &Path) -> u64 {
    let mut swaps = 0;
    while !is_over.load(Ordering::Relaxed) {
        let ours = names_in(folder).into_iter().filter(|name| name.starts_with(".bittrickle-"));
        let targets: Vec<(PathBuf, PathBuf)> = ours
            .map(|name| folder.join(name))
            .flat_map(|path| {
                let inside = |name: &str| path.join(name);
                vec![
                    (inside("a"), outside.to_owned()),
                    (inside("a/b"), outside.to_owned()),
                    (inside("a/two"), outside.join("two")),
                    (inside("a/empty"), outside.join("empty")),
                    (inside("top"), outside.join("new")),
                    (path.clone(), outside.to_owned()),
                    (path.clone(), outside.join("two")),
                ]
            })
            .collect();
        for (path, target) in targets {
            let aside = folder.join("aside");
            // All of it may be gone, or be there again, at any moment.
            let is_moved = fs::rename(&path, &aside).is_ok();
            if symlink(&target, &path).is_ok() {
                swaps += 1;
                std::thread::sleep(Duration::from_micros(200));
                let _ = fs::remove_file(&path);
            }
            if is_moved {
                let _ = fs::rename(&aside, &path);
            }
        }
    }
    swaps
}

/// Removes everything, as far as it stays in its place.
fn clean(folder: &Path) {
    for name in names_in(folder) {
        let path = folder.join(name);
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        let _ = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

/// Ends a thread that looks at it, however its owner ends.
struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// BT-3.5-6: what gets the final name is what was verified, whatever stands under the hidden one by then.
#[test]
fn a_part_that_somebody_replaces_never_gets_the_final_name() {
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, &[]), taker(&server, BOB));
    let bytes = random_bytes(MIB + 7, 61);
    alice.share("file.bin", &bytes);
    write_tree(&alice.path("folder"), &[Entry::File("a", &bytes), Entry::File("b", b"b")]);
    alice.publish("folder");
    let place = tempfile::tempdir().unwrap();
    let planted = place.path().join("planted");
    fs::write(&planted, "planted").unwrap();
    let (is_over, swaps) = (AtomicBool::new(false), AtomicU32::new(0));
    let mut codes = BTreeMap::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let Some(part) = bob.part() else { continue };
                // As whoever may write to the folder can.
                let aside = place.path().join(swaps.load(Ordering::Relaxed).to_string());
                if fs::rename(&part, &aside).is_ok() && symlink(&planted, &part).is_ok() {
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        // Also when an assertion below fails.
        let _over = SetWhenDropped(&is_over);
        for round in 0..rounds("BITTRICKLE_SWAPS", 60) {
            let name = if round % 2 == 0 { "file.bin" } else { "folder" };
            let ended = bob.get(name);
            *codes.entry(ended.code()).or_insert(0) += 1;
            let file = if name == "folder" { bob.path("folder/a") } else { bob.path(name) };
            if ended.code() == Some(0) {
                let metadata = fs::symlink_metadata(&file).unwrap();
                assert!(metadata.is_file() && fs::read(&file).unwrap() == bytes, "{}", ended.told());
            } else {
                assert!(!ended.told().contains("verified: "), "{}", ended.told());
                assert!(fs::symlink_metadata(bob.path(name)).is_err(), "{}", ended.told());
            }
            for left in bob.names() {
                let path = bob.path(&left);
                let is_folder = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
                // The other one may have moved it away.
                let _ = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            }
        }
    });
    println!("{} swaps, {codes:?}", swaps.load(Ordering::Relaxed));
    assert!(swaps.load(Ordering::Relaxed) > 0);
    assert_eq!(fs::read(&planted).unwrap(), b"planted");
}
