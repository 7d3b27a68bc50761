//! What happens to disks and files while a transfer goes on: full, read-only, changed, and full of other people's files.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use bittrickle_tests::content::{Entry, random_bytes};
use bittrickle_tests::get::Taker;
use bittrickle_tests::peer::Peer;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::wait_until;
use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    ALICE, BOB, MIB, SLOW, assert_failed, assert_fetched, peer, root_of, taker, tree, wait_for_part,
    write_tree,
};
use crate::programs;

/// What is done to a file, and what that is called.
type Change<'a> = (&'a str, &'a dyn Fn(&Path));

/// A small disk in memory.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, and why, where it can't be mounted.
    fn mount(mib: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={mib}m");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path());
        match command.output() {
            Ok(output) if output.status.success() => Some(Self(folder)),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                println!("no file system can be mounted here, passed over: {why}");
                None
            }
            Err(error) => {
                println!("there is no `mount` here, passed over: {error}");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.path()).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Not in use any more; if it is, it goes when it isn't.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// What mounts a folder on another one, or an image, as somebody else's.
type Mount = (&'static str, fn(&Path, &Path) -> Command);

/// BT-3.5-6: file systems that keep no modes and no owners, as on many a USB stick, and under FUSE.
#[test]
fn a_file_system_that_keeps_no_modes_takes_downloads_all_the_same() {
    let server = Server::start(&programs());
    let mut alice = peer(&server, ALICE, &[]);
    let bytes = random_bytes(2 * MIB + 3, 9);
    alice.share("file.bin", &bytes);
    write_tree(&alice.path("folder"), &[Entry::File("a", b"a"), Entry::Program("b", b"b")]);
    alice.publish("folder");
    let mounts: [Mount; 2] = [
        ("bindfs", |place, mount| {
            let mut command = Command::new("bindfs");
            let options = ["--chmod-deny", "--chown-deny", "--force-user=1234"];
            command.args(options).arg(place.join("source")).arg(mount);
            command
        }),
        ("ntfs-3g", |place, mount| {
            let mut command = Command::new("ntfs-3g");
            command.args(["-o", "uid=0,umask=000"]).arg(place.join("image")).arg(mount);
            command
        }),
    ];
    for (what, mount) in mounts {
        let (place, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(place.path().join("source")).unwrap();
        fs::File::create(place.path().join("image")).unwrap().set_len(64 << 20).unwrap();
        // Where there is no such file system, mounting fails as well.
        let _ = Command::new("mkfs.ntfs").args(["-F", "-Q"]).arg(place.path().join("image")).output();
        match mount(place.path(), folder.path()).output() {
            Ok(output) if output.status.success() => {}
            failed => {
                let is_required = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty());
                assert!(!is_required, "{what} can't be mounted: {failed:?}");
                println!("{what} can't be mounted here, passed over: {failed:?}");
                continue;
            }
        }
        let mounted = SmallDisk(folder);
        let bob = taker(&server, BOB).to(mounted.path());
        assert_fetched(&bob, &bob.get("file.bin"), "file.bin", &bytes);
        let ended = bob.get("folder");
        assert_eq!(ended.code(), Some(0), "{what}: {}", ended.told());
        assert_eq!(fs::read(bob.path("folder/b")).unwrap(), b"b", "{what}");
        assert_eq!(bob.left_overs(), Vec::<String>::new(), "{what}");
    }
}

/// BT-3.5-1, BT-3.5-8: what has no room isn't begun, and what has no room any more is gone on with once there is some.
#[test]
fn a_full_disk_keeps_what_is_here_until_there_is_room() {
    let Some(disk) = SmallDisk::mount(8) else { return };
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, SLOW), taker(&server, BOB).to(disk.path()));
    let (bytes, huge) = (random_bytes(6 * MIB, 1), random_bytes(9 * MIB, 2));
    alice.share("file.bin", &bytes);
    alice.share("huge.bin", &huge);
    write_tree(&alice.path("folder"), &[Entry::File("a", b"a"), Entry::File("b", &bytes)]);
    alice.publish("folder");
    let filler = disk.path().join("filler");
    let fill = |mib: usize| {
        let mut file = fs::File::create(&filler).unwrap();
        // As much of it as there is room for.
        (0..mib).all(|_| file.write_all(&[1; MIB]).is_ok());
    };
    assert_failed(&bob, &bob.get("huge.bin"), 9);
    fill(4);
    let ended = bob.get("file.bin");
    assert_eq!(ended.code(), Some(9), "{}", ended.told());
    assert!(ended.told().contains("make room, and the same `get` goes on"), "{}", ended.told());
    assert_eq!(bob.part_bytes(), 0, "nothing is fetched for which there is no room");
    fs::remove_file(&filler).unwrap();
    for name in ["file.bin", "folder"] {
        let mut get = bob.start(name);
        wait_for_part(&bob, &mut get, 2 * MIB);
        fill(8);
        let ended = get.wait();
        assert_eq!(ended.code(), Some(9), "{name}: {}", ended.told());
        assert!(ended.told().contains("make room, and the same `get` goes on"), "{}", ended.told());
        assert!(!bob.names().contains(&name.to_owned()), "{name}");
        assert_eq!(bob.left_overs().len(), 2, "{name}: {:?}", bob.names());
        fs::remove_file(&filler).unwrap();
        let ended = bob.get(name);
        assert_eq!(ended.code(), Some(0), "{name}: {}", ended.told());
        assert!(ended.told().contains("were here already"), "{name}: {}", ended.told());
        let file = if name == "folder" { bob.path("folder/b") } else { bob.path(name) };
        assert!(fs::read(file).unwrap() == bytes, "{name}");
        assert_eq!(bob.names(), [name]);
        let _ = (fs::remove_file(bob.path(name)), fs::remove_dir_all(bob.path(name)));
    }
}

