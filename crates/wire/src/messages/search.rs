//! Search: which published names contain some words? (BT-2.7)

use serde::{Deserialize, Serialize};

use crate::content::{Content, RootPrefix};
use crate::encoding::Encoding;
use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::limits::PAGE_ENTRIES_MAX;
use crate::list::List;
use crate::number::FileBytes;
use crate::page::{self, Entry};
use crate::text::{Extension, FileName, MemberName, Query};

/// Asks for the names that contain each word of a text, without regard to case. The asker's own files are left out.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// What to look for.
    pub text: Query,
    /// What else must hold.
    pub filter: Filter,
    /// Where the page before ended: its `next`, unchanged.
    pub after: Option<HitCursor>,
}

/// What must hold of a hit beside its name: all of it (BT-2.7-5).
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The name is the text, byte for byte.
    pub is_exact: bool,
    /// The name begins with the text, without regard to case.
    pub is_prefix: bool,
    /// It has an online source.
    pub is_online: bool,
    /// The name ends with a dot and this, without regard to case.
    pub extension: Option<Extension>,
    /// It has at least so many bytes.
    pub bytes_min: Option<FileBytes>,
    /// It has at most so many bytes.
    pub bytes_max: Option<FileBytes>,
    /// This member has published it; nobody else's publications are looked at.
    pub member: Option<MemberName>,
    /// Its root begins so.
    pub root_prefix: Option<RootPrefix>,
}

/// One page of hits, ordered by the numbers of their names, then by content (BT-2.7-3).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The hits. A page may have none and still be followed by others: one request does a bounded amount of work.
    pub hits: List<Hit, PAGE_ENTRIES_MAX>,
    /// Where the next page starts, if there is one.
    pub next: Option<HitCursor>,
}

/// One name with one content.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Hit {
    /// The name.
    pub name: FileName,
    /// What stands behind it.
    pub content: Content,
    /// Members other than the asker who have published this content under this name.
    pub members: u32,
    /// Online sources of this content, under whatever name.
    pub sources: u32,
}

/// A place in the order of hits.
#[derive(
    Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, DeriveEncode, DeriveDecode,
)]
#[serde(deny_unknown_fields)]
pub struct HitCursor {
    /// The index's number of the first name that is still to be looked at.
    pub number: u32,
    /// The content under that name that was listed last, if one was.
    pub content: Option<Content>,
}

impl Entry for Hit {
    fn payload_bytes(&self, encoding: Encoding) -> usize {
        page::json_bytes(encoding, r#"{"name":,"content":,"members":,"sources":},"#)
            + page::text_bytes(encoding, &self.name)
            + page::content_bytes(encoding, &self.content)
            + page::number_bytes(encoding, self.members.into())
            + page::number_bytes(encoding, self.sources.into())
    }

    fn cursor_bytes(&self, encoding: Encoding) -> usize {
        page::json_bytes(encoding, r#"{"number":,"content":}"#)
            + page::number_bytes(encoding, u32::MAX.into())
            + 1
            + page::content_bytes(encoding, &self.content)
    }
}
