//! A journal that is cut or damaged anywhere still says what stands before.
#![expect(clippy::single_range_in_vec_init, reason = "lists of ranges, one of them at times")]

use super::*;

fn header(pieces: u32) -> JournalHeader {
    let name = FileName::new("Hörspiel.flac").unwrap();
    let target = Target::Name(name.clone());
    let file_bytes = u64::from(pieces) * PIECE_BYTES as u64;
    JournalHeader { target, name, file_bytes, is_folder: false, pieces }
}

/// A file, and after which bytes it claims which pieces.
fn grown() -> (Vec<u8>, Vec<(usize, PieceSet)>) {
    let (mut journal, mut file) = Journal::begin(&header(100));
    let mut claimed = PieceSet::new(100);
    let mut states = vec![(file.len(), claimed.clone())];
    for ranges in [&[0..1][..], &[5..9, 20..21], &[3..50, 99..100], &[0..100]] {
        file.extend(journal.append(ranges));
        ranges.iter().for_each(|range| claimed.insert_range(range.clone()));
        states.push((file.len(), claimed.clone()));
    }
    assert_eq!(journal.bytes(), file.len() as u64);
    (file, states)
}

/// Reads a file of which so many bytes are as they were written.
fn assert_prefix(file: &[u8], intact: usize, states: &[(usize, PieceSet)]) {
    let Some((bytes, expected)) = states.iter().rev().find(|(end, _)| *end <= intact) else {
        assert!(Journal::read(file).is_err(), "{intact} bytes are not a header");
        return;
    };
    let (read, claimed, journal) = Journal::read(file).unwrap();
    assert_eq!((read, &claimed, journal.bytes()), (header(100), expected, *bytes as u64));
}

#[test]
fn a_journal_cut_anywhere_says_what_stands_before() {
    let (file, states) = grown();
    for end in 0..=file.len() {
        assert_prefix(&file[..end], end, &states);
    }
}

#[test]
fn a_journal_damaged_anywhere_says_what_stands_before() {
    let (file, states) = grown();
    for position in 0..file.len() {
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[position] ^= 1 << bit;
            assert_prefix(&damaged, position, &states);
        }
    }
}

#[test]
fn a_journal_goes_on_where_it_was_torn() {
    let (file, states) = grown();
    let (_, mut claimed, mut journal) = Journal::read(&file[..states[2].0 + 5]).unwrap();
    let mut file = file[..journal.bytes() as usize].to_vec();
    file.extend(journal.append(&[70..80]));
    claimed.insert_range(70..80);
    assert_eq!(Journal::read(&file).unwrap(), (header(100), claimed, journal));
}

#[test]
fn many_ranges_take_several_records() {
    let (mut journal, mut file) = Journal::begin(&header(60_000));
    let ranges: Vec<_> = (0..30_000).map(|index| 2 * index..2 * index + 1).collect();
    let records = journal.append(&ranges);
    assert_eq!(records.len(), 30_000 * RANGE_BYTES + 4 * (2 + 1 + CHECK_BYTES));
    file.extend(records);
    let (_, claimed, journal) = Journal::read(&file).unwrap();
    assert!(claimed.ranges().eq(ranges));
    assert_eq!(journal.bytes(), file.len() as u64);
}

#[test]
fn nothing_takes_no_record() {
    let (mut journal, file) = Journal::begin(&header(9));
    assert!(journal.append(&[]).is_empty());
    assert!(journal.append(&[3..3, 9..9]).is_empty());
    assert_eq!(journal.bytes(), file.len() as u64);
}

#[test]
fn a_record_with_a_range_that_cannot_be_ends_the_reading() {
    for bad in [&[0..101][..], &[1..2, 100..101], &[u32::MAX - 1..u32::MAX]] {
        let (mut journal, mut file) = Journal::begin(&header(100));
        file.extend(journal.append(&[7..8]));
        let valid = file.len() as u64;
        file.extend(journal.append(bad));
        file.extend(journal.append(&[9..10]));
        let (_, claimed, journal) = Journal::read(&file).unwrap();
        assert!(claimed.ranges().eq([7..8]) && journal.bytes() == valid, "{bad:?}");
    }
    for body in [&[0, 0, 0, 1, 0, 0, 0, 0][..], &[0xff; 8], &[0; 7], &[0, 0, 0, 1, 0, 0, 0, 1, 0]] {
        let (mut journal, mut file) = Journal::begin(&header(100));
        journal.write(&mut file, KIND_PIECES, body);
        assert_eq!(Journal::read(&file).unwrap().1, PieceSet::new(100), "{body:?}");
    }
}

