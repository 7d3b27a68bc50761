//! What this peer shares: what its user has published, and what it is downloading (BT-3.7-1).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bittrickle_wire::messages::Offer;
use bittrickle_wire::{FileBytes, FileName, Root, Target};
use tokio::sync::mpsc;

use super::holding::Holding;

/// What is on offer. A request is looked up here; no path is ever made from it.
#[derive(Debug)]
pub struct Shares {
    on_offer: RwLock<OnOffer>,
    changed: mpsc::UnboundedSender<FileName>,
}

#[derive(Debug, Default)]
struct OnOffer {
    by_name: BTreeMap<FileName, Arc<Holding>>,
    downloads: BTreeMap<Root, Arc<Holding>>,
}

impl Shares {
    /// Nothing on offer. The names of files that turn out to have changed on disk come out of the receiver.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<FileName>) {
        let (changed, changes) = mpsc::unbounded_channel();
        (Self { on_offer: RwLock::default(), changed }, changes)
    }

    /// How many names there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.read().by_name.len()
    }

    /// Puts a content on offer under a name, in the place of what was on offer under it.
    pub fn add(&self, name: &FileName, holding: Arc<Holding>) {
        self.write().by_name.insert(name.clone(), holding);
    }

    /// Removes a name. Says whether it was there.
    pub fn remove(&self, name: &FileName) -> bool {
        self.write().by_name.remove(name).is_some()
    }

    /// Whether the name is on offer.
    #[must_use]
    pub fn has(&self, name: &FileName) -> bool {
        self.read().by_name.contains_key(name)
    }

    /// Lets others have the pieces of a download under way.
    pub fn add_download(&self, root: Root, holding: Arc<Holding>) {
        self.write().downloads.insert(root, holding);
    }

    /// The download is over.
    pub fn remove_download(&self, root: &Root) {
        self.write().downloads.remove(root);
    }

    /// The roots of the downloads under way.
    #[must_use]
    pub fn download_roots(&self) -> Vec<Root> {
        self.read().downloads.keys().copied().collect()
    }

    /// What a ticket for this target lets somebody fetch; a whole content rather than a part of it.
    #[must_use]
    pub fn find(&self, target: &Target) -> Option<Arc<Holding>> {
        let on_offer = self.read();
        match target {
            Target::Root(root) => {
                let mut holdings = on_offer.by_name.values();
                let whole = holdings.find(|holding| holding.root == Some(*root));
                whole.or_else(|| on_offer.downloads.get(root)).cloned()
            }
            Target::Name(name) => on_offer.by_name.get(name).cloned(),
        }
    }

    /// What is on offer under a name, to the original's clients as well.
    #[must_use]
    pub fn named(&self, label: &str) -> Option<(FileName, Arc<Holding>)> {
        let on_offer = self.read();
        on_offer.by_name.get_key_value(label).map(|(name, holding)| (name.clone(), Arc::clone(holding)))
    }

    /// Says that a content isn't on disk any more as it was hashed: it is to be published anew.
    pub fn tell_changed(&self, holding: &Arc<Holding>) {
        let on_offer = self.read();
        for (name, _) in on_offer.by_name.iter().filter(|(_, other)| Arc::ptr_eq(other, holding)) {
            // The shell may be leaving.
            let _ = self.changed.send(name.clone());
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, OnOffer> {
        self.on_offer.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, OnOffer> {
        self.on_offer.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holding {
    /// How it is offered to the index under a name.
    ///
    /// # Panics
    /// It is larger than any content may be; that is checked before something is shared.
    #[must_use]
    pub fn offer(&self, name: &FileName) -> Offer {
        let file_bytes = FileBytes::new(self.layout.bytes()).expect("it was checked when it was shared");
        Offer { name: name.clone(), file_bytes, root: self.root, is_folder: self.manifest.is_some() }
    }
}
