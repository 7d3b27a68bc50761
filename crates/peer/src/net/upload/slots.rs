//! Upload slots: who has one, and whose turn is next (BT-3.7-5).

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bittrickle_wire::seal::PublicKey;

/// Slots that uploads take, one for each answer. Clones share them.
#[derive(Clone, Debug)]
pub(in crate::net) struct Slots(Arc<Mutex<State>>);

/// One slot; taken until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    taker: Taker,
}

/// Who takes slots.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Taker {
    /// A device, over however many connections.
    Device(PublicKey),
    /// All of the original's clients.
    Originals,
}

/// Somebody waits only while no slot is free.
#[derive(Debug)]
struct State {
    free: usize,
    /// Slots that each taker has, of those that have any.
    taken: HashMap<Taker, usize>,
    /// By the order in which they came.
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
    /// The places in line of those who have just been told to come back, and when.
    told: HashMap<Taker, (u64, Instant)>,
    is_closed: bool,
}

#[derive(Debug)]
struct Waiting {
    taker: Taker,
    turn: SyncSender<()>,
}

/// How long somebody waits for a slot: shorter than a taker waits for an answer (BT-5.4-1).
pub(super) const SLOT_WAIT: Duration = Duration::from_secs(2);

/// Who comes back within this time has the place in line that it had.
const PLACE_KEPT: Duration = Duration::from_secs(5);

impl Slots {
    /// So many, all of them free.
    pub(in crate::net) fn new(count: usize) -> Self {
        let (taken, waiting, told) = Default::default();
        Self(Arc::new(Mutex::new(State { free: count, taken, waiting, next: 0, told, is_closed: false })))
    }

    /// Takes a slot, if there is one now.
    pub(super) fn take(&self, taker: Taker) -> Option<Slot> {
        let mut state = self.state();
        (state.free > 0 && !state.is_closed).then(|| {
            state.give(taker);
            Slot { slots: self.clone(), taker }
        })
    }

    /// Takes a slot, or waits for one in line.
    pub(super) fn wait(&self, taker: Taker, time: Duration) -> Option<Slot> {
        let (number, turn) = {
            let mut state = self.state();
            if state.is_closed {
                return None;
            }
            if state.free > 0 {
                state.give(taker);
                return Some(Slot { slots: self.clone(), taker });
            }
            let (sender, turn) = sync_channel(1);
            let number = state.place_in_line(taker);
            state.waiting.insert(number, Waiting { taker, turn: sender });
            (number, turn)
        };
        let is_ours = turn.recv_timeout(time).is_ok() || {
            // Our turn may have come in the very moment in which we had waited long enough.
            let mut state = self.state();
            let was_waiting = state.waiting.remove(&number).is_some();
            if was_waiting {
                state.told.insert(taker, (number, Instant::now()));
            }
            !was_waiting && turn.try_recv().is_ok()
        };
        is_ours.then(|| Slot { slots: self.clone(), taker })
    }

