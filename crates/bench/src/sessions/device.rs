//! One device of a great many: its keys, and how it stands with the index. It publishes nothing.

use std::time::Duration;

use bittrickle_server::index::OFFLINE_AFTER;
use bittrickle_wire::messages::{Heartbeat, HeartbeatReply, Login, RefusalCode, Reply, Request};
use bittrickle_wire::seal::{Aes256Gcm, KeysUsedUp, OpenError, Sealed as SealedHead};
use bittrickle_wire::{Encoding, Frame, Hex64, Message, Received};
use bytes::BytesMut;

use crate::handshake::Sealed;
use crate::people;

/// A device with a session.
#[derive(Debug)]
pub(super) struct Device {
    sealed: Sealed<Aes256Gcm>,
    stage: Stage,
    /// The request id of its latest heartbeat, while that has no answer.
    open: Option<u32>,
    /// Whether it has heard nothing since, as far as it knows: of what was lost it doesn't.
    misses_answer: bool,
    /// Heartbeats of its that were lost in a row, without one between them that was sent.
    lost_in_row: u32,
    /// The most of them since the index has last answered.
    lost_before: u32,
}

/// How it stands with the index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// Its first login has no answer yet.
    Starting,
    /// It is logged in.
    Online,
    /// The index has forgotten it, and it logs in again.
    Returning,
}

/// What an answer says to it.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Said {
    /// The answer to its latest heartbeat, as it must be.
    Alive,
    /// The answer to an earlier heartbeat.
    Late,
    /// It is logged in now, and was at this stage before.
    LoggedIn(Stage),
    /// The index takes it for offline. So many heartbeats in a row were lost before the one that is answered so.
    Offline(u32),
    /// It is taken for offline, as it knows already; or is logged in, as it knows.
    Known,
    /// Anything else.
    Wrong(Box<Reply>),
    /// No reply at all.
    Nonsense,
}

/// Logins' request ids are this; those of heartbeats are numbers of rounds, which are less.
const LOGIN_REQUEST_ID: u32 = u32::MAX;

impl Device {
    /// Has made its handshake.
    pub(super) fn new(sealed: Sealed<Aes256Gcm>) -> Self {
        Self {
            sealed,
            stage: Stage::Starting,
            open: None,
            misses_answer: false,
            lost_in_row: 0,
            lost_before: 0,
        }
    }

    /// Whether it says that it is there.
    pub(super) fn beats(&self) -> bool {
        self.stage != Stage::Starting
    }

    /// Its heartbeat of this round is lost on its way.
    pub(super) fn lose_heartbeat(&mut self) {
        self.open = None;
        self.misses_answer = true;
        self.lost_in_row += 1;
    }

    /// Whether its latest heartbeat has no answer yet.
    pub(super) fn waits(&self) -> bool {
        self.open.is_some()
    }

    /// Whether no answer has come to what it has said last, so that it says it once more.
    pub(super) fn misses_answer(&self) -> bool {
        self.misses_answer
    }

    /// Appends its heartbeat of this round.
    ///
    /// # Errors
    /// The session is at its end.
    pub(super) fn say_heartbeat(&mut self, round: u32, out: &mut BytesMut) -> Result<(), KeysUsedUp> {
        self.lost_before = self.lost_before.max(std::mem::take(&mut self.lost_in_row));
        self.open = Some(round);
        self.misses_answer = true;
        self.say(round, Request::Heartbeat(Heartbeat {}), out)
    }

    /// Appends its login.
    ///
    /// # Errors
    /// The session is at its end.
    pub(super) fn say_login(&mut self, number: usize, out: &mut BytesMut) -> Result<(), KeysUsedUp> {
        let login = Login { transfer_port: people::transfer_port_of(number) };
        self.say(LOGIN_REQUEST_ID, Request::Login(login), out)
    }

    fn say(&mut self, request_id: u32, request: Request, out: &mut BytesMut) -> Result<(), KeysUsedUp> {
        let message = Message::Request(request);
        self.sealed.session.seal(Frame { request_id, encoding: Encoding::Bincode, message }, out)
    }

    /// An answer to it is lost on its way. Says whether a heartbeat had none yet.
    pub(super) fn lose_answer(&mut self) -> bool {
        self.open.take().is_some()
    }

    /// Takes what has come for it.
    ///
    /// # Errors
    /// It is not sealed for this session, or has come before.
    pub(super) fn hear(&mut self, head: SealedHead, datagram: &mut BytesMut) -> Result<Said, OpenError> {
        match self.sealed.session.open(head, datagram)?.frame {
            Ok(Some(Received::Frame(Frame { request_id, message: Message::Reply(reply), .. }))) => {
                Ok(self.take(request_id, reply))
            }
            _ => Ok(Said::Nonsense),
        }
    }

    fn take(&mut self, request_id: u32, reply: Reply) -> Said {
        let is_latest = self.open == Some(request_id);
        if is_latest {
            self.open = None;
        }
        match reply {
            Reply::HeartbeatReply(HeartbeatReply { offered: 0, digest: Hex64(0), .. }) => {
                self.lost_before = 0;
                self.misses_answer &= !is_latest;
                if is_latest { Said::Alive } else { Said::Late }
            }
            Reply::LoggedIn(_) => match std::mem::replace(&mut self.stage, Stage::Online) {
                Stage::Online => Said::Known,
                before => Said::LoggedIn(before),
            },
            Reply::Refused(refused) if refused.code == RefusalCode::NO_SESSION => {
                if self.stage != Stage::Online {
                    return Said::Known;
                }
                self.stage = Stage::Returning;
                Said::Offline(std::mem::take(&mut self.lost_before))
            }
            other => Said::Wrong(Box::new(other)),
        }
    }
}

/// Whether a device is rightly forgotten when so many of its heartbeats in a row were lost, of which there are two in an
/// interval then.
pub(super) fn is_too_long(lost: u32, interval: Duration) -> bool {
    interval * (lost / 2 + 1) > OFFLINE_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_heartbeats_in_a_row_are_too_many_to_lose_and_five_are_not() {
        let interval = Duration::from_secs(2);
        assert!(!is_too_long(5, interval));
        assert!(is_too_long(6, interval));
    }
}
