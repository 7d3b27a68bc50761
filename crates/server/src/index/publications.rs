//! Publications: which member claims which name, and which sessions offer what under it (BT-2.6).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use bittrickle_wire::{Content, FileName, MemberName, fold};
use slab::Slab;

use super::contents::{Claim, Contents};
use super::owners::Owners;
use super::sessions::SessionId;
use super::trigrams::Trigrams;

/// One member's claim to have a file or a folder under a name.
#[derive(Debug)]
pub(super) struct Publication {
    /// What was published last. Shared with the offers of it, and with [`Contents`].
    pub(super) content: Arc<Content>,
    /// The framed sessions that offer something under the name, oldest first. Some may be over: they go when the next
    /// one is added.
    pub(super) offered_by: Vec<Offering>,
}

/// What one session offers under a name.
#[derive(Debug)]
pub(super) struct Offering {
    pub(super) session: SessionId,
    pub(super) content: Arc<Content>,
}

/// One name and everybody who has published it.
#[derive(Debug)]
pub(super) struct Entry {
    /// In lower case, for searching.
    pub(super) folded: Box<str>,
    /// Its place in the order of first publications.
    pub(super) sequence: u64,
    /// Its number in [`Publications::numbered`].
    number: u32,
    pub(super) owners: Owners,
}

/// One member's names, in both orders in which they are listed.
#[derive(Debug, Default)]
struct MembersNames {
    by_name: BTreeSet<Arc<FileName>>,
    by_sequence: BTreeMap<u64, Arc<FileName>>,
}

/// All publications.
#[derive(Debug, Default)]
pub(super) struct Publications {
    names: BTreeMap<Arc<FileName>, Entry>,
    by_member: BTreeMap<Arc<MemberName>, MembersNames>,
    by_sequence: BTreeMap<u64, Arc<FileName>>,
    /// Names by small numbers, which are used again.
    numbered: Slab<Arc<FileName>>,
    trigrams: Trigrams,
    /// What the publications stand for. Each [`Publication::content`] and each [`Offering`] counts there once.
    contents: Contents,
    next_sequence: u64,
    count: usize,
}

impl Publications {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Names, each once, whoever publishes it.
    pub(super) fn name_count(&self) -> usize {
        self.names.len()
    }

    pub(super) fn count_of(&self, member: &MemberName) -> usize {
        self.by_member.get(member).map_or(0, |names| names.by_name.len())
    }

    pub(super) fn is_owner(&self, member: &MemberName, name: &FileName) -> bool {
        self.by_member.get(member).is_some_and(|names| names.by_name.contains(name))
    }

    pub(super) fn entry(&self, name: &FileName) -> Option<&Entry> {
        self.names.get(name)
    }

    /// The index's copy of a name, and what is published under it.
    pub(super) fn named(&self, name: &FileName) -> Option<(&Arc<FileName>, &Entry)> {
        self.names.get_key_value(name)
    }

    /// What is known by root.
    pub(super) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The same, to announce contents that nobody publishes.
    pub(super) fn contents_mut(&mut self) -> &mut Contents {
        &mut self.contents
    }

    /// Publishes a name, or gives the member's publication its new content. Returns the index's copy of the name.
    pub(super) fn publish(
        &mut self,
        member: &Arc<MemberName>,
        name: FileName,
        content: Content,
    ) -> Arc<FileName> {
        let name = match self.names.get_key_value(&name) {
            Some((name, _)) => Arc::clone(name),
            None => self.add_name(name),
        };
        let entry = self.names.get_mut(&name).expect("it was there, or has just been added");
        let (claim, new) = (Claim { member, name: &name }, Arc::new(content));
        match entry.owners.get_mut(member) {
            Some(publication) if *publication.content == content => {}
            Some(publication) => {
                let before = std::mem::replace(&mut publication.content, Arc::clone(&new));
                self.contents.add(claim, None, &new);
                self.contents.remove(claim, None, &before);
            }
            None => {
                self.contents.add(claim, None, &new);
                let publication = Publication { content: new, offered_by: Vec::new() };
                entry.owners.insert(Arc::clone(member), publication);
                let names = self.by_member.entry(Arc::clone(member)).or_default();
                names.by_name.insert(Arc::clone(&name));
                names.by_sequence.insert(entry.sequence, Arc::clone(&name));
                self.count += 1;
            }
        }
        name
    }

