//! The answers to a peer that has been let in, on a thread that may wait for the disk and the network (BT-3.3).

mod pieces;

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::limits::{FETCH_VALUES_MAX, HAVE_BITMAP_BYTES_MAX, MANIFEST_BYTES_MAX, PIECE_BYTES};
use bittrickle_wire::messages::{
    AskHave, Bitmap, Fetch, Have, Part, RefusalCode, Refused, Renew, Renewed, Reply,
};
use bittrickle_wire::seal::{Record, SealedCodec};
use bittrickle_wire::{Encoding, Frame, FramingError, Message, Received, Target, Verdict};

use super::Upload;
use super::content::{Content, NotNow};
use super::records::{Records, SendError};
use super::slots::{SLOT_WAIT, Slot, Taker};
use crate::net::gate::Admitted;
use crate::share::Holding;

/// One connection.
pub(super) struct Answers {
    pub(super) upload: Upload,
    pub(super) admitted: Admitted,
    pub(super) stream: TcpStream,
    pub(super) codec: SealedCodec,
    input: Vec<u8>,
    records: Records,
    content: Content,
    /// Room for a piece, made when it is needed first.
    piece: Vec<u8>,
}

/// Why a connection ends early. Nobody is told but the other side, by the end.
#[derive(Debug, thiserror::Error)]
enum AnswerError {
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("the other side has nothing more to ask")]
    Over,
}

/// Bytes of requests that are read at once: some three hundred of them.
const INPUT_BYTES: usize = 16 * 1024;

type Answered = Result<(), AnswerError>;

impl Answers {
    pub(super) fn new(upload: Upload, admitted: Admitted, stream: TcpStream, codec: SealedCodec) -> Self {
        let records = Records::new(upload.limit.clone(), upload.deadlines.window);
        let input = Vec::with_capacity(INPUT_BYTES);
        let (content, piece) = Default::default();
        Self { upload, admitted, stream, codec, input, records, content, piece }
    }

    /// Answers until the other side goes, keeps us waiting, or sends what is no frame.
    pub(super) fn run(mut self) {
        // The frames so far say what is missing; the end of the stream says the rest.
        let _ = self.answer_all();
        // What was asked before things went wrong has its answer all the same, unless it was sending that went wrong.
        let _ = self.records.send(&mut self.codec, &mut self.stream);
    }

    fn answer_all(&mut self) -> Answered {
        self.stream.set_write_timeout(Some(self.upload.deadlines.window))?;
        let mut deadline = Instant::now() + self.upload.deadlines.first;
        loop {
            let Some(received) = self.next_waiting()? else {
                // Small answers go together, as long as there is another request to answer.
                self.records.send(&mut self.codec, &mut self.stream)?;
                self.read_more(deadline)?;
                continue;
            };
            if self.answer(received)? {
                deadline = Instant::now() + self.upload.deadlines.idle;
            }
        }
    }

    /// The next request that is here already.
    fn next_waiting(&mut self) -> Result<Option<Received>, AnswerError> {
        let Some((bytes, record)) = self.codec.open_record(&mut self.input)? else { return Ok(None) };
        let received = match record {
            Record::Other(received) => received,
            Record::Data { .. } => return Err(AnswerError::Over),
        };
        self.input.drain(..bytes);
        Ok(Some(received))
    }

