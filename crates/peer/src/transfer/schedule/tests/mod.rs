//! What a schedule does: single rules here, whole downloads in [`downloads`], anything at all in [`operations`].

mod downloads;
mod network;
mod operations;

use std::ops::Range;
use std::time::{Duration, Instant};

use super::{Schedule, SourceId, any_instant};
use crate::transfer::PieceSet;

const A: SourceId = SourceId(1);
const B: SourceId = SourceId(2);
const C: SourceId = SourceId(3);

/// Every piece has one byte.
fn one_byte_each(range: Range<u32>) -> u64 {
    u64::from(range.end - range.start)
}

fn set(pieces: u32, present: impl IntoIterator<Item = u32>) -> PieceSet {
    let mut set = PieceSet::new(pieces);
    present.into_iter().for_each(|piece| assert!(set.insert(piece)));
    set
}

fn ask(schedule: &mut Schedule, now: Instant, id: SourceId, pieces_max: u32) -> Option<Range<u32>> {
    schedule.next(now, id, u64::MAX, pieces_max, &one_byte_each)
}

/// A source brings pieces, and they are good.
fn bring(schedule: &mut Schedule, id: SourceId, pieces: Range<u32>) {
    for piece in pieces {
        assert!(schedule.received(id, piece), "{piece} was wanted");
        schedule.verified(piece);
    }
}

#[test]
fn the_only_source_is_read_in_order() {
    let now = any_instant();
    let mut schedule = Schedule::new(set(10, [0, 4]), 7);
    schedule.add_source(A, None);
    assert_eq!(ask(&mut schedule, now, A, 2), Some(1..3));
    assert_eq!(ask(&mut schedule, now, A, 8), Some(3..4));
    assert_eq!(ask(&mut schedule, now, A, 8), Some(5..10));
    assert_eq!(ask(&mut schedule, now, A, 8), None);
    for range in [1..3, 3..4, 5..9] {
        bring(&mut schedule, A, range);
    }
    assert!(!schedule.is_complete());
    bring(&mut schedule, A, 9..10);
    assert!(schedule.is_complete());
    assert_eq!(schedule.verified_set(), &PieceSet::full(10));
}

#[test]
fn a_content_without_pieces_is_complete() {
    let mut schedule = Schedule::new(PieceSet::new(0), 7);
    schedule.add_source(A, None);
    assert!(schedule.is_complete());
    assert_eq!(ask(&mut schedule, any_instant(), A, 8), None);
    assert!(!schedule.received(A, 0));
    schedule.rejected(A, 0);
    schedule.refused(A, 0..u32::MAX);
}

#[test]
fn a_request_keeps_to_its_bytes_but_has_one_piece_at_least() {
    let now = any_instant();
    let mut schedule = Schedule::new(PieceSet::new(10), 7);
    schedule.add_source(A, None);
    let ten_bytes_each = |range: Range<u32>| 10 * one_byte_each(range);
    assert_eq!(schedule.next(now, A, 5, 9, &ten_bytes_each), Some(0..1));
    assert_eq!(schedule.next(now, A, 30, 9, &ten_bytes_each), Some(1..4));
    assert_eq!(schedule.next(now, A, 1_000, 2, &ten_bytes_each), Some(4..6));
    assert_eq!(schedule.next(now, A, 1_000, 0, &ten_bytes_each), None);
    assert_eq!(ask(&mut schedule, now, B, 9), None, "nobody knows this source");
}

#[test]
fn several_complete_sources_read_stretches_of_their_own() {
    let now = any_instant();
    let mut schedule = Schedule::new(PieceSet::new(1_000), 7);
    schedule.add_source(A, None);
    schedule.add_source(B, None);
    let (a, b) = (ask(&mut schedule, now, A, 4).unwrap(), ask(&mut schedule, now, B, 4).unwrap());
    assert!(a.start.abs_diff(b.start) > 20, "{a:?} and {b:?}");
    assert_eq!(ask(&mut schedule, now, A, 4), Some(a.end..a.end + 4));
    assert_eq!(ask(&mut schedule, now, B, 4), Some(b.end..b.end + 4));
}

#[test]
fn what_few_have_is_asked_for_first() {
    let now = any_instant();
    let mut schedule = Schedule::new(PieceSet::new(8), 7);
    schedule.add_source(A, None);
    schedule.add_source(B, Some(set(8, [0, 1, 2, 3, 4, 5])));
    schedule.add_source(C, Some(set(8, [2, 3])));
    assert_eq!(ask(&mut schedule, now, A, 8), Some(6..8), "A alone has them");
    assert!(matches!(ask(&mut schedule, now, B, 1), Some(range) if ![2, 3].contains(&range.start)));
    assert_eq!(ask(&mut schedule, now, C, 8), Some(2..4), "it has nothing else");
    assert_eq!(ask(&mut schedule, now, C, 8), None);
}

