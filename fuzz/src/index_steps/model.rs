//! What the index must answer, as simply as it can be said: one list of sessions, one table of publications, one of
//! offers, and every question asked of all of them.
//!
//! Where the specification has two readings, the model takes the index's, and says so:
//! * a session that a login ends (BT-2.3-2, BT-2.3-5) doesn't count against the limits of BT-2.3-3;
//! * a login that is refused is no sign of life (BT-2.3-4, BT-2.10-1), any other request is, refused or not;
//! * `sch` looks at as many names as `Search` does (BT-5.3-2), and an owner is active (BT-4.2-6) where one of their
//!   sessions is a source of the name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bittrickle_server::index::{Caller, Limits};
use bittrickle_wire::messages::{
    Announce, HeartbeatReply, Hit, LoggedIn, Login, Offer, OwnFile, PeerEntry, Publish, RefusalCode, Request,
    Source, Unpublish, offer_digest,
};
use bittrickle_wire::seal::PublicKey;
use bittrickle_wire::{Content, FileName, Hex64, MemberName, Root, SourceAddress};

use super::BOOT_ID;
use super::tables::MEMBERS;

/// An answer, all its pages together.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    LoggedIn(LoggedIn),
    LoggedOut,
    Heartbeat(HeartbeatReply),
    Published(u32),
    Unpublished,
    Announced,
    Recalled { publications: u32, digests: Vec<Hex64> },
    Resumed { offered: u32, is_resumed: bool },
    Hits(Vec<Hit>),
    Sources { members: u32, sources: Vec<Source> },
    Members(Vec<PeerEntry>),
    Files(Vec<OwnFile>),
    Refused(RefusalCode),
}

/// Who is online, and who shares what.
pub(super) struct Model {
    pub(super) limits: Limits,
    /// In the order of their logins.
    pub(super) sessions: Vec<Session>,
    /// What was published last, by name and member.
    pub(super) publications: BTreeMap<(FileName, MemberName), Content>,
    /// What each framed session offers. Its device tells which one it is.
    pub(super) offers: BTreeMap<PublicKey, BTreeMap<FileName, Content>>,
    /// What each framed session has announced.
    pub(super) announced: BTreeMap<PublicKey, BTreeSet<Root>>,
    /// Names that somebody has published, in the order in which somebody first did, and so with rising numbers (BT-2.7-3).
    pub(super) first_published: Vec<FileName>,
    numbers: BTreeMap<FileName, u32>,
    next_number: u32,
    /// When the server was started.
    started: Duration,
}

pub(super) struct Session {
    pub(super) member: MemberName,
    pub(super) speaks: Speaks,
    pub(super) source: SourceAddress,
    pub(super) last_sign: Duration,
}

#[derive(PartialEq)]
pub(super) enum Speaks {
    Frames(PublicKey),
    Legacy(IpAddr),
}

impl Session {
    pub(super) fn is_legacy(&self) -> bool {
        matches!(self.speaks, Speaks::Legacy(_))
    }

    pub(super) fn device(&self) -> Option<PublicKey> {
        match self.speaks {
            Speaks::Frames(device) => Some(device),
            Speaks::Legacy(_) => None,
        }
    }

    fn is_of(&self, device: PublicKey) -> bool {
        self.speaks == Speaks::Frames(device)
    }

    fn is_over(&self, now: Duration) -> bool {
        let silence_max_ms = if self.is_legacy() { 3_000 } else { 7_000 };
        now - self.last_sign >= Duration::from_millis(silence_max_ms)
    }
}

