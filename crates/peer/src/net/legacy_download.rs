//! Downloads in the original's format: the name goes out, and what comes until the end is the file, unverified (BT-4.3).

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bittrickle_wire::{FileName, legacy};

use super::closing::Closing;
use crate::share::{Folder, FolderError, Scratch};
use crate::transfer::{Deadlines, RateFloor, TooSlow};

/// Why a legacy source brought no file. Nothing is kept of it.
#[derive(Debug, thiserror::Error)]
pub enum LegacyDownloadError {
    /// Our folder's fault.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A source on another machine: it would be asked in clear.
    #[error("it speaks the original's format only, in clear, and is not on this machine")]
    InClear,
    /// It was tried before, and brought nothing; or it is on this machine, and the server isn't.
    #[error(
        "it may not be tried now: it has brought nothing before, or only a server on this machine may name it"
    )]
    TriedTooOften,
    /// The name can't be asked for in the original's format.
    #[error("this name can't be asked for in the original's format: {0}")]
    Name(#[from] legacy::GetError),
    /// Nothing answers at the source's address.
    #[error("it can't be reached: {0}")]
    Connect(io::Error),
    /// It doesn't answer in time.
    #[error("it does not answer within {} s", .0.as_secs())]
    NoAnswer(Duration),
    /// It keeps us waiting.
    #[error("it is too slow: {0}")]
    TooSlow(#[from] TooSlow),
    /// It sends more than any file.
    #[error("it sends more than {LEGACY_FILE_BYTES_MAX} bytes")]
    TooMuch,
    /// The connection breaks.
    #[error("the connection breaks: {0}")]
    Broken(io::Error),
}

/// Most bytes that are taken from a legacy source, which never says how many there are (BT-4.3-4).
const LEGACY_FILE_BYTES_MAX: u64 = 1 << 40;

/// Bytes that one read of the network may bring.
const READ_BYTES: usize = 256 * 1024;

/// Fetches `label` into `folder`, under a name made from it (BT-3.5-7), and says how many bytes it has. Dropped half-way, it
/// leaves nothing in the folder. `bytes` grows with what arrives.
///
/// # Errors
/// The source or the folder fails; nothing is left in the folder then.
pub async fn download(
    address: SocketAddr,
    label: &str,
    folder: &Arc<Folder>,
    deadlines: &Deadlines,
    bytes: &Arc<AtomicU64>,
) -> Result<u64, LegacyDownloadError> {
    let request = legacy::GetRequest { name: label.to_owned() }.encode()?;
    let connecting = tokio::time::timeout(deadlines.connect, tokio::net::TcpStream::connect(address)).await;
    let stream = connecting.map_err(|_| LegacyDownloadError::NoAnswer(deadlines.connect))?;
    let stream = stream.map_err(LegacyDownloadError::Connect)?;
    let (stream, _closing) = Closing::blocking(stream).map_err(LegacyDownloadError::Broken)?;
    let (folder, deadlines, total) = (Arc::clone(folder), *deadlines, Arc::clone(bytes));
    let scratch = on_a_thread(move || fetch(stream, &request, &folder, &deadlines, &total)).await?;
    // Not on that thread: when all of this is dropped, its connection is closed, and to it that looks like the file's end.
    let name = FileName::sanitized(label);
    on_a_thread(move || Ok(scratch.finish(&name)?)).await?;
    Ok(bytes.load(Ordering::Relaxed))
}

/// What the work has come to, if somebody still waits for it; else that is dropped.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LegacyDownloadError> + Send + 'static,
) -> Result<T, LegacyDownloadError> {
    let working = tokio::task::spawn_blocking(work);
    working.await.unwrap_or_else(|error| Err(LegacyDownloadError::Broken(io::Error::other(error))))
}

fn fetch(
    mut stream: TcpStream,
    request: &[u8],
    folder: &Arc<Folder>,
    deadlines: &Deadlines,
    total: &AtomicU64,
) -> Result<Scratch, LegacyDownloadError> {
    stream.write_all(request).map_err(LegacyDownloadError::Broken)?;
    let mut scratch = Scratch::create(folder)?;
    let mut floor = RateFloor::new(Instant::now(), deadlines.window);
    let mut buffer = vec![0; READ_BYTES];
    stream.set_read_timeout(Some(deadlines.first)).map_err(LegacyDownloadError::Broken)?;
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) => return Ok(scratch),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if is_late(&error) && total.load(Ordering::Relaxed) == 0 => {
                return Err(LegacyDownloadError::NoAnswer(deadlines.first));
            }
            Err(error) if is_late(&error) => 0,
            Err(error) => return Err(LegacyDownloadError::Broken(error)),
        };
        floor.add(count);
        floor.check(Instant::now())?;
        if total.fetch_add(count as u64, Ordering::Relaxed) + count as u64 > LEGACY_FILE_BYTES_MAX {
            return Err(LegacyDownloadError::TooMuch);
        }
        scratch.write(&buffer[..count])?;
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
