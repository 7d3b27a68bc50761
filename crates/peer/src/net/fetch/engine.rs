//! What the threads of one download share: the plan, the schedule, the sources, and whether it is over.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bittrickle_wire::seal::{PublicKey, SecretKey};
use bittrickle_wire::{Content, FileName, Root, Target};
use tokio::sync::mpsc;

use super::Event;
use super::error::FetchError;
use super::inbox::Taken;
use super::plan::Plan;
use super::progress::Progress;
use super::sources::Active;
use super::writer::{BATCHES_WAITING, Batch};
use crate::share::{Folder, Holding, Part, Shares};
use crate::transfer::{Attempts, Deadlines, PieceSet, Schedule, SourceId};

/// What is to be downloaded, and where to.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// What tickets are asked for.
    pub target: Target,
    /// What the index lists.
    pub content: Content,
    /// What it will be called.
    pub name: FileName,
    /// Roots that the name stood for before: what there is of them is taken over.
    pub superseded: Vec<Root>,
    /// Where it goes.
    pub folder: Arc<Folder>,
    /// What others are let have meanwhile.
    pub shares: Arc<Shares>,
    /// Our key.
    pub device: SecretKey,
    /// How long is waited for what.
    pub deadlines: Deadlines,
    /// What all downloads of this peer have tried.
    pub attempts: Arc<Mutex<Attempts>>,
}

/// Shared by the threads of one download.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) job: Job,
    pub(super) progress: Arc<Progress>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    state: Mutex<State>,
    pub(super) changed: Condvar,
    buffers: Mutex<Vec<Taken>>,
    /// To the writer, which ends when nobody can send to it any more.
    pub(super) batches: Mutex<Option<SyncSender<Batch>>>,
}

/// What pieces go to, once the plan is there.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) plan: Plan,
    pub(super) part: Arc<Part>,
    /// For those who fetch from us meanwhile.
    verified: Arc<Mutex<PieceSet>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) head: Head,
    pub(super) schedule: Option<Schedule>,
    pub(super) sources: HashMap<SourceId, Active>,
    /// Sources that have lied, or have let us wait for nothing: they aren't asked again.
    pub(super) banned: HashSet<PublicKey>,
    /// Sources that have brought a piece.
    pub(super) proved: HashSet<PublicKey>,
    pub(super) next_source: u32,
    pub(super) over: Option<Over>,
}

#[derive(Debug, Default)]
pub(super) enum Head {
    #[default]
    Missing,
    /// Somebody is fetching it.
    Fetching {
        began: Instant,
        /// When something of it has come last.
        heard: Instant,
    },
    /// It is there; the part is being opened, and what is there of it hashed.
    Preparing,
    Ready(Arc<Work>),
}

/// How a download came to its end.
#[derive(Debug)]
pub(super) enum Over {
    Complete,
    Cancelled,
    Failed(FetchError),
}

/// What a source has to do before it fetches pieces.
pub(super) enum Turn {
    /// Fetch what it takes to make a plan, and call [`Engine::planned`] or [`Engine::not_planned`].
    Plan,
    /// The plan is there.
    Work(Arc<Work>),
    /// The download is over.
    Over,
}

/// How long one source is left alone with making the plan when nothing comes from it, and in all.
const PLAN_WAIT: Duration = Duration::from_secs(1);
const PLAN_TIME: Duration = Duration::from_secs(5);

/// Buffers that are kept for the next pieces.
const BUFFERS_MAX: usize = BATCHES_WAITING;

impl Engine {
    pub(super) fn new(
        job: Job,
        progress: Arc<Progress>,
        events: mpsc::UnboundedSender<Event>,
        batches: SyncSender<Batch>,
    ) -> Self {
        let (state, changed, buffers) = (Mutex::default(), Condvar::new(), Mutex::default());
        Self { job, progress, events, state, changed, buffers, batches: Mutex::new(Some(batches)) }
    }