impl Model {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            sessions: Vec::new(),
            publications: BTreeMap::new(),
            offers: BTreeMap::new(),
            announced: BTreeMap::new(),
            first_published: Vec::new(),
            numbers: BTreeMap::new(),
            next_number: 0,
            started: Duration::ZERO,
        }
    }

    /// Only publications stay, and get their numbers anew: by member, then name.
    pub(super) fn restart(&mut self, now: Duration) {
        let publications = std::mem::take(&mut self.publications);
        *self = Self { started: now, ..Self::new(self.limits) };
        let mut by_member: Vec<_> = publications.into_iter().collect();
        by_member.sort_by(|((_, first), _), ((_, second), _)| first.cmp(second));
        for ((name, member), content) in by_member {
            self.add(name, &member, content);
        }
    }

    pub(super) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn publication_count(&self) -> usize {
        self.publications.len()
    }

    pub(super) fn expire(&mut self, now: Duration) {
        self.end(|session| session.is_over(now));
    }

    pub(super) fn handle(&mut self, now: Duration, caller: Caller<'_>, request: &Request) -> Answer {
        self.expire(now);
        let from = caller.device;
        match request {
            Request::Login(login) => return self.log_in(now, caller, login),
            Request::Logout(_) => {
                self.end(|session| session.is_of(from));
                return Answer::LoggedOut;
            }
            _ => {}
        }
        let Some(session) = self.sessions.iter_mut().find(|session| session.is_of(from)) else {
            return Answer::Refused(RefusalCode::NO_SESSION);
        };
        session.last_sign = now;
        let asker = session.member.clone();
        match request {
            Request::Login(_) | Request::Logout(_) => unreachable!("answered above"),
            Request::Enrol(_) => unreachable!("no step enrols: the responder does"),
            Request::Heartbeat(_) => self.heartbeat(now, from),
            Request::Publish(publish) => self.publish(from, &asker, publish),
            Request::Unpublish(unpublish) => self.unpublish(from, &asker, unpublish),
            Request::Announce(announce) => self.announce(from, announce),
            Request::Recall(recall) => self.recall(&asker, recall),
            Request::Resume(resume) => self.resume(from, &asker, resume),
            Request::Search(search) => self.search(&asker, search),
            Request::Locate(locate) => self.locate(&asker, locate),
            Request::ListPeers(list) => self.list_peers(&asker, list),
            Request::ListFiles(list) => self.list_files(&asker, list),
        }
    }

    /// Ends sessions, and with each what it offers and has announced (BT-2.6-6, BT-2.12-1).
    fn end(&mut self, is_over: impl Fn(&Session) -> bool) {
        self.sessions.retain(|session| !is_over(session));
        let sessions = &self.sessions;
        let is_open = |device: &PublicKey| sessions.iter().any(|session| session.is_of(*device));
        self.offers.retain(|device, _| is_open(device));
        self.announced.retain(|device, _| is_open(device));
    }

    fn log_in(&mut self, now: Duration, caller: Caller<'_>, login: &Login) -> Answer {
        let address = SocketAddr::new(caller.address.ip(), login.transfer_port.number());
        let source = SourceAddress::new(address).expect("the steps' addresses are unicast");
        let (device, member) = (caller.device, caller.member);
        let goes_on = |session: &Session| session.is_of(device) && session.member == **member;
        let ended = |session: &Session| {
            let own = session.member == **member && (session.is_legacy() || session.source == source);
            (own || session.is_of(device)) && !goes_on(session)
        };
        let is_new = !self.sessions.iter().any(goes_on);
        let others = || self.sessions.iter().filter(|session| !ended(session));
        let of_member = others().filter(|other| other.member == **member).count();
        let is_full =
            of_member >= self.limits.sessions_per_member || others().count() >= self.limits.sessions;
        if is_new && is_full {
            return Answer::Refused(RefusalCode::LIMIT_REACHED);
        }
        self.end(ended);
        if is_new {
            let (member, speaks) = (MemberName::clone(member), Speaks::Frames(device));
            self.sessions.push(Session { member, speaks, source, last_sign: now });
        }
        let session =
            self.sessions.iter_mut().find(|session| session.is_of(device)).expect("it is there now");
        (session.source, session.last_sign) = (source, now);
        logged_in(clock_ms(now - self.started))
    }

    fn heartbeat(&self, now: Duration, from: PublicKey) -> Answer {
        let offered = self.offers.get(&from).into_iter().flatten();
        let digest = offered.fold(0_u64, |sum, offer| sum.wrapping_add(digest(offer)));
        let offered = self.offered(from);
        let (clock_ms, digest) = (clock_ms(now - self.started), Hex64(digest));
        Answer::Heartbeat(HeartbeatReply { boot_id: BOOT_ID, clock_ms, offered, digest })
    }

    pub(super) fn offered(&self, from: PublicKey) -> u32 {
        count(self.offers.get(&from).into_iter().flatten())
    }

    fn publish(&mut self, from: PublicKey, asker: &MemberName, publish: &Publish) -> Answer {
        let names: BTreeSet<&FileName> = publish.files.iter().map(|offer| &offer.name).collect();
        let added = names.iter().filter(|name| self.content(name, asker).is_none()).count();
        if self.has_no_room(asker, added) {
            return Answer::Refused(RefusalCode::LIMIT_REACHED);
        }
        for offer in publish.files.iter() {
            self.add(offer.name.clone(), asker, offer.content());
            self.offers.entry(from).or_default().insert(offer.name.clone(), offer.content());
        }
        Answer::Published(self.offered(from))
    }

    pub(super) fn has_no_room(&self, member: &MemberName, added: usize) -> bool {
        let of_member = self.publications.keys().filter(|(_, owner)| owner == member).count();
        added > 0
            && (of_member + added > self.limits.publications_per_member
                || self.publications.len() + added > self.limits.publications)
    }

    pub(super) fn add(&mut self, name: FileName, member: &MemberName, content: Content) {
        if !self.first_published.contains(&name) {
            self.first_published.push(name.clone());
            self.numbers.insert(name.clone(), self.next_number);
            self.next_number += 1;
        }
        self.publications.insert((name, member.clone()), content);
    }

    /// Only what no other session of the member offers is withdrawn (BT-2.6-5).
    fn unpublish(&mut self, from: PublicKey, asker: &MemberName, unpublish: &Unpublish) -> Answer {
        for name in unpublish.names.iter() {
            self.offers.entry(from).or_default().remove(name);
            if self.sources(name, asker).next().is_none() {
                self.withdraw(name, asker);
            }
        }
        Answer::Unpublished
    }

    /// Takes back a publication that no framed session offers.
    pub(super) fn withdraw(&mut self, name: &FileName, member: &MemberName) {
        self.publications.remove(&(name.clone(), member.clone()));
        let publications = &self.publications;
        self.first_published.retain(|name| publications.keys().any(|(published, _)| published == name));
    }

    fn announce(&mut self, from: PublicKey, announce: &Announce) -> Answer {
        self.announced.insert(from, announce.roots.iter().copied().collect());
        Answer::Announced
    }

    /// The sessions that offer a name, each with what it offers as it, and a legacy session of its owner, with what was
    /// published last (BT-2.8-1).
    pub(super) fn sources(
        &self,
        name: &FileName,
        owner: &MemberName,
    ) -> impl Iterator<Item = (&Session, Content)> {
        let sessions = self.sessions.iter().filter(move |session| session.member == *owner);
        sessions.filter_map(move |session| {
            let content = match session.speaks {
                Speaks::Frames(device) => self.offers.get(&device)?.get(name).copied(),
                Speaks::Legacy(_) => self.content(name, owner),
            };
            Some((session, content?))
        })
    }

    /// The number of a name that somebody has published.
    pub(super) fn number(&self, name: &FileName) -> u32 {
        self.numbers[name]
    }

    /// What a member has published under a name last.
    pub(super) fn content(&self, name: &FileName, member: &MemberName) -> Option<Content> {
        self.publications.get(&(name.clone(), member.clone())).copied()
    }
}

pub(super) fn password_is_right(name: &str, password: &str) -> bool {
    MEMBERS.contains(&name) && password == name
}

fn logged_in(clock_ms: u64) -> Answer {
    let (heartbeat_ms, offline_after_ms) = (2_000, 7_000);
    Answer::LoggedIn(LoggedIn { boot_id: BOOT_ID, clock_ms, heartbeat_ms, offline_after_ms })
}

fn clock_ms(now: Duration) -> u64 {
    u64::try_from(now.as_millis()).expect("a short history")
}

fn digest((name, content): (&FileName, &Content)) -> u64 {
    let Content { file_bytes, root, is_folder } = *content;
    let file_bytes = file_bytes.expect("an offer has a size");
    offer_digest(&Offer { name: name.clone(), file_bytes, root, is_folder })
}

pub(super) fn count(items: impl Iterator) -> u32 {
    u32::try_from(items.count()).expect("a few")
}
