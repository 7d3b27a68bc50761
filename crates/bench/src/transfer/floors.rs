//! What a transfer is held against: bare TCP from process to process, and `cp`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::TransferError;
use super::place::{MIB, Place};
use super::plain;
use super::program::{Taken, run};
use crate::measure::median;
use crate::process::{Process, Role};
use crate::report::{Line, Report, ReportError};

/// The floors of one file, and the sender that waits to send it.
#[derive(Debug)]
pub(super) struct Floors {
    sender: Process,
    file: PathBuf,
    target: PathBuf,
    is_disk: bool,
}

/// The floors, measured once. All in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    /// Bare TCP from file to file.
    pub(super) plain: f64,
    /// CPU time of both its ends.
    pub(super) plain_cpu: f64,
    /// Bare TCP from a file to nowhere.
    discard: f64,
    /// `cp`.
    copy: f64,
}

impl Floors {
    /// Starts the sender of this file.
    ///
    /// # Errors
    /// It doesn't start.
    pub(super) fn start(place: &Place, file: &Path) -> Result<Self, TransferError> {
        Ok(Self {
            sender: Process::start(Role::PlainSender, &[file.as_ref()])?,
            file: file.to_owned(),
            target: place.path("floor"),
            is_disk: place.is_disk(),
        })
    }

    /// Measures each of them once.
    ///
    /// # Errors
    /// One of them fails.
    pub(super) fn round(&self, place: &Place, label: &str) -> Result<Floor, TransferError> {
        let discard = self.receive(None)?;
        place.make_room()?;
        let copy = copy(&["cp"], &self.file, &self.target)?;
        place.put_aside(&self.target)?;
        place.make_room()?;
        let sender_before = self.sender.cpu_time()?;
        let plain = self.receive(Some(&self.target))?;
        let sender_cpu = self.sender.cpu_time()? - sender_before;
        place.put_aside(&self.target)?;
        let (plain, plain_cpu) = (plain.seconds, plain.cpu_seconds + sender_cpu.as_secs_f64());
        let (discard, copy) = (discard.seconds, copy.seconds);
        eprintln!(
            "{label}: plain {plain:.2} s ({plain_cpu:.2} s of CPU time), discard {discard:.2} s, cp {copy:.2} s"
        );
        Ok(Floor { plain, plain_cpu, discard, copy })
    }

    fn receive(&self, target: Option<&Path>) -> Result<Taken, TransferError> {
        let mut command = Role::PlainReceiver.command()?;
        command.arg(self.sender.address().to_string());
        if let Some(target) = target {
            command.arg(target);
            // Ours is on disk when it says so: a floor that isn't would promise less.
            command.args(self.is_disk.then_some(plain::DURABLE));
        }
        Ok(run("the plain receiver", command)?)
    }
}

/// Runs `cp` or `cp -r`.
///
/// # Errors
/// It fails.
pub(super) fn copy(program: &[&str], from: &Path, to: &Path) -> Result<Taken, TransferError> {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).args([from, to].map(AsRef::<OsStr>::as_ref));
    Ok(run("cp", command)?)
}

/// Reports the medians of the floors of a file with so many bytes: a line for each, and the rate of the first.
///
/// # Errors
/// Stdout takes no more.
pub(super) fn report(
    name: &str,
    bytes: u64,
    rounds: &[Floor],
    report: &mut Report,
) -> Result<(), ReportError> {
    let mut add = |what: &str, of: fn(&Floor) -> f64| {
        let seconds = median(rounds.iter().map(of));
        report.add(&Line::new(format!("{name}.{what}"), seconds, "s"))?;
        report.add(&Line::new(format!("{name}.{what}.rate"), mib_per_second(bytes, seconds), "MiB/s"))
    };
    add("plain", |floor| floor.plain)?;
    add("discard", |floor| floor.discard)?;
    add("cp", |floor| floor.copy)
}

/// A rate.
pub(super) fn mib_per_second(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 / MIB as f64 / seconds
}
