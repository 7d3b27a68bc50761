//! One source: its thread asks for pieces, takes what comes, and hands it on to be hashed and written.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::limits::{FETCH_PIECES_MAX, PIECE_BYTES};
use bittrickle_wire::messages::{
    Access, AskHave, Bitmap, Described, Fetch, Have, Part as ContentPart, RefusalCode, Refused, Renew, Reply,
};
use bittrickle_wire::{Frame, Kind, Message, Received};

use super::Who;
use super::connection::Connection;
use super::engine::{Engine, Turn, Work};
use super::error::{FetchError, SourceError};
use super::filling::Filling;
use super::inbox::Next;
use super::plan::{self, PlanError};
use super::prepare::prepare;
use crate::transfer::{PieceSet, SourceId, Window};

/// A source that is fetched from.
pub(super) struct Source {
    engine: Arc<Engine>,
    id: SourceId,
    connection: Connection,
    work: Arc<Work>,
    filling: Filling,
    /// What was asked for and hasn't come, in the order in which it was asked for.
    asked: VecDeque<(u32, Asked)>,
    /// Bytes of pieces among that, and how many pieces.
    asked_bytes: u64,
    asked_pieces: u32,
    window: Window,
    /// What a source has that isn't complete.
    partial: Option<Partial>,
    busy_until: Option<Instant>,
    has_brought: bool,
}

enum Asked {
    Pieces(Range<u32>),
    Have { first: u32 },
    Renewed,
}

struct Partial {
    has: PieceSet,
    asked_at: Instant,
}

/// Bytes that one request asks for, if there is more than one piece in them.
const REQUEST_BYTES: u64 = 4 << 20;

/// Pieces that one source is asked for ahead, however small they are.
const ASKED_PIECES_MAX: u32 = 4_096;

/// How often a source is asked what it has by now.
const HAVE_EVERY: Duration = Duration::from_millis(250);

/// How long a source is left alone that says it is busy.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// How long a thread sleeps that has nothing to do.
const IDLE_WAIT: Duration = Duration::from_millis(50);

/// Connects, and fetches from one source until there is nothing more to fetch from it.
pub(super) fn run(engine: &Arc<Engine>, id: SourceId, who: &Who, access: &Access) -> Result<(), SourceError> {
    let job = &engine.job;
    let stream = TcpStream::connect_timeout(&who.address, job.deadlines.connect).map_err(|error| {
        let is_late = error.kind() == std::io::ErrorKind::TimedOut;
        if is_late { SourceError::NoAnswer(job.deadlines.connect) } else { SourceError::Connect(error) }
    })?;
    let socket = stream.try_clone().map_err(SourceError::Broken)?;
    // Who may still be connecting keeps nobody from the end.
    let Some(batches) = engine.connected(id, socket) else { return Ok(()) };
    let mut connection = Connection::enter(stream, &job.device, access, &job.target, &job.deadlines)?;
    let described = plan::describe(&mut connection, &job.target, &job.content)?;
    engine.answered(id);
    let Some(work) = work(engine, id, &mut connection, &described)? else { return Ok(()) };
    let pieces = work.plan.layout.pieces();
    let partial = (!described.is_complete).then(|| PieceSet::new(pieces));
    engine.schedule(id, |schedule| schedule.add_source(id, partial.clone()));
    let partial = partial.map(|has| Partial { has, asked_at: Instant::now() - HAVE_EVERY });
    let mut source = Source {
        engine: Arc::clone(engine),
        id,
        connection,
        filling: Filling::new(engine, id, &work, batches),
        work,
        asked: VecDeque::new(),
        asked_bytes: 0,
        asked_pieces: 0,
        window: Window::new(),
        partial,
        busy_until: None,
        has_brought: false,
    };
    source.fetch()
}

