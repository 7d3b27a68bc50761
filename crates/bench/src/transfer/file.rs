//! One large file from one peer to another, sealed and verified, beside bare TCP.

use super::floors::{self, Floor, Floors, mib_per_second};
use super::place::{GIB, Place};
use super::program::Taken;
use super::sharing::{CONTENT, Sharing};
use super::{Options, TransferError};
use crate::measure::median;
use crate::report::{Line, Report, ReportError};

/// A file that is transferred.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Size {
    /// How figures' names call it.
    pub(super) name: &'static str,
    /// Its bytes.
    pub(super) bytes: u64,
}

/// A transfer of ours, measured once. All in seconds.
#[derive(Clone, Copy, Debug)]
struct Ours {
    /// From the start of `get` to its end.
    wall: f64,
    /// CPU time of both ends.
    cpu: f64,
    /// What `get` itself says it took.
    engine: Option<f64>,
}

/// The one that is large enough to say what a byte costs, and small enough for every machine.
pub(super) const ONE: Size = Size { name: "1gib", bytes: GIB };

/// The one whose end is far beyond what any buffer holds.
pub(super) const FOUR: Size = Size { name: "4gib", bytes: 4 * GIB };

/// Measures the file in every place.
///
/// # Errors
/// A transfer fails, or its floor.
pub(super) fn run(size: Size, options: &Options, report: &mut Report) -> Result<(), TransferError> {
    for place in options.places()? {
        measure(size, &place, options, report)?;
    }
    Ok(())
}

fn measure(size: Size, place: &Place, options: &Options, report: &mut Report) -> Result<(), TransferError> {
    let (name, bytes) = (place.name(&format!("transfer.file.{}", size.name)), options.sized(size.bytes));
    place.reserve(2 * bytes)?;
    let file = place.random_file(CONTENT, bytes)?;
    let floors = Floors::start(place, &file)?;
    let sharing = if options.floors { None } else { Some(Sharing::start(options.peer()?, place, 1, &[])?) };
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let label = options.label(&name, round);
        floor.push(floors.round(place, &label)?);
        if let Some(sharing) = &sharing {
            ours.push(take(sharing, place, &label)?);
        }
    }
    if !ours.is_empty() {
        report_ours(&name, bytes, &ours, &floor, report)?;
        if size == ONE {
            report_cpu(&place.name("transfer.cpu.1gib"), bytes, &ours, &floor, report)?;
        }
    }
    floors::report(&name, bytes, &floor, report)?;
    Ok(())
}

fn take(sharing: &Sharing, place: &Place, label: &str) -> Result<Ours, TransferError> {
    let source_before = sharing.source().cpu_seconds()?;
    let taken = sharing.take(place)?;
    let (wall, cpu) = (taken.seconds, taken.cpu_seconds + sharing.source().cpu_seconds()? - source_before);
    eprintln!("{label}: ours {wall:.2} s ({cpu:.2} s of CPU time)");
    Ok(Ours { wall, cpu, engine: engine_seconds(&taken) })
}

/// The time in the line that `get` ends with: `NAME: 1.0 GiB in 0.98 s, 1.0 GiB/s, verified: …`.
fn engine_seconds(taken: &Taken) -> Option<f64> {
    let (_, rest) = taken.stderr.lines().last()?.split_once(" in ")?;
    rest.split_once(" s,")?.0.parse().ok()
}

fn report_ours(
    name: &str,
    bytes: u64,
    ours: &[Ours],
    floor: &[Floor],
    report: &mut Report,
) -> Result<(), ReportError> {
    let (wall, plain) = (median_of(ours, |ours| ours.wall), median_of(floor, |floor| floor.plain));
    report.add(&Line::with_floor(name.to_owned(), wall, "s", plain))?;
    let engine: Vec<f64> = ours.iter().filter_map(|ours| ours.engine).collect();
    if !engine.is_empty() {
        let engine = median(engine.into_iter());
        report.add(&Line::with_floor(format!("{name}.engine"), engine, "s", plain))?;
    }
    let (rate, plain) = (mib_per_second(bytes, wall), mib_per_second(bytes, plain));
    report.add(&Line::with_floor(format!("{name}.rate"), rate, "MiB/s", plain))
}

fn report_cpu(
    name: &str,
    bytes: u64,
    ours: &[Ours],
    floor: &[Floor],
    report: &mut Report,
) -> Result<(), ReportError> {
    let gibibytes = bytes as f64 / GIB as f64;
    let (cpu, plain) = (median_of(ours, |ours| ours.cpu), median_of(floor, |floor| floor.plain_cpu));
    report.add(&Line::with_floor(name.to_owned(), cpu / gibibytes, "s/GiB", plain / gibibytes))
}

fn median_of<T>(rounds: &[T], of: fn(&T) -> f64) -> f64 {
    median(rounds.iter().map(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_engine_is_in_the_last_line() {
        let taken = |stderr: &str| Taken { seconds: 2.0, cpu_seconds: 1.0, stderr: stderr.to_owned() };
        let text =
            "get content: it is still being hashed\ncontent: 1.0 GiB in 0.98 s, 1.0 GiB/s, verified: 00ff";
        assert_eq!(engine_seconds(&taken(text)), Some(0.98));
        assert_eq!(engine_seconds(&taken("")), None);
        assert_eq!(engine_seconds(&taken("something in between")), None);
    }
}
