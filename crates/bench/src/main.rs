//! `bittrickle-bench`: what a message costs to write and to read, what the index costs beside a bare echo, what sealing
//! costs, what a transfer costs beside a bare one, and what a search costs among millions of names.
//!
//! | module | what it measures |
//! |---|---|
//! | [`codec`] | nanoseconds a message, in both encodings, without a socket |
//! | [`index`] | replies a second and CPU time of a real server, beside an echo of datagrams of the same sizes |
//! | [`durable`] | publications a second that outlive a kill, and how long a server with millions of them takes to start |
//! | [`sealed`] | the same beside a server whose cipher does nothing; handshakes, returning devices, memory |
//! | [`sessions`] | what a hundred thousand sessions cost that are merely online, and whether all of them stay so |
//! | [`search`] | searches in an index of millions of names, in one process, and the memory of a name |
//! | [`tracker`] | announces a second of a BitTorrent tracker, which is another program, under the load of `index` |
//! | [`transfer`] | files and folders from peer to peer, beside bare TCP, `cp` and `b3sum`; swarms, memory |
//!
//! What they share: [`server`] and [`echo`], each a [`process`] of its own; [`people`] and their [`client`]s; the [`load`]
//! that speaks with a [`voice`], and what is [`measure`]d then.
//!
//! Figures go to stdout through [`report`], everything else to stderr. How to read them: `docs/performance.md`.

mod catalog;
mod cipher;
mod client;
mod codec;
mod durable;
mod echo;
mod handshake;
mod index;
mod interrupt;
mod load;
mod measure;
mod people;
mod process;
mod report;
mod resend;
mod samples;
mod sealed;
mod search;
mod server;
mod sessions;
mod tracker;
mod transfer;
mod voice;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use durable::DurableError;
use index::IndexError;
use process::Role;
use report::{Report, ReportError};
use sealed::SealedError;
use search::SearchError;
use sessions::SessionsError;
use tracker::TrackerError;
use transfer::TransferError;

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
    /// Publications a second that are durable when they are acknowledged, beside the store alone
    Publish(durable::PublishOptions),
    /// How long a server that was killed takes until it answers again: heartbeats, and searches among all names
    Restart(durable::RestartOptions),
    /// What sealing costs: heartbeats, packets, handshakes, returning devices, memory
    Sealed(sealed::Options),
    /// What a hundred thousand sessions cost that are merely online, and whether all of them stay so
    Sessions(sessions::Options),
    /// How long searches take among millions of names, and what memory a name takes
    Search(search::Options),
    /// Announces a second of a BitTorrent tracker that runs already, under the load of `index`, beside the same echo
    Tracker(tracker::Options),
    /// What a verified and sealed transfer costs beside bare TCP, `cp` and `b3sum`
    Transfer(transfer::Options),
}

const EXAMPLE: &str = "\
Example:
  cargo run --release -p bittrickle-bench -- codec
  cargo run --release -p bittrickle-bench -- index --seconds 5 --json
  cargo run --release -p bittrickle-bench -- sealed heartbeat memory
  cargo run --release -p bittrickle-bench -- sessions --seconds 600 --loss-percent 1
  cargo run --release -p bittrickle-bench -- search --names 1000000
  cargo run --release -p bittrickle-bench -- transfer file-1gib folder

A figure that has a floor is followed by it and by the ratio of the two: ratios can be compared
between machines, figures can't. With --json each line of stdout is one object with name, value,
unit, floor and ratio.";

/// Why a benchmark ended without its figures.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Durable(#[from] DurableError),
    #[error(transparent)]
    Sealed(#[from] SealedError),
    #[error(transparent)]
    Sessions(#[from] SessionsError),
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error(transparent)]
    Tracker(#[from] TrackerError),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error("the operating system has no handler for signals: {0}")]
    Signals(#[from] std::io::Error),
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
            interrupt::watch()?;
            let mut report = Report::to_stdout(options.json);
            index::run(&options, &mut report)?;
            report.finish()?;
        }
        Benchmark::Sealed(options) => {
            interrupt::watch()?;
            let mut report = Report::to_stdout(options.json);
            sealed::run(&options, &mut report)?;
            report.finish()?;
        }
        Benchmark::Sessions(options) => {
            interrupt::watch()?;
            let mut report = Report::to_stdout(options.json);
            sessions::run(&options, &mut report)?;
            report.finish()?;
        }
        Benchmark::Search(options) => search::run(&options)?,
        Benchmark::Publish(options) => {
            interrupt::watch()?;
            let mut report = Report::to_stdout(options.json);
            durable::publish(&options, &mut report)?;
            report.finish()?;
        }
        Benchmark::Restart(options) => {
            interrupt::watch()?;
            let mut report = Report::to_stdout(options.json);
            durable::restart(&options, &mut report)?;
            report.finish()?;
        }
        Benchmark::Tracker(options) => {
            interrupt::watch()?;
            let mut report = Report::to_stdout(options.json);
            tracker::run(&options, &mut report)?;
            if !options.print_torrents {
                report.finish()?;
            }
        }
        Benchmark::Transfer(options) => {
            interrupt::watch()?;
            let mut report = Report::to_stdout(options.json);
            transfer::run(&options, &mut report)?;
            report.finish()?;
        }
    }
    Ok(())
}