/// The plan, made here unless another source has made it.
fn work(
    engine: &Arc<Engine>,
    id: SourceId,
    connection: &mut Connection,
    described: &Described,
) -> Result<Option<Arc<Work>>, SourceError> {
    loop {
        match engine.turn() {
            Turn::Over => return Ok(None),
            Turn::Work(work) => {
                engine.set_busy(id, false);
                return Ok(Some(work));
            }
            Turn::Plan => {}
        }
        // What is larger than the disk isn't worth its outline.
        if let Err(error) = engine.job.folder.check_size(described.file_bytes.bytes()) {
            engine.fail(error);
            return Ok(None);
        }
        match plan::fetch(connection, &engine.job.target, described, &|| engine.planning_goes_on()) {
            Ok(plan) => {
                engine.set_busy(id, false);
                if engine.may_prepare() {
                    prepare(engine, plan);
                }
                return Ok(engine.wait_for_work());
            }
            Err(PlanError::Source(error)) if error.is_busy() => {
                engine.set_busy(id, true);
                engine.not_planned();
                if !wait_for_turn(engine, id, connection)? {
                    return Ok(None);
                }
            }
            Err(PlanError::Source(error)) => {
                engine.not_planned();
                return Err(error);
            }
            Err(PlanError::Manifest(error)) => {
                engine.fail(FetchError::Manifest(error));
                return Ok(None);
            }
        }
    }
}

/// Leaves a source alone that is busy, and keeps the connection's ticket good. Says whether the download goes on with it.
fn wait_for_turn(engine: &Engine, id: SourceId, connection: &mut Connection) -> Result<bool, SourceError> {
    let until = Instant::now() + BUSY_PAUSE;
    while Instant::now() < until {
        if !engine.wait_for_change(id, until.saturating_duration_since(Instant::now())) {
            return Ok(false);
        }
    }
    if let Some(ticket) = engine.take_ticket(id) {
        connection.send([Message::Renew(Renew { ticket })])?;
        match connection.receive_frame()? {
            Message::Renewed(_) => {}
            message => return Err(SourceError::Unexpected(message.kind())),
        }
    }
    connection.begin_rate();
    Ok(true)
}

impl Source {
    fn fetch(&mut self) -> Result<(), SourceError> {
        loop {
            self.ask()?;
            if !self.asked.is_empty() {
                self.receive()?;
            } else if self.engine.wait_for_change(self.id, IDLE_WAIT) {
                self.connection.begin_rate();
            } else {
                return Ok(());
            }
        }
    }

    /// Keeps as much asked for as the source sends in half a second.
    fn ask(&mut self) -> Result<(), SourceError> {
        let mut messages = Vec::new();
        if let Some(ticket) = self.engine.take_ticket(self.id) {
            self.add(&mut messages, Message::Renew(Renew { ticket }), Asked::Renewed);
        }
        self.ask_what_it_has(&mut messages);
        let now = Instant::now();
        if self.busy_until.take_if(|until| *until <= now).is_some() {
            self.engine.set_busy(self.id, false);
        }
        if self.busy_until.is_none() {
            while let Some(pieces) = self.next_pieces(now) {
                let (first, count) = (pieces.start, pieces.end - pieces.start);
                self.asked_bytes += self.work.plan.layout.range_bytes(pieces.clone());
                self.asked_pieces += count;
                let fetch = Message::Fetch(Fetch { part: ContentPart::PIECES, first, count });
                self.add(&mut messages, fetch, Asked::Pieces(pieces));
            }
        }
        if messages.is_empty() { Ok(()) } else { self.connection.send(messages) }
    }

    /// Adds a request to those that are about to be sent.
    fn add(&mut self, messages: &mut Vec<Message>, message: Message, asked: Asked) {
        let request_id = self.connection.next_request_id().wrapping_add(messages.len() as u32);
        self.asked.push_back((request_id, asked));
        messages.push(message);
    }

    fn next_pieces(&mut self, now: Instant) -> Option<Range<u32>> {
        let room = self.window.bytes().checked_sub(self.asked_bytes).filter(|room| *room > 0)?;
        let pieces_max = ASKED_PIECES_MAX.checked_sub(self.asked_pieces).filter(|pieces| *pieces > 0)?;
        let layout = &self.work.plan.layout;
        let id = self.id;
        // From a source that isn't alone, a piece at a time: others may have the next one.
        let bytes_max = if self.partial.is_some() { PIECE_BYTES as u64 } else { room.min(REQUEST_BYTES) };
        self.engine.schedule(id, |schedule| {
            schedule.next(now, id, bytes_max, pieces_max.min(FETCH_PIECES_MAX), &|range| {
                layout.range_bytes(range)
            })
        })?
    }

