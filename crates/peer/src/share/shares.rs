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
    changed: mpsc::UnboundedSender<Changed>,
}

/// A content that isn't on disk any more as it was hashed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Changed {
    /// Under which name it is on offer.
    pub name: FileName,
    /// In a folder, which file it is.
    pub path: Option<String>,
}

#[derive(Debug, Default)]
struct OnOffer {
    by_name: BTreeMap<FileName, Arc<Holding>>,
    downloads: BTreeMap<Root, Arc<Holding>>,
}

impl Shares {
    /// Nothing on offer. What turns out to have changed on disk comes out of the receiver.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Changed>) {
        let (changed, changes) = mpsc::unbounded_channel();
        (Self { on_offer: RwLock::default(), changed }, changes)
    }

    /// How many names there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.read().by_name.len()
    }

    /// Puts a content on offer under a name, in the place of what was on offer under it, which it gives back.
    pub fn add(&self, name: &FileName, holding: Arc<Holding>) -> Option<Arc<Holding>> {
        let before = self.write().by_name.insert(name.clone(), holding);
        if let Some(before) = &before {
            before.take_back();
        }
        before
    }

    /// Puts on offer again what [`Shares::add`] has given back.
    pub fn restore(&self, name: &FileName, before: Arc<Holding>) {
        before.give_again();
        self.add(name, before);
    }

    /// Removes a name: nothing is sent any more, whoever is in the middle of fetching it. Says whether it was there.
    pub fn remove(&self, name: &FileName) -> bool {
        let before = self.write().by_name.remove(name);
        if let Some(before) = &before {
            before.take_back();
        }
        before.is_some()
    }

    /// Whether the name is on offer.
    #[must_use]
    pub fn has(&self, name: &FileName) -> bool {
        self.read().by_name.contains_key(name)
    }

    /// Lets others have the pieces of a download under way.
    pub fn add_download(&self, root: Root, holding: Arc<Holding>) {
        let before = self.write().downloads.insert(root, holding);
        if let Some(before) = before {
            before.take_back();
        }
    }

    /// The download is over. Nobody finds it any more; who is fetching it goes on if it is complete, and under its name.
    pub fn remove_download(&self, root: &Root, is_complete: bool) {
        let before = self.write().downloads.remove(root);
        if let Some(before) = before {
            before.end_download(is_complete);
        }
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

    /// Says that a content, and this file of it, isn't on disk any more as it was hashed: it is to be published anew. That is
    /// told once, however many ask for it until it is.
    pub fn tell_changed(&self, holding: &Arc<Holding>, file: u32) {
        if !holding.note_changed(file) {
            return;
        }
        let path = holding.changed_path().map(str::to_owned);
        let on_offer = self.read();
        for (name, _) in on_offer.by_name.iter().filter(|(_, other)| Arc::ptr_eq(other, holding)) {
            // The shell may be leaving.
            let _ = self.changed.send(Changed { name: name.clone(), path: path.clone() });
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

#[cfg(test)]
mod tests {
    use bittrickle_wire::content::Layout;

    use std::sync::Mutex;

    use super::*;
    use crate::content::Identity;
    use crate::share::{Folder, FolderError, Part, Reader};
    use crate::transfer::PieceSet;

    struct Offered {
        shares: Shares,
        changes: mpsc::UnboundedReceiver<Changed>,
        folder: Arc<Folder>,
        place: tempfile::TempDir,
    }

    impl Offered {
        fn nothing() -> Self {
            let place = tempfile::tempdir().unwrap();
            let folder = Arc::new(Folder::open(place.path(), 0o644).unwrap());
            let (shares, changes) = Shares::new();
            Self { shares, changes, folder, place }
        }

        fn add(&self, name: &str, bytes: &[u8]) -> Arc<Holding> {
            std::fs::write(self.place.path().join(name), bytes).unwrap();
            let name = FileName::new(name).unwrap();
            let identity = Identity::of(&self.folder.open_shared(&name).unwrap().file).unwrap();
            let layout = Layout::of_file(bytes.len() as u64).unwrap();
            let hashed = Some((Root::of(bytes), Vec::new()));
            let holding = Holding::of_file(Arc::clone(&self.folder), name.clone(), identity, layout, hashed);
            let holding = Arc::new(holding);
            self.shares.add(&name, Arc::clone(&holding));
            holding
        }
    }

    /// BT-3.7-3: however often somebody asks, and however long it takes until it is hashed again.
    #[test]
    fn a_change_is_told_once_for_each_time_that_it_was_hashed() {
        let mut offered = Offered::nothing();
        for _ in 0..2 {
            let holding = offered.add("a", b"abc");
            (0..1_000).for_each(|_| offered.shares.tell_changed(&holding, 0));
            let told = offered.changes.try_recv().unwrap();
            assert_eq!((told.name.as_str(), told.path), ("a", None));
            assert!(offered.changes.try_recv().is_err(), "nothing piles up");
        }
    }

    /// BT-3.7-1: who has found it before sees that, too.
    #[test]
    fn what_is_removed_or_replaced_is_taken_back() {
        let offered = Offered::nothing();
        let older = offered.add("a", b"abc");
        assert!(!older.is_taken_back());
        let newer = offered.add("a", b"def");
        assert!(older.is_taken_back() && !newer.is_taken_back());
        let name = FileName::new("a").unwrap();
        let last = offered.shares.add(&name, Arc::clone(&older)).unwrap();
        offered.shares.restore(&name, last);
        assert!(older.is_taken_back() && !newer.is_taken_back(), "as if it had never been");
        assert!(offered.shares.remove(&FileName::new("a").unwrap()));
        assert!(newer.is_taken_back());
    }

    /// BT-3.5-8, BT-3.5-9: however many are being served, a download that has ended early can be gone on with.
    #[test]
    fn a_download_that_ends_early_is_let_go_of_and_a_complete_one_is_served_on() {
        let offered = Offered::nothing();
        let (root, name) = (Root::of(b"abc"), FileName::new("a").unwrap());
        let layout = Layout::of_file(3).unwrap();
        let begin = || Part::open(&offered.folder, &Target::Root(root), &name, &layout, None, &[]);
        for is_complete in [false, true] {
            let part = Arc::new(begin().unwrap().0);
            part.write(0, b"abc").unwrap();
            let verified = if is_complete { PieceSet::full(1) } else { PieceSet::new(1) };
            let verified = Arc::new(Mutex::new(verified));
            let holding = Holding::of_part(root, layout.clone(), None, Vec::new(), part, verified);
            let holding = Arc::new(holding);
            offered.shares.add_download(root, Arc::clone(&holding));
            assert!(matches!(begin(), Err(FolderError::UnderWay)));
            offered.shares.remove_download(&root, is_complete);
            assert!(offered.shares.find(&Target::Root(root)).is_none());
            let read = Reader::new(Arc::clone(&holding)).read(0, 0, &mut [0; 3]);
            assert_eq!(read.is_ok(), is_complete);
            assert_eq!(holding.is_to_be_verified(), is_complete);
            assert_eq!(begin().is_ok(), !is_complete);
        }
    }
}