/// BT-3.5-8
#[test]
fn a_disk_that_can_only_be_read_takes_nothing_and_the_exit_code_says_so() {
    let Some(disk) = SmallDisk::mount(8) else { return };
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, SLOW), taker(&server, BOB).to(disk.path()));
    let bytes = random_bytes(4 * MIB, 3);
    alice.share("file.bin", &bytes);
    disk.remount("ro");
    let ended = bob.get("file.bin");
    assert_failed(&bob, &ended, 9);
    assert!(ended.told().contains("or fetch to another one"), "room isn't what is missing: {}", ended.told());
    disk.remount("rw");
    let mut get = bob.start("file.bin");
    wait_for_part(&bob, &mut get, 2 * MIB);
    get.signal(Signal::INT);
    assert_eq!(get.wait().code(), Some(130));
    disk.remount("ro");
    let ended = bob.get("file.bin");
    assert_eq!((ended.code(), bob.left_overs().len()), (Some(9), 2), "{}", ended.told());
    disk.remount("rw");
    assert_fetched(&bob, &bob.get("file.bin"), "file.bin", &bytes);
}

/// Bob's download of a file to which this happens while it is served.
fn serve_and_change(alice: &mut Peer, bob: &Taker, bytes: &[u8], change: impl FnOnce(&Path)) -> Option<i32> {
    alice.share("file.bin", bytes);
    let mut get = bob.start("file.bin");
    wait_for_part(bob, &mut get, 2 * MIB);
    change(&alice.path("file.bin"));
    let ended = get.wait();
    assert!(ended.told().contains("the content has changed on disk"), "{}", ended.told());
    ended.code()
}

/// BT-3.3-4, BT-3.7-2, BT-3.7-3: bytes that aren't those of the root are never sent, nor taken; and the new ones are published.
#[test]
fn a_file_that_changes_while_it_is_served_is_never_fetched_half_old_and_half_new() {
    let server = Server::start(&programs());
    let mut alice = peer(&server, ALICE, SLOW);
    let (old, new) = (random_bytes(6 * MIB, 4), random_bytes(5 * MIB, 5));
    let changes: [Change<'_>; 4] = [
        ("written to", &|path| {
            fs::File::options().write(true).open(path).unwrap().write_all_at(b"!", 5 * MIB as u64).unwrap();
        }),
        ("cut", &|path| fs::File::options().write(true).open(path).unwrap().set_len(MIB as u64).unwrap()),
        ("longer", &|path| {
            fs::File::options().append(true).open(path).unwrap().write_all(b"more").unwrap();
        }),
        ("another file", &|path| {
            let beside = path.with_extension("new");
            fs::write(&beside, &new).unwrap();
            fs::rename(&beside, path).unwrap();
        }),
    ];
    for (what, change) in changes {
        let bob = taker(&server, BOB);
        let before = alice.stderr().len();
        // It is fetched as it is then.
        assert_eq!(serve_and_change(&mut alice, &bob, &old, change), Some(0), "{what}");
        let now = fs::read(alice.path("file.bin")).unwrap();
        let told = format!("file.bin is hashed: {}", root_of(&now));
        wait_until("it is published anew", || alice.stderr()[before..].contains(&told));
        assert!(fs::read(bob.path("file.bin")).unwrap() == now, "{what}");
        assert_eq!(bob.names(), ["file.bin"], "{what}");
    }
}

