//! The server that is measured, and the folder that it keeps its members in.
//!
//! It is the real one, from the socket to the store, but for its limits on how often one session may ask and one address
//! may make handshakes: a benchmark asks more often than any member may. No switch of the product lifts them.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_server::access::LegacyAccess;
use bittrickle_server::accounts::{Membership, MembershipError, PasswordHash};
use bittrickle_server::data_dir::{DataDir, DataDirError};
use bittrickle_server::durability::Durability;
use bittrickle_server::index::{self, Index};
use bittrickle_server::responder::{Identity, Responder};
use bittrickle_server::sealing::{Limits, Rate};
use bittrickle_server::server_key::{self, ServerKeyError};
use bittrickle_server::store::{Store, StoreError};
use bittrickle_server::udp::{self, Sockets};
use bittrickle_wire::seal::{Cipher, PublicKey};
use bittrickle_wire::{Hex64, Password};
use tempfile::TempDir;

use crate::people;
use crate::process::{Process, ProcessError, Role};

/// A server's data folder, in a temporary place.
#[derive(Debug)]
pub(crate) struct DataFolder {
    key: PublicKey,
    path: PathBuf,
    _folder: TempDir,
}

/// A running server, and the folder that holds its files.
#[derive(Debug)]
pub(crate) struct Server {
    // Before the folder: fields are dropped in this order, and the server writes there until it has ended.
    process: Process,
    folder: DataFolder,
}

/// Why a server can't be prepared or doesn't run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// There is no temporary folder.
    #[error("can't make a temporary folder: {0}; TMPDIR chooses another place")]
    Folder(io::Error),
    /// The data folder isn't acceptable.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The server's key can't be made.
    #[error(transparent)]
    Key(#[from] ServerKeyError),
    /// The store takes no members.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The accounts don't start.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The process doesn't run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The operating system refuses what a server needs, randomness for instance.
    #[error("the operating system refuses what a server needs: {0}")]
    System(#[from] io::Error),
}

/// The password of all members.
pub(crate) const PASSWORD: &str = "benchmark";

/// As often as anybody can ask. The most that a rate can say.
const UNLIMITED: Rate = Rate { per_second: 4_000_000, burst: 4_000_000 };

/// The limits of the server that is measured.
pub(crate) fn lifted_limits() -> Limits {
    Limits {
        handshakes: UNLIMITED,
        queries: UNLIMITED,
        own_publications: UNLIMITED,
        others: UNLIMITED,
        ..Limits::default()
    }
}

impl DataFolder {
    /// A folder whose store knows these devices and their members. All members have one password, hashed once.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn with_devices(devices: impl Iterator<Item = usize> + Clone) -> Result<Self, ServerError> {
        let folder = tempfile::Builder::new().prefix("bittrickle-bench-").tempdir();
        let folder = folder.map_err(ServerError::Folder)?;
        let path = folder.path().join("data");
        let data_dir = Arc::new(DataDir::open(&path, Duration::ZERO)?);
        let key = server_key::load(data_dir.path())?.public();
        let store = Store::open(Arc::clone(&data_dir))?;
        let password = Password::new(PASSWORD).expect("a short word");
        let hash = PasswordHash::of(&password).map_err(io::Error::other)?;
        let mut members: Vec<_> = devices.clone().map(people::member_of).collect();
        members.dedup();
        store.import(members.into_iter().map(|member| (member, hash.clone())).collect(), 0)?;
        for device in devices {
            store.add_device(people::key_of(device).public(), &people::member_of(device), 0)?;
        }
        Ok(Self { key, path, _folder: folder })
    }

    /// The server's key.
    pub(crate) fn key(&self) -> PublicKey {
        self.key
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Starts the server with its limits lifted.
    ///
    /// # Errors
    /// It doesn't start.
    pub(crate) fn start(&self, role: Role) -> Result<Process, ProcessError> {
        Process::start(role, &[self.path.as_ref()])
    }

    /// The same for a server that knows, besides those in its store, the devices with the numbers below `devices`: a commit
    /// for each of a great many takes longer than all that is measured then.
    ///
    /// # Errors
    /// It doesn't start.
    pub(crate) fn start_with(&self, role: Role, devices: usize) -> Result<Process, ProcessError> {
        Process::start(role, &[self.path.as_ref(), devices.to_string().as_ref()])
    }

    /// Starts the server as it is, limits included, on this address.
    ///
    /// # Errors
    /// It doesn't start.
    pub(crate) fn start_product(&self, listen: SocketAddr) -> Result<Process, ProcessError> {
        let listen = listen.to_string();
        let arguments: [&OsStr; 6] = [
            "--listen".as_ref(),
            listen.as_ref(),
            "--data-dir".as_ref(),
            self.path.as_ref(),
            "--legacy".as_ref(),
            "off".as_ref(),
        ];
        Process::start(Role::Product, &arguments)
    }
}

impl Server {
    /// Starts a server that knows these devices, on any free loopback port.
    ///
    /// # Errors
    /// Its files can't be written, or it doesn't start.
    pub(crate) fn start(
        role: Role,
        devices: impl Iterator<Item = usize> + Clone,
    ) -> Result<Self, ServerError> {
        let folder = DataFolder::with_devices(devices)?;
        let process = folder.start(role)?;
        Ok(Self { process, folder })
    }

    /// The same with so many devices that are in no store.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub(crate) fn start_with(role: Role, devices: usize) -> Result<Self, ServerError> {
        let folder = DataFolder::with_devices(std::iter::empty())?;
        let process = folder.start_with(role, devices)?;
        Ok(Self { process, folder })
    }

    /// A server in this folder, which is started.
    ///
    /// # Errors
    /// It doesn't start.
    pub(crate) fn start_in(folder: DataFolder, role: Role) -> Result<Self, ServerError> {
        let process = folder.start(role)?;
        Ok(Self { process, folder })
    }

    /// Kills it, and starts another one in its folder.
    ///
    /// # Errors
    /// It doesn't start.
    pub(crate) fn restart(self, role: Role) -> Result<Self, ServerError> {
        let Self { process, folder } = self;
        drop(process);
        Self::start_in(folder, role)
    }

    /// Its process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Its key.
    pub(crate) fn key(&self) -> PublicKey {
        self.folder.key
    }
}

