//! All devices, in one thread: heartbeats at an even pace, their answers, and whoever comes or comes back.
//!
//! The thread never waits for an answer: nobody has to wake it up, which would be charged to the server.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bittrickle_wire::seal::{Datagram, PublicKey};
use bytes::BytesMut;

use super::SessionsError;
use super::arrivals::{Arrivals, Due};
use super::device::{Device, Said, Stage, is_too_long};
use super::loss::Loss;
use super::pace::{Lateness, Pace};
use super::sockets::Sockets;
use super::tally::Tally;
use crate::interrupt;

/// The devices.
pub(super) struct Crowd {
    /// By number, once they have made their handshakes.
    devices: Vec<Option<Device>>,
    online: usize,
    sockets: Sockets,
    arrivals: Arrivals,
    /// What is said in the first interval is said at this pace as well, by those who have come.
    pub(super) pace: Pace,
    interval: Duration,
    /// How long the thread sleeps when nothing has come.
    step: Duration,
    loss: Loss,
    /// Heartbeats of whose answers it is looked at a time whether they have come: by whom, in which round.
    repeats: VecDeque<(Instant, usize, u32)>,
    /// What has come of the heartbeats so far.
    pub(super) tally: Tally,
    datagram: BytesMut,
}

/// How long the answer to a heartbeat is waited for before another one is sent (BT-2.4-1).
const REPEAT: Duration = Duration::from_millis(500);

