//! Who may fetch what from us: tickets, checked without asking anybody (BT-6.7).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bittrickle_wire::seal::{PublicKey, TICKET_LIFE_MS_MAX, Ticket, TicketError, TicketKey};
use bittrickle_wire::{Hex64, Target};

/// What it takes to check a ticket: the keys shared with the index, its clock, and the tickets that were used.
#[derive(Debug, Default)]
pub struct Admission {
    /// The newest last; an older one is good until its last ticket has ended.
    keys: Vec<(TicketKey, Option<Instant>)>,
    /// What the clock of this start of the index said, and when we heard it.
    clock: Option<(Hex64, u64, Instant)>,
    used: HashMap<Ticket, u64>,
    /// The last silence of the index, if that is over.
    silence: Option<Silence>,
    silence_min: Duration,
}

/// A time in which nothing was heard from the index, so that nobody could get a new ticket.
#[derive(Clone, Copy, Debug)]
struct Silence {
    /// When it was heard last before.
    from: Instant,
    until: Instant,
}

/// Why somebody isn't let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotAdmitted {
    /// The ticket isn't good.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// Too many tickets are in use to remember another one.
    #[error("too many tickets are in use")]
    Full,
}

/// Tickets that are remembered until they end.
const USED_MAX: usize = 65_536;

/// Keys that are remembered: one handshake an hour, or a few in a bad network.
const KEYS_MAX: usize = 16;

/// An index that isn't heard for so long is silent, unless it takes longer itself to forget us.
const SILENCE_MIN: Duration = Duration::from_secs(7);

/// How long those whose tickets have ended in a silence have to show new ones after it.
const RENEWAL_GRACE: Duration = Duration::from_secs(30);

impl Admission {
    /// A handshake with the index is done: tickets are made with this key from now on.
    pub fn add_key(&mut self, now: Instant, key: TicketKey) {
        let ends = now + Duration::from_millis(TICKET_LIFE_MS_MAX);
        for (_, until) in &mut self.keys {
            until.get_or_insert(ends);
        }
        self.keys.retain(|(_, until)| until.is_none_or(|until| until > now));
        if self.keys.len() == KEYS_MAX {
            self.keys.remove(0);
        }
        self.keys.push((key, None));
    }

    /// The clock of this start of the index says this. It never goes back; with another start, which has another clock,
    /// the tickets of the one before are worth nothing (BT-6.7-6). It forgets us when it hears nothing for `offline_after`.
    pub fn set_clock(&mut self, now: Instant, boot_id: Hex64, clock_ms: u64, offline_after: Duration) {
        self.silence_min = offline_after.max(SILENCE_MIN);
        if let Some((.., heard)) = self.clock
            && now.saturating_duration_since(heard) >= self.silence_min
        {
            self.silence = Some(Silence { from: heard, until: now });
        }
        match self.clock {
            Some((known, ..)) if known == boot_id => {
                let clock_ms = clock_ms.max(self.clock_ms(now).unwrap_or(0));
                self.clock = Some((boot_id, clock_ms, now));
            }
            Some(_) => {
                self.keys.drain(..self.keys.len().saturating_sub(1));
                self.used.clear();
                self.clock = Some((boot_id, clock_ms, now));
            }
            None => self.clock = Some((boot_id, clock_ms, now)),
        }
    }

    /// Lets a device in that shows this ticket to fetch this target, once. Says until when.
    ///
    /// # Errors
    /// The index has not permitted it, or not for now, or the ticket was used before.
    pub fn admit(
        &mut self,
        now: Instant,
        device: &PublicKey,
        target: &Target,
        ticket: &Ticket,
    ) -> Result<Instant, NotAdmitted> {
        let now_ms = self.clock_ms(now).ok_or(TicketError::Forged)?;
        let keys = self.keys.iter().rev().filter(|(_, until)| until.is_none_or(|until| until > now));
        let mut checked = Err(TicketError::Forged);
        for (key, _) in keys {
            checked = key.check(now_ms, device, target, ticket);
            if checked != Err(TicketError::Forged) {
                break;
            }
        }
        checked?;
        if self.used.contains_key(ticket) {
            return Err(TicketError::Used.into());
        }
        if self.used.len() == USED_MAX {
            self.used.retain(|_, ends_ms| *ends_ms > now_ms);
        }
        if self.used.len() == USED_MAX {
            return Err(NotAdmitted::Full);
        }
        self.used.insert(*ticket, ticket.ends_ms());
        Ok(now + Duration::from_millis(ticket.ends_ms() - now_ms))
    }

    /// Whether somebody who was let in until then may still ask. A ticket that was good when the index was heard last stays
    /// so while the index is silent, and for a while afterwards: nobody can have got a new one (BT-3.2-7).
    #[must_use]
    pub fn is_good_still(&self, now: Instant, until: Instant) -> bool {
        if now <= until {
            return true;
        }
        let Some((.., heard)) = self.clock else { return false };
        if now.saturating_duration_since(heard) >= self.silence_min {
            return until >= heard;
        }
        self.silence.is_some_and(|silence| until >= silence.from && now < silence.until + RENEWAL_GRACE)
    }

    fn clock_ms(&self, now: Instant) -> Option<u64> {
        let (_, clock_ms, heard) = self.clock?;
        let elapsed = now.saturating_duration_since(heard);
        Some(clock_ms.saturating_add(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BT-3.2-7
    #[test]
    fn a_connection_goes_on_while_the_index_is_silent_and_shows_a_new_ticket_afterwards() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut admission = Admission::default();
        (0..=100).step_by(2).for_each(|second| {
            admission.set_clock(at(second), Hex64(1), second * 1_000, Duration::from_secs(7));
        });
        assert!(admission.is_good_still(at(101), at(102)));
        assert!(!admission.is_good_still(at(101), at(99)), "it has ended while the index was there");
        assert!(!admission.is_good_still(at(104), at(103)), "that isn't a silence yet");
        assert!(admission.is_good_still(at(4_000), at(103)));
        assert!(!admission.is_good_still(at(4_000), at(99)), "it had ended before");
        (5_000..=5_100).step_by(2).for_each(|second| {
            // Another start of the index, as after its end.
            admission.set_clock(at(second), Hex64(2), second, Duration::from_secs(7));
            assert_eq!(admission.is_good_still(at(second), at(103)), second < 5_030, "{second}");
        });
        assert!(!admission.is_good_still(at(5_029), at(99)));
    }
}
