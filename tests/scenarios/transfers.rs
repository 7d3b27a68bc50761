//! Verified transfers through real processes: what is fetched, from whom, how it is gone on with, and what may go wrong.

mod changing;
mod disk;
mod faults;
mod files;
mod folders;
mod hashing;
mod lies;
mod links;
mod meanwhile;
mod resume;
mod sources;
mod swarm;
mod waiting;
mod way;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use bittrickle_tests::content::Entry;
use bittrickle_tests::get::{Get, Taker};
use bittrickle_tests::peer::Peer;
use bittrickle_tests::process::Ended;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::wait_for;
use bittrickle_wire::Message;
use bittrickle_wire::messages::Described;

use crate::programs;

/// Members, with their passwords.
const ALICE: (&str, &str) = ("alice", "wonderland");
const BOB: (&str, &str) = ("bob", "builder");
const CAROL: (&str, &str) = ("carol", "singer");
const DAVE: (&str, &str) = ("dave", "diver");

const MIB: usize = 1 << 20;

/// Slow enough that a download of a few MiB can be looked at while it goes on.
const SLOW: &[&str] = &["--limit-rate", "2M"];

fn peer(server: &Server, (member, password): (&str, &str), extra: &[&str]) -> Peer {
    Peer::start(&programs(), server, member, password, extra)
}

fn taker(server: &Server, (member, password): (&str, &str)) -> Taker {
    Taker::join(&programs(), server, member, password)
}

/// The root of these bytes, as `b3sum` prints it.
fn root_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// It is there, it is what was published, and nothing else is left.
fn assert_fetched(taker: &Taker, ended: &Ended, name: &str, bytes: &[u8]) {
    assert_eq!(ended.code(), Some(0), "{name}: {}", ended.told());
    assert_eq!(ended.stdout, ["File downloaded successfully."], "{name}");
    let verified = format!("verified: {}", root_of(bytes));
    assert!(ended.told().contains(&verified), "{name}: {}", ended.told());
    assert!(fs::read(taker.path(name)).unwrap() == bytes, "{name} has other bytes");
    assert_eq!(taker.left_overs(), Vec::<String>::new(), "{name}");
}

/// It ended with this code, and there is nothing but what can be gone on with.
fn assert_failed(taker: &Taker, ended: &Ended, code: i32) {
    assert_eq!(ended.code(), Some(code), "{}", ended.told());
    assert_eq!(ended.stdout, Vec::<String>::new(), "{}", ended.told());
    assert_eq!(taker.names(), taker.left_overs(), "{}", ended.told());
}

/// Waits until this download has so many bytes on disk.
fn wait_for_part(taker: &Taker, get: &mut Get, bytes: usize) {
    wait_for(&format!("{bytes} bytes are there"), Duration::from_secs(60), || {
        assert!(!get.is_over(), "it is over already: {:?}", get.stderr());
        (taker.part_bytes() >= bytes as u64).then_some(())
    });
}

/// A number from the environment, for longer runs.
fn rounds(variable: &str, otherwise: u32) -> u32 {
    std::env::var(variable).ok().map_or(otherwise, |rounds| rounds.parse().expect("a number of rounds"))
}

/// Makes a folder with these in it.
fn write_tree(top: &Path, entries: &[Entry<'_>]) {
    fs::create_dir(top).unwrap();
    for entry in entries {
        match *entry {
            Entry::Folder(path) => fs::create_dir(top.join(path)).unwrap(),
            Entry::File(path, bytes) => fs::write(top.join(path), bytes).unwrap(),
            Entry::Program(path, bytes) => {
                fs::write(top.join(path), bytes).unwrap();
                fs::set_permissions(top.join(path), fs::Permissions::from_mode(0o750)).unwrap();
            }
        }
    }
}

/// What stands in a folder: of each path whether it is a folder, a file that can be executed, and its bytes.
fn tree(folder: &Path) -> BTreeMap<String, (bool, bool, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(&inside).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let is_executable = metadata.is_file() && metadata.permissions().mode() & 0o100 != 0;
            let bytes = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            assert!(metadata.is_dir() || metadata.is_file(), "{name} is something else");
            found.insert(name, (metadata.is_dir(), is_executable, bytes));
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

/// The same answer, in which the description is another one.
fn redescribed(mut answer: Vec<Message>, change: impl Fn(&mut Described)) -> Vec<Message> {
    if let Some(Message::Described(described)) = answer.first_mut() {
        change(described);
    }
    answer
}
