//! Folders as they are met, hostile ones among them.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bittrickle_wire::Root;
use bittrickle_wire::content::{Checks, Layout};
use bittrickle_wire::limits::PIECE_BYTES;
use cap_std::ambient_authority;

use super::*;
use crate::content::{HashCache, Hashing};

/// A folder, a cache, and how many bytes were hashed.
struct Sample {
    folder: tempfile::TempDir,
    cache: HashCache,
    progress: AtomicU64,
    stop: AtomicBool,
}

impl Sample {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (progress, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { folder, cache: HashCache::in_memory(), progress, stop }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file that looks as if it was there for a while.
    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let an_hour_ago = SystemTime::now() - Duration::from_secs(3_600);
        File::options().write(true).open(&path).unwrap().set_modified(an_hour_ago).unwrap();
    }

    fn walk(&self) -> Result<Walked, WalkError> {
        let dir = Dir::open_ambient_dir(self.path(), ambient_authority()).unwrap();
        let Self { cache, progress, stop, .. } = self;
        walk(&dir, self.path(), &Hashing { cache, threads: 3, progress, stop })
    }

    fn hashed_bytes(&self) -> u64 {
        self.progress.swap(0, Ordering::Relaxed)
    }
}

fn paths(walked: &Walked) -> Vec<&str> {
    walked.manifest.entries().map(|entry| entry.path()).collect()
}

#[test]
fn a_folder_becomes_its_manifest() {
    let sample = Sample::new();
    let large: Vec<u8> = (0..3 * PIECE_BYTES + 9).map(|place| (place % 251) as u8).collect();
    sample.write("b/large", &large);
    sample.write("b/c/run", b"#!");
    sample.write(".hidden", b"");
    sample.write("a", b"hello");
    fs::create_dir(sample.path().join("empty")).unwrap();
    fs::set_permissions(sample.path().join("b/c/run"), Permissions::from_mode(0o755)).unwrap();
    let walked = sample.walk().unwrap();
    assert_eq!(paths(&walked), [".hidden", "a", "b", "b/c", "b/c/run", "b/large", "empty"]);
    let files: Vec<_> = walked.manifest.files().collect();
    let contents = [&b""[..], b"hello", b"#!", &large];
    for ((file, content), identity) in files.iter().zip(contents).zip(&walked.identities) {
        assert_eq!((file.root, file.file_bytes.bytes()), (Root::of(content), content.len() as u64));
        assert_eq!(identity.file_bytes, content.len() as u64);
        assert_eq!(file.is_executable, file.path == "b/c/run");
    }
    let layout = Layout::of_manifest(&walked.manifest).unwrap();
    let roots = files.iter().map(|file| file.root).collect();
    assert!(Checks::new(&layout, roots, walked.outline).is_ok());
    assert_eq!(sample.hashed_bytes(), walked.manifest.bytes().bytes());
    assert!(walked.left_out.is_empty(), "{:?}", walked.left_out);
}

#[test]
fn an_empty_folder_is_shared_as_well() {
    let walked = Sample::new().walk().unwrap();
    assert_eq!((walked.manifest.entry_count(), walked.identities.len(), walked.outline.len()), (0, 0, 0));
}

#[test]
fn what_is_no_file_or_has_no_good_name_is_left_out_with_a_reason() {
    let sample = Sample::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    sample.write("in", b"in");
    sample.write("sub/in", b"in");
    symlink("in", sample.path().join("link-in")).unwrap();
    symlink("sub", sample.path().join("link-sub")).unwrap();
    symlink(outside.path().join("secret"), sample.path().join("link-out")).unwrap();
    symlink(outside.path(), sample.path().join("sub/link-out")).unwrap();
    let _socket = UnixListener::bind(sample.path().join("socket")).unwrap();
    sample.write("a:b", b"");
    sample.write("con/c", b"");
    sample.write(".bittrickle-0123456789abcdef.part", b"");
    sample.write("sub/.bittrickle-0123456789abcdef.part/a", b"");
    sample.write("sub/.bittrickle-0123456789abcdef.journal", b"");
    let mut walked = sample.walk().unwrap();
    assert_eq!(paths(&walked), ["in", "sub", "sub/in"]);
    walked.left_out.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let left_out: Vec<_> = walked.left_out.iter().map(|(path, reason)| (path.as_str(), *reason)).collect();
    assert_eq!(
        left_out,
        [
            (".bittrickle-0123456789abcdef.part", LeftOut::Unfinished),
            ("a:b", LeftOut::Name(TextError::Forbidden(':'))),
            ("con", LeftOut::Name(TextError::Device)),
            ("link-in", LeftOut::Link),
            ("link-out", LeftOut::Link),
            ("link-sub", LeftOut::Link),
            ("socket", LeftOut::Special),
            ("sub/.bittrickle-0123456789abcdef.journal", LeftOut::Unfinished),
            ("sub/.bittrickle-0123456789abcdef.part", LeftOut::Unfinished),
            ("sub/link-out", LeftOut::Link),
        ]
    );
}

