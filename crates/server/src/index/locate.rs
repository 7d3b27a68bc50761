//! Locate: the sessions that have a content (BT-2.8).

use std::iter;
use std::net::IpAddr;

use bittrickle_wire::messages::{Access, Locate, Located, Source, SourceCursor};
use bittrickle_wire::page::PageBuilder;
use bittrickle_wire::{Content, FileName, MemberName, Root, SourceAddress, Target};

use super::publications::Publication;
use super::requests::Asker;
use super::sessions::Session;
use super::{Index, Tickets};

/// A session, and what it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) session: &'a Session,
    pub(super) content: Content,
}

/// Most of those who have a content, or had it, that are walked over in search of who is online: some milliseconds.
const WALKED_MAX: usize = 8 * COUNTED_MAX;

/// Whoever has a content is counted until so many have been looked at: a count is shown to people, and must not keep
/// everybody waiting. A member is looked at once for having published it last, and once for each session, so that this
/// is enough for four thousand members with one session each.
const COUNTED_MAX: usize = 2 * 4_096;

impl Index {
    pub(super) fn locate(&self, asker: &Asker, locate: &Locate, tickets: &dyn Tickets) -> Located {
        let Locate { target, after } = locate;
        let after = after.as_ref().map(|after| (&after.member, address_order(after.address)));
        let start = after.map(|(member, _)| member);
        let (members, sources): (usize, Box<dyn Iterator<Item = Origin<'_>>>) = match target {
            Target::Root(root) => {
                (self.members_with(asker, *root), Box::new(by_address(self.swarm(asker, *root, start))))
            }
            Target::Name(name) => (
                self.members_with_unhashed(asker, name),
                Box::new(by_address(self.unhashed(asker, name, start))),
            ),
        };
        let members = u32::try_from(members).unwrap_or(u32::MAX);
        let mut page = PageBuilder::new(asker.encoding);
        for Origin { session, content } in sources {
            if after.is_some_and(|after| (&*session.member, address_order(session.source)) <= after) {
                continue;
            }
            let access = match session.device() {
                None => None,
                Some(device) => match tickets.issue(&device, &asker.device, target) {
                    Some(ticket) => Some(Access { device, ticket }),
                    // Its keys have been forgotten before its session: nobody can be let in there now.
                    None => continue,
                },
            };
            let (member, address) = (MemberName::clone(&session.member), session.source);
            if page.push(Source { member, address, content, access }).is_err() {
                let next = page.last().map(cursor_at);
                return Located { members, sources: page.finish(), next };
            }
        }
        Located { members, sources: page.finish(), next: None }
    }

    /// The sessions of others that have a content, or pieces of it, from a member on; by member, each once (BT-2.8-1).
    fn swarm<'a>(
        &'a self,
        asker: &'a Asker,
        root: Root,
        start: Option<&MemberName>,
    ) -> impl Iterator<Item = Origin<'a>> {
        let announced = Content { file_bytes: None, root: Some(root), is_folder: false };
        let holders = self.publications.holders(root, start);
        holders.filter(|holder| *holder.member != asker.member).filter_map(move |holder| {
            let session = self.sessions.session(holder.session?)?;
            Some(Origin { session, content: holder.content.unwrap_or(announced) })
        })
    }

    /// How many sessions that is (BT-2.7-6).
    pub(super) fn swarm_size(&self, asker: &Asker, root: Root) -> usize {
        let holders = self.publications.holders(root, None).take(WALKED_MAX);
        let others = holders.filter(|holder| *holder.member != asker.member);
        let open =
            others.filter(|holder| holder.session.is_some_and(|session| self.sessions.is_open(session)));
        open.take(COUNTED_MAX).count()
    }

    /// The other members who have published a content last, or offer it. Announcing it is neither (BT-2.12-2).
    fn members_with(&self, asker: &Asker, root: Root) -> usize {
        let holders = self.publications.holders(root, None).take(COUNTED_MAX);
        let publishers = holders.filter(|holder| {
            let is_there = holder.session.is_none_or(|session| self.sessions.is_open(session));
            *holder.member != asker.member && holder.content.is_some() && is_there
        });
        // They come by member.
        let mut last = None;
        publishers.filter(|holder| last.replace(holder.member) != Some(holder.member)).count()
    }

    /// The sessions of others from which a name can be fetched whose content isn't hashed, or never will be (BT-2.8-1).
    fn unhashed<'a>(
        &'a self,
        asker: &'a Asker,
        name: &FileName,
        start: Option<&'a MemberName>,
    ) -> impl Iterator<Item = Origin<'a>> {
        let owners = self
            .publications
            .named(name)
            .into_iter()
            .flat_map(move |(_, entry)| entry.owners.range_from(start));
        let others = owners.filter(|(owner, _)| **owner != asker.member);
        others.flat_map(|(owner, publication)| self.unhashed_of(owner, publication))
    }

    fn unhashed_of<'a>(
        &'a self,
        owner: &'a MemberName,
        publication: &'a Publication,
    ) -> impl Iterator<Item = Origin<'a>> {
        let origins = self.sources(owner, publication);
        origins.filter(|origin| origin.session.is_legacy() || origin.content.root.is_none())
    }

    /// The other members who have published a name without a root last, or from whom it can be fetched so.
    fn members_with_unhashed(&self, asker: &Asker, name: &FileName) -> usize {
        let owners = self.publications.named(name).into_iter().flat_map(|(_, entry)| entry.owners.iter());
        let publishers = owners.take(COUNTED_MAX).filter(|(owner, publication)| {
            let has_it = || self.unhashed_of(owner, publication).next().is_some();
            **owner != asker.member && (publication.content().root.is_none() || has_it())
        });
        publishers.count()
    }

    /// The sessions from which a publication can be fetched now, whatever each of them offers as it.
    pub(super) fn sources<'a>(
        &'a self,
        owner: &'a MemberName,
        publication: &'a Publication,
    ) -> impl Iterator<Item = Origin<'a>> {
        let framed = publication.offerings().filter_map(|offering| {
            let session = self.sessions.session(offering.session)?;
            Some(Origin { session, content: offering.content })
        });
        let legacy = self.sessions.legacy_of(owner);
        framed.chain(legacy.map(|session| Origin { session, content: publication.content() }))
    }
}

/// Orders each member's sources by address. Those of one member stand together already (BT-2.8-2).
fn by_address<'a>(sources: impl Iterator<Item = Origin<'a>>) -> impl Iterator<Item = Origin<'a>> {
    let mut sources = sources.peekable();
    let members = iter::from_fn(move || {
        let first = sources.next()?;
        let mut of_member = vec![first];
        while let Some(source) = sources.next_if(|source| source.session.member == first.session.member) {
            of_member.push(source);
        }
        of_member.sort_by_key(|source| address_order(source.session.source));
        Some(of_member)
    });
    members.flatten()
}

fn cursor_at(source: &Source) -> SourceCursor {
    SourceCursor { member: source.member.clone(), address: source.address }
}

/// Sources of one member are ordered as their bytes are on the wire.
fn address_order(address: SourceAddress) -> ([u8; 16], u16) {
    let address = address.socket_address();
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    (ip.octets(), address.port())
}
