//! Returns to an index that has forgotten us: at once, but not again and again (BT-2.4-2).

use std::time::{Duration, Instant};

/// When the next return is due.
#[derive(Debug)]
pub(super) struct Returns {
    next_at: Instant,
    wait: Duration,
}

/// How long after a return the next one is due, at least; each further one after twice as long.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(30);

impl Returns {
    pub(super) fn new(now: Instant) -> Self {
        Self { next_at: now, wait: Duration::ZERO }
    }

    /// Whether one may begin now.
    pub(super) fn may_begin(&self, now: Instant) -> bool {
        now >= self.next_at
    }

    /// When the one that is wanted now is to begin. A session that has stood for a while makes up for those before.
    pub(super) fn due(&mut self, now: Instant) -> Instant {
        if now >= self.next_at + WAIT_MAX {
            self.wait = Duration::ZERO;
        }
        let due = now.max(self.next_at);
        self.wait = (self.wait * 2).clamp(WAIT_MIN, WAIT_MAX);
        self.next_at = due + self.wait;
        due
    }
}
