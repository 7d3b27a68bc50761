//! Contents that several stand for, by their root: what they are called, who has published them, and which sessions have
//! them (BT-2.7-7, BT-2.12).
//!
//! A session that is over leaves here what it leaves in the publications: what it offered. Each entry counts what
//! publications keep, and goes with the last of it, so that there are never more entries than publications have; what
//! is left of sessions that are over goes when their member publishes or withdraws the name again. Taking it out at
//! once would make the end of one session with a million names a million look-ups, while everybody waits. Nobody is
//! sent to what is left: its session isn't open. What a session has announced is little, and goes with it.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

use bittrickle_wire::{Content, HexBytes, MemberName, Root};

use super::sessions::SessionId;

/// All contents that have a root, but for those that a publication alone stands for.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The names of each content, each with how many publications and offers give it to it.
    names: BTreeMap<Named, u32>,
    /// Who has each content, each with under how many names.
    holdings: BTreeMap<Holding, u32>,
}

/// Whose publication of which name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    pub(super) member: &'a Arc<MemberName>,
    /// The number of the name.
    pub(super) name: u32,
}

/// Somebody who has a content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder<'a> {
    pub(super) member: &'a Arc<MemberName>,
    /// The session that has it, which may be over. `None`: the member has published it last.
    pub(super) session: Option<SessionId>,
    /// What it offers it as, the lowest if it is several. `None`: it has only announced it.
    pub(super) content: Option<Content>,
}

/// The number of a content's name.
type Named = (Root, u32);

/// That somebody has a content. Each `None` is before all others.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Holding {
    root: Root,
    /// Always there, but where a content's holdings begin.
    member: Option<Arc<MemberName>>,
    /// As in [`Holder`].
    session: Option<SessionId>,
    /// What it is offered as. `None`: it is announced.
    content: Option<Content>,
}

/// Roots that may share a prefix for their names to be looked up. More of them nobody has found by chance.
const ROOTS_MAX: usize = 4_096;

impl Contents {
    /// The publication stands for this content: as what was published last, or as what a session offers.
    pub(super) fn add(&mut self, claim: Claim<'_>, session: Option<SessionId>, content: Content) {
        let Some((named, holding)) = entries(claim, session, content) else { return };
        *self.names.entry(named).or_default() += 1;
        *self.holdings.entry(holding).or_default() += 1;
    }

    /// It doesn't stand for it any more.
    pub(super) fn remove(&mut self, claim: Claim<'_>, session: Option<SessionId>, content: Content) {
        let Some((named, holding)) = entries(claim, session, content) else { return };
        decrement(&mut self.names, &named);
        decrement(&mut self.holdings, &holding);
    }

    /// A session is downloading these contents.
    pub(super) fn announce(&mut self, roots: &[Root], member: &Arc<MemberName>, session: SessionId) {
        for root in roots {
            *self.holdings.entry(Holding::announced(*root, member, session)).or_default() += 1;
        }
    }

    /// It isn't any more.
    pub(super) fn end_announcements(&mut self, roots: &[Root], member: &Arc<MemberName>, session: SessionId) {
        for root in roots {
            decrement(&mut self.holdings, &Holding::announced(*root, member, session));
        }
    }

    /// Who has a content, from this member on, by member: first that they have published it last, then each session
    /// once.
    pub(super) fn holders(&self, root: Root, from: Option<&MemberName>) -> impl Iterator<Item = Holder<'_>> {
        let member = from.map(|member| Arc::new(member.clone()));
        let first = Holding { root, member, session: None, content: None };
        let mut rest = self.holdings.range(first..).peekable();
        iter::from_fn(move || {
            let (holding, _) = rest.next().filter(|(holding, _)| holding.root == root)?;
            let mut content = holding.content;
            if content.is_none() {
                // It may offer what it has announced; that is next then.
                let offered = rest.next_if(|(next, _)| next.is_of_holder(holding));
                content = offered.and_then(|(offered, _)| offered.content);
            }
            if rest.peek().is_some_and(|(next, _)| next.is_of_holder(holding)) {
                // It offers the content as several, of which a member could invent a million.
                rest = self.holdings.range(holding.behind_holder()..).peekable();
            }
            let member = holding.member.as_ref().expect("only where holdings begin there is none");
            Some(Holder { member, session: holding.session, content })
        })
    }

    /// Whether anybody stands for a content with this root.
    pub(super) fn has(&self, root: Root) -> bool {
        let holdings = Holding { root, member: None, session: None, content: None };
        self.holdings.range(holdings..).next().is_some_and(|(holding, _)| holding.root == root)
    }

    /// The names from the number `start` on of all contents whose root is between these two, and besides those in `singles`,
    /// by number. `None` when there are so many such roots that looking at all names is no worse.
    pub(super) fn names_between(
        &self,
        lowest: Root,
        highest: Root,
        start: u32,
        singles: impl Iterator<Item = u32>,
    ) -> Option<impl Iterator<Item = u32>> {
        // The next name of each root; of those in `singles` there is no other.
        let mut heads: BTreeSet<(u32, Option<Root>)> = singles.map(|name| (name, None)).collect();
        let mut roots = iter::successors(self.root_from(lowest), |root| self.root_from(root_behind(*root)?));
        for root in roots.by_ref().take_while(|root| *root <= highest).take(ROOTS_MAX) {
            heads.extend(self.name_from(root, start).map(|name| (name, Some(root))));
        }
        if roots.next().is_some_and(|root| root <= highest) {
            return None;
        }
        let mut last = None;
        Some(iter::from_fn(move || {
            loop {
                let (name, root) = heads.pop_first()?;
                if let Some(root) = root {
                    let next = name.checked_add(1).and_then(|next| self.name_from(root, next));
                    heads.extend(next.map(|next| (next, Some(root))));
                }
                if last.replace(name) != Some(name) {
                    return Some(name);
                }
            }
        }))
    }

    /// The first name from this number on of a content.
    fn name_from(&self, root: Root, start: u32) -> Option<u32> {
        self.names.range((root, start)..=(root, u32::MAX)).next().map(|((_, name), _)| *name)
    }

    /// The lowest root that is known and not below this one.
    fn root_from(&self, root: Root) -> Option<Root> {
        self.names.range((root, 0)..).next().map(|((root, _), _)| *root)
    }
}

