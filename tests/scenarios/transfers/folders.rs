//! Folders: what travels of them, what doesn't, and that each is one download.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use bittrickle_tests::content::{Content, Entry, random_bytes};
use bittrickle_tests::legacy_client::LegacyClient;
use bittrickle_tests::server::Server;

use super::{
    ALICE, BOB, CAROL, DAVE, MIB, SLOW, assert_failed, peer, taker, tree, wait_for_part, write_tree,
};
use crate::programs;

/// A folder with everything that travels, in the order of its manifest.
fn entries<'a>(large: &'a [u8], small: &'a [u8]) -> Vec<Entry<'a>> {
    vec![
        Entry::File(".gitignore", b"target\n"),
        Entry::File("-rf", b"a name, not an option"),
        Entry::File("README", b"upper"),
        Entry::File("Readme", b"mixed"),
        Entry::Folder("a"),
        Entry::Folder("a/b"),
        Entry::Folder("a/b/c"),
        Entry::Folder("a/b/c/d"),
        Entry::File("a/b/c/d/deep.bin", large),
        Entry::Folder("a/empty folder"),
        // By names, not by bytes of the path: the folder's own come before what only begins like it.
        Entry::File("a.txt", small),
        Entry::File("empty file", b""),
        Entry::Program("run.sh", b"#!/bin/sh\n"),
        Entry::File("~backup", small),
        Entry::Folder("ordner"),
        Entry::File("ordner/résumé 日本語.pdf", small),
    ]
}

/// BT-3.6-1, BT-3.6-2, BT-3.6-3, BT-3.6-5, BT-3.6-6: from one source and from three, with the root of a manifest that was
/// written by hand.
#[test]
fn a_folder_arrives_as_it_was_and_its_root_is_that_of_its_manifest() {
    let server = Server::start(&programs());
    let (large, small) = (random_bytes(3 * MIB + 17, 1), random_bytes(1_000, 2));
    let mut entries = entries(&large, &small);
    entries.sort_by_key(|entry| {
        let (Entry::Folder(path) | Entry::File(path, _) | Entry::Program(path, _)) = entry;
        path.split('/').map(str::as_bytes).collect::<Vec<_>>()
    });
    let content = Content::folder(&entries);
    let bob = taker(&server, BOB);
    let mut sources = Vec::new();
    for member in [ALICE, CAROL, DAVE] {
        let mut source = peer(&server, member, &[]);
        write_tree(&source.path("stuff"), &entries);
        source.publish("stuff");
        sources.push(source);
        if sources.len() == 2 {
            continue;
        }
        let ended = bob.get("stuff");
        assert_eq!(ended.code(), Some(0), "{}", ended.told());
        let verified = format!("verified: {}", content.root());
        assert!(ended.told().contains(&verified), "{verified}: {}", ended.told());
        assert!(tree(&bob.path("stuff")) == tree(&sources[0].path("stuff")));
        assert_eq!(bob.names(), ["stuff"]);
        let program = fs::metadata(bob.path("stuff/run.sh")).unwrap();
        let umask = fs::metadata(bob.path("stuff/a")).unwrap().mode() & 0o777 ^ 0o777;
        assert_eq!(program.mode() & 0o7777, 0o777 & !umask, "its owner is who fetched it");
        assert_eq!(fs::metadata(bob.path("stuff/a.txt")).unwrap().mode() & 0o7777, 0o666 & !umask);
        fs::remove_dir_all(bob.path("stuff")).unwrap();
    }
}

/// BT-3.1-4, BT-3.6-5: an empty folder is a content as well, and so is one with nothing but folders and empty files.
#[test]
fn a_folder_without_a_byte_in_it_arrives() {
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, &[]), taker(&server, BOB));
    for (name, entries) in [
        ("nothing", &[][..]),
        ("folders", &[Entry::Folder("a"), Entry::Folder("a/b")]),
        ("empty files", &[Entry::File("a", b""), Entry::File("b", b"")]),
    ] {
        write_tree(&alice.path(name), entries);
        alice.publish(name);
        let ended = bob.get(name);
        assert_eq!(ended.code(), Some(0), "{name}: {}", ended.told());
        assert!(ended.told().contains(&Content::folder(entries).root().to_string()), "{}", ended.told());
        assert!(tree(&bob.path(name)) == tree(&alice.path(name)), "{name}");
        assert_eq!(bob.left_overs(), Vec::<String>::new());
    }
}

/// BT-3.1-4, BT-3.2-3: many pieces a request, each a whole file.
#[test]
fn two_thousand_small_files_arrive() {
    let server = Server::start(&programs());
    let (mut alice, mut carol) = (peer(&server, ALICE, &[]), peer(&server, CAROL, &[]));
    for source in [&mut alice, &mut carol] {
        fs::create_dir(source.path("many")).unwrap();
        for number in 0..2_000_u64 {
            let folder = source.path("many").join(format!("{}", number % 20));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{number}.txt")), random_bytes(number as usize % 300, number))
                .unwrap();
        }
        source.publish("many");
    }
    let bob = taker(&server, BOB);
    let started = std::time::Instant::now();
    let ended = bob.get("many");
    println!("2,000 files: {:?}", started.elapsed());
    assert_eq!(ended.code(), Some(0), "{}", ended.told());
    assert!(tree(&bob.path("many")) == tree(&alice.path("many")));
    assert_eq!(bob.names(), ["many"]);
}

