use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{Builder, StorageBackend};
use tempfile::TempDir;

use super::*;

pub(super) fn member(name: &str) -> Arc<MemberName> {
    Arc::new(MemberName::new(name).unwrap())
}

pub(super) fn name(text: &str) -> FileName {
    FileName::new(text).unwrap()
}

pub(super) fn content(bytes: u64, root: Option<u8>) -> Content {
    let root = root.map(|byte| Root(HexBytes([byte; 32])));
    Content { file_bytes: Some(FileBytes::new(bytes).unwrap()), root, is_folder: bytes % 2 == 1 }
}

pub(super) fn publish(who: &str, what: &str, bytes: u64) -> Edit {
    let content = content(bytes, bytes.is_multiple_of(3).then_some(7));
    Edit::Publish { member: member(who), name: name(what), content }
}

pub(super) fn withdraw(who: &str, what: &str) -> Edit {
    Edit::Withdraw { member: member(who), name: name(what) }
}

pub(super) fn forget(who: &str) -> Edit {
    Edit::Forget { member: member(who) }
}

pub(super) fn data_dir(folder: &Path) -> Arc<DataDir> {
    Arc::new(DataDir::open(&folder.join("data"), Duration::ZERO).unwrap())
}

pub(super) fn open(folder: &TempDir) -> Result<PublicationStore, StoreError> {
    PublicationStore::open(data_dir(folder.path()))
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("data/publications.redb")
}

pub(super) type Rows = BTreeMap<(String, String), Content>;

pub(super) fn rows(store: &mut PublicationStore) -> Rows {
    let mut rows = Rows::new();
    let mut add = |who: &Arc<MemberName>, what: FileName, content| {
        rows.insert((who.as_str().to_owned(), what.as_str().to_owned()), content);
        ControlFlow::Continue(())
    };
    store.for_each(&mut add).unwrap();
    rows
}

/// What edits come to, one after the other.
pub(super) fn expected(edits: &[Edit]) -> Rows {
    let mut rows = Rows::new();
    for edit in edits {
        let who = edit.member().as_str().to_owned();
        match edit {
            Edit::Publish { name, content, .. } => {
                rows.insert((who, name.as_str().to_owned()), *content);
            }
            Edit::Withdraw { name, .. } => {
                rows.remove(&(who, name.as_str().to_owned()));
            }
            Edit::Forget { .. } => rows.retain(|(owner, _), _| *owner != who),
            Edit::Offline { .. } => {}
        }
    }
    rows
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let edits = [
        publish("alice", "a", 1),
        publish("bob", "a", 2),
        publish("alice", "b", 3),
        publish("alice", "a", 6),
        withdraw("bob", "nothing"),
        publish("carol", "c", 4),
        forget("alice"),
        publish("alice", "again", 9),
        withdraw("carol", "c"),
        Edit::Publish { member: member("zoë"), name: name("日本語"), content: Content::default() },
    ];
    for commits in [1, 3, edits.len()] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(&folder).unwrap();
        edits.chunks(edits.len().div_ceil(commits)).for_each(|some| store.commit(some).unwrap());
        assert_eq!(rows(&mut store), expected(&edits), "in {commits} commits");
        drop(store);
        assert_eq!(rows(&mut open(&folder).unwrap()), expected(&edits));
    }
}

#[test]
fn hours_are_kept_until_their_member_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder).unwrap();
    let offline = |who: &str, hours| Edit::Offline { member: member(who), hours };
    store.commit(&[publish("alice", "a", 1), offline("alice", 1), offline("bob", 5)]).unwrap();
    store.commit(&[offline("alice", 2), forget("bob")]).unwrap();
    drop(store);
    assert_eq!(open(&folder).unwrap().offline_hours().unwrap(), [(member("alice"), 2)]);
}

