//! All that a running server knows, as lines, to whoever asks over the socket.
//!
//! The lines are written on a thread of their own, from snapshots: requests don't wait for it, and commits neither.

use std::io::{self, BufWriter};
use std::net::Shutdown;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Refusal;
use crate::accounts::Accounts;
use crate::durability::Snapshots;
use crate::store::StoreError;
use crate::transfer::{GiveError, Snapshot, give};

/// Who gives the snapshots, to one export at a time: what is deleted meanwhile keeps its room on the disk.
#[derive(Clone)]
pub(super) struct Exporter {
    accounts: Accounts,
    snapshots: Snapshots,
    place: Arc<Semaphore>,
}

/// An export that may begin.
pub(super) struct Source {
    snapshot: Snapshot,
    place: OwnedSemaphorePermit,
}

/// An export and who it is for.
pub(super) struct Export {
    source: Source,
    stream: StdUnixStream,
    _hanging_up: HangUp,
}

/// Hangs up when it goes: the thread that writes has nobody to write to then, and ends.
struct HangUp(StdUnixStream);

/// How long to wait for publications that are still being read. Less than a connection may take.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(5);

/// How long whoever asked may take nothing.
const STALL_MAX: Duration = Duration::from_secs(60);

/// Written at once.
const BUFFER_BYTES: usize = 64 * 1_024;

impl Exporter {
    pub(super) fn new(accounts: Accounts, snapshots: Snapshots) -> Self {
        Self { accounts, snapshots, place: Arc::new(Semaphore::new(1)) }
    }

    /// Takes the snapshots.
    pub(super) async fn begin(&self) -> Result<Source, Refusal> {
        let failed = |error: StoreError| Refusal::Store(error.to_string());
        let place = Arc::clone(&self.place).try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let publications = tokio::time::timeout(SNAPSHOT_PATIENCE, self.snapshots.take()).await;
        let publications = publications.map_err(|_| Refusal::Loading)?.ok_or(Refusal::NotKeeping)?;
        let publications = publications.map_err(failed)?;
        let members = self.accounts.snapshot().await.ok_or(Refusal::Stopping)?.map_err(failed)?;
        Ok(Source { snapshot: Snapshot { members, publications }, place })
    }
}

impl Export {
    pub(super) fn new(source: Source, stream: UnixStream) -> io::Result<Self> {
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(STALL_MAX))?;
        Ok(Self { source, _hanging_up: HangUp(stream.try_clone()?), stream })
    }

    /// Writes all lines. What goes wrong is in the log; whoever asked notices by the last line, which is missing.
    pub(super) async fn run(self) {
        let Self { source: Source { snapshot, place }, stream, _hanging_up } = self;
        let (done, told) = oneshot::channel();
        let run = move || {
            let output = BufWriter::with_capacity(BUFFER_BYTES, stream);
            // Nobody waits for it when the server is ending.
            let _ = done.send(give(&snapshot, output));
            drop(place);
        };
        let result = match std::thread::Builder::new().name("export".to_owned()).spawn(run) {
            Ok(_) => told.await.unwrap_or(Ok(())),
            Err(error) => Err(GiveError::Output(error)),
        };
        match result {
            Ok(()) => tracing::info!("everything was exported"),
            Err(GiveError::Store(error)) => tracing::error!(%error, "an export failed"),
            Err(GiveError::Output(error)) => tracing::warn!(%error, "an export was broken off"),
        }
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        // It may have hung up first.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
