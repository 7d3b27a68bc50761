//! Publications: which member claims which name, and which sessions offer what under it (BT-2.6).
//!
//! An index may hold ten million of them, so what is nearly always so takes little room: a name has one owner, a
//! publication is offered by one session, as what was published last, and nobody else stands for its content
//! ([`Singles`]). All that is otherwise stands in maps.

mod standing;

use std::collections::HashMap;
use std::ops::RangeFrom;
use std::sync::Arc;

use bittrickle_wire::{Content, FileName, MemberName};
use roaring::RoaringBitmap;

use super::contents::Contents;
use super::names::{Entry, Names};
use super::packed::Packed;
use super::sessions::SessionId;
use super::singles::Singles;
use super::trigrams::Trigrams;

/// One member's claim to have a file or a folder under a name.
#[derive(Debug)]
pub(super) struct Publication {
    content: Packed,
    offers: Offers,
}

/// The framed sessions that offer something under a name. Some may be over: they go when the next one is added.
#[derive(Debug)]
enum Offers {
    /// None does.
    None,
    /// This one, and what was published last.
    One(SessionId),
    /// These, oldest first. In a box twice, so that the others take no room for a vector.
    #[expect(clippy::box_collection, reason = "a vector takes three times the room")]
    Many(Box<Vec<Offering>>),
}

/// What one session offers under a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offering {
    pub(super) session: SessionId,
    pub(super) content: Content,
}

/// All publications.
#[derive(Debug, Default)]
pub(super) struct Publications {
    names: Names,
    /// The numbers of each member's names.
    by_member: HashMap<Arc<MemberName>, RoaringBitmap>,
    /// Every root that stands behind a name is in one of these two. What one publication alone stands for is here,
    singles: Singles,
    /// and what several do here: each [`Publication::content`] and each [`Offering`] counts once.
    contents: Contents,
    count: usize,
}

/// A publication that has been made or changed.
#[derive(Debug)]
pub(super) struct Published {
    /// The number of its name.
    pub(super) name: u32,
    /// What the session has offered under the name so far.
    pub(super) before: Option<Content>,
    /// Whether anything else was published last, or nothing.
    pub(super) is_changed: bool,
}

/// A publication that has been withdrawn.
#[derive(Debug)]
pub(super) struct Withdrawn {
    /// The number that its name had.
    pub(super) name: u32,
    /// Who offered what as it.
    pub(super) offerings: Vec<Offering>,
}

impl Publications {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn count_of(&self, member: &MemberName) -> usize {
        self.by_member.get(member).map_or(0, |names| usize::try_from(names.len()).unwrap_or(usize::MAX))
    }

    pub(super) fn is_owner(&self, member: &MemberName, name: &FileName) -> bool {
        self.named(name).is_some_and(|(_, entry)| entry.owners.get(member).is_some())
    }

    #[cfg(test)]
    pub(super) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The number of a name, and what is published under it.
    pub(super) fn named(&self, name: &FileName) -> Option<(u32, &Entry)> {
        let number = self.names.number(name)?;
        Some((number, self.names.entry(number)?))
    }

    /// All members who have published anything, in no order.
    pub(super) fn members(&self) -> impl Iterator<Item = &Arc<MemberName>> {
        self.by_member.keys()
    }

    /// The numbers of one member's names.
    pub(super) fn of_member(&self, member: &MemberName) -> Option<&RoaringBitmap> {
        self.by_member.get(member)
    }

    /// One member's publications whose names have this number or a higher one, by number.
    pub(super) fn of_member_from(
        &self,
        member: &MemberName,
        RangeFrom { start }: RangeFrom<u32>,
    ) -> impl Iterator<Item = (u32, &FileName, &Publication)> {
        let numbers = self.by_member.get(member).map(|names| names.range(start..));
        numbers.into_iter().flatten().filter_map(move |number| {
            let entry = self.names.entry(number)?;
            Some((number, &entry.name, entry.owners.get(member)?))
        })
    }

    /// One member's publications from the one on that so many of its others stand before, by number.
    pub(super) fn of_member_from_rank(
        &self,
        member: &MemberName,
        rank: u32,
    ) -> impl Iterator<Item = (u32, &FileName, &Publication)> {
        let first = self.by_member.get(member).and_then(|names| names.select(rank));
        first.into_iter().flat_map(|first| self.of_member_from(member, first..))
    }

