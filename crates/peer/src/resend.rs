//! When to send something again that has no answer yet (BT-2.2-2). Pure.
#![deny(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

/// How long the first answer is waited for.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// How often a request is sent in all.
const SENDS_MAX: u32 = 5;

/// How long to wait when the index says that we ask too fast: at first, as what is allowed comes back all the time, and at
/// most. In between it doubles.
const TOO_FAST_WAIT_MIN: Duration = Duration::from_millis(10);
const TOO_FAST_WAIT_MAX: Duration = Duration::from_millis(200);

/// How long to wait when the index can't do it at present, as its disk is full, say.
const BUSY_WAIT: Duration = Duration::from_secs(2);

/// How often a request may be put off so: for about a minute.
const PUT_OFFS_MAX: u32 = 300;

/// The sending of one request: again after 500 ms, then after twice as long each time, with jitter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resend {
    sends: u32,
    put_offs: u32,
    pub(super) due: Instant,
}

impl Resend {
    /// For a request that is sent now.
    pub(super) fn new(now: Instant, jitter: &mut Jitter) -> Self {
        Self { sends: 1, put_offs: 0, due: now + jitter.quarter(FIRST_WAIT) }
    }

    /// Notes that the wait is over. Says whether to send again; if not, nobody answers.
    pub(super) fn again(&mut self, now: Instant, jitter: &mut Jitter) -> bool {
        if self.sends == SENDS_MAX {
            return false;
        }
        self.due = now + jitter.quarter(FIRST_WAIT * (1 << self.sends));
        self.sends += 1;
        true
    }

    /// Notes that the index can't do it at present: it is asked again, however long that lasts.
    pub(super) fn wait_until_possible(&mut self, now: Instant, jitter: &mut Jitter) {
        self.sends = 0;
        self.due = now + jitter.quarter(BUSY_WAIT);
    }

    /// Notes that the index wants to be asked later. Says whether to do so; if not, it has said that too often.
    pub(super) fn put_off(&mut self, now: Instant, jitter: &mut Jitter) -> bool {
        let wait = TOO_FAST_WAIT_MIN * (1 << self.put_offs.min(10));
        self.put_offs += 1;
        self.sends = 0;
        self.due = now + jitter.quarter(wait.min(TOO_FAST_WAIT_MAX));
        self.put_offs <= PUT_OFFS_MAX
    }
}

/// Spreads what many peers would do at the same moment. Not for secrets.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The duration, up to a quarter more or less.
    pub(super) fn quarter(&mut self, duration: Duration) -> Duration {
        duration.mul_f64(0.75 + 0.5 * self.fraction())
    }

    /// The duration, up to a tenth more or less.
    pub(super) fn tenth(&mut self, duration: Duration) -> Duration {
        duration.mul_f64(0.9 + 0.2 * self.fraction())
    }

    /// The next number from 0 to 1 (Steele, Lea and Flood's SplitMix64).
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from((bits ^ (bits >> 31)) as u32) / f64::from(u32::MAX)
    }
}
