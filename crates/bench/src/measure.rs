//! One measurement: a load on a process, how fast it answers, and what that costs it.

use std::io;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::client::ClientError;
use crate::load::{Counts, Load, LoadError};
use crate::process::{Process, ProcessError};
use crate::report::{Line, Report, ReportError};
use crate::server::ServerError;
use crate::voice::Voice;

/// The result of one measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Replies a second.
    pub(crate) replies_per_second: f64,
    cpu_seconds_per_million: f64,
    /// The part of the time in which the process was on a CPU.
    busy: f64,
    /// The same of the load's own thread.
    load_busy: f64,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeasureError {
    /// The echo doesn't run, or a process can't be looked at.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The server doesn't run.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The server doesn't do what it is asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A measurement ended early.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The figures can't be handed over.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The operating system refuses what a benchmark needs.
    #[error("the operating system refuses what a benchmark needs: {0}")]
    System(#[from] io::Error),
}

/// How often what is measured, and its floor, are measured by turns. Their medians count: what disturbs one measurement
/// disturbs no figure.
pub(crate) const ROUNDS: usize = 3;

/// Measurements begin when caches are warm and queues have their length.
const WARM_UP: Duration = Duration::from_millis(100);

/// A process that waits for more than the rest of its time is not what limits the rate.
const BUSY_MIN: f64 = 0.9;

/// Puts this load on a process for as long as `duration`.
///
/// # Errors
/// Answers stay away or are wrong, or somebody wants the program to end.
pub(crate) fn measure<V: Voice>(
    process: &Process,
    load: Load<'_, V>,
    duration: Duration,
) -> Result<Outcome, MeasureError> {
    measure_with(|| process.cpu_time(), load, duration)
}

/// The same on something whose CPU time is told in another way.
///
/// # Errors
/// As for [`measure`].
pub(crate) fn measure_with<V: Voice>(
    cpu_time: impl Fn() -> Result<Duration, ProcessError>,
    mut load: Load<'_, V>,
    duration: Duration,
) -> Result<Outcome, MeasureError> {
    load.run_until(Instant::now() + WARM_UP)?;
    let (before, cpu_before, own_before) = (load.counts(), cpu_time()?, thread_cpu_time());
    let start = Instant::now();
    load.run_until(start + duration)?;
    let elapsed = start.elapsed();
    let (after, cpu, own) = (load.counts(), cpu_time()? - cpu_before, thread_cpu_time() - own_before);
    load.settle()?;
    let load_busy = own.as_secs_f64() / elapsed.as_secs_f64();
    Ok(Outcome { load_busy, ..Outcome::of(before, after, cpu, elapsed) })
}

/// CPU time that this thread has used.
pub(crate) fn thread_cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("it has been running for less than forever")
}

impl Outcome {
    fn of(before: Counts, after: Counts, cpu: Duration, elapsed: Duration) -> Self {
        if after.repeats > before.repeats {
            eprintln!("{} requests had to be sent again", after.repeats - before.repeats);
        }
        let replies = (after.replies - before.replies).max(1) as f64;
        Self {
            replies_per_second: replies / elapsed.as_secs_f64(),
            cpu_seconds_per_million: cpu.as_secs_f64() / replies * 1e6,
            busy: cpu.as_secs_f64() / elapsed.as_secs_f64(),
            load_busy: 0.0,
        }
    }
}

/// Reports the medians of pairs of a figure and its floor: the rate, and the CPU time. `what` names both, for warnings.
///
/// # Errors
/// Stdout takes no more.
pub(crate) fn report_rounds(
    name: &str,
    what: [&str; 2],
    rounds: &[(Outcome, Outcome)],
    report: &mut Report,
) -> Result<(), ReportError> {
    let (busy, load_busy) =
        (medians(rounds, |outcome| outcome.busy), medians(rounds, |outcome| outcome.load_busy));
    warn_of_idle(name, what[0], busy.0, load_busy.0);
    warn_of_idle(name, what[1], busy.1, load_busy.1);
    report_rates(name, rounds, report)?;
    let (cpu, floor) = medians(rounds, |outcome| outcome.cpu_seconds_per_million);
    report.add(&Line::with_floor(format!("{name}.cpu"), cpu, "s/million", floor))
}

/// Reports only the rate.
///
/// # Errors
/// Stdout takes no more.
pub(crate) fn report_rates(
    name: &str,
    rounds: &[(Outcome, Outcome)],
    report: &mut Report,
) -> Result<(), ReportError> {
    let (rate, floor) = medians(rounds, |outcome| outcome.replies_per_second);
    report.add(&Line::with_floor(name.to_owned(), rate, "replies/s", floor))
}

/// A figure's median, and its floor's.
fn medians(rounds: &[(Outcome, Outcome)], of: fn(&Outcome) -> f64) -> (f64, f64) {
    let measured = median(rounds.iter().map(|(measured, _)| of(measured)));
    (measured, median(rounds.iter().map(|(_, floor)| of(floor))))
}

/// Says so when not the measured process but the load, or the rest of the machine, has set the pace.
fn warn_of_idle(name: &str, what: &str, busy: f64, load_busy: f64) {
    if busy < BUSY_MIN {
        let (busy, load_busy) = (busy * 100.0, load_busy * 100.0);
        eprintln!(
            "{name}: {what} was busy for {busy:.0} % of the time only, the load for {load_busy:.0} %: the load or another \
             program has set the pace, and the rate says less than the CPU time"
        );
    }
}

/// The middle one, or the upper of two.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A number of seconds on the command line.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=3_600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.01 to 3600 is needed".to_owned()),
    }
}
