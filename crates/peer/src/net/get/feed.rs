//! A download under way: it is fed with sources until it is done, and offered to others meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::{Content, FileName, MemberName, Root, Target};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{interval, sleep, timeout};

use super::supply::{Hope, Located, Supply};
use super::{GetError, Getter, Happening, PROGRESS_EVERY};
use crate::net::fetch::{Event, FetchError, Fetched, Fetching, Job, Progress};
use crate::net::framed::FramedIndex;
use crate::net::index::IndexError;

/// A content, and how it is fetched.
pub(super) struct ToFetch<'a> {
    /// What tickets are asked for.
    pub(super) target: Target,
    /// From this member's devices alone, where it matters whose it is.
    pub(super) from: Option<&'a MemberName>,
    /// What it will be called.
    pub(super) name: &'a FileName,
    /// What the index lists.
    pub(super) content: Content,
    /// Roots that the name stood for before.
    pub(super) superseded: &'a [Root],
}

/// A download, and what is known of its sources.
struct Feed<'a> {
    fetching: Fetching,
    supply: Supply<'a>,
    started: Instant,
    /// Sources that were lost, and those of them that have lied.
    losses: u32,
    lies: u32,
    /// A source doesn't have it any more as it was.
    has_changed: bool,
    idle_since: Option<Instant>,
}

/// How often the index is asked for sources: at first, and when the download is under way for a while.
const LOCATE_EVERY: Duration = Duration::from_secs(1);
const LOCATE_SELDOM: Duration = Duration::from_secs(5);
const LOCATE_OFTEN_FOR: Duration = Duration::from_secs(15);

/// A download that is still going on after so long is announced as a source for others. What is over sooner isn't worth it:
/// who gets many small files would spend on it what the index lets everyone ask.
const ANNOUNCE_AFTER: Duration = Duration::from_millis(200);

/// How long is waited for the index to take it.
const ANNOUNCE_WAIT: Duration = Duration::from_secs(1);

/// How long nothing may be asked of anybody, because there is no source or none has what is missing, or the index is away.
const PATIENCE: Duration = Duration::from_secs(60);

/// The same, once what is fetched has changed.
const PATIENCE_AFTER_CHANGE: Duration = Duration::from_secs(2);

/// Longer than any download.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3_600);

