//! Handshakes cost a curve operation or four: they wait in a queue of their own, behind the heartbeats, and no network
//! gets more than its share (BT-6.4-5).

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;

use bittrickle_wire::seal::{Initiate, NONCE_BYTES};

use super::network::Network;
use super::rate::{Budget, Rate};

/// Handshakes that wait for their turn, and the budgets of those who have asked lately.
#[derive(Debug)]
pub struct Handshakes {
    rate: Rate,
    queue: VecDeque<Waiting>,
    waiting: HashSet<[u8; NONCE_BYTES]>,
    budgets: HashMap<Network, Budget>,
    swept_ms: u64,
}

/// A handshake that waits.
#[derive(Debug)]
struct Waiting {
    since_ms: u64,
    from: SocketAddr,
    initiate: Initiate,
}

/// Why a handshake doesn't get its turn. The device asks again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QueueError {
    /// Its network asks too often.
    #[error("its network asks too often")]
    TooFast,
    /// Too many wait, or too many networks ask.
    #[error("too many handshakes wait")]
    Full,
}

/// Handshakes of one network (BT-6.4-5).
pub(super) const RATE: Rate = Rate { per_second: 20, burst: 5 };

/// Networks whose budgets are remembered. A new one is refused beyond that.
const NETWORKS_MAX: usize = 65_536;

/// Handshakes that wait.
const QUEUE_MAX: usize = 4_096;

/// How long one waits at most. A device begins anew 3.5 s after its hello (BT-6.4-6): an answer that comes later is of no
/// use to it, and a queue that is older would be answered in vain from end to end.
const WAIT_MS_MAX: u64 = 3_000;

/// How often full budgets are forgotten, which are as good as new ones.
const SWEEP_MS: u64 = 1_000;

/// Budgets that aren't worth looking through.
const SWEEP_MIN: usize = 1_024;

impl Handshakes {
    /// None yet.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, queue: VecDeque::new(), waiting: HashSet::new(), budgets: HashMap::new(), swept_ms: 0 }
    }

    /// Lets a handshake wait whose cookie is good.
    ///
    /// # Errors
    /// There is no place for it.
    pub fn push(&mut self, now_ms: u64, from: SocketAddr, initiate: Initiate) -> Result<(), QueueError> {
        if self.queue.len() >= QUEUE_MAX {
            return Err(QueueError::Full);
        }
        if self.waiting.contains(&initiate.nonce) {
            // Sent again because its turn has not come yet.
            return Ok(());
        }
        self.take_from_budget(now_ms, from.ip().into())?;
        self.waiting.insert(initiate.nonce);
        self.queue.push_back(Waiting { since_ms: now_ms, from, initiate });
        Ok(())
    }

    /// The one that has waited longest, but not too long.
    pub fn pop(&mut self, now_ms: u64) -> Option<(SocketAddr, Initiate)> {
        loop {
            let Waiting { since_ms, from, initiate } = self.queue.pop_front()?;
            self.waiting.remove(&initiate.nonce);
            if now_ms <= since_ms + WAIT_MS_MAX {
                return Some((from, initiate));
            }
        }
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn take_from_budget(&mut self, now_ms: u64, network: Network) -> Result<(), QueueError> {
        if !self.budgets.contains_key(&network) {
            if self.budgets.len() >= SWEEP_MIN && now_ms >= self.swept_ms + SWEEP_MS {
                self.swept_ms = now_ms;
                let rate = self.rate;
                self.budgets.retain(|_, budget| !budget.is_full(now_ms, rate));
            }
            if self.budgets.len() >= NETWORKS_MAX {
                return Err(QueueError::Full);
            }
        }
        let budget = self.budgets.entry(network).or_insert_with(|| Budget::full(now_ms, self.rate));
        if budget.take(now_ms, self.rate) { Ok(()) } else { Err(QueueError::TooFast) }
    }
}
