//! What this peer shares: the names that its user has published, and nothing else (BT-3.1-1).

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use bittrickle_wire::FileName;

/// The names on offer. A request is looked up here; no path is ever made from it.
#[derive(Debug, Default)]
pub struct Shares(RwLock<BTreeSet<FileName>>);

impl Shares {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Adds a name. Says whether it is new.
    pub fn add(&self, name: &FileName) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone())
    }

    /// Removes a name. Says whether it was there.
    pub fn remove(&self, name: &FileName) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name)
    }

    /// The name on offer that reads like this label, if there is one.
    #[must_use]
    pub fn find(&self, label: &str) -> Option<FileName> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(label).cloned()
    }
}
