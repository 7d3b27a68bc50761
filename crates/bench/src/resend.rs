//! When a device sends again what has no answer (BT-2.2-2).

use std::time::{Duration, Instant};

use bittrickle_wire::seal::Entropy;

/// When to send again what has no answer.
pub(crate) struct Resend {
    sends: u32,
    /// When its time has come.
    pub(crate) due: Instant,
}

/// How long a device waits for an answer at first; each time after that, twice as long (BT-2.2-2).
const FIRST_WAIT: Duration = Duration::from_millis(500);

const SENDS_MAX: u32 = 5;

impl Resend {
    /// For what is sent now.
    pub(crate) fn new(now: Instant, entropy: &mut Entropy) -> Self {
        Self { sends: 1, due: now + spread(FIRST_WAIT, entropy) }
    }

    /// Notes that the wait is over. Says whether to send again; if not, nobody answers.
    pub(crate) fn again(&mut self, now: Instant, entropy: &mut Entropy) -> bool {
        self.due = now + spread(FIRST_WAIT * (1 << self.sends), entropy);
        self.sends += 1;
        self.sends <= SENDS_MAX
    }
}

/// The duration, up to a quarter more or less.
fn spread(duration: Duration, entropy: &mut Entropy) -> Duration {
    duration.mul_f64(0.75 + 0.5 * fraction(entropy))
}

/// A number from 0 to 1.
pub(crate) fn fraction(entropy: &mut Entropy) -> f64 {
    f64::from(u32::from_be_bytes(entropy.draw())) / f64::from(u32::MAX)
}
