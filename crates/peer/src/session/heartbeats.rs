//! Heartbeats: when they are due, and what their silence means (BT-2.4).

use std::time::{Duration, Instant};

use bittrickle_wire::messages::{Heartbeat, Request};

use super::{Event, Session};

/// How long the answer to a heartbeat is waited for before another one is sent (BT-2.4-1).
const HEARTBEAT_REPEAT: Duration = Duration::from_millis(500);

/// Heartbeats: when the next is due, and how long the index has been silent.
#[derive(Debug)]
pub(super) struct Heartbeats {
    pub(super) heartbeat: Duration,
    pub(super) offline_after: Duration,
    /// When the next one is due, and when it is by the rhythm: one that gets no answer is followed by another one before.
    pub(super) next: Instant,
    pub(super) next_in_rhythm: Instant,
    pub(super) request_id: Option<u32>,
    pub(super) heard: Instant,
    pub(super) silent: bool,
}

impl Session {
    /// The next heartbeat is due when the index wants it.
    pub(super) fn keep_rhythm(&mut self, now: Instant) {
        self.heartbeats.next_in_rhythm = now + self.jitter.tenth(self.heartbeats.heartbeat);
        self.heartbeats.next = self.heartbeats.next_in_rhythm;
    }

    pub(super) fn beat(&mut self, now: Instant) {
        if !self.heartbeats.silent && now >= self.heartbeats.heard + self.heartbeats.offline_after {
            self.heartbeats.silent = true;
            self.event(Event::Silent);
        }
        if self.heartbeats.next_in_rhythm <= now {
            self.keep_rhythm(now);
            // Three that are lost in a row would be a silence that ends the session, and with many peers some always are.
            let repeat = now + self.jitter.quarter(HEARTBEAT_REPEAT);
            self.heartbeats.next = repeat.min(self.heartbeats.next_in_rhythm);
        } else {
            self.heartbeats.next = self.heartbeats.next_in_rhythm;
        }
        self.disturbed = !self.pending.is_empty();
        self.heartbeats.request_id = Some(self.push_frame(Request::Heartbeat(Heartbeat {})));
    }
}
