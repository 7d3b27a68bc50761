//! Getting what the user asks for: which content that is, who has it, and a download that is fed with sources until it is done.

mod feed;
mod resolve;
mod supply;

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bittrickle_wire::messages::{Filter, Hit};
use bittrickle_wire::seal::SecretKey;
use bittrickle_wire::{FileName, MemberName, Root, Target};
use tokio::time::{interval, sleep};

use super::fetch::{FetchError, Fetched, Progress, SourceError, Who};
use super::file_server::takes_legacy_from;
use super::framed::FramedIndex;
use super::index::{Index, IndexError, SourceAt, locate, locate_legacy};
use super::legacy_download::{self, LegacyDownloadError};
use crate::share::{Folder, FolderError, Shares};
use crate::transfer::{Allowed, Attempts, Deadlines};
use resolve::{hits_of, resolve};
use supply::who;

/// What it takes to get something.
pub struct Getter<'a> {
    /// Who knows where it is.
    pub index: &'a Index,
    /// Where it goes.
    pub folder: &'a Arc<Folder>,
    /// What others are let have while it comes in.
    pub shares: &'a Arc<Shares>,
    /// Our key; without one we speak the original's format.
    pub device: Option<&'a SecretKey>,
    /// How long is waited for what.
    pub deadlines: Deadlines,
    /// What all downloads have tried.
    pub attempts: &'a Arc<Mutex<Attempts>>,
}

/// What is there now.
#[derive(Clone, Debug)]
pub struct Got {
    /// What it is called.
    pub name: FileName,
    /// Its size.
    pub file_bytes: u64,
    /// Bytes of it that were there from an earlier download.
    pub resumed_bytes: u64,
    /// From the question to the file under its name.
    pub duration: Duration,
    /// Its root; absent when it came in the original's format, unverified.
    pub root: Option<Root>,
}

