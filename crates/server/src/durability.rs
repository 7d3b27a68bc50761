//! The thread that owns the store of publications: reads it when the server starts, and makes durable what changes.
//!
//! ```text
//!  UDP loop ── Batch ──▶ durability ── one commit for all that waits ──▶ disk
//!     ▲                      │
//!     └── Loaded, Durable, Failed
//! ```
//! Between two commits it gives snapshots to whoever asks for one, and who reads it elsewhere ([`Snapshots`]).
//!
//! While the disk refuses, what wasn't written is kept and tried again, and the UDP loop takes no more of it.

mod reading;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self as blocking, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fmt, io};

use tokio::sync::{mpsc, oneshot};

use crate::data_dir::DataDir;
use crate::index::{Catalogue, Edit};
use crate::responder::Batch;
use crate::store::{PublicationSnapshot, PublicationStore, StoreError};

/// What the UDP loop has to know.
#[derive(Debug)]
pub enum Progress {
    /// What was published before the server was started.
    Loaded(Box<Catalogue>),
    /// All batches up to this one are durable.
    Durable(u64),
    /// They can't be made durable at present. It is tried again until they are.
    Failed,
    /// The store can't be read: there is no serving with it.
    Broken(StoreError),
}

/// The way to the thread. When it goes, all batches that were handed over have been written, if the disk took them.
pub struct Durability {
    work: Option<Arc<blocking::Sender<Work>>>,
    progress: mpsc::UnboundedReceiver<Progress>,
    /// Reading may take long: it ends when nobody waits for it any more.
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Where snapshots are asked for. It doesn't keep the thread from ending.
#[derive(Clone, Debug)]
pub struct Snapshots(Weak<blocking::Sender<Work>>);

/// What the thread is asked for.
#[derive(Debug)]
enum Work {
    /// To make it durable.
    Batch(Batch),
    /// To give what is durable.
    Snapshot(oneshot::Sender<Result<PublicationSnapshot, StoreError>>),
}

/// Most edits of one commit: so many are a few megabytes, and a commit of them takes part of a second.
const EDITS_MAX: usize = 16_384;

/// How long to wait before a commit that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

impl Durability {
    /// Starts the thread, which begins to read the store of this data folder.
    ///
    /// # Errors
    /// The operating system has no threads.
    pub fn start(data_dir: Arc<DataDir>) -> io::Result<Self> {
        let (work, received) = blocking::channel();
        let (progress, receiver) = mpsc::unbounded_channel();
        let is_ending = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&is_ending);
        let run = move || {
            // Nobody hears of it when the server has ended meanwhile.
            if let Err(error) = keep(data_dir, &received, &progress, &ending) {
                let _ = progress.send(Progress::Broken(error));
            }
        };
        let thread = std::thread::Builder::new().name("durability".to_owned()).spawn(run)?;
        Ok(Self { work: Some(Arc::new(work)), progress: receiver, is_ending, thread: Some(thread) })
    }

    /// Hands a batch over.
    pub fn make_durable(&self, batch: Batch) {
        // The thread only ends before this when it has said that it is broken.
        let _ = self.work.as_ref().map(|work| work.send(Work::Batch(batch)));
    }

    /// Where snapshots of what is durable are asked for.
    #[must_use]
    pub fn snapshots(&self) -> Snapshots {
        Snapshots(self.work.as_ref().map(Arc::downgrade).unwrap_or_default())
    }

    /// What has come of it; `None` when the thread has ended.
    pub async fn progress(&mut self) -> Option<Progress> {
        self.progress.recv().await
    }
}

impl Snapshots {
    /// A snapshot of what is durable, as soon as publications have been read. `None` if there is none at present: the thread
    /// has ended, or the disk refuses what is published.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) async fn take(&self) -> Option<Result<PublicationSnapshot, StoreError>> {
        let (asked, answer) = oneshot::channel();
        self.0.upgrade()?.send(Work::Snapshot(asked)).ok()?;
        answer.await.ok()
    }
}

impl fmt::Debug for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Durability")
    }
}

impl Drop for Durability {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Relaxed);
        drop(self.work.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that keeps publications has failed");
        }
    }
}

fn keep(
    data_dir: Arc<DataDir>,
    work: &blocking::Receiver<Work>,
    progress: &mpsc::UnboundedSender<Progress>,
    is_ending: &AtomicBool,
) -> Result<(), StoreError> {
    let started = Instant::now();
    let mut store = PublicationStore::open(data_dir)?;
    let catalogue = reading::read(&mut store, is_ending)?;
    if is_ending.load(Ordering::Relaxed) {
        return Ok(());
    }
    let publications = catalogue.len();
    if progress.send(Progress::Loaded(Box::new(catalogue))).is_err() {
        return Ok(());
    }
    // Only now: whoever reads this and asks about them is answered.
    tracing::info!(publications, ms = started.elapsed().as_millis(), "publications are read");
    let mut waiting = Waiting::default();
    while waiting.receive(work) {
        let Some(number) = waiting.number else {
            waiting.give_snapshots(&mut store);
            continue;
        };
        match store.commit(&waiting.edits) {
            Ok(()) => {
                if waiting.is_failing {
                    tracing::info!("publications are kept again");
                }
                let _ = progress.send(Progress::Durable(number));
                waiting.give_snapshots(&mut store);
                waiting = Waiting::default();
            }
            Err(error) => {
                if !waiting.is_failing {
                    tracing::error!(%error, "publications can't be kept; it is tried again, and changes are refused meanwhile");
                }
                waiting.is_failing = true;
                // A store that can't be written has to be opened again, which would end them.
                waiting.asked.clear();
                let _ = progress.send(Progress::Failed);
            }
        }
    }
    Ok(())
}

/// What hasn't been written yet.
#[derive(Default)]
struct Waiting {
    edits: Vec<Edit>,
    /// The last batch of it.
    number: Option<u64>,
    is_failing: bool,
    /// Who asks for a snapshot.
    asked: Vec<oneshot::Sender<Result<PublicationSnapshot, StoreError>>>,
}

impl Waiting {
    fn give_snapshots(&mut self, store: &mut PublicationStore) {
        for asked in self.asked.drain(..) {
            // Whoever asked may have gone.
            let _ = asked.send(store.snapshot());
        }
    }

    /// Waits for something to do, and takes all that is there. Says whether to go on: not when nobody hands over anything
    /// any more, and nothing is left that could be written.
    fn receive(&mut self, work: &blocking::Receiver<Work>) -> bool {
        let first = if self.is_failing {
            match work.recv_timeout(PAUSE) {
                Ok(work) => Some(work),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    tracing::error!(
                        changes = self.edits.len(),
                        "changes of publications are lost: nobody was told that they are kept"
                    );
                    return false;
                }
            }
        } else {
            match work.recv() {
                Ok(work) => Some(work),
                Err(_) => return false,
            }
        };
        let mut next = first;
        while let Some(asked_for) = next {
            match asked_for {
                Work::Batch(Batch { number, edits }) => {
                    self.edits.extend(edits);
                    self.number = Some(number);
                }
                Work::Snapshot(asked) => self.asked.push(asked),
            }
            next = if self.edits.len() < EDITS_MAX { work.try_recv().ok() } else { None };
        }
        true
    }
}
