//! A peer with its file server, and how it logs in: what every command needs that talks to an index.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bittrickle_wire::seal::{Host, SecretKey};
use bittrickle_wire::{TransferPort, escaped};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::address::{pinned_at, resolve};
use super::arguments::Arguments;
use super::device_key;
use super::error::PeerError;
use crate::content::HashCache;
use crate::net::{
    FileServer, FramedIndex, Gate, Identity, Index, IndexError, LegacyIndex, RateLimit, UploadLimits,
    connect_index,
};
use crate::session::Event;
use crate::share::{Changed, Folder, Publisher, Shares};
use crate::shell::{Connection, Input, InputEnd, Output, Seal, ShellParts};
use crate::state::{PinnedServer, PinnedServers, StateDir, StateLock};
use crate::transfer::{Admission, Attempts, Deadlines};

/// How the session is begun.
pub(super) enum Entry {
    /// Sealed, with the device's key, at a server that was joined.
    Sealed(Box<Sealed>),
    /// In the original's format, with a name and a password.
    Legacy {
        server: String,
        /// None of these is ever spoken to in clear.
        joined: PinnedServers,
    },
}

pub(super) struct Sealed {
    server: PinnedServer,
    device: SecretKey,
    /// What the session learns, for the gate of the file server.
    admission: Arc<Mutex<Admission>>,
    gate: Gate,
    state: StateDir,
    _lock: StateLock,
}

/// What is there before the login.
pub(super) struct Peer {
    entry: Entry,
    server: SocketAddr,
    folder_path: PathBuf,
    pub(super) folder: Arc<Folder>,
    pub(super) shares: Arc<Shares>,
    pub(super) attempts: Arc<Mutex<Attempts>>,
    pub(super) file_server: FileServer,
    pub(super) output: Output,
}

impl Entry {
    pub(super) fn choose(arguments: &Arguments) -> Result<Self, PeerError> {
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
        Ok(Self::Sealed(Box::new(Sealed { server, device, admission, gate, state, _lock: lock })))
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
    /// Opens the folder, and lets other peers in. The names of shared files that turn out to have changed come out of the
    /// receiver.
    pub(super) async fn start(
        arguments: &Arguments,
        entry: Entry,
        folder_path: &Path,
        file_mode: u32,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Changed>), PeerError> {
        let folder = Folder::open(folder_path, file_mode)
            .map_err(|error| PeerError::Folder { path: folder_path.to_owned(), error })?;
        // For `status` and for the hashes that are kept: where that is, wherever this was started from.
        let folder_path = folder_path.canonicalize().unwrap_or_else(|_| folder_path.to_owned());
        let server = resolve(entry.server()).await?;
        entry.check_downgrade(server).await?;
        let (_, ip) = connect_index(server).await?;
        let (shares, changes) = Shares::new();
        let (folder, shares) = (Arc::new(folder), Arc::new(shares));
        let (server_folder, server_shares) = (Arc::clone(&folder), Arc::clone(&shares));
        let rate = arguments.limit_rate.map_or_else(RateLimit::default, RateLimit::new);
        let limits = UploadLimits { rate, slots: arguments.upload_slots.into() };
        let deadlines = Deadlines::default();
        let file_server =
            FileServer::start(ip, server_folder, server_shares, deadlines, entry.gate(), limits).await?;
        let output = Output::open();
        let attempts = Arc::new(Mutex::new(Attempts::new(server.ip())));
        Ok((Self { entry, server, folder_path, folder, shares, attempts, file_server, output }, changes))
    }

    /// What a shell needs once there is a session.
    pub(super) fn parts(
        &self,
        index: Index,
        connection: Connection,
        events: mpsc::UnboundedReceiver<Event>,
        changes: mpsc::UnboundedReceiver<Changed>,
    ) -> ShellParts {
        let (folder, shares) = (Arc::clone(&self.folder), Arc::clone(&self.shares));
        let (publisher, output, attempts) = (self.publisher(), self.output, Arc::clone(&self.attempts));
        ShellParts { index, folder, shares, attempts, publisher, events, changes, output, connection }
    }

    /// Hashes what is shared. What it hashes is kept beside the device's key.
    fn publisher(&self) -> Publisher {
        let cache = match &self.entry {
            Entry::Sealed(sealed) => {
                let (cache, error) = HashCache::open_or_in_memory(&sealed.state.hashes());
                if let Some(error) = error {
                    self.output.complain(&format!("hashes are not kept this time: {error}"));
                }
                cache
            }
            Entry::Legacy { .. } => HashCache::in_memory(),
        };
        Publisher::new(Arc::clone(&self.folder), self.folder_path.clone(), Arc::new(cache))
    }

    /// Logs in, in the way that was chosen. Someone to ask is needed for the original's format alone.
    pub(super) async fn log_in(
        &self,
        arguments: &Arguments,
        input: Option<&mut Input>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<(Index, Connection), PeerError> {
        match (&self.entry, input) {
            (Entry::Sealed(sealed), _) => self.log_in_sealed(arguments, sealed, events).await,
            (Entry::Legacy { server, .. }, Some(input)) => {
                self.log_in_legacy(arguments, server, input, events).await
            }
            (Entry::Legacy { .. }, None) => Err(PeerError::Refused),
        }
    }

    /// The device's key is all that the server asks for.
    async fn log_in_sealed(
        &self,
        arguments: &Arguments,
        sealed: &Sealed,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<(Index, Connection), PeerError> {
        let Sealed { server, device, admission, gate, .. } = sealed;
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
