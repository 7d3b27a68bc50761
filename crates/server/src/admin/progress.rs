//! How far a long command has come, on stderr, if that is a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// A line that counts, and goes when the command ends.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    count: u64,
    /// When it was shown last. `None` where nobody would see it.
    shown: Option<Instant>,
    is_visible: bool,
}

/// Between two looks at the clock: a look takes longer than counting.
const COUNT_STEP: u64 = 256;

const PAUSE: Duration = Duration::from_millis(100);

impl Progress {
    /// Counts from 0, and shows `what` in front of it.
    pub(super) fn new(what: &'static str) -> Self {
        let shown = io::stderr().is_terminal().then(Instant::now);
        Self { what, count: 0, shown, is_visible: false }
    }

    /// One more.
    pub(super) fn step(&mut self) {
        self.count += 1;
        if !self.count.is_multiple_of(COUNT_STEP) {
            return;
        }
        if let Some(shown) = self.shown.filter(|shown| shown.elapsed() >= PAUSE) {
            self.shown = Some(shown + shown.elapsed());
            self.is_visible = true;
            // It is of no use to anybody that it can't be shown.
            let _ = write!(io::stderr(), "\r{} {}", self.what, self.count);
        }
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_visible {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
