//! Recall: what is still published of this member? (BT-2.13)

use serde::{Deserialize, Serialize};

use crate::encoding::Encoding;
use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::limits::RECALL_DIGESTS_MAX;
use crate::list::List;
use crate::number::Hex64;
use crate::page::{self, Entry};

/// Asks for the digests of the member's own publications.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Recall {
    /// The first that is asked for: how many of them stand before it, by the numbers of their names.
    pub rank: u32,
}

/// The digests of as many publications as one datagram holds, in the order of their names' numbers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Recalled {
    /// Publications that the member has in all.
    pub publications: u32,
    /// The [`offer_digest`](super::offer_digest) of each, with what was published last; [`Recalled::UNSIZED`] for one that
    /// can't be resumed.
    pub digests: List<Hex64, RECALL_DIGESTS_MAX>,
}

impl Recalled {
    /// In the place of a digest: the publication has no size, so that no offer is like it.
    pub const UNSIZED: Hex64 = Hex64(0);
}

impl Entry for Hex64 {
    fn payload_bytes(&self, encoding: Encoding) -> usize {
        match encoding {
            Encoding::Json => page::json_bytes(encoding, r#""0123456789abcdef","#),
            Encoding::Bincode | Encoding::Raw => size_of::<u64>(),
        }
    }

    fn cursor_bytes(&self, _: Encoding) -> usize {
        0
    }
}
