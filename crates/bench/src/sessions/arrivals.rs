//! How devices come: a handshake, then a login, a few devices at a time; and how those come back whom the index has
//! forgotten: by a login alone. Nothing is sent here.

use std::collections::HashMap;
use std::time::Instant;

use bittrickle_wire::seal::{Accept, Entropy, PublicKey, Retry};
use bytes::Bytes;

use super::device::Device;
use crate::handshake::{self, Handshake};
use crate::people;
use crate::resend::Resend;

/// Devices on their way.
pub(super) struct Arrivals {
    server_key: PublicKey,
    entropy: Entropy,
    /// The next device that comes for the first time, and how many come in all.
    next: usize,
    end: usize,
    handshakes: HashMap<usize, Attempt>,
    logins: HashMap<usize, Resend>,
}

/// A handshake that is under way.
struct Attempt {
    handshake: Handshake,
    last_sent: Bytes,
    resend: Resend,
}

/// What is due for a device.
pub(super) enum Due {
    /// Send this, which stands outside a seal.
    Handshake(usize, Bytes),
    /// Ask to be logged in.
    Login(usize),
}

/// Devices that are on their way at once: enough to keep the server busy, and so few that the curve doesn't hold up those
/// who are online already.
const TOGETHER_MAX: usize = 32;

impl Arrivals {
    /// So many will come.
    pub(super) fn new(devices: usize, server_key: PublicKey) -> Self {
        let entropy = handshake::entropy(devices);
        Self {
            server_key,
            entropy,
            next: 0,
            end: devices,
            handshakes: HashMap::new(),
            logins: HashMap::new(),
        }
    }

    /// Devices whose login has no answer yet.
    pub(super) fn logging_in(&self) -> usize {
        self.logins.len()
    }

    /// Lets the next device come, if there is one and its turn has come.
    pub(super) fn admit(&mut self, now: Instant) -> Option<Due> {
        if self.next == self.end || self.handshakes.len() + self.logins.len() >= TOGETHER_MAX {
            return None;
        }
        let number = self.next;
        self.next += 1;
        Some(self.begin(now, number))
    }

    /// Takes the server's cookie.
    pub(super) fn retried(&mut self, retry: &Retry) -> Option<Due> {
        let number = retry.device_index as usize;
        let attempt = self.handshakes.get_mut(&number)?;
        let key = people::key_of(number);
        attempt.last_sent = attempt.handshake.retried(retry, &key, &self.server_key, &mut self.entropy)?;
        Some(Due::Handshake(number, attempt.last_sent.clone()))
    }

    /// Takes the server's answer: the device, which logs in now.
    pub(super) fn accepted(&mut self, now: Instant, accept: &Accept) -> Option<(usize, Device)> {
        let number = accept.device_index as usize;
        let sealed = self.handshakes.get_mut(&number)?.handshake.accepted(accept)?;
        self.handshakes.remove(&number);
        self.log_in(now, number);
        Some((number, Device::new(sealed)))
    }

    /// This device asks to be logged in from now on.
    pub(super) fn log_in(&mut self, now: Instant, number: usize) {
        self.logins.insert(number, Resend::new(now, &mut self.entropy));
    }

    /// This device is logged in.
    pub(super) fn logged_in(&mut self, number: usize) {
        self.logins.remove(&number);
    }

    /// What has to be sent again by now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        let Self { entropy, handshakes, logins, .. } = self;
        let mut given_up = Vec::new();
        for (number, attempt) in handshakes.iter_mut().filter(|(_, attempt)| attempt.resend.due <= now) {
            if attempt.resend.again(now, entropy) {
                due.push(Due::Handshake(*number, attempt.last_sent.clone()));
            } else {
                given_up.push(*number);
            }
        }
        for (number, resend) in logins.iter_mut().filter(|(_, resend)| resend.due <= now) {
            if !resend.again(now, entropy) {
                // The peer would wait for its next heartbeat to be refused, and ask again then.
                *resend = Resend::new(now, entropy);
            }
            due.push(Due::Login(*number));
        }
        due.extend(given_up.into_iter().map(|number| self.begin(now, number)));
        due
    }

    fn begin(&mut self, now: Instant, number: usize) -> Due {
        let index = u32::try_from(number).expect("far fewer devices");
        let (handshake, hello) = Handshake::begin_as(index, &mut self.entropy);
        let resend = Resend::new(now, &mut self.entropy);
        self.handshakes.insert(number, Attempt { handshake, last_sent: hello.clone(), resend });
        Due::Handshake(number, hello)
    }
}
