//! The thread that owns the store: every change goes through it, one after the other.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as blocking;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bittrickle_wire::Password;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::backoff::{BackOff, Outcome};
use super::pool::{Job, Pool};
use super::{Check, Notice, PasswordHash, Place, Purpose, Verdict};
use crate::admin;
use crate::control::{Answer, Command};
use crate::directory::Change;
use crate::store::{MemberSnapshot, Store, StoreError};

/// What the keeper is asked for.
pub(super) enum Work {
    /// By the UDP loop.
    Check(Check, Place),
    /// By the pool: whether the password was right.
    Verified(Job, bool),
    /// By an administrator. The answer is good when all of the receivers have fired.
    Command(Command, oneshot::Sender<(Answer, Vec<oneshot::Receiver<()>>)>),
    /// By an administrator: all as it is.
    Snapshot(oneshot::Sender<Result<MemberSnapshot, StoreError>>),
    /// By the last who could ask for anything.
    Stop,
}

/// The owner of the store.
pub(super) struct Keeper {
    store: Store,
    backoff: BackOff,
    pool: Pool,
    /// A hash that nobody knows the password of: checking it takes as long as checking a member's.
    nobody: PasswordHash,
    notices: mpsc::Sender<Notice>,
    stopping: Arc<AtomicBool>,
}

/// How long to wait for the UDP loop when there are as many notices as there may be.
const NOTICE_PAUSE: Duration = Duration::from_millis(1);

impl Keeper {
    pub(super) fn new(
        store: Store,
        work: &blocking::Sender<Work>,
        notices: mpsc::Sender<Notice>,
        stopping: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let random = getrandom::u64().map_err(io::Error::other)?;
        let password = Password::new(&format!("{random:016x}")).expect("digits are a password");
        let nobody = PasswordHash::of(&password).map_err(io::Error::other)?;
        let pool = Pool::start(work, &stopping)?;
        Ok(Self { store, backoff: BackOff::new(), pool, nobody, notices, stopping })
    }

    /// Works until there is nobody left who could ask for anything.
    pub(super) fn run(mut self, works: &blocking::Receiver<Work>) {
        while let Ok(work) = works.recv() {
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            match work {
                Work::Check(check, place) => self.check(check, place),
                Work::Verified(job, right) => self.verified(&job, right),
                Work::Command(command, answer) => {
                    let (told, changes) = admin::execute(&self.store, unix_seconds(), command);
                    let applied = changes.into_iter().map(|change| self.tell_change(change)).collect();
                    // Whoever asked has gone; it is done all the same.
                    let _ = answer.send((told, applied));
                }
                Work::Snapshot(asked) => drop(asked.send(self.store.snapshot())),
                Work::Stop => return,
            }
        }
    }

    fn check(&mut self, check: Check, place: Place) {
        let record = match self.store.member(&check.member) {
            Ok(record) => record,
            Err(error) => return self.fail(&check, &error),
        };
        let target = self.backoff.target(&check.member, record.is_some());
        match self.backoff.begin(Instant::now(), check.from, target) {
            Err(after) => self.tell_verdict(&check, Verdict::TryAgain { after }),
            Ok(attempt) => {
                let hash = record.filter(|record| !record.disabled).map(|record| record.password);
                let real = hash.is_some();
                let hash = hash.unwrap_or_else(|| self.nobody.clone());
                self.pool.submit(Job { check, attempt, _place: place, hash, real });
            }
        }
    }

    fn verified(&mut self, job: &Job, right: bool) {
        let result = if right { self.accept(&job.check, &job.hash) } else { Ok(Verdict::Wrong) };
        let outcome = match &result {
            Ok(Verdict::Right | Verdict::TooManyDevices) => Outcome::Right,
            Ok(Verdict::Wrong) => Outcome::Wrong,
            Ok(Verdict::TryAgain { .. } | Verdict::Failed) | Err(_) => Outcome::Unknown,
        };
        self.backoff.end(Instant::now(), &job.attempt, outcome);
        match result {
            Ok(verdict) => self.tell_verdict(&job.check, verdict),
            Err(error) => self.fail(&job.check, &error),
        }
    }

    /// Does what the password is for, which is the one that `hash` was made of.
    fn accept(&self, check: &Check, hash: &PasswordHash) -> Result<Verdict, StoreError> {
        // The member may have been disabled or given another password while this one was checked.
        let record = self.store.member(&check.member)?;
        if record.is_none_or(|record| record.disabled || record.password != *hash) {
            return Ok(Verdict::Wrong);
        }
        let device = match check.purpose {
            Purpose::Legacy => return Ok(Verdict::Right),
            Purpose::Enrol(device) => device,
        };
        match self.store.add_device(device, &check.member, unix_seconds()) {
            Ok(changes) => {
                changes.into_iter().for_each(|change| drop(self.tell_change(change)));
                Ok(Verdict::Right)
            }
            Err(StoreError::TooManyDevices) => Ok(Verdict::TooManyDevices),
            Err(error) => Err(error),
        }
    }

    fn fail(&self, check: &Check, error: &StoreError) {
        tracing::error!(%error, "a password can't be checked");
        self.tell_verdict(check, Verdict::Failed);
    }

    fn tell_verdict(&self, check: &Check, verdict: Verdict) {
        self.tell(Notice::Checked { id: check.id, verdict });
    }

    fn tell_change(&self, change: Change) -> oneshot::Receiver<()> {
        let (applied, receiver) = oneshot::channel();
        self.tell(Notice::Changed { change, applied });
        receiver
    }

    /// Waits while there are too many notices, unless nobody will take them any more.
    fn tell(&self, mut notice: Notice) {
        while let Err(TrySendError::Full(back)) = self.notices.try_send(notice) {
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            notice = back;
            std::thread::sleep(NOTICE_PAUSE);
        }
    }
}

/// The time as the store keeps it. 0 on a machine that believes to be before 1970.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
