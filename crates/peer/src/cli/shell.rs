//! `bittrickle shell`: a session, with commands from a terminal or a pipe.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bittrickle_wire::legacy::sentence;
use bittrickle_wire::limits::PAGE_ENTRIES_MAX;
use bittrickle_wire::seal::{Host, SecretKey};
use bittrickle_wire::{TransferPort, escaped};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::address::{pinned_at, resolve};
use super::arguments::Arguments;
use super::error::PeerError;
use super::{INTERRUPTED, TERMINATED, device_key};
use crate::net::{FileServer, FramedIndex, Gate, Identity, Index, IndexError, LegacyIndex, connect_index};
use crate::session::Event;
use crate::share::{Folder, Shares};
use crate::shell::{Connection, Input, InputEnd, Output, Seal, Shell, ShellEnd};
use crate::state::{PinnedServer, PinnedServers, StateDir, StateLock};
use crate::transfer::{Admission, Deadlines};

/// Exit code when the server doesn't take this device, or not any more.
const NOT_LET_IN: u8 = 4;

/// Runs until it ends by itself or by a signal, and closes everything either way. Returns the exit code.
pub(super) async fn run(arguments: &Arguments, file_mode: u32) -> Result<u8, PeerError> {
    let entry = Entry::choose(arguments)?;
    let peer = Peer::start(arguments, entry, file_mode).await?;
    // From here on there is something to close; before, a signal ends the program as it ends any other.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut input = Input::open();
    let mut session = None;
    let code = tokio::select! {
        result = peer.log_in_and_run(arguments, &mut input, &mut session) => result,
        _ = interrupt.recv() => Ok(INTERRUPTED),
        _ = terminate.recv() => Ok(TERMINATED),
    };
    if let Some(shell) = session {
        shell.index.leave().await;
    }
    peer.file_server.stop().await;
    code
}

/// How the session is begun.
enum Entry {
    /// Sealed, with the device's key, at a server that was joined.
    Sealed(Box<Sealed>),
    /// In the original's format, with a name and a password.
    Legacy {
        server: String,
        /// None of these is ever spoken to in clear.
        joined: PinnedServers,
    },
}

struct Sealed {
    server: PinnedServer,
    device: SecretKey,
    /// What the session learns, for the gate of the file server.
    admission: Arc<Mutex<Admission>>,
    gate: Gate,
    _lock: StateLock,
}

/// What is there before the login.
struct Peer {
    entry: Entry,
    server: SocketAddr,
    folder_path: PathBuf,
    folder: Arc<Folder>,
    shares: Arc<Shares>,
    file_server: FileServer,
    output: Output,
}

impl Entry {
    fn choose(arguments: &Arguments) -> Result<Self, PeerError> {
        let state_dir = arguments.state_dir.as_deref();
        if let (true, Some(server)) = (arguments.legacy, &arguments.server) {
            let joined = StateDir::open_existing(state_dir)?.map(|state| state.servers()).transpose()?;
            return Ok(Self::Legacy { server: server.clone(), joined: joined.unwrap_or_default() });
        }
        let host = arguments.server.as_deref().map(str::parse).transpose()?;
        let state = StateDir::open(state_dir)?;
        let lock = state.lock()?;
        let server = choose_server(&state.servers()?, host.as_ref(), arguments.user.as_deref())?;
        let (device, admission) = (device_key(&state)?, Arc::default());
        let gate = Gate::new(device.clone(), Arc::clone(&admission))?;
        Ok(Self::Sealed(Box::new(Sealed { server, device, admission, gate, _lock: lock })))
    }

    /// Where the server is, as it was given.
    fn server(&self) -> &str {
        match self {
            Self::Sealed(sealed) => sealed.server.host.as_str(),
            Self::Legacy { server, .. } => server,
        }
    }

    /// Where other peers are let in; in the original's format, they need no permission.
    fn gate(&self) -> Option<Gate> {
        match self {
            Self::Sealed(sealed) => Some(sealed.gate.clone()),
            Self::Legacy { .. } => None,
        }
    }

    /// A pinned server is never spoken to in clear, whatever it is called this time.
    async fn check_downgrade(&self, address: SocketAddr) -> Result<(), PeerError> {
        let Self::Legacy { server, joined } = self else { return Ok(()) };
        match pinned_at(joined, server, address).await {
            Some(pinned) => Err(PeerError::Downgrade { server: server.clone(), pinned: pinned.host.clone() }),
            None => Ok(()),
        }
    }
}

