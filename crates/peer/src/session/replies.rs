//! What follows from the index's answers.

use std::time::{Duration, Instant};

use bittrickle_wire::messages::{LoggedIn, Logout, Publish, RefusalCode, Refused, Reply, Request};

use super::{CallError, Event, Pending, Phase, Purpose, REPUBLISH_WINDOW, Session};

impl Session {
    pub(super) fn fail_pending(&mut self, now: Instant, request_id: u32, why: &str) {
        if let Some(pending) = self.pending.remove(&request_id) {
            self.give_up(now, &pending, CallError::BadAnswer(why.to_owned()));
        }
    }

    pub(super) fn receive_reply(&mut self, now: Instant, request_id: u32, reply: Reply) {
        if self.rhythm.request_id == Some(request_id) {
            self.rhythm.request_id = None;
            self.receive_heartbeat_reply(now, &reply);
        } else if let Some(pending) = self.pending.remove(&request_id) {
            self.receive_answer(now, pending, reply);
        } else {
            return;
        }
        self.rhythm.heard = now;
        let settled = self.phase == Phase::Online && !self.is_republishing();
        if settled && (std::mem::take(&mut self.rhythm.silent) | std::mem::take(&mut self.announce_return)) {
            self.event(Event::Back);
        }
    }

    fn is_republishing(&self) -> bool {
        self.pending.values().any(|pending| pending.purpose == Purpose::Republish)
    }

    fn receive_answer(&mut self, now: Instant, pending: Pending, reply: Reply) {
        match (pending.purpose, reply) {
            (Purpose::Login, Reply::LoggedIn(logged_in)) => self.logged_in(now, &logged_in),
            (Purpose::Login, Reply::Refused(refused)) => self.login_refused(refused),
            (Purpose::Logout, _) if self.phase == Phase::Returning => self.log_in(now),
            (Purpose::Logout, Reply::LoggedOut(_)) => {}
            (Purpose::Call(call), Reply::Refused(refused)) if refused.code == RefusalCode::NO_SESSION => {
                self.waiting.push_back((call, pending.request));
                self.return_to_index(now);
            }
            (Purpose::Call(call), Reply::Refused(refused)) => {
                self.forget_refused(&pending.request);
                self.finish(call, Err(CallError::Refused(refused)));
            }
            (Purpose::Call(call), reply) if reply.kind().code() == pending.request.kind().code() | 0x80 => {
                self.finish(call, Ok(reply));
            }
            (Purpose::Republish, Reply::Refused(refused)) if refused.code == RefusalCode::NO_SESSION => {
                self.return_to_index(now);
            }
            (Purpose::Republish, Reply::Refused(refused)) => {
                self.drop_refused(&pending.request, CallError::Refused(refused));
                self.send_republish(now);
            }
            (Purpose::Republish, _) => self.send_republish(now),
            (Purpose::Login | Purpose::Logout | Purpose::Call(_), reply) => {
                let why = format!("{:?} answers {:?}", reply.kind(), pending.request.kind());
                self.give_up(now, &pending, CallError::BadAnswer(why));
            }
        }
    }

    /// What was not published is not on offer.
    pub(super) fn forget_refused(&mut self, request: &Request) -> usize {
        let Request::Publish(Publish { files }) = request else { return 0 };
        files.iter().for_each(|offer| self.offers.forget(&offer.name));
        files.len()
    }

    fn drop_refused(&mut self, request: &Request, error: CallError) {
        let count = self.forget_refused(request);
        self.event(Event::NotOffered(count, error));
    }

    fn logged_in(&mut self, now: Instant, logged_in: &LoggedIn) {
        // A server can ask for any rhythm; ours stays within reason.
        let milliseconds = |value: u32| Duration::from_millis(u64::from(value.clamp(200, 600_000)));
        self.rhythm.heartbeat = milliseconds(logged_in.heartbeat_ms);
        self.rhythm.offline_after = milliseconds(logged_in.offline_after_ms);
        self.rhythm.next = now + self.jitter.tenth(self.rhythm.heartbeat);
        if self.phase == Phase::Starting {
            self.event(Event::LoggedIn);
        }
        self.phase = Phase::Online;
        self.republish = self.offers.batches(self.encoding);
        for _ in 0..REPUBLISH_WINDOW {
            self.send_republish(now);
        }
        for (call, request) in std::mem::take(&mut self.waiting) {
            self.send(now, Purpose::Call(call), request);
        }
    }

    fn login_refused(&mut self, refused: Refused) {
        let error = CallError::Refused(refused.clone());
        match self.phase {
            Phase::Starting => self.close(&error.clone(), Event::LoginFailed(error)),
            _ if refused.code == RefusalCode::LIMIT_REACHED => self.wait_for_index(&error),
            _ => self.close(&error, Event::Ended(refused)),
        }
    }

    fn send_republish(&mut self, now: Instant) {
        if let Some(publish) = self.republish.pop_front() {
            self.send(now, Purpose::Republish, Request::Publish(publish));
        }
    }

    /// The index has forgotten us (BT-2.4-2).
    fn return_to_index(&mut self, now: Instant) {
        if self.phase == Phase::Online {
            self.phase = Phase::Returning;
            self.announce_return = true;
            self.log_in(now);
        }
    }

    fn receive_heartbeat_reply(&mut self, now: Instant, reply: &Reply) {
        match reply {
            Reply::Refused(refused) if refused.code == RefusalCode::NO_SESSION => self.return_to_index(now),
            Reply::HeartbeatReply(reply) if !self.disturbed && reply.digest.0 != self.offers.digest() => {
                // The index believes something else: start from nothing (BT-2.4-3).
                self.phase = Phase::Returning;
                self.send(now, Purpose::Logout, Request::Logout(Logout {}));
            }
            Reply::LoggedIn(_) | Reply::HeartbeatReply(_) | Reply::LoggedOut(_) | Reply::Published(_) => {}
            Reply::Unpublished(_) | Reply::Found(_) | Reply::Located(_) | Reply::Peers(_) => {}
            Reply::Files(_) | Reply::Refused(_) => {}
        }
    }
}
