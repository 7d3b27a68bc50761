//! ListPeers: which other members are online? (BT-2.9)

use serde::{Deserialize, Serialize};

use crate::encoding::Encoding;
use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::limits::PAGE_ENTRIES_MAX;
use crate::list::List;
use crate::page::{self, Entry};
use crate::text::MemberName;

/// Asks for the other members who are online.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct ListPeers {
    /// Where the page before ended: its `next`, unchanged.
    pub after: Option<MemberName>,
}

/// One page of members, ordered by name.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// The members. The asker is not among them.
    pub members: List<PeerEntry, PAGE_ENTRIES_MAX>,
    /// Where the next page starts, if there is one.
    pub next: Option<MemberName>,
}

/// A member who is online.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct PeerEntry {
    /// The member.
    pub name: MemberName,
    /// Sessions the member has open.
    pub sessions: u32,
}

impl Entry for PeerEntry {
    fn payload_bytes(&self, encoding: Encoding) -> usize {
        page::json_bytes(encoding, r#"{"name":,"sessions":},"#)
            + page::text_bytes(encoding, &self.name)
            + page::number_bytes(encoding, self.sessions.into())
    }

    fn cursor_bytes(&self, encoding: Encoding) -> usize {
        page::text_bytes(encoding, &self.name)
    }
}
