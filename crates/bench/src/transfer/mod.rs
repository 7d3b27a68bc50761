//! What a verified and sealed transfer costs beside a bare one.
//!
//! | module | what it measures |
//! |---|---|
//! | [`mod@file`] | one large file from peer to peer, beside bare TCP; seconds and CPU time |
//! | [`folder`] | a folder of many small files, beside `cp -r` |
//! | [`hash`] | hashing, beside `b3sum` |
//! | [`memory`] | the most memory that source and taker have |
//! | [`swarm`] | eight takers of a slow source, beside one |
//! | [`first_byte`] | from publishing to the first verified byte |
//!
//! What they share: the [`floors`], of which [`plain`] is the program; a [`place`] for the files; a [`program`] that is
//! run to its end; [`peer`]s, which make a [`group`] with their server; one of them [`sharing`].

mod file;
mod first_byte;
mod floors;
mod folder;
mod group;
mod hash;
mod memory;
mod peer;
mod place;
pub(crate) mod plain;
mod program;
mod sharing;
mod swarm;

use std::path::PathBuf;

use bittrickle_peer::content::HashError;
use clap::{Args, ValueEnum, value_parser};

use crate::client::ClientError;
use crate::process::ProcessError;
use crate::report::{Report, ReportError};
use crate::server::ServerError;
use group::GroupError;
use peer::{PeerError, PeerProgram};
use place::{Place, PlaceError};
use program::ProgramError;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// Only these; all of them if none is named
    #[arg(value_enum)]
    parts: Vec<Part>,

    /// How often each transfer and its floor are measured, by turns
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u16).range(1..=100))]
    rounds: u16,

    /// Measure nothing but the floors of file-… and folder, which needs no peer
    #[arg(long)]
    floors: bool,

    /// file-…, folder: measure once more in this folder, which is on a disk
    #[arg(long, value_name = "DIR")]
    disk: Option<PathBuf>,

    /// hash: this b3sum instead of the one in PATH
    #[arg(long, value_name = "PATH")]
    b3sum: Option<PathBuf>,

    /// Tiny sizes under the same names: shows that it runs, and says nothing more
    #[arg(long)]
    tiny: bool,

    /// The peer that is part of this program instead of the one built beside it
    #[arg(long, hide = true)]
    peer_inside: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Part {
    /// Seconds for 1 GiB, and CPU time, beside bare TCP
    #[value(name = "file-1gib")]
    File1Gib,
    /// Seconds for 4 GiB, beside bare TCP
    #[value(name = "file-4gib")]
    File4Gib,
    /// Files a second of a folder of 10,000, beside `cp -r`
    Folder,
    /// MiB a second that are hashed, beside b3sum
    Hash,
    /// The most MiB that a source and a taker have
    Memory,
    /// Seconds until eight takers of a slow source have a file, beside one taker
    Swarm,
    /// Seconds from publishing 10 GiB to the first verified byte
    FirstByte,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    /// There is no room for the files.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A process of ours doesn't run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A program fails.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The server doesn't run.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The server doesn't answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A peer doesn't do what it is told.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The peers don't come together.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// A file can't be hashed.
    #[error("can't hash: {0}")]
    Hash(#[from] HashError),
    /// A file can't be read.
    #[error("can't read what was written just before: {0}")]
    Read(#[from] std::io::Error),
    /// The figures can't be handed over.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Sizes shrink by so much when they are to be tiny.
const TINY: u64 = 1_024;

/// Measures what is asked for.
///
/// # Errors
/// Something doesn't run or fails, or somebody wants the program to end.
pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), TransferError> {
    let is_wanted = |part: &&Part| {
        (options.parts.is_empty() || options.parts.contains(part)) && (!options.floors || part.has_floors())
    };
    for part in Part::value_variants().iter().filter(is_wanted) {
        match part {
            Part::File1Gib => file::run(file::ONE, options, report)?,
            Part::File4Gib => file::run(file::FOUR, options, report)?,
            Part::Folder => folder::run(options, report)?,
            Part::Hash => hash::run(options, report)?,
            Part::Memory => memory::run(options, report)?,
            Part::Swarm => swarm::run(options, report)?,
            Part::FirstByte => first_byte::run(options, report)?,
        }
    }
    Ok(())
}

impl Part {
    /// Whether it has floors that need no peer.
    fn has_floors(self) -> bool {
        matches!(self, Self::File1Gib | Self::File4Gib | Self::Folder)
    }
}

impl Options {
    /// The peer that is measured.
    fn peer(&self) -> Result<PeerProgram, PeerError> {
        if self.peer_inside { Ok(PeerProgram::Inside) } else { PeerProgram::beside() }
    }

    /// A size in bytes, or a number of files, as this run has it.
    fn sized(&self, count: u64) -> u64 {
        if self.tiny { count.div_ceil(TINY) } else { count }
    }

    /// What the lines about one round begin with on stderr.
    fn label(&self, name: &str, round: u16) -> String {
        format!("{name}: round {round} of {}", self.rounds)
    }

    /// Where it is measured.
    fn places(&self) -> Result<Vec<Place>, PlaceError> {
        let memory = std::iter::once_with(Place::in_memory);
        memory.chain(self.disk.iter().map(|folder| Place::on_disk(folder))).collect()
    }
}
