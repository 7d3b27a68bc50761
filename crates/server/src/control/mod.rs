//! Control: how administrators reach a running server, over DATA_DIR/control.sock.
//!
//! A Unix socket in a folder that nobody else can enter, and whoever connects must be the server's own user or root: a web
//! page, a member or another user never gets here. One line of JSON in, one out, within ten seconds; behind the answer to
//! [`Command::Export`] come the lines of an export.

mod client;
mod export;
mod messages;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::accounts::Accounts;
use crate::data_dir::DataDir;
use crate::durability::Snapshots;
pub(crate) use client::export;
pub use client::{AskError, ask};
use export::{Export, Exporter};
pub use messages::{
    Answer, BATCH_MAX, Command, FingerprintStart, FingerprintStartError, LINE_BYTES_MAX, NewMember, Refusal,
};

/// The socket's file in the data folder.
const FILE_NAME: &str = "control.sock";

/// Most connections at once. Others wait.
const CONNECTIONS_MAX: usize = 8;

/// How long one connection may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long to wait when a connection can't be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The socket, open until this is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    _data_dir: Arc<DataDir>,
    /// Ends with this.
    _serving: JoinSet<()>,
}

/// Why the socket can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It can't be made.
    #[error("can't listen for commands on {}: {error}{}", path.display(), hint(error))]
    Listen {
        /// The socket's file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Something else has its name.
    #[error("{} is not a socket; move it away", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
}

impl Control {
    /// Opens the socket and answers from then on. One that a crashed server has left is removed: nobody else listens on it
    /// while this process holds the data folder. Needs a runtime.
    ///
    /// # Errors
    /// The socket can't be made.
    pub fn start(
        data_dir: Arc<DataDir>,
        accounts: Accounts,
        snapshots: Snapshots,
        listening: SocketAddr,
    ) -> Result<Self, ControlError> {
        let path = data_dir.path().join(FILE_NAME);
        remove_stale(&path)?;
        let failed = |error| ControlError::Listen { path: path.clone(), error };
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let mut serving = JoinSet::new();
        let exporter = Exporter::new(accounts.clone(), snapshots);
        serving.spawn(serve(listener, Answering { accounts, exporter, listening }));
        Ok(Self { path, _data_dir: data_dir, _serving: serving })
    }
}

/// What answers are made of.
#[derive(Clone)]
struct Answering {
    accounts: Accounts,
    exporter: Exporter,
    listening: SocketAddr,
}

impl Drop for Control {
    fn drop(&mut self) {
        // If it fails, the next server removes it.
        let _ = fs::remove_file(&self.path);
    }
}

fn remove_stale(path: &Path) -> Result<(), ControlError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            fs::remove_file(path).map_err(|error| ControlError::Listen { path: path.to_owned(), error })
        }
        Ok(_) => Err(ControlError::NotASocket { path: path.to_owned() }),
        // If there is another reason than that it isn't there, binding will meet it too.
        Err(_) => Ok(()),
    }
}

async fn serve(listener: UnixListener, answering: Answering) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let answering = answering.clone();
                connections.spawn(async move {
                    match tokio::time::timeout(DEADLINE, answer(stream, &answering)).await {
                        Ok(Ok(Some(export))) => export.run().await,
                        Ok(Err(error)) => tracing::debug!(%error, "a command was not answered"),
                        Ok(Ok(None)) | Err(_) => {}
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "commands can't be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers. Gives back what has to be done behind the answer.
async fn answer(stream: UnixStream, answering: &Answering) -> io::Result<Option<Export>> {
    let user = stream.peer_cred()?.uid();
    if user != rustix::process::geteuid().as_raw() && user != rustix::process::Uid::ROOT.as_raw() {
        tracing::warn!(user, "another user tried to give commands");
        return Ok(None);
    }
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    (&mut stream).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line).await?;
    let command = if line.ends_with(b"\n") { serde_json::from_slice(&line).ok() } else { None };
    let mut source = None;
    let answer = match command {
        None => Answer::Refused(Refusal::NotUnderstood),
        Some(Command::ListeningAddress) => Answer::Listening(answering.listening),
        Some(Command::Export) => match answering.exporter.begin().await {
            Ok(begun) => {
                source = Some(begun);
                Answer::Exporting
            }
            Err(refusal) => Answer::Refused(refusal),
        },
        Some(command) => answering.accounts.execute(command).await,
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    source.map(|source| Export::new(source, stream.into_inner())).transpose()
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::InvalidInput => "; choose a --data-dir with a shorter path",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
