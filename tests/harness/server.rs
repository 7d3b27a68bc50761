//! The index server as a process.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::OnceLock;

use bittrickle_wire::seal::Invite;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::kept;
use crate::process::{Process, Programs, run};
use crate::wait::wait_until;

/// A running `bittrickle-server`.
#[derive(Debug)]
pub struct Server {
    programs: Programs,
    process: Process,
    address: SocketAddr,
    folder: TempDir,
    extra: Vec<String>,
    invite: OnceLock<Invite>,
}

/// The members that every server of the scenarios knows.
pub const CREDENTIALS: &str = "alice wonderland\nbob builder\ncarol singer\ndave diver\n";

impl Server {
    /// Starts a server on a free port of 127.0.0.1.
    #[must_use]
    pub fn start(programs: &Programs) -> Self {
        Self::start_with(programs, &[])
    }

    /// Starts a server with more arguments.
    #[must_use]
    pub fn start_with(programs: &Programs, extra: &[&str]) -> Self {
        Self::start_at(programs, "127.0.0.1:0", extra)
    }

    /// Starts a server with a copy of this data folder, and no member but those in it.
    #[must_use]
    pub fn go_on_with(programs: &Programs, data_dir: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        kept::copy(data_dir, &folder.path().join("data"));
        let (process, address) = spawn(programs, &folder, "127.0.0.1:0", &[]);
        let (extra, invite) = (Vec::new(), OnceLock::new());
        Self { programs: programs.clone(), process, address, folder, extra, invite }
    }

    /// Starts a server that listens elsewhere.
    #[must_use]
    pub fn start_at(programs: &Programs, listen: &str, extra: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("credentials"), CREDENTIALS).expect("the folder is ours");
        let extra: Vec<String> = extra.iter().map(|text| (*text).to_owned()).collect();
        let (process, address) = spawn(programs, &folder, listen, &extra);
        let invite = OnceLock::new();
        Self { programs: programs.clone(), process, address, folder, extra, invite }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its admin gives to members: where it is, and its key.
    ///
    /// # Panics
    /// `bittrickle-server invite` fails.
    #[must_use]
    pub fn invite(&self) -> &Invite {
        self.invite.get_or_init(|| {
            let output = self.admin(&["invite", "--host", &self.address.to_string()], "");
            let line = String::from_utf8(output.stdout).expect("an invite is ASCII");
            line.parse().unwrap_or_else(|error| panic!("{line:?}: {error}"))
        })
    }

    /// Runs an admin's command for this server's data folder, with this on its stdin.
    #[must_use]
    pub fn admin(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut command = self.programs.server();
        command.args(arguments).arg("--data-dir").arg(self.data_dir());
        run(command, stdin)
    }

    /// Makes one more member, who has this name for a password.
    ///
    /// # Panics
    /// The server doesn't take the member.
    pub fn add_member(&self, member: &str) {
        let added = self.admin(&["user", "add", member, "--password-stdin"], &format!("{member}\n"));
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }

    /// Its data folder.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it wrote to stderr so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(log_path(&self.folder)).unwrap_or_default()
    }

    /// Kills it without a word and starts another one on the same port.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Kills it without a word.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts another one on the port of the one that has been killed.
    pub fn restart(&mut self) {
        let listen = self.address.to_string();
        (self.process, self.address) = spawn(&self.programs, &self.folder, &listen, &self.extra);
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.process.signal(signal);
        self.process.wait()
    }
}

fn log_path(folder: &TempDir) -> PathBuf {
    folder.path().join("log")
}

fn spawn(programs: &Programs, folder: &TempDir, listen: &str, extra: &[String]) -> (Process, SocketAddr) {
    let log =
        fs::File::options().create(true).append(true).open(log_path(folder)).expect("the folder is ours");
    let reads_before = reads(folder);
    let mut command = programs.server();
    command.args(["-v", "--listen", listen, "--data-dir"]).arg(folder.path().join("data")).args(extra);
    let credentials = folder.path().join("credentials");
    if credentials.exists() {
        command.arg("--credentials").arg(credentials);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the test program is built");
    let stdout = child.stdout.take().expect("it is piped");
    let mut process = Process::new(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("the server's stdout is a pipe");
    let address = line.trim_end().strip_prefix("listening on ").and_then(|address| address.parse().ok());
    let address = address.unwrap_or_else(|| {
        panic!("the first line is {line:?}; {}", fs::read_to_string(log_path(folder)).unwrap_or_default())
    });
    // It listens before it knows what is published, and refuses what is asked about that until then (BT-2.6-8).
    wait_until("the server has read what is published, or ends", || {
        reads(folder) > reads_before || process.has_ended()
    });
    (process, address)
}

/// How often a server of this folder has read what is published.
fn reads(folder: &TempDir) -> usize {
    fs::read_to_string(log_path(folder)).unwrap_or_default().matches("publications are read").count()
}
