//! The sources of one download: which are fetched from, which were tried, and which are not asked again.

use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::SyncSender;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bittrickle_wire::seal::{PublicKey, Ticket};

use super::engine::{Engine, State};
use super::error::SourceError;
use super::writer::Batch;
use super::{Event, Who};
use crate::transfer::{Allowed, Attempts, SourceId};

/// A source that is fetched from, or connected to.
#[derive(Debug)]
pub(super) struct Active {
    who: Who,
    /// Shut down to end the thread that waits for it.
    pub(super) socket: Option<TcpStream>,
    /// A new ticket to be shown, and when the last one was given.
    ticket: Option<Ticket>,
    renewed_at: Instant,
    /// It has said what it has.
    pub(super) has_answered: bool,
    /// It has brought a piece.
    has_brought: bool,
    /// It has told us to come back.
    pub(super) is_busy: bool,
    is_busy_told: bool,
}

/// What became of a source that was offered.
pub(super) enum Added {
    /// It is to be fetched from.
    New(SourceId),
    /// It is fetched from already, or will be: there are enough for now, or it has just failed.
    Known,
    /// It has lied, has brought nothing, or was tried too often.
    Useless,
}

/// Tickets last for two minutes (BT-6.7-2); a connection shows a new one well before.
const RENEW_AFTER: Duration = Duration::from_secs(45);

/// Sources at a time.
const SOURCES_MAX: usize = 8;

/// Sources of one member among them that haven't brought anything yet: nobody keeps the others' places with devices that
/// are silent (BT-3.5-10).
const UNPROVED_OF_MEMBER_MAX: usize = 2;

/// Sources that a member keeps when all places are taken, and another member has none (BT-3.5-10).
const KEPT_OF_MEMBER: usize = 2;

impl Engine {
    /// Takes a source on. One that is known may get a new ticket.
    pub(super) fn add_source(&self, who: &Who, key: PublicKey, ticket: Ticket) -> Added {
        let (mut state, now) = (self.state(), Instant::now());
        if let Some(active) = state.sources.values_mut().find(|active| active.who.device == Some(key)) {
            if now.duration_since(active.renewed_at) >= RENEW_AFTER {
                (active.ticket, active.renewed_at) = (Some(ticket), now);
            }
            return Added::Known;
        }
        if state.over.is_some() || state.banned.contains(&key) {
            return Added::Useless;
        }
        let is_unproved_of_member = |active: &&Active| !active.has_brought && active.who.member == who.member;
        if state.sources.values().filter(is_unproved_of_member).count() >= UNPROVED_OF_MEMBER_MAX {
            return Added::Known;
        }
        let replaced = if state.sources.len() < SOURCES_MAX { None } else { state.to_make_room(who) };
        if state.sources.len() >= SOURCES_MAX && replaced.is_none() {
            return Added::Known;
        }
        match self.attempts().begin(now, who.address) {
            Allowed::Now => {}
            Allowed::Later => return Added::Known,
            Allowed::No => return Added::Useless,
        }
        replaced.into_iter().for_each(|id| state.remove(id));
        let id = SourceId(state.next_source);
        state.next_source += 1;
        let active = Active {
            who: who.clone(),
            socket: None,
            ticket: None,
            renewed_at: now,
            has_answered: false,
            has_brought: false,
            is_busy: false,
            is_busy_told: false,
        };
        state.sources.insert(id, active);
        self.progress.set_sources(state.sources.len());
        Added::New(id)
    }

    /// The source's thread waits for this socket from now on. Gives the way to the writer, unless the download is over.
    pub(super) fn connected(&self, id: SourceId, socket: TcpStream) -> Option<SyncSender<Batch>> {
        let mut state = self.state();
        if state.over.is_some() {
            return None;
        }
        state.sources.get_mut(&id)?.socket = Some(socket);
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The source has brought a piece: connecting to it again doesn't count as a further attempt (BT-3.5-5).
    pub(super) fn proved(&self, id: SourceId) {
        let mut state = self.state();
        let Some(active) = state.sources.get_mut(&id) else { return };
        active.has_brought = true;
        self.attempts().proved(Instant::now(), active.who.address);
        let key = active.who.device;
        state.proved.extend(key);
    }

    /// The source has said what it has.
    pub(super) fn answered(&self, id: SourceId) {
        if let Some(active) = self.state().sources.get_mut(&id) {
            active.has_answered = true;
        }
    }

    /// The source has told us to come back, or serves us now. The user hears of it once.
    pub(super) fn set_busy(&self, id: SourceId, is_busy: bool) {
        let mut state = self.state();
        let Some(active) = state.sources.get_mut(&id) else { return };
        active.is_busy = is_busy;
        if is_busy && !std::mem::replace(&mut active.is_busy_told, true) {
            self.tell(Event::Busy { who: active.who.clone() });
        }
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.job.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A source's thread has ended. Its pieces are free for others.
    pub(super) fn source_ended(&self, id: SourceId, result: Result<(), SourceError>) {
        let mut state = self.state();
        if let Some(schedule) = &mut state.schedule {
            schedule.remove_source(id);
        }
        let Some(active) = state.sources.remove(&id) else { return };
        self.progress.set_sources(state.sources.len());
        // One that was empty, or that others were quicker than, has done what it could.
        let has_done = state.over.is_some() || result.as_ref().err().is_none_or(SourceError::has_moved_on);
        if active.has_answered && has_done {
            self.attempts().answered(active.who.address);
        }
        if let (Err(error), None) = (result, &state.over) {
            self.attempts().failed(Instant::now(), active.who.address);
            if let Some(key) = active.who.device {
                let is_useless = error.is_lie() || error.is_silence() && !state.proved.contains(&key);
                state.banned.extend(is_useless.then_some(key));
            }
            self.tell(Event::Lost { who: active.who, error });
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Sources that are fetched from now.
    pub(super) fn source_count(&self) -> usize {
        self.state().sources.len()
    }

    /// A new ticket for this source, if there is one.
    pub(super) fn take_ticket(&self, id: SourceId) -> Option<Ticket> {
        self.state().sources.get_mut(&id).and_then(|active| active.ticket.take())
    }
}

impl State {
    /// Which source goes for one of a member who has none: of the member who has most of them a busy one, or the newest.
    fn to_make_room(&self, who: &Who) -> Option<SourceId> {
        let of = |who: &Who| self.sources.values().filter(|other| other.who.member == who.member).count();
        let most = self.sources.values().max_by_key(|active| of(&active.who))?;
        if of(who) > 0 || of(&most.who) <= KEPT_OF_MEMBER {
            return None;
        }
        let its = self.sources.iter().filter(|(_, active)| active.who.member == most.who.member);
        its.max_by_key(|(id, active)| (active.is_busy, **id)).map(|(id, _)| *id)
    }

    /// A source isn't fetched from any more. Its thread finds out; its pieces are free for others.
    fn remove(&mut self, id: SourceId) {
        if let Some(schedule) = &mut self.schedule {
            schedule.remove_source(id);
        }
        if let Some(mut active) = self.sources.remove(&id) {
            active.close();
        }
    }
}

impl Active {
    /// Ends the source with its download. A source that hasn't described the content yet is let do so in the background:
    /// cut off now, its address would count as one that brings nothing (BT-3.5-5).
    pub(super) fn end(&mut self) {
        if self.has_answered {
            self.close();
        } else {
            self.socket = None;
        }
    }

    /// Ends what its thread waits for.
    pub(super) fn close(&mut self) {
        if let Some(socket) = &self.socket {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}
