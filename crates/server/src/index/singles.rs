//! Contents that only one publication stands for: nearly all of them. They are found by the first bytes of their roots, and
//! whatever else there is to know, the publication knows.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use bittrickle_wire::{HexBytes, Root};
use hashbrown::HashTable;

/// The numbers of names, by the first four bytes of a root that one stands for. A root prefix has at least as many
/// (BT-2.1-9).
#[derive(Debug, Default)]
pub(super) struct Singles {
    by_head: HashTable<u32>,
    hasher: RandomState,
}

/// Most contents whose roots begin alike. More of them nobody has found by chance, and they would be slow to tell apart.
const ALIKE_MAX: usize = 16;

impl Singles {
    /// The names whose contents may have a root that begins like this one, and some others.
    pub(super) fn candidates(&self, root: Root) -> impl Iterator<Item = u32> + use<'_> {
        self.by_head.iter_hash(self.hash(root)).copied()
    }

    /// Adds the name of a content. Says whether there was room: whoever looks for it must find it elsewhere if not.
    /// `root_of` gives the root of each name that was added.
    pub(super) fn add(&mut self, root: Root, name: u32, root_of: impl Fn(u32) -> Option<Root>) -> bool {
        let is_full = self.candidates(root).nth(ALIKE_MAX - 1).is_some();
        if !is_full {
            let hasher = &self.hasher;
            let hash = |name: &u32| hash_of(hasher, *name, &root_of);
            self.by_head.insert_unique(hasher.hash_one(head(root)), name, hash);
        }
        !is_full
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, names: usize, root_of: impl Fn(u32) -> Option<Root>) {
        let hasher = &self.hasher;
        self.by_head.reserve(names, |name| hash_of(hasher, *name, &root_of));
    }

    pub(super) fn remove(&mut self, root: Root, name: u32) {
        if let Ok(place) = self.by_head.find_entry(self.hash(root), |other| *other == name) {
            place.remove();
        }
    }

    fn hash(&self, root: Root) -> u64 {
        self.hasher.hash_one(head(root))
    }
}

fn hash_of(hasher: &RandomState, name: u32, root_of: impl Fn(u32) -> Option<Root>) -> u64 {
    root_of(name).map_or(0, |root| hasher.hash_one(head(root)))
}

fn head(Root(HexBytes(bytes)): Root) -> [u8; 4] {
    std::array::from_fn(|place| bytes[place])
}
