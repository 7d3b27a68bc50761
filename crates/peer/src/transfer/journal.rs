//! Journals: which pieces of a download have been verified, in a file that only grows (BT-3.8).
//!
//! ```text
//! record = length of the body u16 ‖ kind u8 ‖ body ‖ check 8 bytes
//! check  = BLAKE3(position of the record in the file u64 ‖ length ‖ kind ‖ body), its first 8 bytes
//! kind 1 = "BTJ1" ‖ file_bytes u64 ‖ is_folder u8 ‖ pieces u32 ‖ length u16 ‖ target ‖ length u16 ‖ name
//! kind 2 = (first u32 ‖ count u32)*: these pieces are written
//! ```
//! Numbers are big-endian. A crash may tear the last record: what stands before it counts.

mod reader;

use std::ops::Range;

use bittrickle_wire::limits::{MANIFEST_ENTRIES_MAX, PIECE_BYTES};
use bittrickle_wire::{FileName, Target};

use super::PieceSet;
use reader::Reader;

/// A journal at its end: knows where the next record goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Journal {
    bytes: u64,
}

/// What a download is of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JournalHeader {
    /// What is fetched.
    pub target: Target,
    /// What it will be called.
    pub name: FileName,
    /// Its size; of a folder, that of all its files.
    pub file_bytes: u64,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// How many pieces it has.
    pub pieces: u32,
}

/// Why a journal can't be read. Nothing is known of the download then, and it begins anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JournalError {
    /// Its first record is torn or damaged.
    #[error("its first record is damaged")]
    Damaged,
    /// Its first record is whole, but not the header of a journal of this version.
    #[error("it doesn't begin with a header")]
    NotAHeader,
    /// Nothing of this size has so many pieces.
    #[error("{file_bytes} bytes don't have {pieces} pieces")]
    Pieces {
        /// The size.
        file_bytes: u64,
        /// The pieces.
        pieces: u32,
    },
}

const MAGIC: &[u8; 4] = b"BTJ1";
const KIND_HEADER: u8 = 1;
const KIND_PIECES: u8 = 2;
const CHECK_BYTES: usize = 8;

/// Bytes of a range: its first piece and how many there are.
const RANGE_BYTES: usize = 8;

/// Most ranges of one record: as many as its length can say.
const RECORD_RANGES_MAX: usize = u16::MAX as usize / RANGE_BYTES;

impl Journal {
    /// Begins a journal: what its file holds at first.
    #[must_use]
    pub fn begin(header: &JournalHeader) -> (Self, Vec<u8>) {
        let mut journal = Self { bytes: 0 };
        let mut file = Vec::new();
        journal.write(&mut file, KIND_HEADER, &encode_header(header));
        (journal, file)
    }

    /// What is written to the end of the file to note that these pieces are written.
    pub fn append(&mut self, pieces: &[Range<u32>]) -> Vec<u8> {
        let ranges: Vec<_> = pieces.iter().filter(|range| !range.is_empty()).collect();
        let mut records = Vec::new();
        for some in ranges.chunks(RECORD_RANGES_MAX) {
            let numbers = some.iter().flat_map(|range| [range.start, range.end - range.start]);
            let body: Vec<u8> = numbers.flat_map(u32::to_be_bytes).collect();
            self.write(&mut records, KIND_PIECES, &body);
        }
        records
    }

    /// Reads a journal's file: what it is of, which pieces it claims, and where it goes on. What stands behind a record
    /// that is torn or wrong doesn't count.
    ///
    /// # Errors
    /// The header can't be read.
    pub fn read(file: &[u8]) -> Result<(JournalHeader, PieceSet, Self), JournalError> {
        let mut reader = Reader::new(file);
        let (kind, body) = reader.record().ok_or(JournalError::Damaged)?;
        let header = Some(body).filter(|_| kind == KIND_HEADER).and_then(decode_header);
        let header = header.ok_or(JournalError::NotAHeader)?;
        if !may_have(&header) {
            let JournalHeader { file_bytes, pieces, .. } = header;
            return Err(JournalError::Pieces { file_bytes, pieces });
        }
        let mut claimed = PieceSet::new(header.pieces);
        let mut bytes = reader.position();
        while let Some((KIND_PIECES, body)) = reader.record()
            && claim(&mut claimed, body)
        {
            bytes = reader.position();
        }
        Ok((header, claimed, Self { bytes }))
    }

    /// Length of the file as far as it is valid, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn write(&mut self, file: &mut Vec<u8>, kind: u8, body: &[u8]) {
        let length = u16::try_from(body.len()).expect("bodies are bounded by what they are made of");
        let begin = file.len();
        file.extend(length.to_be_bytes());
        file.push(kind);
        file.extend(body);
        file.extend(check(self.bytes, &file[begin..]));
        self.bytes += (file.len() - begin) as u64;
    }
}

/// The position is part of it, so that no record counts where it wasn't written.
fn check(position: u64, record: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&position.to_be_bytes()).update(record);
    *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
}

fn encode_header(header: &JournalHeader) -> Vec<u8> {
    let mut body = MAGIC.to_vec();
    body.extend(header.file_bytes.to_be_bytes());
    body.push(u8::from(header.is_folder));
    body.extend(header.pieces.to_be_bytes());
    for text in [header.target.to_string().as_str(), header.name.as_str()] {
        let length = u16::try_from(text.len()).expect("names and targets are shorter");
        body.extend(length.to_be_bytes());
        body.extend(text.as_bytes());
    }
    body
}

fn decode_header(body: &[u8]) -> Option<JournalHeader> {
    let mut reader = Reader::new(body);
    if reader.array()? != *MAGIC {
        return None;
    }
    let file_bytes = u64::from_be_bytes(reader.array()?);
    let is_folder = match reader.array()? {
        [0] => false,
        [1] => true,
        _ => return None,
    };
    let pieces = u32::from_be_bytes(reader.array()?);
    let target = reader.text()?.parse().ok()?;
    let name = FileName::new(reader.text()?).ok()?;
    reader.is_at_end().then_some(JournalHeader { target, name, file_bytes, is_folder, pieces })
}

/// Whether something of this size may have so many pieces: each file of a folder may end with a short one.
fn may_have(header: &JournalHeader) -> bool {
    let files_max = if header.is_folder { MANIFEST_ENTRIES_MAX as u64 } else { 1 };
    let pieces_min = header.file_bytes.div_ceil(PIECE_BYTES as u64);
    let pieces_max = if header.is_folder {
        header.file_bytes.min(header.file_bytes / PIECE_BYTES as u64 + files_max)
    } else {
        pieces_min
    };
    (pieces_min..=pieces_max).contains(&u64::from(header.pieces))
}

/// Takes the ranges of one record: all of them, or none where one isn't acceptable.
fn claim(claimed: &mut PieceSet, body: &[u8]) -> bool {
    let (ranges, rest) = body.as_chunks::<RANGE_BYTES>();
    let decode = |bytes: &[u8; RANGE_BYTES]| {
        let mut reader = Reader::new(bytes);
        let first = u32::from_be_bytes(reader.array()?);
        let end = first.checked_add(u32::from_be_bytes(reader.array()?))?;
        (first < end && end <= claimed.pieces()).then_some(first..end)
    };
    let Some(ranges) = ranges.iter().map(decode).collect::<Option<Vec<_>>>() else { return false };
    if body.is_empty() || !rest.is_empty() {
        return false;
    }
    for range in ranges {
        claimed.insert_range(range);
    }
    true
}

#[cfg(test)]
mod tests;
