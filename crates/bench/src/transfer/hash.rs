//! Hashing a file as a source does before it is listed, beside `b3sum` on the same file.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

use bittrickle_peer::content::{HashError, hash_file};

use super::floors::mib_per_second;
use super::place::{GIB, Place};
use super::program::run as run_program;
use super::{Options, TransferError};
use crate::measure::median;
use crate::report::{Line, Report};

const NAME: &str = "transfer.hash.1gib";

/// What ours is held against.
enum Floor {
    /// The program of BLAKE3's authors, which uses all cores.
    B3sum(PathBuf),
    /// Where that isn't installed: so many threads as cores, each hashing its share as if it were a file.
    Threads,
}

/// Bytes that a thread of the floor reads at once.
const READ_BYTES: usize = 64 * 1_024;

/// Measures both by turns.
///
/// # Errors
/// One of them fails.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<(), TransferError> {
    let place = Place::in_memory()?;
    let bytes = options.sized(GIB);
    place.reserve(bytes)?;
    let path = place.random_file("content", bytes)?;
    let floor = Floor::choose(options.b3sum.as_deref());
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let theirs = mib_per_second(bytes, floor.seconds(&path, bytes)?);
        let own = mib_per_second(bytes, our_seconds(&path, bytes)?);
        eprintln!("{}: ours {own:.0}, the floor {theirs:.0} MiB/s", options.label(NAME, round));
        floors.push(theirs);
        ours.push(own);
    }
    let (ours, floor) = (median(ours.into_iter()), median(floors.into_iter()));
    report.add(&Line::with_floor(NAME.to_owned(), ours, "MiB/s", floor))?;
    Ok(())
}

fn our_seconds(path: &Path, bytes: u64) -> Result<f64, HashError> {
    let start = Instant::now();
    let file = File::open(path)?;
    hash_file(&file, bytes, cores(), &AtomicU64::new(0), &AtomicBool::new(false))?;
    Ok(start.elapsed().as_secs_f64())
}

impl Floor {
    fn choose(given: Option<&Path>) -> Self {
        let program = given.unwrap_or_else(|| Path::new("b3sum"));
        match Command::new(program).arg("--version").output() {
            Ok(output) if output.status.success() => {
                let version = String::from_utf8_lossy(&output.stdout);
                eprintln!("{NAME}: the floor is {}: {}", program.display(), version.trim_end());
                Self::B3sum(program.to_owned())
            }
            _ => {
                eprintln!(
                    "{NAME}: there is no {}: the floor is BLAKE3 in {} threads of the benchmark's own; \
                     `cargo install b3sum`, or --b3sum PATH",
                    program.display(),
                    cores()
                );
                Self::Threads
            }
        }
    }

    fn seconds(&self, path: &Path, bytes: u64) -> Result<f64, TransferError> {
        match self {
            Self::B3sum(program) => {
                let mut command = Command::new(program);
                command.arg(path);
                Ok(run_program("b3sum", command)?.seconds)
            }
            Self::Threads => {
                let start = Instant::now();
                hash_in_shares(&File::open(path)?, bytes)?;
                Ok(start.elapsed().as_secs_f64())
            }
        }
    }
}

fn hash_in_shares(file: &File, bytes: u64) -> io::Result<()> {
    let share_bytes = bytes.div_ceil(cores() as u64).max(1);
    let shares = (0..bytes).step_by(usize::try_from(share_bytes).unwrap_or(usize::MAX));
    std::thread::scope(|scope| {
        let threads: Vec<_> = shares
            .map(|start| scope.spawn(move || hash_share(file, start, bytes.min(start + share_bytes))))
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("hashing doesn't panic"))
    })
}

fn hash_share(file: &File, mut offset: u64, end: u64) -> io::Result<()> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BYTES];
    while offset < end {
        let wanted = (end - offset).min(READ_BYTES as u64) as usize;
        file.read_exact_at(&mut buffer[..wanted], offset)?;
        hasher.update(&buffer[..wanted]);
        offset += wanted as u64;
    }
    std::hint::black_box(hasher.finalize());
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
