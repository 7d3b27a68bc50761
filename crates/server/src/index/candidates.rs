//! Which names a search looks at: those that may contain its words, by number, found without looking at the others.

use std::iter;

use roaring::{RoaringBitmap, bitmap};

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
    /// What is in all of them, block by block, when looking up one after the other takes too long.
    block: Option<Block>,
}

/// Candidates among the numbers of a block.
struct Block {
    numbers: bitmap::IntoIter,
    /// Behind its last number, if that isn't the last of all.
    end: Option<u32>,
    width: u32,
}

/// So many are looked up one by one. With common words a page is full by then; with rare ones the smallest posting is at its
/// end; and where common words are rarely found together, intersecting bitmaps is quicker than going on.
const LOOKED_UP_MAX: usize = 512;

/// Numbers of the first block, which is a few containers of a bitmap. Each further one is twice as wide: a page of names that
/// are often found together is full after the first, and those that are rarely found together take few blocks.
const BLOCK_WIDTH: u32 = 4 << 16;

/// With so few left in a block, each name is looked at.
const LEFT_MAX: u64 = 256;

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
            block: None,
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
        while self.block.is_none() {
            let number = self.rest.next()?;
            if self.left == 0 && !self.others.is_empty() {
                self.block = Some(self.block(number, BLOCK_WIDTH));
                break;
            }
            self.left = self.left.saturating_sub(1);
            if self.others.iter().take(OTHERS_MAX).all(|names| names.contains(number)) {
                return Some(number);
            }
        }
        loop {
            let block = self.block.as_mut()?;
            if let Some(number) = block.numbers.next() {
                return Some(number);
            }
            let (start, width) = (block.end?, block.width.saturating_mul(2));
            self.block = Some(self.block(start, width));
        }
    }
}

impl Candidates<'_> {
    /// What of a block is in all postings.
    fn block(&self, start: u32, width: u32) -> Block {
        let last = self.smallest.last().unwrap_or(start);
        let end = start.checked_add(width).filter(|end| *end <= last);
        let mut numbers = RoaringBitmap::new();
        numbers.insert_range(start..=end.map_or(last, |end| end - 1));
        for posting in iter::once(&self.smallest).chain(self.others.iter().take(INTERSECTED_MAX)) {
            if numbers.len() <= LEFT_MAX {
                break;
            }
            posting.intersect(&mut numbers);
        }
        Block { numbers: numbers.into_iter(), end, width }
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
        // Far enough from each other for several blocks, which begin and end with names.
        const STEP: u32 = 64;
        assert!(names.len() as u32 * STEP > 3 * BLOCK_WIDTH);
        let numbered = |start: u32| (start * STEP..).step_by(STEP as usize).zip(&names[start as usize..]);
        let mut trigrams = Trigrams::default();
        numbered(0).for_each(|(number, name)| trigrams.add(number, name));
        for start in [0, 5_000, 19_990] {
            for texts in [
                &["alpha", "omega"][..],
                &["gamma"],
                &["mma del"],
                &["alpha", "19998"],
                &["beta"],
                &["alpha omega 21"],
            ] {
                let wanted: BTreeSet<u32> = numbered(start)
                    .filter(|(_, name)| texts.iter().all(|text| name.contains(text)))
                    .map(|(number, _)| number)
                    .collect();
                let found = found(&trigrams, texts, start * STEP);
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
