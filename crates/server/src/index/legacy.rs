//! The answers to the original's client (BT-4.2), from the same sessions and publications as the framed ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bittrickle_wire::legacy::{PeerReply, Reply, Request, RequestKind, sentence};
use bittrickle_wire::{Content, FileName, MemberName, Password, SourceAddress};

use super::names::Entry;
use super::publications::Publication;
use super::sessions::{Session, Speaks};
use super::{Edit, Index};

/// What follows from a request of the original's client.
#[derive(Debug, Eq, PartialEq)]
pub enum LegacyAnswer {
    /// This answer.
    Reply(Reply),
    /// A password has to be checked, and [`Index::finish_legacy_login`] to be called.
    CheckPassword(LegacyLogin),
}

/// A login whose password is not checked yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LegacyLogin {
    /// Who they say they are.
    pub member: MemberName,
    /// What is to be checked.
    pub password: Password,
    tcp_port: u16,
}

impl Index {
    pub(super) fn handle_legacy_request(
        &mut self,
        now: Instant,
        from: SocketAddr,
        request: &Request,
    ) -> LegacyAnswer {
        LegacyAnswer::Reply(match &request.kind {
            RequestKind::Login { password, tcp_port } => {
                // What can't be a member's name or password is nobody's.
                let member = MemberName::new(&request.username);
                let Ok((member, password)) =
                    member.and_then(|member| Password::new(password).map(|password| (member, password)))
                else {
                    return LegacyAnswer::Reply(fail(sentence::WRONG_PASSWORD));
                };
                return LegacyAnswer::CheckPassword(LegacyLogin { member, password, tcp_port: *tcp_port });
            }
            RequestKind::Heartbeat
            | RequestKind::Lap
            | RequestKind::Lpf
            | RequestKind::Pub(_)
            | RequestKind::Unp(_)
            | RequestKind::Sch(_)
            | RequestKind::Get(_)
            | RequestKind::Unknown => match self.legacy_asker(now, from, &request.username) {
                Some(member) => self.answer_legacy_member(&member, &request.kind),
                None => fail(sentence::UNKNOWN_USER),
            },
        })
    }

    fn answer_legacy_member(&mut self, member: &Arc<MemberName>, asked: &RequestKind) -> Reply {
        match asked {
            RequestKind::Login { .. } => fail(sentence::ALREADY_LOGGED_IN),
            RequestKind::Heartbeat => success(sentence::HEARTBEAT),
            RequestKind::Lap => self.legacy_peers(member),
            RequestKind::Lpf => self.legacy_files(member),
            RequestKind::Pub(name) => self.legacy_publish(member, name.as_deref()),
            RequestKind::Unp(name) => self.legacy_unpublish(member, name.as_deref()),
            RequestKind::Sch(text) => self.legacy_search(member, text.as_deref()),
            RequestKind::Get(name) => self.legacy_get(member, name.as_deref()),
            RequestKind::Unknown => fail(sentence::UNKNOWN_REQUEST),
        }
    }

    pub(super) fn legacy_login(
        &mut self,
        now: Instant,
        from: SocketAddr,
        login: &LegacyLogin,
        password_is_right: bool,
    ) -> Reply {
        let LegacyLogin { member, tcp_port, .. } = login;
        if !password_is_right {
            return fail(sentence::WRONG_PASSWORD);
        }
        if let Some(session) = self.sessions.legacy_of(member) {
            let id = session.id;
            self.sessions.touch(now, id);
            return fail(sentence::ALREADY_LOGGED_IN);
        }
        // A member whose new client is online can't be impersonated through the old format (BT-2.3-5).
        if self.sessions.of_member(member).next().is_some() {
            return fail(sentence::ALREADY_LOGGED_IN);
        }
        let Ok(source) = SourceAddress::new(SocketAddr::new(from.ip(), *tcp_port)) else {
            return fail(sentence::WRONG_PASSWORD);
        };
        if self.sessions.len() >= self.limits.sessions {
            return fail(sentence::WRONG_PASSWORD);
        }
        if self.refuse_while_forgetting(member).is_err() {
            return fail(sentence::WRONG_PASSWORD);
        }
        let member = Arc::new(member.clone());
        self.sessions.open(now, &member, Speaks::Legacy(from.ip()), source);
        self.end_absence(&member);
        success(sentence::WELCOME)
    }

