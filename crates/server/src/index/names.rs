//! Names: each once, under a number, whoever publishes it; found by the name itself or by parts of it (BT-2.7).

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::ops::RangeFrom;

use bittrickle_wire::{FileName, fold};
use hashbrown::HashTable;

use super::numbers::Numbers;
use super::owners::Owners;
use super::trigrams::Trigrams;

/// One name and everybody who has published it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: FileName,
    pub(super) owners: Owners,
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: Numbers,
    /// By number.
    entries: Vec<Option<Entry>>,
    /// Numbers by name. Beside the names themselves it holds four bytes for each.
    by_name: HashTable<u32>,
    hasher: RandomState,
    trigrams: Trigrams,
}

impl Names {
    pub(super) fn number(&self, name: &FileName) -> Option<u32> {
        let is_it = |number: &u32| self.entry(*number).is_some_and(|entry| entry.name == *name);
        self.by_name.find(self.hash(name), is_it).copied()
    }

    pub(super) fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get(number as usize)?.as_ref()
    }

    pub(super) fn entry_mut(&mut self, number: u32) -> Option<&mut Entry> {
        self.entries.get_mut(number as usize)?.as_mut()
    }

    /// Adds a name that isn't there yet, without owners.
    pub(super) fn add(&mut self, name: FileName) -> u32 {
        let folded = fold(name.as_str());
        let number = self.add_unsearchable(name);
        self.trigrams.add(number, &folded);
        number
    }

    /// The same, but it isn't found by its parts until [`Names::set_trigrams`].
    pub(super) fn add_unsearchable(&mut self, name: FileName) -> u32 {
        let (number, hash) = (self.numbers.take(), self.hash(&name));
        if self.entries.len() <= number as usize {
            self.entries.resize_with(number as usize + 1, || None);
        }
        self.entries[number as usize] = Some(Entry { name, owners: Owners::None });
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.by_name.insert_unique(hash, number, |number| hash_of(entries, hasher, *number));
        number
    }

    /// Removes a name that nobody publishes any more.
    pub(super) fn remove(&mut self, number: u32) {
        let Some(entry) = self.entries.get_mut(number as usize).and_then(Option::take) else { return };
        let hash = self.hash(&entry.name);
        if let Ok(place) = self.by_name.find_entry(hash, |other| *other == number) {
            place.remove();
        }
        self.trigrams.remove(number, &fold(entry.name.as_str()));
        self.numbers.give_back(number);
    }

    /// Makes room for so many more names.
    pub(super) fn reserve(&mut self, names: usize) {
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.by_name.reserve(names, |number| hash_of(entries, hasher, *number));
        self.entries.reserve(names);
    }

    pub(super) fn set_trigrams(&mut self, mut trigrams: Trigrams) {
        trigrams.shrink_to_fit();
        self.trigrams = trigrams;
    }

    pub(super) fn trigrams(&self) -> &Trigrams {
        &self.trigrams
    }

    /// The numbers from this one on that names have, or have had.
    pub(super) fn numbers_from(
        &self,
        RangeFrom { start }: RangeFrom<u32>,
    ) -> impl Iterator<Item = u32> + use<> {
        start..u32::try_from(self.entries.len()).expect("numbers have 32 bits")
    }

    /// Names by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    fn hash(&self, name: &FileName) -> u64 {
        self.hasher.hash_one(name.as_str())
    }
}

fn hash_of(entries: &[Option<Entry>], hasher: &RandomState, number: u32) -> u64 {
    hasher.hash_one(entries[number as usize].as_ref().map_or("", |entry| entry.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_little_room() {
        assert_eq!(size_of::<Option<Entry>>(), 80);
    }
}
