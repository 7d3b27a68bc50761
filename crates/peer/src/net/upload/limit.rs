//! What all uploads together may have: bytes a second, and slots (BT-3.7-4, BT-5.4-2).

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::transfer::BYTES_PER_SECOND_MIN;

/// A rate that uploads share. Clones count together. Who asks first is served first, a few bytes at a time, so that all
/// takers get their part.
#[derive(Clone, Debug, Default)]
pub struct RateLimit(Option<Arc<Shared>>);

/// What the user lets all uploads together have.
#[derive(Clone, Debug)]
pub struct UploadLimits {
    /// The most that they send.
    pub rate: RateLimit,
    /// The most that there are at a time; at least one.
    pub slots: usize,
}

/// Uploads at a time, unless the user says otherwise (BT-5.4-2).
const SLOTS: usize = 32;

/// What a slot is good for at least: four times what a taker has to get so that it isn't given up (BT-5.4-1). Where the
/// rate isn't enough for all slots there are fewer, as otherwise nobody would get enough.
const SLOT_BYTES_PER_SECOND: u64 = 4 * BYTES_PER_SECOND_MIN;

#[derive(Debug)]
struct Shared {
    bytes_per_second: u64,
    /// When the bytes that were taken last will have been paid for.
    free_at: Mutex<Option<Instant>>,
}

impl UploadLimits {
    /// Slots that the rate is enough for.
    pub(in crate::net) fn slots(&self) -> usize {
        let enough = self.rate.0.as_ref().map(|shared| shared.bytes_per_second / SLOT_BYTES_PER_SECOND);
        let enough = enough.map_or(usize::MAX, |enough| usize::try_from(enough).unwrap_or(usize::MAX));
        self.slots.min(enough).max(1)
    }
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self { rate: RateLimit::default(), slots: SLOTS }
    }
}

impl RateLimit {
    /// At most so many bytes a second, and at least one.
    #[must_use]
    pub fn new(bytes_per_second: u64) -> Self {
        let bytes_per_second = bytes_per_second.max(1);
        Self(Some(Arc::new(Shared { bytes_per_second, free_at: Mutex::default() })))
    }

    /// How many bytes are sent at once: what the rate allows in a fiftieth of a second, so that however many wait for each
    /// other, none waits for long.
    pub(super) fn bytes_at_once(&self) -> usize {
        let Some(shared) = &self.0 else { return usize::MAX };
        let bytes = usize::try_from(shared.bytes_per_second / 50).unwrap_or(usize::MAX);
        bytes.clamp(1_024, 64 * 1_024)
    }

    /// Waits until so many bytes may be sent.
    pub(super) fn take(&self, bytes: usize) {
        let Some(shared) = &self.0 else { return };
        let now = Instant::now();
        let turn = {
            let mut free_at = shared.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = free_at.map_or(now, |free_at| free_at.max(now));
            let cost = Duration::from_secs_f64(bytes as f64 / shared.bytes_per_second as f64);
            *free_at = Some(turn + cost);
            turn
        };
        sleep(turn.saturating_duration_since(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(rate: RateLimit, slots: usize) -> usize {
        UploadLimits { rate, slots }.slots()
    }

    /// BT-5.4-2
    #[test]
    fn there_are_as_many_slots_as_the_rate_is_enough_for() {
        assert_eq!(UploadLimits::default().slots(), 32);
        assert_eq!(slots(RateLimit::default(), 100), 100);
        for (rate, expected) in [(1, 1), (16 << 10, 1), (64 << 10, 4), (512 << 10, 32), (u64::MAX, 32)] {
            assert_eq!(slots(RateLimit::new(rate), 32), expected, "{rate}");
        }
        assert_eq!(slots(RateLimit::new(1 << 20), 3), 3);
    }

    /// BT-3.7-4: a few bytes at a time, or those who wait would be given up before it is their turn.
    #[test]
    fn nobody_waits_for_long_behind_all_the_others() {
        for rate in [64 << 10, 500 << 10, 1 << 20, 1 << 30] {
            let limit = RateLimit::new(rate);
            let round_bytes = limit.bytes_at_once() * slots(limit.clone(), 32);
            assert!(round_bytes as u64 <= rate, "{rate}: a round takes more than a second");
        }
        assert_eq!(RateLimit::new(1).bytes_at_once(), 1_024);
        assert_eq!(RateLimit::default().bytes_at_once(), usize::MAX);
    }
}
