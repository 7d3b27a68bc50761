//! Which names a search looks at: those that may contain its words, by number, found without looking at the others.

use super::posting::{Iter, Numbers};
use super::trigrams::{END, Trigrams, of_text};

/// What is known of the wanted names: each of the postings has all of them.
#[derive(Debug, Default)]
pub(super) struct Postings<'a> {
    postings: Vec<Numbers<'a>>,
    /// There is a trigram that no name has.
    is_nothing: bool,
}

/// The numbers that are in all of some postings, from one on, in order.
pub(super) struct Candidates<'a> {
    /// The smallest posting, and what hasn't been gone through of it; and those that it is looked up in.
    smallest: Numbers<'a>,
    rest: Iter<'a>,
    others: Vec<Numbers<'a>>,
    /// How many of the smallest are still gone through.
    left: usize,
    /// What is in all of them, made when looking up one after the other takes too long.
    all: Option<roaring::bitmap::IntoIter>,
}

/// So many are looked up one by one. With common words a page is full by then; with rare ones the smallest posting is at its
/// end; and where common words are rarely found together, intersecting whole bitmaps is quicker than going on.
const LOOKED_UP_MAX: usize = 2_048;

/// Postings that candidates are looked up in, at most: further ones rarely make them fewer.
const OTHERS_MAX: usize = 4;

/// Whole postings that are intersected, at most: of a long query there could be hundreds, of a megabyte each.
const INTERSECTED_MAX: usize = 16;

impl<'a> Postings<'a> {
    /// The wanted names contain this text, in the form in which names are searched. Says nothing when it has fewer than three
    /// characters.
    pub(super) fn contain(&mut self, trigrams: &'a Trigrams, text: &str) {
        self.all_of(trigrams, &text.chars().collect::<Vec<_>>());
    }

    /// They end with this text.
    pub(super) fn end_with(&mut self, trigrams: &'a Trigrams, text: &str) {
        self.all_of(trigrams, &text.chars().chain([END, END]).collect::<Vec<_>>());
    }

    /// They are among these.
    pub(super) fn are_among(&mut self, names: Option<Numbers<'a>>) {
        match names {
            Some(names) if names.len() > 0 => self.postings.push(names),
            Some(_) | None => self.is_nothing = true,
        }
    }

    /// Whether nothing is known of them.
    pub(super) fn is_empty(&self) -> bool {
        self.postings.is_empty() && !self.is_nothing
    }

    /// The names that may be meant, from this number on, by number.
    pub(super) fn candidates(mut self, start: u32) -> Option<Candidates<'a>> {
        if self.is_nothing {
            return None;
        }
        self.postings.sort_by_cached_key(|names| names.len());
        let (smallest, others) = self.postings.split_first()?;
        let rest = smallest.iter_from(start);
        Some(Candidates {
            smallest: *smallest,
            rest,
            others: others.to_vec(),
            left: LOOKED_UP_MAX,
            all: None,
        })
    }

    fn all_of(&mut self, trigrams: &'a Trigrams, text: &[char]) {
        for trigram in of_text(text) {
            self.are_among(trigrams.posting(trigram));
        }
    }
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while self.all.is_none() {
            let number = self.rest.next()?;
            if self.left == 0 && !self.others.is_empty() {
                self.all = Some(self.intersection(number));
                break;
            }
            self.left = self.left.saturating_sub(1);
            if self.others.iter().take(OTHERS_MAX).all(|names| names.contains(number)) {
                return Some(number);
            }
        }
        self.all.as_mut()?.next()
    }
}

impl Candidates<'_> {
    /// What is left of the smallest posting, from this number on, in all others.
    fn intersection(&self, start: u32) -> roaring::bitmap::IntoIter {
        let mut names = self.smallest.to_bitmap_from(start);
        for other in self.others.iter().take(INTERSECTED_MAX) {
            if names.len() <= LOOKED_UP_MAX as u64 {
                break;
            }
            other.intersect(&mut names);
        }
        names.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn found(trigrams: &Trigrams, texts: &[&str], start: u32) -> BTreeSet<u32> {
        let mut postings = Postings::default();
        texts.iter().for_each(|text| postings.contain(trigrams, text));
        let numbers: Vec<u32> = postings.candidates(start).into_iter().flatten().collect();
        assert!(numbers.is_sorted(), "in order");
        numbers.into_iter().collect()
    }

    #[test]
    fn what_contains_all_texts_is_among_the_candidates_however_many_there_are() {
        let names: Vec<String> = (0..20_000_u32)
            .map(|number| {
                let front = if number.is_multiple_of(3) { "alpha" } else { "gamma" };
                let back = if number.is_multiple_of(7) { "omega" } else { "delta" };
                format!("{front} {back} {number}")
            })
            .collect();
        let mut trigrams = Trigrams::default();
        (0..).zip(&names).for_each(|(number, name)| trigrams.add(number, name));
        for start in [0, 5_000, 19_990] {
            for texts in [
                &["alpha", "omega"][..],
                &["gamma"],
                &["mma del"],
                &["alpha", "19998"],
                &["beta"],
                &["alpha omega 21"],
            ] {
                let wanted = (start..).zip(&names[start as usize..]);
                let wanted: BTreeSet<u32> = wanted
                    .filter(|(_, name)| texts.iter().all(|text| name.contains(text)))
                    .map(|(number, _)| number)
                    .collect();
                let found = found(&trigrams, texts, start);
                assert!(found.is_superset(&wanted), "{texts:?} from {start}");
                assert!(
                    found.len() <= 2 * wanted.len() + 20,
                    "{texts:?}: {} for {}",
                    found.len(),
                    wanted.len()
                );
            }
        }
    }

    #[test]
    fn the_end_of_a_name_can_be_asked_for() {
        let mut trigrams = Trigrams::default();
        (0..).zip(["a.txt", "txt.a", "b.c"]).for_each(|(number, name)| trigrams.add(number, name));
        let ending = |text: &str| {
            let mut postings = Postings::default();
            postings.end_with(&trigrams, text);
            postings.candidates(0).into_iter().flatten().collect::<Vec<_>>()
        };
        assert_eq!(
            (ending(".txt"), ending(".c"), ending("a"), ending(".d")),
            (vec![0], vec![2], vec![1], vec![])
        );
    }
}
