//! Asking what the index still knows of what is on offer, and resuming that (BT-2.13).

use std::collections::{BTreeMap, HashMap, VecDeque};

use bittrickle_wire::messages::{Choice, Offer, Recall, Recalled, Request, Resume, offer_digest};
use bittrickle_wire::{FileName, Hex64};

use super::offers::Offers;

/// Files that are to be on offer again, and what has been found of them.
#[derive(Debug, Default)]
pub(super) struct Recalling {
    /// Those that have not been found yet, by digest.
    sought: HashMap<u64, FileName>,
    /// How many were sought at first.
    sought_at_first: usize,
    pages: Pages,
    /// Requests for what has been found.
    resumes: VecDeque<Request>,
    /// What is being resumed, by the rank of its page and its digest.
    resuming: BTreeMap<(u32, Hex64), Vec<FileName>>,
    /// What has to be published.
    rest: Vec<FileName>,
    /// Requests without an answer.
    under_way: usize,
}

/// Which pages are still to be asked for.
#[derive(Debug, Default)]
enum Pages {
    /// The first one, which tells how many there are.
    #[default]
    First,
    /// No other before the first one is here.
    AwaitFirst,
    /// From one rank to another.
    From { next: u32, step: u32, end: u32 },
}

/// A page is asked for only when at least so many files are sought for each: most of them may be other devices', and
/// publishing what a page would bring takes little more.
const SOUGHT_PER_PAGE: usize = 16;

impl Recalling {
    /// Seeks these as well, from the first page on.
    pub(super) fn seek(&mut self, offers: Vec<&Offer>) {
        for offer in offers {
            let twin = self.sought.insert(offer_digest(offer), offer.name.clone());
            self.rest.extend(twin.filter(|twin| *twin != offer.name));
        }
        self.sought_at_first = self.sought.len();
        self.pages = Pages::First;
    }

    /// The next request, if there is one before further answers.
    pub(super) fn next(&mut self) -> Option<Request> {
        let request = self.resumes.pop_front().or_else(|| self.next_page().map(Request::Recall))?;
        self.under_way += 1;
        Some(request)
    }

    fn next_page(&mut self) -> Option<Recall> {
        let rank = match &mut self.pages {
            Pages::First => {
                self.pages = Pages::AwaitFirst;
                0
            }
            Pages::From { next, step, end } if *next < *end && !self.sought.is_empty() => {
                let rank = *next;
                *next = next.saturating_add(*step);
                rank
            }
            Pages::AwaitFirst | Pages::From { .. } => return None,
        };
        Some(Recall { rank })
    }

    /// Whether answers are still to come.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way > 0
    }

    /// A page is here. What of it is sought is resumed.
    pub(super) fn recalled(&mut self, rank: u32, recalled: &Recalled, offers: &Offers) {
        self.under_way -= 1;
        if rank == 0 {
            self.plan(recalled);
        }
        let (mut places, mut names, mut sum) = (Vec::new(), Vec::new(), 0_u64);
        for (place, Hex64(digest)) in (0..).zip(recalled.digests.iter().copied()) {
            if let Some(name) = self.take_sought(digest, offers) {
                places.push(place);
                names.push(name);
                sum = sum.wrapping_add(digest);
            }
        }
        if !names.is_empty() {
            let (chosen, digest): (Choice, _) = (places.into_iter().collect(), Hex64(sum));
            self.resumes.push_back(Request::Resume(Resume { rank, chosen, digest }));
            self.resuming.insert((rank, digest), names);
        }
    }

    /// The first page tells how many there are, and how long they are.
    fn plan(&mut self, first: &Recalled) {
        let step = u32::try_from(first.digests.len()).expect("a page is short");
        let pages = first.publications.checked_div(step).unwrap_or(0) as usize;
        let is_worth_it = pages <= self.sought_at_first / SOUGHT_PER_PAGE;
        let end = if is_worth_it { first.publications } else { 0 };
        self.pages = Pages::From { next: step, step, end };
    }

    /// The file with this digest, if it is sought and still what it was.
    fn take_sought(&mut self, digest: u64, offers: &Offers) -> Option<FileName> {
        let name = self.sought.get(&digest).filter(|_| Hex64(digest) != Recalled::UNSIZED)?;
        let is_the_same = offers.find(name).is_some_and(|offer| offer_digest(offer) == digest);
        if is_the_same { self.sought.remove(&digest) } else { None }
    }

    /// A page won't come. If it was the first one, no other is asked for.
    pub(super) fn not_recalled(&mut self) {
        self.under_way -= 1;
        if matches!(self.pages, Pages::AwaitFirst) {
            self.pages = Pages::From { next: 0, step: 0, end: 0 };
        }
    }

    /// What was found on a page is on offer again, or has to be published.
    pub(super) fn resumed(&mut self, resume: &Resume, is_resumed: bool) {
        self.under_way -= 1;
        let names = self.resuming.remove(&(resume.rank, resume.digest)).unwrap_or_default();
        if !is_resumed {
            self.rest.extend(names);
        }
    }

    /// What has to be published, as it isn't known or has changed.
    pub(super) fn into_rest(self) -> Vec<FileName> {
        let mut rest = self.rest;
        rest.extend(self.sought.into_values());
        rest.sort();
        rest
    }
}
