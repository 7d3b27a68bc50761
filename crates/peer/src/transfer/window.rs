//! How much is asked of a source ahead of time: what it sends in half a second (BT-3.5).

use std::time::{Duration, Instant};

/// Measures how fast a source is. Its rate is an average that forgets: what is older than a second hardly counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// Since when `bytes` are counted.
    since: Option<Instant>,
    bytes: u64,
    bytes_per_second: Option<u64>,
}

/// Fewest bytes that are asked for ahead of time.
const BYTES_MIN: u64 = 2 << 20;

/// Most bytes that are asked for ahead of time.
const BYTES_MAX: u64 = 16 << 20;

/// What is asked for ahead of time is what comes in so much of it.
const AHEAD: Duration = Duration::from_millis(500);

/// Bytes are counted for so long at least before they make a rate.
const SAMPLE: Duration = Duration::from_millis(100);

/// A sample this long weighs as much as all that was before it.
const MEMORY: Duration = Duration::from_secs(1);

impl Window {
    /// Nothing is known of the source.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// So many bytes have come. The first call begins the measurement: when its bytes were asked for isn't known.
    pub fn add(&mut self, now: Instant, bytes: u64) {
        let Some(since) = self.since else {
            self.since = Some(now);
            return;
        };
        self.bytes = self.bytes.saturating_add(bytes);
        let elapsed = now.saturating_duration_since(since);
        if elapsed < SAMPLE {
            return;
        }
        let elapsed_ms = elapsed.as_millis();
        let came = u128::from(self.bytes) * 1_000;
        let rate = match self.bytes_per_second {
            None => came / elapsed_ms,
            Some(rate) => {
                let memory_ms = MEMORY.as_millis();
                (u128::from(rate) * memory_ms + came) / (memory_ms + elapsed_ms)
            }
        };
        let bytes_per_second = Some(u64::try_from(rate).unwrap_or(u64::MAX));
        *self = Self { since: Some(now), bytes: 0, bytes_per_second };
    }

    /// Bytes to ask for ahead of time: 2 to 16 MiB. While the rate isn't known, more with all that comes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let Some(rate) = self.bytes_per_second.map(u128::from) else {
            // As a new connection does: twice as much for all that has come.
            return self.bytes.saturating_mul(2).clamp(BYTES_MIN, BYTES_MAX);
        };
        let ahead = rate * AHEAD.as_millis() / 1_000;
        u64::try_from(ahead).unwrap_or(u64::MAX).clamp(BYTES_MIN, BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A source that sends so much every 10 ms, for so long.
    fn after(window: &mut Window, now: &mut Instant, bytes_per_second: u64, milliseconds: u64) -> u64 {
        for _ in 0..milliseconds / 10 {
            *now += Duration::from_millis(10);
            window.add(*now, bytes_per_second / 100);
        }
        window.bytes()
    }

    #[test]
    fn it_is_half_a_second_of_what_comes_within_its_bounds() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let mut now = Instant::now();
        let mut window = Window::new();
        assert_eq!(window.bytes(), 2 * MIB);
        assert_eq!(after(&mut window, &mut now, 500 * MIB, 20), 10 * MIB, "before a rate is known");
        let mut window = Window::new();
        let bytes = after(&mut window, &mut now, 10 * MIB, 300);
        assert!((4 * MIB..=6 * MIB).contains(&bytes), "known soon: {bytes}");
        let bytes = after(&mut window, &mut now, 20 * MIB, 5_000);
        assert!((9 * MIB..=10 * MIB).contains(&bytes), "follows: {bytes}");
        assert_eq!(after(&mut window, &mut now, 1_000 * MIB, 5_000), 16 * MIB);
        now += Duration::from_secs(3_600);
        window.add(now, 1);
        assert_eq!(window.bytes(), 2 * MIB, "an hour without a byte");
        window.add(now + Duration::from_secs(1), u64::MAX);
        window.add(now, u64::MAX);
        assert_eq!(window.bytes(), 16 * MIB, "nothing overflows, and no time that goes back hurts");
    }
}
