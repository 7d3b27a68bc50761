//! The peer as a process, driven through its pipes.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Output, Stdio};

use bittrickle_wire::seal::Invite;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::get::names_in;
use crate::lines::Lines;
use crate::process::{Ended, Process, Programs, run};
use crate::sealed_index::SealedIndex;
use crate::server::Server;
use crate::wait::wait_for;

/// A running `bittrickle … shell`, with a folder of its own.
#[derive(Debug)]
pub struct Peer {
    process: Process,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
    folder: TempDir,
    state: TempDir,
}

/// Where a peer's server is, and, unless it is an original one, its key.
#[derive(Clone, Debug)]
pub struct At {
    address: SocketAddr,
    invite: Option<Invite>,
}

/// `help` ends with this line: where it comes, everything asked for before has been answered.
const LAST_LINE_OF_HELP: &str = "  xit        leave (also: quit)";

/// Lines that `help` writes.
const LINES_OF_HELP: usize = 9;

/// How long a command may take.
const COMMAND_WAIT: std::time::Duration = std::time::Duration::from_secs(60);

impl Peer {
    /// Starts a peer that has joined and logged in, in a folder of its own; with `--legacy`, one that has logged in.
    ///
    /// # Panics
    /// It can't join.
    #[must_use]
    pub fn start(
        programs: &Programs,
        server: impl Into<At>,
        user: &str,
        password: &str,
        extra: &[&str],
    ) -> Self {
        let mut peer = Self::enter(programs, server, user, password, extra);
        if extra.contains(&"--legacy") {
            peer.type_line(user);
            peer.type_line(password);
        }
        // The last line of the greeting: what comes after it answers commands.
        peer.wait_for_stdout("Available commands are");
        peer
    }

    /// Starts a peer that has joined, and waits for nothing more; with `--legacy`, one that asks for a name and a password.
    ///
    /// # Panics
    /// It can't join.
    #[must_use]
    pub fn enter(
        programs: &Programs,
        server: impl Into<At>,
        user: &str,
        password: &str,
        extra: &[&str],
    ) -> Self {
        let At { address, invite } = server.into();
        let state = tempfile::tempdir().expect("a temporary folder");
        match invite.filter(|_| !extra.contains(&"--legacy")) {
            Some(invite) => {
                let joined = join(programs, &invite.to_string(), user, password, &state_dir(&state));
                assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
                Self::spawn(programs, state, &[], extra)
            }
            None => Self::launch_in(programs, state, address, extra),
        }
    }

    /// Starts a peer for the server at this address, and waits for nothing: with `--legacy` it asks for a name and a
    /// password; without, it has not joined.
    #[must_use]
    pub fn launch(programs: &Programs, server: SocketAddr, extra: &[&str]) -> Self {
        Self::launch_in(programs, tempfile::tempdir().expect("a temporary folder"), server, extra)
    }

    fn launch_in(programs: &Programs, state: TempDir, server: SocketAddr, extra: &[&str]) -> Self {
        Self::spawn(programs, state, &["--server", &server.to_string()], extra)
    }

    fn spawn(programs: &Programs, state: TempDir, server: &[&str], extra: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::spawn_in(programs, state, folder, server, extra)
    }

    fn spawn_in(
        programs: &Programs,
        state: TempDir,
        folder: TempDir,
        server: &[&str],
        extra: &[&str],
    ) -> Self {
        let (stdout, stderr) = (Lines::new(), Lines::new());
        let mut child = programs
            .peer()
            .args(server)
            .arg("--state-dir")
            .arg(state_dir(&state))
            .arg("--dir")
            .arg(folder.path())
            .args(extra)
            .arg("shell")
            .stdin(Stdio::piped())
            .stdout(stdout.stdio())
            .stderr(stderr.stdio())
            .spawn()
            .expect("the test program is built");
        let stdin = child.stdin.take();
        Self { process: Process::new(child), stdin, stdout, stderr, folder, state }
    }

    /// Starts a peer with the state and the folder that another one has left.
    #[must_use]
    pub fn go_on_with(programs: &Programs, state: TempDir, folder: TempDir, extra: &[&str]) -> Self {
        let peer = Self::spawn_in(programs, state, folder, &[], extra);
        peer.wait_for_stdout("Available commands are");
        peer
    }

