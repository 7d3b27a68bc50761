//! Locate: which online sources have this content? (BT-2.8)

use serde::{Deserialize, Serialize};

use crate::content::{Content, Target};
use crate::encoding::Encoding;
use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::limits::LOCATE_SOURCES_MAX;
use crate::list::List;
use crate::number::SourceAddress;
use crate::page::{self, Entry};
use crate::seal::{KEY_BYTES, PublicKey, TICKET_BYTES, Ticket};
use crate::text::MemberName;

/// Asks for the sources of one content, at most [`LOCATE_SOURCES_MAX`] a page.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Locate {
    /// The content.
    pub target: Target,
    /// Where the page before ended: its `next`, unchanged.
    pub after: Option<SourceCursor>,
}

/// One page of sources. The asker is never among them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Located {
    /// Members other than the asker who have published it, online or not.
    pub members: u32,
    /// The sources that are online, ordered by member and address.
    pub sources: List<Source, LOCATE_SOURCES_MAX>,
    /// Where the next page starts, if there is one.
    pub next: Option<SourceCursor>,
}

/// A peer that is online and has the content, or some of its pieces.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Whose peer it is.
    pub member: MemberName,
    /// Where its file server answers: an address that the server itself saw.
    pub address: SourceAddress,
    /// What it has published. Without a size it has announced pieces of it, or speaks the original's format.
    pub content: Content,
    /// What it takes to fetch from there. Absent for a source that speaks only the original's `GET name` (BT-4.3).
    pub access: Option<Access>,
}

/// Who a source is, and the permission to fetch from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// The source's key: whoever answers at its address has to prove it.
    pub device: PublicKey,
    /// Shown to the source.
    pub ticket: Ticket,
}

/// A place in the order of sources.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct SourceCursor {
    /// The last source's member.
    pub member: MemberName,
    /// The last source's address.
    pub address: SourceAddress,
}

impl Entry for Source {
    fn payload_bytes(&self, encoding: Encoding) -> usize {
        page::json_bytes(encoding, r#"{"member":,"address":,"content":,"access":},"#)
            + page::text_bytes(encoding, &self.member)
            + page::address_bytes(encoding, self.address)
            + page::content_bytes(encoding, &self.content)
            + access_bytes(encoding, self.access.is_some())
    }

    fn cursor_bytes(&self, encoding: Encoding) -> usize {
        page::json_bytes(encoding, r#"{"member":,"address":}"#)
            + page::text_bytes(encoding, &self.member)
            + page::address_bytes(encoding, self.address)
    }
}

fn access_bytes(encoding: Encoding, is_some: bool) -> usize {
    match encoding {
        Encoding::Json if is_some => r#"{"device":"","ticket":""}"#.len() + 2 * (KEY_BYTES + TICKET_BYTES),
        Encoding::Json => "null".len(),
        Encoding::Bincode | Encoding::Raw => 1 + KEY_BYTES + TICKET_BYTES,
    }
}
