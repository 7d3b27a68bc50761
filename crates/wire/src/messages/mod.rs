//! The messages, one file for each request and its reply (BT-2, BT-3).
//!
//! All are plain structs: bincode's numbering of enums never reaches the wire. Both encodings carry every one of
//! them, and JSON refuses fields that it doesn't know.

mod announce;
mod enrol;
mod fetch;
mod files;
mod have;
mod heartbeat;
mod locate;
mod login;
mod logout;
mod peers;
mod publish;
mod recall;
mod refused;
mod resume;
mod search;
mod unpublish;
mod versions;

pub use announce::{Announce, Announced};
pub use enrol::{Enrol, Enrolled};
pub use fetch::{Describe, Described, Fetch, Part, Renew, Renewed};
pub use files::{Files, ListFiles, OwnFile};
pub use have::{AskHave, Bitmap, BitmapTooLong, Have};
pub use heartbeat::{Heartbeat, HeartbeatReply, offer_digest};
pub use locate::{Access, Locate, Located, Source, SourceCursor};
pub use login::{LoggedIn, Login};
pub use logout::{LoggedOut, Logout};
pub use peers::{ListPeers, PeerEntry, Peers};
pub use publish::{Offer, Publish, Published};
pub use recall::{Recall, Recalled};
pub use refused::{RefusalCode, Refused};
pub use resume::{Choice, Resume, Resumed};
pub use search::{Filter, Found, Hit, HitCursor, Search};
pub use unpublish::{Unpublish, Unpublished};
pub use versions::Versions;

use crate::kind::Kind;

/// What a peer asks the index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// BT-2.3
    Login(Login),
    /// BT-2.4
    Heartbeat(Heartbeat),
    /// BT-2.3-6
    Logout(Logout),
    /// BT-2.11
    Enrol(Enrol),
    /// BT-2.6
    Publish(Publish),
    /// BT-2.6-5
    Unpublish(Unpublish),
    /// BT-2.12
    Announce(Announce),
    /// BT-2.13-1
    Recall(Recall),
    /// BT-2.13-3
    Resume(Resume),
    /// BT-2.7
    Search(Search),
    /// BT-2.8
    Locate(Locate),
    /// BT-2.9
    ListPeers(ListPeers),
    /// BT-2.9-3
    ListFiles(ListFiles),
}

/// What the index answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// Answers [`Request::Login`].
    LoggedIn(LoggedIn),
    /// Answers [`Request::Heartbeat`].
    HeartbeatReply(HeartbeatReply),
    /// Answers [`Request::Logout`].
    LoggedOut(LoggedOut),
    /// Answers [`Request::Enrol`].
    Enrolled(Enrolled),
    /// Answers [`Request::Publish`].
    Published(Published),
    /// Answers [`Request::Unpublish`].
    Unpublished(Unpublished),
    /// Answers [`Request::Announce`].
    Announced(Announced),
    /// Answers [`Request::Recall`].
    Recalled(Recalled),
    /// Answers [`Request::Resume`].
    Resumed(Resumed),
    /// Answers [`Request::Search`].
    Found(Found),
    /// Answers [`Request::Locate`].
    Located(Located),
    /// Answers [`Request::ListPeers`].
    Peers(Peers),
    /// Answers [`Request::ListFiles`].
    Files(Files),
    /// Answers any request that is refused.
    Refused(Refused),
}

impl Request {
    /// The kind of frame that carries it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Login(_) => Kind::Login,
            Self::Heartbeat(_) => Kind::Heartbeat,
            Self::Logout(_) => Kind::Logout,
            Self::Enrol(_) => Kind::Enrol,
            Self::Publish(_) => Kind::Publish,
            Self::Unpublish(_) => Kind::Unpublish,
            Self::Announce(_) => Kind::Announce,
            Self::Recall(_) => Kind::Recall,
            Self::Resume(_) => Kind::Resume,
            Self::Search(_) => Kind::Search,
            Self::Locate(_) => Kind::Locate,
            Self::ListPeers(_) => Kind::ListPeers,
            Self::ListFiles(_) => Kind::ListFiles,
        }
    }
}

impl Reply {
    /// The kind of frame that carries it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::LoggedIn(_) => Kind::LoggedIn,
            Self::HeartbeatReply(_) => Kind::HeartbeatReply,
            Self::LoggedOut(_) => Kind::LoggedOut,
            Self::Enrolled(_) => Kind::Enrolled,
            Self::Published(_) => Kind::Published,
            Self::Unpublished(_) => Kind::Unpublished,
            Self::Announced(_) => Kind::Announced,
            Self::Recalled(_) => Kind::Recalled,
            Self::Resumed(_) => Kind::Resumed,
            Self::Found(_) => Kind::Found,
            Self::Located(_) => Kind::Located,
            Self::Peers(_) => Kind::Peers,
            Self::Files(_) => Kind::Files,
            Self::Refused(_) => Kind::Refused,
        }
    }
}
