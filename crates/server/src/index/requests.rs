//! Who is asking, and the framed requests that change something: login, logout, heartbeat, publish, unpublish, announce
//! (BT-2.3 to BT-2.6, BT-2.12).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::messages::{
    Announce, Announced, LoggedIn, LoggedOut, Login, Offer, Publish, Published, RefusalCode, Refused, Reply,
    Request, Unpublish, Unpublished, offer_digest,
};
use bittrickle_wire::seal::PublicKey;
use bittrickle_wire::{Content, Encoding, FileBytes, FileName, MemberName, SourceAddress};

use super::publications::Offering;
use super::sessions::{Session, SessionId, Speaks};
use super::{Caller, Edit, HEARTBEAT, Index, OFFLINE_AFTER, Tickets};

/// Who is asking, once it is known that they may.
pub(super) struct Asker {
    pub(super) session: SessionId,
    pub(super) member: Arc<MemberName>,
    pub(super) device: PublicKey,
    pub(super) encoding: Encoding,
}

impl Index {
    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        caller: Caller<'_>,
        encoding: Encoding,
        request: Request,
        tickets: &dyn Tickets,
    ) -> Result<Reply, Refused> {
        self.refuse_while_loading(&request)?;
        match request {
            Request::Login(login) => self.log_in(now, caller, &login).map(Reply::LoggedIn),
            Request::Logout(_) => Ok(self.log_out(caller)),
            Request::Enrol(_) => Err(Refused::new(
                RefusalCode::UNEXPECTED_KIND,
                "devices are enrolled before their requests reach the index",
            )),
            Request::Heartbeat(_)
            | Request::Publish(_)
            | Request::Unpublish(_)
            | Request::Announce(_)
            | Request::Recall(_)
            | Request::Resume(_)
            | Request::Search(_)
            | Request::Locate(_)
            | Request::ListPeers(_)
            | Request::ListFiles(_) => {
                let asker = self.asker(now, caller, encoding)?;
                self.answer(now, &asker, request, tickets)
            }
        }
    }

    /// Refuses what is asked about publications as long as they are being read (BT-2.6-8).
    fn refuse_while_loading(&self, request: &Request) -> Result<(), Refused> {
        let can_wait = match request {
            Request::Publish(_)
            | Request::Unpublish(_)
            | Request::Announce(_)
            | Request::Recall(_)
            | Request::Resume(_)
            | Request::Search(_)
            | Request::Locate(_)
            | Request::ListFiles(_) => true,
            Request::Login(_)
            | Request::Logout(_)
            | Request::Enrol(_)
            | Request::Heartbeat(_)
            | Request::ListPeers(_) => false,
        };
        if self.is_loading && can_wait {
            let sentence =
                "the server has just been started and is reading what is published; ask again in a moment";
            return Err(Refused::new(RefusalCode::TOO_FAST, sentence));
        }
        Ok(())
    }

    /// Answers what only a session may ask (BT-2.2-4).
    fn answer(
        &mut self,
        now: Instant,
        asker: &Asker,
        request: Request,
        tickets: &dyn Tickets,
    ) -> Result<Reply, Refused> {
        Ok(match request {
            Request::Login(_) | Request::Logout(_) | Request::Enrol(_) => {
                unreachable!("these need no session")
            }
            Request::Heartbeat(_) => self.heartbeat(now, asker),
            Request::Publish(publish) if !self.is_refusing || self.has_published(asker, &publish) => {
                self.publish(asker, publish)?
            }
            Request::Unpublish(unpublish) if !self.is_refusing => self.unpublish(asker, &unpublish),
            Request::Publish(_) | Request::Unpublish(_) => {
                let sentence = "the server can't keep changes now, its disk may be full; try again later";
                return Err(Refused::new(RefusalCode::BUSY, sentence));
            }
            Request::Announce(announce) => self.announce(asker, announce),
            Request::Recall(recall) => Reply::Recalled(self.recall(asker, &recall)),
            Request::Resume(resume) => Reply::Resumed(self.resume(asker, &resume)),
            Request::Search(search) => Reply::Found(self.search(asker, &search)),
            Request::Locate(locate) => Reply::Located(self.locate(asker, &locate, tickets)),
            Request::ListPeers(list) => Reply::Peers(self.list_peers(asker, &list)),
            Request::ListFiles(list) => Reply::Files(self.list_files(asker, &list)),
        })
    }

    /// The session of the device that asks; asking is a sign of life (BT-2.3-4).
    fn asker(&mut self, now: Instant, caller: Caller<'_>, encoding: Encoding) -> Result<Asker, Refused> {
        let Some(session) = self.sessions.of_device(&caller.device) else {
            return Err(Refused::new(RefusalCode::NO_SESSION, "this device has no session; log in first"));
        };
        let (session, member) = (session.id, Arc::clone(&session.member));
        self.sessions.touch(now, session);
        Ok(Asker { session, member, device: caller.device, encoding })
    }

    fn log_in(&mut self, now: Instant, caller: Caller<'_>, login: &Login) -> Result<LoggedIn, Refused> {
        let address = SocketAddr::new(caller.address.ip(), login.transfer_port.number());
        let source = SourceAddress::new(address).map_err(|error| {
            Refused::new(RefusalCode::MALFORMED, &format!("nobody can be sent to you: {error}"))
        })?;
        self.refuse_while_forgetting(caller.member)?;
        let own = self.sessions.of_device(&caller.device).filter(|session| session.member == *caller.member);
        let own = own.map(|session| session.id);
        let replaced = self.replaced_by(caller, source, own);
        if own.is_none() {
            self.refuse_one_too_many(caller.member, &replaced)?;
        }
        replaced.into_iter().for_each(|id| self.close(id));
        match own.and_then(|id| self.sessions.session_mut(id)) {
            Some(session) => {
                session.source = source;
                let id = session.id;
                self.sessions.touch(now, id);
            }
            None => {
                self.sessions.open(now, caller.member, Speaks::Frames(caller.device), source);
                self.end_absence(caller.member);
            }
        }
        Ok(LoggedIn {
            boot_id: self.clock.boot_id,
            clock_ms: self.clock_ms(now),
            heartbeat_ms: milliseconds(HEARTBEAT),
            offline_after_ms: milliseconds(OFFLINE_AFTER),
        })
    }

    /// The sessions that a login ends: the device's own under another member, and the member's that speak legacy or are
    /// said to be reached where this one is (BT-2.3-2, BT-2.3-5).
    fn replaced_by(
        &self,
        caller: Caller<'_>,
        source: SourceAddress,
        own: Option<SessionId>,
    ) -> BTreeSet<SessionId> {
        let of_member = self.sessions.of_member(caller.member);
        let of_member = of_member.filter(|session| session.is_legacy() || session.source == source);
        let ended = of_member.chain(self.sessions.of_device(&caller.device)).map(|session| session.id);
        ended.filter(|id| Some(*id) != own).collect()
    }

    /// Refuses a login for which there is no room once `replaced` have gone (BT-2.3-3).
    fn refuse_one_too_many(
        &self,
        member: &MemberName,
        replaced: &BTreeSet<SessionId>,
    ) -> Result<(), Refused> {
        let stays = |session: &&Session| !replaced.contains(&session.id);
        if self.sessions.of_member(member).filter(stays).count() >= self.limits.sessions_per_member {
            let sentence =
                "this member has as many sessions as allowed; close one, or wait until one is over";
            return Err(Refused::new(RefusalCode::LIMIT_REACHED, sentence));
        }
        if self.sessions.len() - replaced.len() >= self.limits.sessions {
            let sentence = "the server has as many sessions as it may hold; try again later";
            return Err(Refused::new(RefusalCode::LIMIT_REACHED, sentence));
        }
        Ok(())
    }

    fn log_out(&mut self, caller: Caller<'_>) -> Reply {
        self.close_device(&caller.device);
        Reply::LoggedOut(LoggedOut {})
    }

    fn heartbeat(&self, now: Instant, asker: &Asker) -> Reply {
        let session = self.sessions.session(asker.session).expect("the asker has just been found");
        Reply::HeartbeatReply(session.pulse.reply(now, &self.clock))
    }

    /// Whether the asker's member has published all of this already, so that nothing has to be kept.
    fn has_published(&self, asker: &Asker, publish: &Publish) -> bool {
        publish.files.iter().all(|offer| {
            let publication =
                self.publications.named(&offer.name).and_then(|(_, entry)| entry.owners.get(&asker.member));
            publication.is_some_and(|publication| publication.content() == offer.content())
        })
    }

    fn publish(&mut self, asker: &Asker, publish: Publish) -> Result<Reply, Refused> {
        let names: BTreeSet<&FileName> = publish.files.iter().map(|offer| &offer.name).collect();
        let added = names.into_iter().filter(|name| !self.publications.is_owner(&asker.member, name)).count();
        self.refuse_too_many_publications(&asker.member, added)?;
        for offer in publish.files.into_vec() {
            let (content, digest) = (offer.content(), offer_digest(&offer));
            let is_open = |id| self.sessions.is_open(id);
            let published = self.publications.publish(
                &asker.member,
                offer.name.clone(),
                content,
                Some(asker.session),
                is_open,
            );
            if published.is_changed {
                let member = Arc::clone(&asker.member);
                self.note(|| Edit::Publish { member, name: offer.name.clone(), content });
            }
            let before = published.before.map(|before| digest_of(&offer.name, before));
            let session = self.sessions.session_mut(asker.session).expect("the asker has just been found");
            session.add_offer(published.name, before, digest);
        }
        let session = self.sessions.session(asker.session).expect("the asker has just been found");
        Ok(Reply::Published(Published { offered: session.pulse.offered() }))
    }

    /// Refuses as many more publications of a member as there is no room for (BT-2.6-4).
    pub(super) fn refuse_too_many_publications(
        &self,
        member: &MemberName,
        added: usize,
    ) -> Result<(), Refused> {
        if added > 0 && self.publications.count_of(member) + added > self.limits.publications_per_member {
            let sentence = "this member has published as many files as allowed; unpublish some";
            return Err(Refused::new(RefusalCode::LIMIT_REACHED, sentence));
        }
        if added > 0 && self.publications.len() + added > self.limits.publications {
            let sentence = "the server holds as many publications as it may; try again later";
            return Err(Refused::new(RefusalCode::LIMIT_REACHED, sentence));
        }
        Ok(())
    }

    fn unpublish(&mut self, asker: &Asker, unpublish: &Unpublish) -> Reply {
        for name in unpublish.names.iter() {
            let is_open = |id| self.sessions.is_open(id);
            let (before, others) = self.publications.end_offer(&asker.member, name, asker.session, is_open);
            let session = self.sessions.session_mut(asker.session);
            if let (Some((number, content)), Some(session)) = (before, session) {
                session.remove_offer(number, digest_of(name, content));
            }
            if !others {
                self.withdraw(&asker.member, name);
            }
        }
        Reply::Unpublished(Unpublished {})
    }

    /// Withdraws a member's publication from every session that offers it. Says whether there was one.
    pub(super) fn withdraw(&mut self, member: &MemberName, name: &FileName) -> bool {
        let is_gone = self.end_publication(member, name);
        if is_gone {
            self.note(|| Edit::Withdraw { member: Arc::new(member.clone()), name: name.clone() });
        }
        is_gone
    }

    /// The same, without a note of it.
    pub(super) fn end_publication(&mut self, member: &MemberName, name: &FileName) -> bool {
        let Some(withdrawn) = self.publications.unpublish(member, name) else { return false };
        for Offering { session, content } in withdrawn.offerings {
            if let Some(session) = self.sessions.session_mut(session) {
                session.remove_offer(withdrawn.name, digest_of(name, content));
            }
        }
        true
    }

    /// The session is a source of exactly these contents, beside what it offers under a name (BT-2.12-1).
    fn announce(&mut self, asker: &Asker, announce: Announce) -> Reply {
        let roots = announce.roots.into_vec();
        let session = self.sessions.session_mut(asker.session).expect("the asker has just been found");
        let before = session.announce(roots.clone());
        self.publications.end_announcements(&before, &asker.member, asker.session);
        self.publications.announce(&roots, &asker.member, asker.session);
        Reply::Announced(Announced {})
    }

    /// Ends a session. What it has announced goes with it.
    pub(super) fn close(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.close(id) {
            self.publications.end_announcements(session.announced(), &session.member, id);
        }
    }
}

/// What an offer adds to its session's digest (BT-2.4-3).
pub(super) fn digest_of(name: &FileName, content: Content) -> u64 {
    let Content { file_bytes, root, is_folder } = content;
    let file_bytes = file_bytes.unwrap_or(FileBytes::ZERO);
    offer_digest(&Offer { name: name.clone(), file_bytes, root, is_folder })
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).expect("a few seconds")
}
