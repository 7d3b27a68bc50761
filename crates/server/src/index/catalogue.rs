//! Publications as they are kept beside the index: what changes about them, and how they come back.

use std::collections::HashMap;
use std::sync::Arc;

use bittrickle_wire::{Content, FileName, MemberName, fold};

use super::Index;
use super::publications::Publications;
use super::trigrams::Trigrams;

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
    /// The member has been offline for so long.
    Offline {
        /// Who.
        member: Arc<MemberName>,
        /// For how many hours, of those in which a server ran.
        hours: u32,
    },
}

impl Edit {
    /// Whose publications it is about.
    #[must_use]
    pub fn member(&self) -> &Arc<MemberName> {
        match self {
            Self::Publish { member, .. }
            | Self::Withdraw { member, .. }
            | Self::Forget { member }
            | Self::Offline { member, .. } => member,
        }
    }
}

/// Publications that no session offers: as they are kept while the index isn't running. Made beside an index, as making
/// millions of them takes seconds.
#[derive(Debug, Default)]
pub struct Catalogue {
    publications: Publications,
    offline_hours: HashMap<Arc<MemberName>, u32>,
}

/// A catalogue that is being made.
#[derive(Debug, Default)]
pub struct CatalogueBuilder {
    publications: Publications,
    offline_hours: HashMap<Arc<MemberName>, u32>,
    block: NameBlock,
}

/// Names that aren't found by their letters yet, with their numbers, in the form in which they are searched.
#[derive(Debug, Default)]
pub struct NameBlock(Vec<(u32, String)>);

/// Which names contain which letters: half of the work of a catalogue, which can be done beside the other one.
#[derive(Debug, Default)]
pub struct NameLetters(Trigrams);

/// Names of a block: as many as a container of a bitmap has room for.
const BLOCK: usize = 65_536;

impl Catalogue {
    /// A catalogue of these.
    pub fn of(publications: impl IntoIterator<Item = (Arc<MemberName>, FileName, Content)>) -> Self {
        let (mut builder, mut letters) = (CatalogueBuilder::default(), NameLetters::default());
        for (member, name, content) in publications {
            if let Some(block) = builder.add(&member, name, content) {
                letters.append(&block);
            }
        }
        letters.append(&builder.last_block());
        builder.finish(letters)
    }

    /// How many publications there are.
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

impl CatalogueBuilder {
    /// Begins a catalogue of about so many publications.
    #[must_use]
    pub fn with_capacity(publications: usize) -> Self {
        let mut builder = Self::default();
        builder.publications.reserve(publications);
        builder
    }

    /// Adds a publication, or gives the member's publication of this name its new content. Gives the names of the last ones,
    /// when they are many enough to be worth being appended to the letters.
    pub fn add(&mut self, member: &Arc<MemberName>, name: FileName, content: Content) -> Option<NameBlock> {
        let folded = fold(name.as_str());
        if let Some(number) = self.publications.restore(member, name, content) {
            self.block.0.push((number, folded));
        }
        (self.block.0.len() == BLOCK).then(|| self.last_block())
    }

    /// Notes that a member had been offline for so many hours.
    pub fn set_offline_hours(&mut self, member: Arc<MemberName>, hours: u32) {
        self.offline_hours.insert(member, hours);
    }

    /// The names that haven't been given yet.
    pub fn last_block(&mut self) -> NameBlock {
        std::mem::take(&mut self.block)
    }

    /// The catalogue. All blocks have been appended to `letters`, in their order.
    #[must_use]
    pub fn finish(mut self, letters: NameLetters) -> Catalogue {
        self.publications.set_trigrams(letters.0);
        Catalogue { publications: self.publications, offline_hours: self.offline_hours }
    }
}

impl NameLetters {
    /// Adds the names of a block.
    pub fn append(&mut self, block: &NameBlock) {
        self.0.append(&block.0);
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

    /// How much has changed since then.
    #[must_use]
    pub fn edit_count(&self) -> usize {
        self.edits.as_ref().map_or(0, Vec::len)
    }

    /// From now on, publications are being read, and what is asked about them has to wait (BT-2.6-8).
    pub fn await_catalogue(&mut self) {
        self.is_loading = true;
    }

    /// The publications have been read. Those of members who aren't `known` any more are forgotten.
    pub fn load(&mut self, catalogue: Catalogue, is_known: impl Fn(&MemberName) -> bool) {
        self.is_loading = false;
        self.publications = catalogue.publications;
        self.offline_hours = catalogue.offline_hours;
        let disowned = std::mem::take(&mut self.disowned);
        let is_gone = |member: &&Arc<MemberName>| !is_known(member) || disowned.contains(&***member);
        let gone: Vec<_> = self.publications.members().filter(is_gone).cloned().collect();
        gone.iter().for_each(|member| self.forget(member));
        self.end_absences();
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