/// What its user may want to know meanwhile.
#[derive(Debug)]
pub enum Happening<'a> {
    /// Time passes.
    Progress(&'a FileName, &'a Progress),
    /// So many bytes have come in, in the original's format.
    Unverified(&'a FileName, u64),
    /// So many bytes were there from an earlier download.
    Resumed(u64),
    /// All upload slots of a source are taken: it is asked again until it is our turn.
    Busy(&'a Who),
    /// A source is not fetched from any more.
    Lost(&'a Who, &'a SourceError),
    /// A legacy source brought nothing.
    LegacyLost(&'a Who, &'a LegacyDownloadError),
    /// What is to be got is still being hashed by who shares it.
    Hashing(&'a FileName),
}

/// Why there is nothing.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// Nobody shares anything of this name or root.
    #[error("nobody shares it")]
    NotFound,
    /// Nobody who has it is online.
    #[error("nobody who has it is online")]
    NobodyOnline,
    /// Several contents have this name, or a root that begins so.
    #[error("several contents are shared under this name")]
    Several(Vec<Hit>),
    /// It can't be what something is called.
    #[error("this can't be the name of anything that is shared")]
    NoName,
    /// The index refuses or doesn't answer.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The folder or the sources fail.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The system has no thread for it.
    #[error("the system has no thread for a download: {0}")]
    Thread(io::Error),
    /// No legacy source brought it; why was told for each.
    #[error("no source brought it")]
    LegacyFailed,
}

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// How often the index is asked whether a content has been hashed.
const HASHED_EVERY: Duration = Duration::from_millis(500);

impl Getter<'_> {
    /// Gets a content by its name, by a name and the member who shares it, or by the first digits of its root.
    ///
    /// # Errors
    /// Nothing is there under that name then, and what was there stays as it was.
    pub async fn get(&self, what: &str, mut watch: impl FnMut(Happening<'_>)) -> Result<Got, GetError> {
        let started = Instant::now();
        let mut got = match self.index {
            Index::Framed(index) => {
                let (hit, filter) = resolve(index, what).await?;
                self.check_free(&hit.name)?;
                self.get_hit(index, hit, &filter, &mut watch).await?
            }
            Index::Legacy(index) => {
                self.check_free(&FileName::sanitized(what))?;
                let source = locate_legacy(index, what).await?;
                self.get_legacy(what, &[source], &mut watch).await?
            }
        };
        got.duration = started.elapsed();
        Ok(got)
    }

    fn check_free(&self, name: &FileName) -> Result<(), FetchError> {
        if self.folder.has(name) { Err(FolderError::Exists.into()) } else { Ok(()) }
    }

    async fn get_hit(
        &self,
        index: &FramedIndex,
        hit: Hit,
        filter: &Filter,
        watch: &mut impl FnMut(Happening<'_>),
    ) -> Result<Got, GetError> {
        if hit.sources == 0 {
            return Err(GetError::NobodyOnline);
        }
        let (name, mut content) = (hit.name, hit.content);
        if content.file_bytes.is_none() && content.root.is_none() {
            let sources = locate(index, &Target::Name(name.clone())).await.map_err(IndexError::from)?;
            return self.get_legacy(name.as_str(), &sources, watch).await;
        }
        let mut root = content.root;
        let mut filter = filter.clone();
        if root.is_none() && !content.is_folder {
            let target = Target::Name(name.clone());
            // What comes from one member is held against the root that the same member publishes (BT-3.4-6).
            let sources = locate(index, &target).await.map_err(IndexError::from)?;
            let hashing = sources.into_iter().find(|source| source.access.is_some());
            filter.member =
                hashing.and_then(|source| MemberName::new(&source.member?).ok()).or(filter.member);
            let from = filter.member.as_ref();
            match self.fetch(index, target, from, &name, content, watch).await {
                Ok((Fetched::Complete | Fetched::Provisional, _)) => {}
                Err(GetError::Fetch(error @ FetchError::NoSourceLeft(_))) => {
                    // It may have been hashed meanwhile; else there is nobody who would ever say so.
                    let hits = hits_of(index, &name, &filter).await?;
                    if hits.iter().all(|hit| hit.content.root.is_none()) {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        while root.is_none() {
            let hits = hits_of(index, &name, &filter).await?;
            let hashed = hits.iter().find(|hit| hit.content.root.is_some());
            match hashed {
                Some(hit) => (root, content) = (hit.content.root, hit.content),
                None if hits.iter().all(|hit| hit.sources == 0) => return Err(GetError::NobodyOnline),
                None => {
                    watch(Happening::Hashing(&name));
                    sleep(HASHED_EVERY).await;
                }
            }
        }
        let target = Target::Root(root.expect("it has just been waited for"));
        let (_, resumed_bytes) = self.fetch(index, target, None, &name, content, watch).await?;
        let file_bytes = content.file_bytes.map_or(0, bittrickle_wire::FileBytes::bytes);
        Ok(Got { name, file_bytes, resumed_bytes, duration: Duration::ZERO, root })
    }

    async fn get_legacy(
        &self,
        label: &str,
        sources: &[SourceAt],
        watch: &mut impl FnMut(Happening<'_>),
    ) -> Result<Got, GetError> {
        let name = FileName::sanitized(label);
        if sources.is_empty() {
            return Err(GetError::NobodyOnline);
        }
        for source in sources.iter().filter(|source| source.access.is_none()) {
            let who = who(source);
            match self.get_legacy_from(source, label, &name, watch).await {
                Ok(file_bytes) => {
                    let duration = Duration::ZERO;
                    return Ok(Got { name, file_bytes, resumed_bytes: 0, duration, root: None });
                }
                Err(LegacyDownloadError::Folder(error)) => return Err(FetchError::Folder(error).into()),
                Err(error) => watch(Happening::LegacyLost(&who, &error)),
            }
        }
        Err(GetError::LegacyFailed)
    }

    async fn get_legacy_from(
        &self,
        source: &SourceAt,
        label: &str,
        name: &FileName,
        watch: &mut impl FnMut(Happening<'_>),
    ) -> Result<u64, LegacyDownloadError> {
        // Who speaks frames doesn't ask in clear over a network because somebody says so, nor on this machine because
        // somebody elsewhere does.
        if self.device.is_some() {
            if !takes_legacy_from(source.address.ip()) {
                return Err(LegacyDownloadError::InClear);
            }
            let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            if attempts.begin(Instant::now(), source.address) != Allowed::Now {
                return Err(LegacyDownloadError::TriedTooOften);
            }
        }
        let bytes = Arc::new(AtomicU64::new(0));
        let downloading =
            legacy_download::download(source.address, label, self.folder, &self.deadlines, &bytes);
        tokio::pin!(downloading);
        let mut ticks = interval(PROGRESS_EVERY);
        loop {
            tokio::select! {
                result = &mut downloading => {
                    if result.is_ok() {
                        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
                        attempts.proved(source.address);
                    }
                    return result;
                }
                _ = ticks.tick() => {
                    let bytes = bytes.load(std::sync::atomic::Ordering::Relaxed);
                    watch(Happening::Unverified(name, bytes));
                }
            }
        }
    }
}
