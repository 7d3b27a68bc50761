//! Numbers that look random and are the same for the same seed, on every machine.

/// Steele, Lea and Flood's SplitMix64: fast, and good enough for making things up.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

/// What numbers are for: each purpose has its own, so that one more of these changes nothing for those.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The shapes of names, and which words stand in them.
    Names,
    /// The words that are made up.
    Words,
    /// Sizes and roots.
    Contents,
    /// Which names texts are taken from.
    Sample,
    /// Texts.
    Typing,
    /// The order of further pages.
    Pages,
    /// What gets lost on its way.
    Loss,
}

impl Random {
    /// The numbers of this seed for this purpose.
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut seeds = Self(seed);
        (0..purpose as usize).for_each(|_| _ = seeds.next());
        Self(seeds.next())
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which isn't 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let scaled = (u128::from(self.next()) * end as u128) >> 64;
        usize::try_from(scaled).expect("it is below a usize")
    }

    /// A number from `first` to `last`, both included.
    pub(crate) fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// Yes, in so many of a hundred cases.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A fraction from 0 on and below 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of these, of which there is at least one.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// One of these with their weights, of which there is at least one above 0.
    pub(crate) fn one_of_weighted<T: Copy>(&mut self, choices: &[(usize, T)]) -> T {
        let total = choices.iter().map(|(weight, _)| weight).sum();
        let mut rest = self.below(total);
        for (weight, choice) in choices {
            match rest.checked_sub(*weight) {
                Some(less) => rest = less,
                None => return *choice,
            }
        }
        unreachable!("the number is below the sum of the weights")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_within_their_bounds() {
        let numbers = |seed| {
            let mut random = Random::new(seed, Purpose::Names);
            (0..1_000).map(|_| random.between(3, 12)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        assert!((3..=12).all(|number| numbers(1).contains(&number)), "each of them comes");
        assert!(numbers(1).iter().all(|number| (3..=12).contains(number)), "and no other");
    }

    #[test]
    fn weights_are_kept() {
        let mut random = Random::new(1, Purpose::Names);
        let mut count = [0; 3];
        (0..10_000).for_each(|_| count[random.one_of_weighted(&[(90, 0), (0, 1), (10, 2)])] += 1);
        assert!((8_800..9_200).contains(&count[0]), "{count:?}");
        assert_eq!(count[1], 0);
    }
}
