//! A folder of many small files, beside `cp -r`.

use super::floors;
use super::place::{MIB, Place, Shape};
use super::sharing::{CONTENT, Sharing};
use super::{Options, TransferError};
use crate::measure::median;
use crate::report::{Line, Report};

const FILES: u64 = 10_000;

const FILES_A_FOLDER: u64 = 100;

const FILE_BYTES: u64 = 4 * 1_024;

/// Measures the folder in every place.
///
/// # Errors
/// A transfer fails, or its floor.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<(), TransferError> {
    for place in options.places()? {
        measure(&place, options, report)?;
    }
    Ok(())
}

fn measure(place: &Place, options: &Options, report: &mut Report) -> Result<(), TransferError> {
    let (name, files) = (place.name("transfer.folder.10k"), options.sized(FILES));
    place.reserve(2 * files * FILE_BYTES + MIB)?;
    let shape = Shape { files, files_a_folder: FILES_A_FOLDER, file_bytes: FILE_BYTES };
    let folder = place.random_folder(CONTENT, shape)?;
    let sharing = if options.floors { None } else { Some(Sharing::start(options.peer()?, place, 1, &[])?) };
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        place.make_room()?;
        let target = place.path("floor");
        let copy = files as f64 / floors::copy(&["cp", "-r"], &folder, &target)?.seconds;
        place.put_aside(&target)?;
        eprintln!("{}: cp {copy:.0} files/s", options.label(&name, round));
        floor.push(copy);
        if let Some(sharing) = &sharing {
            let own = files as f64 / sharing.take(place)?.seconds;
            eprintln!("{}: ours {own:.0} files/s", options.label(&name, round));
            ours.push(own);
        }
    }
    let floor = median(floor.into_iter());
    if !ours.is_empty() {
        report.add(&Line::with_floor(name.clone(), median(ours.into_iter()), "files/s", floor))?;
    }
    report.add(&Line::new(format!("{name}.cp"), floor, "files/s"))?;
    Ok(())
}
