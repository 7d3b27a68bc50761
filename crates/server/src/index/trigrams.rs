//! Which names contain which three characters in a row, so that a search looks at few names (BT-2.7-4).
//!
//! A name that contains a text contains each three characters in a row that the text has. The names of each three are a
//! [`Posting`]. Each name is taken as if it ended with two more characters that no name
//! has: so every single character and every two in a row begin a trigram, and so the end of a name can be asked for.

use std::array;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use roaring::RoaringBitmap;

use super::posting::{Numbers, Posting};

/// Postings by trigram. Of ASCII, which most names are made of, a table: a search takes a few look-ups, and adding a name
/// some forty.
#[derive(Debug)]
pub(super) struct Trigrams {
    /// For each two characters of ASCII, for each third one, the place in `postings` behind one; 0 is none.
    ascii: Vec<Option<Box<[u32; ASCII]>>>,
    postings: Vec<Posting>,
    /// All trigrams with another character, by their [`class`].
    others: BTreeMap<u32, Posting>,
}

const ASCII: usize = 128;

/// Stands behind the last character of every name, twice. No name has it (BT-2.1-3).
pub(super) const END: char = '\0';

impl Default for Trigrams {
    fn default() -> Self {
        Self { ascii: vec![None; ASCII * ASCII], postings: Vec::new(), others: BTreeMap::new() }
    }
}

impl Trigrams {
    /// Adds a name, in the form in which it is searched.
    pub(super) fn add(&mut self, number: u32, folded: &str) {
        for trigram in of_name(folded) {
            self.posting_mut(trigram).insert(number);
        }
    }

    /// Adds many names, with rising numbers that are higher than all so far: each posting is looked up once for all of them,
    /// as most of the time of adding names is waiting for the memory of their postings.
    pub(super) fn append(&mut self, names: &[(u32, String)]) {
        let mut occurrences: Vec<(u32, u32)> =
            Vec::with_capacity(names.iter().map(|(_, folded)| folded.len()).sum());
        for (number, folded) in names {
            for trigram in of_name(folded) {
                match ascii(trigram) {
                    Some((pair, third)) => occurrences.push((self.place(pair, third), *number)),
                    None => self.others.entry(class(trigram)).or_default().insert(*number),
                }
            }
        }
        // Distribution counting (Knuth, The Art of Computer Programming, 5.2): the numbers of each posting stay in order.
        let mut ends = vec![0; self.postings.len() + 1];
        occurrences.iter().for_each(|(place, _)| ends[*place as usize + 1] += 1);
        for place in 1..ends.len() {
            ends[place] += ends[place - 1];
        }
        let mut numbers = vec![0; occurrences.len()];
        for (place, number) in occurrences {
            let end = &mut ends[place as usize];
            numbers[*end] = number;
            *end += 1;
        }
        let (mut start, mut once) = (0, Vec::new());
        for (posting, end) in self.postings.iter_mut().zip(ends) {
            // Most trigrams are in none of these names.
            if start < end {
                once.clear();
                once.extend_from_slice(&numbers[start..end]);
                once.dedup();
                posting.append(&once);
                start = end;
            }
        }
    }

    /// Takes no more room than is needed.
    pub(super) fn shrink_to_fit(&mut self) {
        self.postings.iter_mut().chain(self.others.values_mut()).for_each(Posting::shrink_to_fit);
    }

    /// Removes a name that was added so.
    pub(super) fn remove(&mut self, number: u32, folded: &str) {
        for trigram in of_name(folded) {
            let names = self.posting_mut(trigram);
            names.remove(number);
            // Those of ASCII keep their places.
            if names.is_empty() && ascii(trigram).is_none() {
                self.others.remove(&class(trigram));
            }
        }
    }

    /// The names that have these three characters in a row, and maybe some that don't; `None` when there are none.
    pub(super) fn posting(&self, trigram: [char; 3]) -> Option<Numbers<'_>> {
        match ascii(trigram) {
            Some((pair, third)) => {
                let place = self.ascii[pair].as_ref()?[third];
                let names = &self.postings[(place as usize).checked_sub(1)?];
                (!names.is_empty()).then(|| names.numbers())
            }
            None => self.others.get(&class(trigram)).map(Posting::numbers),
        }
    }

    /// The names that have these one or two characters in a row, and maybe some that don't, when they are at most so many.
    pub(super) fn few_with(&self, text: &[char], most: u64) -> Option<RoaringBitmap> {
        let mut names = Vec::new();
        let mut count = 0;
        for posting in self.beginning_with(text) {
            count += posting.numbers().len();
            if count > most {
                return None;
            }
            names.extend(posting.numbers().iter_from(0));
        }
        names.sort_unstable();
        Some(names.into_iter().collect())
    }

    /// The postings of all trigrams that begin so.
    fn beginning_with<'a>(&'a self, text: &[char]) -> impl Iterator<Item = &'a Posting> + use<'a> {
        let code = |character: char| if character.is_ascii() { Some(character as usize) } else { None };
        let pairs = match *text {
            [first] => code(first).map(|first| first * ASCII..(first + 1) * ASCII),
            [first, second] => code(first).zip(code(second)).map(|(first, second)| {
                let pair = first * ASCII + second;
                pair..pair + 1
            }),
            _ => None,
        };
        let rows = self.ascii[pairs.unwrap_or(0..0)].iter().flatten().flat_map(|row| row.iter());
        let ascii = rows.filter_map(|place| self.postings.get((*place as usize).checked_sub(1)?));
        ascii.chain(self.others.range(classes(text)).map(|(_, names)| names))
    }

    fn posting_mut(&mut self, trigram: [char; 3]) -> &mut Posting {
        match ascii(trigram) {
            Some((pair, third)) => {
                let place = self.place(pair, third);
                &mut self.postings[place as usize]
            }
            None => self.others.entry(class(trigram)).or_default(),
        }
    }

    /// The place in `postings` of a trigram of ASCII, which has one from now on.
    fn place(&mut self, pair: usize, third: usize) -> u32 {
        let place = &mut self.ascii[pair].get_or_insert_with(|| Box::new([0; ASCII]))[third];
        if *place == 0 {
            self.postings.push(Posting::default());
            *place = u32::try_from(self.postings.len()).expect("there are two million trigrams of ASCII");
        }
        *place - 1
    }
}

