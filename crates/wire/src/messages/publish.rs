//! Publish: this session offers files (BT-2.6).

use serde::{Deserialize, Serialize};

use crate::content::{Content, Root};
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
    /// The files. A name that this session offers already stands for its new content from now on.
    pub files: List<Offer, PUBLISH_FILES_MAX>,
}

/// One file or folder on offer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Its name.
    pub name: FileName,
    /// Its size; of a folder, that of all its files.
    pub file_bytes: FileBytes,
    /// Its root; absent while it is being hashed.
    pub root: Option<Root>,
    /// Whether it is a folder: the root is then that of its manifest.
    pub is_folder: bool,
}

/// The files are on offer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Files that this session offers now.
    pub offered: u32,
}

impl Offer {
    /// What stands behind the name.
    #[must_use]
    pub fn content(&self) -> Content {
        let Self { file_bytes, root, is_folder, .. } = *self;
        Content { file_bytes: Some(file_bytes), root, is_folder }
    }
}

impl Entry for Offer {
    fn payload_bytes(&self, encoding: Encoding) -> usize {
        page::json_bytes(encoding, r#"{"name":,"file_bytes":,"root":,"is_folder":false},"#)
            + page::text_bytes(encoding, &self.name)
            + page::number_bytes(encoding, self.file_bytes.bytes())
            + page::root_bytes(encoding, self.root)
            + page::flag_bytes(encoding)
    }

    fn cursor_bytes(&self, _: Encoding) -> usize {
        0
    }
}
