//! Refused: no, and why (BT-2.10).

use serde::{Deserialize, Serialize};

use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::text::Sentence;

/// Answers a request that is refused.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Why, for programs.
    pub code: RefusalCode,
    /// Why, for people.
    pub sentence: Sentence,
}

/// Why a request is refused. A number that isn't listed here is possible and means "refused" (BT-5.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, DeriveEncode, DeriveDecode)]
#[serde(transparent)]
pub struct RefusalCode(pub u16);

impl RefusalCode {
    /// The payload is not what its kind says it is.
    pub const MALFORMED: Self = Self(1);
    /// A kind that the receiver doesn't know.
    pub const UNKNOWN_KIND: Self = Self(2);
    /// A known kind that doesn't belong here.
    pub const UNEXPECTED_KIND: Self = Self(3);
    /// An encoding that the receiver doesn't know.
    pub const UNKNOWN_ENCODING: Self = Self(4);
    /// There is no session: log in first.
    pub const NO_SESSION: Self = Self(5);
    /// Wrong member name or password.
    pub const AUTHENTICATION_FAILED: Self = Self(6);
    /// A limit of the server is reached. Trying again later may help.
    pub const LIMIT_REACHED: Self = Self(7);
    /// All upload slots are taken. Trying again later helps.
    pub const BUSY: Self = Self(8);
    /// The peer doesn't share this content.
    pub const NOT_SHARED: Self = Self(9);
    /// The peer shares the file but can't read it now.
    pub const UNREADABLE: Self = Self(10);
    /// The device is nobody's, or not any more: enrol it.
    pub const NOT_ENROLLED: Self = Self(11);
    /// Too many requests or attempts in too short a time. Trying again later helps.
    pub const TOO_FAST: Self = Self(12);
    /// The connection's ticket is for another content, or its time is over.
    pub const NO_TICKET: Self = Self(13);
    /// The content has changed on the peer's disk. It is being hashed again.
    pub const CHANGED: Self = Self(14);
    /// The peer doesn't have this piece, or not yet.
    pub const NOT_HERE: Self = Self(15);
}

impl Refused {
    /// A refusal with this code. Whatever can't stand in a [`Sentence`] is escaped or cut.
    #[must_use]
    pub fn new(code: RefusalCode, sentence: &str) -> Self {
        Self { code, sentence: Sentence::lossy(sentence) }
    }
}
