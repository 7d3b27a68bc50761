//! `bittrickle get` as a process: one download, its exit code, and what it leaves behind.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::kept;
use crate::lines::Lines;
use crate::peer::{At, join};
use crate::process::{Ended, Process, Programs};
use crate::wait::wait_for;

/// A device that has joined, and fetches with `bittrickle get`.
#[derive(Debug)]
pub struct Taker {
    programs: Programs,
    state: TempDir,
    /// Where downloads go, unless they are told to go elsewhere.
    own: TempDir,
    out: PathBuf,
    extra: Vec<String>,
}

/// A running `bittrickle get`.
#[derive(Debug)]
pub struct Get {
    process: Process,
    stdout: Lines,
    stderr: Lines,
}

/// How long a download of the scenarios may take.
const GET_WAIT: Duration = Duration::from_secs(120);

impl Taker {
    /// A new device of this member, with an empty folder of its own.
    ///
    /// # Panics
    /// It can't join.
    #[must_use]
    pub fn join(programs: &Programs, server: impl Into<At>, user: &str, password: &str) -> Self {
        let state = tempfile::tempdir().expect("a temporary folder");
        let own = tempfile::tempdir().expect("a temporary folder");
        let invite = server.into().invite().expect("who joins has an invite").to_string();
        let joined = join(programs, &invite, user, password, &state.path().join("state"));
        assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
        let out = own.path().to_owned();
        Self { programs: programs.clone(), state, own, out, extra: Vec::new() }
    }

    /// The device whose state another program has left, with downloads in a copy of this folder.
    #[must_use]
    pub fn go_on_with(programs: &Programs, state: TempDir, downloads: &Path) -> Self {
        let own = tempfile::tempdir().expect("a temporary folder");
        kept::copy(downloads, own.path());
        let out = own.path().to_owned();
        Self { programs: programs.clone(), state, own, out, extra: Vec::new() }
    }

    /// Fetches to this folder from now on.
    #[must_use]
    pub fn to(mut self, out: &Path) -> Self {
        self.out = out.to_owned();
        self
    }

    /// Fetches with these options as well.
    #[must_use]
    pub fn with(mut self, extra: &[&str]) -> Self {
        self.extra = extra.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    /// Where downloads go.
    #[must_use]
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// The folder of its own.
    #[must_use]
    pub fn own(&self) -> &Path {
        self.own.path()
    }

    /// A path where downloads go.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// Begins a download.
    ///
    /// # Panics
    /// The program isn't there.
    #[must_use]
    pub fn start(&self, what: &str) -> Get {
        let (stdout, stderr) = (Lines::new(), Lines::new());
        let child = self
            .programs
            .peer()
            .arg("--state-dir")
            .arg(self.state.path().join("state"))
            .args(["get", what, "--out"])
            .arg(&self.out)
            .args(&self.extra)
            .stdin(Stdio::null())
            .stdout(stdout.stdio())
            .stderr(stderr.stdio())
            .spawn()
            .expect("the test program is built");
        Get { process: Process::new(child), stdout, stderr }
    }

    /// A whole download.
    #[must_use]
    pub fn get(&self, what: &str) -> Ended {
        self.start(what).wait()
    }

    /// Everything where downloads go, by name.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        names_in(&self.out)
    }

    /// What is there of downloads that aren't complete: parts and journals.
    #[must_use]
    pub fn left_overs(&self) -> Vec<String> {
        self.names().into_iter().filter(|name| name.starts_with(".bittrickle-")).collect()
    }

    /// The one part that is there.
    #[must_use]
    pub fn part(&self) -> Option<PathBuf> {
        self.names().into_iter().find(|name| name.ends_with(".part")).map(|name| self.path(&name))
    }

    /// Bytes that the part takes on disk; 0 while there is none.
    #[must_use]
    pub fn part_bytes(&self) -> u64 {
        self.part().map_or(0, |part| bytes_on_disk(&part))
    }
}

impl Get {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Kills it without a word.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// Waits until a line with this text is on stderr.
    pub fn wait_for_stderr(&self, text: &str) -> String {
        let what = format!("{text:?} is on stderr: {:?}", self.stderr.from(0));
        wait_for(&what, GET_WAIT, || self.stderr.find(text))
    }

    /// What it wrote to stderr so far.
    #[must_use]
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.from(0)
    }

    /// Waits until it has ended, and gives all that it wrote.
    #[must_use]
    pub fn wait(mut self) -> Ended {
        let status = self.process.wait_at_most(GET_WAIT);
        Ended { status, stdout: self.stdout.all(), stderr: self.stderr.all() }
    }
}

/// The names in a folder, in order.
///
/// # Panics
/// The folder can't be read.
#[must_use]
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is ours");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("readable").file_name();
    let mut names: Vec<String> = entries.map(name).map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Bytes that a file takes on disk, or all files below a folder: what goes away meanwhile counts for nothing.
fn bytes_on_disk(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    if !metadata.is_dir() {
        return metadata.blocks() * 512;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| bytes_on_disk(&entry.path())).sum()
}