    fn ask_what_it_has(&mut self, messages: &mut Vec<Message>) {
        let is_asked = self.asked.iter().any(|(_, asked)| matches!(asked, Asked::Have { .. }));
        match &mut self.partial {
            Some(partial) if !is_asked && partial.asked_at.elapsed() >= HAVE_EVERY => {
                partial.asked_at = Instant::now();
            }
            Some(_) | None => return,
        }
        for first in (0..self.work.plan.layout.pieces()).step_by(Bitmap::PIECES_MAX as usize) {
            self.add(messages, Message::AskHave(AskHave { first }), Asked::Have { first });
        }
    }

    /// Takes the next record. Answers come in the order of the requests, each with its request's id (BT-3.3-3).
    fn receive(&mut self) -> Result<(), SourceError> {
        match self.connection.receive()? {
            Next::Data { request_id } => match self.asked.front() {
                Some((asked, Asked::Pieces(pieces))) if *asked == request_id => {
                    let pieces = pieces.clone();
                    let count = self.filling.take(&mut self.connection.inbox, pieces.clone())?;
                    self.pieces_came(pieces, count);
                    Ok(())
                }
                Some(_) | None => Err(SourceError::Unexpected(Kind::Data)),
            },
            Next::Other(Received::Bad(bad)) => Err(bad.fault.into()),
            Next::Other(Received::Frame(frame)) => self.receive_frame(frame),
        }
    }

    /// So many pieces of the front request are there.
    fn pieces_came(&mut self, pieces: Range<u32>, count: u32) {
        let came = pieces.start..pieces.start + count;
        let bytes = self.work.plan.layout.range_bytes(came.clone());
        self.asked_bytes -= bytes;
        self.asked_pieces -= count;
        if count > 0 && !std::mem::replace(&mut self.has_brought, true) {
            self.engine.proved(self.id);
        }
        if bytes > 0 {
            self.window.add(Instant::now(), bytes);
        }
        if came.end == pieces.end {
            self.asked.pop_front();
        } else if let Some((_, Asked::Pieces(pieces))) = self.asked.front_mut() {
            pieces.start = came.end;
        }
    }

    fn receive_frame(&mut self, frame: Frame) -> Result<(), SourceError> {
        let kind = frame.message.kind();
        let asked = self.asked.pop_front().filter(|(request_id, _)| *request_id == frame.request_id);
        match (asked.map(|(_, asked)| asked), frame.message) {
            (Some(Asked::Pieces(pieces)), Message::Reply(Reply::Refused(refused))) => {
                self.pieces_refused(pieces, refused)
            }
            (Some(Asked::Renewed), Message::Renewed(_)) => Ok(()),
            (Some(_), Message::Reply(Reply::Refused(refused))) => Err(SourceError::Refused(refused)),
            (Some(Asked::Have { first }), Message::Have(have)) if have.first == first => self.has_now(&have),
            _ => Err(SourceError::Unexpected(kind)),
        }
    }

    fn pieces_refused(&mut self, pieces: Range<u32>, refused: Refused) -> Result<(), SourceError> {
        self.asked_bytes -= self.work.plan.layout.range_bytes(pieces.clone());
        self.asked_pieces -= pieces.end - pieces.start;
        self.filling.flush(&mut self.connection.inbox);
        match refused.code {
            RefusalCode::NOT_HERE => {
                let id = self.id;
                self.engine.schedule(id, |schedule| schedule.refused(id, pieces));
                Ok(())
            }
            RefusalCode::BUSY => {
                let id = self.id;
                self.engine.schedule(id, |schedule| schedule.put_back(id, pieces));
                self.engine.set_busy(id, true);
                self.busy_until = Some(Instant::now() + BUSY_PAUSE);
                Ok(())
            }
            _ => Err(SourceError::Refused(refused)),
        }
    }

    fn has_now(&mut self, have: &Have) -> Result<(), SourceError> {
        let Some(partial) = &mut self.partial else { return Ok(()) };
        let set = partial.has.set_page(have.first, have.bitmap.as_bytes());
        set.map_err(|_| SourceError::TooManyPieces)?;
        let is_last = self.work.plan.layout.pieces() - have.first <= Bitmap::PIECES_MAX;
        if is_last {
            let (id, has) = (self.id, partial.has.clone());
            self.engine.schedule(id, |schedule| schedule.set_has(id, has));
        }
        Ok(())
    }
}
