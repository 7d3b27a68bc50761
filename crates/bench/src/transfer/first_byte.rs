//! How long it takes from publishing a very large file that nobody has hashed yet until a taker has its first verified
//! bytes.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

use super::group::Group;
use super::place::{GIB, Place, SHARED};
use super::{Options, TransferError};
use crate::measure::median;
use crate::report::{Line, Report};

const NAME: &str = "transfer.first_byte.10gib";

const FILE_BYTES: u64 = 10 * GIB;

/// What a taker may have written until it is ended.
const ROOM_BYTES: u64 = GIB;

/// Measures it on a file of its own each round, so that no cache knows its hash.
///
/// # Errors
/// A transfer doesn't begin.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<(), TransferError> {
    let place = Place::in_memory()?;
    place.reserve(ROOM_BYTES)?;
    let group = Group::start(options.peer()?, &place, 2)?;
    let mut rounds = Vec::new();
    for round in 1..=options.rounds {
        let seconds = seconds(&group, &place, &format!("content-{round}"), options.sized(FILE_BYTES))?;
        eprintln!("{}: {seconds:.3} s", options.label(NAME, round));
        rounds.push(seconds);
    }
    report.add(&Line::new(NAME.to_owned(), median(rounds.into_iter()), "s"))?;
    Ok(())
}

fn seconds(group: &Group, place: &Place, name: &str, bytes: u64) -> Result<f64, TransferError> {
    let file = place.sparse_file(name, bytes)?;
    let folder = place.folder("taken")?;
    // A source of its own: the one before may still be hashing.
    let mut source = group.source(0, &place.path(SHARED), &[])?;
    let start = Instant::now();
    source.publish(name)?;
    let taker = group.taker(1, name, &folder)?;
    let mut first = None;
    taker.watch(|_| {
        if !has_bytes(&folder)? {
            return Ok(ControlFlow::Continue(()));
        }
        first = Some(start.elapsed().as_secs_f64());
        Ok(ControlFlow::Break(()))
    })?;
    // A small one may have come as a whole between two looks.
    let seconds = first.unwrap_or_else(|| start.elapsed().as_secs_f64());
    drop(source);
    place.remove(&folder)?;
    place.remove(&file)?;
    Ok(seconds)
}

/// Whether any file in this folder that is no journal takes room: a part is written piece by piece, each one verified.
fn has_bytes(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_journal = entry.path().extension().is_some_and(|extension| extension == "journal");
        // It may just have got another name.
        if !is_journal && entry.metadata().is_ok_and(|metadata| metadata.blocks() > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}
