//! A network in which a tick is a tenth of a second and a piece is one unit of what is sent in it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Schedule, SourceId, any_instant, one_byte_each};
use crate::transfer::PieceSet;

/// What a member of the network does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manner {
    Honest,
    /// Every third piece that it sends is wrong.
    Lies,
    /// Sends nothing from this tick on, and says nothing.
    StallsAt(u32),
    /// Its connection ends in this tick.
    VanishesAt(u32),
}

/// A member of the network: has pieces, sends them, and may be fetching.
pub(super) struct Member {
    manner: Manner,
    units_per_tick: u32,
    has: PieceSet,
    /// Pieces it has been asked for, by whom: everybody in turn.
    queues: Vec<VecDeque<u32>>,
    schedule: Option<Schedule>,
    sent: u32,
    pub(super) complete_at: Option<u32>,
}

pub(super) struct Network {
    start: Instant,
    tick: u32,
    pieces: u32,
    poll_ticks: u32,
    pub(super) members: Vec<Member>,
}

/// Pieces that one member asks another for ahead of time.
const AHEAD: usize = 8;

impl Network {
    pub(super) fn new(pieces: u32, poll_ticks: u32) -> Self {
        Self { start: any_instant(), tick: 0, pieces, poll_ticks, members: Vec::new() }
    }

    pub(super) fn add_source(&mut self, units_per_tick: u32, manner: Manner) {
        let has = PieceSet::full(self.pieces);
        self.add(Member { manner, units_per_tick, has, ..Member::new(self.pieces) });
    }

    pub(super) fn add_taker(&mut self, units_per_tick: u32, seed: u64) {
        let schedule = Some(Schedule::new(PieceSet::new(self.pieces), seed));
        self.add(Member { units_per_tick, schedule, ..Member::new(self.pieces) });
    }

    fn add(&mut self, member: Member) {
        self.members.push(member);
        let count = self.members.len();
        self.members.iter_mut().for_each(|member| member.queues.resize(count, VecDeque::new()));
    }

    /// Runs until everybody has everything, and says how many ticks that took.
    pub(super) fn run(&mut self, ticks_max: u32) -> u32 {
        self.introduce();
        while self.members.iter().any(|member| member.schedule.is_some() && member.complete_at.is_none()) {
            assert!(self.tick < ticks_max, "not complete after {ticks_max} ticks");
            self.step();
        }
        self.tick
    }

    /// Pieces that were sent beyond what everybody needed.
    pub(super) fn superfluous(&self) -> u32 {
        let takers = self.members.iter().filter(|member| member.schedule.is_some()).count() as u32;
        self.members.iter().map(|member| member.sent).sum::<u32>() - takers * self.pieces
    }

    fn introduce(&mut self) {
        let sets: Vec<_> = self.members.iter().map(|member| member.has.clone()).collect();
        for (taker, member) in self.members.iter_mut().enumerate() {
            let Some(schedule) = &mut member.schedule else { continue };
            for (source, has) in sets.iter().enumerate().filter(|(source, _)| *source != taker) {
                let has = Some(has.clone()).filter(|has| !has.is_complete());
                schedule.add_source(SourceId(source as u32), has);
            }
        }
    }

    fn step(&mut self) {
        for taker in 0..self.members.len() {
            for source in 0..self.members.len() {
                if taker != source {
                    self.ask(taker, source);
                }
            }
        }
        for source in 0..self.members.len() {
            self.send(source);
        }
        self.tick += 1;
        for member in &mut self.members {
            if member.schedule.as_ref().is_some_and(Schedule::is_complete) {
                member.complete_at.get_or_insert(self.tick);
            }
        }
    }

    /// One member sees what another has, from time to time, and asks it.
    fn ask(&mut self, taker: usize, source: usize) {
        let now = self.start + Duration::from_millis(100) * self.tick;
        let id = SourceId(source as u32);
        let Some(mut schedule) = self.members[taker].schedule.take() else { return };
        let other = &mut self.members[source];
        // Not all in the same tick.
        if other.schedule.is_some()
            && (self.tick + (taker * 3 + source) as u32).is_multiple_of(self.poll_ticks)
        {
            schedule.set_has(id, other.has.clone());
        }
        if other.manner == Manner::VanishesAt(self.tick) {
            schedule.remove_source(id);
            other.queues[taker].clear();
        }
        while other.queues[taker].len() < AHEAD {
            let room = (AHEAD - other.queues[taker].len()) as u32;
            let Some(range) = schedule.next(now, id, u64::from(room), room, &one_byte_each) else { break };
            assert!(range.clone().all(|piece| other.has.contains(piece)), "it was asked for what it has");
            other.queues[taker].extend(range);
        }
        self.members[taker].schedule = Some(schedule);
    }

    /// One member sends what it can in this tick, one piece to each that asks, in turn.
    fn send(&mut self, source: usize) {
        if matches!(self.members[source].manner, Manner::StallsAt(tick) if self.tick >= tick) {
            return;
        }
        let mut units = self.members[source].units_per_tick;
        // Whose turn it is first changes, so that nobody gets what is left over each time.
        let count = self.members.len();
        let mut waiting = 0;
        for taker in (0..count).cycle().skip(self.tick as usize % count) {
            if units == 0 || waiting == count {
                break;
            }
            match self.members[source].queues[taker].pop_front() {
                Some(piece) => {
                    self.deliver(source, taker, piece);
                    (units, waiting) = (units - 1, 0);
                }
                None => waiting += 1,
            }
        }
    }

    fn deliver(&mut self, source: usize, taker: usize, piece: u32) {
        let id = SourceId(source as u32);
        self.members[source].sent += 1;
        let is_wrong =
            self.members[source].manner == Manner::Lies && self.members[source].sent.is_multiple_of(3);
        let taker = &mut self.members[taker];
        let Some(schedule) = &mut taker.schedule else { return };
        if is_wrong {
            schedule.rejected(id, piece);
        } else if schedule.received(id, piece) {
            schedule.verified(piece);
            taker.has.insert(piece);
        }
    }
}

impl Member {
    fn new(pieces: u32) -> Self {
        Self {
            manner: Manner::Honest,
            units_per_tick: 0,
            has: PieceSet::new(pieces),
            queues: Vec::new(),
            schedule: None,
            sent: 0,
            complete_at: None,
        }
    }
}
