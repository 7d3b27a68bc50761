//! The policy: which pieces a source is asked for next.

use std::iter;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::{Random, Schedule, Source, SourceId};

/// How much is asked for at once.
pub(super) struct Room<'caller> {
    pub(super) bytes_max: u64,
    pub(super) pieces_max: u32,
    pub(super) range_bytes: &'caller dyn Fn(Range<u32>) -> u64,
}

/// A piece is asked of a second source only when the first has had it for so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// Most pieces that are compared to find the rarest. In a content with more it is the rarest of some.
const COMPARED_MAX: usize = 1 << 13;

/// Random places that are tried before the search goes on in order.
const PLACES_TRIED: usize = 16;

/// Pieces on their way here that are looked at to see who else asks for them. Many small files are many pieces at a time.
const LOOK_BACK_MAX: u32 = 64;

impl Room<'_> {
    /// The range that begins with a piece and goes on as long as there is room and the next one `fits`.
    fn range_from(&self, first: u32, fits: impl Fn(u32) -> bool) -> Option<Range<u32>> {
        if self.pieces_max == 0 {
            return None;
        }
        let mut end = first + 1;
        while end - first < self.pieces_max
            && fits(end)
            && (self.range_bytes)(first..end + 1) <= self.bytes_max
        {
            end += 1;
        }
        Some(first..end)
    }
}

impl Schedule {
    /// Pieces that nobody is asked for.
    pub(super) fn pick_free(&mut self, id: SourceId, room: &Room<'_>) -> Option<Range<u32>> {
        if self.free.count() == 0 {
            return None;
        }
        let mut random = self.random.fork();
        let source = self.sources.get(&id)?;
        if self.rarity.matters() {
            let (first, count) = self.rarest(source, &mut random)?;
            let is_as_rare = |piece| self.is_candidate(source, piece) && self.rarity.of(piece) <= count;
            return room.range_from(first, is_as_rare);
        }
        let own = source.follows.filter(|piece| self.free.contains(*piece));
        let first = own.or_else(|| self.beginning(&mut random))?;
        room.range_from(first, |piece| self.free.contains(piece))
    }

    /// Pieces that another source was asked for long ago, when nothing else is left.
    ///
    /// Of those that it was asked for at the same time the later half: it begins at the front, and brings that itself, if it
    /// brings anything.
    pub(super) fn pick_asked(&self, now: Instant, id: SourceId, room: &Room<'_>) -> Option<Range<u32>> {
        let source = self.sources.get(&id)?;
        let late = || {
            self.flights.of_one().filter(|(piece, asked)| {
                asked.of != id
                    && now.saturating_duration_since(asked.at) >= PATIENCE
                    && source.has(*piece)
                    && !self.received.contains(piece)
                    && !self.verified.contains(*piece)
            })
        };
        let (_, oldest) = late().min_by_key(|(_, asked)| *asked)?;
        let pieces: Vec<u32> = late().filter(|(_, asked)| *asked == oldest).map(|(piece, _)| piece).collect();
        let later_half = &pieces[pieces.len() / 2..];
        room.range_from(*later_half.first()?, |piece| later_half.binary_search(&piece).is_ok())
    }

    /// Where a source begins that goes on nowhere, while all have everything: several of them at a random place each, so
    /// that each has a stretch before it.
    fn beginning(&self, random: &mut Random) -> Option<u32> {
        if self.sources.len() == 1 {
            return self.free.next_present(0);
        }
        let mut places = iter::repeat_with(|| random.below(self.free.pieces()));
        // What is behind a piece that isn't free is where another source goes on.
        let place = places.by_ref().take(PLACES_TRIED).find(|piece| self.free.contains(*piece));
        place.or_else(|| self.free.next_present(places.next()?)).or_else(|| self.free.next_present(0))
    }

    /// The piece to ask a source for that fewest others have, and how many partial ones do. Among equals the one behind the
    /// source's last piece, else any of them: those who fetch the same at the same time don't know of each other what they
    /// ask for, and should ask for different pieces.
    fn rarest(&self, source: &Source, random: &mut Random) -> Option<(u32, u32)> {
        let counted = |piece| (piece, self.rarity.of(piece));
        // It counts itself, unless it has everything.
        let least = u32::from(source.has.is_some());
        let may_go_on = |piece: &u32| self.is_candidate(source, *piece) && !self.meets_another(*piece, least);
        let own = source.follows.filter(may_go_on).map(counted);
        if own.is_some_and(|(_, count)| count <= least) {
            return own;
        }
        let start = random.below(self.free.pieces());
        let (front, back) = (self.candidates(source, 0..start), self.candidates(source, start..u32::MAX));
        let mut rarest = own;
        let mut equals = 0;
        for (piece, count) in back.chain(front).take(COMPARED_MAX).map(counted) {
            match rarest {
                Some((_, fewest)) if count > fewest => {}
                // Each of the equals stays with the same likelihood.
                Some((_, fewest)) if count == fewest => {
                    equals += 1;
                    if rarest != own && random.below(equals) == 0 {
                        rarest = Some((piece, count));
                    }
                }
                _ => (rarest, equals) = (Some((piece, count)), 1),
            }
        }
        rarest
    }

    /// Whether somebody else who fetches the same is on the way to this piece too: has one of those before it that are
    /// still on their way here, or the last that has come. Two who ask one source for the same pieces would go on together
    /// to the end, and what it sends to one of them would be of no use to anybody else.
    fn meets_another(&self, piece: u32, least: u32) -> bool {
        let near = piece.saturating_sub(LOOK_BACK_MAX)..piece;
        let asked = near.rev().take_while(|before| self.flights.contains(*before)).count() as u32;
        let first = (piece - asked).saturating_sub(1);
        (first..piece).any(|before| self.rarity.of(before) > least)
    }

    /// The free pieces of a range that a source has.
    fn candidates<'all>(
        &'all self,
        source: &'all Source,
        range: Range<u32>,
    ) -> impl Iterator<Item = u32> + 'all {
        let mut from = range.start;
        iter::from_fn(move || {
            let piece = match &source.has {
                Some(has) => self.free.next_shared(has, from),
                None => self.free.next_present(from),
            };
            let piece = piece.filter(|piece| *piece < range.end)?;
            from = piece + 1;
            Some(piece)
        })
    }

    fn is_candidate(&self, source: &Source, piece: u32) -> bool {
        self.free.contains(piece) && source.has(piece)
    }
}
