//! Resume: this session offers what its member has published already (BT-2.13).

use serde::{Deserialize, Serialize};

use crate::encoding::binary::{
    self, BinaryError, Decode, Decoder, DeriveDecode, DeriveEncode, Encode, Encoder,
};
use crate::limits::RECALL_DIGESTS_MAX;
use crate::number::{Hex64, HexBytes};

/// Offers some of the member's publications, as they were published last. All of them or none.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The first publication that can be chosen, as in [`Recall`](super::Recall).
    pub rank: u32,
    /// Which of those from there on.
    pub chosen: Choice,
    /// The sum of their [`offer_digest`](super::offer_digest)s, modulo 2^64.
    pub digest: Hex64,
}

/// Whether the publications are on offer now.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Resumed {
    /// Files that this session offers now.
    pub offered: u32,
    /// Whether all that was chosen is among them. If not, something else was published meanwhile, and nothing has changed.
    pub is_resumed: bool,
}

/// Some of 128 that follow each other: one bit for each, the lowest bit of the first byte first.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Choice(HexBytes<CHOICE_BYTES>);

const CHOICE_BYTES: usize = 16;
const _: () = assert!(CHOICE_BYTES * 8 == RECALL_DIGESTS_MAX);

impl Choice {
    /// The choice that these bytes stand for.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; CHOICE_BYTES]) -> Self {
        Self(HexBytes(bytes))
    }

    /// Those that are chosen, from 0 to 127.
    pub fn places(self) -> impl Iterator<Item = u32> {
        let bits = u128::from_le_bytes(self.0.0);
        (0..u128::BITS).filter(move |place| bits >> place & 1 == 1)
    }
}

impl FromIterator<u32> for Choice {
    /// Chooses these, of 0 to 127.
    ///
    /// # Panics
    /// One is beyond them.
    fn from_iter<I: IntoIterator<Item = u32>>(places: I) -> Self {
        let bit = |place| 1_u128.checked_shl(place).expect("one of 128");
        let bits = places.into_iter().fold(0, |bits, place| bits | bit(place));
        Self(HexBytes(bits.to_le_bytes()))
    }
}

impl Encode for Choice {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), binary::WriteError> {
        self.0.encode(encoder)
    }
}

impl<C> Decode<C> for Choice {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        HexBytes::decode(decoder).map(Self)
    }
}

// The derive of the message asks for this one as well.
binary::impl_borrow_decode!(Choice);

#[cfg(test)]
mod tests {
    use super::*;

    /// BT-2.13-3
    #[test]
    fn a_choice_names_the_places_it_was_made_of() {
        for places in [vec![], vec![0], vec![7, 8, 64], vec![126, 127], (0..128).collect()] {
            assert_eq!(places.iter().copied().collect::<Choice>().places().collect::<Vec<_>>(), places);
        }
        let first_and_ninth = std::array::from_fn(|byte| u8::from(byte < 2));
        assert!(Choice::from_bytes(first_and_ninth).places().eq([0, 8]));
    }
}
