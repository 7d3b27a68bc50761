//! Layouts: where every piece of a content is (BT-3.1-4).

use std::ops::Range;

use super::manifest::Manifest;
use crate::limits::{PIECE_BYTES, PIECES_MAX};

/// The files of a content, and the pieces of its files, counted through all of them from 0. A file has a piece for each
/// [`PIECE_BYTES`] that it has begun; an empty one has none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layout {
    ends: Box<[FileEnd]>,
}

/// Where a piece is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Piece {
    /// The file, counted from 0.
    pub file: u32,
    /// Where in the file the piece begins, in bytes.
    pub offset: u64,
    /// How long it is: 1 to [`PIECE_BYTES`].
    pub bytes: u32,
}

/// Why a content has no layout.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LayoutError {
    /// More pieces than can be counted.
    #[error("it has {pieces} pieces or more, {PIECES_MAX} are allowed")]
    TooManyPieces {
        /// Pieces of the files up to the one that is too many.
        pieces: u64,
    },
    /// More bytes than can be counted.
    #[error("its files have 2^64 bytes or more together")]
    TooManyBytes,
    /// More files than can be counted.
    #[error("it has {files} files, {} are allowed", u32::MAX)]
    TooManyFiles {
        /// Files it has.
        files: usize,
    },
}

/// Sums over a file and all files before it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct FileEnd {
    bytes: u64,
    pieces: u32,
    values: u32,
}

const PIECE: u64 = PIECE_BYTES as u64;
const _: () = assert!(PIECE_BYTES <= u32::MAX as usize);

impl Layout {
    /// The layout of one file, whose number is 0.
    ///
    /// # Errors
    /// It has too many pieces.
    pub fn of_file(bytes: u64) -> Result<Self, LayoutError> {
        Self::of_files([bytes])
    }

    /// The layout of a folder's files, in the order of its manifest.
    ///
    /// # Errors
    /// They have too many pieces. A [`Manifest`] doesn't hold so many.
    pub fn of_manifest(manifest: &Manifest) -> Result<Self, LayoutError> {
        Self::of_files(manifest.files().map(|file| file.file_bytes.bytes()))
    }

    fn of_files(sizes: impl IntoIterator<Item = u64>) -> Result<Self, LayoutError> {
        let mut end = FileEnd::default();
        let ends: Box<[FileEnd]> = sizes
            .into_iter()
            .map(|bytes| {
                end = end.after(bytes)?;
                Ok(end)
            })
            .collect::<Result<_, _>>()?;
        let files = ends.len();
        if u32::try_from(files).is_ok() {
            Ok(Self { ends })
        } else {
            Err(LayoutError::TooManyFiles { files })
        }
    }

    /// How many pieces there are.
    #[must_use]
    pub fn pieces(&self) -> u32 {
        self.end().pieces
    }

    /// How many files there are.
    #[must_use]
    pub fn files(&self) -> u32 {
        u32::try_from(self.ends.len()).expect("files are counted when the layout is built")
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end().bytes
    }

    /// Bytes of one file.
    ///
    /// # Panics
    /// There is no such file.
    #[must_use]
    pub fn file_bytes(&self, file: u32) -> u64 {
        self.ends[file as usize].bytes - self.start(file).bytes
    }

    /// The pieces of one file.
    ///
    /// # Panics
    /// There is no such file.
    #[must_use]
    pub fn file_pieces(&self, file: u32) -> Range<u32> {
        self.start(file).pieces..self.ends[file as usize].pieces
    }

    /// Where a piece is.
    ///
    /// # Panics
    /// There is no such piece.
    #[must_use]
    pub fn piece(&self, piece: u32) -> Piece {
        assert!(piece < self.pieces(), "piece {piece} of {}", self.pieces());
        let file = self.file_of(piece);
        let offset = u64::from(piece - self.file_pieces(file).start) * PIECE;
        let bytes = PIECE.min(self.file_bytes(file) - offset);
        Piece { file, offset, bytes: u32::try_from(bytes).expect("a piece's length has 32 bits") }
    }

    /// Bytes of these pieces together. None, if the range ends where it begins or before.
    ///
    /// # Panics
    /// The range reaches past the last piece.
    #[must_use]
    pub fn range_bytes(&self, pieces: Range<u32>) -> u64 {
        if pieces.is_empty() { 0 } else { self.bytes_before(pieces.end) - self.bytes_before(pieces.start) }
    }

    /// How many values the outline has: one for each piece of the files that have two or more.
    #[must_use]
    pub fn outline_values(&self) -> u32 {
        self.end().values
    }

    /// The values of one file within the outline: none for a file of one piece or none.
    ///
    /// # Panics
    /// There is no such file.
    #[must_use]
    pub fn outline_range(&self, file: u32) -> Range<u32> {
        self.start(file).values..self.ends[file as usize].values
    }

    fn bytes_before(&self, piece: u32) -> u64 {
        if piece == self.pieces() {
            return self.bytes();
        }
        let Piece { file, offset, .. } = self.piece(piece);
        self.start(file).bytes + offset
    }

