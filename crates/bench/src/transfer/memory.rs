//! The most memory that a source and a taker have at any time: for a file larger than any buffer, and for a folder of a
//! great many files.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::place::{MIB, Place, Shape};
use super::program::ProgramError;
use super::sharing::{CONTENT, Sharing};
use super::{Options, TransferError, file};
use crate::report::{Line, Report, ReportError};

const FILES: u64 = 100_000;

const FILES_A_FOLDER: u64 = 1_000;

const FILE_BYTES: u64 = 100;

/// What a small file takes of a file system at most.
const BLOCK_BYTES: u64 = 4_096;

/// Measures both, once: memory doesn't depend on how busy the machine is.
///
/// # Errors
/// A transfer fails.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<(), TransferError> {
    let bytes = options.sized(file::FOUR.bytes);
    let place = Place::in_memory()?;
    place.reserve(2 * bytes)?;
    place.random_file(CONTENT, bytes)?;
    measure("transfer.memory.file", &place, options, report)?;
    drop(place);

    let shape = Shape { files: options.sized(FILES), files_a_folder: FILES_A_FOLDER, file_bytes: FILE_BYTES };
    let place = Place::in_memory()?;
    place.reserve(2 * shape.files * BLOCK_BYTES)?;
    place.random_folder(CONTENT, shape)?;
    measure("transfer.memory.folder.100k", &place, options, report)
}

fn measure(name: &str, place: &Place, options: &Options, report: &mut Report) -> Result<(), TransferError> {
    let sharing = Sharing::start(options.peer()?, place, 1, &[])?;
    let (taker, _) = sharing.begin(1, place)?;
    let mut taker_mib = 0.0;
    taker.watch(|id| {
        // In its last moment it has no memory any more. The figure never falls, so that the one before stands.
        taker_mib = peak_mib(id).unwrap_or(taker_mib);
        Ok(ControlFlow::Continue(()))
    })?;
    let source_mib = peak_mib(sharing.source().id())?;
    Ok(report_peaks(name, source_mib, taker_mib, report)?)
}

fn report_peaks(name: &str, source_mib: f64, taker_mib: f64, report: &mut Report) -> Result<(), ReportError> {
    report.add(&Line::new(name.to_owned(), source_mib.max(taker_mib), "MiB"))?;
    report.add(&Line::new(format!("{name}.source"), source_mib, "MiB"))?;
    report.add(&Line::new(format!("{name}.taker"), taker_mib, "MiB"))
}

/// The most resident memory that a process has had.
fn peak_mib(id: u32) -> Result<f64, ProgramError> {
    let path = PathBuf::from(format!("/proc/{id}/status"));
    let status = fs::read_to_string(&path).unwrap_or_default();
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = kibibytes.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kibibytes.map(|kibibytes| kibibytes * 1_024.0 / MIB as f64).ok_or(ProgramError::Memory { path })
}