/// BT-3.6-5: nothing that leads somewhere else is followed, and the user hears of each.
#[test]
fn links_and_devices_and_bad_names_are_left_out_with_a_word() {
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, &[]), taker(&server, BOB));
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("secret"), b"not for others").unwrap();
    let top = alice.path("stuff");
    write_tree(&top, &[Entry::Folder("a"), Entry::File("a/kept", b"kept"), Entry::File("b", b"b")]);
    symlink(secret.path(), top.join("a/to a folder")).unwrap();
    symlink(secret.path().join("secret"), top.join("to a file")).unwrap();
    symlink("b", top.join("to a neighbour")).unwrap();
    symlink("/nowhere", top.join("to nothing")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(top.join("a pipe")).status().unwrap().success());
    fs::write(top.join("con.txt"), b"").unwrap();
    fs::write(top.join("evil\u{1b}[2J"), b"").unwrap();
    fs::write(top.join(".bittrickle-0123456789abcdef.part"), b"").unwrap();
    alice.publish("stuff");
    for (path, reason) in [
        ("a/to a folder", "it is a symbolic link"),
        ("to a file", "it is a symbolic link"),
        ("to a neighbour", "it is a symbolic link"),
        ("to nothing", "it is a symbolic link"),
        ("a pipe", "it is neither a file nor a folder"),
        ("con.txt", "its name is not acceptable on every system"),
        ("evil\\u{1b}[2J", "its name is not acceptable on every system"),
        (".bittrickle-0123456789abcdef.part", "it is an unfinished download"),
    ] {
        alice.wait_for_stderr(&format!("left out: {path}: {reason}"));
    }
    let ended = bob.get("stuff");
    assert_eq!(ended.code(), Some(0), "{}", ended.told());
    let names: Vec<String> = tree(&bob.path("stuff")).into_keys().collect();
    assert_eq!(names, ["a", "a/kept", "b"]);

    // The folder itself may not be a link either.
    symlink(secret.path(), alice.path("linked")).unwrap();
    assert!(alice.ask("pub linked").is_empty());
    alice.wait_for_stderr("can't publish linked: it is not a regular file");
}

/// BT-3.5-6, BT-3.5-8, BT-3.6-6: it gets its name as a whole, and nothing that is there is touched.
#[test]
fn a_folder_is_there_as_a_whole_or_not_at_all() {
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, SLOW), taker(&server, BOB));
    let large = random_bytes(4 * MIB, 3);
    write_tree(&alice.path("stuff"), &[Entry::File("a", b"a"), Entry::File("b", &large)]);
    alice.publish("stuff");
    fs::create_dir(bob.path("stuff")).unwrap();
    fs::write(bob.path("stuff/mine"), b"mine").unwrap();
    let ended = bob.get("stuff");
    assert_eq!(ended.code(), Some(13), "{}", ended.told());
    assert_eq!(tree(bob.out()).len(), 2, "{:?}", bob.names());
    fs::remove_dir_all(bob.path("stuff")).unwrap();

    let mut get = bob.start("stuff");
    wait_for_part(&bob, &mut get, 2 * MIB);
    alice.kill();
    let ended = get.wait();
    assert_failed(&bob, &ended, 7);
    let part = fs::metadata(bob.part().unwrap()).unwrap();
    assert_eq!((part.is_dir(), part.mode() & 0o777), (true, 0o700), "nobody else looks into it");

    let mut carol = peer(&server, CAROL, &[]);
    write_tree(&carol.path("stuff"), &[Entry::File("a", b"a"), Entry::File("b", &large)]);
    carol.publish("stuff");
    let ended = bob.get("stuff");
    assert_eq!(ended.code(), Some(0), "{}", ended.told());
    assert!(ended.told().contains("were here already"), "{}", ended.told());
    assert!(tree(&bob.path("stuff")) == tree(&carol.path("stuff")));
    assert_eq!(bob.names(), ["stuff"]);
}

/// BT-4.2-10: the original has no word for it.
#[test]
fn a_folder_is_not_shown_to_the_originals_clients() {
    let server = Server::start(&programs());
    let mut alice = peer(&server, ALICE, &[]);
    write_tree(&alice.path("stuff folder"), &[Entry::File("a", b"a")]);
    alice.publish("stuff folder");
    alice.share("stuff.txt", b"x");
    let folder = tempfile::tempdir().unwrap();
    let bob = LegacyClient::login(server.address(), BOB.0, BOB.1, folder.path()).unwrap();
    assert_eq!(bob.search("stuff"), Ok(vec!["stuff.txt".to_owned()]));
    assert_eq!(bob.get("stuff folder"), Err("File not found".to_owned()));
}
