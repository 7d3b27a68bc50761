//! Serving: opens all that a server needs, says where it listens, and answers until a signal ends it.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::Hex64;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::access::LegacyAccess;
use crate::accounts::{Membership, MembershipError, unix_seconds};
use crate::admin::{CredentialsFile, CredentialsFileError, hash};
use crate::control::{Control, ControlError};
use crate::data_dir::{DataDir, DataDirError};
use crate::durability::Durability;
use crate::index::{self, Index};
use crate::responder::{Identity, Responder};
use crate::sealing;
use crate::server_key::{self, ServerKeyError};
use crate::store::{PublicationStore, Store, StoreError};
use crate::udp::{self, Sockets};

/// What serving can be told.
#[derive(Clone, Debug, Default, Eq, PartialEq, Args)]
pub(super) struct Serving {
    /// UDP address to listen on; port 0 takes any free one [default: 127.0.0.1:16980]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,

    /// File of `name password` lines, imported at start; who is a member already stays so
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,

    /// Days after which the publications of a member who is offline are forgotten; only days in which a server runs count
    /// [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    keep_offline: Option<u32>,

    /// Networks from which the original's clients are served, in clear, or `off` [default: 127.0.0.0/8,::1/128]
    #[arg(long, value_name = "CIDR,...|off")]
    legacy: Option<LegacyAccess>,

    /// Threads that read datagrams and answer heartbeats; elsewhere than on Linux it is always one [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
}

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServerError {
    #[error(transparent)]
    Credentials(#[from] CredentialsFileError),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Key(#[from] ServerKeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Membership(#[from] MembershipError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("can't listen on {address}: {error}{}", hint(error))]
    Bind { address: SocketAddr, error: io::Error },
    #[error("the operating system refuses what a server needs: {0}")]
    System(#[from] io::Error),
    #[error("the operating system has no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// Where to listen if nothing is said about it.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 16_980);

/// How long to wait for an administrator's command that holds the data folder.
const DATA_DIR_PATIENCE: Duration = Duration::from_secs(2);

/// The exit code when others have access to what is secret.
const PERMISSION: u8 = 4;

impl Serving {
    fn workers(&self) -> NonZeroUsize {
        let asked = self.workers.and_then(|workers| NonZeroUsize::new(workers.into()));
        asked.unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }
}

/// Serves until a signal ends it.
pub(super) fn serve(serving: &Serving, data_dir: &Path, verbose: u8) -> Result<(), ServerError> {
    log_to_stderr(verbose);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve_on_runtime(serving, data_dir))
}

async fn serve_on_runtime(serving: &Serving, data_dir: &Path) -> Result<(), ServerError> {
    let credentials = serving.credentials.as_deref().map(CredentialsFile::read).transpose()?;
    let data_dir = Arc::new(DataDir::open(data_dir, DATA_DIR_PATIENCE)?);
    let key = server_key::load(data_dir.path())?;
    let store = Store::open(Arc::clone(&data_dir))?;
    let stop = stop_signal()?;
    let listen = serving.listen.unwrap_or(LISTEN);
    let bind_failed = |error| ServerError::Bind { address: listen, error };
    let sockets = Sockets::bind(listen, serving.workers()).map_err(bind_failed)?;
    let address = sockets.address();
    if let (Some(file), Some(path)) = (credentials, &serving.credentials) {
        import(&store, &data_dir, file, path)?;
    }
    let Membership { notices, accounts, directory, key } = Membership::start(store, key)?;
    let durability = Durability::start(Arc::clone(&data_dir))?;
    let _control = Control::start(data_dir, accounts.clone(), durability.snapshots(), address)?;
    let legacy = serving.legacy.clone().unwrap_or_else(LegacyAccess::loopback);
    let (members, devices) = (directory.member_count(), directory.device_count());
    if members == 0 {
        tracing::warn!("there are no members: nobody can log in until `bittrickle-server user add`");
    }
    announce(address)?;
    tracing::info!(
        members,
        devices,
        %legacy,
        workers = sockets.count(),
        receive_buffer_bytes = sockets.receive_bytes(),
        fingerprint = %key.public().fingerprint(),
        "serving"
    );

    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let index = Index::new(Instant::now(), Hex64(getrandom::u64()?), index::Limits::default());
    let identity = Identity { secret: key, directory, seed };
    let responder: Responder = Responder::new(index, identity, sealing::Limits::default(), legacy);
    let counters = udp::serve(
        sockets,
        responder,
        udp::Members {
            accounts,
            notices,
            durability: Some(durability),
            offline_hours_max: serving.keep_offline.map(|days| days * 24),
        },
        stop,
    )
    .await?;
    tracing::info!("stopped: {counters}");
    Ok(())
}

/// Adds the file's members that aren't yet. The passwords go with the file.
fn import(
    store: &Store,
    data_dir: &Arc<DataDir>,
    file: CredentialsFile,
    path: &Path,
) -> Result<(), ServerError> {
    let names = file.members.iter().map(|(name, _)| name.clone()).collect();
    let missing = store.missing(names)?;
    if !missing.is_empty() {
        tracing::info!(members = missing.len(), "hashing the passwords of new members");
        PublicationStore::forget(data_dir, missing.clone())?;
        let added = store.import(hash(file.members, missing)?, unix_seconds())?.len();
        tracing::info!(added, "members imported");
    }
    if file.exposed {
        tracing::warn!(
            "other users can read the passwords in {}; delete it, they are imported",
            path.display()
        );
    }
    Ok(())
}

/// The one line on stdout, by which scripts learn the port. A reader who has gone is no reason not to serve.
fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "listening on {address}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Done when SIGINT or SIGTERM arrives.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr);
    log.with_ansi(colour).with_target(false).init();
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; is another server running? Give this one another --listen",
        io::ErrorKind::AddrNotAvailable => "; the address in --listen must be one of this machine",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges",
        _ => "",
    }
}

impl ServerError {
    /// The exit code of the process.
    pub(super) fn exit_code(&self) -> u8 {
        let permission = match self {
            Self::DataDir(error) => error.is_permission(),
            Self::Key(ServerKeyError::File(error)) => error.is_permission(),
            Self::Store(error) | Self::Membership(MembershipError::Store(error)) => error.is_permission(),
            Self::Credentials(_)
            | Self::Key(_)
            | Self::Membership(_)
            | Self::Control(_)
            | Self::Bind { .. }
            | Self::System(_)
            | Self::Random(_) => false,
        };
        if permission { PERMISSION } else { 1 }
    }
}
