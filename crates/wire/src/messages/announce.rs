//! Announce: this session has pieces of contents that it is downloading (BT-2.12).

use serde::{Deserialize, Serialize};

use crate::content::Root;
use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::limits::ANNOUNCE_ROOTS_MAX;
use crate::list::List;

/// Makes the session a source of exactly these contents, beside what it offers under a name. Replaces what it announced
/// before.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Announce {
    /// The contents.
    pub roots: List<Root, ANNOUNCE_ROOTS_MAX>,
}

/// The session is a source of them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Announced {}
