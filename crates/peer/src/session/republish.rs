//! Publishing again: what the index still knows is only resumed, the rest is published (BT-2.4, BT-2.13-5).

use std::collections::VecDeque;

use bittrickle_wire::messages::{Offer, Publish, Reply, Request};
use bittrickle_wire::page::PageBuilder;
use bittrickle_wire::{Encoding, FileName, List};

use super::offers::Offers;
use super::recall::Recalling;

/// What is still to be sent.
#[derive(Debug, Default)]
pub(super) struct Republish {
    queue: VecDeque<Request>,
    /// As long as the index is asked what it knows.
    recalling: Option<Recalling>,
}

/// Fewer files are published outright: that takes no more than a few requests.
const RECALLED_MIN: usize = 65;

impl Republish {
    /// The index has to be told everything that is on offer.
    pub(super) fn everything(offers: &Offers, encoding: Encoding) -> Self {
        let mut republish = Self { queue: offers.announcement().into_iter().collect(), recalling: None };
        republish.add(offers.iter().collect(), encoding);
        republish
    }

    /// The index has to be told these.
    pub(super) fn add(&mut self, offers: Vec<&Offer>, encoding: Encoding) {
        if self.recalling.is_none() && offers.len() < RECALLED_MIN {
            self.queue.extend(batches(offers.into_iter(), encoding));
        } else {
            self.recalling.get_or_insert_default().seek(offers);
        }
    }

    /// The next request, if there is one before further answers.
    pub(super) fn next(&mut self, offers: &Offers, encoding: Encoding) -> Option<Request> {
        if let Some(request) = self.queue.pop_front() {
            return Some(request);
        }
        let recalling = self.recalling.as_mut()?;
        if let Some(request) = recalling.next() {
            return Some(request);
        }
        if recalling.is_under_way() {
            return None;
        }
        let rest = self.recalling.take()?.into_rest();
        let rest = rest.iter().filter_map(|name: &FileName| offers.find(name));
        self.queue = batches(rest, encoding).into();
        self.queue.pop_front()
    }

    /// A request has been answered, by something that answers it or not.
    pub(super) fn answered(&mut self, request: &Request, reply: &Reply, offers: &Offers) {
        let Some(recalling) = &mut self.recalling else { return };
        match (request, reply) {
            (Request::Recall(recall), Reply::Recalled(recalled)) => {
                recalling.recalled(recall.rank, recalled, offers);
            }
            (Request::Resume(resume), Reply::Resumed(resumed)) => {
                recalling.resumed(resume, resumed.is_resumed);
            }
            (request, _) => self.failed(request),
        }
    }

    /// Asks for each file of a request by itself. Says whether there was more than one.
    pub(super) fn split(&mut self, request: &Request) -> bool {
        let Request::Publish(Publish { files }) = request else { return false };
        if files.len() < 2 {
            return false;
        }
        let single = |offer: &Offer| List::new(vec![offer.clone()]).expect("one is few");
        self.queue.extend(files.iter().map(|offer| Request::Publish(Publish { files: single(offer) })));
        true
    }

    /// A request won't be answered.
    pub(super) fn failed(&mut self, request: &Request) {
        let Some(recalling) = &mut self.recalling else { return };
        match request {
            Request::Recall(_) => recalling.not_recalled(),
            Request::Resume(resume) => recalling.resumed(resume, false),
            Request::Login(_) | Request::Logout(_) | Request::Heartbeat(_) | Request::Enrol(_) => {}
            Request::Publish(_) | Request::Unpublish(_) | Request::Announce(_) => {}
            Request::Search(_) | Request::Locate(_) | Request::ListPeers(_) | Request::ListFiles(_) => {}
        }
    }
}

/// Requests that fit a datagram each.
fn batches<'a>(offers: impl Iterator<Item = &'a Offer>, encoding: Encoding) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut batch = PageBuilder::new(encoding);
    for offer in offers {
        if let Err(offer) = batch.push(offer.clone()) {
            let full = std::mem::replace(&mut batch, PageBuilder::new(encoding));
            requests.push(Request::Publish(Publish { files: full.finish() }));
            batch.push(offer).expect("an empty batch takes any offer");
        }
    }
    if !batch.is_empty() {
        requests.push(Request::Publish(Publish { files: batch.finish() }));
    }
    requests
}
