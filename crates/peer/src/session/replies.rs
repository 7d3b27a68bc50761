//! What follows from the index's answers.

use std::time::{Duration, Instant};

use bittrickle_wire::Hex64;
use bittrickle_wire::messages::{LoggedIn, Logout, Publish, RefusalCode, Refused, Reply, Request};

use super::republish::Republish;
use super::{CallError, Event, Output, Pending, Phase, Purpose, Rhythm, Session};

impl Session {
    pub(super) fn fail_pending(&mut self, now: Instant, request_id: u32, why: &str) {
        if let Some(pending) = self.pending.remove(&request_id) {
            self.give_up(now, &pending, CallError::BadAnswer(why.to_owned()));
        }
    }

    pub(super) fn receive_reply(&mut self, now: Instant, request_id: u32, reply: Reply) {
        if self.heartbeats.request_id == Some(request_id) {
            self.heartbeats.request_id = None;
            self.heartbeats.next = self.heartbeats.next_in_rhythm;
            self.receive_heartbeat_reply(now, &reply);
        } else if let Some(pending) = self.pending.remove(&request_id) {
            match reply {
                Reply::Refused(refused) if refused.code == RefusalCode::TOO_FAST => {
                    self.put_off(now, request_id, pending);
                }
                Reply::Refused(busy) if busy.code == RefusalCode::BUSY && is_published_again(&pending) => {
                    self.wait_until_possible(now, request_id, pending, busy);
                }
                reply => self.receive_answer(now, pending, reply),
            }
        } else {
            return;
        }
        self.heartbeats.heard = now;
        self.tell_not_offered();
        self.finish_offering();
        let settled = self.phase == Phase::Online && self.republishing() == 0;
        if settled
            && (std::mem::take(&mut self.heartbeats.silent) | std::mem::take(&mut self.announce_return))
        {
            self.event(Event::Back);
        }
    }

    /// Asks again later.
    fn put_off(&mut self, now: Instant, request_id: u32, mut pending: Pending) {
        if pending.resend.put_off(now, &mut self.jitter) {
            self.pending.insert(request_id, pending);
        } else {
            self.give_up(now, &pending, CallError::NoAnswer);
        }
    }

    /// What was on offer stays so: it is published again as soon as the index can keep it. Nobody is kept waiting for that.
    fn wait_until_possible(&mut self, now: Instant, request_id: u32, mut pending: Pending, busy: Refused) {
        pending.resend.wait_until_possible(now, &mut self.jitter);
        self.pending.insert(request_id, pending);
        self.fail_offering(&CallError::Refused(busy));
    }

    fn receive_answer(&mut self, now: Instant, pending: Pending, reply: Reply) {
        match (pending.purpose, reply) {
            (Purpose::Renewal, Reply::LoggedIn(logged_in)) if self.boot_id == Some(logged_in.boot_id) => {
                self.take_rhythm(&logged_in);
            }
            (Purpose::Login | Purpose::Renewal, Reply::LoggedIn(logged_in)) => {
                self.logged_in(now, &logged_in);
            }
            (purpose, Reply::Refused(refused))
                if refused.code == RefusalCode::NOT_ENROLLED && self.phase != Phase::Starting =>
            {
                // The call that is answered so is told as all others are.
                if let Purpose::Call(call) = purpose {
                    self.finish(call, Err(CallError::Refused(refused.clone())));
                }
                self.close(&CallError::Refused(refused.clone()), Event::Ended(refused));
            }
            (Purpose::Renewal, Reply::Refused(_)) => {}
            (Purpose::Login, Reply::Refused(refused)) => self.login_refused(refused),
            (Purpose::Logout, _) if self.phase == Phase::Returning => self.log_in(now),
            (Purpose::Logout, Reply::LoggedOut(_)) => {}
            (Purpose::Call(call), Reply::Refused(refused))
                if refused.code == RefusalCode::NO_SESSION && self.may_wait_for_return(call) =>
            {
                self.waiting.push_back((call, pending.request));
                self.return_to_index(now);
            }
            (Purpose::Call(call), Reply::Refused(refused)) => self.fail(call, CallError::Refused(refused)),
            (Purpose::Call(call), reply) if reply.kind().code() == pending.request.kind().code() | 0x80 => {
                self.finish(call, Ok(reply));
            }
            (Purpose::Republish, Reply::Refused(refused)) if refused.code == RefusalCode::NO_SESSION => {
                self.return_to_index(now);
            }
            // One too many refuses all that are asked for with it: each is asked for by itself.
            (Purpose::Republish, Reply::Refused(refused))
                if refused.code == RefusalCode::LIMIT_REACHED && self.republish.split(&pending.request) =>
            {
                self.send_republish(now);
            }
            (Purpose::Republish, Reply::Refused(refused)) => {
                self.republish.failed(&pending.request);
                self.drop_refused(&pending.request, CallError::Refused(refused));
                self.send_republish(now);
            }
            (Purpose::Republish, reply) => {
                self.republish.answered(&pending.request, &reply, &self.offers);
                self.send_republish(now);
            }
            (Purpose::Login | Purpose::Renewal | Purpose::Logout | Purpose::Call(_), reply) => {
                let why = format!("{:?} answers {:?}", reply.kind(), pending.request.kind());
                self.give_up(now, &pending, CallError::BadAnswer(why));
            }
        }
    }

