//! Pieces that sources have been asked for and haven't brought, each with whom and when.

use std::collections::BTreeMap;
use std::time::Instant;

use super::SourceId;

/// What is under way. Bounded by what the sources are asked for ahead of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Flights {
    by_piece: BTreeMap<u32, Flight>,
}

/// One source was asked for one piece.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Asked {
    /// First, so that the oldest is the least.
    pub(super) at: Instant,
    pub(super) of: SourceId,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    first: Asked,
    second: Option<Asked>,
}

impl Flights {
    /// A source is asked for a piece, which at most one other has been asked for.
    pub(super) fn add(&mut self, piece: u32, of: SourceId, at: Instant) {
        let asked = Asked { at, of };
        self.by_piece
            .entry(piece)
            .and_modify(|flight| {
                debug_assert!(flight.second.is_none() && flight.first.of != of);
                flight.second = Some(asked);
            })
            .or_insert(Flight { first: asked, second: None });
    }

    /// Whether nobody has been asked for anything.
    pub(super) fn is_empty(&self) -> bool {
        self.by_piece.is_empty()
    }

    /// Whether somebody has been asked for a piece.
    pub(super) fn contains(&self, piece: u32) -> bool {
        self.by_piece.contains_key(&piece)
    }

    /// A source won't bring a piece, or has brought it.
    pub(super) fn remove(&mut self, piece: u32, of: SourceId) {
        if let Some(flight) = self.by_piece.get_mut(&piece)
            && !flight.give_up(of)
        {
            self.by_piece.remove(&piece);
        }
    }

    /// A source won't bring anything. Returns the pieces that it was asked for.
    pub(super) fn remove_source(&mut self, of: SourceId) -> Vec<u32> {
        let mut pieces = Vec::new();
        self.by_piece.retain(|piece, flight| {
            if flight.is_of(of) {
                pieces.push(*piece);
            }
            flight.give_up(of)
        });
        pieces
    }

    /// Pieces that one source alone has been asked for, in order.
    pub(super) fn of_one(&self) -> impl Iterator<Item = (u32, Asked)> + '_ {
        let alone = self.by_piece.iter().filter(|(_, flight)| flight.second.is_none());
        alone.map(|(piece, flight)| (*piece, flight.first))
    }
}

impl Flight {
    fn is_of(&self, source: SourceId) -> bool {
        self.first.of == source || self.second.is_some_and(|second| second.of == source)
    }

    /// Doesn't count on a source any more. Whether somebody is left.
    fn give_up(&mut self, source: SourceId) -> bool {
        if self.second.is_some_and(|second| second.of == source) {
            self.second = None;
        }
        if self.first.of == source {
            match self.second.take() {
                Some(second) => self.first = second,
                None => return false,
            }
        }
        true
    }
}
