//! The session with the index: what to say, when to say it again, and what to do when the index has forgotten us.
//!
//! Pure: the time and what arrived go in, [`Output`]s come out. The run loop's one rule: after every call, take all
//! outputs, then sleep until [`Session::next_wake`] or until something arrives.
//!
//! ```text
//!            LoggedIn                     no session, or another digest
//! Starting ───────────▶ Online ──────────────────────────────▶ Returning
//!    │ refused,           ▲                                        │
//!    │ no answer          └──────────── LoggedIn, publish again ───┤
//!    ▼                                                             │ refused
//!  Closed ◀────────────────────────────────────────────────────────┘
//! ```
#![deny(clippy::disallowed_methods)]

mod calls;
mod heartbeats;
mod offering;
mod offers;
mod recall;
mod replies;
mod republish;
mod returns;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bittrickle_wire::messages::{Login, Logout, Refused, Reply, Request, Versions};
use bittrickle_wire::{BadFrame, Encoding, Frame, Hex64, Message, Received};

use crate::channel::ChannelError;
use crate::resend::{Jitter, Resend};
use calls::Call;
use heartbeats::Heartbeats;
use offers::Offers;
use republish::Republish;
use returns::Returns;

/// Names a request that somebody waits for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallId(u64);

/// What to do next.
#[derive(Debug)]
pub enum Output {
    /// Send this to the index.
    Send(Frame),
    /// A call has its answer.
    Finished(CallId, Result<Reply, CallError>),
    /// Tell the user.
    Event(Event),
    /// The index has stated its rhythm and its clock.
    Rhythm(Rhythm),
}

/// What the index states about time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rhythm {
    /// The start of the index whose clock it is.
    pub boot_id: Hex64,
    /// Its clock, in milliseconds: tickets end on it.
    pub clock_ms: u64,
    /// The silence after which it forgets us.
    pub offline_after: Duration,
}

/// Why a call has no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The index says no.
    #[error("{}", .0.sentence.as_str())]
    Refused(Refused),
    /// The index doesn't answer, however often it is asked.
    #[error("the server does not answer")]
    NoAnswer,
    /// There is no sealed channel to the index.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The index speaks, but not as it should.
    #[error("the server answers with what is no answer: {0}")]
    BadAnswer(String),
    /// The session is over.
    #[error("the session is over")]
    Closed,
}

/// What a user wants to know of the session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The first login has worked.
    LoggedIn,
    /// The first login has not.
    LoginFailed(CallError),
    /// Nothing has been heard from the index for longer than a session lives.
    Silent,
    /// The index answers again, or we have returned to it and offer everything again.
    Back,
    /// So many files could not be published again when we returned: they are not on offer any more.
    NotOffered(usize, CallError),
    /// We could not return to the index: it refuses us.
    Ended(Refused),
}

/// The session.
#[derive(Debug)]
pub struct Session {
    login: Login,
    /// The start of the index that we are logged in at.
    boot_id: Option<Hex64>,
    encoding: Encoding,
    phase: Phase,
    jitter: Jitter,
    next_request_id: u32,
    next_call: u64,
    pending: BTreeMap<u32, Pending>,
    /// Calls without an answer.
    calls: HashMap<CallId, Call>,
    /// Those that wait for the session to be there again.
    waiting: VecDeque<(CallId, Request)>,
    offers: Offers,
    /// Calls that end when everything is on offer.
    offering: Vec<CallId>,
    /// What is still to be sent so that the index knows all offers.
    republish: Republish,
    /// Whether anything but heartbeats went on since the last heartbeat was sent: then its digest says nothing.
    disturbed: bool,
    /// When to log in again after the index has forgotten us.
    returns: Returns,
    login_due: Option<Instant>,
    /// What could not be published again so far, and why the last of it.
    not_offered: Option<(usize, CallError)>,
    /// Whether the user is to be told once everything is published again.
    announce_return: bool,
    heartbeats: Heartbeats,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Starting,
    Online,
    Returning,
    Closed,
}

#[derive(Debug)]
struct Pending {
    purpose: Purpose,
    request: Request,
    resend: Resend,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    Login,
    /// After a new handshake, while the session goes on.
    Renewal,
    Logout,
    Republish,
    Call(CallId),
}

impl Session {
    /// A session that will log in once there is a channel: then [`Session::begin`] is called. `seed` spreads the moments
    /// of sending; it need not be secret.
    #[must_use]
    pub fn new(now: Instant, login: Login, encoding: Encoding, seed: u64) -> Self {
        let heartbeats = Heartbeats {
            heartbeat: Duration::from_secs(2),
            offline_after: Duration::from_secs(7),
            next: now,
            next_in_rhythm: now,
            request_id: None,
            heard: now,
            silent: false,
        };
        Self {
            login,
            boot_id: None,
            encoding,
            phase: Phase::Starting,
            jitter: Jitter::new(seed),
            next_request_id: seed as u32,
            next_call: 0,
            pending: BTreeMap::new(),
            calls: HashMap::new(),
            waiting: VecDeque::new(),
            offers: Offers::default(),
            offering: Vec::new(),
            republish: Republish::default(),
            disturbed: true,
            returns: Returns::new(now),
            login_due: None,
            not_offered: None,
            announce_return: false,
            heartbeats,
            outputs: VecDeque::new(),
        }
    }

    /// There is a channel: logs in.
    pub fn begin(&mut self, now: Instant) {
        self.log_in(now);
    }

    /// There is no channel, and there will be none. During the first login that is final; later it may come back.
    pub fn channel_failed(&mut self, error: ChannelError) {
        if self.phase == Phase::Starting {
            let error = CallError::Channel(error);
            self.close(&error, Event::LoginFailed(error.clone()));
        }
    }

