//! Versions: the answer to a frame in a version that isn't spoken, readable in every version (BT-1.7).

use crate::encoding::PayloadError;
use crate::header::VERSION;

/// The range of versions that the sender speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Versions {
    /// The lowest.
    pub lowest: u8,
    /// The highest.
    pub highest: u8,
}

impl Versions {
    /// What this crate speaks.
    pub const SPOKEN: Self = Self { lowest: VERSION, highest: VERSION };

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, PayloadError> {
        match *payload {
            [lowest, highest] => Ok(Self { lowest, highest }),
            _ => Err(PayloadError::WrongLength { bytes: payload.len(), expected: 2 }),
        }
    }
}
