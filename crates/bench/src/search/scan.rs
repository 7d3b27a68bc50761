//! All names once more, behind each other in one piece of memory: where texts are taken from, and what the index is
//! measured against, which is to look through all of it.

use bittrickle_wire::fold;
use bittrickle_wire::limits::PAGE_ENTRIES_MAX;
use memchr::{memchr, memmem, memrchr};

use super::names::Names;
use super::queries::Typed;
use super::random::{Purpose, Random};

/// Every name as searches compare it, each with a line feed behind it.
pub(super) struct Scan {
    folded: Vec<u8>,
}

/// Names from which texts are taken: enough that few texts come twice.
const SAMPLE_NAMES: usize = 100_000;

impl Scan {
    /// Makes up the first `count` names of this seed again. With them come some, as they are.
    pub(super) fn new(seed: u64, count: usize) -> (Self, Vec<String>) {
        let (mut folded, mut sample) = (Vec::new(), Vec::new());
        let mut random = Random::new(seed, Purpose::Sample);
        for (number, name) in Names::new(seed, count).take(count).enumerate() {
            folded.extend_from_slice(fold(name.as_str()).as_bytes());
            folded.push(b'\n');
            // The first one for sure: with one there is something to take texts from.
            if number == 0 || random.below(count) < SAMPLE_NAMES {
                sample.push(name.as_str().to_owned());
            }
        }
        (Self { folded }, sample)
    }

    /// How many names have this, at most as many as one page may hold.
    pub(super) fn count(&self, typed: &Typed) -> usize {
        let text = fold(&typed.text);
        let extension = typed.extension.as_ref().map(|extension| format!(".{}", fold(extension.as_str())));
        let extension = extension.unwrap_or_default();
        // The longest word stands in the fewest names, most of the time.
        let mut words: Vec<&str> = text.split_whitespace().collect();
        words.sort_by_key(|word| word.len());
        let longest = memmem::Finder::new(words.pop().unwrap_or_default());
        let others: Vec<_> = words.into_iter().map(memmem::Finder::new).collect();
        let mut count = 0;
        for name in names_with(&self.folded, &longest) {
            let is_hit =
                name.ends_with(extension.as_bytes()) && others.iter().all(|other| other.find(name).is_some());
            count += usize::from(is_hit);
            if count == PAGE_ENTRIES_MAX {
                break;
            }
        }
        count
    }
}

/// The names that have a word, each once.
fn names_with<'a>(mut rest: &'a [u8], word: &memmem::Finder<'_>) -> impl Iterator<Item = &'a [u8]> {
    std::iter::from_fn(move || {
        let at = word.find(rest).filter(|at| *at < rest.len())?;
        let start = memrchr(b'\n', &rest[..at]).map_or(0, |before| before + 1);
        let end = at + memchr(b'\n', &rest[at..]).expect("each name ends so");
        let name = &rest[start..end];
        rest = &rest[end + 1..];
        Some(name)
    })
}

#[cfg(test)]
mod tests {
    use bittrickle_wire::Extension;

    use super::*;

    #[test]
    fn each_name_that_has_all_words_and_an_extension_is_counted_once() {
        let scan = Scan { folded: b"a b a b.txt\nB.pdf\nb.txt\nc.txt\n".to_vec() };
        let count = |text: &str, extension: &str| {
            scan.count(&Typed { text: text.to_owned(), extension: Extension::new(extension).ok() })
        };
        assert_eq!(count("b", ""), 2, "a name that isn't folded isn't found");
        assert_eq!(count("T  b ", ""), 2);
        assert_eq!(count("a t", ""), 1);
        assert_eq!(count(" ", ""), 4, "no word is in all of them");
        assert_eq!(count(".", "TXT"), 3);
        assert_eq!(count("b", "txt"), 2);
        assert_eq!(count("absent", ""), 0);
    }

    #[test]
    fn texts_are_taken_from_the_names_that_are_looked_through() {
        let (scan, sample) = Scan::new(1, 1_000);
        assert_eq!(sample.len(), 1_000);
        let counted = |name: &String| scan.count(&Typed { text: name.clone(), extension: None });
        assert!(sample.iter().all(|name| counted(name) >= 1));
    }
}
