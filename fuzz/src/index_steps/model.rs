//! What the index must answer, as simply as it can be said: one list of sessions, one table of publications, one of
//! offers, and every question asked of all of them.
//!
//! While publications are being read they aren't in the table, and so nothing is published.
//!
//! Where the specification has two readings, the model takes the index's, and says so:
//! * a session that a login ends (BT-2.3-2, BT-2.3-5) doesn't count against the limits of BT-2.3-3;
//! * a login that is refused is no sign of life (BT-2.3-4, BT-2.10-1), any other request is, refused or not;
//! * `sch` looks at as many names as `Search` does (BT-5.3-2), and an owner is active (BT-4.2-6) where one of their
//!   sessions is a source of the name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
use super::answers::fold;
use super::kept_model::Unread;
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
    /// What each member has published last, by name. Of who has published nothing there is nothing.
    pub(super) publications: BTreeMap<MemberName, BTreeMap<FileName, Content>>,
    /// What each framed session offers. Its device tells which one it is.
    pub(super) offers: BTreeMap<PublicKey, BTreeMap<FileName, Content>>,
    /// What each framed session has announced.
    pub(super) announced: BTreeMap<PublicKey, BTreeSet<Root>>,
    /// Names that somebody has published, by their numbers, and back (BT-2.7-3); and in the form in which they are searched.
    pub(super) names: BTreeMap<u32, FileName>,
    pub(super) folded: BTreeMap<u32, String>,
    numbers: BTreeMap<FileName, u32>,
    next_number: u32,
    /// Numbers that have been a name's, those first that have been free the longest.
    free: VecDeque<u32>,
    /// For how many hours members who have published something have been offline.
    pub(super) offline_hours: BTreeMap<MemberName, u32>,
    /// What is being read.
    pub(super) unread: Option<Unread>,
    /// Whether changes can't be kept at present.
    pub(super) is_refusing: bool,
    /// When the server was started.
    pub(super) started: Duration,
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
            names: BTreeMap::new(),
            folded: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next_number: 0,
            free: VecDeque::new(),
            offline_hours: BTreeMap::new(),
            unread: None,
            is_refusing: false,
            started: Duration::ZERO,
        }
    }

    pub(super) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn publication_count(&self) -> usize {
        self.publications.values().map(BTreeMap::len).sum()
    }

    pub(super) fn expire(&mut self, now: Duration) {
        self.end(|session| session.is_over(now));
    }

    pub(super) fn handle(&mut self, now: Duration, caller: Caller<'_>, request: &Request) -> Answer {
        self.expire(now);
        let from = caller.device;
        if self.is_reading() && is_about_publications(request) {
            return Answer::Refused(RefusalCode::TOO_FAST);
        }
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
    pub(super) fn end(&mut self, is_over: impl Fn(&Session) -> bool) {
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
        self.end_absences();
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
        let is_published = |offer: &Offer| self.content(&offer.name, asker) == Some(offer.content());
        if self.is_refusing && !publish.files.iter().all(is_published) {
            return Answer::Refused(RefusalCode::BUSY);
        }
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
        let of_member = self.publications.get(member).map_or(0, BTreeMap::len);
        added > 0
            && (of_member + added > self.limits.publications_per_member
                || self.publication_count() + added > self.limits.publications)
    }

    pub(super) fn add(&mut self, name: FileName, member: &MemberName, content: Content) {
        if !self.numbers.contains_key(&name) {
            let number = self.new_number();
            self.names.insert(number, name.clone());
            self.folded.insert(number, fold(name.as_str()));
            self.numbers.insert(name.clone(), number);
        }
        self.publications.entry(member.clone()).or_default().insert(name, content);
    }

    /// The next one that nobody has had; where very many are free, the one that has been for the longest.
    fn new_number(&mut self) -> u32 {
        let very_many = 65_536.max(self.next_number as usize / 8);
        if self.free.len() > very_many
            && let Some(number) = self.free.pop_front()
        {
            return number;
        }
        self.next_number += 1;
        self.next_number - 1
    }

    /// Only what no other session of the member offers is withdrawn (BT-2.6-5).
    fn unpublish(&mut self, from: PublicKey, asker: &MemberName, unpublish: &Unpublish) -> Answer {
        if self.is_refusing {
            return Answer::Refused(RefusalCode::BUSY);
        }
        for name in unpublish.names.iter() {
            self.offers.entry(from).or_default().remove(name);
            if self.sources(name, asker).next().is_none() {
                self.withdraw(name, asker);
            }
        }
        Answer::Unpublished
    }

    /// Takes back a publication, from every session that offers it.
    pub(super) fn withdraw(&mut self, name: &FileName, member: &MemberName) {
        for session in self.sessions.iter().filter(|session| session.member == *member) {
            let offers = session.device().and_then(|device| self.offers.get_mut(&device));
            offers.map(|offers| offers.remove(name));
        }
        let Some(own) = self.publications.get_mut(member) else { return };
        own.remove(name);
        if own.is_empty() {
            self.publications.remove(member);
        }
        if self.owners(name).next().is_none()
            && let Some(number) = self.numbers.remove(name)
        {
            self.names.remove(&number);
            self.folded.remove(&number);
            self.free.push_back(number);
        }
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
        self.publications.get(member)?.get(name).copied()
    }

    /// Who has published a name, and what last.
    pub(super) fn owners(&self, name: &FileName) -> impl Iterator<Item = (&MemberName, Content)> {
        self.publications.iter().filter_map(|(owner, own)| Some((owner, *own.get(name)?)))
    }

    /// All that anybody has published: who, under which name, and what.
    pub(super) fn all(&self) -> impl Iterator<Item = (&MemberName, &FileName, Content)> {
        let each = |(owner, own)| BTreeMap::iter(own).map(move |(name, content)| (owner, name, *content));
        self.publications.iter().flat_map(each)
    }
}

/// What has to wait while publications are being read (BT-2.6-8).
fn is_about_publications(request: &Request) -> bool {
    !matches!(request, Request::Login(_) | Request::Logout(_) | Request::Heartbeat(_) | Request::ListPeers(_))
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
