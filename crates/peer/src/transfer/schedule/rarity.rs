//! How many sources have each piece. Those that have everything make no difference, and aren't counted.

use crate::transfer::PieceSet;

/// Counts the sources that have some pieces only.
#[derive(Clone, Debug)]
pub(super) struct Rarity {
    pieces: u32,
    partial_sources: u32,
    /// One number a piece; none while no source is partial, which spares large contents the memory.
    counts: Vec<u32>,
}

impl Rarity {
    pub(super) fn new(pieces: u32) -> Self {
        Self { pieces, partial_sources: 0, counts: Vec::new() }
    }

    /// Whether there is a source that doesn't have everything.
    pub(super) fn matters(&self) -> bool {
        self.partial_sources > 0
    }

    /// How many partial sources have the piece.
    pub(super) fn of(&self, piece: u32) -> u32 {
        self.counts.get(piece as usize).copied().unwrap_or(0)
    }

    /// A source is partial.
    pub(super) fn add(&mut self, has: &PieceSet) {
        self.partial_sources += 1;
        self.counts.resize(self.pieces as usize, 0);
        for piece in has.ranges().flatten() {
            self.counts[piece as usize] += 1;
        }
    }

    /// A partial source is gone, or has everything now.
    pub(super) fn remove(&mut self, had: &PieceSet) {
        self.partial_sources -= 1;
        if self.partial_sources == 0 {
            self.counts = Vec::new();
            return;
        }
        for piece in had.ranges().flatten() {
            self.forget(piece);
        }
    }

    /// A partial source has other pieces than before.
    pub(super) fn change(&mut self, before: &PieceSet, after: &PieceSet) {
        for piece in before.differences(after) {
            if after.contains(piece) {
                self.counts[piece as usize] += 1;
            } else {
                self.forget(piece);
            }
        }
    }

    /// A partial source doesn't have a piece any more.
    pub(super) fn forget(&mut self, piece: u32) {
        self.counts[piece as usize] -= 1;
    }
}
