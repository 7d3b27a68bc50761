//! The answer to `Fetch`, as it must be: `Content`, `Data` until all bytes are there, `Done` (BT-3.3).

use bittrickle_wire::messages::{Content, Done, Refused, Reply};
use bittrickle_wire::{Fault, Frame, Kind, Message, Received};
use bytes::Bytes;

/// Watches one answer. Whatever else a source sends is an error, and the file is not kept.
///
/// ```text
/// Asked ── Content ──▶ Begun ── Data … ──▶ (all bytes) ── Done ──▶ over
/// ```
#[derive(Debug)]
pub struct Incoming {
    request_id: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Asked,
    Begun { missing: u64 },
    Over,
}

/// What a frame of the answer means.
#[derive(Debug, Eq, PartialEq)]
pub enum Step {
    /// So many bytes are coming.
    Begin {
        /// The size of the file.
        file_bytes: u64,
    },
    /// The next bytes of the file.
    Bytes(Bytes),
    /// That was all of it.
    Complete,
}

/// What is wrong with an answer. The source's fault, except for a refusal.
#[derive(Debug, thiserror::Error)]
pub enum IncomingError {
    /// The source says no.
    #[error("it refuses: {}", .0.sentence.as_str())]
    Refused(Refused),
    /// A frame that answers another question.
    #[error("it answers another request")]
    WrongRequest,
    /// A frame that has no place here.
    #[error("it sends {0:?} where that has no place")]
    Unexpected(Kind),
    /// A frame that isn't acceptable.
    #[error("it sends a bad frame: {0}")]
    Bad(#[from] Fault),
    /// `Data` without a byte.
    #[error("it sends an empty piece of the file")]
    EmptyData,
    /// More bytes than announced.
    #[error("it sends {0} bytes more than it announced")]
    TooMany(u64),
    /// `Done` before all bytes were there.
    #[error("it stops {0} bytes before the end of the file")]
    TooFew(u64),
}

impl Incoming {
    /// For the answer to the `Fetch` with this id.
    #[must_use]
    pub fn new(request_id: u32) -> Self {
        Self { request_id, state: State::Asked }
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// It isn't what has to come next.
    pub fn receive(&mut self, received: Received) -> Result<Step, IncomingError> {
        let frame = match received {
            Received::Frame(frame) => frame,
            Received::Bad(bad) => return Err(bad.fault.into()),
        };
        let Frame { request_id, message, .. } = frame;
        if request_id != self.request_id {
            return Err(IncomingError::WrongRequest);
        }
        match (&mut self.state, message) {
            (State::Asked, Message::Reply(Reply::Refused(refused))) => Err(IncomingError::Refused(refused)),
            (State::Asked, Message::Content(Content { file_bytes })) => {
                self.state = State::Begun { missing: file_bytes.bytes() };
                Ok(Step::Begin { file_bytes: file_bytes.bytes() })
            }
            (State::Begun { missing }, Message::Data(bytes)) => take(missing, bytes),
            (State::Begun { missing: 0 }, Message::Done(Done {})) => {
                self.state = State::Over;
                Ok(Step::Complete)
            }
            (State::Begun { missing }, Message::Done(Done {})) => Err(IncomingError::TooFew(*missing)),
            (_, message) => Err(IncomingError::Unexpected(message.kind())),
        }
    }
}

fn take(missing: &mut u64, bytes: Bytes) -> Result<Step, IncomingError> {
    let count = bytes.len() as u64;
    if count == 0 {
        return Err(IncomingError::EmptyData);
    }
    *missing = missing.checked_sub(count).ok_or_else(|| IncomingError::TooMany(count - *missing))?;
    Ok(Step::Bytes(bytes))
}
