//! What waits for a password to be checked: enrolments and legacy logins. Checking takes long by design, so it is done
//! elsewhere; here is who waits for which answer (BT-2.11).

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bittrickle_wire::messages::{Enrol, Enrolled, RefusalCode, Refused, Reply};
use bittrickle_wire::seal::{Cipher, PublicKey};
use bittrickle_wire::{Encoding, Frame, Message};
use bytes::BytesMut;

use super::Responder;
use crate::accounts::{Check, CheckId, Purpose, Verdict};
use crate::index::LegacyLogin;

/// Who waits for a check.
#[derive(Debug, Default)]
pub(super) struct Passwords {
    next_id: u64,
    waiting: HashMap<CheckId, (Instant, Waiting)>,
    checks: VecDeque<Check>,
}

#[derive(Debug)]
enum Waiting {
    Enrolment { index: u32, device: PublicKey, request_id: u32, encoding: Encoding },
    LegacyLogin { from: SocketAddr, login: LegacyLogin },
}

/// Checks that wait or are under way. More are told to come back.
const WAITING_MAX: usize = 64;

/// How long an answer is waited for: a device gives up after as long (BT-2.11-5).
const WAITING_LIFE: Duration = Duration::from_secs(30);

impl Passwords {
    fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    fn is_waiting(&self, is_same: impl Fn(&Waiting) -> bool) -> bool {
        self.waiting.values().any(|(_, waiting)| is_same(waiting))
    }

    /// Forgets who has waited for so long that nobody is there any more.
    pub(super) fn expire(&mut self, now: Instant) {
        self.waiting.retain(|_, (since, _)| now < *since + WAITING_LIFE);
    }

    fn push(&mut self, now: Instant, waiting: Waiting, check: impl FnOnce(CheckId) -> Check) {
        let id = CheckId(self.next_id);
        self.next_id += 1;
        self.waiting.insert(id, (now, waiting));
        self.checks.push_back(check(id));
    }
}

impl<C: Cipher> Responder<C> {
    /// Has an enrolment checked. What is said at once, if anything, is a refusal.
    pub(super) fn queue_enrolment(
        &mut self,
        now: Instant,
        index: u32,
        request_id: u32,
        encoding: Encoding,
        enrol: Enrol,
    ) -> Option<Refused> {
        let device = self.table.slot(index)?.device;
        let from = self.table.line(index)?.address.ip();
        let is_waiting =
            |waiting: &Waiting| matches!(waiting, Waiting::Enrolment { device: d, .. } if *d == device);
        if self.passwords.is_waiting(is_waiting) {
            // Sent again because the answer takes its time.
            self.counters.waiting += 1;
            return None;
        }
        if self.passwords.is_full() {
            return Some(Refused::new(
                RefusalCode::TOO_FAST,
                "too many join at this moment; try again in a few seconds",
            ));
        }
        self.counters.passwords += 1;
        let waiting = Waiting::Enrolment { index, device, request_id, encoding };
        let Enrol { member, password } = enrol;
        let purpose = Purpose::Enrol(device);
        self.passwords.push(now, waiting, |id| Check { id, member, password, from, purpose });
        None
    }

    pub(super) fn queue_legacy_login(&mut self, now: Instant, from: SocketAddr, login: LegacyLogin) {
        let same = |waiting: &Waiting| matches!(waiting, Waiting::LegacyLogin { from: f, login: l } if *f == from && *l == login);
        if self.passwords.is_full() || self.passwords.is_waiting(same) {
            return self.counters.waiting += 1;
        }
        self.counters.passwords += 1;
        let (member, password) = (login.member.clone(), login.password.clone());
        let (waiting, from) = (Waiting::LegacyLogin { from, login }, from.ip());
        self.passwords.push(now, waiting, |id| Check {
            id,
            member,
            password,
            from,
            purpose: Purpose::Legacy,
        });
    }

    /// The next password to check.
    pub fn next_check(&mut self) -> Option<Check> {
        self.passwords.checks.pop_front()
    }

    /// Takes what came of a check: says to whom the answer goes that is appended to `out`.
    pub fn checked(
        &mut self,
        now: Instant,
        id: CheckId,
        verdict: &Verdict,
        out: &mut BytesMut,
    ) -> Option<SocketAddr> {
        match self.passwords.waiting.remove(&id)?.1 {
            Waiting::Enrolment { index, device, request_id, encoding } => {
                // The session may be another device's by now.
                self.table.slot(index).filter(|slot| slot.device == device)?;
                let message = Message::Reply(enrolment_reply(verdict));
                self.seal(index, Frame { request_id, encoding, message }, out)
            }
            Waiting::LegacyLogin { from, login } => {
                let is_right = *verdict == Verdict::Right;
                let reply = self.index.finish_legacy_login(now, from, &login, is_right);
                self.counters.legacy_answered += 1;
                out.extend_from_slice(&reply.encode());
                Some(from)
            }
        }
    }
}

fn enrolment_reply(verdict: &Verdict) -> Reply {
    let refused = |code, sentence: &str| Reply::Refused(Refused::new(code, sentence));
    match verdict {
        Verdict::Right => Reply::Enrolled(Enrolled {}),
        Verdict::Wrong => {
            refused(RefusalCode::AUTHENTICATION_FAILED, "the member name or the password is wrong")
        }
        Verdict::TryAgain { after } => {
            let seconds = after.saturating_add(Duration::from_millis(999)).as_secs();
            refused(RefusalCode::TOO_FAST, &format!("too many wrong passwords; try again in {seconds} s"))
        }
        Verdict::TooManyDevices => {
            let sentence = "this member has as many devices as allowed; ask the admin to revoke one";
            refused(RefusalCode::LIMIT_REACHED, sentence)
        }
        Verdict::Failed => {
            refused(RefusalCode::BUSY, "the server can't keep the device now; try again later")
        }
    }
}
