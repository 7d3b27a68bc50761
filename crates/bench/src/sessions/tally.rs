//! What has come of the heartbeats.

use super::pace::{LATE, Lateness};

/// Counts of heartbeats and their answers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Heartbeats that were sent.
    pub(super) sent: u64,
    /// Of all, those that were sent because the one before had no answer.
    pub(super) repeated: u64,
    /// Good answers to them, each before its session's next heartbeat.
    pub(super) alive: u64,
    /// The same, but after it.
    pub(super) late: u64,
    /// Heartbeats and answers that were lost as they should be.
    pub(super) lost_heartbeats: u64,
    pub(super) lost_answers: u64,
    /// Heartbeats without an answer when the session's next one was due.
    pub(super) unanswered: u64,
    /// How often the index took a session for offline that sends its heartbeats.
    pub(super) offline: u64,
    /// How often it had to: so many of its heartbeats had been lost in a row.
    pub(super) offline_by_loss: u64,
}

/// Part of all heartbeats that may be late before the loader says that it can't keep the pace.
const LATE_PART_MAX: f64 = 0.001;

/// Part of the heartbeats that should have been sent by the end and must have been.
const KEPT_PART_MIN: f64 = 0.999;

impl Tally {
    /// Says what the figures don't, and aloud what makes them worth less.
    pub(super) fn explain(&self, name: &str, lateness: Lateness, expected: f64, load_busy: f64) {
        eprintln!(
            "{name}: {} heartbeats sent ({} once more), {} answered in time; lost on purpose: {} heartbeats and {} answers; the latest was \
             sent {:.1} ms late; the loader was busy for {:.0} % of the time",
            self.sent,
            self.repeated,
            self.alive,
            self.lost_heartbeats,
            self.lost_answers,
            lateness.most.as_secs_f64() * 1e3,
            load_busy * 100.0
        );
        let (late, turns) = (lateness.late as f64, lateness.turns as f64);
        if late > turns * LATE_PART_MAX || turns < expected * KEPT_PART_MIN {
            eprintln!(
                "{name}: THE LOADER CAN'T KEEP THE PACE: {turns:.0} of {expected:.0} heartbeats had their turn, {late:.0} of \
                 them more than {} ms late: the figures say less than they should",
                LATE.as_millis()
            );
        }
    }

    /// Says what has happened to those heartbeats that should have had an answer and had none. `dropped` is what the server's
    /// socket had no room for, if that is known.
    pub(super) fn explain_gaps(&self, name: &str, dropped: Option<u64>) {
        if self.unanswered > 0 {
            let dropped = dropped.map_or("an unknown number of".to_owned(), |dropped| dropped.to_string());
            eprintln!(
                "{name}: {} heartbeats had no answer when the next one was due, {} of which came later; the server's socket \
                 dropped {dropped} datagrams, as it was full: the server had to wait for a core, or doesn't keep up",
                self.unanswered, self.late
            );
        }
        if self.offline > 0 {
            eprintln!(
                "{name}: {} times a session was taken for offline; {} of them after six heartbeats in a row, or more, \
                 were lost on purpose, as the protocol wants it (BT-2.4-1)",
                self.offline, self.offline_by_loss
            );
        }
    }
}
