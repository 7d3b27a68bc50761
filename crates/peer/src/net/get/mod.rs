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
use bittrickle_wire::{Content, FileBytes, FileName, MemberName, Root, Target};
use tokio::time::interval;

use super::fetch::{FetchError, Fetched, Missing, Progress, SourceError, Who};
use super::file_server::takes_legacy_from;
use super::framed::FramedIndex;
use super::index::{Index, IndexError, SourceAt, locate, locate_legacy};
use super::legacy_download::{self, LegacyDownloadError};
use crate::share::{Folder, FolderError, Part, Shares};
use crate::transfer::{Allowed, Attempts, Deadlines};
use feed::ToFetch;
use resolve::{Now, hashed_content, hits_of, listed, resolve, stands_for};
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
    /// It has changed, and is fetched as it is now.
    Changed,
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
    /// Several contents have this name, or a root that begins so: each with members who have it and are online.
    #[error("several contents are shared under this name")]
    Several(Vec<(Hit, Vec<String>)>),
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

/// How often a content may change while it is fetched, and how often its source is asked again that says so.
const CHANGES_MAX: u32 = 16;
const WAITS_MAX: u32 = 16;

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
        let Hit { name, content, .. } = hit;
        if content.file_bytes.is_none() && content.root.is_none() {
            let sources = locate(index, &Target::Name(name.clone())).await.map_err(IndexError::from)?;
            return self.get_legacy(name.as_str(), &sources, watch).await;
        }
        let mut filter = filter.clone();
        if content.root.is_none() && !content.is_folder {
            self.fetch_unhashed(index, &name, content, &mut filter, watch).await?;
        }
        let content = match content.root {
            Some(_) => content,
            None => hashed_content(index, &name, &filter, watch).await?,
        };
        self.get_root(index, &name, content, filter, watch).await
    }

    /// Fetches what is being hashed, as far as it goes. What comes from one member is held against the root that the same
    /// member publishes (BT-3.4-6).
    async fn fetch_unhashed(
        &self,
        index: &FramedIndex,
        name: &FileName,
        content: Content,
        filter: &mut Filter,
        watch: &mut impl FnMut(Happening<'_>),
    ) -> Result<(), GetError> {
        let target = Target::Name(name.clone());
        let sources = locate(index, &target).await.map_err(IndexError::from)?;
        let hashing = sources.into_iter().find(|source| source.access.is_some());
        let member = hashing.and_then(|source| MemberName::new(&source.member?).ok());
        filter.member = member.or(filter.member.take());
        let to_fetch = ToFetch { target, from: filter.member.as_ref(), name, content, superseded: &[] };
        match self.fetch(index, to_fetch, watch).await {
            Ok((Fetched::Complete | Fetched::Provisional, _)) => Ok(()),
            Err(GetError::Fetch(error @ (FetchError::NoSourceLeft(_) | FetchError::Changed))) => {
                // It may have been hashed meanwhile; else there is nobody who would ever say so.
                let hits = hits_of(index, name, filter).await?;
                let is_hopeless = hits.iter().all(|hit| hit.content.root.is_none());
                if is_hopeless && !matches!(error, FetchError::Changed) { Err(error.into()) } else { Ok(()) }
            }
            Err(error) => Err(error),
        }
    }

    /// Fetches a content by its root and, when that changes on its owner's disk meanwhile, what the name stands for then.
    async fn get_root(
        &self,
        index: &FramedIndex,
        name: &FileName,
        mut content: Content,
        filter: Filter,
        watch: &mut impl FnMut(Happening<'_>),
    ) -> Result<Got, GetError> {
        // Who asks for a root doesn't want another one.
        let is_by_name = filter.root_prefix.is_none();
        let mut superseded = if is_by_name { self.superseded(index, name).await? } else { Vec::new() };
        let (mut changes, mut waits) = (0, 0);
        loop {
            let root = content.root.expect("it has been waited for");
            let target = Target::Root(root);
            let to_fetch = ToFetch { target, from: None, name, content, superseded: &superseded };
            let error = match self.fetch(index, to_fetch, watch).await {
                Ok((_, resumed_bytes)) => {
                    let file_bytes = content.file_bytes.map_or(0, FileBytes::bytes);
                    let (name, root) = (name.clone(), Some(root));
                    return Ok(Got { name, file_bytes, resumed_bytes, duration: Duration::ZERO, root });
                }
                Err(GetError::Fetch(error)) if is_by_name => error,
                Err(error) => return Err(error),
            };
            if !matches!(error, FetchError::Changed | FetchError::NoSourceLeft(Missing::Sources)) {
                return Err(error.into());
            }
            match stands_for(index, name, &filter, root, watch).await? {
                Now::Another(now) if changes < CHANGES_MAX => {
                    changes += 1;
                    watch(Happening::Changed);
                    superseded.push(root);
                    content = now;
                }
                Now::Same if matches!(error, FetchError::Changed) && waits < WAITS_MAX => waits += 1,
                Now::Another(_) | Now::Same | Now::Nothing => return Err(error.into()),
            }
        }
    }

    /// Roots of unfinished downloads of this name that nobody lists under it any more.
    async fn superseded(&self, index: &FramedIndex, name: &FileName) -> Result<Vec<Root>, GetError> {
        // Nearly always there are none. Where the folder can't be read, opening the part says so.
        let mut unfinished = Part::unfinished(self.folder, name).unwrap_or_default();
        if !unfinished.is_empty() {
            let everybodys = Filter { is_exact: true, ..Filter::default() };
            let (listed, is_all) = listed(index, name, &everybodys).await?;
            unfinished.retain(|root| is_all && listed.iter().all(|hit| hit.content.root != Some(*root)));
        }
        Ok(unfinished)
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
                        attempts.proved(Instant::now(), source.address);
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
