//! What can go wrong with a source, and with a download.

use std::io;
use std::time::Duration;

use bittrickle_wire::content::{ChecksError, LayoutError, ManifestError};
use bittrickle_wire::messages::{RefusalCode, Refused};
use bittrickle_wire::seal::StreamError;
use bittrickle_wire::{Fault, FramingError, Kind};

use crate::share::FolderError;
use crate::transfer::TooSlow;

/// Why a source is not fetched from any more. The download goes on with others.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing answers at its address.
    #[error("it can't be reached: {0}")]
    Connect(io::Error),
    /// It doesn't answer in time.
    #[error("it does not answer within {} s", .0.as_secs())]
    NoAnswer(Duration),
    /// The source closes the connection instead of answering the handshake.
    #[error("it does not let us in: it may have left, or the server's ticket is too old")]
    NotLetIn,
    /// Whoever is at the source's address is not the peer that the index named.
    #[error("whoever answers there is not the peer that the server named: {0}")]
    WrongPeer(StreamError),
    /// The operating system has no randomness.
    #[error("the operating system has no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// The source says no.
    #[error("it refuses: {}", .0.sentence.as_str())]
    Refused(Refused),
    /// It describes another content than the one that was asked for.
    #[error("it answers for another content")]
    OtherContent,
    /// More pieces than a content may have.
    #[error("it describes what can't be a content: {0}")]
    Layout(#[from] LayoutError),
    /// Its chaining values don't merge to the root.
    #[error("its chaining values are not those of the content: {0}")]
    Outline(#[from] ChecksError),
    /// A piece that isn't what it should be. Nothing of it was written.
    #[error("it sends wrong bytes for piece {0}")]
    WrongBytes(u32),
    /// A frame that has no place here.
    #[error("it sends {0:?} where that has no place")]
    Unexpected(Kind),
    /// A frame that isn't acceptable.
    #[error("it sends a bad frame: {0}")]
    Bad(#[from] Fault),
    /// More bytes than were asked for.
    #[error("it sends more bytes than were asked for")]
    TooMany,
    /// A bitmap of more pieces than there are.
    #[error("it has pieces that the content has not")]
    TooManyPieces,
    /// What comes is no frame.
    #[error("what comes from it is broken: {0}")]
    Framing(#[from] FramingError),
    /// It ends the connection.
    #[error("it ends the connection")]
    Ended,
    /// It keeps us waiting.
    #[error("it is too slow: {0}")]
    TooSlow(#[from] TooSlow),
    /// The connection breaks.
    #[error("the connection breaks: {0}")]
    Broken(io::Error),
}

/// Why a download ends without the content. What is there of it is kept, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Our folder's fault: no other source would help.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The user has interrupted it.
    #[error("interrupted; what is here is kept, and `get` goes on with it")]
    Cancelled,
    /// What was published as a folder's manifest is none. The sources have sent what was asked for.
    #[error("what is shared as a folder is none: {0}")]
    Manifest(ManifestError),
    /// There are no sources left.
    #[error("no source is left: {0}; what is here is kept, and `get` goes on with it")]
    NoSourceLeft(Missing),
    /// What the last source shares has changed.
    #[error(
        "what is shared under this name has changed while it was fetched; what is here is kept, and `get` goes on with it"
    )]
    Changed,
    /// The sources have sent nothing but wrong bytes.
    #[error("every source sends wrong bytes")]
    OnlyLiars,
}

/// What it takes to go on with a download that has no source left.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Missing {
    /// The index, which knows the sources.
    #[error("the server does not answer, so others can't be looked for")]
    Server,
    /// The sources.
    #[error("nobody who has it is online now")]
    Sources,
    /// A way from here to the sources, or the pieces that they lack.
    #[error("those who have it are online, but from here none of them is reached or has what is missing")]
    Way,
}

impl SourceError {
    /// Whether the source has sent what can't be right, under a seal that holds: it is not asked again (BT-3.5-4). A seal
    /// that is broken, a cut and a reset are faults of the way.
    #[must_use]
    pub fn is_lie(&self) -> bool {
        match self {
            Self::OtherContent | Self::Layout(_) | Self::Outline(_) => true,
            Self::WrongBytes(_) | Self::Unexpected(_) | Self::Bad(_) | Self::TooMany => true,
            Self::TooManyPieces => true,
            // What isn't sealed as it should be was changed on the way; what is sealed and is no frame was not.
            Self::Framing(error) => {
                !matches!(error, FramingError::NotSealed | FramingError::PayloadTooLong { .. })
            }
            Self::Connect(_) | Self::NoAnswer(_) | Self::NotLetIn | Self::WrongPeer(_) => false,
            Self::Random(_) | Self::Refused(_) | Self::Ended | Self::TooSlow(_) | Self::Broken(_) => false,
        }
    }

    /// Whether it let us wait for an answer that never came.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::NoAnswer(_) | Self::TooSlow(_))
    }

    /// Whether it has all its upload slots taken, and wants us to come back (BT-3.3-4).
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Refused(refused) if refused.code == RefusalCode::BUSY)
    }

    /// Whether it doesn't share this content any more, or not as it was (BT-3.7-1, BT-3.7-2).
    #[must_use]
    pub fn has_moved_on(&self) -> bool {
        let codes = [RefusalCode::CHANGED, RefusalCode::NOT_SHARED];
        matches!(self, Self::Refused(refused) if codes.contains(&refused.code))
    }

    /// Whether it has come to its end as connections do: not worth telling.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Refused(refused) if refused.code == RefusalCode::NO_TICKET)
    }
}

/// Why the folder takes nothing, and so what is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FolderFault {
    /// There is no room.
    Full,
    /// It may not be written to.
    Denied,
    /// The disk fails.
    Failing,
}

impl FetchError {
    /// Whether the folder takes no more for now, and why.
    #[must_use]
    pub fn folder_fault(&self) -> Option<FolderFault> {
        match self {
            Self::Folder(FolderError::NoSpace { .. }) => Some(FolderFault::Full),
            Self::Folder(FolderError::Io(error)) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(FolderFault::Full),
                io::ErrorKind::ReadOnlyFilesystem => Some(FolderFault::Denied),
                // Said by the system. Of a path that leads out of the folder it is said without a number.
                io::ErrorKind::PermissionDenied => error.raw_os_error().map(|_| FolderFault::Denied),
                _ => {
                    let is_failing = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
                    is_failing.then_some(FolderFault::Failing)
                }
            },
            Self::Folder(_) | Self::Manifest(_) | Self::Cancelled | Self::NoSourceLeft(_) => None,
            Self::Changed | Self::OnlyLiars => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_decides_what_is_to_be_done() {
        use rustix::io::Errno;

        for (errno, fault) in [
            (Errno::NOSPC, FolderFault::Full),
            (Errno::DQUOT, FolderFault::Full),
            (Errno::ACCESS, FolderFault::Denied),
            (Errno::PERM, FolderFault::Denied),
            (Errno::ROFS, FolderFault::Denied),
            (Errno::IO, FolderFault::Failing),
        ] {
            let error = FetchError::Folder(FolderError::Io(errno.into()));
            assert_eq!(error.folder_fault(), Some(fault), "{error}");
        }
    }

    #[test]
    fn a_path_that_leads_out_of_the_folder_is_not_the_disks_fault() {
        let failed = |error| FetchError::Folder(FolderError::Io(error));
        let led_out = io::Error::new(io::ErrorKind::PermissionDenied, "a path led outside of the filesystem");
        assert_eq!(failed(led_out).folder_fault(), None);
    }
}