    /// Files without pieces end where the file before them does, so they are never the first that ends behind a piece.
    fn file_of(&self, piece: u32) -> u32 {
        let file = self.ends.partition_point(|end| end.pieces <= piece);
        u32::try_from(file).expect("files are counted when the layout is built")
    }

    fn start(&self, file: u32) -> FileEnd {
        file.checked_sub(1).map_or_else(FileEnd::default, |before| self.ends[before as usize])
    }

    fn end(&self) -> FileEnd {
        self.ends.last().copied().unwrap_or_default()
    }
}

impl FileEnd {
    /// The sums with one more file, of so many bytes.
    fn after(self, bytes: u64) -> Result<Self, LayoutError> {
        let file_pieces = bytes.div_ceil(PIECE);
        let pieces = u64::from(self.pieces) + file_pieces;
        let too_many = |_| LayoutError::TooManyPieces { pieces };
        let values = u64::from(self.values) + if file_pieces > 1 { file_pieces } else { 0 };
        Ok(Self {
            bytes: self.bytes.checked_add(bytes).ok_or(LayoutError::TooManyBytes)?,
            pieces: u32::try_from(pieces).map_err(too_many)?,
            values: u32::try_from(values).map_err(too_many)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a layout says, counted piece by piece.
    struct Naive {
        pieces: Vec<Piece>,
        files: Vec<(u64, Range<u32>, Range<u32>)>,
    }

    fn naive(sizes: &[u64]) -> Naive {
        let (mut pieces, mut files, mut values) = (Vec::new(), Vec::new(), 0);
        for (file, bytes) in (0..).zip(sizes) {
            let first = u32::try_from(pieces.len()).unwrap();
            let mut offset = 0;
            while offset < *bytes {
                let piece_bytes = PIECE.min(bytes - offset);
                pieces.push(Piece { file, offset, bytes: u32::try_from(piece_bytes).unwrap() });
                offset += piece_bytes;
            }
            let own = first..u32::try_from(pieces.len()).unwrap();
            let own_values = if own.len() > 1 { own.end - own.start } else { 0 };
            files.push((*bytes, own, values..values + own_values));
            values += own_values;
        }
        Naive { pieces, files }
    }

    fn check(sizes: &[u64]) {
        let layout = Layout::of_files(sizes.iter().copied()).unwrap();
        let expected = naive(sizes);
        assert_eq!(layout.pieces() as usize, expected.pieces.len());
        assert_eq!(layout.files() as usize, sizes.len());
        assert_eq!(layout.bytes(), sizes.iter().sum::<u64>());
        for (file, (bytes, pieces, values)) in (0..).zip(expected.files) {
            assert_eq!(layout.file_bytes(file), bytes);
            assert_eq!(layout.file_pieces(file), pieces);
            assert_eq!(layout.outline_range(file), values);
            assert!(values.end <= layout.outline_values());
        }
        for start in 0..layout.pieces() {
            assert_eq!(layout.piece(start), expected.pieces[start as usize]);
            let mut bytes = 0;
            for end in start..layout.pieces() {
                assert_eq!(layout.range_bytes(start..end), bytes);
                bytes += u64::from(expected.pieces[end as usize].bytes);
            }
            assert_eq!(layout.range_bytes(start..layout.pieces()), bytes);
        }
    }

    #[test]
    fn a_layout_says_what_counting_piece_by_piece_says() {
        for sizes in
            [&[][..], &[0], &[1], &[PIECE], &[PIECE + 1], &[0, 0, 5, 0], &[2 * PIECE, 0, 0, 2 * PIECE]]
        {
            check(sizes);
        }
        let mut random = 7_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        for _ in 0..50 {
            let sizes: Vec<_> =
                (0..next(20)).map(|_| [0, next(9), PIECE, next(4 * PIECE)][next(4) as usize]).collect();
            check(&sizes);
        }
    }

    #[test]
    fn a_file_has_as_many_pieces_as_can_be_counted_and_no_more() {
        let most = PIECES_MAX * PIECE;
        let layout = Layout::of_file(most).unwrap();
        assert_eq!((layout.pieces(), layout.outline_values(), layout.bytes()), (u32::MAX, u32::MAX, most));
        assert_eq!(layout.range_bytes(1..u32::MAX), most - PIECE);
        for sizes in [&[most + 1][..], &[most, 1]] {
            let error = Layout::of_files(sizes.iter().copied()).unwrap_err();
            assert_eq!(error, LayoutError::TooManyPieces { pieces: PIECES_MAX + 1 });
        }
        assert!(matches!(Layout::of_file(u64::MAX), Err(LayoutError::TooManyPieces { .. })));
    }

    #[test]
    #[should_panic(expected = "piece 2 of 2")]
    fn a_piece_past_the_last_is_a_bug_of_the_caller() {
        let _ = Layout::of_file(PIECE + 1).unwrap().piece(2);
    }

    #[test]
    fn a_file_takes_16_bytes_of_a_layout() {
        assert_eq!(size_of::<FileEnd>(), 16);
    }
}