#[test]
fn a_late_piece_is_asked_of_one_more_source() {
    let now = any_instant();
    let mut schedule = Schedule::new(PieceSet::new(4), 7);
    for id in [A, B, C] {
        schedule.add_source(id, None);
    }
    let mut asked = 0;
    while let Some(range) = ask(&mut schedule, now, A, 4) {
        asked += range.len();
    }
    assert_eq!(asked, 4);
    assert_eq!(ask(&mut schedule, now + Duration::from_millis(999), B, 4), None, "it may be on its way");
    let later = now + Duration::from_secs(1);
    let mut late = PieceSet::new(4);
    while let Some(range) = ask(&mut schedule, later, B, 1) {
        assert!(late.insert(range.start), "asked of B once");
    }
    assert!(late.is_complete());
    assert_eq!(ask(&mut schedule, later + Duration::from_secs(9), C, 4), None, "two sources are enough");
    bring(&mut schedule, B, 0..1);
    assert!(!schedule.received(A, 0), "a duplicate");
    schedule.remove_source(A);
    assert!(ask(&mut schedule, later, C, 4).is_none(), "B has had them for less than a second");
    assert!(ask(&mut schedule, later + Duration::from_secs(1), C, 4).is_some());
}

#[test]
fn the_later_half_of_what_is_late_goes_to_another() {
    let now = any_instant();
    let mut schedule = Schedule::new(PieceSet::new(8), 7);
    schedule.add_source(A, None);
    assert_eq!(ask(&mut schedule, now, A, 8), Some(0..8));
    schedule.add_source(B, None);
    let later = now + Duration::from_secs(2);
    let ranges: Vec<_> = std::iter::from_fn(|| ask(&mut schedule, later, B, 8)).collect();
    assert_eq!(ranges, [4..8, 2..4, 1..2, 0..1]);
}

#[test]
fn wrong_bytes_do_no_harm_to_the_right_ones_of_another_source() {
    let (now, later) = (any_instant(), any_instant() + Duration::from_secs(2));
    let mut schedule = Schedule::new(PieceSet::new(1), 7);
    schedule.add_source(A, None);
    schedule.add_source(B, None);
    assert_eq!(ask(&mut schedule, now, A, 1), Some(0..1));
    assert_eq!(ask(&mut schedule, later, B, 1), Some(0..1));
    assert!(schedule.received(A, 0), "it is being written");
    schedule.rejected(B, 0);
    schedule.add_source(C, None);
    assert_eq!(ask(&mut schedule, later, C, 1), None, "it is asked of nobody any more");
    schedule.verified(0);
    assert!(schedule.is_complete());
}

#[test]
fn wrong_bytes_are_never_asked_of_that_source_again() {
    let now = any_instant();
    let mut schedule = Schedule::new(PieceSet::new(3), 7);
    schedule.add_source(A, None);
    assert_eq!(ask(&mut schedule, now, A, 3), Some(0..3));
    schedule.rejected(A, 1);
    assert_eq!(ask(&mut schedule, now, A, 3), None);
    schedule.set_has(A, PieceSet::full(3));
    schedule.remove_source(A);
    schedule.add_source(A, None);
    let again: Vec<_> = std::iter::from_fn(|| ask(&mut schedule, now, A, 1)).collect();
    assert_eq!(again.len(), 2, "all but the wrong one: {again:?}");
    assert!(!again.contains(&(1..2)) && !schedule.received(A, 1));
    schedule.add_source(B, None);
    assert_eq!(ask(&mut schedule, now, B, 3), Some(1..2));
    bring(&mut schedule, B, 1..2);
}

#[test]
fn refused_pieces_come_back_when_the_source_has_them() {
    let now = any_instant();
    let mut schedule = Schedule::new(PieceSet::new(6), 7);
    schedule.add_source(A, None);
    assert_eq!(ask(&mut schedule, now, A, 6), Some(0..6));
    schedule.refused(A, 2..4);
    assert_eq!(ask(&mut schedule, now, A, 6), None);
    schedule.set_has(A, set(6, [3]));
    assert_eq!(ask(&mut schedule, now, A, 6), Some(3..4));
    schedule.add_source(A, None);
    assert_eq!(ask(&mut schedule, now, A, 6), Some(2..3));
}
