//! Accounts: checks passwords, enrols devices, and carries out what administrators ask, beside the UDP loop.
//!
//! ```text
//!  UDP loop ── check ──▶ keeper (store, back-off) ── Argon2id ──▶ pool ──▶ keeper
//!     ▲                     ▲                                                │
//!     │    control ── execute                                                │
//!     └──────────────── Notice: Changed, Checked ◀───────────────────────────┘
//! ```
//! The keeper is one thread, so that the store has one owner and every change one order. Nothing here waits for the UDP
//! loop but the keeper, when there are more notices than [`NOTICES_MAX`].
//!
//! | file | what it holds |
//! |---|---|
//! | `keeper.rs` | the thread that owns the store |
//! | `pool.rs` | the threads that hash |
//! | `backoff.rs` | who has to wait after wrong passwords; pure |
//! | `password_hash.rs` | passwords as they are kept |
//! | `membership.rs` | all that the UDP loop needs to know who is who |

mod backoff;
mod keeper;
mod membership;
mod password_hash;
mod pool;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as blocking};
use std::thread::JoinHandle;
use std::time::Duration;

use bittrickle_wire::seal::PublicKey;
use bittrickle_wire::{MemberName, Password};
use tokio::sync::{mpsc, oneshot};

use crate::control::{Answer, Command, Refusal};
use crate::directory::Change;
use crate::store::{MemberSnapshot, Store, StoreError};
pub(crate) use keeper::unix_seconds;
use keeper::{Keeper, Work};
pub use membership::{Membership, MembershipError};
pub use password_hash::{PasswordHash, PasswordHashError};

/// Tells an answer's question: chosen by whoever asks, who may use a number again after its answer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CheckId(pub u64);

/// What a password is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// If it is right, this device becomes the member's.
    Enrol(PublicKey),
    /// A login in the legacy format.
    Legacy,
}

/// A password to check.
#[derive(Clone, Debug)]
pub struct Check {
    /// Comes back with the verdict.
    pub id: CheckId,
    /// Who claims to be whom.
    pub member: MemberName,
    /// The password.
    pub password: Password,
    /// From where: who fails often waits.
    pub from: IpAddr,
    /// What for.
    pub purpose: Purpose,
}

/// What became of a [`Check`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The password is right, and the device, if it was about one, is the member's: durably.
    Right,
    /// The password is wrong, or the member unknown or disabled.
    Wrong,
    /// Too many were wrong lately: this one wasn't looked at.
    TryAgain {
        /// How long to wait.
        after: Duration,
    },
    /// The password is right, but the member has as many devices as allowed.
    TooManyDevices,
    /// The server can't tell at present. Its log says why.
    Failed,
}

/// What the UDP loop has to know. Notices come in the order of what they tell.
#[derive(Debug)]
pub enum Notice {
    /// A check is done. What it changed has been told before.
    Checked {
        /// Which one.
        id: CheckId,
        /// With what result.
        verdict: Verdict,
    },
    /// Something has changed, durably.
    Changed {
        /// What.
        change: Change,
        /// To be fired when it is taken in: then administrators are told that it is done.
        applied: oneshot::Sender<()>,
    },
}

/// There are too many checks already.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{CHECKS_MAX} passwords are being checked already; try again later")]
pub struct QueueFull;

/// Most checks that wait or are under way.
pub const CHECKS_MAX: usize = 64;

/// Most notices that wait for the UDP loop.
pub const NOTICES_MAX: usize = 1_024;

/// How long a command waits until its changes are taken in.
const APPLY_PATIENCE: Duration = Duration::from_secs(5);

/// The way to the keeper. Clones lead to the same one; with the last of them it ends.
#[derive(Clone)]
pub struct Accounts(Arc<Way>);

struct Way {
    work: blocking::Sender<Work>,
    checks: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// One of the [`CHECKS_MAX`] places, free again when this goes.
struct Place(Arc<AtomicUsize>);

impl Accounts {
    /// Starts the keeper and its pool.
    ///
    /// # Errors
    /// The operating system has no threads or no randomness.
    pub fn start(store: Store) -> io::Result<(Self, mpsc::Receiver<Notice>)> {
        let (work, works) = blocking::channel();
        let (notices, receiver) = mpsc::channel(NOTICES_MAX);
        let stopping = Arc::new(AtomicBool::new(false));
        let keeper = Keeper::new(store, &work, notices, Arc::clone(&stopping))?;
        let thread =
            std::thread::Builder::new().name("accounts".to_owned()).spawn(move || keeper.run(&works))?;
        let keeper = Mutex::new(Some(thread));
        Ok((Self(Arc::new(Way { work, checks: Arc::default(), stopping, keeper })), receiver))
    }

    /// Has a password checked. Returns at once; the verdict comes as a [`Notice::Checked`].
    ///
    /// # Errors
    /// There are [`CHECKS_MAX`] already. No notice comes then.
    pub fn check(&self, check: Check) -> Result<(), QueueFull> {
        let more = |checks: usize| (checks < CHECKS_MAX).then_some(checks + 1);
        self.0.checks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(|_| QueueFull)?;
        let place = Place(Arc::clone(&self.0.checks));
        // The keeper is there as long as this is, unless it panicked. The client then gets no answer, and asks again.
        let _ = self.0.work.send(Work::Check(check, place));
        Ok(())
    }

    /// Members and devices as they are. `None` if the keeper is ending.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) async fn snapshot(&self) -> Option<Result<MemberSnapshot, StoreError>> {
        let (asked, answer) = oneshot::channel();
        self.0.work.send(Work::Snapshot(asked)).ok()?;
        answer.await.ok()
    }

    /// Carries out an administrator's command. The answer comes when its changes are durable and taken in by the UDP loop.
    pub async fn execute(&self, command: Command) -> Answer {
        let (answer, answered) = oneshot::channel();
        if self.0.work.send(Work::Command(command, answer)).is_err() {
            return Answer::Refused(Refusal::Stopping);
        }
        let Ok((answer, applied)) = answered.await else { return Answer::Refused(Refusal::Stopping) };
        let all = async {
            for applied in applied {
                applied.await?;
            }
            Ok::<_, oneshot::error::RecvError>(())
        };
        match tokio::time::timeout(APPLY_PATIENCE, all).await {
            Ok(Ok(())) => answer,
            Ok(Err(_)) | Err(_) => Answer::Refused(Refusal::NotApplied),
        }
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accounts")
    }
}

impl Drop for Way {
    /// Ends the keeper, and waits until the store is closed. What hasn't been begun isn't done any more.
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        let _ = self.work.send(Work::Stop);
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if keeper.is_some_and(|keeper| keeper.join().is_err()) {
            tracing::error!("the thread that keeps the accounts has failed");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
