//! A frame's header: 12 bytes, the same in every version (BT-1.2).

use crate::encoding::Encoding;
use crate::kind::Kind;
use crate::limits::HEADER_BYTES;

/// The first byte of every frame. No UTF-8 text can begin with it, so no JSON can (BT-1.1-1).
pub const MAGIC: u8 = 0xb7;

/// The version that this crate speaks.
pub const VERSION: u8 = 1;

/// The version byte of the frames that every version reads (BT-1.7-2).
pub const VERSION_INDEPENDENT: u8 = 0;

/// The fields of a header. What they say has not been checked, but for the magic byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The version of the frame.
    pub version: u8,
    /// What the frame is.
    pub kind: Kind,
    /// How the payload is written: the number of an [`Encoding`], or one that isn't known.
    pub encoding: u8,
    /// Chosen by who asks, echoed by who answers.
    pub request_id: u32,
    /// Bytes that follow the header.
    pub payload_bytes: u32,
}

impl Header {
    /// The header of a frame in this version.
    #[must_use]
    pub fn new(kind: Kind, encoding: Encoding, request_id: u32, payload_bytes: u32) -> Self {
        let version = if kind == Kind::Versions { VERSION_INDEPENDENT } else { VERSION };
        Self { version, kind, encoding: encoding.code(), request_id, payload_bytes }
    }

    /// The header in these bytes, or `None` when they don't begin with the magic byte.
    #[must_use]
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let [MAGIC, version, kind, encoding, r0, r1, r2, r3, p0, p1, p2, p3] = *bytes else {
            return None;
        };
        Some(Self {
            version,
            kind: Kind::from_code(kind),
            encoding,
            request_id: u32::from_be_bytes([r0, r1, r2, r3]),
            payload_bytes: u32::from_be_bytes([p0, p1, p2, p3]),
        })
    }

    /// Whether this crate can read what follows: a frame of its version, or one that every version reads.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        match self.version {
            VERSION => self.kind != Kind::Versions,
            VERSION_INDEPENDENT => self.kind == Kind::Versions,
            _ => false,
        }
    }

    /// The header's bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [r0, r1, r2, r3] = self.request_id.to_be_bytes();
        let [p0, p1, p2, p3] = self.payload_bytes.to_be_bytes();
        [MAGIC, self.version, self.kind.code(), self.encoding, r0, r1, r2, r3, p0, p1, p2, p3]
    }
}
