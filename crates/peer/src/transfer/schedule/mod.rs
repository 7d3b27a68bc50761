//! Schedules: which source is asked for which piece (BT-3.5).

mod flights;
mod pick;
mod random;
mod rarity;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Instant;

use super::PieceSet;
use flights::Flights;
use pick::Room;
use random::Random;
use rarity::Rarity;
use source::Source;

/// A source, as the caller numbers it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SourceId(pub u32);

/// Says which source is asked for which pieces, and keeps count of what has come.
///
/// ```text
///         next            received            verified
/// missing ────▶ asked of  ────────▶ received ────────▶ verified
///    ▲          one or two
///    └──────────────┘
///    refused, rejected
/// ```
/// A piece is asked of one source, and of a second one only when nothing else is left to ask that source for. While all
/// sources have everything, each goes on behind its last piece, so that disks are read in order. Once one of them is itself
/// downloading, pieces that few have go first, so that those who download have something for each other.
#[derive(Clone, Debug)]
pub struct Schedule {
    verified: PieceSet,
    /// Being verified.
    received: BTreeSet<u32>,
    /// Neither verified nor received nor asked of anybody.
    free: PieceSet,
    flights: Flights,
    sources: BTreeMap<SourceId, Source>,
    rarity: Rarity,
    /// Whose bytes of which piece were wrong; kept when a source goes, for it may come back.
    rejected: BTreeSet<(SourceId, u32)>,
    random: Random,
}

impl Schedule {
    /// A download of which these pieces are there already. With the same seed and the same calls it does the same.
    #[must_use]
    pub fn new(verified: PieceSet, seed: u64) -> Self {
        let pieces = verified.pieces();
        let mut free = PieceSet::new(pieces);
        let mut from = 0;
        while let Some(first) = verified.next_missing(from) {
            from = verified.next_present(first).unwrap_or(pieces);
            free.insert_range(first..from);
        }
        Self {
            verified,
            received: BTreeSet::new(),
            free,
            flights: Flights::default(),
            sources: BTreeMap::new(),
            rarity: Rarity::new(pieces),
            rejected: BTreeSet::new(),
            random: Random::new(seed),
        }
    }

    /// There is a source that has these pieces, or all of them. One that is known already has these now.
    pub fn add_source(&mut self, id: SourceId, has: Option<PieceSet>) {
        self.sources.entry(id).or_default();
        self.replace(id, has);
    }

    /// A source has these pieces now, and no others. Nothing happens when it isn't known.
    pub fn set_has(&mut self, id: SourceId, has: PieceSet) {
        if self.sources.contains_key(&id) {
            self.replace(id, Some(has));
        }
    }

    /// A source is gone: what it was asked for is free again.
    pub fn remove_source(&mut self, id: SourceId) {
        if let Some(Source { has: Some(has), .. }) = self.sources.remove(&id) {
            self.rarity.remove(&has);
        }
        for piece in self.flights.remove_source(id) {
            self.settle(piece);
        }
    }

    /// What to ask a source for now: adjacent pieces, `pieces_max` and `bytes_max` bytes of them at most, but one at least,
    /// however large. `range_bytes` says how many bytes a range of pieces has.
    ///
    /// `None`: nothing for now. That may change with every other call, and when a second has passed: then pieces that
    /// another source was asked for, and hasn't brought, may be asked of this one too.
    pub fn next(
        &mut self,
        now: Instant,
        id: SourceId,
        bytes_max: u64,
        pieces_max: u32,
        range_bytes: &dyn Fn(Range<u32>) -> u64,
    ) -> Option<Range<u32>> {
        let room = Room { bytes_max, pieces_max, range_bytes };
        let range = self.pick_free(id, &room).or_else(|| self.pick_asked(now, id, &room))?;
        for piece in range.clone() {
            self.free.remove(piece);
            self.flights.add(piece, id, now);
        }
        self.sources.get_mut(&id)?.follows = Some(range.end);
        Some(range)
    }

