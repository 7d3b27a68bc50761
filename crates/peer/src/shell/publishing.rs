//! Publishing from the shell: what takes a while to hash is hashed beside it, and published anew when that is done.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bittrickle_wire::FileName;
use tokio::sync::mpsc;

use crate::share::{HashedTree, Prepared, PublishError, Publisher};

/// What is being hashed.
#[derive(Debug)]
pub(super) struct Publishing {
    publisher: Arc<Publisher>,
    under_way: HashMap<FileName, Arc<AtomicBool>>,
    done: mpsc::UnboundedSender<Hashed>,
    hashed: mpsc::UnboundedReceiver<Hashed>,
}

/// Something has been hashed, or could not be.
#[derive(Debug)]
pub(super) struct Hashed {
    pub(super) name: FileName,
    pub(super) result: Result<HashedTree, PublishError>,
    stop: Arc<AtomicBool>,
}

impl Publishing {
    pub(super) fn new(publisher: Publisher) -> Self {
        let (done, hashed) = mpsc::unbounded_channel();
        Self { publisher: Arc::new(publisher), under_way: HashMap::new(), done, hashed }
    }

    /// Looks at what is to be published; small files are hashed at once.
    pub(super) async fn prepare(&self, name: &FileName) -> Result<Prepared, PublishError> {
        let (publisher, name) = (Arc::clone(&self.publisher), name.clone());
        let preparing =
            tokio::task::spawn_blocking(move || publisher.prepare(&name, &AtomicBool::new(false)));
        preparing.await.expect("preparing doesn't panic")
    }

    /// Hashes a file, or what is in a folder, beside whatever else goes on. What was being hashed under this name is not
    /// any more.
    pub(super) fn hash(&mut self, name: &FileName, is_folder: bool) {
        self.stop(name);
        let stop = Arc::new(AtomicBool::new(false));
        self.under_way.insert(name.clone(), Arc::clone(&stop));
        let (publisher, name, done) = (Arc::clone(&self.publisher), name.clone(), self.done.clone());
        tokio::task::spawn_blocking(move || {
            let progress = AtomicU64::new(0);
            let result = if is_folder {
                publisher.walk(&name, &progress, &stop)
            } else {
                publisher.hash(&name, &progress, &stop).map(|holding| (holding, Vec::new()))
            };
            // The shell may have gone.
            let _ = done.send(Hashed { name, result, stop });
        });
    }

    /// What is being hashed under this name is not wanted any more.
    pub(super) fn stop(&mut self, name: &FileName) {
        if let Some(stop) = self.under_way.remove(name) {
            stop.store(true, Ordering::Relaxed);
        }
    }

    /// Whether anything is being hashed under this name.
    pub(super) fn is_hashing(&self, name: &FileName) -> bool {
        self.under_way.contains_key(name)
    }

    /// Waits until something that is still wanted has been hashed.
    pub(super) async fn next(&mut self) -> Hashed {
        loop {
            let hashed = self.hashed.recv().await.expect("there is a sender here");
            if !hashed.stop.load(Ordering::Relaxed) {
                self.under_way.remove(&hashed.name);
                return hashed;
            }
        }
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.under_way.values().for_each(|stop| stop.store(true, Ordering::Relaxed));
    }
}