    /// A new handshake has been made. The index learns our address and keeps what we offer (BT-2.3-7).
    pub fn channel_renewed(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Online | Phase::Returning) {
            self.send(now, Purpose::Renewal, Request::Login(self.login.clone()));
        }
    }

    /// Takes what arrived from the index.
    pub fn receive(&mut self, now: Instant, received: Received) {
        match received {
            Received::Frame(Frame { request_id, message: Message::Reply(reply), .. }) => {
                self.receive_reply(now, request_id, reply);
            }
            Received::Frame(Frame { request_id, message: Message::Versions(versions), .. }) => {
                let Versions { lowest, highest } = versions;
                self.fail_pending(now, request_id, &format!("it speaks versions {lowest} to {highest} only"));
            }
            // Not a reply, or none that we can read: if it answers a question, that question fails.
            Received::Frame(frame) => self.fail_pending(now, frame.request_id, "it is no reply"),
            Received::Bad(BadFrame { request_id, fault, .. }) => {
                self.fail_pending(now, request_id, &fault.to_string());
            }
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        let due: Vec<u32> =
            self.pending.iter().filter(|(_, p)| p.resend.due <= now).map(|(id, _)| *id).collect();
        for id in due {
            self.resend_or_give_up(now, id);
        }
        self.log_in_when_due(now);
        if self.phase != Phase::Starting && self.phase != Phase::Closed && self.heartbeats.next <= now {
            self.beat(now);
        }
    }

    /// The moment at which [`Session::tick`] has something to do, if nothing arrives before.
    #[must_use]
    pub fn next_wake(&self) -> Option<Instant> {
        let resends = self.pending.values().map(|pending| pending.resend.due);
        let beat = matches!(self.phase, Phase::Online | Phase::Returning).then_some(self.heartbeats.next);
        resends.chain(beat).chain(self.login_due).min()
    }

    /// What to do next, oldest first.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Leaves. The one answer that may still come is that of the logout.
    pub fn leave(&mut self, now: Instant) {
        self.pending.clear();
        self.login_due = None;
        if self.phase != Phase::Closed {
            self.send(now, Purpose::Logout, Request::Logout(Logout {}));
        }
        self.phase = Phase::Closed;
    }

    /// Whether nothing is left to say or to wait for.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Closed && self.pending.is_empty() && self.outputs.is_empty()
    }

    fn log_in_when_due(&mut self, now: Instant) {
        if self.login_due.is_some_and(|due| due <= now) {
            self.login_due = None;
            self.log_in(now);
        }
    }

    fn log_in(&mut self, now: Instant) {
        self.send(now, Purpose::Login, Request::Login(self.login.clone()));
    }

    fn send(&mut self, now: Instant, purpose: Purpose, request: Request) {
        self.disturbed = true;
        let resend = Resend::new(now, &mut self.jitter);
        let id = self.push_frame(request.clone());
        self.pending.insert(id, Pending { purpose, request, resend });
    }

    fn push_frame(&mut self, request: Request) -> u32 {
        let request_id = self.next_request_id;
        self.next_request_id = self.next_request_id.wrapping_add(1);
        let message = Message::Request(request);
        self.outputs.push_back(Output::Send(Frame { request_id, encoding: self.encoding, message }));
        request_id
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn resend_or_give_up(&mut self, now: Instant, id: u32) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        if pending.resend.again(now, &mut self.jitter) {
            let message = Message::Request(pending.request.clone());
            self.outputs.push_back(Output::Send(Frame { request_id: id, encoding: self.encoding, message }));
            return;
        }
        if let Some(pending) = self.pending.remove(&id) {
            self.give_up(now, &pending, CallError::NoAnswer);
        }
    }

    /// What follows when a request has failed for good, by silence or by nonsense.
    fn give_up(&mut self, now: Instant, pending: &Pending, error: CallError) {
        match pending.purpose {
            Purpose::Call(call) => self.fail(call, error),
            Purpose::Login if self.phase == Phase::Starting => {
                self.close(&error.clone(), Event::LoginFailed(error));
            }
            Purpose::Login => self.wait_for_index(&error),
            Purpose::Logout if self.phase == Phase::Returning => self.log_in(now),
            Purpose::Republish if matches!(pending.request, Request::Recall(_) | Request::Resume(_)) => {
                self.republish.failed(&pending.request);
                self.send_republish(now);
            }
            // The next heartbeat, or the next handshake, finds out.
            Purpose::Republish => self.fail_offering(&error),
            Purpose::Renewal | Purpose::Logout => {}
        }
    }

    /// The return has failed for now. Nobody is kept waiting for it; heartbeats go on, and the next one that is refused
    /// tries again.
    fn wait_for_index(&mut self, error: &CallError) {
        self.phase = Phase::Online;
        self.fail_offering(error);
        for (call, _) in std::mem::take(&mut self.waiting) {
            self.fail(call, error.clone());
        }
    }

    fn close(&mut self, error: &CallError, event: Event) {
        self.phase = Phase::Closed;
        self.login_due = None;
        self.fail_offering(error);
        let pending =
            std::mem::take(&mut self.pending).into_values().filter_map(|pending| match pending.purpose {
                Purpose::Call(call) => Some(call),
                Purpose::Login | Purpose::Renewal | Purpose::Logout | Purpose::Republish => None,
            });
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|(call, _)| call);
        for call in pending.chain(waiting).collect::<Vec<_>>() {
            self.finish(call, Err(error.clone()));
        }
        self.event(event);
    }
}
