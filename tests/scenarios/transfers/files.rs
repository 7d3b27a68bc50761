//! Files: from one source and from several, by name, by member and by root; and what is never touched.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bittrickle_tests::content::{Content, random_bytes};
use bittrickle_tests::server::Server;
use bittrickle_tests::source::{Act, Source, asks_for};
use bittrickle_tests::wait::wait_until;
use bittrickle_wire::Message;
use bittrickle_wire::messages::Part;

use super::{
    ALICE, BOB, CAROL, DAVE, MIB, SLOW, assert_failed, assert_fetched, peer, root_of, taker, wait_for_part,
};
use crate::programs;

/// BT-3.1-3, BT-3.1-4, BT-3.1-6, BT-3.1-7, BT-3.3-1, BT-3.5-6: its root is what `b3sum` prints.
#[test]
fn files_of_every_kind_of_size_arrive_with_their_bytes_and_their_root() {
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, &[]), taker(&server, BOB));
    for (number, bytes) in
        [0, 1, 65_280, 65_281, MIB - 1, MIB, MIB + 1, 2 * MIB, 5 * MIB + 77].into_iter().enumerate()
    {
        let (name, bytes) = (format!("{bytes} bytes.bin"), random_bytes(bytes, number as u64));
        alice.share(&name, &bytes);
        assert_fetched(&bob, &bob.get(&name), &name, &bytes);
        assert_eq!(fs::metadata(bob.path(&name)).unwrap().mode() & 0o111, 0);
    }
}

/// BT-3.5-4: each of three sends a part of it. None sends a piece before all are asked for some, so that none is too quick.
#[test]
fn a_file_comes_from_three_sources_together() {
    let server = Server::start(&programs());
    let bytes = random_bytes(8 * MIB + 5, 1);
    let content = Content::file(&bytes);
    let asked = Arc::new(AtomicUsize::new(0));
    let sources = [ALICE, CAROL, DAVE].map(|member| {
        let (asked, is_first) = (Arc::clone(&asked), AtomicBool::new(true));
        Source::start(&server, member, "file.bin", &content, move |request, answer| {
            if asks_for(request, Part::PIECES) && is_first.swap(false, Ordering::Relaxed) {
                asked.fetch_add(1, Ordering::Relaxed);
                wait_until("all are asked", || asked.load(Ordering::Relaxed) == 3);
            }
            Act::Send(answer)
        })
    });
    let bob = taker(&server, BOB);
    let ended = bob.get("file.bin");
    assert_fetched(&bob, &ended, "file.bin", &bytes);
    assert_eq!(asked.load(Ordering::Relaxed), sources.len(), "{}", ended.told());
    assert!(!ended.told().contains("does not answer"), "they are asked together: {}", ended.told());
}

/// BT-2.7-6, BT-2.8-1: what counts is the content, not what somebody calls it.
#[test]
fn the_same_content_under_two_names_is_one_swarm() {
    let server = Server::start(&programs());
    let bytes = random_bytes(3 * MIB, 2);
    let (mut alice, mut carol) = (peer(&server, ALICE, &[]), peer(&server, CAROL, &[]));
    alice.share("holiday.mov", &bytes);
    carol.share("IMG_0001.mov", &bytes);
    alice.type_line("xit");
    assert!(alice.wait().status.success());
    let bob = taker(&server, BOB);
    assert_fetched(&bob, &bob.get("holiday.mov"), "holiday.mov", &bytes);
}

/// BT-2.6-7, BT-2.7-3: nobody guesses which one is meant; a member's name or some digits say so.
#[test]
fn two_contents_under_one_name_are_listed_and_nothing_is_fetched() {
    let server = Server::start(&programs());
    let (hers, his) = (random_bytes(MIB + 1, 3), random_bytes(MIB + 2, 4));
    let (mut alice, mut carol) = (peer(&server, ALICE, &[]), peer(&server, CAROL, &[]));
    alice.share("notes.txt", &hers);
    carol.share("notes.txt", &his);
    let bob = taker(&server, BOB);
    let ended = bob.get("notes.txt");
    assert_failed(&bob, &ended, 2);
    assert_eq!(bob.names(), Vec::<String>::new());
    for (bytes, member) in [(&hers, "alice"), (&his, "carol")] {
        let told = ended.told();
        let line = told.lines().find(|line| line.contains(&root_of(bytes)[..12])).expect(&told);
        assert!(line.contains(&format!("1 source ({member})")), "{line}");
    }
    assert_fetched(&bob, &bob.get("notes.txt@alice"), "notes.txt", &hers);
    fs::remove_file(bob.path("notes.txt")).unwrap();
    assert_fetched(&bob, &bob.get(&root_of(&his)[..8]), "notes.txt", &his);
    fs::remove_file(bob.path("notes.txt")).unwrap();
    assert_fetched(&bob, &bob.get(&root_of(&hers)), "notes.txt", &hers);
    fs::remove_file(bob.path("notes.txt")).unwrap();
    for nothing in
        ["notes.txt@dave", "notes.txt@nobody", "notes", "NOTES.TXT", &root_of(&hers)[..7], "00000000"]
    {
        let ended = bob.get(nothing);
        assert_eq!(
            (ended.code(), &ended.stdout[..]),
            (Some(3), &["File not found".to_owned()][..]),
            "{nothing}"
        );
        assert!(ended.told().contains("nobody shares anything of this name"), "{nothing}: {}", ended.told());
    }
    for nonsense in ["../notes.txt", "", "a/b"] {
        assert_failed(&bob, &bob.get(nonsense), 2);
    }
    assert_eq!(bob.names(), Vec::<String>::new());
}

