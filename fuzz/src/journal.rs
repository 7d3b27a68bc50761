//! Journals of downloads: what one claims was written to it, however it was torn or changed (BT-3.8).
//!
//! The first byte says what the rest is:
//!
//! | first byte | the rest is |
//! |---|---|
//! | 0 | the bytes of a journal |
//! | 1 | the body of a header, which gets its length and its check here |
//! | other | steps, 4 bytes each, that write a journal of [`PIECES`] pieces, and then damage it |

use std::collections::BTreeSet;
use std::ops::Range;

use bittrickle_peer::transfer::{Journal, JournalHeader};
use bittrickle_wire::{FileName, Target};

/// Pieces of the download that steps are about.
const PIECES: u32 = 1_000;

/// A set of more pieces is correct as well, but takes long to make.
const PIECES_TO_READ_MAX: u32 = 1 << 20;

/// The bytes are a journal, or make one.
pub fn journal(data: &[u8]) {
    match data.split_first() {
        None => {}
        Some((0, file)) => check(file),
        Some((1, body)) => check(&with_header(body)),
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
    let valid = usize::try_from(journal.bytes()).expect("no longer than the file");
    let (_, beginning) = Journal::begin(&header);
    assert!(file[..valid].starts_with(&beginning), "a header has one form");
    let (again, same, _) = Journal::read(&file[..valid]).expect("it has just been read");
    assert_eq!((again, same), (header, claimed));
}

fn with_header(body: &[u8]) -> Vec<u8> {
    let body = &body[..body.len().min(usize::from(u16::MAX))];
    let length = u16::try_from(body.len()).expect("it was cut");
    let record = [&length.to_be_bytes()[..], &[1], body].concat();
    let check = blake3::hash(&[&0_u64.to_be_bytes()[..], &record].concat());
    [&record[..], &check.as_bytes()[..8]].concat()
}

fn write_and_damage(data: &[u8]) {
    let header = JournalHeader {
        target: Target::Name(FileName::new("a.bin").expect("a good name")),
        name: FileName::new("b.bin").expect("a good name"),
        file_bytes: u64::from(PIECES) << 20,
        is_folder: false,
        pieces: PIECES,
    };
    let (mut journal, mut file) = Journal::begin(&header);
    let header_bytes = file.len();
    let (steps, _) = data.as_chunks::<4>();
    let (damage, writes) = steps.split_first().map_or(([0; 4], steps), |(first, rest)| (*first, rest));
    // What has been claimed when the file was so long.
    let mut claims: Vec<(usize, BTreeSet<u32>)> = vec![(file.len(), BTreeSet::new())];
    for write in writes {
        let range = range(*write);
        file.extend(journal.append(std::slice::from_ref(&range)));
        let mut claimed = claims.last().expect("there is one").1.clone();
        claimed.extend(range);
        claims.push((file.len(), claimed));
        assert_eq!(journal.bytes(), file.len() as u64);
    }
    let place = u32::from_be_bytes([0, damage[0], damage[1], damage[2]]) as usize % file.len();
    match damage[3] {
        0 => file.truncate(place),
        flip => file[place] ^= flip,
    }
    let whole = claims.iter().rev().find(|(end, _)| *end <= place);
    match (Journal::read(&file), whole) {
        (Err(_), None) => {}
        (Ok((read, claimed, journal)), Some((end, expected))) => {
            assert_eq!(
                (read, journal.bytes()),
                (header, *end as u64),
                "what stands before the damage counts"
            );
            assert!(claimed.ranges().flatten().eq(expected.iter().copied()));
        }
        (read, whole) => panic!("{header_bytes} bytes of header, damage at {place}: {read:?}, {whole:?}"),
    }
}

/// Pieces of the download; perhaps none.
fn range([a, b, c, d]: [u8; 4]) -> Range<u32> {
    let first = u32::from(u16::from_be_bytes([a, b])) % (PIECES + 1);
    first..(first + u32::from(u16::from_be_bytes([c, d])) % 64).min(PIECES)
}