impl Holding {
    fn announced(root: Root, member: &Arc<MemberName>, session: SessionId) -> Self {
        Self { root, member: Some(Arc::clone(member)), session: Some(session), content: None }
    }

    fn is_of_holder(&self, other: &Self) -> bool {
        (self.root, &self.member, self.session) == (other.root, &other.member, other.session)
    }

    /// Where the next session's holdings begin.
    fn behind_holder(&self) -> Self {
        let session = Some(self.session.map_or(SessionId::FIRST, SessionId::next));
        Self { root: self.root, member: self.member.clone(), session, content: None }
    }
}

/// What a publication that stands for a content adds. Nothing when it has no root.
fn entries(claim: Claim<'_>, session: Option<SessionId>, content: Content) -> Option<(Named, Holding)> {
    let root = content.root?;
    let (member, content) = (Some(Arc::clone(claim.member)), Some(content));
    Some(((root, claim.name), Holding { root, member, session, content }))
}

fn decrement<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The root behind this one in their order.
fn root_behind(Root(HexBytes(mut bytes)): Root) -> Option<Root> {
    let last = bytes.iter().rposition(|byte| *byte != u8::MAX)?;
    bytes[last] += 1;
    bytes[last + 1..].fill(0);
    Some(Root(HexBytes(bytes)))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bittrickle_wire::messages::{Announce, Login, Offer, Publish, Reply, Request, Unpublish};
    use bittrickle_wire::seal::{PublicKey, Ticket};
    use bittrickle_wire::{Encoding, FileBytes, FileName, Hex64, List, Target, TransferPort};

    use super::super::{Caller, Index, Limits, OFFLINE_AFTER, Tickets};
    use super::*;

    struct NoTickets;

    impl Tickets for NoTickets {
        fn issue(&self, _: &PublicKey, _: &PublicKey, _: &Target) -> Option<Ticket> {
            None
        }
    }

    fn root(byte: u8) -> Root {
        Root(HexBytes([byte; 32]))
    }

    fn ask(index: &mut Index, now: Instant, device: u8, request: Request) {
        let member = Arc::new(MemberName::new("ann").unwrap());
        let address = format!("10.0.0.{device}:2000").parse().unwrap();
        let caller = Caller { member: &member, device: PublicKey::from_bytes([device; 32]), address };
        let reply = index.handle(now, caller, Encoding::Bincode, request, &NoTickets);
        assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
    }

    fn log_in(index: &mut Index, now: Instant, device: u8) {
        ask(index, now, device, Request::Login(Login { transfer_port: TransferPort::new(6_000).unwrap() }));
    }

    fn publish(index: &mut Index, now: Instant, device: u8, file_bytes: u64) {
        let offer = |(name, root)| Offer {
            name: FileName::new(name).unwrap(),
            file_bytes: FileBytes::new(file_bytes).unwrap(),
            root,
            is_folder: false,
        };
        let files = [("a", Some(root(1))), ("b", Some(root(1))), ("c", Some(root(2))), ("d", None)];
        let files = List::new(files.map(offer).to_vec()).unwrap();
        ask(index, now, device, Request::Publish(Publish { files }));
    }

    fn entries(index: &Index) -> (usize, usize) {
        let contents = index.publications.contents();
        (contents.names.len(), contents.holdings.len())
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn what_ends_is_forgotten_at_once_or_when_its_names_are_published_or_withdrawn_next() {
        let mut now = Instant::now();
        let mut index = Index::new(now, Hex64(1), Limits::default());
        log_in(&mut index, now, 1);
        publish(&mut index, now, 1, 1);
        assert_eq!(
            entries(&index),
            (2, 2),
            "one content with two names; the other one is a publication's alone"
        );
        let roots = List::new(vec![root(2), root(3), root(3)]).unwrap();
        ask(&mut index, now, 1, Request::Announce(Announce { roots }));
        assert_eq!(entries(&index), (3, 6));
        ask(&mut index, now, 1, Request::Announce(Announce { roots: List::new(vec![root(3)]).unwrap() }));
        assert_eq!(entries(&index), (3, 5));
        publish(&mut index, now, 1, 2);
        assert_eq!(entries(&index), (2, 3), "nobody has the smaller ones any more");
        now += OFFLINE_AFTER + Duration::from_secs(1);
        log_in(&mut index, now, 2);
        assert_eq!(entries(&index), (2, 2), "an announcement ends with its session");
        publish(&mut index, now, 2, 2);
        assert_eq!(entries(&index), (2, 2), "the session that is over has gone");
        let names = ["a", "b", "c", "d"].map(|name| FileName::new(name).unwrap()).to_vec();
        ask(&mut index, now, 2, Request::Unpublish(Unpublish { names: List::new(names).unwrap() }));
        assert_eq!(entries(&index), (0, 0));
    }
}
