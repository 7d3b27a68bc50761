//! What a journal claims after the disk has failed.

use bittrickle_wire::Root;
use tempfile::TempDir;

use super::*;

const PIECE: usize = 1 << 20;

struct Download {
    place: TempDir,
    folder: Arc<Folder>,
    layout: Layout,
}

impl Download {
    fn of_four_pieces() -> Self {
        let place = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::open(place.path(), 0o644).unwrap());
        Self { place, folder, layout: Layout::of_file(4 * PIECE as u64).unwrap() }
    }

    /// The part, and which pieces its journal claims.
    fn open(&self) -> (Part, Vec<u32>) {
        let (target, name) = (Target::Root(Root::of(b"")), FileName::new("file").unwrap());
        let (part, claimed) = Part::open(&self.folder, &target, &name, &self.layout, None, &[]).unwrap();
        (part, claimed.ranges().flatten().collect())
    }
}

fn write(part: &Part, piece: u32) {
    part.write(piece, &vec![7; PIECE]).unwrap();
    note(part, piece).unwrap();
}

fn note(part: &Part, piece: u32) -> io::Result<()> {
    part.note(std::slice::from_ref(&(piece..piece + 1)))
}

/// From now on, what is made durable of it is lost: there is no disk behind this.
fn lose_the_disk(part: &mut Part) {
    part.store = Store::File(File::options().read(true).write(true).open("/dev/null").unwrap());
    assert!(part.sync().is_err());
}

/// BT-3.5-8: the system shows what was written since the last good sync as if the disk had it, and it would be found right.
#[test]
fn after_a_failed_sync_nothing_counts_that_may_be_lost() {
    let download = Download::of_four_pieces();
    let (mut part, claimed) = download.open();
    assert!(claimed.is_empty());
    write(&part, 0);
    part.sync().unwrap();
    write(&part, 2);
    lose_the_disk(&mut part);
    assert!(note(&part, 3).is_err(), "nothing more is claimed");
    drop(part);
    let (part, claimed) = download.open();
    assert_eq!(claimed, [0]);
    // What is claimed goes on behind that.
    write(&part, 3);
    drop(part);
    assert_eq!(download.open().1, [0, 3]);
}

/// BT-3.5-6, BT-3.5-8: a disk that says it has everything after it has lost something isn't believed.
#[test]
fn a_download_with_a_failed_sync_gets_no_name() {
    let download = Download::of_four_pieces();
    let (mut part, _) = download.open();
    (0..4).for_each(|piece| write(&part, piece));
    let good = match &part.store {
        Store::File(file) => file.try_clone().unwrap(),
        Store::Tree(_) => unreachable!("it is a file"),
    };
    lose_the_disk(&mut part);
    part.store = Store::File(good);
    assert!(part.sync().is_err());
    assert!(part.finish(&|_, _| false).is_err());
    assert!(!download.place.path().join("file").exists());
    drop(part);
    let (part, claimed) = download.open();
    assert!(claimed.is_empty());
    (0..4).for_each(|piece| write(&part, piece));
    part.finish(&|_, _| false).unwrap();
    assert!(download.place.path().join("file").exists());
}

/// BT-3.8-4: pieces of a part that isn't there are none.
#[test]
fn a_journal_without_its_part_claims_nothing() {
    let download = Download::of_four_pieces();
    let (part, _) = download.open();
    write(&part, 1);
    std::fs::remove_file(download.place.path().join(&part.names.part)).unwrap();
    drop(part);
    assert!(download.open().1.is_empty());
}