    fn read_more(&mut self, deadline: Instant) -> Answered {
        let wait = deadline.saturating_duration_since(Instant::now());
        if wait < Duration::from_millis(1) {
            return Err(AnswerError::Over);
        }
        self.stream.set_read_timeout(Some(wait))?;
        let filled = self.input.len();
        self.input.resize(INPUT_BYTES.max(filled + 1), 0);
        let read = self.stream.read(&mut self.input[filled..]);
        self.input.truncate(filled + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(AnswerError::Over),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Says whether it was a request that belongs here: who asks for something else gets no more time for it.
    fn answer(&mut self, received: Received) -> Result<bool, AnswerError> {
        match received {
            Received::Frame(Frame { request_id, encoding, message }) => match message {
                Message::Fetch(fetch) => self.fetch(request_id, encoding, &fetch)?,
                Message::Describe(_) => self.describe(request_id, encoding)?,
                Message::AskHave(ask) => self.tell_what_we_have(request_id, encoding, &ask)?,
                Message::Renew(renew) => self.renew(request_id, encoding, &renew)?,
                message if message.kind().is_reply() => return Ok(false),
                _ => {
                    let sentence = "a peer is asked what it has, and for that";
                    self.refuse(request_id, encoding, RefusalCode::UNEXPECTED_KIND, sentence)?;
                    return Ok(false);
                }
            },
            Received::Bad(bad) => {
                match bad.verdict() {
                    Verdict::Answer(frame) => self.push(frame)?,
                    Verdict::AnswerAndClose(frame) => {
                        self.push(frame)?;
                        self.records.send(&mut self.codec, &mut self.stream)?;
                        return Err(FramingError::VersionLost.into());
                    }
                    Verdict::Drop => {}
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn describe(&mut self, request_id: u32, encoding: Encoding) -> Answered {
        match self.permitted() {
            Ok(holding) => {
                let message = Message::Described(holding.described());
                self.push(Frame { request_id, encoding, message })
            }
            Err((code, sentence)) => self.refuse(request_id, encoding, code, &sentence),
        }
    }

    fn tell_what_we_have(&mut self, request_id: u32, encoding: Encoding, ask: &AskHave) -> Answered {
        match self.permitted() {
            Ok(_) if !ask.first.is_multiple_of(Bitmap::PIECES_MAX) => {
                let sentence = "the first piece is not a multiple of what one bitmap tells of";
                self.refuse(request_id, encoding, RefusalCode::MALFORMED, sentence)
            }
            Ok(holding) => {
                let bytes = holding.bitmap(ask.first, HAVE_BITMAP_BYTES_MAX);
                let bitmap = Bitmap::new(bytes).expect("it was asked for no more");
                let message = Message::Have(Have { first: ask.first, bitmap });
                self.push(Frame { request_id, encoding, message })
            }
            Err((code, sentence)) => self.refuse(request_id, encoding, code, &sentence),
        }
    }

    fn renew(&mut self, request_id: u32, encoding: Encoding, renew: &Renew) -> Answered {
        let gate = self.upload.gate.as_ref();
        match gate.map(|gate| gate.renew(&self.admitted, &renew.ticket)) {
            Some(Ok(until)) => {
                self.admitted.until = until;
                self.push(Frame { request_id, encoding, message: Message::Renewed(Renewed {}) })
            }
            Some(Err(_)) | None => {
                self.refuse(request_id, encoding, RefusalCode::NO_TICKET, "the ticket is not good")
            }
        }
    }

    /// What the ticket is for, as long as it lasts and that is shared: what was permitted once is not permitted for ever.
    fn permitted(&mut self) -> Result<Arc<Holding>, NotNow> {
        // What is cheap to tell is looked at first.
        let is_over = Instant::now() > self.admitted.until
            && !self.upload.gate.as_ref().is_some_and(|gate| gate.is_good_still(&self.admitted));
        if is_over {
            return Err((RefusalCode::NO_TICKET, "the time of this connection's ticket is over".into()));
        }
        self.content.find(&self.upload.shares, &self.admitted.target)
    }

    /// A slot, for which those who want one wait in line (BT-3.7-5).
    fn slot(&mut self) -> Result<Option<Slot>, AnswerError> {
        let taker = Taker::Device(self.admitted.device);
        if let Some(slot) = self.upload.slots.take(taker) {
            return Ok(Some(slot));
        }
        // What was asked before has its answer meanwhile.
        self.records.send(&mut self.codec, &mut self.stream)?;
        Ok(self.upload.slots.wait(taker, SLOT_WAIT))
    }

    fn fetch(&mut self, request_id: u32, encoding: Encoding, fetch: &Fetch) -> Answered {
        if let Err((code, sentence)) = self.permitted() {
            return self.refuse(request_id, encoding, code, &sentence);
        }
        let Some(_slot) = self.slot()? else {
            let sentence = "all upload slots are taken; try again later";
            return self.refuse(request_id, encoding, RefusalCode::BUSY, sentence);
        };
        // It may be another one, or none any more, since we waited.
        let holding = match self.permitted() {
            Ok(holding) => holding,
            Err((code, sentence)) => return self.refuse(request_id, encoding, code, &sentence),
        };
        let range = u64::from(fetch.first)..u64::from(fetch.first) + u64::from(fetch.count);
        self.records.begin(&mut self.codec, request_id);
        let sent = match fetch.part {
            Part::MANIFEST => self.send_manifest(&holding, &range),
            Part::OUTLINE => self.send_outline(&holding, &range),
            Part::PIECES => self.send_pieces(&holding, fetch),
            _ => Ok(Err((RefusalCode::MALFORMED, "there is no such part of a content".to_owned()))),
        };
        match sent? {
            Ok(()) => Ok(()),
            Err((code, sentence)) => {
                self.records.discard();
                self.refuse(request_id, encoding, code, &sentence)
            }
        }
    }

    fn send_manifest(&mut self, holding: &Holding, blocks: &Range<u64>) -> Result<Sent, AnswerError> {
        let Some(manifest) = &holding.manifest else {
            return Ok(refused(RefusalCode::MALFORMED, "it is no folder"));
        };
        let bytes = manifest.as_bytes();
        let all = bytes.len().div_ceil(PIECE_BYTES) as u64;
        if blocks.is_empty() || blocks.end > all || bytes.len() > MANIFEST_BYTES_MAX {
            return Ok(past_the_end());
        }
        let (start, end) = (blocks.start as usize * PIECE_BYTES, blocks.end as usize * PIECE_BYTES);
        self.copy(&bytes[start..end.min(bytes.len())])?;
        Ok(Ok(()))
    }

    fn send_outline(&mut self, holding: &Holding, values: &Range<u64>) -> Result<Sent, AnswerError> {
        if self.is_provisional() {
            return Ok(refused(RefusalCode::NOT_HERE, "by a name, values come with the pieces"));
        }
        let many = values.end - values.start > u64::from(FETCH_VALUES_MAX);
        if values.is_empty() || many || values.end > holding.outline.len() as u64 {
            return Ok(past_the_end());
        }
        for value in &holding.outline[values.start as usize..values.end as usize] {
            self.copy(value)?;
        }
        Ok(Ok(()))
    }

    /// Whether the content is fetched by its name, so without a root to hold it against.
    fn is_provisional(&self) -> bool {
        matches!(self.admitted.target, Target::Name(_))
    }

    fn copy(&mut self, bytes: &[u8]) -> Answered {
        Ok(self.records.copy(&mut self.codec, &mut self.stream, bytes)?)
    }

    fn refuse(&mut self, request_id: u32, encoding: Encoding, code: RefusalCode, sentence: &str) -> Answered {
        let message = Message::Reply(Reply::Refused(Refused::new(code, sentence)));
        self.push(Frame { request_id, encoding, message })
    }

    fn push(&mut self, frame: Frame) -> Answered {
        Ok(self.records.push(&mut self.codec, &mut self.stream, frame)?)
    }
}

/// Whether a range was sent, or why not.
type Sent = Result<(), (RefusalCode, String)>;

fn refused(code: RefusalCode, sentence: &str) -> Sent {
    Err((code, sentence.to_owned()))
}

fn past_the_end() -> Sent {
    refused(RefusalCode::MALFORMED, "the range is empty, too long, or reaches past the end")
}
