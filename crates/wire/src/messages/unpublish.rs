//! Unpublish: a member takes files back (BT-2.6-5).

use serde::{Deserialize, Serialize};

use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::limits::UNPUBLISH_NAMES_MAX;
use crate::list::List;
use crate::text::FileName;

/// Takes files back. What another session of the member offers stays published.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Unpublish {
    /// Their names. One that the member hasn't published is passed over, so that the request can be repeated.
    pub names: List<FileName, UNPUBLISH_NAMES_MAX>,
}

/// This session offers none of these names any more.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Unpublished {}
