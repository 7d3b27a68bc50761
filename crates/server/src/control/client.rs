//! The other end of the socket: a command asks the running server.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Answer, Command, FILE_NAME, LINE_BYTES_MAX};

/// Why the running server can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens: no server is running, or it is only just starting or about to stop.
    #[error("no server answers in this data folder, though one is using it: {0}")]
    Nobody(#[source] io::Error),
    /// The connection failed.
    #[error("the running server can't be asked: {0}")]
    Connection(#[from] io::Error),
    /// No answer, or one that this program doesn't know.
    #[error(
        "the running server gave no answer that this program knows; use the bittrickle-server that it was started from"
    )]
    Answer,
}

/// How long to wait for the answer: longer than the server gives itself.
const PATIENCE: Duration = Duration::from_secs(15);

/// Asks the server that is running with this data folder.
///
/// # Errors
/// There is none, or it doesn't answer.
pub fn ask(data_dir: &Path, command: &Command) -> Result<Answer, AskError> {
    let mut stream = UnixStream::connect(data_dir.join(FILE_NAME)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::Nobody(error),
        _ => AskError::Connection(error),
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(command).map_err(io::Error::from)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut line = Vec::new();
    BufReader::new(stream).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    serde_json::from_slice(&line).map_err(|_| AskError::Answer)
}
