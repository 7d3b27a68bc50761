//! Pieces as they come in: hashed, held against what they should be, and handed on to the writer in batches.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use bittrickle_wire::content::{Piece, PieceHasher};
use bittrickle_wire::limits::PIECE_BYTES;

use super::engine::{Engine, Work};
use super::error::SourceError;
use super::inbox::Inbox;
use super::writer::Batch;
use crate::share::FolderError;
use crate::transfer::SourceId;

/// The next batch of one source. Its bytes are what is opened in the source's inbox.
pub(super) struct Filling {
    engine: Arc<Engine>,
    id: SourceId,
    work: Arc<Work>,
    batches: SyncSender<Batch>,
    first: u32,
    /// Pieces that are all there, and are what they should be.
    count: u32,
    /// Bytes of those.
    good_bytes: usize,
    /// Bytes of those and of the piece behind them that have been looked at.
    bytes: usize,
    /// Bytes that the piece behind them lacks.
    missing: usize,
    /// Where the part of that piece begins that isn't hashed yet.
    hashed: usize,
    hasher: PieceHasher,
}

/// Bytes that are hashed at once: enough for the hash to be fast, and few enough to be in the cache still.
const HASH_BYTES: usize = 64 * 1024;

impl Filling {
    pub(super) fn new(
        engine: &Arc<Engine>,
        id: SourceId,
        work: &Arc<Work>,
        batches: SyncSender<Batch>,
    ) -> Self {
        let (engine, work) = (Arc::clone(engine), Arc::clone(work));
        let hasher = PieceHasher::new(0);
        let (first, count, good_bytes, bytes, missing, hashed) = (0, 0, 0, 0, 0, 0);
        Self { engine, id, work, batches, first, count, good_bytes, bytes, missing, hashed, hasher }
    }

    /// Takes what has been opened, which is of these pieces, and says how many of them are complete now. Each is hashed as
    /// it comes, while its bytes are still in the cache, and held against what it should be before it is handed on.
    ///
    /// # Errors
    /// There is more than was asked for, or a piece is wrong.
    pub(super) fn take(&mut self, inbox: &mut Inbox, pieces: Range<u32>) -> Result<u32, SourceError> {
        let mut next = pieces.start;
        while self.bytes < inbox.opened().len() {
            if next == pieces.end {
                return Err(SourceError::TooMany);
            }
            if self.missing == 0 {
                self.begin_piece(inbox, next);
            }
            let opened = inbox.opened();
            let count = self.missing.min(opened.len() - self.bytes);
            self.bytes += count;
            self.missing -= count;
            self.hash(opened);
            if self.missing == 0 {
                self.end_piece(inbox, next)?;
                next += 1;
            }
        }
        if next == pieces.end && self.missing == 0 {
            self.hand_on(inbox);
        }
        Ok(next - pieces.start)
    }

    /// Hands on the pieces that are all there, and forgets the one that isn't.
    pub(super) fn flush(&mut self, inbox: &mut Inbox) {
        (self.bytes, self.missing) = (self.good_bytes, 0);
        inbox.truncate(self.good_bytes);
        self.hand_on(inbox);
    }

    fn begin_piece(&mut self, inbox: &mut Inbox, piece: u32) {
        let Piece { offset, bytes, .. } = self.work.plan.layout.piece(piece);
        let bytes = bytes as usize + self.work.plan.trailer_bytes();
        if self.count > 0 && self.bytes + bytes > PIECE_BYTES {
            self.hand_on(inbox);
        }
        if self.count == 0 {
            self.first = piece;
        }
        (self.missing, self.hashed) = (bytes, self.bytes);
        self.hasher = PieceHasher::new(offset);
    }

    /// Hashes what has come of a piece, as far as it makes whole blocks, and all of it at its end. What follows the piece
    /// isn't part of it.
    fn hash(&mut self, opened: &[u8]) {
        let trailer = self.work.plan.trailer_bytes();
        let end = self.bytes - trailer.saturating_sub(self.missing);
        let is_all = self.missing <= trailer;
        let whole = (end - self.hashed) / HASH_BYTES * HASH_BYTES;
        let end = if is_all { end } else { self.hashed + whole };
        if end > self.hashed {
            self.hasher.update(&opened[self.hashed..end]);
            self.hashed = end;
        }
    }

    /// A piece is all there: it is kept if it is what it should be.
    fn end_piece(&mut self, inbox: &mut Inbox, piece: u32) -> Result<(), SourceError> {
        let value = &inbox.opened()[self.bytes - self.work.plan.trailer_bytes()..self.bytes];
        if self.work.plan.is_good(piece, &self.hasher, value) {
            self.count += 1;
            self.good_bytes = self.bytes;
            if self.bytes >= PIECE_BYTES {
                // What follows has more room in a buffer of its own.
                self.hand_on(inbox);
            }
            return Ok(());
        }
        self.flush(inbox);
        self.engine.schedule(self.id, |schedule| schedule.rejected(self.id, piece));
        Err(SourceError::WrongBytes(piece))
    }

    fn hand_on(&mut self, inbox: &mut Inbox) {
        let (first, count, good_bytes) = (self.first, self.count, self.good_bytes);
        if count == 0 {
            return;
        }
        let bytes = inbox.take(good_bytes, self.engine.buffer());
        (self.count, self.good_bytes, self.bytes) = (0, 0, 0);
        let id = self.id;
        let wanted = self.engine.schedule(id, |schedule| {
            (first..first + count).filter(|piece| schedule.received(id, *piece)).collect::<Vec<_>>()
        });
        match wanted.filter(|wanted| !wanted.is_empty()) {
            Some(wanted) => {
                let sent = self.batches.send(Batch { first, count, wanted, bytes });
                if sent.is_err() {
                    // It is there as long as any source is, unless it has panicked.
                    let error = io::Error::other("the thread that writes has ended");
                    self.engine.fail(FolderError::Io(error));
                }
            }
            None => self.engine.give_back(bytes),
        }
    }
}
