//! The responder: the loop's, and lent to workers while the loop does without it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use crate::responder::Responder;

/// A responder that is lent.
#[derive(Debug)]
pub(super) struct Shared<C> {
    responder: Mutex<Responder<C>>,
    /// The loop waits for it: nobody else gets it before.
    is_wanted: AtomicBool,
}

impl<C> Shared<C> {
    pub(super) fn new(responder: Responder<C>) -> Self {
        Self { responder: Mutex::new(responder), is_wanted: false.into() }
    }

    /// For the loop, which waits until it is given back.
    ///
    /// # Panics
    /// A worker has panicked over a request: half of a change may be missing.
    pub(super) fn lock(&self) -> MutexGuard<'_, Responder<C>> {
        self.is_wanted.store(true, Relaxed);
        let responder = self.responder.lock().expect("no worker has panicked over a request");
        self.is_wanted.store(false, Relaxed);
        responder
    }

    /// For a worker, which never waits: if nobody has it, and nobody waits for it.
    pub(super) fn borrow(&self) -> Option<MutexGuard<'_, Responder<C>>> {
        if self.is_wanted.load(Relaxed) { None } else { self.responder.try_lock().ok() }
    }
}