    /// Nobody gets a slot any more, and nobody waits for one.
    pub(in crate::net) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.waiting.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The end of the line, or the place that this taker had when it was told to come back: so that its turn does come,
    /// however many others want one.
    fn place_in_line(&mut self, taker: Taker) -> u64 {
        self.told.retain(|_, (_, at)| at.elapsed() < PLACE_KEPT);
        let kept = self.told.remove(&taker).map(|(number, _)| number);
        kept.unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    fn give(&mut self, taker: Taker) {
        self.free -= 1;
        *self.taken.entry(taker).or_default() += 1;
    }

    fn give_back(&mut self, taker: Taker) {
        self.free += 1;
        match self.taken.get_mut(&taker) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.taken.remove(&taker)),
        }
        self.call_next();
    }

    /// Who has the fewest is next, so that several connections are worth no more than one; of those, who came first.
    fn call_next(&mut self) {
        let has = |waiting: &Waiting| self.taken.get(&waiting.taker).copied().unwrap_or(0);
        let next = self.waiting.iter().min_by_key(|(_, waiting)| has(waiting));
        let Some(number) = next.map(|(number, _)| *number) else { return };
        if let Some(Waiting { taker, turn }) = self.waiting.remove(&number) {
            self.give(taker);
            // Whoever waits stays until it is no longer among those who wait, so it hears this.
            let _ = turn.send(());
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.state().give_back(self.taker);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::thread::{sleep, spawn};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn device(number: u8) -> Taker {
        Taker::Device(PublicKey::from_bytes([number; 32]))
    }

    /// Waits in line on a thread of its own, and says its number when it has a slot.
    fn queue(slots: &Slots, taker: Taker, number: u8, told: &std::sync::mpsc::Sender<(u8, Slot)>) {
        let before = slots.state().waiting.len();
        let (waiting, told) = (slots.clone(), told.clone());
        spawn(move || {
            let slot = waiting.wait(taker, LONG).expect("its turn comes");
            // The test may be over.
            let _ = told.send((number, slot));
        });
        while slots.state().waiting.len() == before {
            sleep(Duration::from_millis(1));
        }
    }

    fn next(told: &Receiver<(u8, Slot)>) -> (u8, Slot) {
        told.recv_timeout(LONG).unwrap()
    }

    /// BT-3.7-5
    #[test]
    fn whoever_came_first_is_next() {
        let slots = Slots::new(2);
        let mut held: Vec<Slot> = (0..2).map(|number| slots.take(device(number)).unwrap()).collect();
        assert!(slots.take(device(9)).is_none());
        let (tell, told) = channel();
        (10..20).for_each(|number| queue(&slots, device(number), number, &tell));
        for expected in 10..20 {
            drop(held.remove(0));
            let (number, slot) = next(&told);
            assert_eq!(number, expected);
            assert!(slots.take(device(9)).is_none(), "nobody gets past those who wait");
            held.push(slot);
        }
    }

    /// BT-3.7-5
    #[test]
    fn who_has_the_fewest_slots_comes_before_who_has_more_and_came_earlier() {
        let slots = Slots::new(3);
        let greedy = [0; 3].map(|_| slots.take(device(1)).unwrap());
        let (tell, told) = channel();
        queue(&slots, device(1), 1, &tell);
        queue(&slots, device(2), 2, &tell);
        queue(&slots, device(2), 3, &tell);
        queue(&slots, Taker::Originals, 4, &tell);
        let [first, second, third] = greedy;
        drop(first);
        let (number, kept) = next(&told);
        assert_eq!(number, 2, "the first of those who have none");
        drop(second);
        let (number, also_kept) = next(&told);
        assert_eq!(number, 4, "one more of those who have none");
        drop(third);
        assert_eq!(next(&told).0, 1, "the greedy one has none any more, and came first");
        assert_eq!(next(&told).0, 3, "which the one before has given back already");
        drop((kept, also_kept));
        assert_eq!(slots.state().free, 3, "all are given back");
        assert!(slots.state().taken.is_empty());
    }

    /// BT-3.7-5
    #[test]
    fn who_comes_back_has_its_place_in_line() {
        let slots = Slots::new(1);
        let held = slots.take(device(1)).unwrap();
        assert!(slots.wait(device(2), Duration::from_millis(10)).is_none(), "it is told to come back");
        let (tell, told) = channel();
        queue(&slots, device(3), 3, &tell);
        queue(&slots, device(2), 2, &tell);
        drop(held);
        let (number, slot) = next(&told);
        assert_eq!(number, 2, "it came first, at first");
        drop(slot);
        assert_eq!(next(&told).0, 3);
        assert!(slots.state().told.is_empty());
    }

    #[test]
    fn nobody_waits_for_longer_than_asked_or_when_it_is_over() {
        let slots = Slots::new(1);
        let held = slots.take(device(1)).unwrap();
        assert!(slots.wait(device(2), Duration::from_millis(10)).is_none());
        assert!(slots.state().waiting.is_empty());
        slots.state().told.clear();
        let waiting = slots.clone();
        let thread = spawn(move || waiting.wait(device(2), LONG).is_none());
        while slots.state().waiting.is_empty() {
            sleep(Duration::from_millis(1));
        }
        slots.close();
        assert!(thread.join().unwrap());
        drop(held);
        assert!(slots.take(device(1)).is_none() && slots.wait(device(1), LONG).is_none());
    }
}
