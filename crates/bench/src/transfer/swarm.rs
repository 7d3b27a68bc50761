//! Eight takers of one source that sends slowly: do they get it from each other?

use std::time::Instant;

use super::place::{MIB, Place};
use super::sharing::{CONTENT, Sharing};
use super::{Options, TransferError};
use crate::measure::median;
use crate::report::{Line, Report};

const NAME: &str = "transfer.swarm.8";

const TAKERS: usize = 8;

const FILE_BYTES: u64 = 64 * MIB;

/// What the source may send in a second: a tenth of what would make the machine busy.
const RATE: &str = "10M";

/// Measures one taker alone and all of them together, by turns.
///
/// # Errors
/// A transfer fails.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<(), TransferError> {
    let bytes = options.sized(FILE_BYTES);
    let place = Place::in_memory()?;
    place.reserve((1 + TAKERS as u64) * bytes)?;
    place.random_file(CONTENT, bytes)?;
    let sharing = Sharing::start(options.peer()?, &place, TAKERS, &["--limit-rate", RATE])?;
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let (one, all) = (seconds(&sharing, &place, 1)?, seconds(&sharing, &place, TAKERS)?);
        eprintln!("{}: one taker {one:.2} s, {TAKERS} takers {all:.2} s", options.label(NAME, round));
        alone.push(one);
        together.push(all);
    }
    let (together, alone) = (median(together.into_iter()), median(alone.into_iter()));
    report.add(&Line::with_floor(NAME.to_owned(), together, "s", alone))?;
    Ok(())
}

/// Seconds until so many takers, who start together, all have it.
fn seconds(sharing: &Sharing, place: &Place, takers: usize) -> Result<f64, TransferError> {
    let start = Instant::now();
    let begun: Vec<_> = (1..=takers).map(|taker| sharing.begin(taker, place)).collect::<Result<_, _>>()?;
    let mut targets = Vec::new();
    for (taker, target) in begun {
        taker.finish()?;
        targets.push(target);
    }
    let seconds = start.elapsed().as_secs_f64();
    targets.iter().try_for_each(|target| place.remove(target))?;
    Ok(seconds)
}
