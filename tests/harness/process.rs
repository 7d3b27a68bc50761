//! Server and peer as processes of their own, started from one binary.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_for;

/// The binary that holds both programs.
#[derive(Clone, Debug)]
pub struct Programs {
    path: PathBuf,
}

/// A process that is killed, if need be, when its owner goes.
#[derive(Debug)]
pub struct Process(Child);

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// All that it wrote to stdout, line by line.
    pub stdout: Vec<String>,
    /// All that it wrote to stderr, line by line.
    pub stderr: Vec<String>,
}

/// How long a process may take to end once it is told to.
pub const END_WAIT: Duration = Duration::from_secs(10);

impl Programs {
    /// The binary at this path.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// A command that starts the server.
    #[must_use]
    pub fn server(&self) -> Command {
        self.command("server")
    }

    /// A command that starts the peer.
    #[must_use]
    pub fn peer(&self) -> Command {
        self.command("peer")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(&self.path);
        command.arg(program);
        command
    }
}

/// Runs one of the programs when the first argument names it.
pub fn run_as_program(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().peekable();
    match arguments.peek()?.to_str()? {
        "server" => Some(bittrickle_server::cli::run(arguments)),
        "peer" => Some(bittrickle_peer::cli::run(arguments)),
        _ => None,
    }
}

/// Runs a command to its end, with this on its stdin.
///
/// # Panics
/// It can't be started.
#[must_use]
pub fn run(mut command: Command, stdin: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the test program is built");
    let mut pipe = child.stdin.take().expect("it is piped");
    // It may end without reading.
    let _ = pipe.write_all(stdin.as_bytes());
    drop(pipe);
    child.wait_with_output().expect("its pipes are ours")
}

impl Process {
    /// Takes charge of a process.
    #[must_use]
    pub fn new(child: Child) -> Self {
        Self(child)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, signal).expect("the process is ours and has not been waited for");
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("the process is ours").is_some()
    }

    /// Kills it in the middle of whatever it does.
    pub fn kill(&mut self) {
        self.0.kill().expect("the process is ours");
        self.0.wait().expect("the process is ours");
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_at_most(END_WAIT)
    }

    /// The same, for a process that has something to do.
    pub fn wait_at_most(&mut self, deadline: Duration) -> ExitStatus {
        wait_for("the process ends", deadline, || self.ended())
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// It can't be waited for.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("the process is ours")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ended {
    /// Its exit code; `None` when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// All that it wrote to stderr.
    #[must_use]
    pub fn told(&self) -> String {
        self.stderr.join("\n")
    }
}
