//! One device, as a peer behaves: time and datagrams come in, datagrams go out. It publishes nothing.

use std::time::{Duration, Instant};

use bittrickle_wire::messages::{Heartbeat, Login, RefusalCode, Reply, Request};
use bittrickle_wire::seal::{Aes256Gcm, Datagram, Entropy, PublicKey, Reset, SecretKey};
use bittrickle_wire::{Encoding, Frame, Hex64, Message, Received};
use bytes::{Bytes, BytesMut};

use crate::handshake::{Handshake, Sealed, entropy};
use crate::people;
use crate::resend::{Resend, fraction};

/// A device.
pub(super) struct Device {
    number: usize,
    key: SecretKey,
    server_key: PublicKey,
    entropy: Entropy,
    attempt: Option<Attempt>,
    live: Option<Live>,
    login: Option<Resend>,
    next_request_id: u32,
    next_heartbeat: Instant,
    outputs: Vec<Bytes>,
}

/// How far a device has got on its way to a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// It has a session, or has had one, and doesn't know better.
    Idle,
    /// It has said hello.
    Cookie,
    /// It has made its half of the handshake.
    Accept,
    /// It has asked to be logged in.
    Login,
}

/// A handshake that is under way.
struct Attempt {
    handshake: Handshake,
    last_sent: Bytes,
    resend: Resend,
}

/// A session whose handshake is done.
struct Live {
    sealed: Sealed<Aes256Gcm>,
    heard: Instant,
}

/// How often a device says that it is there.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(2);

/// The silence after which it makes a new handshake.
const SILENCE: Duration = Duration::from_secs(7);

impl Device {
    /// Begins at this time.
    pub(super) fn new(number: usize, begins: Instant, server_key: PublicKey) -> Self {
        Self {
            number,
            key: people::key_of(number),
            server_key,
            entropy: entropy(number),
            attempt: None,
            live: None,
            login: None,
            next_request_id: 0,
            next_heartbeat: begins,
            outputs: Vec::new(),
        }
    }

    /// What it has to send.
    pub(super) fn take_outputs(&mut self) -> std::vec::Drain<'_, Bytes> {
        self.outputs.drain(..)
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn next_wake(&self) -> Instant {
        let attempt = self.attempt.as_ref().map(|attempt| attempt.resend.due);
        let login = self.login.as_ref().map(|resend| resend.due);
        let silence = self.live.as_ref().filter(|_| attempt.is_none()).map(|live| live.heard + SILENCE);
        let dues = attempt.into_iter().chain(login).chain(silence);
        dues.fold(self.next_heartbeat, Instant::min)
    }

    /// How far it has got.
    pub(super) fn stage(&self) -> Stage {
        match &self.attempt {
            Some(attempt) if attempt.handshake.has_cookie() => Stage::Accept,
            Some(_) => Stage::Cookie,
            None if self.login.is_some() => Stage::Login,
            None => Stage::Idle,
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        match &mut self.attempt {
            Some(attempt) if attempt.resend.due <= now => {
                if attempt.resend.again(now, &mut self.entropy) {
                    self.outputs.push(attempt.last_sent.clone());
                } else {
                    self.begin(now);
                }
            }
            Some(_) => {}
            None if self.live.as_ref().is_none_or(|live| live.heard + SILENCE <= now) => self.begin(now),
            None => {}
        }
        if let Some(resend) = &mut self.login
            && resend.due <= now
        {
            // Without an answer after all, the next heartbeat finds out.
            if resend.again(now, &mut self.entropy) {
                self.say_login();
            } else {
                self.login = None;
            }
        }
        if self.next_heartbeat <= now {
            self.say(Request::Heartbeat(Heartbeat {}));
            self.next_heartbeat = now + HEARTBEAT.mul_f64(0.9 + 0.2 * fraction(&mut self.entropy));
        }
    }

    /// Takes what has arrived. Says at which start of the server it is logged in now, when it has just done so.
    pub(super) fn receive(&mut self, now: Instant, datagram: &mut BytesMut) -> Option<Hex64> {
        match Datagram::parse(datagram) {
            Ok(Datagram::Retry(retry)) => {
                let Self { attempt, key, server_key, entropy, .. } = self;
                let attempt = attempt.as_mut()?;
                attempt.last_sent = attempt.handshake.retried(&retry, key, server_key, entropy)?;
                self.outputs.push(attempt.last_sent.clone());
                None
            }
            Ok(Datagram::Accept(accept)) => {
                let sealed = self.attempt.as_mut()?.handshake.accepted(&accept)?;
                self.attempt = None;
                self.live = Some(Live { sealed, heard: now });
                self.log_in(now);
                None
            }
            Ok(Datagram::Sealed(sealed)) => {
                let live = self.live.as_mut().filter(|live| live.sealed.device_index == sealed.index)?;
                let opened = live.sealed.session.open(sealed, datagram).ok()?;
                live.heard = now;
                let Ok(Some(Received::Frame(Frame { message: Message::Reply(reply), .. }))) = opened.frame
                else {
                    return None;
                };
                self.take_reply(now, &reply)
            }
            Ok(Datagram::Reset(reset)) => {
                self.take_reset(now, reset);
                None
            }
            Ok(Datagram::Hello(_) | Datagram::Initiate(_)) | Err(_) => None,
        }
    }

    fn take_reply(&mut self, now: Instant, reply: &Reply) -> Option<Hex64> {
        match reply {
            Reply::LoggedIn(logged_in) => self.login.take().map(|_| logged_in.boot_id),
            Reply::Refused(refused) if refused.code == RefusalCode::NO_SESSION && self.login.is_none() => {
                self.log_in(now);
                None
            }
            _ => None,
        }
    }

    fn take_reset(&mut self, now: Instant, reset: Reset) {
        let Some(live) = &self.live else { return };
        let session = &live.sealed.session;
        let is_ours = reset.index == session.remote_index() && reset.counter < session.sent();
        if is_ours && self.attempt.is_none() {
            self.begin(now);
        }
    }

    fn begin(&mut self, now: Instant) {
        let (handshake, hello) = Handshake::begin(&mut self.entropy);
        let resend = Resend::new(now, &mut self.entropy);
        self.outputs.push(hello.clone());
        self.attempt = Some(Attempt { handshake, last_sent: hello, resend });
    }

    fn log_in(&mut self, now: Instant) {
        self.login = Some(Resend::new(now, &mut self.entropy));
        self.say_login();
    }

    fn say_login(&mut self) {
        self.say(Request::Login(Login { transfer_port: people::transfer_port_of(self.number) }));
    }

    fn say(&mut self, request: Request) {
        let Some(live) = &mut self.live else { return };
        self.next_request_id = self.next_request_id.wrapping_add(1);
        let (request_id, message) = (self.next_request_id, Message::Request(request));
        let mut datagram = BytesMut::new();
        let frame = Frame { request_id, encoding: Encoding::Bincode, message };
        live.sealed.session.seal(frame, &mut datagram).expect("a few frames");
        self.outputs.push(datagram.freeze());
    }
}