#[test]
fn a_content_comes_back_as_it_was_and_any_other_row_is_damage() {
    for (file_bytes, root) in
        [(None, None), (Some(0), None), (Some((1 << 53) - 1), Some(0xff)), (None, Some(1))]
    {
        for is_folder in [false, true] {
            let file_bytes = file_bytes.map(|size| FileBytes::new(size).unwrap());
            let content =
                Content { file_bytes, root: root.map(|byte| Root(HexBytes([byte; 32]))), is_folder };
            let row = write_content(content);
            assert_eq!(read_content(&row), Some(content));
            assert!((0..row.len()).all(|end| read_content(&row[..end]).is_none()));
            assert_eq!(read_content(&[&row[..], &[0]].concat()), None);
        }
    }
    assert_eq!(read_content(&[8]), None);
    assert_eq!(read_content(&[&[1][..], &u64::MAX.to_be_bytes()].concat()), None);
    assert_eq!(read_key(b"\0\0\0\x01a/b"), None);
    assert_eq!(read_key(b"\0\0\0"), None);
}

#[test]
fn a_damaged_file_is_reported_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder).unwrap();
    let edits: Vec<Edit> =
        (0..500).map(|number| publish("alice", &format!("file {number}"), number)).collect();
    store.commit(&edits).unwrap();
    drop(store);
    let good = fs::read(path(&folder)).unwrap();
    // What a process leaves that is killed has to be repaired, in which nothing may be written before it has succeeded.
    let mut store = open(&folder).unwrap();
    store.commit(&[publish("alice", "file 0", 0)]).unwrap();
    let left = fs::read(path(&folder)).unwrap();
    drop(store);
    let lengths = (0..12).map(|eighth| good[..good.len() * eighth / 12].to_vec());
    let flips = (0..200).map(|nth| {
        let mut bytes = good.clone();
        let place = nth * 7_919 % bytes.len();
        bytes[place] ^= 0x5a;
        bytes
    });
    let cut = (1..12).map(|part| left[..left.len() * part / 12].to_vec());
    for bytes in lengths.chain(flips).chain(cut).chain([b"something else altogether".to_vec()]) {
        fs::write(path(&folder), &bytes).unwrap();
        match open(&folder) {
            Err(error) => {
                assert!(error.to_string().contains("publications.redb is damaged"), "{error}");
                assert!(fs::read(path(&folder)).unwrap() == bytes, "it is left as it is");
            }
            // A place that nothing is in, or a spare copy.
            Ok(mut store) => assert_eq!(rows(&mut store), expected(&edits)),
        }
    }
}

/// A disk that takes so many more bytes.
#[derive(Debug)]
struct SmallDisk {
    file: FileBackend,
    left: Arc<AtomicU64>,
}

impl SmallDisk {
    fn take(&self, bytes: u64) -> io::Result<()> {
        let less = |left: u64| left.checked_sub(bytes);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::from(io::ErrorKind::StorageFull)),
        }
    }
}

impl StorageBackend for SmallDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.take(data.len() as u64)?;
        self.file.write(offset, data)
    }
}

#[test]
fn a_full_disk_loses_nothing_and_the_store_goes_on_when_there_is_room_again() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder).unwrap());
    let left = Arc::new(AtomicU64::new(u64::MAX / 2));
    let (file, room) = (path(&folder), Arc::clone(&left));
    let opening = Mutex::new(());
    let open = move || {
        let _one_at_a_time = opening.lock();
        let file = fs::File::options().read(true).write(true).open(&file).unwrap();
        let disk = SmallDisk { file: FileBackend::new(file).map_err(failed)?, left: Arc::clone(&room) };
        Builder::new().create_with_backend(disk).map_err(failed)
    };
    let mut store = PublicationStore::open_with(data_dir(folder.path()), Box::new(open)).unwrap();
    let mut done = Vec::new();
    let mut failures = 0;
    for round in 0..40_u64 {
        let edits: Vec<Edit> = (0..20).map(|nth| publish("alice", &format!("{round} {nth}"), nth)).collect();
        left.store(round * 1_500, Ordering::Relaxed);
        let first = store.commit(&edits);
        failures += u32::from(first.is_err());
        left.store(u64::MAX / 2, Ordering::Relaxed);
        assert_eq!(
            rows(&mut store),
            expected(&if first.is_ok() { [done.clone(), edits.clone()].concat() } else { done.clone() })
        );
        store.commit(&edits).unwrap();
        done.extend(edits);
        assert_eq!(rows(&mut store), expected(&done));
    }
    assert!((5..40).contains(&failures), "{failures} of 40");
}
