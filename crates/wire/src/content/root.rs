//! Roots: what a content is called (BT-3.1-3).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::encoding::binary::{
    self, BinaryError, BorrowDecode, BorrowDecoder, Decode, Decoder, DeriveDecode, DeriveEncode, Encode,
    Encoder,
};
use crate::number::{FileBytes, HexBytes, HexError};

/// Bytes of a root.
pub const ROOT_BYTES: usize = 32;

/// The BLAKE3 hash of a content, the one that `b3sum` prints.
#[derive(
    Clone,
    Copy,
    Debug,
    Eq,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
    Deserialize,
    DeriveEncode,
    DeriveDecode,
)]
#[serde(transparent)]
pub struct Root(pub HexBytes<ROOT_BYTES>);

/// What is known of what stands behind a name.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Eq,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
    Deserialize,
    DeriveEncode,
    DeriveDecode,
)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Its size; of a folder, that of all its files. Absent where a legacy member published it.
    pub file_bytes: Option<FileBytes>,
    /// Its root. Absent while it is being hashed, and where a legacy member published it.
    pub root: Option<Root>,
    /// Whether it is a folder: the root is then that of its manifest.
    pub is_folder: bool,
}

/// The first hexadecimal digits of a root: 8 to 64 of them, in lower case.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct RootPrefix(String);

/// Not the first digits of a root.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("8 to 64 lower-case hexadecimal digits are needed")]
pub struct RootPrefixError;

impl Root {
    /// The root of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from(blake3::hash(bytes))
    }

    /// The hash itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; ROOT_BYTES] {
        &self.0.0
    }
}

impl From<blake3::Hash> for Root {
    fn from(hash: blake3::Hash) -> Self {
        Self(HexBytes(*hash.as_bytes()))
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Root {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        text.parse().map(Self)
    }
}

impl RootPrefix {
    /// Fewest digits: so many that few contents share them.
    pub const DIGITS_MIN: usize = 8;

    /// Most digits: a whole root.
    pub const DIGITS_MAX: usize = 2 * ROOT_BYTES;

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The lowest root that begins so.
    #[must_use]
    pub fn lowest(&self) -> Root {
        self.filled('0')
    }

    /// The highest root that begins so.
    #[must_use]
    pub fn highest(&self) -> Root {
        self.filled('f')
    }

    fn filled(&self, digit: char) -> Root {
        let mut digits = self.0.clone();
        digits.extend(std::iter::repeat_n(digit, Self::DIGITS_MAX - digits.len()));
        digits.parse().expect("64 digits are a root")
    }
}

impl FromStr for RootPrefix {
    type Err = RootPrefixError;

    fn from_str(text: &str) -> Result<Self, RootPrefixError> {
        let fits = (Self::DIGITS_MIN..=Self::DIGITS_MAX).contains(&text.len());
        let digits = fits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits { Ok(Self(text.to_owned())) } else { Err(RootPrefixError) }
    }
}

impl Serialize for RootPrefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RootPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Encode for RootPrefix {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), binary::WriteError> {
        self.0.encode(encoder)
    }
}

impl<C> Decode<C> for RootPrefix {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        let text = binary::bounded_text(decoder, Self::DIGITS_MAX)?;
        text.parse().map_err(|error: RootPrefixError| BinaryError::OtherString(error.to_string()))
    }
}

impl<'de, C> BorrowDecode<'de, C> for RootPrefix {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        Self::decode(decoder)
    }
}