/// BT-3.7-2, BT-3.7-3: its times are another matter: it is hashed again, has its old root, and is gone on with.
#[test]
fn a_file_that_is_only_touched_while_it_is_served_is_gone_on_with() {
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, SLOW), taker(&server, BOB));
    let bytes = random_bytes(6 * MIB, 6);
    let code = serve_and_change(&mut alice, &bob, &bytes, |path| {
        fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    });
    assert_eq!(code, Some(0));
    assert!(fs::read(bob.path("file.bin")).unwrap() == bytes);
}

/// BT-3.7-2, BT-3.3-4: a file that is gone is not shared any more, and a link in its place isn't followed.
#[test]
fn a_file_that_goes_while_it_is_served_is_not_shared_any_more() {
    let server = Server::start(&programs());
    let mut alice = peer(&server, ALICE, SLOW);
    let bytes = random_bytes(6 * MIB, 7);
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), &bytes).unwrap();
    let changes: [Change<'_>; 2] = [
        ("gone", &|path| fs::remove_file(path).unwrap()),
        ("a link to the same bytes", &|path| {
            fs::remove_file(path).unwrap();
            symlink(secret.path(), path).unwrap();
        }),
    ];
    for (what, change) in changes {
        let bob = taker(&server, BOB);
        alice.share("file.bin", &bytes);
        let mut get = bob.start("file.bin");
        wait_for_part(&bob, &mut get, 2 * MIB);
        change(&alice.path("file.bin"));
        // What is open may be sent to its end: it is what was hashed. A new connection gets nothing.
        let first = get.wait();
        let again = taker(&server, BOB);
        if first.code() == Some(0) {
            assert_fetched(&bob, &first, "file.bin", &bytes);
        } else {
            assert_failed(&bob, &first, 7);
        }
        let ended = again.get("file.bin");
        assert!(matches!(ended.code(), Some(3 | 7)), "{what}: {}", ended.told());
        assert!(!again.names().contains(&"file.bin".to_owned()), "{what}");
        alice.wait_for_stderr("file.bin is not shared any more");
        fs::remove_file(alice.path("file.bin")).unwrap_or(());
    }
}

/// BT-3.5-6: what looks like ours and isn't stays as it is, whatever a download comes to; and so does what is ours of others.
#[test]
fn a_download_removes_nothing_but_its_own() {
    let server = Server::start(&programs());
    let (mut alice, bob) = (peer(&server, ALICE, SLOW), taker(&server, BOB));
    let bytes = random_bytes(4 * MIB, 8);
    alice.share("file.bin", &bytes);
    alice.share("other.bin", &bytes[..3 * MIB]);
    // What another download has left.
    let mut other = bob.start("other.bin");
    wait_for_part(&bob, &mut other, MIB);
    other.kill();
    for (name, inside) in [
        (".bittrickle-0123456789abcdef.part", "a part of nobody's"),
        (".bittrickle-0123456789abcdef.journal", "its journal"),
        (".bittrickle-.part", "no digits"),
        (".bittrickle-case", "no download at all"),
        ("file.bin.part", "somebody else's"),
        ("journal", "a diary"),
    ] {
        fs::write(bob.path(name), inside).unwrap();
    }
    let tree_name = ".bittrickle-fedcba9876543210.part";
    write_tree(&bob.path(tree_name), &[Entry::Folder("a"), Entry::File("a/b", b"c")]);
    let before = tree(bob.out());

    let mut get = bob.start("file.bin");
    wait_for_new_part(&bob, &before.keys().cloned().collect::<Vec<_>>());
    get.kill();
    let mut get = bob.start("file.bin");
    wait_until("it goes on", || get.is_over() || !get.stderr().is_empty());
    let ended = get.wait();
    assert_eq!(ended.code(), Some(0), "{}", ended.told());
    assert_eq!(bob.get("nothing").code(), Some(3));
    assert_eq!(bob.get("file.bin").code(), Some(13));
    let mut after = tree(bob.out());
    assert!(after.remove("file.bin").is_some_and(|(_, _, fetched)| fetched == bytes));
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert!(after == before);
}

fn wait_for_new_part(taker: &Taker, before: &[String]) {
    wait_until("the download has begun", || {
        taker.names().iter().any(|name| name.ends_with(".journal") && !before.contains(name))
    });
}