    /// The member who asks: one with a legacy session from this IP address. Asking is a sign of life.
    fn legacy_asker(&mut self, now: Instant, from: SocketAddr, username: &str) -> Option<Arc<MemberName>> {
        let session = self.sessions.legacy_of(&MemberName::new(username).ok()?)?;
        let id = (session.speaks == Speaks::Legacy(from.ip())).then_some(session.id)?;
        let member = Arc::clone(&session.member);
        self.sessions.touch(now, id);
        Some(member)
    }

    fn legacy_peers(&self, member: &MemberName) -> Reply {
        let members = self.sessions.members_by_login();
        let mut others = members.into_iter().filter(|other| ***other != *member).peekable();
        if others.peek().is_none() {
            return fail(sentence::NO_PEERS);
        }
        Reply::users(others.map(|other| other.as_str().to_owned()))
    }

    fn legacy_files(&self, member: &MemberName) -> Reply {
        if self.publications.len() == 0 {
            return fail(sentence::NO_FILES);
        }
        let own = self.publications.of_member_from(member, 0..);
        let files = own.filter(|(_, _, publication)| !publication.content().is_folder);
        Reply::files(sentence::FILES_LISTED, files.map(|(_, name, _)| name.as_str().to_owned()))
    }

    fn legacy_publish(&mut self, member: &Arc<MemberName>, name: Option<&str>) -> Reply {
        let Some(name) =
            name.and_then(|name| FileName::new(name).ok()).filter(|_| !self.is_loading && !self.is_refusing)
        else {
            return fail(sentence::NOT_PUBLISHED);
        };
        let added = usize::from(!self.publications.is_owner(member, &name));
        if self.refuse_too_many_publications(member, added).is_err() {
            return fail(sentence::NOT_PUBLISHED);
        }
        let is_open = |id| self.sessions.is_open(id);
        let published = self.publications.publish(member, name.clone(), Content::default(), None, is_open);
        if published.is_changed {
            self.note(|| Edit::Publish { member: Arc::clone(member), name, content: Content::default() });
        }
        success(sentence::PUBLISHED)
    }

    fn legacy_unpublish(&mut self, member: &MemberName, name: Option<&str>) -> Reply {
        let name = name.and_then(|name| FileName::new(name).ok());
        let Some(name) = name.filter(|name| self.publications.named(name).is_some()) else {
            return fail(sentence::NOTHING_TO_UNPUBLISH);
        };
        if !self.is_refusing && self.withdraw(member, &name) {
            success(sentence::UNPUBLISHED)
        } else {
            fail(sentence::NOT_THE_PUBLISHER)
        }
    }

    fn legacy_search(&self, member: &MemberName, text: Option<&str>) -> Reply {
        let Some(text) = text else { return fail(sentence::NOTHING_FOUND) };
        let names = self.publications.names().iter().take(self.limits.names_per_legacy_search);
        let mut found = names
            .filter(|entry| entry.name.as_str().contains(text) && of_others(entry, member).next().is_some())
            .map(|entry| entry.name.as_str().to_owned())
            .peekable();
        if found.peek().is_none() {
            return fail(sentence::NOTHING_FOUND);
        }
        Reply::files(sentence::FOUND, found)
    }

    fn legacy_get(&self, member: &MemberName, name: Option<&str>) -> Reply {
        let name = name.and_then(|name| FileName::new(name).ok());
        let Some((_, entry)) = name.and_then(|name| self.publications.named(&name)) else {
            return fail(sentence::FILE_NOT_FOUND);
        };
        let mut others = of_others(entry, member).peekable();
        if others.peek().is_none() {
            return fail(sentence::FILE_NOT_FOUND);
        }
        match others.find_map(|(owner, publication)| {
            self.sources(owner, publication).find(|origin| !origin.content.is_folder)
        }) {
            Some(origin) => Reply::Peer(peer_reply(origin.session)),
            None => fail(sentence::OWNER_NOT_ACTIVE),
        }
    }
}

/// What others have published under a name, as far as the original's clients can fetch it: no folders (BT-4.2-10).
fn of_others<'a>(
    entry: &'a Entry,
    member: &'a MemberName,
) -> impl Iterator<Item = (&'a Arc<MemberName>, &'a Publication)> {
    let others = entry.owners.iter().filter(move |(owner, _)| ***owner != *member);
    others.filter(|(_, publication)| !publication.content().is_folder)
}

fn peer_reply(session: &Session) -> PeerReply {
    let address = session.source.socket_address();
    PeerReply { address: address.ip(), port: address.port() }
}

fn success(sentence: &str) -> Reply {
    Reply::Success(sentence.to_owned())
}

fn fail(sentence: &str) -> Reply {
    Reply::Fail(sentence.to_owned())
}
