//! The most that all uploads together may send (BT-3.7-4).

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A rate that uploads share. Clones count together. Who asks first is served first, a few bytes at a time, so that all
/// takers get their part.
#[derive(Clone, Debug, Default)]
pub struct RateLimit(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    bytes_per_second: u64,
    /// When the bytes that were taken last will have been paid for.
    free_at: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// At most so many bytes a second, and at least one.
    #[must_use]
    pub fn new(bytes_per_second: u64) -> Self {
        let bytes_per_second = bytes_per_second.max(1);
        Self(Some(Arc::new(Shared { bytes_per_second, free_at: Mutex::default() })))
    }

    pub(super) fn is_unlimited(&self) -> bool {
        self.0.is_none()
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
