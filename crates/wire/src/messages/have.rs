//! Have: which pieces are here? (BT-3.2-5)

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::encoding::binary::{
    self, BinaryError, BorrowDecode, BorrowDecoder, Decode, Decoder, DeriveDecode, DeriveEncode, Encode,
    Encoder,
};
use crate::limits::HAVE_BITMAP_BYTES_MAX;

/// Asks a source that isn't complete for the pieces that it has.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct AskHave {
    /// The first piece that is asked about: a multiple of [`Bitmap::PIECES_MAX`].
    pub first: u32,
}

/// The pieces that it has, of as many as one bitmap holds.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Have {
    /// The first piece that the bitmap tells of.
    pub first: u32,
    /// One bit a piece.
    pub bitmap: Bitmap,
}

/// At most 512 bytes of one bit a piece, the lowest bit of a byte first. In JSON two hexadecimal digits a byte.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bitmap(Box<[u8]>);

/// A bitmap would tell of more pieces than one may.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a bitmap of {0} bytes, {HAVE_BITMAP_BYTES_MAX} are allowed")]
pub struct BitmapTooLong(pub usize);

impl Bitmap {
    /// Pieces that one bitmap tells of.
    pub const PIECES_MAX: u32 = 8 * HAVE_BITMAP_BYTES_MAX as u32;

    /// The bitmap of these bytes.
    ///
    /// # Errors
    /// There are too many.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BitmapTooLong> {
        if bytes.len() > HAVE_BITMAP_BYTES_MAX {
            return Err(BitmapTooLong(bytes.len()));
        }
        Ok(Self(bytes.into()))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Bitmap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&digits)
    }
}

impl<'de> Deserialize<'de> for Bitmap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = from_digits(&text).ok_or_else(|| de::Error::custom("not pairs of lower-case digits"))?;
        Self::new(bytes).map_err(de::Error::custom)
    }
}

/// Reads what `Serialize` writes, and nothing else.
fn from_digits(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).filter(|_| !digit.is_ascii_uppercase());
    let (pairs, rest) = text.as_bytes().as_chunks();
    let bytes = pairs.iter().map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8)).collect();
    if rest.is_empty() { bytes } else { None }
}

impl Encode for Bitmap {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), binary::WriteError> {
        self.0.encode(encoder)
    }
}

impl<C> Decode<C> for Bitmap {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        let bytes = binary::bounded_bytes(decoder, HAVE_BITMAP_BYTES_MAX)?;
        Ok(Self(bytes.into()))
    }
}

impl<'de, C> BorrowDecode<'de, C> for Bitmap {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        Self::decode(decoder)
    }
}
