//! Sets of pieces: which of a content's pieces somebody has (BT-3.2-5).

use std::fmt;
use std::ops::Range;

/// Some of the pieces `0..pieces()`, one bit each.
#[derive(Clone, Eq, PartialEq)]
pub struct PieceSet {
    pieces: u32,
    count: u32,
    /// Bits behind the last piece are zero.
    words: Vec<u64>,
}

/// Why a page of a set can't be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PageError {
    /// Its first piece isn't the first of a byte.
    #[error("a page can't begin at piece {0}")]
    First(u32),
    /// It says something of pieces that don't exist.
    #[error("the page reaches past the last of {0} pieces")]
    PastEnd(u32),
}

const WORD_BITS: u32 = u64::BITS;

impl PieceSet {
    /// None of so many pieces. Takes an eighth of a byte a piece.
    #[must_use]
    pub fn new(pieces: u32) -> Self {
        Self { pieces, count: 0, words: vec![0; words(pieces)] }
    }

    /// All of so many pieces.
    #[must_use]
    pub fn full(pieces: u32) -> Self {
        let mut set = Self::new(pieces);
        set.insert_range(0..pieces);
        set
    }

    /// How many pieces there are, in the set or not.
    #[must_use]
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// How many pieces are in the set.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether all pieces are in the set. Of a content without pieces they are.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.count == self.pieces
    }

    /// Whether a piece is in the set; one that doesn't exist isn't.
    #[must_use]
    pub fn contains(&self, piece: u32) -> bool {
        piece < self.pieces && self.words[word(piece)] & bit(piece) != 0
    }

    /// Puts a piece into the set. Says whether that changes the set: a piece that doesn't exist is left out.
    pub fn insert(&mut self, piece: u32) -> bool {
        let is_new = piece < self.pieces && !self.contains(piece);
        if is_new {
            self.words[word(piece)] |= bit(piece);
            self.count += 1;
        }
        is_new
    }

    /// Takes a piece out of the set. Says whether it was in it.
    pub fn remove(&mut self, piece: u32) -> bool {
        let was_in = self.contains(piece);
        if was_in {
            self.words[word(piece)] &= !bit(piece);
            self.count -= 1;
        }
        was_in
    }

    /// Puts a range of pieces into the set; those that don't exist are left out.
    pub fn insert_range(&mut self, range: Range<u32>) {
        let end = range.end.min(self.pieces);
        let mut first = range.start;
        while first < end {
            let word_end = (first | (WORD_BITS - 1)).saturating_add(1).min(end);
            let mask = (u64::MAX >> (WORD_BITS - (word_end - first))) << (first % WORD_BITS);
            let word = &mut self.words[word(first)];
            self.count += (mask & !*word).count_ones();
            *word |= mask;
            first = word_end;
        }
    }

    /// The first piece from `from` on that isn't in the set.
    #[must_use]
    pub fn next_missing(&self, from: u32) -> Option<u32> {
        self.next(from, |word| !self.words[word])
    }

    /// The first piece from `from` on that is in the set.
    #[must_use]
    pub fn next_present(&self, from: u32) -> Option<u32> {
        self.next(from, |word| self.words[word])
    }

    /// The first piece from `from` on that is in both sets, which are of the same content.
    #[must_use]
    pub(super) fn next_shared(&self, other: &Self, from: u32) -> Option<u32> {
        debug_assert_eq!(self.pieces, other.pieces);
        self.next(from, |word| self.words[word] & other.words.get(word).unwrap_or(&0))
    }

    /// The pieces that are in one of the two sets only, which are of the same content, in order.
    pub(super) fn differences<'sets>(&'sets self, other: &'sets Self) -> impl Iterator<Item = u32> + 'sets {
        debug_assert_eq!(self.pieces, other.pieces);
        let different = |word: usize| self.words[word] ^ other.words.get(word).unwrap_or(&0);
        let mut from = 0;
        std::iter::from_fn(move || {
            let piece = self.next(from, different)?;
            from = piece + 1;
            Some(piece)
        })
    }

    /// The pieces in the set, as ranges as long as they can be, in order.
    pub fn ranges(&self) -> impl Iterator<Item = Range<u32>> + '_ {
        let mut from = 0;
        std::iter::from_fn(move || {
            let first = self.next_present(from)?;
            from = self.next_missing(first).unwrap_or(self.pieces);
            Some(first..from)
        })
    }

    /// The bits of the pieces from `first` on, which is rounded down to a multiple of 8, LSB first: `bytes_max` bytes, fewer
    /// where the pieces end before, none behind them. Bits behind the last piece are zero.
    #[must_use]
    pub fn page(&self, first: u32, bytes_max: usize) -> Vec<u8> {
        let begin = (first / 8) as usize;
        let end = begin.saturating_add(bytes_max).min(self.bytes());
        (begin..end).map(|byte| (self.words[byte / 8] >> (byte % 8 * 8)) as u8).collect()
    }

    /// Replaces what the set says of the pieces from `first` on by the bits of a page.
    ///
    /// # Errors
    /// `first` is no multiple of 8, or the page has a byte or a bit behind the last piece. The set stays as it is then.
    pub fn set_page(&mut self, first: u32, page: &[u8]) -> Result<(), PageError> {
        if !first.is_multiple_of(8) {
            return Err(PageError::First(first));
        }
        let begin = (first / 8) as usize;
        let past_end = PageError::PastEnd(self.pieces);
        let room = self.bytes().checked_sub(begin).ok_or(past_end)?;
        let unused_bits = (8 - self.pieces % 8) % 8;
        let last = page.last().filter(|_| page.len() == room);
        if page.len() > room || last.is_some_and(|last| last.leading_zeros() < unused_bits) {
            return Err(past_end);
        }
        for (byte, bits) in (begin..).zip(page) {
            let (word, shift) = (&mut self.words[byte / 8], byte % 8 * 8);
            self.count -= (*word >> shift & 0xff).count_ones();
            *word = *word & !(0xff << shift) | u64::from(*bits) << shift;
            self.count += bits.count_ones();
        }
        Ok(())
    }

    /// Bytes of all pages.
    fn bytes(&self) -> usize {
        self.pieces.div_ceil(8) as usize
    }

    /// The first piece from `from` on whose bit is set in what `word_at` gives for its word.
    fn next(&self, from: u32, word_at: impl Fn(usize) -> u64) -> Option<u32> {
        if from >= self.pieces {
            return None;
        }
        let first = word(from);
        let mut bits = word_at(first) & (u64::MAX << (from % WORD_BITS));
        let mut index = first;
        while bits == 0 {
            index += 1;
            if index == self.words.len() {
                return None;
            }
            bits = word_at(index);
        }
        // Where the bits are turned round, those behind the last piece are set.
        let piece = index as u64 * u64::from(WORD_BITS) + u64::from(bits.trailing_zeros());
        u32::try_from(piece).ok().filter(|piece| *piece < self.pieces)
    }
}

impl fmt::Debug for PieceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} pieces: ", self.count, self.pieces)?;
        f.debug_list().entries(self.ranges().take(RANGES_SHOWN_MAX)).finish()
    }
}

/// Ranges that are shown of a set: one of a large content has very many.
const RANGES_SHOWN_MAX: usize = 16;

fn words(pieces: u32) -> usize {
    pieces.div_ceil(WORD_BITS) as usize
}

fn word(piece: u32) -> usize {
    (piece / WORD_BITS) as usize
}

fn bit(piece: u32) -> u64 {
    1 << (piece % WORD_BITS)
}

#[cfg(test)]
mod tests;