impl Getter<'_> {
    /// Fetches one content until all of it is there; says how much of it was there before.
    pub(super) async fn fetch(
        &self,
        index: &FramedIndex,
        to_fetch: ToFetch<'_>,
        watch: &mut impl FnMut(Happening<'_>),
    ) -> Result<(Fetched, u64), GetError> {
        let ToFetch { target, from, name, content, superseded } = to_fetch;
        let device = self.device.expect("who speaks frames has a key").clone();
        let (folder, shares) = (Arc::clone(self.folder), Arc::clone(self.shares));
        let job = Job {
            target: target.clone(),
            content,
            name: name.clone(),
            superseded: superseded.to_vec(),
            folder,
            shares,
            device,
            deadlines: self.deadlines,
            attempts: Arc::clone(self.attempts),
        };
        let (fetching, progress, mut events) = Fetching::start(job).map_err(GetError::Thread)?;
        let mut feed = Feed::new(fetching, Supply::new(index, &target, from));
        let result = self.feed(&mut feed, name, &progress, &mut events, watch).await;
        while let Ok(event) = events.try_recv() {
            tell(&event, watch);
        }
        result.map(|fetched| (fetched, progress.resumed_bytes()))
    }

    async fn feed(
        &self,
        feed: &mut Feed<'_>,
        name: &FileName,
        progress: &Progress,
        events: &mut UnboundedReceiver<Event>,
        watch: &mut impl FnMut(Happening<'_>),
    ) -> Result<Fetched, GetError> {
        let (mut ticks, mut is_announced) = (interval(PROGRESS_EVERY), false);
        let announcing = sleep(NEVER);
        tokio::pin!(announcing);
        let mut locating = Box::pin(feed.supply.locate_after(Duration::ZERO));
        let result = loop {
            let outcome = tokio::select! {
                result = feed.fetching.finished() => break result.map_err(GetError::from),
                Some(event) = events.recv() => {
                    feed.note(&event);
                    if let Event::Announce = event {
                        announcing.as_mut().reset((Instant::now() + ANNOUNCE_AFTER).into());
                    }
                    tell(&event, watch);
                    feed.end_if_changed()
                }
                _ = ticks.tick() => {
                    watch(Happening::Progress(name, progress));
                    feed.has_waited_in_vain().then(|| feed.none_left())
                }
                () = &mut announcing => {
                    announcing.as_mut().reset((Instant::now() + NEVER).into());
                    is_announced = true;
                    self.announce().await;
                    None
                }
                answer = &mut locating => {
                    let outcome = feed.add_sources(answer);
                    locating = Box::pin(feed.supply.locate_after(feed.locate_wait()));
                    outcome
                }
            };
            if let Some(outcome) = outcome {
                break feed.end(outcome).await;
            }
        };
        if is_announced {
            self.announce().await;
        }
        result
    }

    /// Tells the index what can be fetched from us meanwhile. If that fails, others have one source less, and nobody waits
    /// for it.
    async fn announce(&self) {
        let _ = timeout(ANNOUNCE_WAIT, self.index.announce(self.shares.download_roots())).await;
    }
}

/// How a download is ended from here.
type Outcome = Result<Fetched, GetError>;

impl<'a> Feed<'a> {
    fn new(fetching: Fetching, supply: Supply<'a>) -> Self {
        Self {
            fetching,
            supply,
            started: Instant::now(),
            losses: 0,
            lies: 0,
            has_changed: false,
            idle_since: None,
        }
    }

    fn note(&mut self, event: &Event) {
        if let Event::Lost { error, .. } = event {
            self.losses += 1;
            self.lies += u32::from(error.is_lie());
            self.has_changed |= error.has_moved_on();
        }
    }

    /// Ends the download once a content has changed, and nobody has the old one: nobody will.
    fn end_if_changed(&self) -> Option<Outcome> {
        let is_over = self.has_changed && self.fetching.source_count() == 0;
        is_over.then(|| Err(FetchError::Changed.into()))
    }

    /// Offers what the index has answered. Says how the download ends, if it does.
    fn add_sources(&mut self, answer: Located) -> Option<Outcome> {
        match self.supply.add_sources(answer, &self.fetching) {
            Ok(Hope::Yes) => None,
            Ok(Hope::No) => Some(self.none_left()),
            Ok(Hope::Hashed) => Some(Ok(Fetched::Provisional)),
            Err(error) => Some(Err(IndexError::from(error).into())),
        }
    }

    fn locate_wait(&self) -> Duration {
        let is_new = self.started.elapsed() < LOCATE_OFTEN_FOR || self.fetching.source_count() == 0;
        if is_new { LOCATE_EVERY } else { LOCATE_SELDOM }
    }

    /// Whether nothing has been asked of anybody for too long.
    fn has_waited_in_vain(&mut self) -> bool {
        if !self.fetching.is_idle() {
            self.idle_since = None;
            return false;
        }
        // Who is left of those who fetch what has changed lacks the same as we.
        let patience = if self.has_changed { PATIENCE_AFTER_CHANGE } else { PATIENCE };
        self.idle_since.get_or_insert_with(Instant::now).elapsed() > patience
    }

    fn none_left(&self) -> Outcome {
        if self.has_changed {
            return Err(FetchError::Changed.into());
        }
        let all_lied = self.lies > 0 && self.lies == self.losses;
        Err(if all_lied { FetchError::OnlyLiars } else { FetchError::NoSourceLeft(self.supply.missing()) }
            .into())
    }

    /// Ends the download, unless it has come to its end by itself just now.
    async fn end(&mut self, outcome: Outcome) -> Outcome {
        self.fetching.cancel();
        match self.fetching.finished().await {
            Err(FetchError::Cancelled) => outcome,
            other => Ok(other?),
        }
    }
}

fn tell(event: &Event, watch: &mut impl FnMut(Happening<'_>)) {
    match event {
        Event::Resumed { bytes } => watch(Happening::Resumed(*bytes)),
        Event::Busy { who } => watch(Happening::Busy(who)),
        Event::Lost { who, error } if !error.is_expired() => watch(Happening::Lost(who, error)),
        Event::Lost { .. } | Event::Announce => {}
    }
}
