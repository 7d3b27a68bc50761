//! Outlines: what the pieces of a content are checked against, one by one (BT-3.1-5, BT-3.1-6).
//!
//! BLAKE3 hashes a file as a tree, in which each piece is a subtree. The values of its pieces lead to the root, so whoever
//! knows the root can tell whether the values are right, and then of every piece by itself.

use blake3::Hasher;
use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

use super::root::Root;
use crate::limits::PIECE_BYTES;

/// Bytes of a [`ChainingValue`].
pub const CHAINING_VALUE_BYTES: usize = 32;

/// The hash of one piece of a file that has several, at its place in the file.
pub type ChainingValue = [u8; CHAINING_VALUE_BYTES];

/// Hashes one piece whose bytes come in parts.
#[derive(Clone, Debug)]
pub struct PieceHasher {
    hasher: Hasher,
}

/// The value of one piece, which begins at `offset` bytes in a file that has several pieces.
///
/// # Panics
/// The piece is empty, or `offset` isn't where a piece begins.
#[must_use]
pub fn chaining_value(offset: u64, bytes: &[u8]) -> ChainingValue {
    let mut piece = PieceHasher::new(offset);
    piece.update(bytes);
    piece.chaining_value()
}

impl PieceHasher {
    /// Begins a piece, `offset` bytes into its file.
    ///
    /// # Panics
    /// `offset` isn't where a piece begins.
    #[must_use]
    pub fn new(offset: u64) -> Self {
        assert!(offset.is_multiple_of(PIECE_BYTES as u64), "no piece begins at {offset}");
        let mut hasher = Hasher::new();
        hasher.set_input_offset(offset);
        Self { hasher }
    }

    /// Takes the bytes that follow, to a piece's end at most.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The piece's value, if its file has several pieces.
    ///
    /// # Panics
    /// The piece is empty.
    #[must_use]
    pub fn chaining_value(&self) -> ChainingValue {
        self.hasher.finalize_non_root()
    }

    /// The file's root, if this is its only piece.
    ///
    /// # Panics
    /// The piece isn't at its file's start.
    #[must_use]
    pub fn root(&self) -> Root {
        self.hasher.finalize().into()
    }
}

/// The root of a file from the values of all its pieces, of which only the last may be shorter.
///
/// # Panics
/// There are fewer than two values: a piece that is alone has a root of its own.
#[must_use]
pub fn merge(values: &[ChainingValue]) -> Root {
    assert!(values.len() >= 2, "{} values have no parent", values.len());
    let (left, right) = split(values);
    merge_subtrees_root(&merge_below(left), &merge_below(right), Mode::Hash).into()
}

/// The value of a subtree. It is as deep as its number of values has bits, at most.
fn merge_below(values: &[ChainingValue]) -> ChainingValue {
    if let [value] = values {
        return *value;
    }
    let (left, right) = split(values);
    merge_subtrees_non_root(&merge_below(left), &merge_below(right), Mode::Hash)
}

/// Two values or more, as BLAKE3's tree parts them: the left part is the largest power of two that leaves a right one.
fn split(values: &[ChainingValue]) -> (&[ChainingValue], &[ChainingValue]) {
    values.split_at(values.len().next_power_of_two() / 2)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::content) fn sample(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|place| ((place / 251) ^ place) as u8).collect()
    }

    pub(in crate::content) fn values(bytes: &[u8]) -> Vec<ChainingValue> {
        let offsets = (0..).step_by(PIECE_BYTES);
        bytes.chunks(PIECE_BYTES).zip(offsets).map(|(piece, offset)| chaining_value(offset, piece)).collect()
    }

    #[test]
    fn the_values_of_a_files_pieces_lead_to_its_blake3_hash() {
        let bytes = sample(9 * PIECE_BYTES);
        for pieces in 1..=8 {
            for more in [1, 7, 1_023, 1_024, 1_025, PIECE_BYTES - 1, PIECE_BYTES] {
                let bytes = &bytes[..pieces * PIECE_BYTES + more];
                if more < 2_000 || pieces < 4 {
                    assert_eq!(merge(&values(bytes)), Root::of(bytes), "{pieces} pieces and {more} bytes");
                }
            }
        }
    }

    #[test]
    fn a_piece_that_comes_in_parts_has_the_value_that_it_has_as_a_whole() {
        let bytes = sample(PIECE_BYTES);
        for part_bytes in [1_000, 1_024, 65_280, PIECE_BYTES] {
            let (mut first, mut second) = (PieceHasher::new(0), PieceHasher::new(PIECE_BYTES as u64));
            for part in bytes.chunks(part_bytes) {
                first.update(part);
                second.update(part);
            }
            assert_eq!(first.root(), Root::of(&bytes), "{part_bytes}");
            assert_eq!(second.chaining_value(), chaining_value(PIECE_BYTES as u64, &bytes), "{part_bytes}");
        }
    }

    #[test]
    #[should_panic(expected = "1 values have no parent")]
    fn one_value_is_no_outline() {
        let _ = merge(&[[0; CHAINING_VALUE_BYTES]]);
    }
}
