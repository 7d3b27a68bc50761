//! Budgets that refill: so many at once, so many a second (token buckets).

/// How much is allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// In the long run; at most 4,000,000.
    pub per_second: u32,
    /// At once; at most 4,000,000.
    pub burst: u32,
}

/// What is left of a [`Rate`]. Eight bytes, as a server holds a great many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget {
    thousandths: u32,
    at_ms: u32,
}

impl Budget {
    /// Nothing has been taken.
    #[must_use]
    pub fn full(now_ms: u64, rate: Rate) -> Self {
        Self { thousandths: rate.burst.saturating_mul(1_000), at_ms: short(now_ms) }
    }

    /// Takes one, if there is one. `now_ms` is the time since the server started.
    pub fn take(&mut self, now_ms: u64, rate: Rate) -> bool {
        self.take_many(now_ms, rate, 1)
    }

    /// Takes so many, if there are as many.
    pub fn take_many(&mut self, now_ms: u64, rate: Rate, count: u32) -> bool {
        self.refill(now_ms, rate);
        let left = self.thousandths.checked_sub(count.saturating_mul(1_000));
        self.thousandths = left.unwrap_or(self.thousandths);
        left.is_some()
    }

    /// Whether it is as good as new: it needn't be remembered.
    pub fn is_full(&mut self, now_ms: u64, rate: Rate) -> bool {
        self.refill(now_ms, rate);
        self.thousandths == rate.burst.saturating_mul(1_000)
    }

    fn refill(&mut self, now_ms: u64, rate: Rate) {
        // Another thread may have looked at its clock earlier and come later. After 24 days without a question the clock seems
        // to have gone back as well; what is refilled then is too little, never too much.
        let elapsed_ms = short(now_ms).wrapping_sub(self.at_ms);
        let elapsed_ms = if elapsed_ms <= u32::MAX / 2 { elapsed_ms } else { 0 };
        let refilled = u64::from(elapsed_ms) * u64::from(rate.per_second) + u64::from(self.thousandths);
        let most = rate.burst.saturating_mul(1_000);
        self.thousandths = u32::try_from(refilled).unwrap_or(u32::MAX).min(most);
        self.at_ms = short(now_ms);
    }
}

fn short(now_ms: u64) -> u32 {
    (now_ms & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_so_many_a_second() {
        let rate = Rate { per_second: 20, burst: 5 };
        let mut budget = Budget::full(0, rate);
        assert_eq!((0..9).filter(|_| budget.take(0, rate)).count(), 5);
        assert!(!budget.take(49, rate) && budget.take(50, rate) && !budget.take(50, rate));
        assert_eq!((51..10_050).filter(|now_ms| budget.take(*now_ms, rate)).count(), 199);
        assert!(!budget.is_full(10_100, rate) && budget.is_full(20_000, rate));
    }

    #[test]
    fn whoever_looked_at_the_clock_earlier_is_given_no_more() {
        let rate = Rate { per_second: 20, burst: 5 };
        let mut budget = Budget::full(1_000, rate);
        assert_eq!((0..9).filter(|_| budget.take(1_000, rate)).count(), 5);
        assert!(!budget.take(999, rate) && !budget.take(1_000, rate) && budget.take(1_050, rate));
    }
}
