//! Answers that wait until what they say is durable (BT-2.6-8).
//!
//! The index takes a change in at once, and notes it. What has been noted is handed over in batches to whoever makes it
//! durable, and the answer is held back until the batch is: in the order in which answers were given, so that they can
//! stand in a queue.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use bittrickle_wire::messages::{RefusalCode, Refused, Reply};
use bittrickle_wire::seal::{Cipher, PublicKey};
use bittrickle_wire::{Encoding, Frame, MemberName, Message, legacy};
use bytes::BytesMut;

use super::Responder;
use crate::index::{Catalogue, Edit};

/// Edits to make durable, all of them together.
#[derive(Debug)]
pub struct Batch {
    /// Its place in the order of batches; the first one is 1.
    pub number: u64,
    /// What has changed, in order.
    pub edits: Vec<Edit>,
}

/// Answers that wait for their batches.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The last batch that was handed over, and the last one that is durable.
    handed_over: u64,
    durable: u64,
    /// Whether batches can't be made durable at present.
    is_failing: bool,
    /// With the batch that each waits for.
    answers: VecDeque<(u64, Answer)>,
    /// The batch with each member's last change, as far as that isn't durable.
    by_member: HashMap<Arc<MemberName>, u64>,
}

/// Answers that may wait: some seconds of work for a disk. Where there are more, it is too slow for what is asked.
const ANSWERS_MAX: usize = 16_384;

#[derive(Debug)]
enum Answer {
    Sealed { index: u32, device: PublicKey, request_id: u32, encoding: Encoding, reply: Reply },
    Legacy { to: SocketAddr, reply: legacy::Reply },
}

pub(super) const NOT_KEPT: &str = "the server can't keep this now, its disk may be full; try again later";

impl<C: Cipher> Responder<C> {
    /// From now on, what changes about publications is handed over in batches, and answered when it is durable. Those that
    /// are there already are being read: until [`Responder::load`], what is asked about them waits.
    pub fn keep_publications(&mut self) {
        self.index.note_edits();
        self.index.await_catalogue();
    }

    /// What had been published before the start is known now. Of members who have been removed since, nothing is.
    pub fn load(&mut self, catalogue: Catalogue) {
        let directory = &self.directory;
        self.index.load(catalogue, |member| directory.has_member(member));
    }

    /// What has changed since the last batch, if anything.
    pub fn next_batch(&mut self) -> Option<Batch> {
        if self.index.edit_count() == 0 {
            return None;
        }
        self.held.handed_over += 1;
        Some(Batch { number: self.held.handed_over, edits: self.index.take_edits() })
    }

    /// All batches up to this one are durable.
    pub fn made_durable(&mut self, number: u64) {
        self.held.durable = self.held.durable.max(number);
        self.held.by_member.retain(|_, batch| *batch > number);
        self.set_failing(false);
    }

    /// Batches can't be made durable at present. Whoever waits is told so; what they wait for may still become durable.
    pub fn failed_to_keep(&mut self) {
        self.set_failing(true);
    }

    fn set_failing(&mut self, is_failing: bool) {
        self.held.is_failing = is_failing;
        self.index.refuse_changes(is_failing);
    }

    /// The next answer that needn't wait any longer: says to whom it goes, and appends it to `out`. `None` when there is
    /// none; nothing is appended when its device has gone.
    pub fn next_held(&mut self, out: &mut BytesMut) -> Option<Option<SocketAddr>> {
        let is_failing = self.held.is_failing;
        let durable = self.held.durable;
        self.held.answers.front().filter(|(batch, _)| *batch <= durable || is_failing)?;
        let (batch, answer) = self.held.answers.pop_front()?;
        let is_durable = batch <= durable;
        Some(match answer {
            Answer::Sealed { index, device, request_id, encoding, reply } => {
                let reply = if is_durable { reply } else { refusal() };
                // The session may be another device's by now.
                let is_its_own = self.table.slot(index).is_some_and(|slot| slot.device == device);
                let frame = Frame { request_id, encoding, message: Message::Reply(reply) };
                if is_its_own { self.seal(index, frame, out) } else { None }
            }
            Answer::Legacy { to, reply } => {
                let refused = || legacy::Reply::Fail(legacy::sentence::NOT_PUBLISHED.to_owned());
                let reply = if is_durable { reply } else { refused() };
                self.counters.legacy_answered += 1;
                out.extend_from_slice(&reply.encode());
                Some(to)
            }
        })
    }

    /// Whether so many answers wait that no more changes can be taken.
    pub(super) fn is_full(&self) -> bool {
        self.held.answers.len() >= ANSWERS_MAX
    }

    /// Gives the answer to a member's request back if nothing that the member has changed so far has still to become
    /// durable; or holds it. `has_changed` is whether this request has changed something.
    pub(super) fn hold(
        &mut self,
        index: u32,
        member: &Arc<MemberName>,
        has_changed: bool,
        answer: (u32, Encoding, Reply),
    ) -> Option<Reply> {
        if has_changed {
            self.held.by_member.insert(Arc::clone(member), self.held.handed_over + 1);
        }
        let (request_id, encoding, reply) = answer;
        let Some(batch) = self.held.by_member.get(member).copied() else { return Some(reply) };
        let device = self.table.slot(index)?.device;
        self.held.answers.push_back((batch, Answer::Sealed { index, device, request_id, encoding, reply }));
        None
    }

    /// The same for an answer in the original's format.
    pub(super) fn hold_legacy(&mut self, to: SocketAddr, reply: legacy::Reply) -> Option<legacy::Reply> {
        let Some(batch) = self.awaited_batch() else { return Some(reply) };
        self.held.answers.push_back((batch, Answer::Legacy { to, reply }));
        None
    }

    /// The batch that has to be durable before all is that has changed so far.
    #[must_use]
    pub fn awaited_batch(&self) -> Option<u64> {
        let batch = self.held.handed_over + u64::from(self.index.edit_count() > 0);
        (batch > self.held.durable).then_some(batch)
    }
}

fn refusal() -> Reply {
    Reply::Refused(Refused::new(RefusalCode::BUSY, NOT_KEPT))
}
