//! From lines to the stores: all that they haven't yet, or nothing.

use std::cell::Cell;
use std::io::{self, BufRead};

use bittrickle_wire::MemberName;

use super::line::{Counts, Fault, Header, Line, Lines, OfflineEntry, PublicationEntry, VERSION};
use crate::store::{MemberIntake, PublicationIntake, PublicationStore, Store, StoreError};

/// What has been taken in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Taken {
    /// Lines of each kind that were new.
    pub(crate) added: Counts,
    /// Lines whose things were there already.
    pub(crate) there: u64,
}

/// Why nothing was taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    /// The lines can't be read.
    #[error("can't read it: {0}; nothing is imported")]
    Input(#[from] io::Error),
    /// A line is wrong.
    #[error("line {number}: {fault}; nothing is imported")]
    Line { number: u64, fault: Fault },
    /// The stores can't take them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One of the stores has taken them, and then the other one couldn't.
    #[error("members and devices are imported, but no publications; import it again then: {0}")]
    Half(StoreError),
}

impl TakeError {
    /// Whether the last lines are missing.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self, Self::Input(_) | Self::Line { fault: Fault::Cut, .. })
    }
}

/// Reads all lines and adds what isn't there yet. What is there stays as it is. Calls `each_line` for each.
pub(crate) fn take_in(
    input: impl BufRead,
    members: &Store,
    publications: &mut PublicationStore,
    each_line: &mut dyn FnMut(),
) -> Result<Taken, TakeError> {
    let are_members_in = Cell::new(false);
    // Members are made durable first: a publication is never there without its member.
    let taken = publications.take_in(|publications| {
        let taken = members.take_in(|members| take_from(input, members, publications, each_line));
        are_members_in.set(taken.is_ok());
        taken
    });
    taken.map_err(|error| match error {
        TakeError::Store(error) if are_members_in.get() => TakeError::Half(error),
        error => error,
    })
}

/// The same, without making it durable.
pub(super) fn take_from(
    input: impl BufRead,
    members: &mut MemberIntake<'_>,
    publications: &mut PublicationIntake<'_>,
    each_line: &mut dyn FnMut(),
) -> Result<Taken, TakeError> {
    let mut intake = Intake { members, publications, last: None, read: None, taken: Taken::default() };
    intake.take_all(&mut Lines::new(input), each_line)?;
    Ok(intake.taken)
}

struct Intake<'a, 'b, 'c> {
    members: &'a mut MemberIntake<'b>,
    publications: &'a mut PublicationIntake<'c>,
    /// The member who was looked up last, and is there.
    last: Option<MemberName>,
    /// How many lines there were; `None` before the first.
    read: Option<Counts>,
    taken: Taken,
}

impl Intake<'_, '_, '_> {
    fn take_all(
        &mut self,
        lines: &mut Lines<impl BufRead>,
        each_line: &mut dyn FnMut(),
    ) -> Result<(), TakeError> {
        let mut is_over = false;
        while let Some((number, line)) = lines.next()? {
            each_line();
            let at_line = |error| match error {
                LineError::Fault(fault) => TakeError::Line { number, fault },
                LineError::Store(error) => TakeError::Store(error),
            };
            if is_over {
                return Err(at_line(Fault::BehindTheEnd.into()));
            }
            is_over = line.map_err(LineError::from).and_then(|line| self.take(line)).map_err(at_line)?;
        }
        if is_over { Ok(()) } else { Err(TakeError::Line { number: lines.number() + 1, fault: Fault::Cut }) }
    }

    /// Takes in what a line says. Says whether it was the last one.
    fn take(&mut self, line: Line<MemberName>) -> Result<bool, LineError> {
        let Some(read) = &mut self.read else {
            let Line::BittrickleExport(Header { version }) = line else {
                return Err(Fault::NotAnExport.into());
            };
            self.read = Some(Counts::default());
            return if version == VERSION { Ok(false) } else { Err(Fault::Version { version }.into()) };
        };
        if let Line::End(counts) = &line {
            return if read == counts { Ok(true) } else { Err(Fault::OtherCounts.into()) };
        }
        read.add(&line);
        let mut added = self.taken.added;
        added.add(&line);
        if self.add(line)? {
            self.taken.added = added;
        } else {
            self.taken.there += 1;
        }
        Ok(false)
    }

    /// Says whether it was new.
    fn add(&mut self, line: Line<MemberName>) -> Result<bool, LineError> {
        match line {
            Line::Member(entry) => {
                let member = entry.member.clone();
                let is_new = self.members.add_member(entry)?;
                if is_new {
                    self.publications.forget(&member)?;
                }
                Ok(is_new)
            }
            Line::Device(device) => {
                self.need(&device.member)?;
                Ok(self.members.add_device(device)?)
            }
            Line::Offline(OfflineEntry { member, hours }) => {
                self.need(&member)?;
                Ok(self.publications.add_offline_hours(&member, hours)?)
            }
            Line::Publication(PublicationEntry { member, name, content }) => {
                self.need(&member)?;
                Ok(self.publications.add(&member, &name, content)?)
            }
            Line::BittrickleExport(_) | Line::End(_) => Err(Fault::SecondExport.into()),
        }
    }

    fn need(&mut self, member: &MemberName) -> Result<(), LineError> {
        if self.last.as_ref() == Some(member) {
            return Ok(());
        }
        if !self.members.has_member(member)? {
            return Err(Fault::NoMember.into());
        }
        self.last = Some(member.clone());
        Ok(())
    }
}

/// What a line is wrong about, or why it can't be taken in.
enum LineError {
    Fault(Fault),
    Store(StoreError),
}

impl From<Fault> for LineError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<StoreError> for LineError {
    /// Where there is no room, the line is told for which there was none.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooManyMembers => Self::Fault(Fault::TooManyMembers),
            StoreError::TooManyDevices => Self::Fault(Fault::TooManyDevices),
            StoreError::TooManyPublications => Self::Fault(Fault::TooManyPublications),
            error => Self::Store(error),
        }
    }
}
