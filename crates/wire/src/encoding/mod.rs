//! The two encodings of a payload, as siblings over one model: JSON and bincode (BT-1.5).

pub(crate) mod binary;
mod json;

use bytes::BytesMut;
use serde::{Serialize, de::DeserializeOwned};

use binary::{Decode, Encode};

/// How a frame's payload is written. The number is the header's.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Encoding {
    /// Compact JSON, for scripts, debugging and other languages.
    Json,
    /// bincode 2 with its standard configuration.
    Bincode,
    /// The payload's bytes are the value.
    Raw,
}

/// Why a payload is not what its kind says it is. Always the sender's fault.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Not JSON, or JSON of another shape.
    #[error("the JSON payload is not acceptable: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON with an array where an object belongs.
    #[error("the JSON payload has an array where an object belongs")]
    NotAnObject,
    /// Not bincode of this kind.
    #[error("the bincode payload is not acceptable: {0}")]
    Bincode(#[from] binary::BinaryError),
    /// Bytes follow the value.
    #[error("{0} bytes follow the value")]
    TrailingBytes(usize),
    /// The value has a shorter form, which is the only one allowed.
    #[error("the value is not in its one bincode form")]
    NotCanonical,
    /// This kind is never written in this encoding.
    #[error("this kind is not written in this encoding")]
    WrongEncoding,
    /// A payload of fixed length has another length.
    #[error("the payload has {bytes} bytes, its kind has {expected}")]
    WrongLength {
        /// Bytes it has.
        bytes: usize,
        /// Bytes its kind has.
        expected: usize,
    },
}

/// A value that both encodings can carry.
pub trait Payload: Encode + Decode<()> + Serialize + DeserializeOwned {}

impl<T: Encode + Decode<()> + Serialize + DeserializeOwned> Payload for T {}

impl Encoding {
    /// The header's number for this encoding (BT-1.2-5).
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::Bincode => 1,
            Self::Raw => 2,
        }
    }

    /// The encoding with this number, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Json),
            1 => Some(Self::Bincode),
            2 => Some(Self::Raw),
            _ => None,
        }
    }

    /// Reads a value that fills `payload` exactly.
    ///
    /// # Errors
    /// `payload` is not exactly one value of this type in this encoding.
    pub fn decode<T: Payload>(self, payload: &[u8]) -> Result<T, PayloadError> {
        match self {
            Self::Json => json::decode(payload),
            Self::Bincode => binary::decode(payload),
            Self::Raw => Err(PayloadError::WrongEncoding),
        }
    }

    /// Appends a value's bytes to `out`.
    ///
    /// # Panics
    /// When asked to write a structured value raw: the caller chose an encoding that can't carry it.
    pub fn encode<T: Payload>(self, value: &T, out: &mut BytesMut) {
        match self {
            Self::Json => json::encode(value, out),
            Self::Bincode => binary::encode(value, out),
            Self::Raw => panic!("a structured value has no raw form"),
        }
    }
}
