//! When the next heartbeat is due: so many in each interval, one after the other in equal steps.

use std::time::{Duration, Instant};

/// An even pace, and how far it has been kept. Turns are numbered from 0.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    interval: Duration,
    turns_per_interval: u64,
    next: u64,
    /// Before this, nothing more is due: what has been missed is caught up with at a measured pace.
    not_before: Instant,
    /// How late the turns were that have been taken.
    pub(super) lateness: Lateness,
}

/// How late turns were taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lateness {
    /// The latest of them.
    pub(super) most: Duration,
    /// Those that were later than [`LATE`].
    pub(super) late: u64,
    /// All.
    pub(super) turns: u64,
}

/// What counts as late: far more than a thread sleeps by mistake, far less than anybody would notice.
pub(super) const LATE: Duration = Duration::from_millis(100);

/// Turns that are taken together at most: half of what a socket's usual buffer holds.
const TOGETHER_MAX: u64 = 128;

/// What has been missed is caught up with in this part of the time it should have had: a burst would not fit the server's
/// socket buffer, and the loader would lose what it should deliver.
const CATCH_UP: (u32, u32) = (3, 4);

impl Pace {
    /// Begins now, with so many turns in each interval.
    pub(super) fn new(now: Instant, interval: Duration, turns_per_interval: usize) -> Self {
        let turns_per_interval = turns_per_interval as u64;
        let lateness = Lateness::default();
        Self { began: now, interval, turns_per_interval, next: 0, not_before: now, lateness }
    }

    /// Takes the turns that are due now, a few at a time.
    pub(super) fn take_due(&mut self, now: Instant) -> std::ops::Range<u64> {
        let first = self.next;
        if now < self.not_before {
            return first..first;
        }
        while self.next < first + TOGETHER_MAX {
            let due = self.due_at(self.next);
            if due > now {
                break;
            }
            self.lateness.note(now - due);
            self.next += 1;
        }
        let taken = u32::try_from(self.next - first).expect("a few");
        let step = self.interval.div_f64(self.turns_per_interval as f64);
        self.not_before = now + step * taken * CATCH_UP.0 / CATCH_UP.1;
        first..self.next
    }

    fn due_at(&self, turn: u64) -> Instant {
        let nanos = self.interval.as_nanos() * u128::from(turn) / u128::from(self.turns_per_interval);
        self.began + Duration::from_nanos(u64::try_from(nanos).expect("584 years are not over"))
    }
}

impl Lateness {
    fn note(&mut self, late: Duration) {
        self.most = self.most.max(late);
        self.late += u64::from(late > LATE);
        self.turns += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(2_000);

    #[test]
    fn turns_are_spread_evenly_over_each_interval() {
        let start = Instant::now();
        let mut pace = Pace::new(start, INTERVAL, 1_000);
        let mut taken = 0;
        for millisecond in 0..4_000 {
            taken += pace.take_due(start + Duration::from_millis(millisecond)).count();
            assert_eq!(taken as u64, millisecond / 2 + 1);
        }
        assert_eq!(pace.lateness.late, 0);
        assert!(pace.lateness.most <= Duration::from_millis(1));
    }

    #[test]
    fn what_was_missed_is_caught_up_with_a_third_faster_and_is_said_to_be_late() {
        let start = Instant::now();
        let mut pace = Pace::new(start, INTERVAL, 1_000);
        // A second is slept through: 501 turns are due at once, and the next second's 500 besides.
        let wake = start + Duration::from_secs(1);
        let mut taken = 0;
        for millisecond in 0..1_000 {
            taken += pace.take_due(wake + Duration::from_millis(millisecond)).count();
        }
        assert!((650..=770).contains(&taken), "{taken}");
        assert_eq!(pace.lateness.most, Duration::from_secs(1));
        assert!(pace.lateness.late > 600);
    }
}
