//! Waiting for a state, with a deadline: never for a time.

use std::time::{Duration, Instant};

/// How long the scenarios wait for what should take an instant.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Looks again and again until there is a value.
///
/// # Panics
/// The deadline passes; the message says what was waited for.
pub fn wait_for<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(started.elapsed() < deadline, "waited {deadline:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Looks again and again until it is so.
///
/// # Panics
/// The deadline passes.
pub fn wait_until(what: &str, mut look: impl FnMut() -> bool) {
    wait_for(what, PATIENCE, || look().then_some(()));
}
