//! Before the first piece: the part is opened, and what an earlier download has left of it is hashed again (BT-3.8-4).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bittrickle_wire::limits::PIECE_BYTES;

use super::engine::Engine;
use super::plan::Plan;
use super::progress::Phase;
use crate::share::Part;
use crate::transfer::PieceSet;

/// Opens the part, or ends the download when that can't be done.
pub(super) fn prepare(engine: &Arc<Engine>, plan: Plan) {
    let job = &engine.job;
    let opened = Part::open(
        &job.folder,
        &job.target,
        &job.name,
        &plan.layout,
        plan.manifest.as_ref(),
        &job.superseded,
    );
    let (part, claimed) = match opened {
        Ok(opened) => opened,
        Err(error) => return engine.fail(error),
    };
    engine.progress.set_phase(Phase::Checking);
    // Without a root there is nothing to hold it against: it is looked at once there is one.
    let verified = if plan.checks.is_some() { check(engine, &plan, &part, &claimed) } else { claimed };
    engine.progress.set_phase(Phase::Fetching);
    let seed = getrandom::u64().unwrap_or_default();
    engine.planned(plan, part, verified, seed);
}

/// Those of the claimed pieces whose bytes are right, found with all of the machine's threads. Ends early with the download.
fn check(engine: &Engine, plan: &Plan, part: &Part, claimed: &PieceSet) -> PieceSet {
    let is_good = |plan: &Plan, piece, bytes: &[u8]| {
        plan.checks.as_ref().is_some_and(|checks| checks.check(&plan.layout, piece, bytes))
    };
    let verified = Mutex::new(PieceSet::new(plan.layout.pieces()));
    let next = AtomicU32::new(0);
    let check_some = || {
        let mut buffer = vec![0; PIECE_BYTES];
        while !engine.is_over() {
            let from = next.load(Ordering::Relaxed);
            let Some(piece) = claimed.next_present(from) else { return };
            if next.compare_exchange(from, piece + 1, Ordering::Relaxed, Ordering::Relaxed).is_err() {
                continue;
            }
            let bytes = &mut buffer[..plan.layout.piece(piece).bytes as usize];
            if part.read(piece, bytes).is_ok() && is_good(plan, piece, bytes) {
                verified.lock().unwrap_or_else(PoisonError::into_inner).insert(piece);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if claimed.count() > 0 {
        thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(check_some))));
    }
    verified.into_inner().unwrap_or_else(PoisonError::into_inner)
}