/// A member's name may have the sign in it that stands before it.
#[test]
fn a_member_with_an_at_sign_in_the_name_is_asked_for_by_it() {
    let server = Server::start(&programs());
    server.add_member("eve@example.org");
    let mut eve = peer(&server, ("eve@example.org", "eve@example.org"), &[]);
    eve.share("a@b.txt", b"hers");
    let bob = taker(&server, BOB);
    assert_fetched(&bob, &bob.get("a@b.txt@eve@example.org"), "a@b.txt", b"hers");
}

/// Both have exit code 3, and the words say which it is.
#[test]
fn what_nobody_online_has_is_told_from_what_nobody_shares() {
    let server = Server::start(&programs());
    let mut alice = peer(&server, ALICE, &[]);
    alice.share("notes.txt", b"notes");
    alice.type_line("xit");
    assert!(alice.wait().status.success());
    let ended = taker(&server, BOB).get("notes.txt");
    assert_eq!((ended.code(), &ended.stdout[..]), (Some(3), &["File owner is not active".to_owned()][..]));
    assert!(ended.told().contains("nobody who has it is online now"), "{}", ended.told());
}

/// BT-3.5-5: a connection that was answered isn't one that brought nothing, though an empty file has no piece.
#[test]
fn many_empty_files_and_folders_come_from_one_source() {
    let server = Server::start(&programs());
    let (mut alice, mut bob) = (peer(&server, ALICE, &[]), peer(&server, BOB, &[]));
    fs::create_dir(alice.path("folder")).unwrap();
    for number in 0..4 {
        alice.write(&format!("{number}.txt"), b"");
    }
    alice.write("last.txt", b"last");
    assert_eq!(alice.ask("pub *"), ["Published 5 files and 1 folder."]);
    for name in ["0.txt", "1.txt", "2.txt", "3.txt", "folder", "last.txt"] {
        let told = bob.ask(&format!("get {name}"));
        assert_eq!(told, ["File downloaded successfully."], "{name}: {:?}", bob.stderr());
    }
    assert_eq!(fs::read(bob.path("last.txt")).unwrap(), b"last");
}

/// BT-3.5-5: nor is one that others were quicker than, however often.
#[test]
fn a_source_that_others_were_quicker_than_is_a_source_still() {
    let server = Server::start(&programs());
    let (mut alice, mut bob) = (peer(&server, ALICE, &[]), peer(&server, BOB, &[]));
    // Slow in answering, so that whatever is small has come from the other one by then.
    let slow = Source::log_in(&server, CAROL);
    let wait = |_: &Message, answer| {
        std::thread::sleep(Duration::from_millis(30));
        Act::Send(answer)
    };
    for number in 0..6 {
        let (name, bytes) = (number.to_string(), random_bytes(10, number));
        alice.share(&name, &bytes);
        slow.share(&name, &Content::file(&bytes), wait);
        assert_eq!(bob.ask(&format!("get {name}")), ["File downloaded successfully."], "{:?}", bob.stderr());
    }
    slow.share("hers", &Content::file(b"hers"), wait);
    assert_eq!(bob.ask("get hers"), ["File downloaded successfully."], "{:?}", bob.stderr());
}

/// What was shared in an earlier session is counted, as far as anybody wants to know.
#[test]
fn how_much_an_earlier_session_has_left_is_told() {
    let server = Server::start(&programs());
    let mut alice = peer(&server, ALICE, &[]);
    for number in 0..200 {
        alice.write(&number.to_string(), b"x");
    }
    assert_eq!(alice.ask("pub *"), ["Published 200 files."]);
    alice.kill();
    let bob = taker(&server, BOB);
    wait_until("alice's session is over", || bob.get("7").code() == Some(3));
    let mut alice = alice.kill_and_restart(&programs(), &[]);
    // Said before the first command is done.
    alice.ask("status");
    let told = alice.stderr().join("\n");
    assert!(told.contains("200 files of yours published earlier"), "{told}");
}