    /// A source has brought a piece. Whether it is wanted: it has to be verified then. Else it is a duplicate.
    pub fn received(&mut self, id: SourceId, piece: u32) -> bool {
        self.flights.remove(piece, id);
        let is_wanted = piece < self.verified.pieces()
            && !self.verified.contains(piece)
            && !self.rejected.contains(&(id, piece))
            && self.received.insert(piece);
        self.settle(piece);
        is_wanted
    }

    /// A piece that was received is what it should be, and is kept.
    pub fn verified(&mut self, piece: u32) {
        self.received.remove(&piece);
        self.verified.insert(piece);
        self.settle(piece);
    }

    /// A source has brought a piece that isn't what it should be: it is never asked of this source again.
    pub fn rejected(&mut self, id: SourceId, piece: u32) {
        if piece < self.verified.pieces() {
            self.rejected.insert((id, piece));
            self.refused(id, piece..piece + 1);
        }
    }

    /// A source doesn't have these pieces, or not yet: they are free again, and not asked of it until it is said to have
    /// them.
    pub fn refused(&mut self, id: SourceId, pieces: Range<u32>) {
        let pieces = pieces.start..pieces.end.min(self.verified.pieces());
        self.take_from(id, pieces.clone());
        self.put_back(id, pieces);
    }

    /// A source has these pieces, but doesn't send them now: they are free again.
    pub fn put_back(&mut self, id: SourceId, pieces: Range<u32>) {
        for piece in pieces.start..pieces.end.min(self.verified.pieces()) {
            self.flights.remove(piece, id);
            self.settle(piece);
        }
    }

    /// Whether all pieces are verified.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.verified.is_complete()
    }

    /// Whether no piece is asked of anybody.
    #[must_use]
    pub fn asks_nobody(&self) -> bool {
        self.flights.is_empty()
    }

    /// The pieces that are verified.
    #[must_use]
    pub fn verified_set(&self) -> &PieceSet {
        &self.verified
    }

    /// Makes a piece free if it is in no other state, and only then.
    fn settle(&mut self, piece: u32) {
        let is_elsewhere =
            self.verified.contains(piece) || self.received.contains(&piece) || self.flights.contains(piece);
        if is_elsewhere {
            self.free.remove(piece);
        } else {
            self.free.insert(piece);
        }
    }

    /// What a known source has from now on, without what was rejected from it.
    fn replace(&mut self, id: SourceId, has: Option<PieceSet>) {
        let pieces = self.verified.pieces();
        let mut rejected = self.rejected.range((id, 0)..=(id, u32::MAX)).map(|(_, piece)| *piece).peekable();
        let mut has = match has {
            None if rejected.peek().is_some() => Some(PieceSet::full(pieces)),
            has => has,
        };
        if let Some(has) = &mut has {
            assert_eq!(has.pieces(), pieces, "a source has pieces of this content");
            rejected.for_each(|piece| _ = has.remove(piece));
        }
        let has = has.filter(|has| !has.is_complete());
        let Some(source) = self.sources.get_mut(&id) else { return };
        match (&source.has, &has) {
            (Some(before), Some(after)) => self.rarity.change(before, after),
            (Some(before), None) => self.rarity.remove(before),
            (None, Some(after)) => self.rarity.add(after),
            (None, None) => {}
        }
        source.has = has;
    }

    /// A source doesn't have these pieces: one that had everything is partial now.
    fn take_from(&mut self, id: SourceId, pieces: Range<u32>) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        if pieces.is_empty() {
            return;
        }
        let has = source.has.get_or_insert_with(|| {
            let all = PieceSet::full(self.verified.pieces());
            self.rarity.add(&all);
            all
        });
        for piece in pieces {
            if has.remove(piece) {
                self.rarity.forget(piece);
            }
        }
    }
}

#[cfg(test)]
mod tests;

/// Tests begin here, and invent every later moment.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn any_instant() -> Instant {
    Instant::now()
}
