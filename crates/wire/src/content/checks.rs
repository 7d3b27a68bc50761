//! Checks: whether a piece is what it should be (BT-3.1-7).

use super::layout::{Layout, Piece};
use super::outline::{ChainingValue, PieceHasher, merge};
use super::root::Root;

/// Roots of files and chaining values of pieces, which belong together: what each piece is checked against.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checks {
    roots: Vec<Root>,
    outline: Vec<ChainingValue>,
}

/// Why roots and values don't belong together. Files are counted from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChecksError {
    /// Not one root for each file.
    #[error("there are {roots} roots for {files} files")]
    Roots {
        /// Roots that were given.
        roots: usize,
        /// Files there are.
        files: u32,
    },
    /// Not one value for each piece that needs one.
    #[error("the outline has {values} values, {expected} are expected")]
    Values {
        /// Values that were given.
        values: usize,
        /// Values that the layout has.
        expected: u32,
    },
    /// The values of a file don't lead to its root.
    #[error("the outline of file {file} doesn't lead to its root")]
    Outline {
        /// The file.
        file: u32,
    },
    /// An empty file whose root isn't that of nothing.
    #[error("file {file} is empty, and its root isn't that of an empty file")]
    Empty {
        /// The file.
        file: u32,
    },
}

impl Checks {
    /// What the pieces of this layout are checked against: the roots of its files, and the values of the pieces of those
    /// files that have two or more, all in order.
    ///
    /// # Errors
    /// Values don't lead to their file's root, an empty file's root isn't that of nothing, or there are too few or too many.
    pub fn new(layout: &Layout, roots: Vec<Root>, outline: Vec<ChainingValue>) -> Result<Self, ChecksError> {
        if roots.len() != layout.files() as usize {
            return Err(ChecksError::Roots { roots: roots.len(), files: layout.files() });
        }
        if outline.len() != layout.outline_values() as usize {
            return Err(ChecksError::Values { values: outline.len(), expected: layout.outline_values() });
        }
        let root_of_nothing = Root::of(&[]);
        for (file, root) in (0..).zip(&roots) {
            let values = layout.outline_range(file);
            let values = &outline[values.start as usize..values.end as usize];
            if !values.is_empty() && merge(values) != *root {
                return Err(ChecksError::Outline { file });
            }
            if layout.file_bytes(file) == 0 && *root != root_of_nothing {
                return Err(ChecksError::Empty { file });
            }
        }
        Ok(Self { roots, outline })
    }

    /// Whether these are the bytes of this piece. The layout is the one that the checks were made for.
    ///
    /// # Panics
    /// There is no such piece.
    #[must_use]
    pub fn check(&self, layout: &Layout, piece: u32, bytes: &[u8]) -> bool {
        let Piece { offset, bytes: piece_bytes, .. } = layout.piece(piece);
        if bytes.len() != piece_bytes as usize {
            return false;
        }
        let mut hasher = PieceHasher::new(offset);
        hasher.update(bytes);
        self.check_hashed(layout, piece, &hasher)
    }

    /// The same for a piece that was hashed as it came, all of its bytes.
    ///
    /// # Panics
    /// There is no such piece.
    #[must_use]
    pub fn check_hashed(&self, layout: &Layout, piece: u32, hasher: &PieceHasher) -> bool {
        let Piece { file, .. } = layout.piece(piece);
        let pieces = layout.file_pieces(file);
        if pieces.len() == 1 {
            return hasher.root() == self.roots[file as usize];
        }
        let value = layout.outline_range(file).start + (piece - pieces.start);
        hasher.chaining_value() == self.outline[value as usize]
    }

    /// The values of all files' pieces, in order.
    #[must_use]
    pub fn outline(&self) -> &[ChainingValue] {
        &self.outline
    }

    /// The roots of all files, in order.
    #[must_use]
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }
}

#[cfg(test)]
mod tests {
    use super::super::outline::tests::{sample, values};
    use super::*;
    use crate::content::{Manifest, ManifestEntry, ManifestFile};
    use crate::limits::PIECE_BYTES;
    use crate::number::FileBytes;

    /// Files of several pieces, of one, and of none, side by side.
    fn folder() -> (Layout, Vec<Vec<u8>>) {
        let files: Vec<_> =
            [3 * PIECE_BYTES + 5, 0, PIECE_BYTES, 10, 2 * PIECE_BYTES].into_iter().map(sample).collect();
        let names = ["a", "b", "c", "d", "e"];
        let entries = files.iter().zip(names).map(|(bytes, path)| {
            let file_bytes = FileBytes::new(bytes.len() as u64).unwrap();
            ManifestEntry::File(ManifestFile {
                path,
                is_executable: false,
                file_bytes,
                root: Root::of(bytes),
            })
        });
        let manifest = Manifest::new(entries.collect()).unwrap();
        (Layout::of_manifest(&manifest).unwrap(), files)
    }

    fn roots_and_outline(files: &[Vec<u8>]) -> (Vec<Root>, Vec<ChainingValue>) {
        let roots = files.iter().map(|bytes| Root::of(bytes)).collect();
        let several = files.iter().filter(|bytes| bytes.len() > PIECE_BYTES);
        (roots, several.flat_map(|bytes| values(bytes)).collect())
    }

    #[test]
    fn every_piece_of_a_folder_is_told_from_every_other() {
        let (layout, files) = folder();
        let (roots, outline) = roots_and_outline(&files);
        let checks = Checks::new(&layout, roots, outline).unwrap();
        for piece in 0..layout.pieces() {
            let Piece { file, offset, bytes } = layout.piece(piece);
            let mut bytes = files[file as usize][offset as usize..][..bytes as usize].to_vec();
            assert!(checks.check(&layout, piece, &bytes), "piece {piece}");
            assert!(!checks.check(&layout, piece, &bytes[1..]), "piece {piece} short");
            *bytes.last_mut().unwrap() ^= 1;
            assert!(!checks.check(&layout, piece, &bytes), "piece {piece} changed");
        }
        let second = &files[0][PIECE_BYTES..2 * PIECE_BYTES];
        assert!(
            checks.check(&layout, 1, second) && !checks.check(&layout, 2, second),
            "a piece has its place"
        );
    }

    #[test]
    fn values_that_do_not_lead_to_the_roots_are_refused_with_the_file() {
        let (layout, files) = folder();
        let (roots, outline) = roots_and_outline(&files);
        for (value, file) in [(0, 0), (3, 0), (4, 4), (5, 4)] {
            let mut outline = outline.clone();
            outline[value][31] ^= 1;
            let error = Checks::new(&layout, roots.clone(), outline).unwrap_err();
            assert_eq!(error, ChecksError::Outline { file });
        }
        let mut other = roots.clone();
        other[1] = Root::of(b"something");
        let error = Checks::new(&layout, other, outline.clone()).unwrap_err();
        assert_eq!(error, ChecksError::Empty { file: 1 });
        let error = Checks::new(&layout, roots[1..].to_vec(), outline.clone()).unwrap_err();
        assert_eq!(error, ChecksError::Roots { roots: 4, files: 5 });
        let error = Checks::new(&layout, roots, outline[1..].to_vec()).unwrap_err();
        assert_eq!(error, ChecksError::Values { values: 5, expected: 6 });
    }
}
