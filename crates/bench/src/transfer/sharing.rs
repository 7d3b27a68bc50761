//! A source that shares one file or folder, hashed and listed, and those who take it.

use std::path::PathBuf;
use std::process::Command;

use super::TransferError;
use super::group::Group;
use super::peer::{PeerProgram, Source};
use super::place::{Place, SHARED};
use super::program::{Running, Taken, run};

/// Ready to be taken from.
#[derive(Debug)]
pub(super) struct Sharing {
    // Before the group: fields are dropped in this order, and the source speaks with the server.
    source: Source,
    group: Group,
}

/// What is shared is in the place's [`SHARED`] folder under this name.
pub(super) const CONTENT: &str = "content";

const SOURCE: usize = 0;

impl Sharing {
    /// Publishes the [`CONTENT`] with these arguments, and waits until it is hashed. There may be so many takers.
    ///
    /// # Errors
    /// It isn't published.
    pub(super) fn start(
        program: PeerProgram,
        place: &Place,
        takers: usize,
        arguments: &[&str],
    ) -> Result<Self, TransferError> {
        let mut group = Group::start(program, place, 1 + takers)?;
        let mut source = group.source(SOURCE, &place.path(SHARED), arguments)?;
        source.publish(CONTENT)?;
        group.wait_for_root(CONTENT)?;
        Ok(Self { source, group })
    }

    /// Who it is taken from.
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Has one of the takers begin, whose numbers start at 1. What was [put aside](Place::put_aside) goes before. Returns
    /// where it will be as well.
    ///
    /// # Errors
    /// It doesn't begin.
    pub(super) fn begin(&self, taker: usize, place: &Place) -> Result<(Running, PathBuf), TransferError> {
        let folder = place.folder(&format!("taken-{taker}"))?;
        place.make_room()?;
        Ok((self.group.taker(taker, CONTENT, &folder)?, folder.join(CONTENT)))
    }

    /// Has the first of the takers take it, compares it, and [puts it aside](Place::put_aside).
    ///
    /// # Errors
    /// It isn't taken, or is something else.
    pub(super) fn take(&self, place: &Place) -> Result<Taken, TransferError> {
        let (taker, target) = self.begin(1, place)?;
        let taken = taker.finish()?;
        // Whoever may bring other bytes is fast for nothing.
        let mut compare = Command::new("diff");
        compare.args(["-r", "-q"]).args([&place.path(SHARED).join(CONTENT), &target]);
        run("diff", compare)?;
        place.put_aside(&target)?;
        Ok(taken)
    }
}
