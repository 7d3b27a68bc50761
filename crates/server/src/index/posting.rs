//! The numbers of the names that have something in common, in their order.
//!
//! A posting of few numbers is a plain list. A bitmap's containers, of which there is one for each 65,536 numbers, take some
//! 60 bytes each besides what is in them: among ten million names a posting of less than some thousand is larger as a
//! bitmap.

use std::iter::{self, Copied};
use std::slice;

use roaring::RoaringBitmap;

/// Numbers that come and go.
#[derive(Debug)]
pub(super) enum Posting {
    Few(Vec<u32>),
    /// In a box, so that the others take no more room for it.
    Many(Box<Bitmap>),
}

/// Very many numbers.
#[derive(Debug, Default)]
pub(super) struct Bitmap {
    numbers: RoaringBitmap,
    /// The highest numbers, as long as they aren't in the bitmap: a container that grows number by number has half as much room
    /// again as it needs, and one that is merged has none.
    tail: Vec<u32>,
    /// How many there are in all: the bitmap would look at each of its containers to say so.
    count: usize,
}

/// Numbers that are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Numbers<'a> {
    Few(&'a [u32]),
    /// These, and behind them those.
    Many(&'a RoaringBitmap, &'a [u32]),
}

/// Numbers, from one on.
pub(super) enum Iter<'a> {
    Few(Copied<slice::Iter<'a, u32>>),
    Many(iter::Chain<roaring::bitmap::Iter<'a>, Copied<slice::Iter<'a, u32>>>),
}

/// Most numbers of a tail.
const TAIL_MAX: usize = 1_024;

/// With more numbers, a list becomes a bitmap; with less than half of them, it becomes a list again.
const FEW_MAX: usize = 4_096;

impl Default for Posting {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Posting {
    pub(super) fn insert(&mut self, number: u32) {
        match self {
            Self::Few(list) => {
                // Mostly it is the highest so far.
                let place = match list.last() {
                    Some(last) if *last >= number => list.binary_search(&number).err(),
                    _ => Some(list.len()),
                };
                if let Some(place) = place {
                    make_room(list, 1);
                    list.insert(place, number);
                }
            }
            Self::Many(bitmap) => bitmap.insert(number),
        }
        self.settle();
    }

    /// Adds numbers that rise, and are higher than all so far.
    pub(super) fn append(&mut self, numbers: &[u32]) {
        match self {
            Self::Few(list) => {
                make_room(list, numbers.len());
                list.extend_from_slice(numbers);
            }
            Self::Many(bitmap) => bitmap.append(numbers),
        }
        self.settle();
    }

    pub(super) fn remove(&mut self, number: u32) {
        match self {
            Self::Few(list) => {
                if let Ok(place) = list.binary_search(&number) {
                    list.remove(place);
                }
                if list.len() < list.capacity() / 2 {
                    list.shrink_to_fit();
                }
            }
            Self::Many(bitmap) => bitmap.remove(number),
        }
        self.settle();
    }

    pub(super) fn numbers(&self) -> Numbers<'_> {
        match self {
            Self::Few(list) => Numbers::Few(list),
            Self::Many(bitmap) => Numbers::Many(&bitmap.numbers, &bitmap.tail),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Few(list) => list.is_empty(),
            Self::Many(bitmap) => bitmap.count == 0,
        }
    }

    /// Takes no more room than is needed.
    pub(super) fn shrink_to_fit(&mut self) {
        match self {
            Self::Few(list) => list.shrink_to_fit(),
            Self::Many(bitmap) => bitmap.merge_tail(),
        }
    }

    /// Takes the form that suits it.
    fn settle(&mut self) {
        match self {
            Self::Few(list) if list.len() > FEW_MAX => {
                let mut bitmap = Bitmap::default();
                bitmap.append(list);
                *self = Self::Many(Box::new(bitmap));
            }
            Self::Many(bitmap) if bitmap.count < FEW_MAX / 2 => {
                bitmap.merge_tail();
                *self = Self::Few(bitmap.numbers.iter().collect());
            }
            Self::Few(_) | Self::Many(_) => {}
        }
    }
}

impl Bitmap {
    fn insert(&mut self, number: u32) {
        let highest = self.tail.last().copied().or_else(|| self.numbers.max());
        if highest.is_none_or(|highest| highest < number) {
            make_room(&mut self.tail, 1);
            self.tail.push(number);
            self.count += 1;
            if self.tail.len() >= TAIL_MAX {
                self.merge_tail();
            }
        } else if self.tail.binary_search(&number).is_err() {
            // Behind the lowest of the tail it would be out of order.
            if self.tail.first().is_some_and(|first| *first < number) {
                self.merge_tail();
            }
            self.count += usize::from(self.numbers.insert(number));
        }
    }

    fn append(&mut self, numbers: &[u32]) {
        self.merge_tail();
        self.numbers |= &RoaringBitmap::from_sorted_iter(numbers.iter().copied()).expect("they rise");
        self.count += numbers.len();
    }

