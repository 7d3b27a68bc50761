//! Publications: which member claims which name, and which sessions offer what under it (BT-2.6).
//!
//! An index may hold ten million of them, so what is nearly always so takes little room: a name has one owner, a
//! publication is offered by one session, as what was published last, and nobody else stands for its content
//! ([`Singles`]). All that is otherwise stands in maps.

use std::collections::HashMap;
use std::iter;
use std::ops::RangeFrom;
use std::sync::Arc;

use bittrickle_wire::{Content, FileName, MemberName, Root};
use roaring::RoaringBitmap;

use super::contents::{Claim, Contents, Holder};
use super::names::{Entry, Names};
use super::owners::Owners;
use super::packed::Packed;
use super::sessions::SessionId;
use super::singles::Singles;

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

/// What stands for which content. Each function is called before the publication itself changes.
impl Publications {
    /// The publication stands for this content: as what was published last, or as what a session offers.
    fn stand(&mut self, name: u32, member: &Arc<MemberName>, session: Option<SessionId>, content: Content) {
        let Some(root) = content.root else { return };
        match self.single(root) {
            Some(single)
                if single == name && session.is_some() && self.is_first_offer(name, member, content) =>
            {
                return;
            }
            Some(single) => self.stand_apart(single),
            None if session.is_none() && self.may_be_single(name, member, root) => {
                let names = &self.names;
                if self.singles.add(root, name, |name| single_root(names, name)) {
                    return;
                }
            }
            None => {}
        }
        self.contents.add(Claim { member, name }, session, content);
    }

    /// It doesn't stand for it any more.
    fn fall(&mut self, name: u32, member: &Arc<MemberName>, session: Option<SessionId>, content: Content) {
        let Some(root) = content.root else { return };
        if self.single(root) != Some(name) {
            self.contents.remove(Claim { member, name }, session, content);
        } else if session.is_none() {
            self.singles.remove(root, name);
        }
    }

    /// Whether the publication's only offer would be this one, of what was published last.
    fn is_first_offer(&self, name: u32, member: &MemberName, content: Content) -> bool {
        let publication = self.publication(name, member);
        publication.is_some_and(|publication| publication.is_unoffered() && publication.content() == content)
    }

    /// Whether the publication would be the only one that stands for this root.
    fn may_be_single(&self, name: u32, member: &MemberName, root: Root) -> bool {
        let is_alone = self.names.entry(name).is_some_and(|entry| match &entry.owners {
            Owners::None => true,
            Owners::One(owner, publication) => **owner == *member && publication.is_unoffered(),
            Owners::Many(_) => false,
        });
        is_alone && !self.contents.has(root)
    }

    /// The name whose only publication alone stands for this root.
    fn single(&self, root: Root) -> Option<u32> {
        let is_it = |name: &u32| single_root(&self.names, *name) == Some(root);
        self.singles.candidates(root).find(is_it)
    }

    /// If the name's only publication alone stands for its content, it doesn't any more.
    fn stand_apart(&mut self, name: u32) {
        let Some(root) = single_root(&self.names, name).filter(|root| self.single(*root) == Some(name))
        else {
            return;
        };
        self.singles.remove(root, name);
        let entry = self.names.entry(name).expect("it has a content");
        for (member, publication) in entry.owners.iter() {
            let claim = Claim { member, name };
            self.contents.add(claim, None, publication.content());
            for Offering { session, content } in publication.offerings() {
                self.contents.add(claim, Some(session), content);
            }
        }
    }

    /// Who has a content, from this member on, by member: first that they have published it last, then each session
    /// once.
    pub(super) fn holders<'a>(
        &'a self,
        root: Root,
        from: Option<&MemberName>,
    ) -> impl Iterator<Item = Holder<'a>> {
        let owners = self.single(root).and_then(|name| self.names.entry(name)).map(|entry| &entry.owners);
        let several = owners.is_none().then(|| self.contents.holders(root, from));
        let one = owners.into_iter().flat_map(move |owners| owners.range_from(from));
        let one = one.flat_map(|(member, publication)| {
            let content = Some(publication.content());
            let sessions = publication.offerings().map(|offering| Some(offering.session));
            iter::once(None).chain(sessions).map(move |session| Holder { member, session, content })
        });
        one.collect::<Vec<_>>().into_iter().chain(several.into_iter().flatten())
    }

    /// The names from this number on of all contents whose root is between these two, by number. `None` when there are so
    /// many such roots that looking at all names is no worse.
    pub(super) fn names_between(
        &self,
        lowest: Root,
        highest: Root,
        RangeFrom { start }: RangeFrom<u32>,
    ) -> Option<impl Iterator<Item = u32>> {
        let is_between = move |name: &u32| {
            single_root(&self.names, *name).is_some_and(|root| (lowest..=highest).contains(&root))
                && *name >= start
        };
        let singles = self.singles.candidates(lowest).filter(is_between);
        self.contents.names_between(lowest, highest, start, singles)
    }

    /// A session is downloading these contents.
    pub(super) fn announce(&mut self, roots: &[Root], member: &Arc<MemberName>, session: SessionId) {
        for root in roots {
            if let Some(name) = self.single(*root) {
                self.stand_apart(name);
            }
        }
        self.contents.announce(roots, member, session);
    }

    /// It isn't any more.
    pub(super) fn end_announcements(&mut self, roots: &[Root], member: &Arc<MemberName>, session: SessionId) {
        self.contents.end_announcements(roots, member, session);
    }
}

/// The root behind a name that has one owner.
fn single_root(names: &Names, name: u32) -> Option<Root> {
    match &names.entry(name)?.owners {
        Owners::One(_, publication) => publication.content().root,
        Owners::None | Owners::Many(_) => None,
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