    /// Where its key and its pinned servers are.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        state_dir(&self.state)
    }

    /// The peer's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the peer's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Publishes what is in its folder under this name.
    ///
    /// # Panics
    /// It isn't published.
    pub fn publish(&mut self, name: &str) {
        let told = self.ask(&format!("pub {name}"));
        assert_eq!(told, ["File published successfully"], "{name}: {:?}", self.stderr());
    }

    /// Puts a file into the peer's folder, and publishes it.
    pub fn share(&mut self, name: &str, bytes: &[u8]) {
        self.write(name, bytes);
        self.publish(name);
    }

    /// Puts a file into the peer's folder.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("the folder is ours");
    }

    /// Everything in the peer's folder, by name.
    #[must_use]
    pub fn folder_names(&self) -> Vec<String> {
        names_in(self.folder())
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        self.type_bytes(format!("{line}\n").as_bytes());
    }

    /// Types whatever bytes.
    pub fn type_bytes(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("the input has not been ended");
        stdin.write_all(bytes).and_then(|()| stdin.flush()).expect("the peer reads");
    }

    /// Types a command, and gives what it wrote to stdout.
    pub fn ask(&mut self, command: &str) -> Vec<String> {
        let before = self.stdout.count();
        self.type_line(command);
        self.type_line("help");
        let lines = wait_for(&format!("{command:?} is answered"), COMMAND_WAIT, || {
            let lines = self.stdout.from(before);
            lines.last().is_some_and(|line| line == LAST_LINE_OF_HELP).then_some(lines)
        });
        lines[..lines.len() - LINES_OF_HELP].to_vec()
    }

    /// Waits until a line with this text is on stdout.
    pub fn wait_for_stdout(&self, text: &str) -> String {
        let what = format!("{text:?} is on stdout; stderr: {:?}", self.stderr.from(0));
        wait_for(&what, COMMAND_WAIT, || self.stdout.find(text))
    }

    /// Waits until a line with this text is on stderr.
    pub fn wait_for_stderr(&self, text: &str) -> String {
        wait_for(&format!("{text:?} is on stderr"), COMMAND_WAIT, || self.stderr.find(text))
    }

    /// What it wrote to stderr so far.
    #[must_use]
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.from(0)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Kills it without a word.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends its input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Kills it without a word, and starts another one with the same key in the same folder, which has published nothing yet.
    #[must_use]
    pub fn kill_and_restart(mut self, programs: &Programs, extra: &[&str]) -> Self {
        self.kill();
        let Self { state, folder, .. } = self;
        Self::go_on_with(programs, state, folder, extra)
    }

    /// Waits until it has ended, and gives all that it wrote.
    #[must_use]
    pub fn wait(mut self) -> Ended {
        let status = self.process.wait();
        Ended { status, stdout: self.stdout.all(), stderr: self.stderr.all() }
    }
}

impl At {
    /// Where the server is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What lets somebody join there; an original server has no such thing.
    #[must_use]
    pub fn invite(&self) -> Option<&Invite> {
        self.invite.as_ref()
    }
}

impl From<&Server> for At {
    fn from(server: &Server) -> Self {
        Self { address: server.address(), invite: Some(server.invite().clone()) }
    }
}

impl From<&SealedIndex> for At {
    fn from(index: &SealedIndex) -> Self {
        Self::from(&index.invite())
    }
}

impl From<SocketAddr> for At {
    /// An original server.
    fn from(address: SocketAddr) -> Self {
        Self { address, invite: None }
    }
}

impl From<&Invite> for At {
    fn from(invite: &Invite) -> Self {
        let address = invite.host.as_str().parse().expect("the invites of the scenarios have addresses");
        Self { address, invite: Some(invite.clone()) }
    }
}

/// Runs `bittrickle join` with this password on its stdin.
#[must_use]
pub fn join(programs: &Programs, invite: &str, user: &str, password: &str, state_dir: &Path) -> Output {
    let mut command = programs.peer();
    command.args(["join", invite, "--user", user, "--password-stdin", "--state-dir"]).arg(state_dir);
    run(command, &format!("{password}\n"))
}

fn state_dir(state: &TempDir) -> PathBuf {
    // Made by the peer itself, so that nobody else can read it.
    state.path().join("state")
}
