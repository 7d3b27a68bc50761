//! Targets: what a ticket permits to fetch (BT-6.7-1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::root::Root;
use crate::encoding::binary::{
    self, BinaryError, BorrowDecode, BorrowDecoder, Decode, Decoder, Encode, Encoder,
};
use crate::limits::FILE_NAME_BYTES_MAX;
use crate::number::HexError;
use crate::text::{FileName, TextError};

/// A content by its root, or, while that isn't known, by the name under which somebody offers it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Target {
    /// This content, whoever has it and whatever it is called there.
    Root(Root),
    /// What is offered under this name without a root.
    Name(FileName),
}

/// Why a text is no target.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TargetError {
    /// It says neither what it is.
    #[error("it begins neither with `root:` nor with `name:`")]
    Scheme,
    /// Behind `root:` stands no root.
    #[error(transparent)]
    Root(#[from] HexError),
    /// Behind `name:` stands no file name.
    #[error(transparent)]
    Name(#[from] TextError),
}

/// Most bytes of a target's text.
pub const TARGET_BYTES_MAX: usize = NAME.len() + FILE_NAME_BYTES_MAX;

const ROOT: &str = "root:";
const NAME: &str = "name:";

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(root) => {
                f.write_str(ROOT)?;
                fmt::Display::fmt(root, f)
            }
            Self::Name(name) => {
                f.write_str(NAME)?;
                f.write_str(name.as_str())
            }
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if let Some(root) = text.strip_prefix(ROOT) {
            return Ok(Self::Root(root.parse()?));
        }
        let name = text.strip_prefix(NAME).ok_or(TargetError::Scheme)?;
        Ok(Self::Name(FileName::new(name)?))
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Encode for Target {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), binary::WriteError> {
        self.to_string().encode(encoder)
    }
}

impl<C> Decode<C> for Target {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        let text = binary::bounded_text(decoder, TARGET_BYTES_MAX)?;
        text.parse().map_err(|error: TargetError| BinaryError::OtherString(error.to_string()))
    }
}

impl<'de, C> BorrowDecode<'de, C> for Target {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        Self::decode(decoder)
    }
}
