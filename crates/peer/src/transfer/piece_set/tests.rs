//! A set of pieces is what a set of numbers is.

use std::collections::BTreeSet;

use super::*;

/// A set and what it has to be.
struct Pair {
    set: PieceSet,
    naive: BTreeSet<u32>,
    seed: u64,
}

/// Around where bytes and words end.
const SIZES: [u32; 14] = [0, 1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 200, 256, 517];

impl Pair {
    fn new(pieces: u32) -> Self {
        Self { set: PieceSet::new(pieces), naive: BTreeSet::new(), seed: pieces.into() }
    }

    fn random(&mut self, end: u32) -> u32 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.seed >> 33) % u64::from(end)) as u32
    }

    fn step(&mut self) {
        let pieces = self.set.pieces();
        let piece = self.random(pieces + 3);
        match self.random(12) {
            0..6 => assert_eq!(self.set.insert(piece), piece < pieces && self.naive.insert(piece)),
            6..11 => assert_eq!(self.set.remove(piece), self.naive.remove(&piece)),
            _ => {
                let end = piece + self.random(90);
                self.set.insert_range(piece..end);
                self.naive.extend(piece..end.min(pieces));
            }
        }
    }

    fn check(&self) {
        let (set, pieces) = (&self.set, self.set.pieces());
        assert_eq!(set.count() as usize, self.naive.len());
        assert_eq!(set.is_complete(), set.count() == pieces);
        assert!(set.ranges().flatten().eq(self.naive.iter().copied()));
        assert!(set.ranges().all(|range| !range.is_empty() && !set.contains(range.end)));
        for from in 0..pieces + 2 {
            assert_eq!(set.contains(from), self.naive.contains(&from));
            assert_eq!(set.next_present(from), self.naive.range(from..).next().copied());
            assert_eq!(set.next_missing(from), (from..pieces).find(|piece| !self.naive.contains(piece)));
        }
    }
}

#[test]
fn it_does_what_a_set_of_numbers_does() {
    for pieces in SIZES {
        let mut pair = Pair::new(pieces);
        for _ in 0..300 {
            pair.step();
            pair.check();
        }
    }
}

#[test]
fn a_full_set_has_everything_and_the_largest_one_ends_where_numbers_do() {
    for pieces in SIZES {
        let full = PieceSet::full(pieces);
        assert!(full.is_complete() && full.next_missing(0).is_none());
        assert!(full.ranges().eq((pieces > 0).then_some(0..pieces)));
    }
    let mut largest = PieceSet::new(u32::MAX);
    assert!(largest.insert(u32::MAX - 1) && !largest.insert(u32::MAX));
    assert_eq!(largest.next_present(u32::MAX - 2), Some(u32::MAX - 1));
    assert_eq!(largest.next_missing(u32::MAX - 1), None);
    assert_eq!(largest.page(u32::MAX - 7, 512), [0b0100_0000]);
    assert_eq!(largest.set_page(u32::MAX - 7, &[0b1000_0000]), Err(PageError::PastEnd(u32::MAX)));
    assert_eq!(largest.set_page(u32::MAX - 7, &[1]), Ok(()));
    assert_eq!(largest.ranges().next(), Some(u32::MAX - 7..u32::MAX - 6));
}

#[test]
fn pages_make_the_same_set_again() {
    for pieces in SIZES {
        for bytes_max in [1, 2, 3, 8, 512] {
            let mut pair = Pair::new(pieces);
            (0..200).for_each(|_| pair.step());
            let mut again = PieceSet::new(pieces);
            again.insert_range(0..pieces / 2);
            let mut first = 0;
            loop {
                let page = pair.set.page(first, bytes_max);
                if page.is_empty() {
                    break;
                }
                assert_eq!(again.set_page(first, &page), Ok(()));
                first += 8 * page.len() as u32;
            }
            assert_eq!(first, pieces.next_multiple_of(8));
            assert_eq!(again, pair.set);
        }
    }
}

#[test]
fn the_first_piece_of_a_page_is_its_lowest_bit() {
    let mut set = PieceSet::new(21);
    for piece in [0, 9, 20] {
        set.insert(piece);
    }
    assert_eq!(set.page(0, 512), [0b1, 0b10, 0b1_0000]);
    assert_eq!(set.page(8, 1), [0b10]);
    assert!(set.page(24, 512).is_empty());
    assert!(set.page(u32::MAX, usize::MAX).is_empty());
}

#[test]
fn a_page_that_says_something_of_other_pieces_changes_nothing() {
    let mut set = PieceSet::new(21);
    set.insert(3);
    let before = set.clone();
    assert_eq!(set.set_page(4, &[1]), Err(PageError::First(4)));
    for (first, page) in
        [(0, &[0, 0, 0b10_0000][..]), (16, &[0b1000_0000]), (16, &[0, 0]), (24, &[0]), (32, &[])]
    {
        assert_eq!(set.set_page(first, page), Err(PageError::PastEnd(21)), "{page:?} at {first}");
    }
    assert_eq!(set, before);
}

#[test]
fn two_sets_are_compared_word_by_word() {
    for pieces in SIZES {
        let (mut one, mut other) = (Pair::new(pieces), Pair::new(pieces));
        other.seed += 1;
        (0..100).for_each(|_| one.step());
        (0..100).for_each(|_| other.step());
        let differences = one.naive.symmetric_difference(&other.naive).copied();
        assert!(one.set.differences(&other.set).eq(differences));
        for from in 0..pieces + 2 {
            let shared = one.naive.range(from..).find(|piece| other.naive.contains(piece)).copied();
            assert_eq!(one.set.next_shared(&other.set, from), shared);
        }
    }
}
