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
    Access, HeartbeatReply, Hit, ListFiles, ListPeers, Locate, LoggedIn, Login, OwnFile, PeerEntry, Publish,
    RefusalCode, Request, Search, Source, Unpublish, name_digest,
};
use bittrickle_wire::seal::PublicKey;
use bittrickle_wire::{FileBytes, FileName, Hex64, MemberName, SourceAddress};

use super::step::MEMBERS;
use super::{BOOT_ID, TICKET};

/// An answer, all its pages together.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    LoggedIn(LoggedIn),
    LoggedOut,
    Heartbeat(HeartbeatReply),
    Published(u32),
    Unpublished,
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
    /// Sizes by name and member.
    pub(super) publications: BTreeMap<(FileName, MemberName), Option<FileBytes>>,
    /// What each framed session offers. Its device tells which one it is.
    offers: BTreeMap<PublicKey, BTreeSet<FileName>>,
    /// Names that somebody has published, in the order in which somebody first did.
    pub(super) first_published: Vec<FileName>,
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

    fn device(&self) -> Option<PublicKey> {
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
            first_published: Vec::new(),
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
            Request::Search(search) => self.search(&asker, search),
            Request::Locate(locate) => self.locate(&asker, locate),
            Request::ListPeers(list) => self.list_peers(&asker, list),
            Request::ListFiles(list) => self.list_files(&asker, list),
        }
    }

    /// Ends sessions, and with each what it offers (BT-2.6-6).
    fn end(&mut self, is_over: impl Fn(&Session) -> bool) {
        self.sessions.retain(|session| !is_over(session));
        let sessions = &self.sessions;
        self.offers.retain(|device, _| sessions.iter().any(|session| session.is_of(*device)));
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
        logged_in(now)
    }

    fn heartbeat(&self, now: Duration, from: PublicKey) -> Answer {
        let offered = self.offers.get(&from).into_iter().flatten();
        let digest = offered.fold(0_u64, |sum, name| sum.wrapping_add(name_digest(name)));
        let offered = self.offered(from);
        let (clock_ms, digest) = (clock_ms(now), Hex64(digest));
        Answer::Heartbeat(HeartbeatReply { boot_id: BOOT_ID, clock_ms, offered, digest })
    }

    fn offered(&self, from: PublicKey) -> u32 {
        count(self.offers.get(&from).into_iter().flatten())
    }

    fn publish(&mut self, from: PublicKey, asker: &MemberName, publish: &Publish) -> Answer {
        let names: BTreeSet<&FileName> = publish.files.iter().map(|offer| &offer.name).collect();
        let added = names.iter().filter(|name| self.size(name, asker).is_none()).count();
        if self.has_no_room(asker, added) {
            return Answer::Refused(RefusalCode::LIMIT_REACHED);
        }
        for offer in publish.files.iter() {
            self.add(offer.name.clone(), asker, Some(offer.file_bytes));
            self.offers.entry(from).or_default().insert(offer.name.clone());
        }
        Answer::Published(self.offered(from))
    }

    pub(super) fn has_no_room(&self, member: &MemberName, added: usize) -> bool {
        let of_member = self.publications.keys().filter(|(_, owner)| owner == member).count();
        added > 0
            && (of_member + added > self.limits.publications_per_member
                || self.publications.len() + added > self.limits.publications)
    }

    pub(super) fn add(&mut self, name: FileName, member: &MemberName, size: Option<FileBytes>) {
        if !self.first_published.contains(&name) {
            self.first_published.push(name.clone());
        }
        self.publications.insert((name, member.clone()), size);
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

    fn search(&self, asker: &MemberName, search: &Search) -> Answer {
        let query = fold(search.text.as_str());
        let mut hits: BTreeMap<(&FileName, Option<FileBytes>), (u32, u32)> = BTreeMap::new();
        for ((name, owner), size) in &self.publications {
            if owner != asker && fold(name.as_str()).contains(&query) {
                let (members, sources) = hits.entry((name, *size)).or_default();
                *members += 1;
                *sources += count(self.sources(name, owner));
            }
        }
        let after = search.after.as_ref().map(|after| (&after.name, after.file_bytes));
        let hits = hits.into_iter().filter(|(place, _)| after.is_none_or(|after| *place > after));
        let hit = |((name, file_bytes), (members, sources)): ((&FileName, _), _)| Hit {
            name: name.clone(),
            file_bytes,
            members,
            sources,
        };
        Answer::Hits(hits.map(hit).collect())
    }

    fn locate(&self, asker: &MemberName, locate: &Locate) -> Answer {
        let name = &locate.name;
        let published = self.publications.iter();
        let others: Vec<_> = published.filter(|((n, owner), _)| n == name && owner != asker).collect();
        let mut sources: Vec<Source> = Vec::new();
        for ((_, owner), size) in &others {
            sources.extend(self.sources(name, owner).map(|session| Source {
                member: owner.clone(),
                address: session.source,
                file_bytes: **size,
                access: session.device().map(|device| Access { device, ticket: TICKET }),
            }));
        }
        let place = |member: &MemberName, address: SourceAddress| (member.clone(), address_order(address));
        sources.sort_by_key(|source| place(&source.member, source.address));
        if let Some(after) = &locate.after {
            let after = place(&after.member, after.address);
            sources.retain(|source| place(&source.member, source.address) > after);
        }
        Answer::Sources { members: count(others.iter()), sources }
    }

    /// A session that has offered the name, or a legacy session of its owner (BT-2.8-1).
    pub(super) fn sources(&self, name: &FileName, owner: &MemberName) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(move |session| {
            let offers = match session.speaks {
                Speaks::Frames(device) => self.offers.get(&device).is_some_and(|names| names.contains(name)),
                Speaks::Legacy(_) => true,
            };
            session.member == *owner && offers
        })
    }

    fn list_peers(&self, asker: &MemberName, list: &ListPeers) -> Answer {
        let mut online: BTreeMap<&MemberName, u32> = BTreeMap::new();
        for session in self.sessions.iter().filter(|session| session.member != *asker) {
            *online.entry(&session.member).or_default() += 1;
        }
        let entry = |(name, sessions): (&MemberName, u32)| PeerEntry { name: name.clone(), sessions };
        let behind = |name: &MemberName| list.after.as_ref().is_none_or(|after| name > after);
        Answer::Members(online.into_iter().filter(|(name, _)| behind(name)).map(entry).collect())
    }

    fn list_files(&self, asker: &MemberName, list: &ListFiles) -> Answer {
        let behind = |name: &FileName| list.after.as_ref().is_none_or(|after| name > after);
        let own = self.publications.iter().filter(|((name, owner), _)| owner == asker && behind(name));
        let file = |((name, owner), file_bytes): (&(FileName, MemberName), &Option<FileBytes>)| OwnFile {
            name: name.clone(),
            file_bytes: *file_bytes,
            sources: count(self.sources(name, owner)),
        };
        Answer::Files(own.map(file).collect())
    }

    /// The size under which a member has published a name; the outer `None` when they haven't.
    pub(super) fn size(&self, name: &FileName, member: &MemberName) -> Option<Option<FileBytes>> {
        self.publications.get(&(name.clone(), member.clone())).copied()
    }
}

pub(super) fn password_is_right(name: &str, password: &str) -> bool {
    MEMBERS.contains(&name) && password == name
}

fn logged_in(now: Duration) -> Answer {
    let (heartbeat_ms, offline_after_ms) = (2_000, 7_000);
    Answer::LoggedIn(LoggedIn { boot_id: BOOT_ID, clock_ms: clock_ms(now), heartbeat_ms, offline_after_ms })
}

fn clock_ms(now: Duration) -> u64 {
    u64::try_from(now.as_millis()).expect("a short history")
}

/// By the 16 bytes of the address, then the port (BT-2.8-2).
fn address_order(address: SourceAddress) -> (u128, u16) {
    let address = address.socket_address();
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    (ip.to_bits(), address.port())
}

fn count(items: impl Iterator) -> u32 {
    u32::try_from(items.count()).expect("a few")
}

/// Lower case, character by character. The steps' names are all in normalization form C.
fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).collect()
}
