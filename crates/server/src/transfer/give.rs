//! From the stores to lines.

use std::io::{self, Write};
use std::ops::ControlFlow;

use bittrickle_wire::MemberName;

use super::Snapshot;
use super::line::{Counts, Header, Line, OfflineEntry, PublicationEntry, VERSION};
use crate::store::{MemberNames, StoreError};

/// Why not all lines were given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GiveError {
    /// The stores can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody takes them.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Where the lines go.
struct Lines<W> {
    output: W,
    counts: Counts,
}

/// Writes all lines. It is best to give a buffered `output`.
pub(crate) fn give(snapshot: &Snapshot, output: impl Write) -> Result<(), GiveError> {
    let Snapshot { members, publications } = snapshot;
    let mut lines = Lines { output, counts: Counts::default() };
    lines.write(&Line::BittrickleExport(Header { version: VERSION }))?;
    members.for_each_member(|member| lines.write(&Line::Member(member)))?;
    members.for_each_device(|device| lines.write(&Line::Device(device)))?;
    // Both stores are read as they were within one moment, not at one: what a member left who was removed in between is
    // passed over.
    let mut known = Known { names: members.names()?, last: None };
    for (member, hours) in publications.offline_hours()? {
        if known.has(&member)? {
            lines.write(&Line::Offline(OfflineEntry { member: &*member, hours }))?;
        }
    }
    let all = publications.for_each(|member, name, content| {
        let written = known.has(member).map_err(GiveError::from).and_then(|is_known| {
            let line = Line::Publication(PublicationEntry { member: &**member, name, content });
            if is_known { lines.write(&line) } else { Ok(()) }
        });
        written.map_or_else(ControlFlow::Break, ControlFlow::Continue)
    })?;
    if let ControlFlow::Break(error) = all {
        return Err(error);
    }
    lines.write(&Line::End(lines.counts))?;
    Ok(lines.output.flush()?)
}

impl<W: Write> Lines<W> {
    fn write(&mut self, line: &Line<&MemberName>) -> Result<(), GiveError> {
        self.counts.add(line);
        serde_json::to_writer(&mut self.output, line).map_err(io::Error::from)?;
        Ok(self.output.write_all(b"\n")?)
    }
}

/// Which members there are. One member's publications come one after the other, so that the last answer is kept.
struct Known {
    names: MemberNames,
    last: Option<(MemberName, bool)>,
}

impl Known {
    fn has(&mut self, member: &MemberName) -> Result<bool, StoreError> {
        if let Some((last, is_known)) = &self.last
            && last == member
        {
            return Ok(*is_known);
        }
        let is_known = self.names.has(member)?;
        self.last = Some((member.clone(), is_known));
        Ok(is_known)
    }
}
