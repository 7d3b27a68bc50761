//! The command line of `bittrickle`.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bittrickle_wire::legacy::sentence;
use bittrickle_wire::limits::PAGE_ENTRIES_MAX;
use bittrickle_wire::messages::Login;
use bittrickle_wire::{Encoding, MemberName, NumberError, Password, TransferPort, escaped};
use clap::{Parser, Subcommand, ValueEnum};
use rustix::fs::Mode;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::net::{FileServer, FramedIndex, Index, IndexError, LegacyCallError, LegacyIndex, connect_index};
use crate::session::{CallError, Event};
use crate::share::{Folder, Shares};
use crate::shell::{Input, InputEnd, Output, Shell, ShellEnd, TerminalMode};
use crate::transfer::Deadlines;

/// BitTrickle: publish, find and fetch files among the members of a group.
#[derive(Debug, Parser)]
#[command(name = "bittrickle", version, after_help = EXAMPLE)]
struct Arguments {
    /// The index server
    #[arg(long, value_name = "ADDR:PORT")]
    server: String,

    /// Speak the original's format, to an original server and its peers: in clear, unverified
    #[arg(long)]
    legacy: bool,

    /// Folder for published and downloaded files
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,

    /// Your member name; asked for if it isn't given
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// How frames are written; `json` reads well in a packet capture
    #[arg(long, value_enum, default_value_t = Spelling::Bincode)]
    encoding: Spelling,

    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Log in and read commands: get, lap, lpf, pub, sch, unp, xit, help
    Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Spelling {
    Bincode,
    Json,
}

const EXAMPLE: &str = "\
Example:
  bittrickle --server 127.0.0.1:16980 --user alice --dir ~/shared shell

User name and password come from the terminal, or, one line each, from a pipe;
commands follow. Names and sentences go to stdout; questions, progress and
errors go to stderr.

Exit codes: 0 left, 1 other, 2 usage, 4 login refused, 5 try again later,
6 server not reached, 130 SIGINT, 143 SIGTERM.";

/// Why the peer ended before its time.
#[derive(Debug, thiserror::Error)]
enum PeerError {
    #[error("can't find the server {server}: {error}; it is given as ADDR:PORT, for example 127.0.0.1:16980")]
    Resolve { server: String, error: io::Error },
    #[error(
        "the server {0} is not on this machine: frames are spoken on loopback addresses only, until sessions are sealed"
    )]
    NotLoopback(SocketAddr),
    #[error("can't use the folder {}: {error}", path.display())]
    Folder { path: PathBuf, error: io::Error },
    #[error("can't log in at {server}: {error}{}", hint(error))]
    Login { server: SocketAddr, error: IndexError },
    #[error("the login was refused, and there are no more names and passwords to try")]
    Refused,
    #[error("interrupted")]
    Interrupted,
    #[error("the operating system refuses what a peer needs: {0}")]
    System(#[from] io::Error),
    #[error("no port for the file server: {0}")]
    Port(#[from] NumberError),
}

/// Runs the peer with these arguments until its user leaves.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let file_mode = default_file_mode();
    let _terminal = TerminalMode::save();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = runtime
        .map_err(PeerError::from)
        .and_then(|runtime| runtime.block_on(until_signal(arguments, file_mode)));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("bittrickle: {}", escaped(&error.to_string()));
            ExitCode::from(error.exit_code())
        }
    }
}

/// The mode that a file made by any other program would get: what the user's umask leaves of it.
fn default_file_mode() -> u32 {
    // It can be read only by setting it. There is one thread yet, so nobody sees the moment between.
    let umask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(umask);
    0o666 & !umask.as_raw_mode()
}

/// Runs until it ends by itself or by a signal, and closes everything either way. Returns the exit code.
async fn until_signal(arguments: Arguments, file_mode: u32) -> Result<u8, PeerError> {
    let folder = Folder::open(&arguments.dir, file_mode)
        .map_err(|error| PeerError::Folder { path: arguments.dir.clone(), error })?;
    let peer = Peer::start(&arguments, folder).await?;
    // From here on there is something to close; before, a signal ends the program as it ends any other.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut input = Input::open();
    let mut session = None;
    let code = tokio::select! {
        result = peer.log_in_and_run(&arguments, &mut input, &mut session) => result,
        _ = interrupt.recv() => Ok(130),
        _ = terminate.recv() => Ok(143),
    };
    if let Some(shell) = session {
        shell.index.leave().await;
    }
    peer.file_server.stop().await;
    code
}

/// What is there before the login.
struct Peer {
    server: SocketAddr,
    folder: Arc<Folder>,
    shares: Arc<Shares>,
    file_server: FileServer,
    output: Output,
}

