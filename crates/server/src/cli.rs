//! The command line of `bittrickle-server`.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bittrickle_wire::Hex64;
use clap::Parser;
use tokio::net::UdpSocket;
use tokio::signal::unix::{SignalKind, signal};

use crate::access::LegacyAccess;
use crate::credentials::{Credentials, CredentialsError};
use crate::data_dir::{DataDir, DataDirError};
use crate::index::{Index, Limits};
use crate::responder::Responder;
use crate::udp;

/// BitTrickle's index server: who is a member, who is online, who shares what.
#[derive(Debug, Parser)]
#[command(name = "bittrickle-server", version, after_help = EXAMPLE)]
struct Arguments {
    /// UDP address to listen on; port 0 takes any free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:16980")]
    listen: SocketAddr,

    /// Folder for the server's own state; made if it isn't there
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,

    /// File with one `name password` line for each member
    #[arg(long, value_name = "FILE")]
    credentials: PathBuf,

    /// Networks from which the original's clients are served, in clear, or `off`
    #[arg(long, value_name = "CIDR,...|off", default_value_t = LegacyAccess::loopback())]
    legacy: LegacyAccess,

    /// Say more on stderr; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

const EXAMPLE: &str = "\
Example:
  echo 'alice wonderland' > credentials && chmod 600 credentials
  bittrickle-server --listen 127.0.0.1:16980 --data-dir data --credentials credentials

The first line on stdout is `listening on ADDR:PORT`; everything else goes to
stderr. SIGINT and SIGTERM stop it. Until sessions are sealed, frames are taken
from loopback addresses only.";

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
enum ServerError {
    #[error("can't read the credentials file {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("the credentials file {} is not acceptable: {error}", path.display())]
    Credentials { path: PathBuf, error: CredentialsError },
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("can't listen on {address}: {error}{}", hint(error))]
    Bind { address: SocketAddr, error: io::Error },
    #[error("the operating system refuses what a server needs: {0}")]
    System(#[from] io::Error),
    #[error("the operating system has no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// Runs the server with these arguments until a signal ends it. Exit code 2 for a wrong command line, 1 for whatever
/// keeps it from serving.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    log_to_stderr(arguments.verbose);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(ServerError::from).and_then(|runtime| runtime.block_on(serve(arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bittrickle-server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: Arguments) -> Result<(), ServerError> {
    let credentials = read_credentials(&arguments.credentials)?;
    let _data_dir = DataDir::open(&arguments.data_dir)?;
    let stop = stop_signal()?;
    let bind_failed = |error| ServerError::Bind { address: arguments.listen, error };
    let socket = UdpSocket::bind(arguments.listen).await.map_err(bind_failed)?;
    let address = socket.local_addr()?;
    if credentials.is_empty() {
        tracing::warn!("{} has no members: nobody can log in", arguments.credentials.display());
    }
    if !address.ip().is_loopback() {
        tracing::warn!("frames are taken from loopback addresses only, until sessions are sealed");
    }
    announce(address)?;
    tracing::info!(members = credentials.len(), legacy = %arguments.legacy, "serving");

    let index = Index::new(Hex64(getrandom::u64()?), credentials, Limits::default());
    let counters = udp::serve(socket, Responder::new(index, arguments.legacy), stop).await?;
    tracing::info!("stopped: {counters}");
    Ok(())
}

fn read_credentials(path: &Path) -> Result<Credentials, ServerError> {
    let file = std::fs::read_to_string(path)
        .map_err(|error| ServerError::Unreadable { path: path.to_owned(), error })?;
    Credentials::parse(&file).map_err(|error| ServerError::Credentials { path: path.to_owned(), error })
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