/// How often is looked for what must be sent again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Crowd {
    /// Devices that will come as soon as [`come_online`](Self::come_online) is called.
    ///
    /// # Errors
    /// There are not enough sockets.
    pub(super) fn new(
        devices: usize,
        [interval, step]: [Duration; 2],
        server: SocketAddr,
        server_key: PublicKey,
    ) -> Result<Self, SessionsError> {
        Ok(Self {
            devices: (0..devices).map(|_| None).collect(),
            online: 0,
            sockets: Sockets::connect(devices, server)?,
            arrivals: Arrivals::new(devices, server_key),
            pace: Pace::new(Instant::now(), interval, devices),
            interval,
            step,
            loss: Loss::new(0),
            repeats: VecDeque::new(),
            tally: Tally::default(),
            datagram: BytesMut::new(),
        })
    }

    /// Has all of them make handshakes and log in, and those who have done so send their heartbeats.
    ///
    /// # Errors
    /// They don't get there in time, or somebody wants the program to end.
    pub(super) fn come_online(&mut self, patience: Duration) -> Result<(), SessionsError> {
        let deadline = Instant::now() + patience;
        while self.online < self.devices.len() {
            if Instant::now() > deadline {
                return Err(SessionsError::TooLate { online: self.online, sessions: self.devices.len() });
            }
            self.run_until(Instant::now() + LOOK_EVERY)?;
        }
        Ok(())
    }

    /// Begins the pace anew, and keeps it until nobody is on the way any more: for so many rounds at least.
    ///
    /// # Errors
    /// As for [`run_until`](Self::run_until).
    pub(super) fn warm_up(&mut self, rounds: u32) -> Result<(), SessionsError> {
        self.pace = Pace::new(Instant::now(), self.interval, self.devices.len());
        self.run_until(Instant::now() + self.interval * rounds)?;
        while self.arrivals.logging_in() > 0 {
            self.run_until(Instant::now() + LOOK_EVERY)?;
        }
        Ok(())
    }

    /// From now on, so many of a hundred datagrams are lost. Counts anew.
    pub(super) fn count_anew(&mut self, loss_percent: u8) {
        self.loss = Loss::new(loss_percent);
        self.pace.lateness = Lateness::default();
        self.tally = Tally::default();
    }

    /// Devices whose login has no answer yet.
    pub(super) fn logging_in(&self) -> usize {
        self.arrivals.logging_in()
    }

    /// Sends and receives until this time.
    ///
    /// # Errors
    /// The server has gone, or somebody wants the program to end.
    pub(super) fn run_until(&mut self, end: Instant) -> Result<(), SessionsError> {
        let mut look_at = Instant::now();
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            if now >= look_at {
                if interrupt::requested() {
                    return Err(SessionsError::Interrupted);
                }
                let due = self.arrivals.take_due(now);
                due.into_iter().try_for_each(|due| self.say(due))?;
                look_at = now + LOOK_EVERY;
            }
            self.say_heartbeats(now)?;
            self.repeat_heartbeats(now)?;
            let received = self.receive_all(now)?;
            while let Some(due) = self.arrivals.admit(now) {
                self.say(due)?;
            }
            self.sockets.flush();
            if !received {
                std::thread::sleep(self.step);
            }
        }
    }

    /// Takes the answers that are still on their way, and lets nobody say anything.
    ///
    /// # Errors
    /// The server has gone.
    pub(super) fn settle(&mut self, duration: Duration) -> Result<(), SessionsError> {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            if !self.receive_all(Instant::now())? {
                std::thread::sleep(self.step);
            }
            self.sockets.flush();
        }
        self.tally.unanswered += self.devices.iter().flatten().filter(|device| device.waits()).count() as u64;
        Ok(())
    }

    fn say_heartbeats(&mut self, now: Instant) -> Result<(), SessionsError> {
        for turn in self.pace.take_due(now) {
            let number = usize::try_from(turn % self.devices.len() as u64).expect("a device's number");
            let round = u32::try_from(turn / self.devices.len() as u64).expect("an hour has few rounds");
            let Some(device) = self.devices[number].as_mut().filter(|device| device.beats()) else {
                continue;
            };
            self.tally.unanswered += u64::from(device.waits());
            self.say_heartbeat(number, round)?;
            self.repeats.push_back((now + REPEAT, number, round));
        }
        self.sockets.flush();
        Ok(())
    }

    /// Those that have no answer, lost or not, are followed by one more (BT-2.4-1).
    fn repeat_heartbeats(&mut self, now: Instant) -> Result<(), SessionsError> {
        while self.repeats.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, number, round)) = self.repeats.pop_front() else { break };
            if self.devices[number].as_ref().is_some_and(|device| device.beats() && device.misses_answer()) {
                self.tally.repeated += 1;
                self.say_heartbeat(number, round)?;
            }
        }
        self.sockets.flush();
        Ok(())
    }

    fn say_heartbeat(&mut self, number: usize, round: u32) -> Result<(), SessionsError> {
        let Some(device) = self.devices[number].as_mut() else { return Ok(()) };
        if self.loss.strikes() {
            device.lose_heartbeat();
            self.tally.lost_heartbeats += 1;
        } else {
            self.sockets.address(number);
            device.say_heartbeat(round, self.sockets.outbound.bytes())?;
            self.sockets.outbound.end(None);
            self.tally.sent += 1;
        }
        Ok(())
    }

    /// Says whether something has come.
    fn receive_all(&mut self, now: Instant) -> Result<bool, SessionsError> {
        let mut received = false;
        for socket in self.sockets.ready()? {
            let count = self.sockets.receive(socket)?;
            received |= count > 0;
            for number in 0..count {
                self.datagram.clear();
                self.datagram.extend_from_slice(self.sockets.datagram(number));
                self.hear(now)?;
            }
        }
        Ok(received)
    }

    fn hear(&mut self, now: Instant) -> Result<(), SessionsError> {
        match Datagram::parse(&self.datagram) {
            Ok(Datagram::Sealed(head)) => {
                let number = head.index as usize;
                let Some(device) = self.devices.get_mut(number).and_then(Option::as_mut) else {
                    return Ok(());
                };
                if self.loss.strikes() {
                    self.tally.lost_answers += u64::from(device.lose_answer());
                    return Ok(());
                }
                let said = device.hear(head, &mut self.datagram)?;
                self.take(now, number, said)
            }
            Ok(Datagram::Retry(retry)) => self.arrivals.retried(&retry).map_or(Ok(()), |due| self.say(due)),
            Ok(Datagram::Accept(accept)) => match self.arrivals.accepted(now, &accept) {
                Some((number, device)) => {
                    self.devices[number] = Some(device);
                    self.say(Due::Login(number))
                }
                None => Ok(()),
            },
            Ok(Datagram::Reset(_)) => Err(SessionsError::Reset),
            Ok(Datagram::Hello(_) | Datagram::Initiate(_)) | Err(_) => Ok(()),
        }
    }

    fn take(&mut self, now: Instant, number: usize, said: Said) -> Result<(), SessionsError> {
        match said {
            Said::Alive => self.tally.alive += 1,
            Said::Late => self.tally.late += 1,
            Said::LoggedIn(before) => {
                self.arrivals.logged_in(number);
                self.online += usize::from(before == Stage::Starting);
            }
            Said::Offline(lost) => {
                self.tally.offline += 1;
                self.tally.offline_by_loss += u64::from(is_too_long(lost, self.interval));
                self.arrivals.log_in(now, number);
                self.say(Due::Login(number))?;
            }
            Said::Known => {}
            Said::Wrong(reply) => return Err(SessionsError::Answer(reply)),
            Said::Nonsense => return Err(SessionsError::NoFrame),
        }
        Ok(())
    }

    /// Handshakes and logins: those are lost as all else is.
    fn say(&mut self, due: Due) -> Result<(), SessionsError> {
        if self.loss.strikes() {
            return Ok(());
        }
        match due {
            Due::Handshake(number, datagram) => {
                self.sockets.address(number);
                self.sockets.outbound.bytes().extend_from_slice(&datagram);
            }
            Due::Login(number) => {
                self.sockets.address(number);
                let Some(device) = self.devices[number].as_mut() else { return Ok(()) };
                device.say_login(number, self.sockets.outbound.bytes())?;
            }
        }
        self.sockets.outbound.end(None);
        Ok(())
    }
}
