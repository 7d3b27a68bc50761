//! Server and peer as processes of their own, started from one binary.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
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

/// What a stream has brought so far.
#[derive(Debug)]
pub(crate) struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
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

impl Lines {
    pub(crate) fn read(stream: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { return };
                let line = String::from_utf8_lossy(&line).into_owned();
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { lines, reader: Some(reader) }
    }

    pub(crate) fn count(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn from(&self, start: usize) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)[start..].to_vec()
    }

    pub(crate) fn find(&self, text: &str) -> Option<String> {
        self.from(0).into_iter().find(|line| line.contains(text))
    }

    /// Everything, once the stream has ended.
    pub(crate) fn all(&mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader doesn't panic");
        }
        self.from(0)
    }
}