    /// No source sends anything to the writer any more.
    pub(super) fn close_batches(&self) {
        *self.batches.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits until this source is to make the plan, or it is there. One that lets us wait for it is raced by the next one.
    pub(super) fn turn(&self) -> Turn {
        let mut state = self.state();
        loop {
            if state.over.is_some() {
                return Turn::Over;
            }
            let mut wait = PLAN_WAIT;
            match &state.head {
                Head::Fetching { began, heard }
                    if heard.elapsed() < PLAN_WAIT && began.elapsed() < PLAN_TIME =>
                {
                    wait -= heard.elapsed().min(wait);
                }
                Head::Missing | Head::Fetching { .. } => {
                    let began = Instant::now();
                    state.head = Head::Fetching { began, heard: began };
                    return Turn::Plan;
                }
                Head::Preparing => {}
                Head::Ready(work) => return Turn::Work(Arc::clone(work)),
            }
            state = self.wait(state, wait);
        }
    }

    /// What it takes to make the plan is coming in: nobody has to race it.
    pub(super) fn planning_goes_on(&self) {
        if let Head::Fetching { heard, .. } = &mut self.state().head {
            *heard = Instant::now();
        }
    }

    /// Another source has to make the plan.
    pub(super) fn not_planned(&self) {
        let mut state = self.state();
        if let Head::Fetching { .. } = state.head {
            state.head = Head::Missing;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Whether the plan that a source has made is the first.
    pub(super) fn may_prepare(&self) -> bool {
        let mut state = self.state();
        let is_first = matches!(state.head, Head::Missing | Head::Fetching { .. }) && state.over.is_none();
        if is_first {
            state.head = Head::Preparing;
        }
        is_first
    }

    /// Waits until the plan is there that is being prepared; `None` when the download is over.
    pub(super) fn wait_for_work(&self) -> Option<Arc<Work>> {
        match self.turn() {
            Turn::Work(work) => Some(work),
            // Nobody is to plan again once somebody prepares.
            Turn::Over | Turn::Plan => None,
        }
    }

    /// The plan is there, the part is open, and these of its pieces have been hashed again.
    pub(super) fn planned(&self, plan: Plan, part: Part, verified: PieceSet, seed: u64) {
        let bytes: u64 = verified.ranges().map(|range| plan.layout.range_bytes(range)).sum();
        self.progress.begin(plan.layout.bytes(), bytes);
        if bytes > 0 {
            self.tell(Event::Resumed { bytes });
        }
        let (part, shared) = (Arc::new(part), Arc::new(Mutex::new(verified.clone())));
        self.let_others_have(&plan, &part, &shared);
        let mut state = self.state();
        let is_complete = verified.is_complete();
        state.schedule = Some(Schedule::new(verified, seed));
        state.head = Head::Ready(Arc::new(Work { plan, part, verified: shared }));
        drop(state);
        if is_complete {
            self.finish(Over::Complete);
        }
        self.changed.notify_all();
    }

    /// What is being downloaded is offered as well (BT-3.5-9), once it is known what it is.
    fn let_others_have(&self, plan: &Plan, part: &Arc<Part>, verified: &Arc<Mutex<PieceSet>>) {
        if let (Target::Root(root), Some(checks)) = (&self.job.target, &plan.checks) {
            let (layout, manifest) = (plan.layout.clone(), plan.manifest.clone());
            let outline = checks.outline().to_vec();
            let (part, verified) = (Arc::clone(part), Arc::clone(verified));
            let holding = Holding::of_part(*root, layout, manifest, outline, part, verified);
            self.job.shares.add_download(*root, Arc::new(holding));
            self.tell(Event::Announce);
        }
    }

    /// The part is let go of, so that it can be gone on with.
    pub(super) fn release(&self) {
        self.state().head = Head::Missing;
    }

    pub(super) fn work(&self) -> Option<Arc<Work>> {
        match &self.state().head {
            Head::Ready(work) => Some(Arc::clone(work)),
            Head::Missing | Head::Fetching { .. } | Head::Preparing => None,
        }
    }

    /// Runs something on the schedule, unless the download is over.
    pub(super) fn schedule<T>(&self, id: SourceId, work: impl FnOnce(&mut Schedule) -> T) -> Option<T> {
        let mut state = self.state();
        if state.over.is_some() || !state.sources.contains_key(&id) {
            return None;
        }
        state.schedule.as_mut().map(work)
    }

    /// Whether nothing is asked of anybody: there is no source, or none that has what is missing. Waiting for one's turn
    /// isn't that.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state();
        match (&state.head, &state.schedule) {
            (Head::Ready(_), Some(schedule)) => {
                schedule.asks_nobody() && !state.sources.values().any(|active| active.is_busy)
            }
            (Head::Preparing, _) => false,
            (Head::Missing | Head::Fetching { .. } | Head::Ready(_), _) => {
                !state.sources.values().any(|active| active.has_answered)
            }
        }
    }

    /// Waits for something to change. Says whether the download goes on with this source.
    pub(super) fn wait_for_change(&self, id: SourceId, time: Duration) -> bool {
        let goes_on = |state: &State| state.over.is_none() && state.sources.contains_key(&id);
        let state = self.state();
        goes_on(&state) && goes_on(&self.wait(state, time))
    }

    /// Pieces were written.
    pub(super) fn verified(&self, work: &Work, pieces: &[Range<u32>]) {
        let mut shared = work.verified.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in pieces.iter().cloned().flatten() {
            shared.insert(piece);
        }
        drop(shared);
        let mut state = self.state();
        let Some(schedule) = &mut state.schedule else { return };
        pieces.iter().cloned().flatten().for_each(|piece| schedule.verified(piece));
        let is_complete = schedule.is_complete();
        drop(state);
        let bytes = pieces.iter().map(|range| work.plan.layout.range_bytes(range.clone())).sum();
        self.progress.add(bytes);
        if is_complete {
            self.finish(Over::Complete);
        }
    }

    /// Ends the download, however it goes; the first word counts.
    pub(super) fn finish(&self, over: Over) {
        let mut state = self.state();
        state.over.get_or_insert(over);
        state.sources.values_mut().for_each(Active::end);
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn fail(&self, error: impl Into<FetchError>) {
        self.finish(Over::Failed(error.into()));
    }

    /// Whether nothing more is to be written.
    pub(super) fn is_over(&self) -> bool {
        self.state().over.is_some()
    }

    /// Waits until the download is over and all its sources have ended, but for those that aren't connected: they will
    /// find out.
    pub(super) fn wait_until_over(&self) -> Over {
        let mut state = self.state();
        loop {
            if state.sources.values().all(|active| active.socket.is_none())
                && let Some(over) = state.over.take()
            {
                // Nobody begins anything any more.
                state.over = Some(Over::Cancelled);
                return over;
            }
            state = self.wait(state, Duration::from_secs(1));
        }
    }

    /// A buffer whose bytes nobody needs any more.
    pub(super) fn buffer(&self) -> Option<Taken> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Gives a buffer back.
    pub(super) fn give_back(&self, buffer: Taken) {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < BUFFERS_MAX {
            buffers.push(buffer);
        }
    }

    pub(super) fn tell(&self, event: Event) {
        // Whoever listens may have gone.
        let _ = self.events.send(event);
    }
}