/// The server that was joined last, or the one that is asked for.
fn choose_server(
    servers: &PinnedServers,
    host: Option<&Host>,
    user: Option<&str>,
) -> Result<PinnedServer, PeerError> {
    let server = match host {
        Some(host) => servers.find(host).ok_or_else(|| PeerError::NotJoined(host.clone()))?,
        None => servers.joined_last().ok_or(PeerError::NothingJoined)?,
    };
    match user {
        Some(user) if user != server.member.as_str() => Err(PeerError::OtherMember {
            host: server.host.clone(),
            joined: server.member.clone(),
            given: user.to_owned(),
        }),
        Some(_) | None => Ok(server.clone()),
    }
}

impl Peer {
    async fn start(arguments: &Arguments, entry: Entry, file_mode: u32) -> Result<Self, PeerError> {
        let folder_path = arguments.dir.clone().unwrap_or_else(|| PathBuf::from("."));
        let folder = Folder::open(&folder_path, file_mode)
            .map_err(|error| PeerError::Folder { path: folder_path.clone(), error })?;
        // For `status`: where that is, wherever this was started from.
        let folder_path = folder_path.canonicalize().unwrap_or(folder_path);
        let server = resolve(entry.server()).await?;
        entry.check_downgrade(server).await?;
        let (_, ip) = connect_index(server).await?;
        let (folder, shares) = (Arc::new(folder), Arc::new(Shares::default()));
        let (server_folder, server_shares) = (Arc::clone(&folder), Arc::clone(&shares));
        let file_server =
            FileServer::start(ip, server_folder, server_shares, Deadlines::default(), entry.gate()).await?;
        Ok(Self { entry, server, folder_path, folder, shares, file_server, output: Output::open() })
    }

    /// The shell stays in `session`, so that it can be left in order even when a signal cuts this short.
    async fn log_in_and_run(
        &self,
        arguments: &Arguments,
        input: &mut Input,
        session: &mut Option<Shell>,
    ) -> Result<u8, PeerError> {
        let (sender, events) = mpsc::unbounded_channel();
        let (index, connection) = match &self.entry {
            Entry::Sealed(sealed) => self.log_in_sealed(arguments, sealed, sender).await?,
            Entry::Legacy { server, .. } => self.log_in_legacy(arguments, server, input, sender).await?,
        };
        let (folder, shares) = (Arc::clone(&self.folder), Arc::clone(&self.shares));
        let shell = session.insert(Shell { index, folder, shares, events, output: self.output, connection });
        let greeted = self
            .output
            .say(sentence::WELCOME)
            .and_then(|()| self.output.say("Available commands are: get, lap, lpf, pub, sch, unp, xit"));
        if greeted.is_err() {
            return Ok(0);
        }
        self.tell_left_overs(shell).await;
        match shell.run(input).await {
            ShellEnd::Left => {
                // If nobody reads it, nobody misses it.
                let _ = self.output.say("Goodbye!");
                Ok(0)
            }
            ShellEnd::Interrupted => Ok(INTERRUPTED),
            ShellEnd::SessionEnded => Ok(NOT_LET_IN),
        }
    }

