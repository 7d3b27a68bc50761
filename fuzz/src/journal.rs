//! Journals of downloads: what one claims was written to it, however it was torn or changed (BT-3.8).
//!
//! The first byte says what the rest is:
//!
//! | first byte | the rest is |
//! |---|---|
//! | 0 | the bytes of a journal |
//! | 1 | the body of a header, which gets its length and its check here |
//! | 3 | records behind a header of [`PIECES`] pieces: kind, length, body; they get their checks here |
//! | other | steps, 4 bytes each, that write a journal of [`PIECES`] pieces, and then damage it |

use std::collections::BTreeSet;
use std::ops::Range;

use bittrickle_peer::transfer::{Journal, JournalHeader};
use bittrickle_wire::{FileName, Target};

/// Pieces of the download that steps and records are about.
const PIECES: u32 = 1_000;

/// A set of more pieces is correct as well, but takes long to make.
const PIECES_TO_READ_MAX: u32 = 1 << 20;

/// The bytes are a journal, or make one.
pub fn journal(data: &[u8]) {
    match data.split_first() {
        None => {}
        Some((0, file)) => check(file),
        Some((1, body)) => check(&with_header(body)),
        Some((3, records)) => read_records(records),
        Some((_, steps)) => write_and_damage(steps),
    }
}

/// What is read says the same when it is cut where it says that it ends.
fn check(file: &[u8]) {
    // The number of pieces stands in the header behind `BTJ1`, the size and the kind.
    let pieces = file
        .get(3 + 13..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |pieces| u32::from_be_bytes(*pieces));
    if pieces > PIECES_TO_READ_MAX {
        return;
    }
    let Ok((header, claimed, journal)) = Journal::read(file) else { return };
    assert_eq!(claimed.pieces(), header.pieces);
    assert!(claimed.ranges().all(|range| range.start < range.end && range.end <= pieces));
    let pieces_min = header.file_bytes.div_ceil(1 << 20);
    let is_possible = u64::from(pieces) == pieces_min || (header.is_folder && u64::from(pieces) > pieces_min);
    assert!(is_possible, "{header:?}");
    let valid = usize::try_from(journal.bytes()).expect("no longer than the file");
    let (_, beginning) = Journal::begin(&header);
    assert!(file[..valid].starts_with(&beginning), "a header has one form");
    let (again, same, _) = Journal::read(&file[..valid]).expect("it has just been read");
    assert_eq!((again, same), (header, claimed));
}

fn with_header(body: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    append_record(&mut file, 1, &body[..body.len().min(usize::from(u16::MAX))]);
    file
}

/// A record whose check is good, written out from BT-3.8-2.
fn append_record(file: &mut Vec<u8>, kind: u8, body: &[u8]) {
    let length = u16::try_from(body.len()).expect("bodies are shorter");
    let record = [&length.to_be_bytes()[..], &[kind], body].concat();
    let position = file.len() as u64;
    let check = blake3::hash(&[&position.to_be_bytes()[..], &record].concat());
    file.extend(record);
    file.extend(&check.as_bytes()[..8]);
}

/// A check says that a record is what somebody wrote, not that it makes sense: it counts as far as a plain reading goes.
fn read_records(mut rest: &[u8]) {
    let (_, mut file) = Journal::begin(&header());
    let mut valid = file.len();
    let mut expected = Some(BTreeSet::new());
    let mut claimed = BTreeSet::new();
    while let [kind, length, behind @ ..] = rest {
        let (body, behind) = behind.split_at(behind.len().min(usize::from(*length)));
        append_record(&mut file, *kind, body);
        expected = expected.and_then(|so_far| Some(&so_far | &claims(*kind, body)?));
        if let Some(so_far) = &expected {
            claimed.clone_from(so_far);
            valid = file.len();
        }
        rest = behind;
    }
    assert_read(&file, valid, &claimed);
    check(&file);
}

/// What a record claims; `None` where it can't be what it says (BT-3.8-4).
fn claims(kind: u8, body: &[u8]) -> Option<BTreeSet<u32>> {
    let (ranges, rest) = body.as_chunks::<8>();
    let mut claimed = BTreeSet::new();
    for range in ranges {
        let [first, count] = [&range[..4], &range[4..]]
            .map(|number| number.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)));
        if count == 0 || first + count > u64::from(PIECES) {
            return None;
        }
        claimed.extend((first..first + count).map(|piece| piece as u32));
    }
    (kind == 2 && !ranges.is_empty() && rest.is_empty()).then_some(claimed)
}

fn write_and_damage(data: &[u8]) {
    let (mut journal, mut file) = Journal::begin(&header());
    let header_bytes = file.len();
    let (steps, _) = data.as_chunks::<4>();
    let (damage, writes) = steps.split_first().map_or(([0; 4], steps), |(first, rest)| (*first, rest));
    // What was claimed, and how long the file was then.
    let mut claims: Vec<(usize, Range<u32>)> = Vec::new();
    for write in writes {
        let range = range(*write);
        file.extend(journal.append(std::slice::from_ref(&range)));
        claims.push((file.len(), range));
        assert_eq!(journal.bytes(), file.len() as u64);
    }
    let place = u32::from_be_bytes([0, damage[0], damage[1], damage[2]]) as usize % file.len();
    match damage[3] {
        0 => file.truncate(place),
        flip => file[place] ^= flip,
    }
    if place < header_bytes {
        return assert!(Journal::read(&file).is_err(), "the damage at {place} is in the header");
    }
    claims.retain(|(end, _)| *end <= place);
    let valid = claims.last().map_or(header_bytes, |(end, _)| *end);
    let mut expected: BTreeSet<u32> = claims.into_iter().flat_map(|(_, range)| range).collect();
    assert_read(&file, valid, &expected);

    let (_, _, mut journal) = Journal::read(&file).expect("it has just been read");
    file.truncate(valid);
    file.extend(journal.append(&[7..9, 3..4]));
    expected.extend([7, 8, 3]);
    assert_read(&file, file.len(), &expected);
}

/// So many bytes of the file count, and claim these pieces.
fn assert_read(file: &[u8], valid: usize, expected: &BTreeSet<u32>) {
    let (read, claimed, journal) = Journal::read(file).expect("its header is whole");
    assert_eq!((read, journal.bytes()), (header(), valid as u64), "what stands before the damage counts");
    assert!(claimed.ranges().flatten().eq(expected.iter().copied()), "{claimed:?} for {expected:?}");
    assert_eq!(claimed.count() as usize, expected.len());
}

fn header() -> JournalHeader {
    JournalHeader {
        target: Target::Name(FileName::new("a.bin").expect("a good name")),
        name: FileName::new("b.bin").expect("a good name"),
        file_bytes: u64::from(PIECES) << 20,
        is_folder: false,
        pieces: PIECES,
    }
}

/// Pieces of the download; perhaps none.
fn range([a, b, c, d]: [u8; 4]) -> Range<u32> {
    let first = u32::from(u16::from_be_bytes([a, b])) % (PIECES + 1);
    first..(first + u32::from(u16::from_be_bytes([c, d])) % 64).min(PIECES)
}
