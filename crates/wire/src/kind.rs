//! The registry of kinds: what a frame's third byte says (BT-5.1).

use crate::limits::{DATA_BYTES_MAX, MESSAGE_PAYLOAD_BYTES_MAX};

/// What a frame is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Asks for a cookie. Outside a seal.
    Hello,
    /// The first half of a handshake. Outside a seal.
    Initiate,
    /// A frame under a seal.
    Sealed,
    /// Answers `Hello` with a cookie. Outside a seal.
    Retry,
    /// The second half of a handshake. Outside a seal.
    Accept,
    /// Says that a session isn't known. Outside a seal.
    Reset,
    /// Starts a session.
    Login,
    /// Says "still here".
    Heartbeat,
    /// Ends the session.
    Logout,
    /// Makes a device a member's.
    Enrol,
    /// Offers files.
    Publish,
    /// Takes files back.
    Unpublish,
    /// Finds names that contain a text.
    Search,
    /// Finds the sources of one content.
    Locate,
    /// Lists the other members who are online.
    ListPeers,
    /// Lists the member's own publications.
    ListFiles,
    /// Says of which contents this session has pieces.
    Announce,
    /// Asks what is still published of the member.
    Recall,
    /// Offers what is still published.
    Resume,
    /// Asks a peer what a content is.
    Describe,
    /// Asks a peer for a part of a content.
    Fetch,
    /// Asks a peer which pieces it has.
    AskHave,
    /// Shows a peer a new ticket.
    Renew,
    /// Answers `Login`.
    LoggedIn,
    /// Answers `Heartbeat`.
    HeartbeatReply,
    /// Answers `Logout`.
    LoggedOut,
    /// Answers `Enrol`.
    Enrolled,
    /// Answers `Publish`.
    Published,
    /// Answers `Unpublish`.
    Unpublished,
    /// Answers `Search`, a page at a time.
    Found,
    /// Answers `Locate`, a page at a time.
    Located,
    /// Answers `ListPeers`, a page at a time.
    Peers,
    /// Answers `ListFiles`, a page at a time.
    Files,
    /// Answers `Announce`.
    Announced,
    /// Answers `Recall`, a page at a time.
    Recalled,
    /// Answers `Resume`.
    Resumed,
    /// Answers `Describe`.
    Described,
    /// Answers `Fetch`: some of the bytes.
    Data,
    /// Answers `AskHave`.
    Have,
    /// Answers `Renew`.
    Renewed,
    /// Says no, and why.
    Refused,
    /// Says which versions are spoken.
    Versions,
    /// A code that this version doesn't know. Refused politely.
    Unknown(u8),
}

impl Kind {
    /// Every known kind.
    pub const ALL: [Self; 42] = [
        Self::Hello,
        Self::Initiate,
        Self::Sealed,
        Self::Retry,
        Self::Accept,
        Self::Reset,
        Self::Login,
        Self::Heartbeat,
        Self::Logout,
        Self::Enrol,
        Self::Publish,
        Self::Unpublish,
        Self::Search,
        Self::Locate,
        Self::ListPeers,
        Self::ListFiles,
        Self::Announce,
        Self::Recall,
        Self::Resume,
        Self::Describe,
        Self::Fetch,
        Self::AskHave,
        Self::Renew,
        Self::LoggedIn,
        Self::HeartbeatReply,
        Self::LoggedOut,
        Self::Enrolled,
        Self::Published,
        Self::Unpublished,
        Self::Found,
        Self::Located,
        Self::Peers,
        Self::Files,
        Self::Announced,
        Self::Recalled,
        Self::Resumed,
        Self::Described,
        Self::Data,
        Self::Have,
        Self::Renewed,
        Self::Refused,
        Self::Versions,
    ];

    /// The header's number for this kind. A reply's is its request's plus 0x80 (BT-5.1-2).
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Hello => 0x01,
            Self::Initiate => 0x02,
            Self::Sealed => 0x03,
            Self::Retry => 0x81,
            Self::Accept => 0x82,
            Self::Reset => 0x83,
            Self::Login => 0x10,
            Self::Heartbeat => 0x11,
            Self::Logout => 0x12,
            Self::Enrol => 0x13,
            Self::Publish => 0x20,
            Self::Unpublish => 0x21,
            Self::Search => 0x22,
            Self::Locate => 0x23,
            Self::ListPeers => 0x24,
            Self::ListFiles => 0x25,
            Self::Announce => 0x26,
            Self::Recall => 0x27,
            Self::Resume => 0x28,
            Self::Describe => 0x40,
            Self::Fetch => 0x41,
            Self::AskHave => 0x42,
            Self::Renew => 0x43,
            Self::LoggedIn => 0x90,
            Self::HeartbeatReply => 0x91,
            Self::LoggedOut => 0x92,
            Self::Enrolled => 0x93,
            Self::Published => 0xa0,
            Self::Unpublished => 0xa1,
            Self::Found => 0xa2,
            Self::Located => 0xa3,
            Self::Peers => 0xa4,
            Self::Files => 0xa5,
            Self::Announced => 0xa6,
            Self::Recalled => 0xa7,
            Self::Resumed => 0xa8,
            Self::Described => 0xc0,
            Self::Data => 0xc1,
            Self::Have => 0xc2,
            Self::Renewed => 0xc3,
            Self::Refused => 0xf0,
            Self::Versions => 0xff,
            Self::Unknown(code) => code,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|kind| kind.code() == code).unwrap_or(Self::Unknown(code))
    }

    /// Whether a frame of this kind answers another. Such a frame is never answered itself (BT-1.6-3).
    #[must_use]
    pub fn is_reply(self) -> bool {
        self.code() >= 0x80
    }

    /// Whether such a frame stands outside a seal, and nowhere else (BT-6.1-1).
    #[must_use]
    pub fn is_outside(self) -> bool {
        matches!(self.code(), 0x01..=0x0f | 0x81..=0x8f)
    }

    /// Most payload bytes of this kind (BT-5.3-1). A kind we don't know may be as long as any message.
    #[must_use]
    pub fn payload_bytes_max(self) -> usize {
        if self == Self::Data { DATA_BYTES_MAX } else { MESSAGE_PAYLOAD_BYTES_MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_for_one_kind_and_back() {
        for code in 0..=u8::MAX {
            assert_eq!(Kind::from_code(code).code(), code);
        }
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind.code()), kind);
        }
    }
}