    fn remove(&mut self, number: u32) {
        match self.tail.binary_search(&number) {
            Ok(place) => {
                self.tail.remove(place);
                self.count -= 1;
            }
            Err(_) => self.count -= usize::from(self.numbers.remove(number)),
        }
    }

    fn merge_tail(&mut self) {
        let tail = std::mem::take(&mut self.tail);
        self.numbers |= &RoaringBitmap::from_sorted_iter(tail).expect("they are in order");
    }
}

impl<'a> Numbers<'a> {
    pub(super) fn len(self) -> u64 {
        match self {
            Self::Few(list) => list.len() as u64,
            Self::Many(bitmap, tail) => bitmap.len() + tail.len() as u64,
        }
    }

    pub(super) fn contains(self, number: u32) -> bool {
        match self {
            Self::Few(list) => list.binary_search(&number).is_ok(),
            Self::Many(bitmap, tail) => bitmap.contains(number) || tail.binary_search(&number).is_ok(),
        }
    }

    pub(super) fn iter_from(self, start: u32) -> Iter<'a> {
        match self {
            Self::Few(list) => Iter::Few(from(list, start)),
            Self::Many(bitmap, tail) => Iter::Many(bitmap.range(start..).chain(from(tail, start))),
        }
    }

    /// The highest.
    pub(super) fn last(self) -> Option<u32> {
        match self {
            Self::Few(list) => list.last().copied(),
            Self::Many(bitmap, tail) => tail.last().copied().or_else(|| bitmap.max()),
        }
    }

    /// Leaves only what is here in a bitmap.
    pub(super) fn intersect(self, names: &mut RoaringBitmap) {
        match self {
            Self::Few(list) => {
                *names = list.iter().copied().filter(|number| names.contains(*number)).collect();
            }
            Self::Many(bitmap, tail) => {
                let highest = names.max();
                let tail = tail.iter().copied().take_while(|number| Some(*number) <= highest);
                let in_tail: Vec<u32> = tail.filter(|number| names.contains(*number)).collect();
                *names &= bitmap;
                names.extend(in_tail);
            }
        }
    }
}

impl<'a> From<&'a RoaringBitmap> for Numbers<'a> {
    fn from(bitmap: &'a RoaringBitmap) -> Self {
        Self::Many(bitmap, &[])
    }
}

impl Iterator for Iter<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self {
            Self::Few(rest) => rest.next(),
            Self::Many(rest) => rest.next(),
        }
    }
}

fn from(list: &[u32], start: u32) -> Copied<slice::Iter<'_, u32>> {
    list[list.partition_point(|number| *number < start)..].iter().copied()
}

/// A list grows by an eighth: there are a great many, and twice would be a third of all their memory for nothing.
fn make_room(list: &mut Vec<u32>, count: usize) {
    if list.capacity() - list.len() < count {
        list.reserve_exact(count.max(list.len() / 8));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all(posting: &Posting) -> Vec<u32> {
        posting.numbers().iter_from(0).collect()
    }

    #[test]
    fn it_takes_little_room() {
        assert_eq!(size_of::<Posting>(), 24);
    }

    /// Steps that lead over the border and back, in an order that looks like none.
    #[test]
    fn it_holds_what_a_set_holds_on_both_sides_of_the_border() {
        let (mut posting, mut set) = (Posting::default(), BTreeSet::new());
        let mut seed = 7_u32;
        let mut forms = [0, 0];
        for step in 0..60_000_u32 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = (seed >> 8) % 20_000;
            // Two of three are added in one half of the time, and one of three in the other.
            if (seed >> 4) % 3 < if step % 20_000 < 10_000 { 2 } else { 1 } {
                posting.insert(number);
                set.insert(number);
            } else {
                posting.remove(number);
                set.remove(&number);
            }
            assert_eq!(posting.numbers().len(), set.len() as u64);
            assert_eq!(posting.numbers().contains(number), set.contains(&number));
            forms[usize::from(matches!(posting, Posting::Many(_)))] += 1;
            if step % 5_000 == 0 {
                assert_eq!(all(&posting), set.iter().copied().collect::<Vec<_>>());
                let from: Vec<u32> = posting.numbers().iter_from(number).collect();
                assert_eq!(from, set.range(number..).copied().collect::<Vec<_>>());
            }
        }
        assert!(forms.iter().all(|steps| *steps > 5_000), "{forms:?}");
    }

    #[test]
    fn what_is_appended_stands_behind_the_rest() {
        let (few, many): (Vec<u32>, Vec<u32>) = ((0..100).collect(), (100..9_000).collect());
        let mut posting = Posting::default();
        posting.append(&few);
        posting.append(&many);
        posting.append(&[10_000, 70_000]);
        assert_eq!(all(&posting), (0..9_000).chain([10_000, 70_000]).collect::<Vec<_>>());
        let mut names = RoaringBitmap::from_iter([5, 8_999, 9_000, 70_000]);
        posting.numbers().intersect(&mut names);
        assert_eq!(names.iter().collect::<Vec<_>>(), [5, 8_999, 70_000]);
        Numbers::Few(&[5, 6]).intersect(&mut names);
        assert_eq!(names.iter().collect::<Vec<_>>(), [5]);
    }
}