#[test]
fn a_name_that_is_not_utf_8_is_left_out() {
    use std::os::unix::ffi::OsStrExt as _;
    let sample = Sample::new();
    fs::write(sample.path().join(std::ffi::OsStr::from_bytes(b"\xff.txt")), "a").unwrap();
    assert_eq!(sample.walk().unwrap().left_out, [("\u{fffd}.txt".to_owned(), LeftOut::NotText)]);
}

#[test]
fn what_lies_too_deep_is_left_out() {
    let sample = Sample::new();
    let deepest = vec!["d"; MANIFEST_DEPTH_MAX].join("/");
    sample.write(&format!("{deepest}/file"), b"");
    let walked = sample.walk().unwrap();
    assert_eq!(walked.manifest.entry_count() as usize, MANIFEST_DEPTH_MAX);
    assert_eq!(walked.left_out, [(format!("{deepest}/file"), LeftOut::TooDeep)]);
}

#[test]
fn what_the_cache_knows_is_not_read_again() {
    let sample = Sample::new();
    sample.write("a", &vec![1; 3 * PIECE_BYTES]);
    sample.write("b/c", b"hello");
    let first = sample.walk().unwrap();
    assert_eq!(sample.hashed_bytes(), 3 * PIECE_BYTES as u64 + 5);
    let second = sample.walk().unwrap();
    assert_eq!(sample.hashed_bytes(), 0);
    assert_eq!(second.manifest, first.manifest);
    assert_eq!(second.outline, first.outline);
    assert_eq!(second.identities, first.identities);
}

#[test]
fn a_file_that_was_replaced_is_hashed_again_also_with_its_old_size_and_time() {
    let sample = Sample::new();
    sample.write("a", b"one");
    sample.write("b", b"stays");
    let first = sample.walk().unwrap();
    let modified = fs::metadata(sample.path().join("a")).unwrap().modified().unwrap();
    fs::write(sample.path().join("new"), "two").unwrap();
    File::options().write(true).open(sample.path().join("new")).unwrap().set_modified(modified).unwrap();
    fs::rename(sample.path().join("new"), sample.path().join("a")).unwrap();
    sample.hashed_bytes();
    let second = sample.walk().unwrap();
    assert_eq!(sample.hashed_bytes(), 3);
    assert_ne!(second.identities[0], first.identities[0]);
    assert_eq!(second.manifest.file(0).unwrap().root, Root::of(b"two"));
}

#[test]
fn a_file_that_was_just_written_is_not_trusted_to_the_cache() {
    let sample = Sample::new();
    fs::write(sample.path().join("a"), "now").unwrap();
    for _ in 0..2 {
        sample.walk().unwrap();
        assert_eq!(sample.hashed_bytes(), 3);
    }
}

#[test]
fn a_folder_of_many_small_files_is_walked() {
    let sample = Sample::new();
    for number in 0..2_000 {
        sample.write(&format!("{}/{number}", number % 40), &number.to_string().into_bytes());
    }
    let walked = sample.walk().unwrap();
    assert_eq!(walked.manifest.entry_count(), 2_040);
    for file in walked.manifest.files() {
        let (_, name) = file.path.split_once('/').unwrap();
        assert_eq!(file.root, Root::of(name.as_bytes()), "{}", file.path);
    }
    sample.hashed_bytes();
    assert_eq!(sample.walk().unwrap().manifest, walked.manifest);
    assert_eq!(sample.hashed_bytes(), 0);
}

#[test]
fn a_walk_ends_when_it_is_stopped() {
    let sample = Sample::new();
    sample.write("a", b"hello");
    sample.stop.store(true, Ordering::Relaxed);
    assert!(matches!(sample.walk(), Err(WalkError::Stopped)));
    assert_eq!(sample.hashed_bytes(), 0);
}
