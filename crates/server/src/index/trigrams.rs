//! Which names contain which three characters in a row, so that a search looks at few names (BT-2.7-4).
//!
//! A name that contains a text contains each three characters in a row that the text has. The names of each three are a
//! compressed bitmap, and what is in all of a text's bitmaps are nearly always just the names that contain it.

use std::collections::{BTreeSet, HashMap};

use roaring::RoaringBitmap;

/// Names by three characters in a row, each name under a number that its owner gives it.
#[derive(Debug, Default)]
pub(super) struct Trigrams {
    names: HashMap<Trigram, RoaringBitmap>,
}

/// Three characters, which have 21 bits each.
type Trigram = u64;

/// Fewer names than these aren't made fewer by looking into further bitmaps: it is quicker to look at the names.
const FEW: u64 = 64;

impl Trigrams {
    /// Adds a name, in the form in which it is searched.
    pub(super) fn add(&mut self, number: u32, folded: &str) {
        for trigram in trigrams(folded) {
            self.names.entry(trigram).or_default().insert(number);
        }
    }

    /// Removes a name that was added so.
    pub(super) fn remove(&mut self, number: u32, folded: &str) {
        for trigram in trigrams(folded) {
            let Some(names) = self.names.get_mut(&trigram) else { continue };
            names.remove(number);
            if names.is_empty() {
                self.names.remove(&trigram);
            }
        }
    }

    /// The names that may contain all of these texts: every one that does is among them. `None` when the texts are too
    /// short to say, or when there are more than `most`.
    pub(super) fn candidates(&self, texts: &[&str], most: u64) -> Option<RoaringBitmap> {
        let wanted: BTreeSet<Trigram> = texts.iter().flat_map(|text| trigrams(text)).collect();
        let mut bitmaps = Vec::new();
        for trigram in &wanted {
            match self.names.get(trigram) {
                Some(names) => bitmaps.push(names),
                None => return Some(RoaringBitmap::new()),
            }
        }
        bitmaps.sort_unstable_by_key(|names| names.len());
        let mut rest = bitmaps.into_iter();
        let mut candidates = rest.next()?.clone();
        for names in rest {
            if candidates.len() <= FEW {
                break;
            }
            candidates &= names;
        }
        (candidates.len() <= most).then_some(candidates)
    }
}

/// Each three characters in a row, once.
fn trigrams(text: &str) -> BTreeSet<Trigram> {
    let characters = || text.chars().map(u64::from);
    let pairs = characters().zip(characters().skip(1));
    pairs
        .zip(characters().skip(2))
        .map(|((first, second), third)| first << 42 | second << 21 | third)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Trigrams {
        let mut trigrams = Trigrams::default();
        (0..).zip(names).for_each(|(number, name)| trigrams.add(number, name));
        trigrams
    }

    fn found(trigrams: &Trigrams, texts: &[&str]) -> Option<Vec<u32>> {
        trigrams.candidates(texts, 100).map(|names| names.iter().collect())
    }

    #[test]
    fn every_name_that_contains_the_text_is_a_candidate() {
        let mut trigrams = of(&["notes.txt", "holiday notes.pdf", "日本語.txt", "ab"]);
        assert_eq!(found(&trigrams, &["notes"]), Some(vec![0, 1]));
        assert!(found(&trigrams, &["notes", ".txt"]).unwrap().contains(&0));
        assert_eq!(found(&trigrams, &["日本語"]), Some(vec![2]));
        assert_eq!(found(&trigrams, &["absent"]), Some(vec![]));
        assert_eq!(found(&trigrams, &["ab", ""]), None, "too short to say");
        trigrams.remove(0, "notes.txt");
        assert_eq!(found(&trigrams, &["notes"]), Some(vec![1]));
        trigrams.remove(1, "holiday notes.pdf");
        trigrams.remove(2, "日本語.txt");
        assert!(trigrams.names.is_empty(), "nothing is left of what has gone");
    }

    #[test]
    fn more_names_than_are_wanted_are_none() {
        let names: Vec<String> = (0..200).map(|number| format!("page {number:03}")).collect();
        let trigrams = of(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(found(&trigrams, &["page"]), None);
        assert!(found(&trigrams, &["page 19"]).is_some_and(|found| (10..=64).contains(&found.len())));
    }
}
