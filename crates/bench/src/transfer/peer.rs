//! Peers as processes of their own, driven through their pipes as a script would drive them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bittrickle_wire::legacy::sentence;

use crate::interrupt;
use crate::process::{ProcessError, Role, cpu_time_of};

/// Where the peer is found.
#[derive(Clone, Debug)]
pub(super) enum PeerProgram {
    /// The product, built beside this program.
    Beside(PathBuf),
    /// This program, which has a peer in it.
    Inside,
}

/// A peer that shares what is in a folder, ended when this value is dropped.
#[derive(Debug)]
pub(super) struct Source {
    child: Child,
    stdin: ChildStdin,
    said: Receiver<String>,
    stderr: File,
}

/// Why a peer does not do what it is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    /// It has not been built.
    #[error("there is no {}; build it with `cargo build --release -p bittrickle-peer`", path.display())]
    NotBuilt {
        /// Where it should be.
        path: PathBuf,
    },
    /// The operating system doesn't start it, or its pipes break.
    #[error("can't start the peer, or can't speak with it: {0}")]
    Pipe(#[from] io::Error),
    /// It doesn't publish.
    #[error("the source has not published {name:?}; it said {said:?}, and on stderr {stderr:?}")]
    NotPublished {
        /// What it was to publish.
        name: String,
        /// What it said instead.
        said: Vec<String>,
        /// What it complained about.
        stderr: String,
    },
    /// Somebody wants the benchmark to end.
    #[error("interrupted")]
    Interrupted,
    /// This program can't be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// How long publishing may take, without the hashing.
const PUBLISHING: Duration = Duration::from_secs(120);

/// How often it is looked whether somebody wants the benchmark to end.
const LOOK: Duration = Duration::from_millis(100);

impl PeerProgram {
    /// The product beside this program.
    ///
    /// # Errors
    /// It isn't there.
    pub(super) fn beside() -> Result<Self, PeerError> {
        let path = std::env::current_exe()?.with_file_name("bittrickle");
        if path.is_file() { Ok(Self::Beside(path)) } else { Err(PeerError::NotBuilt { path }) }
    }

    /// A command that starts it with this state folder.
    ///
    /// # Errors
    /// This program can't be found.
    pub(super) fn command(&self, state: &Path) -> Result<Command, ProcessError> {
        let mut command = match self {
            Self::Beside(path) => Command::new(path),
            Self::Inside => Role::Peer.command()?,
        };
        command.args(["--state-dir".as_ref(), state.as_os_str()]);
        Ok(command)
    }
}

impl Source {
    /// Starts `bittrickle shell`, sharing this folder, with more arguments.
    ///
    /// # Errors
    /// It doesn't start.
    pub(super) fn start(mut command: Command, folder: &Path, arguments: &[&str]) -> Result<Self, PeerError> {
        let stderr = tempfile::tempfile()?;
        command.args([OsStr::new("--dir"), folder.as_os_str()]).args(arguments).arg("shell");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr.try_clone()?);
        let mut child = command.spawn()?;
        let stdin = child.stdin.take().expect("stdin was asked to be a pipe");
        let said = lines_of(child.stdout.take().expect("stdout was asked to be a pipe"));
        Ok(Self { child, stdin, said, stderr })
    }

    /// Waits until it is logged in.
    ///
    /// # Errors
    /// It doesn't log in.
    pub(super) fn wait_for_login(&mut self) -> Result<(), PeerError> {
        self.wait_for(sentence::WELCOME, "")
    }

    /// Publishes a file or a folder, and waits until it says that it has. It may still be hashed then.
    ///
    /// # Errors
    /// It doesn't.
    pub(super) fn publish(&mut self, name: &str) -> Result<(), PeerError> {
        writeln!(self.stdin, "pub {name}")?;
        self.stdin.flush()?;
        self.wait_for(sentence::PUBLISHED, name)
    }

    /// Seconds of CPU time that it has used.
    ///
    /// # Errors
    /// It has gone.
    pub(super) fn cpu_seconds(&self) -> Result<f64, ProcessError> {
        Ok(cpu_time_of(self.id())?.as_secs_f64())
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    fn wait_for(&mut self, sentence: &str, name: &str) -> Result<(), PeerError> {
        let deadline = Instant::now() + PUBLISHING;
        let mut said = Vec::new();
        while Instant::now() < deadline {
            if interrupt::requested() {
                return Err(PeerError::Interrupted);
            }
            match self.said.recv_timeout(LOOK) {
                Ok(line) if line == sentence => return Ok(()),
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let mut stderr = Vec::new();
        self.stderr.rewind()?;
        self.stderr.read_to_end(&mut stderr)?;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Err(PeerError::NotPublished { name: name.to_owned(), said, stderr })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Both fail only for a peer that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a pipe, until it is closed.
fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Who asked has gone.
            let Ok(()) = sender.send(line) else { return };
        }
    });
    lines
}
