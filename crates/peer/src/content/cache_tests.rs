//! What the cache remembers, and what it doesn't believe.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bittrickle_wire::Root;
use bittrickle_wire::content::merge;
use bittrickle_wire::limits::PIECE_BYTES;

use super::cache::{CacheError, HashCache};
use super::hasher::Hashed;
use super::identity::Identity;

fn identity(inode: u64, file_bytes: u64) -> Identity {
    Identity { device: 1, inode, file_bytes, modified_ns: -5, changed_ns: 1 << 70 }
}

fn small(number: u64) -> (PathBuf, Identity, Hashed) {
    let hashed = Hashed { root: Root::of(&number.to_be_bytes()), outline: Vec::new() };
    (PathBuf::from(format!("/folder/{number}")), identity(number, number), hashed)
}

fn large() -> (PathBuf, Identity, Hashed) {
    let outline = vec![[7; 32], [8; 32], [9; 32]];
    let hashed = Hashed { root: merge(&outline), outline };
    (PathBuf::from("/folder/large"), identity(1, 2 * PIECE_BYTES as u64 + 1), hashed)
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hashes.redb");
    (folder, path)
}

#[test]
fn what_is_stored_is_found_again_also_by_the_next_run() {
    let (_folder, path) = place();
    let entries = [small(1), small(2), large()];
    for cache in [HashCache::open(&path).unwrap(), HashCache::in_memory()] {
        assert_eq!(cache.find(&entries[0].0, &entries[0].1), None);
        cache.store(&[]).unwrap();
        cache.store(&entries).unwrap();
        for (path, identity, hashed) in &entries {
            assert_eq!(cache.find(path, identity).as_ref(), Some(hashed), "{}", path.display());
        }
    }
    let cache = HashCache::open(&path).unwrap();
    for (path, identity, hashed) in &entries {
        assert_eq!(cache.find(path, identity).as_ref(), Some(hashed), "{}", path.display());
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_is_not_what_it_was_is_not_found() {
    let cache = HashCache::in_memory();
    let (path, identity, hashed) = large();
    cache.store(&[(path.clone(), identity, hashed)]).unwrap();
    let others = [
        Identity { device: 2, ..identity },
        Identity { inode: 2, ..identity },
        Identity { file_bytes: identity.file_bytes + 1, ..identity },
        Identity { modified_ns: -4, ..identity },
        Identity { changed_ns: 0, ..identity },
    ];
    for other in others {
        assert_eq!(cache.find(&path, &other), None, "{other:?}");
    }
    assert_eq!(cache.find(Path::new("/folder/other"), &identity), None);
}

#[test]
fn a_file_that_was_hashed_again_is_replaced() {
    let cache = HashCache::in_memory();
    let (path, old, hashed) = small(1);
    let (_, new, other) = small(2);
    cache.store(&[(path.clone(), old, hashed)]).unwrap();
    cache.store(&[(path.clone(), new, other.clone())]).unwrap();
    assert_eq!(cache.find(&path, &new), Some(other));
    assert_eq!(cache.find(&path, &old), None);
}

#[test]
fn a_full_cache_begins_anew() {
    let cache = HashCache::in_memory().with_entries_max(3);
    let found = |number| {
        let (path, identity, _) = small(number);
        cache.find(&path, &identity).is_some()
    };
    cache.store(&[small(1), small(2), small(3)]).unwrap();
    cache.store(&[small(4)]).unwrap();
    assert_eq!([1, 2, 3, 4].map(found), [false, false, false, true]);
    cache.store(&(10..20).map(small).collect::<Vec<_>>()).unwrap();
    assert_eq!([4, 10, 12, 13].map(found), [false, true, true, false]);
}

#[test]
fn two_processes_do_not_share_a_cache() {
    let (_folder, path) = place();
    let first = HashCache::open(&path).unwrap();
    assert!(matches!(HashCache::open(&path), Err(CacheError::InUse { .. })));
    let (second, error) = HashCache::open_or_in_memory(&path);
    assert!(error.unwrap().to_string().contains("another bittrickle"));
    second.store(&[small(1)]).unwrap();
    first.store(&[small(2)]).unwrap();
    let (path, identity, _) = small(1);
    assert!(second.find(&path, &identity).is_some() && first.find(&path, &identity).is_none());
}

#[test]
fn a_cache_that_can_not_be_made_is_one_in_memory() {
    let (folder, _) = place();
    let (cache, error) = HashCache::open_or_in_memory(&folder.path().join("missing/hashes.redb"));
    assert!(matches!(error, Some(CacheError::Io { .. })));
    cache.store(&[small(1)]).unwrap();
    // What isn't a file isn't deleted either.
    assert!(HashCache::open(folder.path()).is_err() && folder.path().exists());
}

#[test]
fn a_file_that_is_no_cache_is_begun_anew() {
    for damaged in [&b"something else"[..], &[0; 5_000], &[0xff; 70_000]] {
        let (_folder, path) = place();
        fs::write(&path, damaged).unwrap();
        let cache = HashCache::open(&path).unwrap();
        cache.store(&[small(1)]).unwrap();
        drop(cache);
        let (file, identity, hashed) = small(1);
        assert_eq!(HashCache::open(&path).unwrap().find(&file, &identity), Some(hashed));
    }
}

#[test]
fn a_damaged_cache_never_says_a_wrong_hash() {
    let (_folder, path) = place();
    let entries = [small(1), large()];
    HashCache::open(&path).unwrap().store(&entries).unwrap();
    let whole = fs::read(&path).unwrap();
    // Most of the file is empty: there it is damaged less often.
    let step = |place: usize| if whole[place] == 0 { 200_003 } else { 67 };
    let places = (0..whole.len()).filter(|place| place.is_multiple_of(step(*place)));
    for place in places {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x41;
        fs::write(&path, &damaged).unwrap();
        let cache = HashCache::open(&path).unwrap();
        for (file, identity, hashed) in &entries {
            let found = cache.find(file, identity);
            assert!(found.is_none() || found.as_ref() == Some(hashed), "byte {place}");
        }
        cache.store(&entries).unwrap();
        for (file, identity, hashed) in &entries {
            assert_eq!(cache.find(file, identity).as_ref(), Some(hashed), "byte {place}");
        }
    }
}

#[test]
fn a_cache_cut_anywhere_is_begun_anew() {
    let (_folder, path) = place();
    HashCache::open(&path).unwrap().store(&[small(1)]).unwrap();
    let whole = fs::read(&path).unwrap();
    for end in (0..whole.len()).step_by(whole.len() / 23) {
        fs::write(&path, &whole[..end]).unwrap();
        HashCache::open(&path).unwrap().store(&[small(2)]).unwrap();
    }
}
