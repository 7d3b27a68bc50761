//! What is known of one source.

use crate::transfer::PieceSet;

/// A source that can be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    /// What it has; `None` when it has everything.
    pub(super) has: Option<PieceSet>,
    /// The piece behind the last one it was asked for, once it has been asked.
    pub(super) follows: Option<u32>,
}

impl Source {
    pub(super) fn has(&self, piece: u32) -> bool {
        self.has.as_ref().is_none_or(|has| has.contains(piece))
    }
}
