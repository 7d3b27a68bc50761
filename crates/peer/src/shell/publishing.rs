//! Publishing from the shell: what takes a while to hash is hashed beside it, and published anew when that is done.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bittrickle_wire::FileName;
use tokio::sync::mpsc;

use crate::share::{Everything, HashedTree, Holding, Prepared, PublishError, Publisher};

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

/// Some of many files and folders that are to be published.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) holdings: Vec<(FileName, Arc<Holding>)>,
    /// What isn't published, and why.
    pub(super) left_out: Vec<String>,
}

/// How far hashing of many has come.
#[derive(Debug, Default)]
pub(super) struct ManyProgress {
    files: AtomicUsize,
    files_in_all: AtomicUsize,
    bytes: AtomicU64,
}

/// Files that are hashed before it is looked whether the index is to be told.
const HASHED_TOGETHER_FILES: usize = 10_000;
const HASHED_TOGETHER_BYTES: u64 = 1 << 30;

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

    /// Looks at everything in the folder, and hashes what hasn't been: files, then folders. What comes out is as much as
    /// there is every few seconds.
    pub(super) fn prepare_all(&self) -> (mpsc::Receiver<Ready>, Arc<ManyProgress>) {
        let (sender, prepared) = mpsc::channel(1);
        let (publisher, progress) = (Arc::clone(&self.publisher), Arc::<ManyProgress>::default());
        let shown = Arc::clone(&progress);
        tokio::task::spawn_blocking(move || {
            let mut preparing =
                Preparing { sender, progress, ready: Ready::default(), since: Instant::now() };
            if let Err(error) = preparing.run(&publisher) {
                preparing.ready.left_out.push(error.to_string());
            }
            preparing.tell();
        });
        (prepared, shown)
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

/// Many that are being prepared.
struct Preparing {
    sender: mpsc::Sender<Ready>,
    progress: Arc<ManyProgress>,
    ready: Ready,
    since: Instant,
}

impl Preparing {
    fn run(&mut self, publisher: &Publisher) -> Result<(), PublishError> {
        let Everything { files, folders, left_out } = publisher.everything()?;
        let told = |(name, reason)| format!("{name}: {reason}");
        self.ready.left_out.extend(left_out.into_iter().map(told));
        self.progress.files_in_all.store(files.len(), Ordering::Relaxed);
        let stop = AtomicBool::new(false);
        let mut files = files.into_iter().peekable();
        while files.peek().is_some() && !self.sender.is_closed() {
            let (mut names, mut bytes) = (Vec::new(), 0);
            while names.len() < HASHED_TOGETHER_FILES && bytes < HASHED_TOGETHER_BYTES {
                // What takes long by itself doesn't keep the others waiting.
                let is_large = files.peek().is_some_and(|(_, bytes)| *bytes >= HASHED_TOGETHER_BYTES);
                if is_large && !names.is_empty() {
                    break;
                }
                let Some((name, file_bytes)) = files.next() else { break };
                names.push(name);
                bytes += file_bytes;
            }
            if bytes >= HASHED_TOGETHER_BYTES {
                self.tell();
            }
            for (name, hashed) in publisher.hash_many(names, &self.progress.bytes, &stop)? {
                match hashed {
                    Ok(holding) => self.ready.holdings.push((name, holding)),
                    Err(reason) => self.ready.left_out.push(format!("{}: {reason}", name.as_str())),
                }
                self.progress.files.fetch_add(1, Ordering::Relaxed);
            }
            self.tell_if_due();
        }
        self.tell();
        for name in folders {
            if self.sender.is_closed() {
                break;
            }
            match publisher.walk(&name, &self.progress.bytes, &stop) {
                Ok((holding, left_out)) => {
                    let inside =
                        left_out.into_iter().map(|(path, why)| format!("{}/{path}: {why}", name.as_str()));
                    self.ready.left_out.extend(inside);
                    self.ready.holdings.push((name, holding));
                }
                Err(error) => self.ready.left_out.push(format!("{}: {error}", name.as_str())),
            }
            self.tell_if_due();
        }
        Ok(())
    }

    fn tell_if_due(&mut self) {
        if self.since.elapsed() >= TOLD_EVERY {
            self.tell();
        }
    }

    fn tell(&mut self) {
        if self.ready.holdings.is_empty() && self.ready.left_out.is_empty() {
            return;
        }
        // The shell may have gone.
        let _ = self.sender.blocking_send(std::mem::take(&mut self.ready));
        self.since = Instant::now();
    }
}

impl ManyProgress {
    pub(super) fn files(&self) -> usize {
        self.files.load(Ordering::Relaxed)
    }

    pub(super) fn files_in_all(&self) -> usize {
        self.files_in_all.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.under_way.values().for_each(|stop| stop.store(true, Ordering::Relaxed));
    }
}
