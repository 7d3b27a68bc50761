//! Publications as they are kept beside the index: what changes about them, and how they come back.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;

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

/// A catalogue that is being made. What names are found by is made on a thread of its own meanwhile.
#[derive(Debug)]
pub struct CatalogueBuilder {
    publications: Publications,
    /// Names that haven't been handed over, with their numbers, in the form in which they are searched.
    names: Vec<(u32, String)>,
    blocks: Option<SyncSender<Vec<(u32, String)>>>,
    trigrams: Option<JoinHandle<Trigrams>>,
}

/// Names that are made searchable together: as many as a container of a bitmap has room for.
const BLOCK: usize = 65_536;

/// Blocks that may wait: more would be memory for nothing.
const BLOCKS_MAX: usize = 2;

impl Catalogue {
    /// Begins a catalogue of about so many publications.
    ///
    /// # Errors
    /// The operating system has no threads.
    pub fn builder(expected: usize) -> io::Result<CatalogueBuilder> {
        let (blocks, received) = mpsc::sync_channel::<Vec<(u32, String)>>(BLOCKS_MAX);
        let make = move || {
            let mut trigrams = Trigrams::default();
            received.iter().for_each(|block| trigrams.append(&block));
            trigrams
        };
        let thread = std::thread::Builder::new().name("trigrams".to_owned()).spawn(make)?;
        let mut publications = Publications::default();
        publications.reserve(expected);
        Ok(CatalogueBuilder { publications, names: Vec::new(), blocks: Some(blocks), trigrams: Some(thread) })
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
    /// Adds a publication, or gives the member's publication of this name its new content.
    pub fn add(&mut self, member: &Arc<MemberName>, name: FileName, content: Content) {
        let folded = fold(name.as_str());
        if let Some(number) = self.publications.restore(member, name, content) {
            self.names.push((number, folded));
        }
        if self.names.len() == BLOCK {
            self.hand_over();
        }
    }

    /// The catalogue.
    ///
    /// # Panics
    /// The thread that makes names searchable has panicked.
    #[must_use]
    pub fn finish(mut self) -> Catalogue {
        self.hand_over();
        drop(self.blocks.take());
        let thread = self.trigrams.take().expect("it is taken once");
        self.publications.set_trigrams(thread.join().expect("making trigrams doesn't panic"));
        Catalogue { publications: self.publications }
    }

    fn hand_over(&mut self) {
        let block = std::mem::take(&mut self.names);
        // The thread ends before this only by a panic, which is told at the end.
        let _ = self.blocks.as_ref().map(|blocks| blocks.send(block));
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
