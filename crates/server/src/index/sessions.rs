//! Sessions: who is online, from where, and until when (BT-2.3, BT-4.2).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::messages::name_digest;
use bittrickle_wire::{FileName, MemberName, SourceAddress};

/// Numbers sessions in the order of their logins; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct SessionId(u64);

/// What a session speaks, and thereby how it is recognised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Speaks {
    /// Frames, from this one address and port.
    Frames(SocketAddr),
    /// The original's format: by user name, from any port of this address.
    Legacy(IpAddr),
}

/// A member's peer that is online.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) member: Arc<MemberName>,
    pub(super) speaks: Speaks,
    /// Where its file server answers.
    pub(super) source: SourceAddress,
    /// The names it offers. A legacy session has none here: it offers all that its member has published.
    offers: HashSet<Arc<FileName>>,
    /// The sum of the digests of those names (BT-2.4-3).
    digest: u64,
    silence_max: Duration,
    over_at: Instant,
}

/// All sessions. Each stands in every table that applies to it.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    next_id: u64,
    by_id: HashMap<SessionId, Session>,
    by_address: HashMap<SocketAddr, SessionId>,
    by_member: BTreeMap<Arc<MemberName>, Vec<SessionId>>,
    by_end: BTreeSet<(Instant, SessionId)>,
}

impl Session {
    pub(super) fn is_legacy(&self) -> bool {
        matches!(self.speaks, Speaks::Legacy(_))
    }

    pub(super) fn offered(&self) -> u32 {
        u32::try_from(self.offers.len()).expect("a member's publications are limited to fewer")
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn add_offer(&mut self, name: &Arc<FileName>) {
        if self.offers.insert(Arc::clone(name)) {
            self.digest = self.digest.wrapping_add(name_digest(name));
        }
    }

    pub(super) fn remove_offer(&mut self, name: &FileName) {
        if self.offers.remove(name) {
            self.digest = self.digest.wrapping_sub(name_digest(name));
        }
    }
}

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn open(
        &mut self,
        now: Instant,
        member: &Arc<MemberName>,
        speaks: Speaks,
        source: SourceAddress,
        silence_max: Duration,
    ) -> SessionId {
        let id = SessionId(self.next_id);
        self.next_id += 1;
        let over_at = now + silence_max;
        let member = Arc::clone(member);
        if let Speaks::Frames(address) = speaks {
            self.by_address.insert(address, id);
        }
        self.by_member.entry(Arc::clone(&member)).or_default().push(id);
        self.by_end.insert((over_at, id));
        let offers = HashSet::new();
        let session = Session { id, member, speaks, source, offers, digest: 0, silence_max, over_at };
        self.by_id.insert(id, session);
        id
    }

    /// Ends a session. What it has offered is not on offer any more: its id stands for nobody (BT-2.6-6).
    pub(super) fn close(&mut self, id: SessionId) {
        let Some(session) = self.by_id.remove(&id) else { return };
        if let Speaks::Frames(address) = session.speaks {
            self.by_address.remove(&address);
        }
        if let Some(ids) = self.by_member.get_mut(&session.member) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_member.remove(&session.member);
            }
        }
        self.by_end.remove(&(session.over_at, id));
    }

    /// Ends one session whose time is over. Says whether there was one.
    pub(super) fn close_expired(&mut self, now: Instant) -> bool {
        let expired = self.by_end.first().filter(|(over_at, _)| *over_at <= now).map(|(_, id)| *id);
        expired.into_iter().for_each(|id| self.close(id));
        expired.is_some()
    }

    pub(super) fn is_open(&self, id: SessionId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Notes a sign of life.
    pub(super) fn touch(&mut self, now: Instant, id: SessionId) {
        if let Some(session) = self.by_id.get_mut(&id) {
            self.by_end.remove(&(session.over_at, id));
            session.over_at = now + session.silence_max;
            self.by_end.insert((session.over_at, id));
        }
    }

    pub(super) fn session(&self, id: SessionId) -> Option<&Session> {
        self.by_id.get(&id)
    }

    pub(super) fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn at_address(&self, address: SocketAddr) -> Option<&Session> {
        self.by_id.get(self.by_address.get(&address)?)
    }

    /// The member's sessions, in the order of their logins.
    pub(super) fn of_member(&self, member: &MemberName) -> impl Iterator<Item = &Session> {
        self.by_member.get(member).into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }

    /// The member's legacy session; there is never more than one.
    pub(super) fn legacy_of(&self, member: &MemberName) -> Option<&Session> {
        self.of_member(member).find(|session| session.is_legacy())
    }

    /// Members who are online behind `after`, by name, with how many sessions they have.
    pub(super) fn members_after(
        &self,
        after: Option<&MemberName>,
    ) -> impl Iterator<Item = (&Arc<MemberName>, usize)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        let members = self.by_member.range::<MemberName, _>((start, Unbounded));
        members.map(|(member, ids)| (member, ids.len()))
    }

    /// Members who are online, in the order in which their oldest session logged in.
    pub(super) fn members_by_login(&self) -> Vec<&Arc<MemberName>> {
        let mut members: Vec<_> = self.by_member.iter().collect();
        members.sort_by_key(|(_, ids)| ids.first().copied());
        members.into_iter().map(|(member, _)| member).collect()
    }
}
