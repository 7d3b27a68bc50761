//! The threads that hash: Argon2id takes tens of milliseconds, too long for anybody who has to answer.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::backoff::Attempt;
use super::keeper::Work;
use super::{Check, PasswordHash, Place};

/// Threads, and so most hashes at once: they take 19 MiB each, and processors that the index needs.
const THREADS: usize = 2;

/// A password to hold against a hash. How many there are is bounded by their places.
pub(super) struct Job {
    pub(super) check: Check,
    pub(super) attempt: Attempt,
    /// Free again when this goes.
    pub(super) _place: Place,
    /// The hash to compare with.
    pub(super) hash: PasswordHash,
    /// Whether it is the hash of a member who may log in, rather than one that nobody knows the password of.
    pub(super) real: bool,
}

/// The threads. They end when this goes.
pub(super) struct Pool {
    jobs: mpsc::Sender<Job>,
}

impl Pool {
    /// Starts the threads. What they find out goes to `work`, until `stopping`.
    pub(super) fn start(work: &mpsc::Sender<Work>, stopping: &Arc<AtomicBool>) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 1..=THREADS {
            let (queue, work, stopping) = (Arc::clone(&queue), work.clone(), Arc::clone(stopping));
            let thread = std::thread::Builder::new().name(format!("argon2-{number}"));
            thread.spawn(move || run(&queue, &work, &stopping))?;
        }
        Ok(Self { jobs })
    }

    pub(super) fn submit(&self, job: Job) {
        // The threads end after this does; if they panicked, the client gets no answer, and asks again.
        let _ = self.jobs.send(job);
    }
}

fn run(queue: &Mutex<mpsc::Receiver<Job>>, work: &mpsc::Sender<Work>, stopping: &AtomicBool) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if stopping.load(Ordering::Relaxed) {
            return;
        }
        let right = job.hash.is_of(&job.check.password) && job.real;
        if work.send(Work::Verified(job, right)).is_err() {
            return;
        }
    }
}
