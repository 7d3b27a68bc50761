//! Folders: what is shared of them, and the trees that come out of it; and manifests that are none (BT-3.6).

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use bittrickle_tests::get::Taker;
use bittrickle_tests::peer::Peer;
use bittrickle_tests::server::Server;
use bittrickle_wire::content::{Manifest, ManifestEntry, ManifestFile};
use bittrickle_wire::{FileBytes, Root};

use crate::programs;

/// BT-3.6-5, BT-3.6-6, BT-3.6-7, BT-3.4-5: empty folders and files, programs, names that differ in case; no links.
#[test]
fn a_folder_comes_as_it_is_without_its_links() {
    let server = Server::start(&programs());
    let mut alice = Peer::start(&programs(), &server, "alice", "wonderland", &[]);
    let tree = alice.path("tree");
    for folder in ["deep/er", "empty", "Case", "case"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    let big: Vec<u8> = (0..2_500_000_u32).map(|i| (i / 3) as u8).collect();
    for (path, bytes) in
        [("deep/er/big", &big[..]), ("zero", b""), (".hidden", b"h"), ("Case/a", b"A"), ("case/a", b"a")]
    {
        fs::write(tree.join(path), bytes).unwrap();
    }
    for number in 0..500 {
        fs::write(tree.join(format!("deep/{number}")), format!("{number}").repeat(number)).unwrap();
    }
    fs::write(tree.join("run.sh"), b"#!/bin/sh\n").unwrap();
    fs::set_permissions(tree.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("/etc/passwd", tree.join("link")).unwrap();
    symlink("..", tree.join("deep/up")).unwrap();
    assert_eq!(alice.ask("pub tree"), ["File published successfully"]);
    alice.wait_for_stderr("left out: link: it is a symbolic link");
    alice.wait_for_stderr("left out: deep/up: it is a symbolic link");
    let taker = Taker::join(&programs(), &server, "bob", "builder");
    let ended = taker.get("tree");
    assert_eq!(ended.code(), Some(0), "{}", ended.told());
    fs::remove_file(tree.join("link")).unwrap();
    fs::remove_file(tree.join("deep/up")).unwrap();
    let same = std::process::Command::new("diff").arg("-r").arg(&tree).arg(taker.path("tree")).status();
    assert!(same.unwrap().success());
    let mode = |name: &str| fs::metadata(taker.path("tree").join(name)).unwrap().permissions().mode();
    assert!(mode("run.sh") & 0o100 != 0 && mode("zero") & 0o111 == 0);
    assert!(taker.path("tree/empty").is_dir());
    assert_eq!(taker.names(), ["tree"], "nothing else is left");
}

fn file(path: &str) -> ManifestEntry<'_> {
    ManifestEntry::File(ManifestFile {
        path,
        is_executable: false,
        file_bytes: FileBytes::new(3).unwrap(),
        root: Root::of(b"abc"),
    })
}

/// BT-3.6-1, BT-3.6-2, BT-3.6-3, BT-3.6-4: as it is spelled in the specification, and in no other way.
#[test]
fn a_manifest_has_one_form() {
    let entries = vec![file("d/b"), ManifestEntry::Folder { path: "d" }, file("d/.a"), file("c")];
    let manifest = Manifest::new(entries).unwrap();
    let mut spelled = b"BTM1".to_vec();
    for (kind, path) in [(1, "c"), (0, "d"), (1, "d/.a"), (1, "d/b")] {
        spelled.push(kind);
        spelled.extend((path.len() as u16).to_be_bytes());
        spelled.extend(path.as_bytes());
        if kind == 1 {
            spelled.extend(3_u64.to_be_bytes());
            spelled.extend(Root::of(b"abc").as_bytes());
        }
    }
    assert_eq!(manifest.as_bytes(), spelled);
    assert_eq!(manifest.root(), Root::of(&spelled));
    for end in (0..spelled.len()).filter(|end| ![4, 48, 52, 99].contains(end)) {
        assert!(Manifest::decode(&spelled[..end]).is_err(), "cut at {end}");
    }
    for wrong in
        ["", ".", "..", "../a", "/a", "a//b", "a/", "a/../b", "a\0", "NUL", "a:b", "e\u{301}", "no/parent"]
    {
        let entry = Manifest::new(vec![ManifestEntry::Folder { path: wrong }]);
        assert!(entry.is_err(), "{wrong:?}");
    }
    assert!(Manifest::new(vec![file("a"), file("a")]).is_err(), "twice the same");
    let deep = vec!["d"; 65].join("/");
    let all: Vec<String> =
        (1..=65).map(|depth| deep.split('/').take(depth).collect::<Vec<_>>().join("/")).collect();
    assert!(Manifest::new(all.iter().map(|path| ManifestEntry::Folder { path }).collect()).is_err());
}

/// BT-3.4-3, BT-3.4-6, BT-3.5-9: a fresh file is listed before it is hashed, can be fetched at once, and becomes final with
/// the root that the index lists; what is being fetched is announced.
#[test]
fn a_fresh_file_is_fetched_before_it_is_hashed() {
    let server = Server::start(&programs());
    let mut alice = Peer::start(&programs(), &server, "alice", "wonderland", &[]);
    // Large enough not to be hashed at once, and nothing on disk.
    fs::File::create(alice.path("fresh")).unwrap().set_len(200 << 20).unwrap();
    let taker = Taker::join(&programs(), &server, "bob", "builder");
    assert_eq!(alice.ask("pub fresh"), ["File published successfully"]);
    let ended = taker.get("fresh");
    assert_eq!(ended.code(), Some(0), "{}", ended.told());
    let hashed = alice.wait_for_stderr("fresh is hashed: ");
    assert!(ended.told().contains(hashed.rsplit(' ').next().unwrap()), "{}", ended.told());
    assert_eq!(fs::metadata(taker.path("fresh")).unwrap().len(), 200 << 20);
    assert_eq!(taker.names(), ["fresh"]);
}

/// BT-4.2-10: the original's clients know no folders.
#[test]
fn a_folder_is_hidden_from_legacy_clients() {
    let server = Server::start(&programs());
    let mut alice = Peer::start(&programs(), &server, "alice", "wonderland", &[]);
    fs::create_dir(alice.path("tree")).unwrap();
    fs::write(alice.path("tree/a"), b"a").unwrap();
    alice.write("tree.txt", b"abc");
    alice.ask("pub tree");
    alice.ask("pub tree.txt");
    let mut bob = Peer::start(&programs(), &server, "bob", "builder", &["--legacy"]);
    assert_eq!(bob.ask("sch tree"), ["tree.txt"]);
    assert_eq!(bob.ask("get tree"), ["File not found"]);
}