impl Peer {
    async fn start(arguments: &Arguments, folder: Folder) -> Result<Self, PeerError> {
        let server = resolve(&arguments.server).await?;
        if !arguments.legacy && !server.ip().to_canonical().is_loopback() {
            return Err(PeerError::NotLoopback(server));
        }
        let (_, ip) = connect_index(server).await?;
        let (folder, shares) = (Arc::new(folder), Arc::new(Shares::default()));
        let server_folder = (Arc::clone(&folder), Arc::clone(&shares));
        let file_server =
            FileServer::start(ip, server_folder.0, server_folder.1, Deadlines::default()).await?;
        Ok(Self { server, folder, shares, file_server, output: Output::open() })
    }

    /// The shell stays in `session`, so that it can be left in order even when a signal cuts this short.
    async fn log_in_and_run(
        &self,
        arguments: &Arguments,
        input: &mut Input,
        session: &mut Option<Shell>,
    ) -> Result<u8, PeerError> {
        let (index, events) = self.log_in(arguments, input).await?;
        let (folder, shares) = (Arc::clone(&self.folder), Arc::clone(&self.shares));
        let shell = session.insert(Shell { index, folder, shares, events, output: self.output });
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
            ShellEnd::Interrupted => Ok(130),
            ShellEnd::SessionEnded => Ok(4),
        }
    }

    /// Asks for a name and a password until they are right, as the original does.
    async fn log_in(
        &self,
        arguments: &Arguments,
        input: &mut Input,
    ) -> Result<(Index, mpsc::UnboundedReceiver<Event>), PeerError> {
        loop {
            let username = match &arguments.user {
                Some(user) => user.clone(),
                None => answer(input.answer("Enter your username: ").await)?,
            };
            let password = answer(input.secret("Enter your password: ").await)?;
            let (sender, events) = mpsc::unbounded_channel();
            let tried = if arguments.legacy {
                self.log_in_legacy(&username, &password, sender).await
            } else {
                self.log_in_framed(arguments, &username, &password, sender).await
            };
            match tried {
                Ok(index) => return Ok((index, events)),
                Err(IndexError::Text(error)) => {
                    self.output.complain(&format!("no member has such a name or password: {error}"));
                }
                Err(error) if error.is_wrong_password() => {
                    let told = match &error {
                        IndexError::Framed(_) => sentence::WRONG_PASSWORD.to_owned(),
                        other => escaped(&other.to_string()).to_string(),
                    };
                    self.output.say(&told)?;
                }
                Err(error) => return Err(PeerError::Login { server: self.server, error }),
            }
        }
    }

    async fn log_in_framed(
        &self,
        arguments: &Arguments,
        username: &str,
        password: &str,
        sender: mpsc::UnboundedSender<Event>,
    ) -> Result<Index, IndexError> {
        let transfer_port = TransferPort::new(self.file_server.address().port())?;
        let login =
            Login { member: MemberName::new(username)?, password: Password::new(password)?, transfer_port };
        let encoding = match arguments.encoding {
            Spelling::Bincode => Encoding::Bincode,
            Spelling::Json => Encoding::Json,
        };
        let index = FramedIndex::log_in(self.server, login, encoding, sender).await?;
        Ok(Index::Framed(index))
    }

    async fn log_in_legacy(
        &self,
        username: &str,
        password: &str,
        sender: mpsc::UnboundedSender<Event>,
    ) -> Result<Index, IndexError> {
        let port = self.file_server.address().port();
        Ok(Index::Legacy(LegacyIndex::log_in(self.server, username, password, port, sender).await?))
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

impl PeerError {
    /// What scripts go by.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Resolve { .. } | Self::NotLoopback(_) => 2,
            Self::Refused => 4,
            Self::Login { error: IndexError::Framed(CallError::Refused(_)), .. } => 5,
            Self::Login { .. } => 6,
            Self::Interrupted => 130,
            Self::Folder { .. } | Self::System(_) | Self::Port(_) => 1,
        }
    }
}

fn hint(error: &IndexError) -> &'static str {
    match error {
        IndexError::Framed(CallError::NoAnswer) => {
            "; is bittrickle-server running there? An original server needs --legacy"
        }
        IndexError::Legacy(LegacyCallError::NoAnswer) => "; is the server running there?",
        IndexError::Framed(_) | IndexError::Legacy(_) | IndexError::Text(_) | IndexError::Source(_) => "",
    }
}

fn answer(line: Result<String, InputEnd>) -> Result<String, PeerError> {
    line.map_err(|end| match end {
        InputEnd::End => PeerError::Refused,
        InputEnd::Interrupted => PeerError::Interrupted,
        InputEnd::BadLine(error) => PeerError::System(error),
    })
}

/// The server's address; of several the first IPv4 one, on which the original listens.
async fn resolve(server: &str) -> Result<SocketAddr, PeerError> {
    let failed = |error| PeerError::Resolve { server: server.to_owned(), error };
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host(server).await.map_err(failed)?.collect();
    let ipv4 = addresses.iter().find(|address| address.is_ipv4());
    ipv4.or(addresses.first()).copied().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
}
