//! Hellos and handshakes: what anybody may send, and what it costs them before it costs us (BT-6.4).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bittrickle_wire::seal::{Accepting, Cipher, Hello, Initiate, Retry};
use bytes::BytesMut;

use super::Responder;
use crate::sealing::{Newcomer, NoSession};

impl<C: Cipher> Responder<C> {
    /// Nothing is kept, no curve is computed, and the answer is shorter than the question.
    pub(super) fn respond_to_hello(
        &mut self,
        now: Instant,
        from: SocketAddr,
        hello: &Hello,
        out: &mut BytesMut,
    ) {
        let Hello { device_index, nonce } = *hello;
        let elapsed = Duration::from_millis(self.index.clock_ms(now));
        let cookie = self.cookies.make(elapsed, from, &nonce);
        self.counters.hellos += 1;
        Retry { device_index, nonce, cookie, server_key: self.key }.write(out);
    }

    pub(super) fn queue_handshake(
        &mut self,
        now: Instant,
        from: SocketAddr,
        initiate: Initiate,
        out: &mut BytesMut,
    ) {
        let now_ms = self.index.clock_ms(now);
        let elapsed = Duration::from_millis(now_ms);
        if self.cookies.check(elapsed, from, &initiate.nonce, &initiate.cookie).is_err() {
            self.counters.bad_cookies += 1;
        } else if let Some(accept) = self.table.answered(from, &initiate.nonce) {
            // Sent again because the answer was slow, or got lost.
            self.counters.waiting += 1;
            accept.write(out);
        } else if self.handshakes.push(now_ms, from, initiate).is_err() {
            self.counters.handshakes_shed += 1;
        } else {
            self.counters.handshakes += 1;
        }
    }

    /// Whether a handshake waits for its turn.
    #[must_use]
    pub fn has_handshakes(&self) -> bool {
        !self.handshakes.is_empty()
    }

    /// Answers the handshake that has waited longest: says to whom, and appends the answer to `out` if there is one.
    /// To be called between bursts of datagrams: heartbeats come first.
    pub fn next_handshake(&mut self, now: Instant, out: &mut BytesMut) -> Option<SocketAddr> {
        let now_ms = self.index.clock_ms(now);
        let (from, initiate) = self.handshakes.pop(now_ms)?;
        let Ok(accepting) = Accepting::new(&self.secret, &initiate, self.entropy.draw()) else {
            self.counters.bad_seals += 1;
            return Some(from);
        };
        let device = accepting.device;
        let member = self.directory.member_of(&device);
        let (began_ms, nonce) = (initiate.cookie.time_ms(), initiate.nonce);
        let newcomer = Newcomer { device, member, address: from, began_ms, nonce };
        self.table.expire(now_ms);
        match self.table.open(now_ms, newcomer, |index| accepting.finish(index)) {
            Ok(accept) => accept.write(out),
            Err(NoSession::Full) => self.counters.handshakes_shed += 1,
            Err(NoSession::Replay) => self.counters.replays += 1,
        }
        Some(from)
    }
}
