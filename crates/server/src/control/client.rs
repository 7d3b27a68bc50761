//! The other end of the socket: a command asks the running server.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Answer, Command, FILE_NAME, LINE_BYTES_MAX, Refusal};

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

/// How long to wait for the next of the lines of an export.
const EXPORT_PATIENCE: Duration = Duration::from_secs(60);

/// Asks the server that is running with this data folder.
///
/// # Errors
/// There is none, or it doesn't answer.
pub fn ask(data_dir: &Path, command: &Command) -> Result<Answer, AskError> {
    Ok(exchange(data_dir, command)?.0)
}

/// Asks the running server for all that it knows. Gives the lines of an export, or the server's refusal.
pub(crate) fn export(data_dir: &Path) -> Result<Result<BufReader<UnixStream>, Refusal>, AskError> {
    let (answer, stream) = exchange(data_dir, &Command::Export)?;
    stream.get_ref().set_read_timeout(Some(EXPORT_PATIENCE))?;
    match answer {
        Answer::Exporting => Ok(Ok(stream)),
        Answer::Refused(refusal) => Ok(Err(refusal)),
        _ => Err(AskError::Answer),
    }
}

fn exchange(data_dir: &Path, command: &Command) -> Result<(Answer, BufReader<UnixStream>), AskError> {
    let mut stream = UnixStream::connect(data_dir.join(FILE_NAME)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::Nobody(error),
        _ => AskError::Connection(error),
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(command).map_err(io::Error::from)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut stream = BufReader::with_capacity(LINE_BYTES_MAX, stream);
    let mut line = Vec::new();
    (&mut stream).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    Ok((serde_json::from_slice(&line).map_err(|_| AskError::Answer)?, stream))
}
