//! A program that is run to its end: how long that takes, what CPU time it costs, how much memory it needs.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::interrupt;
use crate::process::{ProcessError, cpu_time_of};

/// A running program, ended when this value is dropped.
#[derive(Debug)]
pub(super) struct Running {
    name: &'static str,
    child: Child,
    start: Instant,
    stderr: File,
}

/// What a program took, from its start to its end.
#[derive(Debug)]
pub(super) struct Taken {
    /// Seconds from the moment before it was started to its end.
    pub(super) seconds: f64,
    /// Seconds of CPU time, in user space and in the kernel.
    pub(super) cpu_seconds: f64,
    /// What it wrote to stderr.
    pub(super) stderr: String,
}

/// Why a program did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    /// The operating system doesn't start it.
    #[error("can't start {name}: {error}")]
    Start {
        /// Which one.
        name: &'static str,
        /// Why.
        error: io::Error,
    },
    /// It ended without success.
    #[error("{name} ended with {code}: {stderr}")]
    Failed {
        /// Which one.
        name: &'static str,
        /// Its exit status, in words.
        code: String,
        /// What it wrote to stderr.
        stderr: String,
    },
    /// It doesn't end.
    #[error("{name} did not end within {} s", DEADLINE.as_secs())]
    Deadline {
        /// Which one.
        name: &'static str,
    },
    /// Somebody wants the benchmark to end.
    #[error("interrupted")]
    Interrupted,
    /// It can't be looked at.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The operating system refuses what it takes to look at it.
    #[error("can't watch a program: {0}")]
    Watch(#[from] io::Error),
    /// Linux's /proc doesn't tell its memory.
    #[error("{} doesn't tell the most memory that a process has had", path.display())]
    Memory {
        /// Where it should stand.
        path: PathBuf,
    },
}

/// The longest that any program takes: four gibibytes to a slow disk.
const DEADLINE: Duration = Duration::from_secs(1_200);

/// How often it is looked whether a program has ended.
const LOOK: Duration = Duration::from_millis(1);

/// Runs a command to its end, and takes nothing but success.
///
/// # Errors
/// It doesn't start, fails or doesn't end.
pub(super) fn run(name: &'static str, command: Command) -> Result<Taken, ProgramError> {
    Running::start(name, command)?.finish()
}

impl Running {
    /// Starts a program. Its stdin is a pipe that nobody writes to, open until it has ended.
    ///
    /// # Errors
    /// It doesn't start.
    pub(super) fn start(name: &'static str, mut command: Command) -> Result<Self, ProgramError> {
        let started = |error| ProgramError::Start { name, error };
        let stderr = tempfile::tempfile().map_err(started)?;
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        command.stderr(stderr.try_clone().map_err(started)?);
        let start = Instant::now();
        Ok(Self { name, child: command.spawn().map_err(started)?, start, stderr })
    }

    /// Waits for its success.
    ///
    /// # Errors
    /// It fails or doesn't end.
    pub(super) fn finish(self) -> Result<Taken, ProgramError> {
        let taken = self.watch(|_| Ok(ControlFlow::Continue(())))?;
        Ok(taken.expect("nobody has had enough of it"))
    }

    /// Waits for its success, and looks about every millisecond until then, at its process id for instance. Whoever has
    /// seen enough ends it; then it has taken nothing.
    ///
    /// # Errors
    /// It fails or doesn't end, or whoever looks fails.
    pub(super) fn watch(
        mut self,
        mut look: impl FnMut(u32) -> io::Result<ControlFlow<()>>,
    ) -> Result<Option<Taken>, ProgramError> {
        while !self.has_ended()? {
            if look(self.child.id())?.is_break() {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
        let seconds = self.start.elapsed().as_secs_f64();
        // Until it is waited for, the system still knows what it took.
        let cpu_seconds = cpu_time_of(self.child.id())?.as_secs_f64();
        let status = self.child.wait()?;
        let stderr = self.stderr_text()?;
        if !status.success() {
            return Err(ProgramError::Failed { name: self.name, code: status.to_string(), stderr });
        }
        Ok(Some(Taken { seconds, cpu_seconds, stderr }))
    }

    fn has_ended(&self) -> Result<bool, ProgramError> {
        if interrupt::requested() {
            return Err(ProgramError::Interrupted);
        }
        if self.start.elapsed() > DEADLINE {
            return Err(ProgramError::Deadline { name: self.name });
        }
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let ended = waitid(WaitId::Pid(Pid::from_child(&self.child)), look).map_err(io::Error::from)?;
        Ok(ended.is_some())
    }

    fn stderr_text(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.stderr.rewind()?;
        self.stderr.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a program that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
