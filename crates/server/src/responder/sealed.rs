//! Frames under a seal: opened, asked of the index, and the answer sealed (BT-6.5).

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bittrickle_wire::messages::{Enrol, RefusalCode, Refused, Reply, Request};
use bittrickle_wire::seal::{Cipher, Opened, PublicKey, Reset, Sealed, TICKET_LIFE_MS_MAX, Ticket};
use bittrickle_wire::{Encoding, Frame, MemberName, Message, Received, Target, Verdict};
use bytes::BytesMut;

use super::Responder;
use crate::index::{Caller, Tickets};
use crate::sealing::Table;

/// How long the tickets are good that are given out, in milliseconds (BT-6.7-2).
const TICKET_LIFE_MS: u64 = 120_000;
const _: () = assert!(TICKET_LIFE_MS <= TICKET_LIFE_MS_MAX);

const IS_THERE: &str = "the session has been looked up, and is only closed here";

impl<C: Cipher> Responder<C> {
    /// Answers what was under a seal. Unless the session has gone since it was opened: another one may have its index.
    pub(super) fn respond_to_opened(
        &mut self,
        now: Instant,
        from: SocketAddr,
        (Sealed { index, counter }, serial): (Sealed, u32),
        opened: Opened,
        out: &mut BytesMut,
    ) {
        let now_ms = self.index.clock_ms(now);
        self.table.expire(now_ms);
        let Some(mut line) = self.table.line(index).filter(|line| line.serial == serial) else {
            self.counters.unknown_sessions += 1;
            return self.reset(now_ms, index, counter, out);
        };
        if line.address != from {
            // Whoever sends from there has to prove that they receive there, by a new handshake (BT-6.5-7).
            // It is authentic, so it has a budget of its own: strangers' garbage can't use it up.
            let is_allowed = line.others.take(now_ms, self.limits.others);
            drop(line);
            self.counters.moved += 1;
            if is_allowed {
                Reset { index, counter }.write(out);
            }
            return;
        }
        drop(line);
        self.table.hear(now_ms, index);
        let Some(answer) = self.answer(now, now_ms, index, opened) else { return };
        if let Message::Reply(Reply::LoggedIn(_)) = &answer.message {
            self.connect_pulse(index);
        }
        self.seal(index, answer, out);
    }

    /// From now on, a front answers the heartbeats of this session.
    fn connect_pulse(&mut self, index: u32) {
        let pulse = self.table.slot(index).and_then(|slot| self.index.pulse(&slot.device));
        if let Some(mut line) = self.table.line(index) {
            line.pulse = pulse;
        }
    }

    /// Seals an answer for a session that is still there. Says where it goes.
    pub(super) fn seal(&mut self, index: u32, answer: Frame, out: &mut BytesMut) -> Option<SocketAddr> {
        let mut line = self.table.line(index)?;
        // Used-up keys: the device's own are used up as well, and it makes new ones.
        line.session.seal(answer, out).ok()?;
        self.counters.frames_answered += 1;
        Some(line.address)
    }

    fn answer(&mut self, now: Instant, now_ms: u64, index: u32, opened: Opened) -> Option<Frame> {
        let frame = match opened.frame {
            Ok(Some(Received::Frame(frame))) => frame,
            Ok(Some(Received::Bad(bad))) => {
                if !self.table.line(index)?.others.take(now_ms, self.limits.others) {
                    self.counters.malformed += 1;
                    return None;
                }
                return match bad.verdict() {
                    Verdict::Answer(frame) | Verdict::AnswerAndClose(frame) => Some(frame),
                    Verdict::Drop => {
                        self.counters.unexpected_replies += 1;
                        None
                    }
                };
            }
            Ok(None) | Err(_) => {
                self.counters.malformed += 1;
                return None;
            }
        };
        let Frame { request_id, encoding, message } = frame;
        let kind = message.kind();
        let reply = match message {
            Message::Request(request) => match self.admit(now_ms, index, request) {
                Err(refused) => Reply::Refused(refused),
                Ok(Admitted::Enrolment(enrol)) => {
                    Reply::Refused(self.queue_enrolment(now, index, request_id, encoding, enrol)?)
                }
                Ok(Admitted::Member { device, member, address, request }) => {
                    let caller = Caller { member: &member, device, address };
                    let is_change = matches!(*request, Request::Publish(_) | Request::Unpublish(_));
                    let edits = self.index.edit_count();
                    let reply = self.ask_index(now, now_ms, caller, encoding, *request);
                    let has_changed = self.index.edit_count() > edits;
                    if is_change && !matches!(reply, Reply::Refused(_)) {
                        self.hold(index, &member, has_changed, (request_id, encoding, reply))?
                    } else {
                        reply
                    }
                }
            },
            _ if kind.is_reply() => {
                self.counters.unexpected_replies += 1;
                return None;
            }
            Message::Describe(_) | Message::Fetch(_) | Message::AskHave(_) | Message::Renew(_) => {
                unexpected()
            }
            Message::Described(_) | Message::Data(_) | Message::Have(_) | Message::Renewed(_) => unexpected(),
            Message::Reply(_) | Message::Versions(_) => unexpected(),
        };
        Some(Frame { request_id, encoding, message: Message::Reply(reply) })
    }