    /// The device's key is all that the server asks for.
    async fn log_in_sealed(
        &self,
        arguments: &Arguments,
        sealed: &Sealed,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<(Index, Connection), PeerError> {
        let Sealed { server, device, admission, gate, _lock: _ } = sealed;
        let transfer_port = TransferPort::new(self.file_server.address().port())?;
        let (server_key, admission) = (server.key, Arc::clone(admission));
        let identity = Identity { server_key, device: device.clone(), transfer_port, admission };
        let index = FramedIndex::log_in(self.server, identity, arguments.encoding(), events)
            .await
            .map_err(|error| PeerError::login(&server.host, self.server, error))?;
        let seal = Seal { server_key: server_key.fingerprint(), device: device.clone(), gate: gate.clone() };
        let connection = self.connection(server.host.as_str(), server.member.as_str(), Some(seal));
        Ok((Index::Framed(index), connection))
    }

    /// Asks for a name and a password until they are right, as the original does.
    async fn log_in_legacy(
        &self,
        arguments: &Arguments,
        server: &str,
        input: &mut Input,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<(Index, Connection), PeerError> {
        let port = self.file_server.address().port();
        loop {
            let username = match &arguments.user {
                Some(user) => user.clone(),
                None => answer(input.answer("Enter your username: ").await)?,
            };
            let password = Zeroizing::new(answer(input.secret("Enter your password: ").await)?);
            let tried = LegacyIndex::log_in(self.server, &username, &password, port, events.clone()).await;
            match tried.map_err(IndexError::from) {
                Ok(index) => return Ok((Index::Legacy(index), self.connection(server, &username, None))),
                Err(error) if error.is_wrong_password() => {
                    self.output.say(&escaped(&error.to_string()).to_string())?;
                }
                Err(error) => return Err(PeerError::Login { server: self.server, error }),
            }
        }
    }

    fn connection(&self, server: &str, member: &str, seal: Option<Seal>) -> Connection {
        Connection {
            server: server.to_owned(),
            address: self.server,
            member: member.to_owned(),
            seal,
            folder: self.folder_path.clone(),
        }
    }

    /// Publications outlive sessions, but what is served is what was published in this one.
    async fn tell_left_overs(&self, shell: &Shell) {
        // One page is enough to say so: a member may have published a great many.
        let Ok(listing) = shell.index.files(1).await else { return };
        let left = listing.entries.iter().filter(|file| file.sources == Some(0)).count();
        if left > 0 {
            let files = match left {
                1 => "1 file".to_owned(),
                _ if left == PAGE_ENTRIES_MAX => format!("{left} files or more"),
                _ => format!("{left} files"),
            };
            self.output.complain(&format!(
                "{files} of yours published earlier can't be fetched from here until you `pub` them again; `lpf` lists them"
            ));
        }
    }
}

fn answer(line: Result<String, InputEnd>) -> Result<String, PeerError> {
    line.map_err(|end| match end {
        InputEnd::End => PeerError::Refused,
        InputEnd::Interrupted => PeerError::Interrupted,
        InputEnd::BadLine(error) => PeerError::System(error),
    })
}

#[cfg(test)]
mod tests {
    use bittrickle_wire::MemberName;
    use bittrickle_wire::seal::PublicKey;

    use super::*;

    fn servers() -> PinnedServers {
        let mut servers = PinnedServers::default();
        for (host, member) in [("first.example:1", "alice"), ("second.example:1", "bob")] {
            let (key, member) = (PublicKey::from_bytes([1; 32]), MemberName::new(member).unwrap());
            servers.pin(PinnedServer { host: host.parse().unwrap(), key, member, joined_at: 0 }).unwrap();
        }
        servers
    }

    #[test]
    fn a_shell_goes_to_the_server_that_was_joined_last_or_to_the_one_that_is_asked_for() {
        let first = "First.example:1".parse().unwrap();
        for (host, user, expected) in
            [(None, None, "bob"), (None, Some("bob"), "bob"), (Some(&first), None, "alice")]
        {
            assert_eq!(choose_server(&servers(), host, user).unwrap().member.as_str(), expected);
        }
    }

    #[test]
    fn who_has_not_joined_is_told_to() {
        let other = "other.example:1".parse().unwrap();
        let nothing = choose_server(&PinnedServers::default(), None, None).unwrap_err();
        for error in [nothing, choose_server(&servers(), Some(&other), None).unwrap_err()] {
            assert!(error.to_string().contains("join first: bittrickle join INVITE --user NAME"), "{error}");
            assert_eq!(error.exit_code(), 4);
        }
    }

    #[test]
    fn another_member_than_the_one_that_joined_is_wrong_usage() {
        let error = choose_server(&servers(), None, Some("alice")).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("bob's at second.example:1, not alice's"), "{error}");
    }

    #[tokio::test]
    async fn a_joined_server_is_never_spoken_to_in_clear() {
        let address = SocketAddr::from(([192, 0, 2, 1], 1));
        let entry = |server: &str| Entry::Legacy { server: server.to_owned(), joined: servers() };
        let error = entry("first.example:1").check_downgrade(address).await.unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains("--legacy"), "{error}");
        let other = Entry::Legacy { server: "192.0.2.1:1".to_owned(), joined: PinnedServers::default() };
        assert!(other.check_downgrade(address).await.is_ok());
    }
}
