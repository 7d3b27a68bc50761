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
    /// the tickets of the one before are worth nothing (BT-6.7-6).
    pub fn set_clock(&mut self, now: Instant, boot_id: Hex64, clock_ms: u64) {
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

    fn clock_ms(&self, now: Instant) -> Option<u64> {
        let (_, clock_ms, heard) = self.clock?;
        let elapsed = now.saturating_duration_since(heard);
        Some(clock_ms.saturating_add(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)))
    }
}
