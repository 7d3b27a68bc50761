//! Power cuts, made up: a disk whose cache keeps what it likes of all that wasn't synced.

use std::io;
use std::sync::{Arc, Mutex};

use redb::{Builder, Database, StorageBackend};

use super::tests::{Rows, data_dir, expected, forget, publish, rows, withdraw};
use super::*;

/// A disk that outlives its power, and what a program sees of it as long as there is some.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Bytes>>);

#[derive(Debug, Default)]
struct Bytes {
    /// What is there after a power cut.
    kept: Vec<u8>,
    /// What is there for those who read.
    seen: Vec<u8>,
    /// What has been done since the last sync, one after the other.
    cached: Vec<Step>,
    /// Steps until the power goes.
    left: u32,
}

#[derive(Debug)]
enum Step {
    Length(usize),
    Write(usize, Vec<u8>),
}

/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// Steps until the power goes, at most.
const STEPS_MAX: u32 = 400;

const ALWAYS: u32 = u32::MAX;

/// A linear congruential generator: all that happens follows from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(bound)) as u32
    }
}

impl Step {
    fn take(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Write(offset, data) => bytes[*offset..*offset + data.len()].copy_from_slice(data),
        }
    }

    /// Of a write, some of the sectors. What a file isn't long enough for is lost.
    fn take_in_part(&self, bytes: &mut Vec<u8>, mut is_kept: impl FnMut() -> bool) {
        match self {
            Self::Length(length) if is_kept() => bytes.resize(*length, 0),
            Self::Length(_) => {}
            Self::Write(offset, data) => {
                let mut start = *offset;
                while start < (offset + data.len()).min(bytes.len()) {
                    let end = ((start / SECTOR + 1) * SECTOR).min(offset + data.len()).min(bytes.len());
                    if is_kept() {
                        bytes[start..end].copy_from_slice(&data[start - offset..end - offset]);
                    }
                    start = end;
                }
            }
        }
    }
}

impl Bytes {
    fn spend(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("the power is off"))?;
        Ok(())
    }

    fn step(&mut self, step: Step) -> io::Result<()> {
        self.spend()?;
        step.take(&mut self.seen);
        self.cached.push(step);
        Ok(())
    }
}

impl Disk {
    /// The power goes after so many steps.
    fn power_for(&self, steps: u32) {
        self.0.lock().unwrap().left = steps;
    }

    /// The power was off, and is back. Of what was in the cache each part has as many chances in ten to be kept.
    fn cut(&self, random: &mut Random, chances: u32) {
        let mut bytes = self.0.lock().unwrap();
        for step in std::mem::take(&mut bytes.cached) {
            step.take_in_part(&mut bytes.kept, || random.below(10) < chances);
        }
        bytes.seen = bytes.kept.clone();
        bytes.left = ALWAYS;
    }

    fn open(&self) -> Result<Database, StoreError> {
        let mut builder = Builder::new();
        builder.set_check_integrity_on_open(true);
        builder.create_with_backend(self.clone()).map_err(failed)
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).expect("a small file");
        out.copy_from_slice(&self.0.lock().unwrap().seen[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().step(Step::Length(usize::try_from(len).expect("a small file")))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).expect("a small file");
        self.0.lock().unwrap().step(Step::Write(offset, data.to_vec()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap();
        bytes.spend()?;
        for step in std::mem::take(&mut bytes.cached) {
            step.take(&mut bytes.kept);
        }
        Ok(())
    }
}

fn some_edits(random: &mut Random) -> Vec<Edit> {
    let count = 1 + random.below(60);
    let edits = (0..count).map(|_| {
        let who = ["alice", "bob", "carol"][random.below(3) as usize];
        let what = format!("{:0>120}", random.below(400));
        match random.below(40) {
            0 => forget(who),
            1..10 => withdraw(who, &what),
            _ => publish(who, &what, random.below(1_000).into()),
        }
    });
    edits.collect()
}

/// Commits until the power goes. Gives what was acknowledged, and what was about to be.
fn commit_until_the_power_goes(store: &mut PublicationStore, random: &mut Random) -> (Vec<Edit>, Vec<Edit>) {
    let mut acknowledged = Vec::new();
    // Each commit takes some steps.
    for _ in 0..STEPS_MAX {
        let edits = some_edits(random);
        match store.commit(&edits) {
            Ok(()) => acknowledged.extend(edits),
            Err(_) => return (acknowledged, edits),
        }
    }
    panic!("{STEPS_MAX} commits were acknowledged, and the disk has done less");
}

/// Power cuts; more with `BITTRICKLE_POWER_CUTS`.
const CUTS: u64 = 200;

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged_and_leaves_nothing_half_done() {
    let cuts = std::env::var("BITTRICKLE_POWER_CUTS").map_or(CUTS, |cuts| cuts.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let data_dir = data_dir(folder.path());
    // Of what wasn't acknowledged, how often nothing was there, and how often all.
    let mut ends = [0; 2];
    for seed in 0..cuts {
        let mut random = Random(seed);
        let disk = Disk::default();
        disk.power_for(ALWAYS);
        let database = disk.open().unwrap();
        let transaction = begin_write(&database).unwrap();
        (LAYOUT.create)(&transaction).unwrap();
        transaction.commit().unwrap();
        drop(database);

        let opened = disk.clone();
        let open = move || opened.open();
        let mut store = PublicationStore::open_with(Arc::clone(&data_dir), Box::new(open)).unwrap();
        disk.power_for(random.below(STEPS_MAX));
        let (acknowledged, pending) = commit_until_the_power_goes(&mut store, &mut random);
        // It notices nothing of the power that is back.
        disk.power_for(0);
        drop(store);
        let chances = random.below(11);
        disk.cut(&mut random, chances);
        // And once more, while it is repaired.
        disk.power_for(random.below(40));
        drop(disk.open());
        disk.power_for(0);
        disk.cut(&mut random, chances);

        let opened = disk.clone();
        let again = PublicationStore::open_with(Arc::clone(&data_dir), Box::new(move || opened.open()));
        let mut again = again.unwrap_or_else(|error| panic!("power cut {seed}: {error}"));
        let found: Rows = rows(&mut again);
        let before = expected(&acknowledged);
        let after = expected(&[acknowledged, pending].concat());
        assert!(found == before || found == after, "power cut {seed}: neither what was before nor all");
        ends[usize::from(found == after && before != after)] += 1;
    }
    assert!(ends.iter().all(|times| *times > 0), "the cuts came at moments of all kinds: {ends:?}");
}
