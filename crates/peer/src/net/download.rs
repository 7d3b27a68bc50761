//! Downloads: a file from one source, in either format, into the folder (BT-3, BT-4.3).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bittrickle_wire::messages::{Access, Fetch};
use bittrickle_wire::seal::{STREAM_ACCEPT_BYTES, SealedCodec, SecretKey, StreamError, StreamInitiating};
use bittrickle_wire::{Encoding, FileName, Frame, FramingError, Message, legacy};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::codec::Framed;

use super::file_server::takes_legacy_from;
use super::index::SourceAt;
use super::pace::keep_pace;
use crate::share::{Folder, FolderError, PartFile, write_pieces};
use crate::transfer::{Deadlines, Incoming, IncomingError, RateFloor, Step, TooSlow};

/// How far a download has come; shared with whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    /// 0 while it isn't known.
    file_bytes: AtomicU64,
}

/// A download that is complete.
#[derive(Clone, Copy, Debug)]
pub struct Downloaded {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// From the first byte asked for to the file under its name.
    pub duration: Duration,
}

/// Why a source brought no file. Nothing is kept of it.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// Our folder's fault: no other source would help.
    #[error("{0}")]
    Folder(#[from] FolderError),
    /// A source on another machine that speaks the original's format only: it would be asked in clear.
    #[error("it speaks the original's format only, in clear, and is not on this machine")]
    InClear,
    /// Whoever is at the source's address is not the peer that the index named.
    #[error("whoever answers there is not the peer that the server named: {0}")]
    WrongPeer(StreamError),
    /// The source closes the connection instead of answering the handshake.
    #[error("it does not let us in: it may have left, or the server's ticket is too old; try again")]
    NotLetIn,
    /// The operating system has no randomness.
    #[error("the operating system has no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// Nothing answers at the source's address.
    #[error("it can't be reached: {0}")]
    Connect(io::Error),
    /// It doesn't answer in time.
    #[error("it does not answer within {} s", .0.as_secs())]
    NoAnswer(Duration),
    /// It sends what is no answer.
    #[error(transparent)]
    Incoming(#[from] IncomingError),
    /// It sends what is no frame.
    #[error("it does not speak frames: {0}")]
    Framing(FramingError),
    /// It ends before the file does.
    #[error("it ends the connection in the middle of the file")]
    Ended,
    /// It keeps us waiting.
    #[error("it is too slow: {0}")]
    TooSlow(#[from] TooSlow),
    /// The connection breaks.
    #[error("the connection breaks: {0}")]
    Broken(io::Error),
    /// The name can't be asked for in the original's format.
    #[error("this name can't be asked for in the original's format: {0}")]
    LegacyName(legacy::GetError),
    /// A legacy source sends more than any file.
    #[error("it sends more than {LEGACY_FILE_BYTES_MAX} bytes")]
    TooMuch,
}

/// Most bytes that are taken from a legacy source, which never says how many there are (BT-4.3-4).
const LEGACY_FILE_BYTES_MAX: u64 = 1 << 40;

/// Pieces that wait for the disk.
const PIECES_BEHIND: usize = 32;

/// Bytes that one read of the network may bring.
const READ_BYTES: usize = 256 * 1024;

impl Progress {
    /// Bytes that have arrived.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes of the whole file, once they are known.
    #[must_use]
    pub fn file_bytes(&self) -> Option<u64> {
        Some(self.file_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }
}

impl DownloadError {
    /// Whether another source could do better.
    #[must_use]
    pub fn is_sources_fault(&self) -> bool {
        !matches!(self, Self::Folder(_) | Self::Random(_))
    }
}

/// Fetches `label` from one source into `folder`, under a name made from it (BT-3.4-2). `device` is our key; without one
/// we speak the original's format.
///
/// # Errors
/// The source or the folder fails; nothing is left in the folder then, nor when this is dropped half-way.
pub async fn download(
    source: &SourceAt,
    label: &str,
    device: Option<&SecretKey>,
    folder: &Arc<Folder>,
    deadlines: &Deadlines,
    progress: &Progress,
) -> Result<Downloaded, DownloadError> {
    let started = Instant::now();
    progress.bytes.store(0, Ordering::Relaxed);
    let name = FileName::sanitized(label);
    if folder.has(&name) {
        return Err(FolderError::Exists.into());
    }
    let part = match device.zip(source.access.as_ref()) {
        Some((device, access)) => {
            let stream = connect(source.address, deadlines).await?;
            let entering = enter(stream, device, access, &name);
            let entered = timeout(deadlines.first, entering).await;
            let framed = entered.map_err(|_| DownloadError::NoAnswer(deadlines.first))??;
            fetch_frames(framed, &name, folder, deadlines, progress).await?
        }
        // Who speaks frames doesn't ask in clear over a network because somebody says so.
        None if device.is_some() && !takes_legacy_from(source.address.ip()) => {
            return Err(DownloadError::InClear);
        }
        None => {
            let stream = connect(source.address, deadlines).await?;
            fetch_legacy(stream, label, folder, deadlines, progress).await?
        }
    };
    blocking(move || part.finish(&name)).await?;
    Ok(Downloaded { file_bytes: progress.bytes(), duration: started.elapsed() })
}

async fn connect(address: SocketAddr, deadlines: &Deadlines) -> Result<TcpStream, DownloadError> {
    let connecting = timeout(deadlines.connect, TcpStream::connect(address)).await;
    let stream = connecting.map_err(|_| DownloadError::NoAnswer(deadlines.connect))?;
    let stream = stream.map_err(DownloadError::Connect)?;
    stream.set_nodelay(true).map_err(DownloadError::Broken)?;
    Ok(stream)
}

/// The handshake: the source proves its key, and we show our ticket (BT-6.6).
async fn enter(
    mut stream: TcpStream,
    device: &SecretKey,
    access: &Access,
    name: &FileName,
) -> Result<Framed<TcpStream, SealedCodec>, DownloadError> {
    let mut ephemeral = [0; 32];
    getrandom::fill(&mut ephemeral)?;
    let (initiating, initiate) =
        StreamInitiating::new(device, &access.device, &access.ticket, name, ephemeral);
    stream.write_all(&initiate).await.map_err(DownloadError::Broken)?;
    let mut accept = [0; STREAM_ACCEPT_BYTES];
    stream.read_exact(&mut accept).await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => DownloadError::NotLetIn,
        _ => DownloadError::Broken(error),
    })?;
    let codec = initiating.finish(&accept).map_err(DownloadError::WrongPeer)?;
    let mut framed = Framed::new(stream, codec);
    framed.read_buffer_mut().reserve(READ_BYTES);
    Ok(framed)
}

async fn fetch_frames(
    mut framed: Framed<TcpStream, SealedCodec>,
    name: &FileName,
    folder: &Arc<Folder>,
    deadlines: &Deadlines,
    progress: &Progress,
) -> Result<PartFile, DownloadError> {
    const REQUEST_ID: u32 = 1;
    let message = Message::Fetch(Fetch { name: name.clone() });
    let fetch = Frame { request_id: REQUEST_ID, encoding: Encoding::Bincode, message };
    framed.send(fetch).await.map_err(framing)?;

    let mut incoming = Incoming::new(REQUEST_ID);
    let first = timeout(deadlines.first, next_step(&mut framed, &mut incoming)).await;
    let step = first.map_err(|_| DownloadError::NoAnswer(deadlines.first))??;
    let Step::Begin { file_bytes } = step else { return Err(DownloadError::Ended) };
    progress.file_bytes.store(file_bytes, Ordering::Relaxed);
    let mut writer = Writer::start(create_part(folder, Some(file_bytes)).await?);
    let mut floor = RateFloor::new(Instant::now(), deadlines.window);
    loop {
        match keep_pace(&mut floor, next_step(&mut framed, &mut incoming)).await?? {
            Step::Bytes(bytes) => {
                floor.add(bytes.len());
                progress.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                writer.write(bytes).await?;
            }
            Step::Complete => return writer.finish().await,
            Step::Begin { .. } => return Err(DownloadError::Ended),
        }
    }
}

async fn next_step(
    framed: &mut Framed<TcpStream, SealedCodec>,
    incoming: &mut Incoming,
) -> Result<Step, DownloadError> {
    match framed.next().await {
        Some(Ok(received)) => Ok(incoming.receive(received)?),
        Some(Err(error)) => Err(framing(error)),
        None => Err(DownloadError::Ended),
    }
}

/// The original's way: the name goes out, and what comes until the end is the file.
async fn fetch_legacy(
    mut stream: TcpStream,
    label: &str,
    folder: &Arc<Folder>,
    deadlines: &Deadlines,
    progress: &Progress,
) -> Result<PartFile, DownloadError> {
    let request =
        legacy::GetRequest { name: label.to_owned() }.encode().map_err(DownloadError::LegacyName)?;
    stream.write_all(&request).await.map_err(DownloadError::Broken)?;
    let mut writer = Writer::start(create_part(folder, None).await?);
    let mut floor = RateFloor::new(Instant::now(), deadlines.window);
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let first = timeout(deadlines.first, stream.read_buf(&mut buffer)).await;
    let mut read = first.map_err(|_| DownloadError::NoAnswer(deadlines.first))?;
    while read.map_err(DownloadError::Broken)? > 0 {
        let bytes = buffer.split().freeze();
        floor.add(bytes.len());
        let total = progress.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
        if total > LEGACY_FILE_BYTES_MAX {
            return Err(DownloadError::TooMuch);
        }
        writer.write(bytes).await?;
        buffer.reserve(READ_BYTES);
        read = keep_pace(&mut floor, stream.read_buf(&mut buffer)).await?;
    }
    writer.finish().await
}

/// Writes on a thread that may wait for the disk. Dropped before it is finished, it leaves nothing behind.
struct Writer {
    pieces: mpsc::Sender<Bytes>,
    writing: JoinHandle<io::Result<PartFile>>,
}

impl Writer {
    fn start(part: PartFile) -> Self {
        let (pieces, incoming) = mpsc::channel(PIECES_BEHIND);
        Self { pieces, writing: tokio::task::spawn_blocking(move || write_pieces(part, incoming)) }
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), DownloadError> {
        if self.pieces.send(bytes).await.is_ok() {
            return Ok(());
        }
        // The thread has ended before its time: it knows why.
        let ended = (&mut self.writing).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        Err(DownloadError::Folder(match ended {
            Err(error) => error.into(),
            Ok(_) => io::Error::from(io::ErrorKind::BrokenPipe).into(),
        }))
    }

    async fn finish(self) -> Result<PartFile, DownloadError> {
        drop(self.pieces);
        let written = self.writing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        Ok(written.map_err(FolderError::Io)?)
    }
}

async fn create_part(folder: &Arc<Folder>, file_bytes: Option<u64>) -> Result<PartFile, FolderError> {
    let folder = Arc::clone(folder);
    blocking(move || folder.create_part(file_bytes)).await
}

/// Runs what may wait for the disk where that keeps nobody else waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FolderError> + Send + 'static,
) -> Result<T, FolderError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error).into()))
}

fn framing(error: FramingError) -> DownloadError {
    match error {
        FramingError::Io(error) => DownloadError::Broken(error),
        FramingError::Short { .. } => DownloadError::Ended,
        other => DownloadError::Framing(other),
    }
}
