//! What stands for which content: publications, and what sessions offer or have announced (BT-2.7-6, BT-2.7-7).

use std::iter;
use std::ops::RangeFrom;
use std::sync::Arc;

use bittrickle_wire::{Content, MemberName, Root};

use super::super::contents::{Claim, Holder};
use super::super::names::Names;
use super::super::owners::Owners;
use super::super::sessions::SessionId;
use super::{Offering, Publications};

/// Each function is called before the publication itself changes.
impl Publications {
    /// The publication stands for this content: as what was published last, or as what a session offers.
    pub(super) fn stand(
        &mut self,
        name: u32,
        member: &Arc<MemberName>,
        session: Option<SessionId>,
        content: Content,
    ) {
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
    pub(super) fn fall(
        &mut self,
        name: u32,
        member: &Arc<MemberName>,
        session: Option<SessionId>,
        content: Content,
    ) {
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
    pub(super) fn stand_apart(&mut self, name: u32) {
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
    pub(in super::super) fn holders<'a>(
        &'a self,
        root: Root,
        from: Option<&MemberName>,
    ) -> impl Iterator<Item = Holder<'a>> {
        let single = self.single(root).and_then(|name| match &self.names.entry(name)?.owners {
            Owners::One(member, publication) => Some((member, publication)),
            Owners::None | Owners::Many(_) => None,
        });
        let several = single.is_none().then(|| self.contents.holders(root, from));
        let one = single.filter(|(member, _)| from.is_none_or(|from| ***member >= *from));
        let one = one.into_iter().flat_map(|(member, publication)| {
            let content = Some(publication.content());
            let sessions = publication.offerings().map(|offering| Some(offering.session));
            iter::once(None).chain(sessions).map(move |session| Holder { member, session, content })
        });
        one.chain(several.into_iter().flatten())
    }

    /// The names from this number on of all contents whose root is between these two, by number. `None` when there are so
    /// many such roots that looking at all names is no worse.
    pub(in super::super) fn names_between(
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
    pub(in super::super) fn announce(
        &mut self,
        roots: &[Root],
        member: &Arc<MemberName>,
        session: SessionId,
    ) {
        for root in roots {
            if let Some(name) = self.single(*root) {
                self.stand_apart(name);
            }
        }
        self.contents.announce(roots, member, session);
    }

    /// It isn't any more.
    pub(in super::super) fn end_announcements(
        &mut self,
        roots: &[Root],
        member: &Arc<MemberName>,
        session: SessionId,
    ) {
        self.contents.end_announcements(roots, member, session);
    }
}

/// The root behind a name that has one owner.
pub(super) fn single_root(names: &Names, name: u32) -> Option<Root> {
    match &names.entry(name)?.owners {
        Owners::One(_, publication) => publication.content().root,
        Owners::None | Owners::Many(_) => None,
    }
}
