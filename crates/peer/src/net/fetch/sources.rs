//! The sources of one download: which are fetched from, which were tried, and which are not asked again.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::PoisonError;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use bittrickle_wire::seal::{PublicKey, Ticket};

use super::engine::Engine;
use super::error::SourceError;
use super::writer::Batch;
use super::{Event, Who};
use crate::transfer::SourceId;

/// A source that is fetched from, or connected to.
#[derive(Debug)]
pub(super) struct Active {
    who: Who,
    /// Shut down to end the thread that waits for it.
    pub(super) socket: Option<TcpStream>,
    /// A new ticket to be shown, and when the last one was given.
    ticket: Option<Ticket>,
    renewed_at: Instant,
}

/// What became of a source that was offered.
pub(super) enum Added {
    /// It is to be fetched from.
    New(SourceId),
    /// It is fetched from already, or there are enough.
    Known,
    /// It has lied, or was tried too often.
    Useless,
}

/// Tickets last for two minutes (BT-6.7-2); a connection shows a new one well before.
const RENEW_AFTER: Duration = Duration::from_secs(45);

/// Connections that one address is tried with, in all (BT-3.5-5).
const ATTEMPTS_MAX: u32 = 3;

/// Sources at a time.
const SOURCES_MAX: usize = 8;

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
        if state.sources.len() >= SOURCES_MAX {
            return Added::Known;
        }
        let attempts = state.attempts.entry(who.address).or_default();
        if *attempts >= ATTEMPTS_MAX {
            return Added::Useless;
        }
        *attempts += 1;
        let id = SourceId(state.next_source);
        state.next_source += 1;
        let who = who.clone();
        state.sources.insert(id, Active { who, socket: None, ticket: None, renewed_at: now });
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
    pub(super) fn proved(&self, address: &SocketAddr) {
        self.state().attempts.remove(address);
    }

    /// A source's thread has ended. Its pieces are free for others.
    pub(super) fn source_ended(&self, id: SourceId, result: Result<(), SourceError>) {
        let mut state = self.state();
        if let Some(schedule) = &mut state.schedule {
            schedule.remove_source(id);
        }
        let Some(active) = state.sources.remove(&id) else { return };
        self.progress.set_sources(state.sources.len());
        if let (Err(error), None) = (result, &state.over) {
            if let (true, Some(key)) = (error.is_lie(), active.who.device) {
                state.banned.insert(key);
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

impl Active {
    /// Ends what its thread waits for.
    pub(super) fn close(&mut self) {
        if let Some(socket) = &self.socket {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}
