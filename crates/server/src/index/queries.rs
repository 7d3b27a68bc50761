//! The framed requests that only ask: search, locate, and the two lists (BT-2.7 to BT-2.9).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound::{Included, Unbounded};

use bittrickle_wire::limits::FILE_BYTES_MAX;
use bittrickle_wire::messages::{
    Access, Files, Found, Hit, HitCursor, ListFiles, ListPeers, Locate, Located, OwnFile, PeerEntry, Peers,
    Search, Source, SourceCursor,
};
use bittrickle_wire::page::PageBuilder;
use bittrickle_wire::{FileBytes, FileName, MemberName, SourceAddress, fold};

use super::publications::{Entry, Publication};
use super::requests::Asker;
use super::sessions::Session;
use super::{Index, Tickets};

impl Index {
    pub(super) fn search(&self, asker: &Asker, search: &Search) -> Found {
        let query = fold(search.text.as_str());
        let start = search.after.as_ref().map(|after| &after.name);
        let mut page = PageBuilder::new(asker.encoding);
        let mut looked_at = 0;
        for (name, entry) in self.publications.names_from(start) {
            // The name at which the page before ended has been counted there.
            looked_at += usize::from(Some(&**name) != start);
            if looked_at > self.limits.names_per_search {
                // Only an empty page is sure to have room for a cursor at whatever name comes next.
                let next =
                    if page.is_empty() { self.cursor_before(name) } else { page.last().map(cursor_at) };
                return Found { hits: page.finish(), next };
            }
            if !entry.folded.contains(&query) {
                continue;
            }
            for hit in self.hits(asker, name, entry) {
                if search
                    .after
                    .as_ref()
                    .is_some_and(|after| position(&hit) <= (&after.name, after.file_bytes))
                {
                    continue;
                }
                if page.push(hit).is_err() {
                    let next = page.last().map(cursor_at);
                    return Found { hits: page.finish(), next };
                }
            }
        }
        Found { hits: page.finish(), next: None }
    }

    /// A cursor behind every size of the name before this one.
    fn cursor_before(&self, name: &FileName) -> Option<HitCursor> {
        let name = self.publications.name_before(name)?.clone();
        let largest = FileBytes::new(FILE_BYTES_MAX).ok();
        Some(HitCursor { name, file_bytes: largest })
    }

    /// One hit for each size under which others have published this name, by size (BT-2.7-3).
    fn hits(&self, asker: &Asker, name: &FileName, entry: &Entry) -> Vec<Hit> {
        let mut by_size: BTreeMap<Option<FileBytes>, (u32, u32)> = BTreeMap::new();
        for (owner, publication) in &entry.owners {
            if *owner != asker.member {
                let (members, sources) = by_size.entry(publication.file_bytes).or_default();
                *members += 1;
                *sources += u32::try_from(self.sources(owner, publication).count()).unwrap_or(u32::MAX);
            }
        }
        let hit = |(file_bytes, (members, sources))| Hit { name: name.clone(), file_bytes, members, sources };
        by_size.into_iter().map(hit).collect()
    }

    /// The sessions from which a publication can be fetched now (BT-2.8-1).
    pub(super) fn sources<'a>(
        &'a self,
        owner: &'a MemberName,
        publication: &'a Publication,
    ) -> impl Iterator<Item = &'a Session> {
        let framed = publication.offered_by.iter().filter_map(|id| self.sessions.session(*id));
        framed.chain(self.sessions.legacy_of(owner))
    }

    pub(super) fn locate(&self, asker: &Asker, locate: &Locate, tickets: &dyn Tickets) -> Located {
        let mut page = PageBuilder::new(asker.encoding);
        let Some(entry) = self.publications.entry(&locate.name) else {
            return Located { members: 0, sources: page.finish(), next: None };
        };
        let others = entry.owners.len() - usize::from(entry.owners.contains_key(&asker.member));
        let members = u32::try_from(others).unwrap_or(u32::MAX);
        let after = locate.after.as_ref().map(|after| (&after.member, address_order(after.address)));
        let start = after.map_or(Unbounded, |(member, _)| Included(member));
        for (owner, publication) in entry.owners.range::<MemberName, _>((start, Unbounded)) {
            if *owner == asker.member {
                continue;
            }
            let mut sessions: Vec<&Session> = self.sources(owner, publication).collect();
            sessions.sort_by_key(|session| address_order(session.source));
            for session in sessions {
                if after.is_some_and(|after| (&**owner, address_order(session.source)) <= after) {
                    continue;
                }
                let access = match session.device() {
                    None => None,
                    Some(device) => match tickets.issue(&device, &asker.device, &locate.name) {
                        Some(ticket) => Some(Access { device, ticket }),
                        // Its keys have been forgotten before its session: nobody can be let in there now.
                        None => continue,
                    },
                };
                let (member, address) = (MemberName::clone(owner), session.source);
                let source = Source { member, address, file_bytes: publication.file_bytes, access };
                if page.push(source).is_err() {
                    let cursor =
                        |last: &Source| SourceCursor { member: last.member.clone(), address: last.address };
                    let next = page.last().map(cursor);
                    return Located { members, sources: page.finish(), next };
                }
            }
        }
        Located { members, sources: page.finish(), next: None }
    }

    pub(super) fn list_peers(&self, asker: &Asker, list: &ListPeers) -> Peers {
        let mut page = PageBuilder::new(asker.encoding);
        for (member, sessions) in self.sessions.members_after(list.after.as_ref()) {
            if *member == asker.member {
                continue;
            }
            let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
            if page.push(PeerEntry { name: MemberName::clone(member), sessions }).is_err() {
                let next = page.last().map(|entry: &PeerEntry| entry.name.clone());
                return Peers { members: page.finish(), next };
            }
        }
        Peers { members: page.finish(), next: None }
    }

    pub(super) fn list_files(&self, asker: &Asker, list: &ListFiles) -> Files {
        let mut page = PageBuilder::new(asker.encoding);
        for (name, publication) in self.publications.of_member_after(&asker.member, list.after.as_ref()) {
            let sources = u32::try_from(self.sources(&asker.member, publication).count()).unwrap_or(u32::MAX);
            let file = OwnFile { name: FileName::clone(name), file_bytes: publication.file_bytes, sources };
            if page.push(file).is_err() {
                let next = page.last().map(|file: &OwnFile| file.name.clone());
                return Files { files: page.finish(), next };
            }
        }
        Files { files: page.finish(), next: None }
    }
}

fn cursor_at(hit: &Hit) -> HitCursor {
    HitCursor { name: hit.name.clone(), file_bytes: hit.file_bytes }
}

fn position(hit: &Hit) -> (&FileName, Option<FileBytes>) {
    (&hit.name, hit.file_bytes)
}

/// Sources of one member are ordered as their bytes are on the wire (BT-2.8-2).
fn address_order(address: SourceAddress) -> ([u8; 16], u16) {
    let address = address.socket_address();
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    (ip.octets(), address.port())
}
