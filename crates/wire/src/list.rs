//! Lists that cross the wire: their count is tested before anything is reserved for them (BT-2.1-5).

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::encoding::binary::{
    self, BinaryError, BorrowDecode, BorrowDecoder, Decode, Decoder, Encode, Encoder,
};

/// A list of at most `MAX` entries.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct List<T, const MAX: usize>(Vec<T>);

/// A list would have more entries than its kind allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a list of {entries} entries, {entries_max} are allowed")]
pub struct ListTooLong {
    /// Entries it would have.
    pub entries: usize,
    /// Entries it may have.
    pub entries_max: usize,
}

impl<T, const MAX: usize> List<T, MAX> {
    /// The list of these entries.
    ///
    /// # Errors
    /// There are more than `MAX`.
    pub fn new(entries: Vec<T>) -> Result<Self, ListTooLong> {
        if entries.len() > MAX {
            return Err(ListTooLong { entries: entries.len(), entries_max: MAX });
        }
        Ok(Self(entries))
    }

    /// The entries, by value.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> de::Visitor<'de> for Visitor<T, MAX> {
            type Value = List<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX} entries")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = sequence.next_element()? {
                    if entries.len() == MAX {
                        return Err(de::Error::invalid_length(MAX + 1, &self));
                    }
                    entries.push(entry);
                }
                Ok(List(entries))
            }
        }

        deserializer.deserialize_seq(Visitor(PhantomData))
    }
}

impl<T: Encode, const MAX: usize> Encode for List<T, MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), binary::WriteError> {
        (self.0.len() as u64).encode(encoder)?;
        self.0.iter().try_for_each(|entry| entry.encode(encoder))
    }
}

impl<C, T: Decode<C>, const MAX: usize> Decode<C> for List<T, MAX> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        // Nothing is reserved up front: a list that declares entries it doesn't bring ends at the first missing one.
        (0..binary::bounded_length(decoder, MAX)?)
            .map(|_| T::decode(decoder))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl<'de, C, T: Decode<C>, const MAX: usize> BorrowDecode<'de, C> for List<T, MAX> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        Self::decode(decoder)
    }
}