/// Bits of a class for the first, the second and the third character.
const CLASS_BITS: [u32; 3] = [8, 6, 6];

/// Trigrams with a character that isn't ASCII share a million postings: whoever invents names could otherwise invent as many
/// postings as characters, each with a place in memory of its own. Of a text, those that begin like it stand together.
fn class(trigram: [char; 3]) -> u32 {
    trigram.iter().zip(CLASS_BITS).fold(0, |class, (character, bits)| class << bits | hash(*character, bits))
}

/// The classes of all trigrams that begin with these one or two characters.
fn classes(text: &[char]) -> RangeInclusive<u32> {
    let lowest = (0..3).fold(0, |class, place| {
        let bits = CLASS_BITS[place];
        class << bits | text.get(place).map_or(0, |character| hash(*character, bits))
    });
    let rest: u32 = CLASS_BITS[text.len().min(3)..].iter().sum();
    lowest..=lowest | ((1 << rest) - 1)
}

/// So many bits of Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4).
fn hash(character: char, bits: u32) -> u32 {
    (character as u32).wrapping_mul(0x9e37_79b1) >> (u32::BITS - bits)
}

/// Each three characters in a row of a text.
pub(super) fn of_text(text: &[char]) -> impl Iterator<Item = [char; 3]> {
    text.windows(3).map(|window| array::from_fn(|place| window[place]))
}

/// The same of a name, with what stands behind it. Some may come more than once.
fn of_name(folded: &str) -> impl Iterator<Item = [char; 3]> {
    let mut characters = folded.chars();
    let mut window = [END, characters.next().unwrap_or(END), characters.next().unwrap_or(END)];
    let count = folded.chars().count();
    (0..count).map(move |_| {
        window = [window[1], window[2], characters.next().unwrap_or(END)];
        window
    })
}

fn ascii([first, second, third]: [char; 3]) -> Option<(usize, usize)> {
    let is_ascii = first.is_ascii() && second.is_ascii() && third.is_ascii();
    is_ascii.then_some((first as usize * ASCII + second as usize, third as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Trigrams {
        let mut trigrams = Trigrams::default();
        (0..).zip(names).for_each(|(number, name)| trigrams.add(number, name));
        trigrams
    }

    fn numbers(names: Numbers<'_>) -> Vec<u32> {
        names.iter_from(0).collect()
    }

    #[test]
    fn the_names_of_each_trigram_are_known_until_they_go() {
        let mut trigrams = of(&["notes.txt", "holiday notes.pdf", "日本語.txt", "ab", "aaaa"]);
        let found = |trigrams: &Trigrams, text: [char; 3]| trigrams.posting(text).map(numbers);
        assert_eq!(found(&trigrams, ['o', 't', 'e']), Some(vec![0, 1]));
        assert_eq!(found(&trigrams, ['日', '本', '語']), Some(vec![2]));
        assert_eq!(found(&trigrams, ['t', END, END]), Some(vec![0, 2]));
        assert_eq!(found(&trigrams, ['a', 'b', END]), Some(vec![3]));
        assert_eq!(found(&trigrams, ['a', 'a', 'a']), Some(vec![4]));
        assert_eq!(found(&trigrams, ['x', 'y', 'z']), None);
        trigrams.remove(0, "notes.txt");
        trigrams.remove(2, "日本語.txt");
        assert_eq!(found(&trigrams, ['o', 't', 'e']), Some(vec![1]));
        assert_eq!((found(&trigrams, ['t', 'x', 't']), trigrams.others.len()), (None, 0));
        trigrams.add(0, "late.txt");
        assert_eq!(found(&trigrams, ['a', 't', 'e']), Some(vec![0]));
    }

    #[test]
    fn the_last_name_of_a_trigram_leaves_those_that_look_like_it_alone() {
        let abc = ['a', 'b', 'c'];
        let alike: [char; 3] = array::from_fn(|place| {
            let bits = CLASS_BITS[place];
            ('一'..'龜').find(|character| hash(*character, bits) == hash(abc[place], bits)).unwrap()
        });
        assert_eq!(class(alike), class(abc));
        let mut trigrams = of(&["abc", &alike.iter().collect::<String>()]);
        trigrams.remove(0, "abc");
        assert_eq!(trigrams.posting(alike).map(numbers), Some(vec![1]));
    }

    #[test]
    fn one_or_two_characters_have_their_names_unless_these_are_too_many() {
        let trigrams = of(&["ab", "xaby", "b", "aé", "日本"]);
        let found = |text: &str, most| {
            trigrams
                .few_with(&text.chars().collect::<Vec<_>>(), most)
                .map(|names| names.iter().collect::<Vec<_>>())
        };
        assert_eq!(found("ab", 10), Some(vec![0, 1]));
        assert_eq!(found("b", 10), Some(vec![0, 1, 2]));
        assert_eq!(found("a", 10), Some(vec![0, 1, 3]));
        assert_eq!(found("é", 10), Some(vec![3]));
        assert_eq!(found("本", 10), Some(vec![4]));
        assert_eq!(found("q", 10), Some(vec![]));
        assert_eq!(found("a", 2), None);
    }
}
