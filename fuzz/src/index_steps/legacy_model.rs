//! What the index must answer to the original's datagrams (BT-4.2).

use std::net::SocketAddr;
use std::time::Duration;

use bittrickle_wire::legacy::{PeerReply, Reply, Request, RequestKind, sentence};
use bittrickle_wire::{Content, FileName, MemberName, SourceAddress};

use super::super::legacy_json::check_cut;
use super::model::{Model, Session, Speaks, password_is_right};

/// What an answer must be.
pub(super) enum Expected {
    Success(&'static str),
    Fail(&'static str),
    /// As many of these as fit.
    Users(Vec<String>),
    /// As many of these as fit, behind this sentence.
    Files(&'static str, Vec<String>),
    /// One of these.
    Peer(Vec<PeerReply>),
}

impl Expected {
    pub(super) fn check(&self, reply: &Reply) {
        match (self, reply) {
            (Self::Success(expected), Reply::Success(sentence))
            | (Self::Fail(expected), Reply::Fail(sentence)) => assert_eq!(sentence, expected),
            (Self::Users(names), Reply::Users(_)) => check_cut(reply, names),
            (Self::Files(expected, names), Reply::Files(sentence, _)) => {
                assert_eq!(sentence, expected);
                check_cut(reply, names);
            }
            (Self::Peer(peers), Reply::Peer(peer)) => {
                assert!(peers.contains(peer), "{peer:?}, not {peers:?}");
            }
            (Self::Success(sentence) | Self::Fail(sentence) | Self::Files(sentence, _), _) => {
                panic!("{reply:?}, not {sentence:?}")
            }
            (Self::Users(names), _) => panic!("{reply:?}, not {names:?}"),
            (Self::Peer(peers), _) => panic!("{reply:?}, not one of {peers:?}"),
        }
    }
}

impl Model {
    pub(super) fn handle_legacy(&mut self, now: Duration, from: SocketAddr, request: &Request) -> Expected {
        self.expire(now);
        if let RequestKind::Login { password, tcp_port } = &request.kind {
            let address = SocketAddr::new(from.ip(), *tcp_port);
            return self.legacy_login(now, address, &request.username, password);
        }
        let speaks = Speaks::Legacy(from.ip());
        let is_asker =
            |session: &Session| session.speaks == speaks && session.member.as_str() == request.username;
        let Some(session) = self.sessions.iter_mut().find(|session| is_asker(session)) else {
            return Expected::Fail(sentence::UNKNOWN_USER);
        };
        session.last_sign = now;
        let asker = session.member.clone();
        match &request.kind {
            RequestKind::Login { .. } => unreachable!("answered above"),
            RequestKind::Heartbeat => Expected::Success(sentence::HEARTBEAT),
            RequestKind::Lap => self.lap(&asker),
            RequestKind::Lpf => self.lpf(&asker),
            RequestKind::Pub(name) => self.legacy_pub(&asker, file_name(name)),
            RequestKind::Unp(name) => self.unp(&asker, file_name(name)),
            RequestKind::Sch(text) => self.sch(&asker, text.as_deref()),
            RequestKind::Get(name) => self.get(&asker, file_name(name)),
            RequestKind::Unknown => Expected::Fail(sentence::UNKNOWN_REQUEST),
        }
    }

    fn legacy_login(&mut self, now: Duration, address: SocketAddr, name: &str, password: &str) -> Expected {
        if !password_is_right(name, password) {
            return Expected::Fail(sentence::WRONG_PASSWORD);
        }
        let member = MemberName::new(name).expect("members have member names");
        let mut online = self.sessions.iter_mut().filter(|session| session.member == member).peekable();
        if online.peek().is_some() {
            // A framed session gets no sign of life from a datagram that anybody could have sent (BT-4.2-3).
            online.filter(|session| session.is_legacy()).for_each(|session| session.last_sign = now);
            return Expected::Fail(sentence::ALREADY_LOGGED_IN);
        }
        let Ok(source) = SourceAddress::new(address) else { return Expected::Fail(sentence::WRONG_PASSWORD) };
        if self.sessions.len() >= self.limits.sessions {
            return Expected::Fail(sentence::WRONG_PASSWORD);
        }
        let speaks = Speaks::Legacy(address.ip());
        self.sessions.push(Session { member, speaks, source, last_sign: now });
        self.end_absences();
        Expected::Success(sentence::WELCOME)
    }

    /// Each member once, where they logged in first.
    fn lap(&self, asker: &MemberName) -> Expected {
        let mut users: Vec<String> = Vec::new();
        for session in self.sessions.iter().filter(|session| session.member != *asker) {
            let user = session.member.as_str().to_owned();
            if !users.contains(&user) {
                users.push(user);
            }
        }
        if users.is_empty() { Expected::Fail(sentence::NO_PEERS) } else { Expected::Users(users) }
    }

    fn lpf(&self, asker: &MemberName) -> Expected {
        if self.publications.is_empty() {
            return Expected::Fail(sentence::NO_FILES);
        }
        let own = self.names.values().filter(|name| self.is_file(name, asker));
        Expected::Files(sentence::FILES_LISTED, texts(own))
    }

    fn legacy_pub(&mut self, asker: &MemberName, name: Option<FileName>) -> Expected {
        let Some(name) = name.filter(|_| !self.is_reading() && !self.is_refusing) else {
            return Expected::Fail(sentence::NOT_PUBLISHED);
        };
        let added = usize::from(self.content(&name, asker).is_none());
        if self.has_no_room(asker, added) {
            return Expected::Fail(sentence::NOT_PUBLISHED);
        }
        self.add(name, asker, Content::default());
        Expected::Success(sentence::PUBLISHED)
    }

    fn unp(&mut self, asker: &MemberName, name: Option<FileName>) -> Expected {
        let Some(name) = name.filter(|name| self.owners(name).next().is_some()) else {
            return Expected::Fail(sentence::NOTHING_TO_UNPUBLISH);
        };
        if self.is_refusing || self.content(&name, asker).is_none() {
            return Expected::Fail(sentence::NOT_THE_PUBLISHER);
        }
        self.withdraw(&name, asker);
        Expected::Success(sentence::UNPUBLISHED)
    }

    /// One search looks at so many names and no more (BT-5.3-2): this format has no pages to go on with.
    fn sch(&self, asker: &MemberName, text: Option<&str>) -> Expected {
        let Some(text) = text else { return Expected::Fail(sentence::NOTHING_FOUND) };
        let looked_at = self.names.values().take(self.limits.names_per_legacy_search);
        let hits =
            looked_at.filter(|name| name.as_str().contains(text) && self.others(name, asker).count() > 0);
        let names = texts(hits);
        if names.is_empty() {
            return Expected::Fail(sentence::NOTHING_FOUND);
        }
        Expected::Files(sentence::FOUND, names)
    }

    /// An owner is active where a source of the name is: a framed session that doesn't offer it wouldn't serve it.
    fn get(&self, asker: &MemberName, name: Option<FileName>) -> Expected {
        let Some(name) = name.filter(|name| self.others(name, asker).count() > 0) else {
            return Expected::Fail(sentence::FILE_NOT_FOUND);
        };
        let sources = self.others(&name, asker).flat_map(|owner| self.sources(&name, owner));
        let files = sources.filter(|(_, content)| !content.is_folder);
        let peers: Vec<PeerReply> = files.map(|(session, _)| peer_reply(session)).collect();
        if peers.is_empty() { Expected::Fail(sentence::OWNER_NOT_ACTIVE) } else { Expected::Peer(peers) }
    }

    /// Members other than the asker who have published a file under the name.
    fn others(&self, name: &FileName, asker: &MemberName) -> impl Iterator<Item = &MemberName> {
        let files = self.owners(name).filter(|(_, content)| !content.is_folder);
        files.map(|(owner, _)| owner).filter(move |owner| *owner != asker)
    }

    /// What was published last as a folder isn't there (BT-4.2-10).
    fn is_file(&self, name: &FileName, owner: &MemberName) -> bool {
        self.content(name, owner).is_some_and(|content| !content.is_folder)
    }
}

/// A name that isn't acceptable is nobody's (BT-4.2-5).
fn file_name(name: &Option<String>) -> Option<FileName> {
    FileName::new(name.as_deref()?).ok()
}

fn peer_reply(session: &Session) -> PeerReply {
    let address = session.source.socket_address();
    PeerReply { address: address.ip(), port: address.port() }
}

fn texts<'a>(names: impl Iterator<Item = &'a FileName>) -> Vec<String> {
    names.map(|name| name.as_str().to_owned()).collect()
}