/// Is the server until the process is ended: `FOLDER [DEVICES]`, of which the devices below this number are known although
/// they are in no store.
pub(crate) fn play<C: Cipher>(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(data_dir) = arguments.next().map(PathBuf::from) else { return ExitCode::FAILURE };
    let devices = arguments.next().and_then(|devices| devices.to_str()?.parse().ok()).unwrap_or(0);
    match serve::<C>(&data_dir, devices) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the server can't go on: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve<C: Cipher>(data_dir: &Path, devices: usize) -> Result<(), ServerError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve_on_runtime::<C>(data_dir, devices))
}

/// As the product does it.
async fn serve_on_runtime<C: Cipher>(data_dir: &Path, devices: usize) -> Result<(), ServerError> {
    let data_dir = Arc::new(DataDir::open(data_dir, Duration::ZERO)?);
    let secret = server_key::load(data_dir.path())?;
    let store = Store::open(Arc::clone(&data_dir))?;
    let Membership { notices, accounts, mut directory, key } = Membership::start(store, secret)?;
    people::make_known(&mut directory, 0..devices);
    // One, so that the load has a core for itself.
    let sockets = Sockets::bind((Ipv4Addr::LOCALHOST, 0).into(), NonZeroUsize::MIN)?;
    announce(sockets.address())?;
    let index = Index::new(Instant::now(), Hex64(1), index::Limits::default());
    let identity = Identity { secret: key, directory, seed: [1; 32] };
    let legacy: LegacyAccess = "off".parse().expect("nobody");
    let responder = Responder::<C>::new(index, identity, lifted_limits(), legacy);
    let durability = Some(Durability::start(data_dir)?);
    let members = udp::Members { accounts, notices, durability, offline_hours_max: None };
    udp::serve(sockets, responder, members, std::future::pending()).await?;
    Ok(())
}

fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on {address}")?;
    stdout.flush()
}
