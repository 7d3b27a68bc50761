//! Uploads to the original's clients: one `GET name`, and the file until the end (BT-4.3).

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::{FileName, legacy};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::slots::{SLOT_WAIT, Slot, Taker};
use super::{Upload, reset};
use crate::net::pace::keep_pace;
use crate::net::strangers::Stranger;
use crate::share::{SharedFile, read_pieces};
use crate::transfer::{Deadlines, RateFloor, TooSlow};

/// Pieces read ahead of the network.
const PIECES_AHEAD: usize = 16;

/// Why a connection ends early.
#[derive(Debug, thiserror::Error)]
enum UploadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    TooSlow(#[from] TooSlow),
    #[error("the other side keeps us waiting")]
    Stuck,
    #[error("nothing of this name is shared, or all upload slots are taken")]
    Refused,
}

impl Upload {
    /// Answers one `GET name` of the original's client. Whatever goes wrong resets the connection (BT-4.3-3).
    pub(in crate::net) async fn serve_legacy(&self, mut stream: TcpStream, stranger: Stranger) {
        let reading = read_legacy_request(&mut stream, &self.deadlines);
        let request = timeout(self.deadlines.first, reading).await.unwrap_or(Err(UploadError::Stuck));
        drop(stranger);
        let sent = match request {
            Ok(request) => self.send_legacy(&mut stream, &request.name).await,
            Err(error) => Err(error),
        };
        if sent.is_err() {
            reset(stream);
        }
    }

    async fn send_legacy(&self, stream: &mut TcpStream, label: &str) -> Result<(), UploadError> {
        let Opened { shared, slot: _slot } = self.open(label).await?;
        let (mut pieces, reading) = start_reading(shared);
        let mut floor = RateFloor::new(Instant::now(), self.deadlines.window);
        while let Some(piece) = pieces.recv().await {
            keep_pace(&mut floor, stream.write_all(&piece)).await??;
            floor.add(piece.len());
        }
        finished(reading).await?;
        Ok(stream.shutdown().await?)
    }

    /// Finds a file among those that are shared, and opens it. A folder has no legacy form.
    async fn open(&self, label: &str) -> Result<Opened, UploadError> {
        let name: FileName = match self.shares.named(label) {
            Some((name, holding)) if holding.manifest.is_none() => name,
            Some(_) | None => return Err(UploadError::Refused),
        };
        let (slots, folder) = (self.slots.clone(), Arc::clone(&self.folder));
        let opening = tokio::task::spawn_blocking(move || {
            let slot = slots.wait(Taker::Originals, SLOT_WAIT).ok_or(UploadError::Refused)?;
            let shared = folder.open_shared(&name).map_err(io::Error::other)?;
            Ok(Opened { shared, slot })
        });
        opening.await.map_err(io::Error::other)?
    }
}

/// A file that is open to be sent, in one of the upload slots.
struct Opened {
    shared: SharedFile,
    slot: Slot,
}

/// Reads until the request is complete: a newline, the end, or a pause tells (BT-4.3-2).
async fn read_legacy_request(
    stream: &mut TcpStream,
    deadlines: &Deadlines,
) -> Result<legacy::GetRequest, UploadError> {
    let mut request = Vec::with_capacity(256);
    let mut wait: Duration = deadlines.first;
    let limit = bittrickle_wire::limits::LEGACY_GET_BYTES_MAX + 1;
    while request.len() < limit && !request.ends_with(b"\n") {
        match timeout(wait, stream.read_buf(&mut request)).await {
            Ok(Ok(0)) | Err(_) => break,
            Ok(Ok(_)) => wait = deadlines.legacy_pause,
            Ok(Err(error)) => return Err(error.into()),
        }
    }
    legacy::GetRequest::decode(&request)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error).into())
}

fn start_reading(shared: SharedFile) -> (mpsc::Receiver<Bytes>, JoinHandle<io::Result<()>>) {
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    (pieces, tokio::task::spawn_blocking(move || read_pieces(shared, &sender)))
}

/// Whether the file was read to its end.
async fn finished(reading: JoinHandle<io::Result<()>>) -> io::Result<()> {
    reading.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
