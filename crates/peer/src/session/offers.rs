//! What this peer offers: the index is told again when it has forgotten.

use std::collections::{BTreeMap, VecDeque};

use bittrickle_wire::messages::{Announce, Offer, Publish, Request, Unpublish, offer_digest};
use bittrickle_wire::page::PageBuilder;
use bittrickle_wire::{Encoding, FileName};

/// What is on offer, and its digest (BT-2.4-3); and what is announced.
#[derive(Debug, Default)]
pub(super) struct Offers {
    by_name: BTreeMap<FileName, Offer>,
    digest: u64,
    announce: Option<Announce>,
}

impl Offers {
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// Keeps account of what a request changes, from the moment it is asked for.
    pub(super) fn note(&mut self, request: &Request) {
        match request {
            Request::Publish(Publish { files }) => files.iter().for_each(|offer| self.add(offer)),
            Request::Unpublish(Unpublish { names }) => names.iter().for_each(|name| self.forget(name)),
            Request::Announce(announce) => {
                self.announce = Some(announce.clone()).filter(|announce| !announce.roots.is_empty());
            }
            Request::Login(_) | Request::Logout(_) | Request::Heartbeat(_) | Request::Search(_) => {}
            Request::Locate(_) | Request::ListPeers(_) | Request::ListFiles(_) | Request::Enrol(_) => {}
            Request::Recall(_) | Request::Resume(_) => {}
        }
    }

    fn add(&mut self, offer: &Offer) {
        self.forget(&offer.name);
        self.digest = self.digest.wrapping_add(offer_digest(offer));
        self.by_name.insert(offer.name.clone(), offer.clone());
    }

    pub(super) fn forget(&mut self, name: &FileName) {
        if let Some(offer) = self.by_name.remove(name) {
            self.digest = self.digest.wrapping_sub(offer_digest(&offer));
        }
    }

    /// What the index has to be told again when it has forgotten everything: requests that fit a datagram each.
    pub(super) fn requests(&self, encoding: Encoding) -> VecDeque<Request> {
        let mut requests: VecDeque<_> = self.announce.iter().cloned().map(Request::Announce).collect();
        let mut batch = PageBuilder::new(encoding);
        for offer in self.by_name.values() {
            if let Err(offer) = batch.push(offer.clone()) {
                let full = std::mem::replace(&mut batch, PageBuilder::new(encoding));
                requests.push_back(Request::Publish(Publish { files: full.finish() }));
                batch.push(offer).expect("an empty batch takes any offer");
            }
        }
        if !batch.is_empty() {
            requests.push_back(Request::Publish(Publish { files: batch.finish() }));
        }
        requests
    }
}
