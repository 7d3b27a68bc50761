//! The sign of life of one session, shared between the index and whoever answers heartbeats beside it (BT-2.4).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bittrickle_wire::Hex64;
use bittrickle_wire::messages::HeartbeatReply;

use super::OFFLINE_AFTER;

/// The clock of one start of the index (BT-2.3-8).
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Which start it is.
    pub boot_id: Hex64,
    started: Instant,
}

/// When a session was heard, and what a heartbeat is answered. A heartbeat that is answered from here touches one number,
/// and nothing that another session has.
#[derive(Debug)]
pub struct Pulse {
    /// In nanoseconds of the clock: half the size of an [`Instant`], and as exact.
    heard_ns: AtomicU64,
    /// What the session offers: how many files, and the sum of their digests (BT-2.4-3).
    offered: AtomicU32,
    digest: AtomicU64,
}

/// In the place of the moment at which a session was heard: it is over. So a heartbeat comes either before its session's end
/// or after it, and is never answered as if there were none.
const OVER: u64 = u64::MAX;

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn new(now: Instant, boot_id: Hex64) -> Self {
        Self { boot_id, started: now }
    }

    /// Milliseconds since its start.
    #[must_use]
    pub fn ms(&self, now: Instant) -> u64 {
        u64::try_from(self.elapsed(now).as_millis()).expect("500 million years are not over")
    }

    pub(super) fn ns(&self, now: Instant) -> u64 {
        nanoseconds(self.elapsed(now))
    }

    fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }
}

impl Pulse {
    /// Of a session that is heard now, and offers nothing yet.
    pub(super) fn new(now_ns: u64) -> Self {
        Self { heard_ns: now_ns.into(), offered: 0.into(), digest: 0.into() }
    }

    /// Answers a heartbeat of a framed session, unless it comes too late (BT-2.3-4).
    #[must_use]
    pub fn beat(&self, now: Instant, clock: &Clock) -> Option<HeartbeatReply> {
        let now_ns = clock.ns(now);
        let silence_ns = nanoseconds(OFFLINE_AFTER);
        let is_in_time = |heard_ns: u64| heard_ns.saturating_add(silence_ns) > now_ns;
        let later = |heard_ns| (heard_ns != OVER && is_in_time(heard_ns)).then(|| now_ns.max(heard_ns));
        self.heard_ns.fetch_update(Relaxed, Relaxed, later).ok().map(|_| self.reply(now, clock))
    }

    /// Whether the session is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.heard_ns.load(Relaxed) == OVER
    }

    /// What a heartbeat is answered now.
    pub(super) fn reply(&self, now: Instant, clock: &Clock) -> HeartbeatReply {
        let digest = Hex64(self.digest.load(Relaxed));
        HeartbeatReply { boot_id: clock.boot_id, clock_ms: clock.ms(now), offered: self.offered(), digest }
    }

    /// Notes a sign of life. Says whether the session wasn't over.
    pub(super) fn hear(&self, now_ns: u64) -> bool {
        let later = |heard_ns| if heard_ns == OVER { None } else { Some(now_ns.max(heard_ns)) };
        self.heard_ns.fetch_update(Relaxed, Relaxed, later).is_ok()
    }

    /// Ends the session if nothing has been heard of it for so long; says until when it goes on if it does.
    pub(super) fn end_if_silent(&self, now_ns: u64, silence: Duration) -> Option<u64> {
        let over_at_ns = |heard_ns: u64| heard_ns.saturating_add(nanoseconds(silence));
        let ended = |heard_ns| (over_at_ns(heard_ns) <= now_ns).then_some(OVER);
        self.heard_ns.fetch_update(Relaxed, Relaxed, ended).err().map(over_at_ns)
    }

    /// The session is over.
    pub(super) fn end(&self) {
        self.heard_ns.store(OVER, Relaxed);
    }

    /// Files that the session offers.
    pub(super) fn offered(&self) -> u32 {
        self.offered.load(Relaxed)
    }

    /// One more is offered, for which this is the digest.
    pub(super) fn add_offer(&self, digest: u64) {
        self.offered.fetch_add(1, Relaxed);
        self.digest.fetch_add(digest, Relaxed);
    }

    /// One is offered no more, for which this was the digest.
    pub(super) fn remove_offer(&self, digest: u64) {
        self.offered.fetch_sub(1, Relaxed);
        self.digest.fetch_sub(digest, Relaxed);
    }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("584 years are not over")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_nanos(7);

    #[test]
    fn a_heartbeat_comes_before_the_end_or_after_it() {
        let pulse = Pulse::new(10);
        assert_eq!(pulse.end_if_silent(16, SILENCE), Some(17));
        assert!(pulse.hear(12));
        assert_eq!(pulse.end_if_silent(18, SILENCE), Some(19));
        assert_eq!(pulse.end_if_silent(19, SILENCE), None);
        assert!(!pulse.hear(20) && pulse.is_over());
    }

    #[test]
    fn a_heartbeat_that_was_read_later_moves_nothing_back() {
        let pulse = Pulse::new(10);
        assert!(pulse.hear(30) && pulse.hear(20));
        assert_eq!(pulse.end_if_silent(36, SILENCE), Some(37));
    }

    #[test]
    fn of_two_threads_one_ends_the_session_and_the_other_learns_it() {
        for now_ns in 7..1_000 {
            let pulse = Pulse::new(now_ns - 7);
            let (goes_on_until, is_heard) = std::thread::scope(|scope| {
                let beat = scope.spawn(|| pulse.hear(now_ns));
                (pulse.end_if_silent(now_ns, SILENCE), beat.join().unwrap())
            });
            assert_eq!(is_heard, goes_on_until.is_some());
        }
    }
}
