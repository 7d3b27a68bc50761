//! Sources for a download that is under way: the index is asked for them again and again.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use bittrickle_wire::{MemberName, Target};
use tokio::time::sleep;

use crate::net::fetch::{Fetching, Missing, Who};
use crate::net::framed::FramedIndex;
use crate::net::index::{SourceAt, locate};
use crate::session::CallError;

/// Answers without a source that is of any use, after which there is none.
const EMPTY_ANSWERS_MAX: u32 = 3;

/// Answers in a row that can't be read, after which there is no index.
const BAD_ANSWERS_MAX: u32 = 3;

/// Where a download's sources come from.
pub(super) struct Supply<'a> {
    index: &'a FramedIndex,
    target: &'a Target,
    /// Only this member's, where it matters whose it is.
    from: Option<&'a MemberName>,
    empty_answers: u32,
    /// Answers that can't be read.
    bad_answers: u32,
    missing: Missing,
    /// In which order sources are tried: another one for each download, so that not everybody begins with the same.
    order: RandomState,
}

/// What the index answers.
pub(super) type Located = Result<Vec<SourceAt>, CallError>;

impl<'a> Supply<'a> {
    pub(super) fn new(index: &'a FramedIndex, target: &'a Target, from: Option<&'a MemberName>) -> Self {
        let (order, missing) = (RandomState::new(), Missing::Sources);
        Self { index, target, from, empty_answers: 0, bad_answers: 0, missing, order }
    }

    /// Asks the index after a while.
    pub(super) fn locate_after(&self, wait: Duration) -> impl Future<Output = Located> + use<'a> {
        let (index, target) = (self.index, self.target);
        async move {
            sleep(wait).await;
            locate(index, target).await
        }
    }

    /// Offers what the index has answered. Says whether there is still hope.
    ///
    /// # Errors
    /// The session is over, or the index answers what is no answer, and there are no sources without it.
    pub(super) fn add_sources(&mut self, answer: Located, fetching: &Fetching) -> Result<Hope, CallError> {
        let mut sources = match answer {
            Ok(sources) => sources,
            Err(CallError::Closed) => return Err(CallError::Closed),
            Err(CallError::Refused(_)) => Vec::new(),
            // While the index is away, the sources that are there go on.
            Err(CallError::NoAnswer | CallError::Channel(_)) => {
                self.missing = Missing::Server;
                return Ok(Hope::Yes);
            }
            Err(error @ CallError::BadAnswer(_)) => {
                self.missing = Missing::Server;
                self.bad_answers += 1;
                let is_hopeless = self.bad_answers >= BAD_ANSWERS_MAX && fetching.source_count() == 0;
                return if is_hopeless { Err(error) } else { Ok(Hope::Yes) };
            }
        };
        self.bad_answers = 0;
        if let Some(from) = self.from {
            sources.retain(|source| source.member.as_deref() == Some(from.as_str()));
        }
        // Who had it by its name has it by its root now, or is gone: what is here is gone on with by the root.
        if matches!(self.target, Target::Name(_)) && sources.is_empty() {
            return Ok(Hope::Hashed);
        }
        sources.sort_by_cached_key(|source| self.order.hash_one(source.address));
        let mut is_useful = false;
        for source in &sources {
            if let Some(access) = &source.access {
                is_useful |= fetching.add_source(&who(source), access);
            }
        }
        self.missing = if sources.is_empty() { Missing::Sources } else { Missing::Way };
        let has_sources = is_useful || fetching.source_count() > 0;
        self.empty_answers = if has_sources { 0 } else { self.empty_answers + 1 };
        Ok(if self.empty_answers < EMPTY_ANSWERS_MAX { Hope::Yes } else { Hope::No })
    }
}

impl Supply<'_> {
    /// What is missing when no source is left.
    pub(super) fn missing(&self) -> Missing {
        self.missing
    }
}

/// Whether a download has sources, or may have again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hope {
    Yes,
    No,
    /// Not by the name any more: the content has been hashed.
    Hashed,
}

pub(super) fn who(source: &SourceAt) -> Who {
    let device = source.access.as_ref().map(|access| access.device);
    Who { member: source.member.clone(), address: source.address, device }
}