    fn ask_index(
        &mut self,
        now: Instant,
        now_ms: u64,
        caller: Caller<'_>,
        encoding: Encoding,
        request: Request,
    ) -> Reply {
        let next_number = Cell::new(self.tickets);
        let ends_ms = now_ms + TICKET_LIFE_MS;
        let tickets = Issuer { table: &self.table, ends_ms, next_number: &next_number };
        let reply = self.index.handle(now, caller, encoding, request, &tickets);
        self.tickets = next_number.get();
        reply
    }

    /// Whether a session may ask this now: it has not asked too often (BT-5.3-3), and is a member's unless it wants to
    /// become one (BT-6.2-8).
    fn admit(&mut self, now_ms: u64, index: u32, request: Request) -> Result<Admitted, Refused> {
        if !self.take_from_budget(now_ms, index, &request) {
            let sentence = "too many requests in a short time; ask again in a moment";
            return Err(Refused::new(RefusalCode::TOO_FAST, sentence));
        }
        if matches!(request, Request::Publish(_) | Request::Unpublish(_)) && self.is_full() {
            let sentence = "more is published than the server's disk can keep up with; ask again in a moment";
            return Err(Refused::new(RefusalCode::TOO_FAST, sentence));
        }
        if let Request::Enrol(enrol) = request {
            return Ok(Admitted::Enrolment(enrol));
        }
        let slot = self.table.slot(index).expect(IS_THERE);
        let Some(member) = slot.member.clone() else {
            let sentence = "this device is not enrolled here, or not any more; join first";
            return Err(Refused::new(RefusalCode::NOT_ENROLLED, sentence));
        };
        let address = self.table.line(index).expect(IS_THERE).address;
        Ok(Admitted::Member { device: slot.device, member, address, request: Box::new(request) })
    }

    fn take_from_budget(&mut self, now_ms: u64, index: u32, request: &Request) -> bool {
        let limits = &self.limits;
        match request {
            Request::Search(_) | Request::Locate(_) | Request::ListPeers(_) => {
                self.table.slot_mut(index).expect(IS_THERE).queries.take(now_ms, limits.queries)
            }
            Request::Publish(_)
            | Request::Unpublish(_)
            | Request::Recall(_)
            | Request::Resume(_)
            | Request::ListFiles(_) => {
                let budget = &mut self.table.slot_mut(index).expect(IS_THERE).own_publications;
                budget.take_many(now_ms, limits.own_publications, own_publications(request))
            }
            Request::Login(_)
            | Request::Logout(_)
            | Request::Heartbeat(_)
            | Request::Enrol(_)
            | Request::Announce(_) => {
                self.table.line(index).expect(IS_THERE).others.take(now_ms, limits.others)
            }
        }
    }
}

/// Publications of the asker's own that a request names; at least as many as one costs that names none (BT-5.3-3).
fn own_publications(request: &Request) -> u32 {
    const REQUEST: u32 = 8;
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).max(REQUEST);
    match request {
        Request::Publish(publish) => count(publish.files.len()),
        Request::Unpublish(unpublish) => count(unpublish.names.len()),
        Request::Resume(resume) => count(resume.chosen.places().count()),
        Request::ListFiles(_) | Request::Recall(_) => REQUEST,
        Request::Login(_) | Request::Logout(_) | Request::Heartbeat(_) | Request::Enrol(_) => 1,
        Request::Announce(_) | Request::Search(_) | Request::Locate(_) | Request::ListPeers(_) => 1,
    }
}

/// What may be asked now, and by whom.
enum Admitted {
    /// Anybody may want to enrol.
    Enrolment(Enrol),
    /// All else is for members' devices.
    Member { device: PublicKey, member: Arc<MemberName>, address: SocketAddr, request: Box<Request> },
}

/// Makes tickets with the keys that the server shares with each source.
struct Issuer<'a, C> {
    table: &'a Table<C>,
    ends_ms: u64,
    next_number: &'a Cell<u64>,
}

impl<C> Tickets for Issuer<'_, C> {
    fn issue(&self, source: &PublicKey, requester: &PublicKey, target: &Target) -> Option<Ticket> {
        let key = self.table.line_of(source)?.session.ticket_key(false);
        let number = self.next_number.get();
        self.next_number.set(number.wrapping_add(1));
        Some(key.issue(requester, target, self.ends_ms, number))
    }
}

fn unexpected() -> Reply {
    Reply::Refused(Refused::new(RefusalCode::UNEXPECTED_KIND, "the index does not answer this kind of frame"))
}
