//! Fetching a content from several sources at once (BT-3.5).
//!
//! ```text
//! source 1 ─ asks, opens, hashes, compares ─┐
//! source 2 ─ asks, opens, hashes, compares ─┼─▶ writes ─▶ journal     the schedule says who asks for what
//! source 3 ─ asks, opens, hashes, compares ─┘
//! ```
//! Each source has a thread, which waits for its socket; one more writes; another waits for the disk. They share
//! an [`engine::Engine`]. Whoever started the download feeds it sources, and hears how it goes.

mod connection;
mod engine;
mod error;
mod filling;
mod inbox;
mod plan;
mod prepare;
mod progress;
mod source;
mod sources;
mod writer;

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use bittrickle_wire::Target;
use bittrickle_wire::messages::Access;
use bittrickle_wire::seal::PublicKey;
use tokio::sync::{mpsc, oneshot};

use crate::share::FolderError;
use engine::{Engine, Over};
use sources::Added;
use writer::BATCHES_WAITING;

pub(super) use engine::Job;
pub use error::{FetchError, FolderFault, Missing, SourceError};
pub use progress::{Phase, Progress};

/// Somebody to fetch from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Who {
    /// Whose peer it is; a legacy server doesn't tell.
    pub member: Option<String>,
    /// Where its file server answers.
    pub address: SocketAddr,
    /// Its key.
    pub device: Option<PublicKey>,
}

/// What happens to a download, beside its progress.
#[derive(Debug)]
pub(super) enum Event {
    /// So many bytes were there from an earlier download, and are right.
    Resumed {
        /// Bytes of the verified pieces.
        bytes: u64,
    },
    /// What is downloaded can be fetched from us as well: the index has to be told.
    Announce,
    /// All upload slots of a source are taken: it is asked again until it is our turn.
    Busy {
        /// Which one.
        who: Who,
    },
    /// A source is not fetched from any more.
    Lost {
        /// Which one.
        who: Who,
        /// Why.
        error: SourceError,
    },
}

/// A download that is complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fetched {
    /// It is under its final name, and durable.
    Complete,
    /// All bytes are there, and the root isn't known yet: it is to be fetched by its root once the index has it.
    Provisional,
}

/// A download under way. Dropped, it ends, and keeps what is there.
#[derive(Debug)]
pub(super) struct Fetching {
    engine: Arc<Engine>,
    done: oneshot::Receiver<Result<Fetched, FetchError>>,
}

impl Fetching {
    /// Begins a download, which waits for sources.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub(super) fn start(job: Job) -> io::Result<(Self, Arc<Progress>, mpsc::UnboundedReceiver<Event>)> {
        let progress = Arc::new(Progress::default());
        let (sender, events) = mpsc::unbounded_channel();
        let (batches, incoming) = sync_channel(BATCHES_WAITING);
        let engine = Arc::new(Engine::new(job, Arc::clone(&progress), sender, batches));
        let writing = Arc::clone(&engine);
        let writer = spawn("write", move || writer::run(&writing, &incoming))?;
        let (outcome, done) = oneshot::channel();
        let finishing = Arc::clone(&engine);
        let spawned = spawn("fetch", move || {
            // Whoever waited may have gone.
            let _ = outcome.send(finish(&finishing, writer));
        });
        if let Err(error) = spawned {
            // The writer ends as well then.
            engine.close_batches();
            return Err(error);
        }
        Ok((Self { engine, done }, progress, events))
    }

    /// Offers a source. One that is fetched from already shows its new ticket. Says whether it is of any use: one that has
    /// lied or been silent, or was tried too often, is not.
    pub(super) fn add_source(&self, who: &Who, access: &Access) -> bool {
        let id = match self.engine.add_source(who, access.device, access.ticket) {
            Added::New(id) => id,
            Added::Known => return true,
            Added::Useless => return false,
        };
        let (engine, who, access) = (Arc::clone(&self.engine), who.clone(), *access);
        let run = move || {
            let run = AssertUnwindSafe(|| source::run(&engine, id, &who, &access));
            // A panic is our bug. Even so the download doesn't wait for this source for ever.
            let result = catch_unwind(run).unwrap_or_else(|_| {
                Err(SourceError::Broken(io::Error::other("the thread that fetches from it has panicked")))
            });
            engine.source_ended(id, result);
        };
        if let Err(error) = spawn("source", run) {
            self.engine.source_ended(id, Err(SourceError::Broken(error)));
        }
        true
    }

    /// Sources that are fetched from, or tried.
    #[must_use]
    pub(super) fn source_count(&self) -> usize {
        self.engine.source_count()
    }

    /// Whether nothing is asked of anybody: there is no source, or none that has what is missing.
    #[must_use]
    pub(super) fn is_idle(&self) -> bool {
        self.engine.is_idle()
    }

    /// Ends the download. What is there is kept.
    pub(super) fn cancel(&self) {
        self.engine.finish(Over::Cancelled);
    }

    /// Waits until it is complete, or has failed. May be called again when it was interrupted.
    ///
    /// # Errors
    /// The folder fails, or it was cancelled.
    pub(super) async fn finished(&mut self) -> Result<Fetched, FetchError> {
        (&mut self.done).await.unwrap_or(Err(FetchError::Cancelled))
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Waits for the end, and gives the content its name if all of it is there.
fn finish(engine: &Arc<Engine>, writer: JoinHandle<()>) -> Result<Fetched, FetchError> {
    let over = engine.wait_until_over();
    let result = conclude(engine, writer, over);
    if let Target::Root(root) = &engine.job.target {
        engine.job.shares.remove_download(root, result.is_ok());
    }
    result
}

fn conclude(engine: &Engine, writer: JoinHandle<()>, over: Over) -> Result<Fetched, FetchError> {
    engine.close_batches();
    // It ends when nobody can send to it any more. What it panicked over isn't complete.
    let _ = writer.join();
    let work = engine.work();
    engine.release();
    let Some(work) = work else {
        return match over {
            Over::Failed(error) => Err(error),
            Over::Complete | Over::Cancelled => Err(FetchError::Cancelled),
        };
    };
    match (over, &engine.job.target) {
        (Over::Complete, Target::Root(_)) => {
            engine.progress.set_phase(Phase::Finishing);
            let is_good = |piece, bytes: &[u8]| {
                let checks = work.plan.checks.as_ref();
                checks.is_some_and(|checks| checks.check(&work.plan.layout, piece, bytes))
            };
            work.part.finish(&is_good)?;
            Ok(Fetched::Complete)
        }
        (Over::Complete, Target::Name(_)) => {
            work.part.sync().map_err(FolderError::Io)?;
            Ok(Fetched::Provisional)
        }
        (Over::Cancelled, _) => {
            // What can't be made durable now is hashed again the next time, like all of it.
            let _ = work.part.sync();
            Err(FetchError::Cancelled)
        }
        (Over::Failed(error), _) => Err(error),
    }
}

/// Stack of a thread that keeps its bytes elsewhere.
const STACK_BYTES: usize = 512 * 1024;

fn spawn<T: Send + 'static>(
    what: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(format!("bittrickle-{what}")).stack_size(STACK_BYTES).spawn(run)
}
