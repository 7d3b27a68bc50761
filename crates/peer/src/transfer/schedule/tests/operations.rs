//! Any calls in any order: whatever happens, what must hold holds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use super::{Schedule, SourceId, any_instant, one_byte_each};
use crate::transfer::PieceSet;
use crate::transfer::schedule::random::Random;

/// What must hold, kept the simple way.
struct Model {
    schedule: Schedule,
    now: Instant,
    random: Random,
    /// Whoever owes a piece, by piece.
    owed: BTreeMap<u32, BTreeSet<SourceId>>,
    has: BTreeMap<SourceId, BTreeSet<u32>>,
    received: BTreeSet<(u32, SourceId)>,
    verified: BTreeSet<u32>,
    rejected: BTreeSet<(SourceId, u32)>,
}

const PIECES: u32 = 150;
const SOURCES: u32 = 6;

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            schedule: Schedule::new(PieceSet::new(PIECES), seed),
            now: any_instant(),
            random: Random::new(!seed),
            owed: BTreeMap::new(),
            has: BTreeMap::new(),
            received: BTreeSet::new(),
            verified: BTreeSet::new(),
            rejected: BTreeSet::new(),
        }
    }

    fn step(&mut self) {
        let id = SourceId(self.random.below(SOURCES));
        match self.random.below(40) {
            0 => self.add_source(id),
            1 => self.set_has(id),
            2 => self.remove_source(id),
            3 => self.refuse(id),
            4..20 => self.next(id),
            20..30 => self.receive(id),
            _ => self.write(),
        }
        self.now += Duration::from_millis(self.random.below(300).into());
    }

    fn next(&mut self, id: SourceId) {
        let pieces_max = self.random.below(5);
        let Some(range) = self.schedule.next(self.now, id, 3, pieces_max, &one_byte_each) else {
            let free = |piece: &u32| {
                !self.owed.contains_key(piece) && !self.received.iter().any(|(p, _)| p == piece)
            };
            let has = self.has.get(&id).into_iter().flatten().filter(|piece| !self.verified.contains(piece));
            assert!(
                pieces_max == 0 || has.filter(|piece| free(piece)).count() == 0,
                "something was left for it"
            );
            return;
        };
        assert!((1..=pieces_max.min(3) as usize).contains(&range.len()));
        for piece in range {
            assert!(self.has[&id].contains(&piece), "it has it");
            assert!(!self.verified.contains(&piece) && !self.received.iter().any(|(p, _)| *p == piece));
            assert!(!self.rejected.contains(&(id, piece)), "it lied about it");
            let owing = self.owed.entry(piece).or_default();
            assert!(owing.insert(id), "not asked of it twice");
            assert!(owing.len() <= 2, "asked of two at most");
        }
    }

    fn receive(&mut self, id: SourceId) {
        // Mostly what it owes, now and then anything.
        let owes: Vec<u32> =
            self.owed.iter().filter(|(_, ids)| ids.contains(&id)).map(|(piece, _)| *piece).collect();
        let piece = match owes.get(self.random.below(owes.len() as u32) as usize) {
            Some(piece) if self.random.below(20) > 0 => *piece,
            _ => self.random.below(PIECES + 1),
        };
        self.release(id, piece..piece + 1);
        if piece < PIECES && self.random.below(8) == 0 && self.rejected.len() < 300 {
            self.schedule.rejected(id, piece);
            self.rejected.insert((id, piece));
            self.has.entry(id).and_modify(|has| _ = has.remove(&piece));
            return;
        }
        let is_here = self.verified.contains(&piece) || self.received.iter().any(|(p, _)| *p == piece);
        let is_wanted = piece < PIECES && !is_here && !self.rejected.contains(&(id, piece));
        assert_eq!(self.schedule.received(id, piece), is_wanted);
        if is_wanted {
            self.received.insert((piece, id));
        }
    }

    fn write(&mut self) {
        let Some((piece, _)) = self.received.pop_first() else { return };
        self.schedule.verified(piece);
        self.verified.insert(piece);
    }

    fn add_source(&mut self, id: SourceId) {
        let has = (self.random.below(2) == 0).then(|| self.any_set());
        let all = has.as_ref().map_or_else(|| (0..PIECES).collect(), |has| has.ranges().flatten().collect());
        self.schedule.add_source(id, has);
        self.note(id, all);
    }

    fn set_has(&mut self, id: SourceId) {
        let has = self.any_set();
        self.schedule.set_has(id, has.clone());
        if self.has.contains_key(&id) {
            self.note(id, has.ranges().flatten().collect());
        }
    }

    fn note(&mut self, id: SourceId, mut has: BTreeSet<u32>) {
        has.retain(|piece| !self.rejected.contains(&(id, *piece)));
        self.has.insert(id, has);
    }

    fn remove_source(&mut self, id: SourceId) {
        self.schedule.remove_source(id);
        self.release(id, 0..PIECES);
        self.has.remove(&id);
    }

    fn refuse(&mut self, id: SourceId) {
        let first = self.random.below(PIECES);
        let range = first..first + self.random.below(9);
        self.schedule.refused(id, range.clone());
        self.release(id, range.clone());
        self.has.entry(id).and_modify(|has| has.retain(|piece| !range.contains(piece)));
    }

    fn release(&mut self, id: SourceId, pieces: Range<u32>) {
        for piece in pieces {
            self.owed.entry(piece).or_default().remove(&id);
        }
        self.owed.retain(|_, ids| !ids.is_empty());
    }

    fn any_set(&mut self) -> PieceSet {
        let mut set = PieceSet::new(PIECES);
        let first = self.random.below(PIECES);
        set.insert_range(first..first + self.random.below(PIECES));
        set
    }

    fn check(&self) {
        assert_eq!(self.schedule.is_complete(), self.verified.len() == PIECES as usize);
        assert!(self.schedule.verified_set().ranges().flatten().eq(self.verified.iter().copied()));
    }

    /// Whatever happened, an honest source that has everything brings the rest.
    fn finish(mut self) {
        let honest = SourceId(SOURCES);
        (0..SOURCES).for_each(|id| self.remove_source(SourceId(id)));
        while !self.received.is_empty() {
            self.write();
        }
        self.schedule.add_source(honest, None);
        self.note(honest, (0..PIECES).collect());
        while let Some(range) = self.schedule.next(self.now, honest, u64::MAX, 64, &one_byte_each) {
            for piece in range {
                assert!(self.schedule.received(honest, piece));
                self.schedule.verified(piece);
            }
        }
        assert!(self.schedule.is_complete(), "nothing is lost");
    }
}

#[test]
fn any_calls_in_any_order_lose_nothing_and_ask_for_nothing_in_vain() {
    for seed in 0..100 {
        let mut model = Model::new(seed);
        for _ in 0..1_000 {
            model.step();
            model.check();
        }
        model.finish();
    }
}
