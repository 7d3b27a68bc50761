//! This program once more: a server, the echo, or whatever else is measured in a process of its own that never outlives
//! this one.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use bittrickle_wire::seal::Aes256Gcm;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::cipher::NullCipher;
use crate::sealed::memory;
use crate::transfer::plain;
use crate::{echo, server};

/// What this program is told to be by its first argument, which no person types.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// The server without limits for requests, on the data folder that follows.
    Server,
    /// The same with the null cipher.
    NullServer,
    /// The server as it is, with the arguments that follow.
    Product,
    /// The bare echo.
    Echo,
    /// A server without a socket, whose memory is measured; the arguments are those of [`memory::play`].
    Memory,
    /// Sends a file over bare TCP; the arguments are those of [`plain::play_sender`].
    PlainSender,
    /// Receives it; the arguments are those of [`plain::play_receiver`].
    PlainReceiver,
    /// The peer as it is, with the arguments that follow.
    Peer,
}

/// A process that listens, ended when this value is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
}

/// Why a process can't be started or looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// The operating system starts no process.
    #[error("can't start this program a second time: {0}")]
    Start(io::Error),
    /// It has ended, or said nothing.
    #[error("the {role:?} process did not say what it should within {} s; what it did say stands above",
            LISTENING_DEADLINE.as_secs())]
    Silent {
        /// Which one.
        role: Role,
    },
    /// It has said something else.
    #[error("the {role:?} process said {line:?} instead of where it listens")]
    NoAddress {
        /// Which one.
        role: Role,
        /// What it said.
        line: String,
        /// What is wrong with the address.
        source: AddrParseError,
    },
    /// The operating system doesn't tell the CPU time, or the memory.
    #[error("can't read what a process uses from {}: {error}; this benchmark needs Linux's /proc", path.display())]
    Usage {
        /// Where it should stand.
        path: PathBuf,
        /// Why it doesn't.
        error: io::Error,
    },
}

/// How long a process may take until it listens.
const LISTENING_DEADLINE: Duration = Duration::from_secs(30);

impl Role {
    const ALL: [Self; 8] = [
        Self::Server,
        Self::NullServer,
        Self::Product,
        Self::Echo,
        Self::Memory,
        Self::PlainSender,
        Self::PlainReceiver,
        Self::Peer,
    ];

    /// The role that this first argument stands for.
    pub(crate) fn from_argument(argument: &OsStr) -> Option<Self> {
        Self::ALL.into_iter().find(|role| argument == role.argument())
    }

    fn argument(self) -> &'static str {
        match self {
            Self::Server => "@server",
            Self::NullServer => "@null-server",
            Self::Product => "@product",
            Self::Echo => "@echo",
            Self::Memory => "@memory",
            Self::PlainSender => "@plain-sender",
            Self::PlainReceiver => "@plain-receiver",
            Self::Peer => "@peer",
        }
    }

    /// Is that process until the one that started it ends.
    pub(crate) fn play(self, arguments: impl Iterator<Item = OsString>) -> ExitCode {
        // A peer's stdin is its own to read, and it ends with it.
        if self != Self::Peer {
            end_with_starter();
        }
        match self {
            Self::Server => server::play::<Aes256Gcm>(arguments),
            Self::NullServer => server::play::<NullCipher>(arguments),
            Self::Product => {
                let program = OsString::from("bittrickle-server");
                bittrickle_server::cli::run(std::iter::once(program).chain(arguments))
            }
            Self::Echo => echo::run(),
            Self::Memory => memory::play(arguments),
            Self::PlainSender => plain::play_sender(arguments),
            Self::PlainReceiver => plain::play_receiver(arguments),
            Self::Peer => {
                let program = OsString::from("bittrickle");
                bittrickle_peer::cli::run(std::iter::once(program).chain(arguments))
            }
        }
    }

    /// This program in this role. Its stdin is a pipe: when that is closed, it ends.
    pub(crate) fn command(self) -> Result<Command, ProcessError> {
        let mut command = Command::new(std::env::current_exe().map_err(ProcessError::Start)?);
        command.arg(self.argument()).stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(command)
    }
}

/// Ends this process when the one that started it has gone in whatever way: then the pipe on stdin is closed.
fn end_with_starter() {
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
}

impl Process {
    /// Starts a process, and waits until it says where it listens.
    ///
    /// # Errors
    /// It doesn't start.
    pub(crate) fn start(role: Role, arguments: &[&OsStr]) -> Result<Self, ProcessError> {
        let mut child = role.command()?.args(arguments).spawn().map_err(ProcessError::Start)?;
        let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
        // Guarded from here on, also while its address isn't known.
        let mut process = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        process.address = listening_address(role, stdout)?;
        Ok(process)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU time it has used, in user space and in the kernel.
    ///
    /// # Errors
    /// The operating system has no /proc, or the process has ended.
    pub(crate) fn cpu_time(&self) -> Result<Duration, ProcessError> {
        cpu_time_of(self.child.id())
    }

    /// Its memory that is in use and no file's, in bytes.
    ///
    /// # Errors
    /// The operating system has no /proc, or the process has ended.
    pub(crate) fn resident_bytes(&self) -> Result<f64, ProcessError> {
        let id = self.child.id().to_string();
        let path = PathBuf::from(format!("/proc/{id}/status"));
        resident_bytes_of(&id).map_err(|error| ProcessError::Usage { path, error })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time that the process with this id has used, in user space and in the kernel; also of one that has ended, until it
/// is waited for.
///
/// # Errors
/// The operating system has no /proc, or there is no such process.
pub(crate) fn cpu_time_of(id: u32) -> Result<Duration, ProcessError> {
    let path = PathBuf::from(format!("/proc/{id}/stat"));
    let stat =
        std::fs::read_to_string(&path).map_err(|error| ProcessError::Usage { path: path.clone(), error })?;
    let ticks = cpu_ticks(&stat)
        .ok_or_else(|| ProcessError::Usage { path, error: io::ErrorKind::InvalidData.into() })?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Memory in bytes that is in use and no file's, of the process with this id, or of this one: `self`.
///
/// # Errors
/// The operating system has no /proc, or there is no such process.
pub(crate) fn resident_bytes_of(id: &str) -> io::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kibibytes = kibibytes.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kibibytes.map(|kibibytes| kibibytes * 1_024.0).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn listening_address(role: Role, stdout: ChildStdout) -> Result<SocketAddr, ProcessError> {
    let silent = |_| ProcessError::Silent { role };
    let deadline = Timespec::try_from(LISTENING_DEADLINE).expect("some seconds");
    let ready = poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&deadline));
    if ready.map_err(io::Error::from).map_err(silent)? == 0 {
        return Err(ProcessError::Silent { role });
    }
    let mut line = String::new();
    // A process writes its line in one piece, and one that has ended leaves an empty one.
    if BufReader::new(stdout).read_line(&mut line).map_err(silent)? == 0 {
        return Err(ProcessError::Silent { role });
    }
    let address = line.trim().trim_start_matches("listening on ").parse();
    address.map_err(|source| ProcessError::NoAddress { role, line, source })
}

/// utime and stime of a line of /proc/PID/stat. The second field is the program's name in parentheses, and may hold
/// anything; behind it, these are the 12th and the 13th.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_program_name() {
        let stat = "77 (a) b (c)) S 1 77 77 0 -1 4194304 100 0 0 0 250 40 0 0 20 0 1 0 300 1 2 3";
        assert_eq!(cpu_ticks(stat), Some(290));
        assert_eq!(cpu_ticks("77 (cut) S 1"), None);
    }
}
