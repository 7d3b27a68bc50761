//! What this peer offers: the index is told again when it has forgotten.

use std::collections::{BTreeMap, VecDeque};

use bittrickle_wire::messages::{Offer, Publish, Request, Unpublish, name_digest};
use bittrickle_wire::page::PageBuilder;
use bittrickle_wire::{Encoding, FileBytes, FileName};

/// The files on offer, and their digest (BT-2.4-3).
#[derive(Debug, Default)]
pub(super) struct Offers {
    files: BTreeMap<FileName, FileBytes>,
    digest: u64,
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
            Request::Login(_) | Request::Logout(_) | Request::Heartbeat(_) | Request::Search(_) => {}
            Request::Locate(_) | Request::ListPeers(_) | Request::ListFiles(_) | Request::Enrol(_) => {}
        }
    }

    fn add(&mut self, offer: &Offer) {
        if self.files.insert(offer.name.clone(), offer.file_bytes).is_none() {
            self.digest = self.digest.wrapping_add(name_digest(&offer.name));
        }
    }

    pub(super) fn forget(&mut self, name: &FileName) {
        if self.files.remove(name).is_some() {
            self.digest = self.digest.wrapping_sub(name_digest(name));
        }
    }

    /// Everything on offer, in batches that fit a datagram each.
    pub(super) fn batches(&self, encoding: Encoding) -> VecDeque<Publish> {
        let mut batches = VecDeque::new();
        let mut batch = PageBuilder::new(encoding);
        for (name, file_bytes) in &self.files {
            let offer = Offer { name: name.clone(), file_bytes: *file_bytes };
            if let Err(offer) = batch.push(offer) {
                let full = std::mem::replace(&mut batch, PageBuilder::new(encoding));
                batches.push_back(Publish { files: full.finish() });
                batch.push(offer).expect("an empty batch takes any offer");
            }
        }
        if !batch.is_empty() {
            batches.push_back(Publish { files: batch.finish() });
        }
        batches
    }
}
