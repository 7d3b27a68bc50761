//! Places that connections take: so many in all, and fewer for one taker (BT-5.4-4).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places, counted by who takes them. Clones count together.
#[derive(Debug)]
pub(super) struct Places<K: Copy + Eq + Hash> {
    taken: Arc<Mutex<HashMap<K, usize>>>,
    in_all_max: usize,
    of_one_max: usize,
}

/// One place; taken until it is dropped.
#[derive(Debug)]
pub(super) struct Place<K: Copy + Eq + Hash> {
    places: Places<K>,
    taker: K,
}

impl<K: Copy + Eq + Hash> Places<K> {
    pub(super) fn new(in_all_max: usize, of_one_max: usize) -> Self {
        Self { taken: Arc::default(), in_all_max, of_one_max }
    }

    /// Takes a place, unless too many are taken.
    pub(super) fn add(&self, taker: K) -> Option<Place<K>> {
        let mut taken = self.taken();
        let of_one = taken.get(&taker).copied().unwrap_or(0);
        if taken.values().sum::<usize>() >= self.in_all_max || of_one >= self.of_one_max {
            return None;
        }
        taken.insert(taker, of_one + 1);
        drop(taken);
        Some(Place { places: self.clone(), taker })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Clone for Places<K> {
    fn clone(&self) -> Self {
        Self { taken: Arc::clone(&self.taken), ..*self }
    }
}

impl<K: Copy + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match taken.get_mut(&self.taker) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.taker)),
        }
    }
}
