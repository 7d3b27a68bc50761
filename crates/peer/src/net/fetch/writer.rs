//! The thread that writes what has been verified, and the one that makes it durable.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::engine::{Engine, Work};
use super::inbox::Taken;
use super::spawn;
use crate::share::FolderError;

/// Pieces that came in one behind the other, verified.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) first: u32,
    pub(super) count: u32,
    /// Those of them that nobody else has brought.
    pub(super) wanted: Vec<u32>,
    /// Their bytes, each piece with what follows it while the root isn't known.
    pub(super) bytes: Taken,
}

/// Batches that wait for the disk.
pub(super) const BATCHES_WAITING: usize = 8;

/// How much may be written before it is made durable, and how long that may take (BT-3.8-3).
const SYNC_BYTES: u64 = 64 << 20;
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// Writes until nobody sends any more.
pub(super) fn run(engine: &Arc<Engine>, batches: &Receiver<Batch>) {
    let Ok(first) = batches.recv() else { return };
    let Some(work) = engine.work() else { return };
    let (syncs, syncing) = start_syncing(engine, &work);
    let (mut unsynced_bytes, mut synced_at) = (0, Instant::now());
    let mut next = Some(first);
    while let Some(batch) = next {
        unsynced_bytes += batch.bytes.bytes().len() as u64;
        write(engine, &work, batch);
        if unsynced_bytes >= SYNC_BYTES || synced_at.elapsed() >= SYNC_EVERY {
            // One that is still going on takes this in as well, or the next one does.
            if syncs.try_send(()).is_ok() {
                (unsynced_bytes, synced_at) = (0, Instant::now());
            }
        }
        next = batches.recv().ok();
    }
    drop(syncs);
    if let Ok(syncing) = syncing {
        // If it panicked, finishing syncs once more.
        let _ = syncing.join();
    }
}

fn write(engine: &Engine, work: &Work, batch: Batch) {
    let Batch { first, count, wanted, bytes } = batch;
    if engine.is_over() {
        return;
    }
    let trailer = work.plan.trailer_bytes();
    let mut rest = bytes.bytes();
    let mut written = Vec::new();
    for piece in first..first + count {
        let (data, behind) = rest.split_at(work.plan.layout.piece(piece).bytes as usize);
        rest = &behind[trailer..];
        if wanted.binary_search(&piece).is_err() {
            continue;
        }
        if let Err(error) = work.part.write(piece, data) {
            return engine.fail(FolderError::Io(error));
        }
        add(&mut written, piece);
    }
    if let Err(error) = work.part.note(&written) {
        return engine.fail(FolderError::Io(error));
    }
    engine.verified(work, &written);
    engine.give_back(bytes);
}

fn add(ranges: &mut Vec<std::ops::Range<u32>>, piece: u32) {
    match ranges.last_mut() {
        Some(range) if range.end == piece => range.end += 1,
        _ => ranges.push(piece..piece + 1),
    }
}

/// A thread that waits for the disk while the next pieces are written.
fn start_syncing(
    engine: &Arc<Engine>,
    work: &Arc<Work>,
) -> (SyncSender<()>, std::io::Result<JoinHandle<()>>) {
    let (syncs, asked) = sync_channel(1);
    let (engine, work) = (Arc::clone(engine), Arc::clone(work));
    let syncing = spawn("sync", move || {
        while asked.recv().is_ok() {
            if let Err(error) = work.part.sync() {
                engine.fail(FolderError::Io(error));
            }
        }
    });
    (syncs, syncing)
}
