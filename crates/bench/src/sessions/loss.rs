//! What gets lost on its way: a share of all datagrams, drawn by a seeded generator, so that every run loses alike.

use crate::search::random::{Purpose, Random};

/// Draws what is lost.
#[derive(Debug)]
pub(super) struct Loss {
    random: Random,
    percent: usize,
}

const SEED: u64 = 1;

impl Loss {
    /// Loses so many of a hundred.
    pub(super) fn new(percent: u8) -> Self {
        Self { random: Random::new(SEED, Purpose::Loss), percent: percent.into() }
    }

    /// Whether the next datagram is lost.
    pub(super) fn strikes(&mut self) -> bool {
        self.percent > 0 && self.random.below(100) < self.percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_lost_as_are_asked_for() {
        let mut loss = Loss::new(1);
        let lost = (0..100_000).filter(|_| loss.strikes()).count();
        assert!((900..1_100).contains(&lost), "{lost}");
        let mut none = Loss::new(0);
        assert!((0..1_000).all(|_| !none.strikes()));
    }
}
