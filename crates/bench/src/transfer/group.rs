//! Some members with a device each, their index server, and one more device that watches what is published.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bittrickle_wire::Query;
use bittrickle_wire::messages::{Filter, Reply, Request, Search};
use bittrickle_wire::seal::{Aes256Gcm, Host, Invite};

use super::TransferError;
use super::peer::{PeerProgram, Source};
use super::place::Place;
use super::program::Running;
use crate::client::Client;
use crate::people::{self, DEVICES_PER_MEMBER};
use crate::process::{ProcessError, Role};
use crate::server::{PASSWORD, Server};

/// Everything that peers need, running. Each peer has one of the numbers from 0 up.
#[derive(Debug)]
pub(super) struct Group {
    program: PeerProgram,
    watcher: Client<Aes256Gcm>,
    _server: Server,
    /// Each peer's state is in this folder.
    states: PathBuf,
}

/// Why the group doesn't come together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupError {
    /// A device can't join.
    #[error("{member} can't join: {stderr}")]
    Join {
        /// Whose device.
        member: String,
        /// What it complained about.
        stderr: String,
    },
    /// There is no room for the devices' states.
    #[error("can't make a folder, or can't write to a peer: {0}")]
    State(#[from] io::Error),
    /// Nobody has hashed it.
    #[error("the index lists no root of {name:?} after {} s", HASHING.as_secs())]
    NotHashed {
        /// What was published.
        name: String,
    },
}

/// How long hashing may take.
const HASHING: Duration = Duration::from_secs(600);

/// How often the index is asked for a root.
const LOOK: Duration = Duration::from_millis(20);

impl Group {
    /// Starts a server, and has so many peers join.
    ///
    /// # Errors
    /// The server doesn't start, or somebody isn't let in.
    pub(super) fn start(program: PeerProgram, place: &Place, peers: usize) -> Result<Self, TransferError> {
        let devices = (0..=peers).map(device_of);
        let server = Server::start(Role::Server, devices)?;
        let watcher = Client::log_in(&server, device_of(peers))?;
        let host: Host = server.process().address().to_string().parse().expect("an address is a host");
        let invite = Invite { host, key: server.key() }.to_string();
        let group = Self { program, watcher, _server: server, states: place.folder("states")? };
        for peer in 0..peers {
            group.join(&invite, peer)?;
        }
        Ok(group)
    }

    fn join(&self, invite: &str, peer: usize) -> Result<(), TransferError> {
        let member = people::member_of(device_of(peer)).as_str().to_owned();
        let password = self.states.join("password");
        fs::write(&password, PASSWORD).map_err(GroupError::State)?;
        let mut command = self.command(peer)?;
        command.args(["join", invite, "--user", &member, "--password-stdin"]);
        command.stdin(fs::File::open(&password).map_err(GroupError::State)?);
        let output = command.output().map_err(GroupError::State)?;
        if output.status.success() {
            return Ok(());
        }
        Err(GroupError::Join { member, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }.into())
    }

    /// Starts a peer that shares what is in this folder, with more arguments.
    ///
    /// # Errors
    /// It doesn't start, or isn't let in.
    pub(super) fn source(
        &self,
        peer: usize,
        folder: &Path,
        arguments: &[&str],
    ) -> Result<Source, TransferError> {
        let mut source = Source::start(self.command(peer)?, folder, arguments)?;
        source.wait_for_login()?;
        Ok(source)
    }

    /// Starts a peer that fetches one thing into this folder, and ends then.
    ///
    /// # Errors
    /// It doesn't start.
    pub(super) fn taker(&self, peer: usize, what: &str, folder: &Path) -> Result<Running, TransferError> {
        let mut command = self.command(peer)?;
        command.args(["get", what, "--out"]).arg(folder);
        Ok(Running::start("bittrickle get", command)?)
    }

    /// Waits until the index knows the root of what somebody has published.
    ///
    /// # Errors
    /// That takes too long.
    pub(super) fn wait_for_root(&mut self, name: &str) -> Result<(), TransferError> {
        // It may have been silent for too long.
        self.watcher.log_in_again()?;
        let text = Query::new(name).expect("the benchmark's own names are short words");
        let filter = Filter { is_exact: true, ..Filter::default() };
        let search = Request::Search(Search { text, filter, after: None });
        let deadline = Instant::now() + HASHING;
        while Instant::now() < deadline {
            let reply = self.watcher.ask(search.clone())?.reply;
            if matches!(reply, Reply::Found(found) if found.hits.iter().any(|hit| hit.content.root.is_some()))
            {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        Err(GroupError::NotHashed { name: name.to_owned() }.into())
    }

    fn command(&self, peer: usize) -> Result<Command, ProcessError> {
        self.program.command(&self.state(peer))
    }

    /// Made by the peer itself, so that nobody else can read it.
    fn state(&self, peer: usize) -> PathBuf {
        self.states.join(format!("peer-{peer}"))
    }
}

/// The bench's own device of a member: one that the server knows already. The peers' devices join.
fn device_of(peer: usize) -> usize {
    peer * DEVICES_PER_MEMBER
}