#[test]
fn a_record_counts_only_where_it_was_written() {
    let (file, states) = grown();
    let moved = [&file[..states[0].0], &file[states[1].0..states[2].0]].concat();
    assert_eq!(Journal::read(&moved).unwrap().1, PieceSet::new(100));
    let (_, twice) = Journal::begin(&header(100));
    let (_, claimed, journal) = Journal::read(&[&twice[..], &twice].concat()).unwrap();
    assert_eq!((claimed.count(), journal.bytes()), (0, twice.len() as u64));
}

#[test]
fn a_first_record_that_is_no_header_is_an_error() {
    let good = encode_header(&header(100));
    let journal_of = |kind, body: &[u8]| {
        let mut file = Vec::new();
        Journal { bytes: 0 }.write(&mut file, kind, body);
        Journal::read(&file)
    };
    assert!(journal_of(KIND_HEADER, &good).is_ok());
    assert_eq!(journal_of(KIND_PIECES, &good), Err(JournalError::NotAHeader));
    for end in 0..good.len() {
        assert_eq!(journal_of(KIND_HEADER, &good[..end]), Err(JournalError::NotAHeader));
    }
    assert_eq!(journal_of(KIND_HEADER, &[&good[..], &[0]].concat()), Err(JournalError::NotAHeader));
    assert_eq!(journal_of(KIND_HEADER, &[b"BTJ2", &good[4..]].concat()), Err(JournalError::NotAHeader));
}

#[test]
fn pieces_that_nothing_of_this_size_has_reserve_no_memory() {
    let piece = PIECE_BYTES as u64;
    let cases = [
        (false, 0, 0..=0),
        (false, 1, 1..=1),
        (false, 3 * piece, 3..=3),
        (false, 3 * piece + 1, 4..=4),
        (true, 0, 0..=0),
        (true, 5, 1..=5),
        (true, 3 * piece, 3..=3 + MANIFEST_ENTRIES_MAX as u32),
    ];
    for (is_folder, file_bytes, allowed) in cases {
        let around = [
            0,
            allowed.start().saturating_sub(1),
            *allowed.start(),
            *allowed.end(),
            allowed.end() + 1,
            u32::MAX,
        ];
        for pieces in around {
            let header = JournalHeader { file_bytes, is_folder, ..header(pieces) };
            let (_, file) = Journal::begin(&header);
            match Journal::read(&file) {
                Ok((read, ..)) => assert!(read == header && allowed.contains(&pieces)),
                Err(error) => {
                    assert_eq!(error, JournalError::Pieces { file_bytes, pieces });
                    assert!(!allowed.contains(&pieces), "{pieces} of {file_bytes}");
                }
            }
        }
    }
}

/// The format as it stands on disk: a change that breaks this breaks downloads that are under way.
#[test]
fn the_bytes_of_a_journal_stay_what_they_are() {
    let name = FileName::new("a").unwrap();
    let target = Target::Name(name.clone());
    let header = JournalHeader { target, name, file_bytes: 5, is_folder: false, pieces: 1 };
    let (mut journal, mut file) = Journal::begin(&header);
    assert_eq!(file[..3 + 28], *b"\0\x1c\x01BTJ1\0\0\0\0\0\0\0\x05\0\0\0\0\x01\0\x06name:a\0\x01a");
    let first = file.len();
    file.extend(journal.append(&[0..1]));
    assert_eq!(file[first..first + 11], *b"\0\x08\x02\0\0\0\0\0\0\0\x01");
    let mut covered = (first as u64).to_be_bytes().to_vec();
    covered.extend(&file[first..first + 11]);
    assert_eq!(file[first + 11..], blake3::hash(&covered).as_bytes()[..8]);
}
