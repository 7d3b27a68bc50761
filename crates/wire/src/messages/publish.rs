//! Publish: this session offers files (BT-2.6).

use serde::{Deserialize, Serialize};

use crate::encoding::Encoding;
use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::limits::PUBLISH_FILES_MAX;
use crate::list::List;
use crate::number::FileBytes;
use crate::page::{self, Entry};
use crate::text::FileName;

/// Offers files. All of them or, when refused, none.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The files. A name that this member has published already gets its new size.
    pub files: List<Offer, PUBLISH_FILES_MAX>,
}

/// One file on offer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Its name.
    pub name: FileName,
    /// Its size.
    pub file_bytes: FileBytes,
}

/// The files are on offer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Files that this session offers now.
    pub offered: u32,
}

impl Entry for Offer {
    fn payload_bytes(&self, encoding: Encoding) -> usize {
        page::json_bytes(encoding, r#"{"name":,"file_bytes":},"#)
            + page::text_bytes(encoding, &self.name)
            + page::number_bytes(encoding, self.file_bytes.bytes())
    }

    fn cursor_bytes(&self, _: Encoding) -> usize {
        0
    }
}
