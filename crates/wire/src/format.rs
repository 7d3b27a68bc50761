//! Which format do these bytes speak? Told by the first byte, and only here (BT-1.1).

use crate::header::MAGIC;

/// The formats that share a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// A frame, on UDP or TCP.
    Frame,
    /// The original's JSON object, one a datagram.
    LegacyJson,
    /// The original's `GET name`, on TCP.
    LegacyGet,
}

impl Format {
    /// The format of what begins with these bytes, or `None` when no format begins so.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? {
            &MAGIC => Some(Self::Frame),
            b'{' => Some(Self::LegacyJson),
            b'G' => Some(Self::LegacyGet),
            _ => None,
        }
    }
}
