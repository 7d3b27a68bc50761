//! Publications: which member claims which name, and which sessions offer it (BT-2.6).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use bittrickle_wire::{FileBytes, FileName, MemberName, fold};

use super::sessions::SessionId;

/// One member's claim to have a file under a name.
#[derive(Debug)]
pub(super) struct Publication {
    /// Unknown where a legacy client published it.
    pub(super) file_bytes: Option<FileBytes>,
    /// The framed sessions that offer it, oldest first. Some may be over: they go when the next one is added.
    pub(super) offered_by: Vec<SessionId>,
}

/// One name and everybody who has published it.
#[derive(Debug)]
pub(super) struct Entry {
    /// In lower case, for searching.
    pub(super) folded: Box<str>,
    /// Its place in the order of first publications.
    pub(super) sequence: u64,
    pub(super) owners: BTreeMap<Arc<MemberName>, Publication>,
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
    next_sequence: u64,
    count: usize,
}

impl Publications {
    pub(super) fn len(&self) -> usize {
        self.count
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

    /// Publishes a name, or gives the member's publication its new size. Returns the index's copy of the name.
    pub(super) fn publish(
        &mut self,
        member: &Arc<MemberName>,
        name: FileName,
        file_bytes: Option<FileBytes>,
    ) -> Arc<FileName> {
        let name = match self.names.get_key_value(&name) {
            Some((name, _)) => Arc::clone(name),
            None => self.add_name(name),
        };
        let entry = self.names.get_mut(&name).expect("it was there, or has just been added");
        match entry.owners.get_mut(member) {
            Some(publication) => publication.file_bytes = file_bytes,
            None => {
                let publication = Publication { file_bytes, offered_by: Vec::new() };
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
        let folded = fold(name.as_str()).into();
        let name = Arc::new(name);
        self.names.insert(Arc::clone(&name), Entry { folded, sequence, owners: BTreeMap::new() });
        self.by_sequence.insert(sequence, Arc::clone(&name));
        name
    }

    /// Withdraws the member's publication of a name and returns it, if there was one.
    pub(super) fn unpublish(&mut self, member: &MemberName, name: &FileName) -> Option<Publication> {
        let entry = self.names.get_mut(name)?;
        let publication = entry.owners.remove(member)?;
        let sequence = entry.sequence;
        self.count -= 1;
        if entry.owners.is_empty() {
            self.names.remove(name);
            self.by_sequence.remove(&sequence);
        }
        if let Some(names) = self.by_member.get_mut(member) {
            names.by_name.remove(name);
            names.by_sequence.remove(&sequence);
            if names.by_name.is_empty() {
                self.by_member.remove(member);
            }
        }
        Some(publication)
    }

    /// Notes that a session offers a name that its member has published, and forgets those that are over.
    pub(super) fn add_offer(
        &mut self,
        member: &MemberName,
        name: &FileName,
        session: SessionId,
        is_open: impl Fn(SessionId) -> bool,
    ) {
        let publication = self.names.get_mut(name).and_then(|entry| entry.owners.get_mut(member));
        if let Some(publication) = publication {
            publication.offered_by.retain(|id| *id != session && is_open(*id));
            publication.offered_by.push(session);
        }
    }

    /// Ends one session's offer of a name. Says whether another session of the member still offers it.
    pub(super) fn end_offer(
        &mut self,
        member: &MemberName,
        name: &FileName,
        session: SessionId,
        is_open: impl Fn(SessionId) -> bool,
    ) -> bool {
        let publication = self.names.get_mut(name).and_then(|entry| entry.owners.get_mut(member));
        publication.is_some_and(|publication| {
            publication.offered_by.retain(|id| *id != session && is_open(*id));
            !publication.offered_by.is_empty()
        })
    }

    /// Names from `start` on, that one included, in their order.
    pub(super) fn names_from(
        &self,
        start: Option<&FileName>,
    ) -> impl Iterator<Item = (&Arc<FileName>, &Entry)> {
        self.names.range::<FileName, _>((start.map_or(Unbounded, Included), Unbounded))
    }

    /// The name right before this one in their order.
    pub(super) fn name_before(&self, name: &FileName) -> Option<&FileName> {
        self.names.range::<FileName, _>(..name).next_back().map(|(name, _)| &**name)
    }

    /// Names in the order of their first publication.
    pub(super) fn names_by_sequence(&self) -> impl Iterator<Item = (&Arc<FileName>, &Entry)> {
        self.by_sequence.values().filter_map(|name| self.names.get_key_value(name))
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

    /// The member's names in the order of their first publication.
    pub(super) fn of_member_by_sequence(&self, member: &MemberName) -> impl Iterator<Item = &Arc<FileName>> {
        self.by_member.get(member).into_iter().flat_map(|names| names.by_sequence.values())
    }
}
