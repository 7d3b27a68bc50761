//! What people type: made of names that are published, so that nearly all of it is found.

use std::fmt;

use bittrickle_wire::messages::{Filter, Search};
use bittrickle_wire::{Extension, Query};

use super::random::{Purpose, Random};

/// One text to search for.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    /// The text.
    pub(super) text: String,
    /// What the name has to end with, without its dot.
    pub(super) extension: Option<Extension>,
}

/// Published names from which texts are taken, and the numbers that say which.
pub(super) struct Typing<'a> {
    names: &'a [String],
    random: Random,
}

/// What a person has in mind.
#[derive(Clone, Copy)]
enum Aim {
    Substring,
    Word,
    WordAndExtension,
    TwoWords,
    Nothing,
}

/// Of a hundred texts of three letters and more, how many are what.
const AIMS: [(usize, Aim); 5] = [
    (40, Aim::Substring),
    (25, Aim::Word),
    (15, Aim::WordAndExtension),
    (15, Aim::TwoWords),
    (5, Aim::Nothing),
];

/// Shorter than these is no word that people look for.
const WORD_LETTERS_MIN: usize = 3;

impl<'a> Typing<'a> {
    /// Texts from these names, of which there is at least one.
    pub(super) fn new(names: &'a [String], seed: u64) -> Self {
        Self { names, random: Random::new(seed, Purpose::Typing) }
    }

    /// A text of three letters and more.
    pub(super) fn text(&mut self) -> Typed {
        let aim = self.random.one_of_weighted(&AIMS);
        let text = match aim {
            Aim::Substring => None,
            Aim::Word => self.word(),
            Aim::WordAndExtension => return self.word_and_extension(),
            Aim::TwoWords => self.two_words(),
            Aim::Nothing => Some(self.nothing()),
        };
        Typed::plain(text.unwrap_or_else(|| self.substring(3, 12)))
    }

    /// A text of one or two letters.
    pub(super) fn short_text(&mut self) -> Typed {
        Typed::plain(self.substring(1, 2))
    }

    fn name(&mut self) -> &'a str {
        &self.names[self.random.below(self.names.len())]
    }

    /// So many characters in a row, wherever they stand in a name.
    fn substring(&mut self, least: usize, most: usize) -> String {
        loop {
            let name = self.name();
            let (length, letters) = (self.random.between(least, most), name.chars().count());
            if length <= letters {
                let start = self.random.between(0, letters - length);
                return name.chars().skip(start).take(length).collect();
            }
        }
    }

    fn word(&mut self) -> Option<String> {
        let words = words(split(self.name()).0);
        (!words.is_empty()).then(|| self.random.one_of(&words).to_owned())
    }

    fn word_and_extension(&mut self) -> Typed {
        let (stem, extension) = split(self.name());
        let words = words(stem);
        let text = if words.is_empty() { stem } else { self.random.one_of(&words) };
        Typed { text: text.to_owned(), extension: Extension::new(extension).ok() }
    }

    /// Two words of one name, in their order.
    fn two_words(&mut self) -> Option<String> {
        let words = words(split(self.name()).0);
        if words.len() < 2 {
            return None;
        }
        let first = self.random.below(words.len() - 1);
        let second = self.random.between(first + 1, words.len() - 1);
        Some(format!("{} {}", words[first], words[second]))
    }

    /// Two parts that aren't found together, or letters that never meet.
    fn nothing(&mut self) -> String {
        let (half, other) = (self.substring(4, 6), self.substring(4, 6));
        if self.random.percent(50) { format!("{half}{other}") } else { format!("{half}qx") }
    }
}

impl Typed {
    fn plain(text: String) -> Self {
        Self { text, extension: None }
    }

    /// Asks for the first page.
    pub(super) fn search(&self) -> Search {
        let text = Query::new(&self.text).expect("a part of a name is a query");
        let filter = Filter { extension: self.extension.clone(), ..Filter::default() };
        Search { text, filter, after: None }
    }
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.extension.as_ref().map_or(Ok(()), |extension| write!(f, "\t{}", extension.as_str()))
    }
}

/// What stands before the last dot, and what stands behind it.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or((name, ""))
}

/// What people would call the words of a name: letters in a row, without numbers.
fn words(name: &str) -> Vec<&str> {
    let words = name.split(|letter: char| !letter.is_alphabetic());
    words.filter(|word| word.chars().count() >= WORD_LETTERS_MIN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(count: usize) -> Vec<Typed> {
        let names = ["01 - Übung macht den Meister.flac", "libfoo-dev_1.2.3-4_amd64.deb"].map(str::to_owned);
        let mut typing = Typing::new(&names, 1);
        (0..count).map(|_| typing.text()).collect()
    }

    #[test]
    fn texts_have_three_letters_or_more_and_short_ones_fewer() {
        assert!(typed(1_000).iter().all(|typed| typed.text.chars().count() >= 3));
        let names = ["日本語.txt".to_owned()];
        let mut typing = Typing::new(&names, 1);
        assert!((0..100).all(|_| matches!(typing.short_text().text.chars().count(), 1 | 2)));
    }

    #[test]
    fn texts_are_of_every_aim() {
        let lines: Vec<String> = typed(1_000).iter().map(Typed::to_string).collect();
        for line in ["Meister", "Übung\tflac", "macht den", "libfoo-d"] {
            assert!(lines.iter().any(|other| other.starts_with(line)), "{line}");
        }
    }
}