    /// Publishes a name, or gives the member's publication its new content. `session` is the one that offers it from then
    /// on, if it is published by one. Forgets sessions that are over.
    pub(super) fn publish(
        &mut self,
        member: &Arc<MemberName>,
        name: FileName,
        content: Content,
        session: Option<SessionId>,
        is_open: impl Fn(SessionId) -> bool,
    ) -> Published {
        let number = self.names.number(&name).unwrap_or_else(|| self.names.add(name));
        self.publish_under(number, member, content, session, is_open)
    }

    /// A session offers what its member has published last under the name with this number. Gives what it has offered under
    /// it so far.
    pub(super) fn resume(
        &mut self,
        number: u32,
        member: &Arc<MemberName>,
        session: SessionId,
        is_open: impl Fn(SessionId) -> bool,
    ) -> Option<Content> {
        let content = self.publication(number, member)?.content();
        self.publish_under(number, member, content, Some(session), is_open).before
    }

    /// Publishes a name that is not offered by anybody. If it is a new one, it isn't found by its parts until
    /// [`Publications::set_trigrams`], and this gives its number.
    pub(super) fn restore(
        &mut self,
        member: &Arc<MemberName>,
        name: FileName,
        content: Content,
    ) -> Option<u32> {
        let known = self.names.number(&name);
        let number = known.unwrap_or_else(|| self.names.add_unsearchable(name));
        self.publish_under(number, member, content, None, |_| false);
        known.is_none().then_some(number)
    }

    /// Makes room for so many more publications.
    pub(super) fn reserve(&mut self, publications: usize) {
        self.names.reserve(publications);
        let names = &self.names;
        self.singles.reserve(publications, |name| standing::single_root(names, name));
    }

    pub(super) fn set_trigrams(&mut self, trigrams: Trigrams) {
        self.names.set_trigrams(trigrams);
    }

    fn publish_under(
        &mut self,
        number: u32,
        member: &Arc<MemberName>,
        content: Content,
        session: Option<SessionId>,
        is_open: impl Fn(SessionId) -> bool,
    ) -> Published {
        let gone = self.take_offers(number, member, |offering| {
            Some(offering.session) == session || !is_open(offering.session)
        });
        let last = self.publication(number, member).map(Publication::content);
        match last {
            Some(before) if before == content => {}
            Some(before) => self.replace(number, member, before, content),
            None => self.insert(number, member, content),
        }
        if let Some(session) = session {
            self.stand(number, member, Some(session), content);
            self.publication_mut(number, member).offer(Offering { session, content });
        }
        let before = session.and_then(|session| of_session(&gone, session));
        Published { name: number, before, is_changed: last != Some(content) }
    }

    fn insert(&mut self, number: u32, member: &Arc<MemberName>, content: Content) {
        // A name with two owners has no single any more.
        self.stand_apart(number);
        self.stand(number, member, None, content);
        let publication = Publication { content: content.into(), offers: Offers::None };
        let entry = self.names.entry_mut(number).expect("it has just been found or added");
        entry.owners.insert(Arc::clone(member), publication);
        match self.by_member.get_mut(member) {
            Some(names) => names.insert(number),
            None => self.by_member.entry(Arc::clone(member)).or_default().insert(number),
        };
        self.count += 1;
    }

    fn replace(&mut self, number: u32, member: &Arc<MemberName>, before: Content, content: Content) {
        if self.publication_mut(number, member).make_offers_explicit() {
            self.stand_apart(number);
        }
        self.fall(number, member, None, before);
        self.stand(number, member, None, content);
        self.publication_mut(number, member).content = content.into();
    }

    /// Withdraws the member's publication of a name, if there is one.
    pub(super) fn unpublish(&mut self, member: &MemberName, name: &FileName) -> Option<Withdrawn> {
        let (number, entry) = self.named(name)?;
        let (owner, publication) = entry.owners.get_key_value(member)?;
        let (owner, content) = (Arc::clone(owner), publication.content());
        let offerings = self.take_offers(number, member, |_| true);
        self.fall(number, &owner, None, content);
        let entry = self.names.entry_mut(number)?;
        entry.owners.remove(member);
        if entry.owners.is_empty() {
            self.names.remove(number);
        }
        if let Some(names) = self.by_member.get_mut(member) {
            names.remove(number);
            if names.is_empty() {
                self.by_member.remove(member);
            }
        }
        self.count -= 1;
        Some(Withdrawn { name: number, offerings })
    }

