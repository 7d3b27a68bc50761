//! Search: which published names contain a text? (BT-2.7)

use serde::{Deserialize, Serialize};

use crate::encoding::Encoding;
use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::limits::PAGE_ENTRIES_MAX;
use crate::list::List;
use crate::number::FileBytes;
use crate::page::{self, Entry};
use crate::text::{FileName, Query};

/// Asks for the names that contain a text, without regard to case. The asker's own files are left out.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// What to look for.
    pub text: Query,
    /// Where the page before ended: its `next`, unchanged.
    pub after: Option<HitCursor>,
}

/// One page of hits, ordered by name and size.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The hits. A page may have none and still be followed by others: one request does a bounded amount of work.
    pub hits: List<Hit, PAGE_ENTRIES_MAX>,
    /// Where the next page starts, if there is one.
    pub next: Option<HitCursor>,
}

/// One name with one content, which today is told apart by its size alone.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Hit {
    /// The name.
    pub name: FileName,
    /// The size, where it is known: the legacy protocol doesn't tell.
    pub file_bytes: Option<FileBytes>,
    /// Members other than the asker who have published it.
    pub members: u32,
    /// Online sources among them.
    pub sources: u32,
}

/// A place in the order of hits.
#[derive(
    Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, DeriveEncode, DeriveDecode,
)]
#[serde(deny_unknown_fields)]
pub struct HitCursor {
    /// The last name that was looked at.
    pub name: FileName,
    /// The size of the last hit under that name.
    pub file_bytes: Option<FileBytes>,
}

impl Entry for Hit {
    fn payload_bytes(&self, encoding: Encoding) -> usize {
        page::json_bytes(encoding, r#"{"name":,"file_bytes":,"members":,"sources":},"#)
            + page::text_bytes(encoding, &self.name)
            + page::optional_number_bytes(encoding, self.file_bytes.map(FileBytes::bytes))
            + page::number_bytes(encoding, self.members.into())
            + page::number_bytes(encoding, self.sources.into())
    }

    fn cursor_bytes(&self, encoding: Encoding) -> usize {
        page::json_bytes(encoding, r#"{"name":,"file_bytes":}"#)
            + page::text_bytes(encoding, &self.name)
            + page::optional_number_bytes(encoding, self.file_bytes.map(FileBytes::bytes))
    }
}
