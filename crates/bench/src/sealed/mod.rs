//! What sealing costs, and what it takes to hold a great many sealed sessions.
//!
//! | module | what it measures |
//! |---|---|
//! | [`heartbeat`] | replies a second of the server, beside the same server with a cipher that does nothing |
//! | [`packet`] | nanoseconds to seal and to open one datagram |
//! | [`handshakes`] | handshakes a second and core |
//! | [`returning`] | how long it takes until all devices are back after the server was killed |
//! | [`memory`] | bytes a session |
//!
//! [`handshakes`] and [`memory`] drive a server without a socket: [`in_process`].

mod handshakes;
mod heartbeat;
mod in_process;
pub(crate) mod memory;
mod packet;
mod returning;

use clap::{Args, ValueEnum, value_parser};

use crate::load::SLOTS_MAX;
use crate::measure::{MeasureError, seconds};
use crate::report::Report;
use memory::MemoryError;
use returning::ReturnError;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// Only these; all of them if none is named
    #[arg(value_enum)]
    parts: Vec<Part>,

    /// heartbeat: seconds of each measurement; there are three with and three without the cipher
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,

    /// heartbeat: sessions, each over a socket of its own
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u16).range(1..=256))]
    sessions: u16,

    /// heartbeat: requests in flight in each session
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u16).range(1..=i64::from(SLOTS_MAX)))]
    window: u16,

    /// handshakes: how many are made in each of three rounds
    #[arg(long, default_value_t = 2_000, value_parser = value_parser!(u32).range(1..=4_000))]
    handshakes: u32,

    /// return: devices that are online when the server is killed, each with a socket and an address of its own
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u32).range(1..=100_000))]
    devices: u32,

    /// memory: sessions that are opened
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u32).range(1_000..=262_144))]
    memory_sessions: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Part {
    /// Replies a second, beside the null cipher
    Heartbeat,
    /// Nanoseconds to seal and to open one datagram
    Packet,
    /// Handshakes a second and core
    Handshakes,
    /// Seconds until all devices are back after a kill
    Return,
    /// Bytes a session
    Memory,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealedError {
    /// A measurement has failed.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// The devices did not come back.
    #[error(transparent)]
    Return(#[from] ReturnError),
    /// The memory could not be measured.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// Measures what is asked for.
///
/// # Errors
/// Something doesn't run, answers wrongly, or somebody wants the program to end.
pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), SealedError> {
    let all = Part::value_variants();
    for part in all.iter().filter(|part| options.parts.is_empty() || options.parts.contains(part)) {
        match part {
            Part::Heartbeat => heartbeat::run(options, report)?,
            Part::Packet => packet::run(options.seconds, report).map_err(MeasureError::from)?,
            Part::Handshakes => {
                handshakes::run(options.handshakes as usize, report).map_err(MeasureError::from)?;
            }
            Part::Return => returning::run(options.devices as usize, report)?,
            Part::Memory => memory::run(options.memory_sessions as usize, report)?,
        }
    }
    Ok(())
}
