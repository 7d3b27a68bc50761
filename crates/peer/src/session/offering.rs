//! Offering many files at once, and everything again after a return.

use std::time::Instant;

use bittrickle_wire::messages::{Offer, Published, Reply};

use super::{CallError, CallId, Phase, Purpose, Session};

/// Requests that are under way at once when everything is published again.
const REPUBLISH_WINDOW: usize = 8;

impl Session {
    /// Offers many files, of which the index may know most (BT-2.13-5). It has an answer when all are on offer, but for those
    /// that are refused: they come as [`Event::NotOffered`](super::Event::NotOffered). Those that it has no answer for are still published when there
    /// is an index again.
    pub fn offer(&mut self, now: Instant, offers: &[Offer]) -> CallId {
        let call = self.number_call();
        if self.phase == Phase::Closed {
            self.finish(call, Err(CallError::Closed));
            return call;
        }
        offers.iter().for_each(|offer| drop(self.offers.add(offer)));
        self.offering.push(call);
        // Whoever logs in publishes everything.
        if self.phase == Phase::Online {
            self.republish.add(offers.iter().collect(), self.encoding);
            self.send_republish(now);
            self.finish_offering();
        }
        call
    }

    /// Sends as much as may be under way at once.
    pub(super) fn send_republish(&mut self, now: Instant) {
        for _ in self.republishing()..REPUBLISH_WINDOW {
            let Some(request) = self.republish.next(&self.offers, self.encoding) else { return };
            self.send(now, Purpose::Republish, request);
        }
    }

    /// Everything is on offer, if nothing is under way any more.
    pub(super) fn finish_offering(&mut self) {
        if self.phase != Phase::Online || self.offering.is_empty() || self.republishing() > 0 {
            return;
        }
        let published = Published { offered: self.offers.count() };
        for call in std::mem::take(&mut self.offering) {
            self.finish(call, Ok(Reply::Published(published.clone())));
        }
    }

    pub(super) fn fail_offering(&mut self, error: &CallError) {
        for call in std::mem::take(&mut self.offering) {
            self.finish(call, Err(error.clone()));
        }
    }

    pub(super) fn republishing(&self) -> usize {
        self.pending.values().filter(|pending| pending.purpose == Purpose::Republish).count()
    }
}