    /// What was not published is not on offer.
    fn forget_refused(&mut self, request: &Request) -> usize {
        let Request::Publish(Publish { files }) = request else { return 0 };
        files.iter().for_each(|offer| drop(self.offers.forget(&offer.name)));
        files.len()
    }

    fn drop_refused(&mut self, request: &Request, error: CallError) {
        let count = self.forget_refused(request);
        if count > 0 {
            let (before, _) = self.not_offered.take().unwrap_or((0, error.clone()));
            self.not_offered = Some((before + count, error));
        }
    }

    /// Says what could not be published again, once nothing more is asked for.
    fn tell_not_offered(&mut self) {
        if self.republishing() == 0
            && let Some((count, error)) = self.not_offered.take()
        {
            self.event(Event::NotOffered(count, error));
        }
    }

    fn logged_in(&mut self, now: Instant, logged_in: &LoggedIn) {
        self.login_due = None;
        self.boot_id = Some(logged_in.boot_id);
        self.take_rhythm(logged_in);
        self.keep_rhythm(now);
        if self.phase == Phase::Starting {
            self.event(Event::LoggedIn);
        }
        self.phase = Phase::Online;
        // What was under way is said anew.
        self.pending.retain(|_, pending| pending.purpose != Purpose::Republish);
        self.republish = Republish::everything(&self.offers, self.encoding);
        self.send_republish(now);
        for (call, request) in std::mem::take(&mut self.waiting) {
            self.send(now, Purpose::Call(call), request);
        }
    }

    /// A server can ask for any rhythm; ours stays within reason.
    fn take_rhythm(&mut self, logged_in: &LoggedIn) {
        let milliseconds = |value: u32| Duration::from_millis(u64::from(value.clamp(200, 600_000)));
        self.heartbeats.heartbeat = milliseconds(logged_in.heartbeat_ms);
        self.heartbeats.offline_after = milliseconds(logged_in.offline_after_ms);
        self.tell_clock(logged_in.boot_id, logged_in.clock_ms);
    }

    fn tell_clock(&mut self, boot_id: Hex64, clock_ms: u64) {
        let rhythm = Rhythm { boot_id, clock_ms, offline_after: self.heartbeats.offline_after };
        self.outputs.push_back(Output::Rhythm(rhythm));
    }

    fn login_refused(&mut self, refused: Refused) {
        let error = CallError::Refused(refused.clone());
        match self.phase {
            Phase::Starting => self.close(&error.clone(), Event::LoginFailed(error)),
            _ if refused.code == RefusalCode::LIMIT_REACHED => self.wait_for_index(&error),
            _ => self.close(&error, Event::Ended(refused)),
        }
    }

    /// The index has forgotten us (BT-2.4-2).
    fn return_to_index(&mut self, now: Instant) {
        if self.phase == Phase::Online {
            self.phase = Phase::Returning;
            self.announce_return = true;
            self.login_due = Some(self.returns.due(now));
            self.log_in_when_due(now);
        }
    }

    fn receive_heartbeat_reply(&mut self, now: Instant, reply: &Reply) {
        if let Reply::HeartbeatReply(reply) = reply {
            self.tell_clock(reply.boot_id, reply.clock_ms);
        }
        match reply {
            Reply::Refused(refused) if refused.code == RefusalCode::NOT_ENROLLED => {
                self.close(&CallError::Refused(refused.clone()), Event::Ended(refused.clone()));
            }
            Reply::Refused(refused) if refused.code == RefusalCode::NO_SESSION => self.return_to_index(now),
            Reply::HeartbeatReply(reply)
                if !self.disturbed
                    && reply.digest.0 != self.offers.digest()
                    && self.returns.may_begin(now) =>
            {
                // The index believes something else: start from nothing (BT-2.4-3).
                self.returns.due(now);
                self.phase = Phase::Returning;
                self.send(now, Purpose::Logout, Request::Logout(Logout {}));
            }
            Reply::LoggedIn(_) | Reply::HeartbeatReply(_) | Reply::LoggedOut(_) | Reply::Published(_) => {}
            Reply::Unpublished(_)
            | Reply::Announced(_)
            | Reply::Recalled(_)
            | Reply::Resumed(_)
            | Reply::Found(_)
            | Reply::Located(_)
            | Reply::Peers(_) => {}
            Reply::Files(_) | Reply::Enrolled(_) | Reply::Refused(_) => {}
        }
    }
}

fn is_published_again(pending: &Pending) -> bool {
    pending.purpose == Purpose::Republish && matches!(pending.request, Request::Publish(_))
}
