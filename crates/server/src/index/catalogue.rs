//! Publications as they are kept beside the index: what changes about them, and how they come back.

use std::sync::Arc;

use bittrickle_wire::{Content, FileName, MemberName};

use super::Index;
use super::publications::Publications;

/// One change of what members have published. In their order, all of them together make the publications anew.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Edit {
    /// The member's publication of this name is this from now on.
    Publish {
        /// Whose.
        member: Arc<MemberName>,
        /// Under which name.
        name: FileName,
        /// What stands behind it.
        content: Content,
    },
    /// The member publishes this name no more.
    Withdraw {
        /// Whose it was.
        member: Arc<MemberName>,
        /// Which name.
        name: FileName,
    },
    /// The member publishes nothing any more.
    Forget {
        /// Who.
        member: Arc<MemberName>,
    },
}

impl Edit {
    /// Whose publications it is about.
    #[must_use]
    pub fn member(&self) -> &Arc<MemberName> {
        match self {
            Self::Publish { member, .. } | Self::Withdraw { member, .. } | Self::Forget { member } => member,
        }
    }
}

/// Publications that no session offers: as they are kept while the index isn't running. Made beside an index, as making
/// millions of them takes seconds.
#[derive(Debug, Default)]
pub struct Catalogue {
    publications: Publications,
}

impl Catalogue {
    /// Adds a publication, or gives the member's publication of this name its new content.
    pub fn add(&mut self, member: &Arc<MemberName>, name: FileName, content: Content) {
        self.publications.publish(member, name, content, None, |_| false);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.publications.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Index {
    /// From now on, notes what changes about publications: somebody has to take it ([`Index::take_edits`]).
    pub fn note_edits(&mut self) {
        self.edits.get_or_insert_default();
    }

    /// What has changed since it was asked last.
    pub fn take_edits(&mut self) -> Vec<Edit> {
        self.edits.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether something has changed since then.
    #[must_use]
    pub fn has_edits(&self) -> bool {
        self.edits.as_ref().is_some_and(|edits| !edits.is_empty())
    }

    /// From now on, publications are being read, and what is asked about them has to wait (BT-2.6-8).
    pub fn await_catalogue(&mut self) {
        self.is_loading = true;
    }

    /// The publications have been read. Those of members who aren't `known` any more are forgotten.
    pub fn load(&mut self, catalogue: Catalogue, is_known: impl Fn(&MemberName) -> bool) {
        self.is_loading = false;
        self.publications = catalogue.publications;
        let gone: Vec<_> = self.publications.members().filter(|member| !is_known(member)).cloned().collect();
        gone.iter().for_each(|member| self.remove_member(member));
    }

    /// Whether changes of publications are refused, as they can't be kept at present.
    pub fn refuse_changes(&mut self, is_refused: bool) {
        self.is_refusing = is_refused;
    }

    pub(super) fn note(&mut self, edit: impl FnOnce() -> Edit) {
        if let Some(edits) = &mut self.edits {
            edits.push(edit());
        }
    }
}