    fn add_name(&mut self, name: FileName) -> Arc<FileName> {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let folded: Box<str> = fold(name.as_str()).into();
        let name = Arc::new(name);
        let number = self.numbered.insert(Arc::clone(&name));
        let number = u32::try_from(number).expect("there are fewer names than publications");
        self.trigrams.add(number, &folded);
        self.names.insert(Arc::clone(&name), Entry { folded, sequence, number, owners: Owners::None });
        self.by_sequence.insert(sequence, Arc::clone(&name));
        name
    }

    /// Withdraws the member's publication of a name and returns it, if there was one.
    pub(super) fn unpublish(&mut self, member: &MemberName, name: &FileName) -> Option<Publication> {
        let name = Arc::clone(self.names.get_key_value(name)?.0);
        let entry = self.names.get_mut(&name)?;
        let (owner, publication) = entry.owners.remove(member)?;
        let sequence = entry.sequence;
        self.count -= 1;
        if entry.owners.is_empty() {
            self.trigrams.remove(entry.number, &entry.folded);
            self.numbered.remove(entry.number as usize);
            self.names.remove(&name);
            self.by_sequence.remove(&sequence);
        }
        if let Some(names) = self.by_member.get_mut(member) {
            names.by_name.remove(&name);
            names.by_sequence.remove(&sequence);
            if names.by_name.is_empty() {
                self.by_member.remove(member);
            }
        }
        let claim = Claim { member: &owner, name: &name };
        self.contents.remove(claim, None, &publication.content);
        forget(&mut self.contents, claim, &publication.offered_by);
        Some(publication)
    }

    /// A session offers what its member has just published under this name. Forgets sessions that are over. Gives what
    /// the session has offered under it so far.
    pub(super) fn add_offer(
        &mut self,
        member: &Arc<MemberName>,
        name: &Arc<FileName>,
        session: SessionId,
        is_open: impl Fn(SessionId) -> bool,
    ) -> Option<Arc<Content>> {
        let publication = self.names.get_mut(name)?.owners.get_mut(member)?;
        let (claim, content) = (Claim { member, name }, Arc::clone(&publication.content));
        let gone = publication.take_offers(session, is_open);
        self.contents.add(claim, Some(session), &content);
        // One session nearly always: a vector that makes room by itself makes it for four.
        publication.offered_by.reserve_exact(1);
        publication.offered_by.push(Offering { session, content });
        forget(&mut self.contents, claim, &gone);
        of_session(gone, session)
    }

    /// Ends one session's offer of a name. Gives what that was, and whether another session of the member still offers
    /// something under it.
    pub(super) fn end_offer(
        &mut self,
        member: &Arc<MemberName>,
        name: &FileName,
        session: SessionId,
        is_open: impl Fn(SessionId) -> bool,
    ) -> (Option<Arc<Content>>, bool) {
        let Some((name, _)) = self.names.get_key_value(name) else { return (None, false) };
        let name = Arc::clone(name);
        let entry = self.names.get_mut(&name);
        let Some(publication) = entry.and_then(|entry| entry.owners.get_mut(member)) else {
            return (None, false);
        };
        let gone = publication.take_offers(session, is_open);
        let others = !publication.offered_by.is_empty();
        forget(&mut self.contents, Claim { member, name: &name }, &gone);
        (of_session(gone, session), others)
    }

    /// Names from `start` on, that one included, in their order.
    pub(super) fn names_from(
        &self,
        start: Option<&FileName>,
    ) -> impl Iterator<Item = (&Arc<FileName>, &Entry)> {
        self.names.range::<FileName, _>((start.map_or(Unbounded, Included), Unbounded))
    }

