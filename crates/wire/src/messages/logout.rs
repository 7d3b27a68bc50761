//! Logout: ends a session at once instead of by silence (BT-2.3-6).

use serde::{Deserialize, Serialize};

use crate::encoding::binary::{DeriveDecode, DeriveEncode};

/// Ends the session of whoever sends it. The member's publications stay.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Logout {}

/// The session is over, or there was none.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct LoggedOut {}