    /// Ends one session's offer of a name. Gives the name's number and what that was, and says whether another session of
    /// the member still offers something under it.
    pub(super) fn end_offer(
        &mut self,
        member: &MemberName,
        name: &FileName,
        session: SessionId,
        is_open: impl Fn(SessionId) -> bool,
    ) -> (Option<(u32, Content)>, bool) {
        let Some(number) = self.names.number(name) else { return (None, false) };
        let gone = self.take_offers(number, member, |offering| {
            offering.session == session || !is_open(offering.session)
        });
        let others = self.publication(number, member).is_some_and(|publication| !publication.is_unoffered());
        (of_session(&gone, session).map(|content| (number, content)), others)
    }

    /// Takes out offers of a publication.
    fn take_offers(
        &mut self,
        number: u32,
        member: &MemberName,
        goes: impl Fn(&Offering) -> bool,
    ) -> Vec<Offering> {
        let owners = self.names.entry(number).map(|entry| &entry.owners);
        let Some((owner, publication)) = owners.and_then(|owners| owners.get_key_value(member)) else {
            return Vec::new();
        };
        let gone: Vec<Offering> = publication.offerings().filter(goes).collect();
        let owner = Arc::clone(owner);
        for Offering { session, content } in &gone {
            self.fall(number, &owner, Some(*session), *content);
        }
        let publication = self.publication_mut(number, member);
        gone.iter().for_each(|offering| publication.end_offer(offering.session));
        gone
    }

    fn publication(&self, number: u32, member: &MemberName) -> Option<&Publication> {
        self.names.entry(number)?.owners.get(member)
    }

    fn publication_mut(&mut self, number: u32, member: &MemberName) -> &mut Publication {
        let entry = self.names.entry_mut(number).expect("whoever asks has found it");
        entry.owners.get_mut(member).expect("whoever asks has found it")
    }
}

impl Publication {
    /// What was published last.
    pub(super) fn content(&self) -> Content {
        self.content.into()
    }

    /// What sessions offer as it, oldest first; some of them may be over.
    pub(super) fn offerings(&self) -> impl Iterator<Item = Offering> {
        let (one, many): (_, &[Offering]) = match &self.offers {
            Offers::None => (None, &[]),
            Offers::One(session) => (Some(Offering { session: *session, content: self.content() }), &[]),
            Offers::Many(offerings) => (None, offerings),
        };
        one.into_iter().chain(many.iter().copied())
    }

    fn is_unoffered(&self) -> bool {
        match &self.offers {
            Offers::None => true,
            Offers::One(_) => false,
            Offers::Many(offerings) => offerings.is_empty(),
        }
    }

    /// A session offers what was published last.
    fn offer(&mut self, offering: Offering) {
        if self.is_unoffered() {
            self.offers = Offers::One(offering.session);
        } else {
            self.make_offers_explicit();
            if let Offers::Many(offerings) = &mut self.offers {
                offerings.push(offering);
            }
        }
    }

    fn end_offer(&mut self, session: SessionId) {
        match &mut self.offers {
            Offers::One(only) if *only == session => self.offers = Offers::None,
            Offers::None | Offers::One(_) => {}
            Offers::Many(offerings) => offerings.retain(|offering| offering.session != session),
        }
    }

    /// Offers say for themselves what is offered, so that another content can be published. Says whether there are any.
    fn make_offers_explicit(&mut self) -> bool {
        let offerings: Vec<_> = self.offerings().collect();
        let is_offered = !offerings.is_empty();
        if is_offered {
            self.offers = Offers::Many(Box::new(offerings));
        }
        is_offered
    }
}

/// What this session offered.
fn of_session(offerings: &[Offering], session: SessionId) -> Option<Content> {
    offerings.iter().find(|offering| offering.session == session).map(|offering| offering.content)
}