    /// The names that may contain all of these texts, from `start` on, that one included, in their order. `None` when the
    /// texts are too short to say, or when there are more than `most`, not counting where they start.
    pub(super) fn names_with<'a>(
        &'a self,
        texts: &[&str],
        start: Option<&FileName>,
        most: u64,
    ) -> Option<impl Iterator<Item = (&'a Arc<FileName>, &'a Entry)> + use<'a>> {
        let candidates = self.trigrams.candidates(texts, most)?;
        let names = candidates.iter().map(|number| &self.numbered[number as usize]);
        let names = names.filter(|name| start.is_none_or(|start| ***name >= *start));
        // Few of them are looked at, mostly: they needn't all be put in order.
        let mut names: BinaryHeap<_> = names.map(Reverse).collect();
        let in_order = std::iter::from_fn(move || names.pop().map(|Reverse(name)| name));
        Some(in_order.filter_map(|name| self.named(name)))
    }

    /// The name right before this one in their order.
    pub(super) fn name_before(&self, name: &FileName) -> Option<&FileName> {
        self.names.range::<FileName, _>(..name).next_back().map(|(name, _)| &**name)
    }

    /// Names in the order of their first publication.
    pub(super) fn names_by_sequence(&self) -> impl Iterator<Item = (&Arc<FileName>, &Entry)> {
        self.by_sequence.values().filter_map(|name| self.names.get_key_value(name))
    }

    /// One member's names from `start` on, that one included, in their order.
    pub(super) fn of_member_from(
        &self,
        member: &MemberName,
        start: Option<&FileName>,
    ) -> impl Iterator<Item = (&Arc<FileName>, &Entry)> {
        let bounds = (start.map_or(Unbounded, Included), Unbounded);
        let names = self.by_member.get(member).map(|names| names.by_name.range::<FileName, _>(bounds));
        names.into_iter().flatten().filter_map(|name| self.named(name))
    }

    /// The member's names behind `after`, in their order, each with the member's publication.
    pub(super) fn of_member_after(
        &self,
        member: &MemberName,
        after: Option<&FileName>,
    ) -> impl Iterator<Item = (&Arc<FileName>, &Publication)> {
        let bounds = (after.map_or(Unbounded, Excluded), Unbounded);
        let names = self.by_member.get(member).map(|names| names.by_name.range::<FileName, _>(bounds));
        names.into_iter().flatten().filter_map(move |name| {
            let publication = self.names.get(name)?.owners.get(member)?;
            Some((name, publication))
        })
    }

    /// The member's names in the order of their first publication, each with the member's publication.
    pub(super) fn of_member_by_sequence(
        &self,
        member: &MemberName,
    ) -> impl Iterator<Item = (&Arc<FileName>, &Publication)> {
        let names = self.by_member.get(member).into_iter().flat_map(|names| names.by_sequence.values());
        names.filter_map(move |name| Some((name, self.names.get(name)?.owners.get(member)?)))
    }
}

impl Publication {
    /// Takes out what this session offers, and what sessions offered that are over.
    fn take_offers(&mut self, session: SessionId, is_open: impl Fn(SessionId) -> bool) -> Vec<Offering> {
        let goes = |offering: &mut Offering| offering.session == session || !is_open(offering.session);
        self.offered_by.extract_if(.., goes).collect()
    }
}

/// These offers of a publication are no more.
fn forget(contents: &mut Contents, claim: Claim<'_>, offerings: &[Offering]) {
    offerings.iter().for_each(|offering| contents.remove(claim, Some(offering.session), &offering.content));
}

/// What this session offered.
fn of_session(offerings: Vec<Offering>, session: SessionId) -> Option<Arc<Content>> {
    offerings.into_iter().find(|offering| offering.session == session).map(|offering| offering.content)
}
