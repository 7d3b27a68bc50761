//! ListFiles: what has this member published? (BT-2.9-3)

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::encoding::Encoding;
use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::limits::PAGE_ENTRIES_MAX;
use crate::list::List;
use crate::page::{self, Entry};
use crate::text::FileName;

/// Asks for the member's own publications.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct ListFiles {
    /// Where the page before ended: its `next`, unchanged.
    pub after: Option<u32>,
}

/// One page of publications, ordered by the numbers of their names (BT-2.9-3).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// The publications.
    pub files: List<OwnFile, PAGE_ENTRIES_MAX>,
    /// Where the next page starts, if there is one.
    pub next: Option<u32>,
}

/// One of the member's publications.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct OwnFile {
    /// Its name.
    pub name: FileName,
    /// What was published under it last.
    pub content: Content,
    /// Online sessions of the member that offer it.
    pub sources: u32,
}

impl Entry for OwnFile {
    fn payload_bytes(&self, encoding: Encoding) -> usize {
        page::json_bytes(encoding, r#"{"name":,"content":,"sources":},"#)
            + page::text_bytes(encoding, &self.name)
            + page::content_bytes(encoding, &self.content)
            + page::number_bytes(encoding, self.sources.into())
    }

    fn cursor_bytes(&self, encoding: Encoding) -> usize {
        page::number_bytes(encoding, u32::MAX.into())
    }
}
