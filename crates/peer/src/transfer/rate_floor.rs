//! How slow is too slow: at least so many bytes in every window of time (BT-5.4-1).

use std::time::{Duration, Instant};

use super::BYTES_PER_SECOND_MIN;

/// Watches the rate of one transfer.
#[derive(Clone, Copy, Debug)]
pub struct RateFloor {
    window: Duration,
    window_end: Instant,
    bytes: u64,
}

/// The other side kept us waiting.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("only {bytes} bytes came through in {} s, {bytes_min} are the least", window.as_secs())]
pub struct TooSlow {
    /// Bytes that came through.
    pub bytes: u64,
    /// Bytes that should have.
    pub bytes_min: u64,
    /// In this time.
    pub window: Duration,
}

impl RateFloor {
    /// A transfer that begins now.
    #[must_use]
    pub fn new(now: Instant, window: Duration) -> Self {
        Self { window, window_end: now + window, bytes: 0 }
    }

    /// The moment at which [`RateFloor::check`] has to be called, however little has come through.
    #[must_use]
    pub fn window_end(&self) -> Instant {
        self.window_end
    }

    /// Notes bytes that came through.
    pub fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Holds the window against the lowest rate, if it is over, and begins the next one.
    ///
    /// # Errors
    /// Too few bytes came through.
    pub fn check(&mut self, now: Instant) -> Result<(), TooSlow> {
        if now < self.window_end {
            return Ok(());
        }
        let bytes_min = BYTES_PER_SECOND_MIN * self.window.as_millis() as u64 / 1_000;
        if self.bytes < bytes_min {
            return Err(TooSlow { bytes: self.bytes, bytes_min, window: self.window });
        }
        *self = Self::new(now, self.window);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BT-5.4-1
    #[test]
    fn a_transfer_that_falls_below_the_lowest_rate_is_over_at_the_end_of_the_window() {
        let start = Instant::now();
        let window = Duration::from_secs(30);
        let mut floor = RateFloor::new(start, window);
        floor.add(30 * 4_096);
        assert_eq!(floor.check(start + window), Ok(()), "the lowest rate is enough");
        floor.add(30 * 4_096 - 1);
        assert_eq!(floor.check(start + window + window / 2), Ok(()), "the second window isn't over");
        let too_slow = TooSlow { bytes: 30 * 4_096 - 1, bytes_min: 30 * 4_096, window };
        assert_eq!(floor.check(start + 2 * window), Err(too_slow));
    }
}
