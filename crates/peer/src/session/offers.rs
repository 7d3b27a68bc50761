//! What this peer offers: the index is told again when it has forgotten.

use std::collections::BTreeMap;

use bittrickle_wire::FileName;
use bittrickle_wire::messages::{Announce, Offer, Publish, Request, Unpublish, offer_digest};

/// What is on offer, and its digest (BT-2.4-3); and what is announced.
#[derive(Debug, Default)]
pub(super) struct Offers {
    by_name: BTreeMap<FileName, Offer>,
    digest: u64,
    announce: Option<Announce>,
}

/// Offers of a request, each with what was on offer under its name before.
#[derive(Debug, Default)]
pub(super) struct Replaced(Vec<(Offer, Option<Offer>)>);

impl Offers {
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// Keeps account of what a request changes, from the moment it is asked for. Gives what it takes to undo that, should
    /// the request fail.
    pub(super) fn note(&mut self, request: &Request) -> Replaced {
        match request {
            Request::Publish(Publish { files }) => {
                return Replaced(files.iter().map(|offer| (offer.clone(), self.add(offer))).collect());
            }
            Request::Unpublish(Unpublish { names }) => {
                names.iter().for_each(|name| drop(self.forget(name)));
            }
            Request::Announce(announce) => {
                self.announce = Some(announce.clone()).filter(|announce| !announce.roots.is_empty());
            }
            Request::Login(_) | Request::Logout(_) | Request::Heartbeat(_) | Request::Search(_) => {}
            Request::Locate(_) | Request::ListPeers(_) | Request::ListFiles(_) | Request::Enrol(_) => {}
            // Said by the session itself alone, of what is on offer already.
            Request::Recall(_) | Request::Resume(_) => {}
        }
        Replaced::default()
    }

    /// What is on offer under this name from now on; gives what was before.
    pub(super) fn add(&mut self, offer: &Offer) -> Option<Offer> {
        let before = self.forget(&offer.name);
        self.digest = self.digest.wrapping_add(offer_digest(offer));
        self.by_name.insert(offer.name.clone(), offer.clone());
        before
    }

    pub(super) fn forget(&mut self, name: &FileName) -> Option<Offer> {
        let before = self.by_name.remove(name)?;
        self.digest = self.digest.wrapping_sub(offer_digest(&before));
        Some(before)
    }

    /// A request has failed: what it put in the place of something else is undone, unless that is past already.
    pub(super) fn undo(&mut self, Replaced(replaced): Replaced) {
        for (offer, before) in replaced {
            if self.by_name.get(&offer.name) != Some(&offer) {
                continue;
            }
            match before {
                Some(before) => drop(self.add(&before)),
                None => drop(self.forget(&offer.name)),
            }
        }
    }

    /// What is on offer under a name.
    pub(super) fn find(&self, name: &FileName) -> Option<&Offer> {
        self.by_name.get(name)
    }

    /// How many files are on offer.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.by_name.len()).unwrap_or(u32::MAX)
    }

    /// What is on offer, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Offer> {
        self.by_name.values()
    }

    /// What is announced, if anything.
    pub(super) fn announcement(&self) -> Option<Request> {
        self.announce.clone().map(Request::Announce)
    }
}