/// BT-2.7-5: each condition, and all of them together.
#[test]
fn a_search_takes_conditions() {
    let server = Server::start(&programs());
    let (mut alice, mut carol) = (peer(&server, ALICE, &[]), peer(&server, CAROL, &[]));
    for (name, bytes) in [("disk.iso", 3_000), ("disk.ISO", 700), ("disk.txt", 700), ("iso", 1)] {
        alice.share(name, &random_bytes(bytes, 5));
    }
    carol.share("disk two.iso", &random_bytes(5_000, 6));
    let mut bob = peer(&server, BOB, &[]);
    for (query, expected) in [
        ("sch disk ext:iso", &["disk two.iso", "disk.ISO", "disk.iso"][..]),
        ("sch ext:.Iso", &["disk two.iso", "disk.ISO", "disk.iso"]),
        ("sch disk min:701", &["disk two.iso", "disk.iso"]),
        ("sch max:700", &["disk.ISO", "disk.txt", "iso"]),
        ("sch min:700 max:700", &["disk.ISO", "disk.txt"]),
        ("sch min:3K", &["disk two.iso"]),
        ("sch by:carol", &["disk two.iso"]),
        ("sch disk by:alice ext:iso min:1K max:1M", &["disk.iso"]),
        ("sch two by:alice", &["No matching files found."]),
    ] {
        assert_eq!(bob.ask(query), expected, "{query}");
    }
}

/// BT-3.5-6: whatever is there, and whatever comes to be there meanwhile.
#[test]
fn what_has_the_targets_name_is_never_touched() {
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, SLOW), taker(&server, BOB));
    let bytes = random_bytes(4 * MIB, 7);
    alice.share("file.bin", &bytes);
    let facts = || {
        let metadata = fs::symlink_metadata(bob.path("file.bin")).unwrap();
        (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.mode())
    };
    let put: [(&str, &dyn Fn()); 3] = [
        ("a file", &|| fs::write(bob.path("file.bin"), b"bob's own").unwrap()),
        ("a link to nowhere", &|| symlink("/nowhere/at all", bob.path("file.bin")).unwrap()),
        ("a folder", &|| fs::create_dir(bob.path("file.bin")).unwrap()),
    ];
    for (what, put) in put {
        put();
        let before = facts();
        let ended = bob.get("file.bin");
        assert_eq!(ended.code(), Some(13), "{what}: {}", ended.told());
        assert!(ended.told().contains("never overwritten"), "{what}: {}", ended.told());
        assert_eq!((facts(), bob.names()), (before, vec!["file.bin".to_owned()]), "{what}");
        let _ = fs::remove_file(bob.path("file.bin"));
    }
    fs::remove_dir(bob.path("file.bin")).unwrap();

    let mut get = bob.start("file.bin");
    wait_for_part(&bob, &mut get, MIB);
    fs::write(bob.path("file.bin"), b"written meanwhile").unwrap();
    let before = facts();
    let ended = get.wait();
    assert_eq!(ended.code(), Some(13), "{}", ended.told());
    assert_eq!(facts(), before);
    assert_eq!(bob.left_overs().len(), 2, "what was fetched is kept: {:?}", bob.names());
    fs::remove_file(bob.path("file.bin")).unwrap();
    let again = bob.get("file.bin");
    assert!(again.told().contains("4.0 MiB were here already"), "{}", again.told());
    assert_fetched(&bob, &again, "file.bin", &bytes);
}

/// BT-3.8-1: one wins, and the other one says why it doesn't begin.
#[test]
fn of_two_downloads_of_one_name_at_once_one_is_told_of_the_other() {
    let server = Server::start(&programs());
    let mut alice = peer(&server, ALICE, SLOW);
    let bytes = random_bytes(4 * MIB, 8);
    alice.share("file.bin", &bytes);
    let (bob, carol) = (taker(&server, BOB), taker(&server, CAROL));
    let carol = carol.to(bob.out());
    let mut first = bob.start("file.bin");
    wait_for_part(&bob, &mut first, 1);
    let second = carol.get("file.bin");
    assert_eq!(second.code(), Some(5), "{}", second.told());
    assert!(second.told().contains("another download of it is under way"), "{}", second.told());
    assert_fetched(&bob, &first.wait(), "file.bin", &bytes);

    // Begun at the same moment, over and over: one file, and nobody claims what isn't so.
    for round in 0..5 {
        let name = format!("{round}.bin");
        let bytes = random_bytes(1_000 + round, 9);
        alice.share(&name, &bytes);
        let ended = [bob.start(&name), carol.start(&name)].map(bittrickle_tests::get::Get::wait);
        let codes = ended.each_ref().map(bittrickle_tests::process::Ended::code);
        assert!(codes.contains(&Some(0)), "{codes:?}: {} {}", ended[0].told(), ended[1].told());
        assert!(codes.iter().all(|code| matches!(code, Some(0 | 5 | 13))), "{codes:?}");
        assert!(codes.iter().filter(|code| **code == Some(0)).count() == 1, "{codes:?}");
        assert!(fs::read(bob.path(&name)).unwrap() == bytes);
    }
}
