//! Made-up names of files, like those of package archives, disc collections and build outputs. The same seed always gives
//! the same names, in the same order.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use bittrickle_wire::FileName;

use super::random::{Purpose, Random};
use super::shapes;
use super::words::Vocabulary;

/// Names without end, each once.
///
/// What it remembers of the names so far is one table, which goes back to the system as a whole when this is dropped.
#[derive(Debug)]
pub(crate) struct Names {
    random: Random,
    vocabulary: Vocabulary,
    /// The hashes of all names so far. Two names that share one are rare, and then the second is left out.
    seen: HashSet<u64>,
}

/// Names in a hundred that have letters other than English ones.
const FOREIGN_PERCENT: usize = 2;

impl Names {
    /// The names of this seed, with room for `count` of them.
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        let seen = HashSet::with_capacity(count);
        Self { random: Random::new(seed, Purpose::Names), vocabulary: Vocabulary::new(seed), seen }
    }
}

impl Iterator for Names {
    type Item = FileName;

    fn next(&mut self) -> Option<FileName> {
        loop {
            let is_foreign = self.random.percent(FOREIGN_PERCENT);
            let text = shapes::made_up(&mut self.random, &self.vocabulary, is_foreign);
            let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&text);
            if self.seen.insert(hash) {
                return Some(FileName::new(&text).expect("words, digits and a few marks are acceptable"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const COUNT: usize = 100_000;

    fn names(seed: u64) -> Vec<FileName> {
        Names::new(seed, COUNT).take(COUNT).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_names_and_another_one_others() {
        assert_eq!(names(1), names(1));
        assert_ne!(names(1), names(2));
    }

    #[test]
    fn names_are_distinct_and_as_long_as_peoples() {
        let names = names(1);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), COUNT);
        let bytes: usize = names.iter().map(|name| name.as_str().len()).sum();
        assert!((35 * COUNT..45 * COUNT).contains(&bytes), "{} bytes a name", bytes as f64 / COUNT as f64);
    }

    #[test]
    fn some_names_have_spaces_capitals_and_foreign_letters() {
        let names = names(1);
        let part = |has: fn(char) -> bool| {
            names.iter().filter(|name| name.as_str().chars().any(has)).count() as f64 / COUNT as f64
        };
        assert!((0.1..0.5).contains(&part(|c| c == ' ')), "{}", part(|c| c == ' '));
        assert!((0.1..0.7).contains(&part(char::is_uppercase)), "{}", part(char::is_uppercase));
        assert!((0.018..0.022).contains(&part(|c| !c.is_ascii())), "{}", part(|c| !c.is_ascii()));
    }
}
