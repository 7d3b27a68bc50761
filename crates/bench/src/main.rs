//! `bittrickle-bench`: what a message costs to write and to read, and what the index costs beside a bare echo.
//!
//! | module | what it measures |
//! |---|---|
//! | [`codec`] | nanoseconds a message, in both encodings, without a socket |
//! | [`index`] | replies a second and CPU time of a real server, beside an echo of datagrams of the same sizes |
//!
//! Figures go to stdout through [`report`], everything else to stderr. How to read them: `docs/performance.md`.

mod catalog;
mod codec;
mod index;
mod interrupt;
mod report;
mod samples;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use index::{IndexError, process::Role};
use report::{Report, ReportError};

/// BitTrickle's benchmarks. Build them with --release, and keep the machine quiet while they run.
#[derive(Debug, Parser)]
#[command(name = "bittrickle-bench", version, after_help = EXAMPLE)]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// Nanoseconds to write and to read each kind of message, in JSON and in bincode
    Codec(codec::Options),
    /// Replies a second and CPU time of a real index server, beside a bare echo
    Index(index::Options),
}

const EXAMPLE: &str = "\
Example:
  cargo run --release -p bittrickle-bench -- codec
  cargo run --release -p bittrickle-bench -- index --seconds 5 --json

A figure that has a floor is followed by it and by the ratio of the two: ratios can be compared
between machines, figures can't. With --json each line of stdout is one object with name, value,
unit, floor and ratio.";

/// Why a benchmark ended without its figures.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Report(#[from] ReportError),
}

fn main() -> ExitCode {
    // The server and the echo are this same program, so that one build measures one build.
    let mut arguments = std::env::args_os().skip(1);
    if let Some(role) = arguments.next().as_deref().and_then(Role::from_argument) {
        return role.play(arguments);
    }
    match run(Arguments::parse().benchmark) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bittrickle-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(benchmark: Benchmark) -> Result<(), BenchError> {
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: its figures say nothing; build with --release");
    }
    match benchmark {
        Benchmark::Codec(options) => {
            let mut report = Report::to_stdout(options.json);
            codec::run(&options, &mut report)?;
            report.finish()?;
        }
        Benchmark::Index(options) => {
            let mut report = Report::to_stdout(options.json);
            index::run(&options, &mut report)?;
            report.finish()?;
        }
    }
    Ok(())
}
