//! Everybody who has published one name.

use std::collections::BTreeMap;
use std::ops::Bound::{Included, Unbounded};
use std::sync::Arc;

use bittrickle_wire::MemberName;

use super::publications::Publication;

/// The publications of one name, by member. Nearly always it is one, and needs no map: ten million maps that hold one
/// thing each would take more room than everything else.
#[derive(Debug, Default)]
pub(super) enum Owners {
    /// None: the name has just been added, or is about to go.
    #[default]
    None,
    One(Arc<MemberName>, Publication),
    /// In a box, so that the others take no room for a map.
    #[expect(clippy::box_collection, reason = "a map takes three times the room")]
    Many(Box<BTreeMap<Arc<MemberName>, Publication>>),
}

impl Owners {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::One(..) => false,
            Self::Many(all) => all.is_empty(),
        }
    }

    pub(super) fn get(&self, member: &MemberName) -> Option<&Publication> {
        self.get_key_value(member).map(|(_, publication)| publication)
    }

    /// The member's publication, and the index's copy of who that is.
    pub(super) fn get_key_value(&self, member: &MemberName) -> Option<(&Arc<MemberName>, &Publication)> {
        match self {
            Self::One(owner, publication) if **owner == *member => Some((owner, publication)),
            Self::None | Self::One(..) => None,
            Self::Many(all) => all.get_key_value(member),
        }
    }

    pub(super) fn get_mut(&mut self, member: &MemberName) -> Option<&mut Publication> {
        match self {
            Self::One(owner, publication) if **owner == *member => Some(publication),
            Self::None | Self::One(..) => None,
            Self::Many(all) => all.get_mut(member),
        }
    }

    /// Adds a member's publication; the member has none yet.
    pub(super) fn insert(&mut self, member: Arc<MemberName>, publication: Publication) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(member, publication),
            Self::One(owner, first) => {
                Self::Many(Box::new(BTreeMap::from([(owner, first), (member, publication)])))
            }
            Self::Many(mut all) => {
                all.insert(member, publication);
                Self::Many(all)
            }
        };
    }

    /// Takes out a member's publication.
    pub(super) fn remove(&mut self, member: &MemberName) -> Option<(Arc<MemberName>, Publication)> {
        match std::mem::take(self) {
            Self::One(owner, publication) if *owner == *member => Some((owner, publication)),
            Self::Many(mut all) => {
                let removed = all.remove_entry(member);
                *self = Self::Many(all);
                removed
            }
            other @ (Self::None | Self::One(..)) => {
                *self = other;
                None
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<MemberName>, &Publication)> {
        self.range_from(None)
    }

    /// Those from this member on, that one included, in their order.
    pub(super) fn range_from(
        &self,
        start: Option<&MemberName>,
    ) -> impl Iterator<Item = (&Arc<MemberName>, &Publication)> {
        let (one, all) = match self {
            Self::None => (None, None),
            Self::One(owner, publication) => (Some((owner, publication)), None),
            Self::Many(all) => (None, Some(all)),
        };
        let one = one.filter(|(owner, _)| start.is_none_or(|start| ***owner >= *start));
        let bounds = (start.map_or(Unbounded, Included), Unbounded);
        let all = all.into_iter().flat_map(move |all| all.range::<MemberName, _>(bounds));
        one.into_iter().chain(all)
    }
}
