//! Publishing from the shell: what takes a while to hash is hashed beside it, and published anew when that is done.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bittrickle_wire::FileName;
use tokio::sync::mpsc;

use crate::share::{HashedTree, Holding, Prepared, PublishError, Publisher};

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

/// A file of many that are to be published.
#[derive(Debug)]
pub(super) struct PreparedFile {
    /// `None` where the folder itself can't be read.
    pub(super) name: Option<FileName>,
    pub(super) result: Result<Arc<Holding>, PublishError>,
}

/// When so much time has passed, the index is told what is ready: long enough that a hundred thousand files that have been
/// hashed before are told all together.
const TOLD_EVERY: Duration = Duration::from_secs(10);

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

    /// Looks at every file of the folder, one after the other, and hashes those that haven't been. What comes out is as much
    /// as there is every few seconds.
    pub(super) fn prepare_all(&self) -> mpsc::Receiver<Vec<PreparedFile>> {
        let (sender, prepared) = mpsc::channel(1);
        let publisher = Arc::clone(&self.publisher);
        tokio::task::spawn_blocking(move || prepare_all(&publisher, &sender));
        prepared
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

fn prepare_all(publisher: &Publisher, sender: &mpsc::Sender<Vec<PreparedFile>>) {
    let stop = AtomicBool::new(false);
    let (names, mut ready) = match publisher.file_names() {
        Ok(names) => (names, Vec::new()),
        Err(error) => (Vec::new(), vec![PreparedFile { name: None, result: Err(error) }]),
    };
    let mut since = Instant::now();
    for name in names {
        let result = publisher.prepare_whole(&name, &stop);
        ready.push(PreparedFile { name: Some(name), result });
        if since.elapsed() >= TOLD_EVERY {
            // The shell may have gone.
            if sender.blocking_send(std::mem::take(&mut ready)).is_err() {
                return;
            }
            since = Instant::now();
        }
    }
    let _ = sender.blocking_send(ready);
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.under_way.values().for_each(|stop| stop.store(true, Ordering::Relaxed));
    }
}
