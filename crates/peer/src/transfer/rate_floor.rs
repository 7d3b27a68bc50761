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
