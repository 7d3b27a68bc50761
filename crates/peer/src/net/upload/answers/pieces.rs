//! Pieces on their way out: read to where they are sealed, as long as they are shared and what was hashed (BT-3.7).

use std::ops::Range;

use bittrickle_wire::content::{Piece, PieceHasher};
use bittrickle_wire::limits::{FETCH_BYTES_MAX, FETCH_PIECES_MAX, PIECE_BYTES};
use bittrickle_wire::messages::{Fetch, RefusalCode};

use super::super::content::NotNow;
use super::super::records::SendError;
use super::{AnswerError, Answers, Sent, past_the_end, refused};
use crate::share::{Holding, ReadError};

/// Why the rest of an answer isn't sent.
#[derive(Debug, thiserror::Error)]
enum PiecesError {
    #[error("{}", .0.1)]
    NotNow(NotNow),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl From<SendError> for PiecesError {
    fn from(error: SendError) -> Self {
        Self::Answer(error.into())
    }
}

const NOT_HERE: (RefusalCode, &str) = (RefusalCode::NOT_HERE, "some of these pieces are not here");

impl Answers {
    pub(super) fn send_pieces(&mut self, holding: &Holding, fetch: &Fetch) -> Result<Sent, AnswerError> {
        let Some(end) = fetch.first.checked_add(fetch.count).filter(|end| *end <= holding.layout.pieces())
        else {
            return Ok(past_the_end());
        };
        let pieces = fetch.first..end;
        if pieces.is_empty()
            || fetch.count > FETCH_PIECES_MAX
            || holding.layout.range_bytes(pieces.clone()) > FETCH_BYTES_MAX
        {
            return Ok(past_the_end());
        }
        if !holding.has(pieces.clone()) {
            return Ok(refused(NOT_HERE.0, NOT_HERE.1));
        }
        match self.read_pieces(pieces) {
            Ok(()) => Ok(Ok(())),
            Err(PiecesError::Answer(error)) => Err(error),
            Err(PiecesError::NotNow((code, sentence))) => Ok(refused(code, &sentence)),
            Err(PiecesError::Read(ReadError::Changed)) => {
                let told = self.content.tell_changed(&self.upload.shares);
                let (code, sentence) = told.expect("it has just been read from");
                Ok(refused(code, &sentence))
            }
            Err(PiecesError::Read(error @ ReadError::TakenBack)) => {
                Ok(refused(RefusalCode::NOT_SHARED, &error.to_string()))
            }
            Err(PiecesError::Read(ReadError::Io(error))) => {
                Ok(refused(RefusalCode::UNREADABLE, &format!("the content can't be read: {error}")))
            }
        }
    }

    /// Reads pieces to where they are sealed. Without a root each is followed by its value, also when the content has been
    /// hashed meanwhile (BT-3.4-4).
    fn read_pieces(&mut self, pieces: Range<u32>) -> Result<(), PiecesError> {
        let is_provisional = self.is_provisional();
        for piece in pieces {
            // It may take hours to send them all.
            let found = self.content.find(&self.upload.shares, &self.admitted.target);
            let holding = found.map_err(PiecesError::NotNow)?;
            if !holding.has(piece..piece + 1) {
                return Err(PiecesError::NotNow((NOT_HERE.0, NOT_HERE.1.into())));
            }
            let known = if is_provisional { holding.value(piece) } else { None };
            if holding.is_to_be_verified() || is_provisional && known.is_none() {
                self.read_and_hash(&holding, piece)?;
                continue;
            }
            self.read_piece(&holding, piece)?;
            if let Some(value) = known {
                self.copy(&value)?;
            }
        }
        Ok(())
    }

    fn read_piece(&mut self, holding: &Holding, piece: u32) -> Result<(), PiecesError> {
        let Piece { file, offset, bytes } = holding.layout.piece(piece);
        let mut done = 0;
        while done < bytes as usize {
            let room = self.records.room(&mut self.codec, &mut self.stream)?;
            let count = room.len().min(bytes as usize - done);
            self.content.read(file, offset + done as u64, &mut room[..count])?;
            self.records.add(count);
            done += count;
        }
        Ok(())
    }

    /// The same for a piece whose value isn't known, or whose bytes have to be what they were hashed to.
    fn read_and_hash(&mut self, holding: &Holding, piece: u32) -> Result<(), PiecesError> {
        let Piece { file, offset, bytes } = holding.layout.piece(piece);
        let mut buffer = std::mem::take(&mut self.piece);
        buffer.resize(PIECE_BYTES, 0);
        let room = &mut buffer[..bytes as usize];
        self.content.read(file, offset, room)?;
        let mut hasher = PieceHasher::new(offset);
        hasher.update(room);
        let is_only = holding.layout.file_pieces(file).len() == 1;
        let value = if is_only { *hasher.root().as_bytes() } else { hasher.chaining_value() };
        if holding.value(piece).is_some_and(|known| known != value) {
            return Err(ReadError::Changed.into());
        }
        self.copy(room)?;
        if self.is_provisional() {
            self.copy(&value)?;
        }
        self.piece = buffer;
        Ok(())
    }
}
