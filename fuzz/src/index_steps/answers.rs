//! What the index must answer to who only asks: search, locate, and the lists (BT-2.7 to BT-2.9).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bittrickle_wire::messages::{
    Access, Filter, Hit, ListFiles, ListPeers, Locate, OwnFile, PeerEntry, Search, Source,
};
use bittrickle_wire::{Content, FileName, MemberName, Root, SourceAddress, Target};

use super::model::{Answer, Model, Session, count};
use super::ticket_for;

impl Model {
    /// Each name with each of its contents: how many have published it, and how many offer it under this name.
    pub(super) fn search(&self, asker: &MemberName, search: &Search) -> Answer {
        let filter = &search.filter;
        let mut hits: BTreeMap<(u32, Content), (&FileName, u32, u32)> = BTreeMap::new();
        let is_looked_at = |owner: &MemberName| {
            owner != asker && filter.member.as_ref().is_none_or(|member| member == owner)
        };
        let text = fold(search.text.as_str());
        let is_named = |number: &u32, name: &FileName| has_name(search, &text, name, &self.folded[number]);
        for (number, name) in self.names.iter().filter(|(number, name)| is_named(number, name)) {
            for (owner, _) in self.owners(name).filter(|(owner, _)| is_looked_at(owner)) {
                let contents = self.contents(name, owner);
                for content in contents.into_iter().filter(|content| has_content(filter, content)) {
                    let (_, members, sources) = hits.entry((*number, content)).or_insert((name, 0, 0));
                    *members += 1;
                    *sources += count(self.sources(name, owner).filter(|(_, offered)| *offered == content));
                }
            }
        }
        let is_behind = |(number, content): (u32, Content)| {
            search.after.is_none_or(|after| {
                let is_more = after.content.is_none_or(|last| content > last);
                number > after.number || (number == after.number && is_more)
            })
        };
        let hits = hits.into_iter().filter(|(place, _)| is_behind(*place));
        let swarms = self.swarms(asker);
        let hit = |((_, content), (name, members, sources)): ((u32, Content), (&FileName, u32, u32))| {
            let sources = content.root.map_or(sources, |root| swarms.get(&root).copied().unwrap_or(0));
            Hit { name: name.clone(), content, members, sources }
        };
        Answer::Hits(hits.map(hit).filter(|hit| !filter.is_online || hit.sources > 0).collect())
    }

    /// What sessions offer; while none does, what was published last (BT-2.6-7).
    fn contents(&self, name: &FileName, owner: &MemberName) -> BTreeSet<Content> {
        let offered: BTreeSet<_> = self.sources(name, owner).map(|(_, content)| content).collect();
        if offered.is_empty() { self.content(name, owner).into_iter().collect() } else { offered }
    }

    /// Of each root, how many sessions of others offer it or have announced it (BT-2.7-6).
    fn swarms(&self, asker: &MemberName) -> BTreeMap<Root, u32> {
        let mut swarms = BTreeMap::new();
        for session in self.sessions.iter().filter(|session| session.member != *asker) {
            let Some(device) = session.device() else { continue };
            let offered = self.offers.get(&device).into_iter().flat_map(BTreeMap::values);
            let offered = offered.filter_map(|content| content.root);
            let announced = self.announced.get(&device).into_iter().flatten().copied();
            for root in offered.chain(announced).collect::<BTreeSet<Root>>() {
                *swarms.entry(root).or_default() += 1;
            }
        }
        swarms
    }

    /// The sessions of others that offer a root, or have announced it (BT-2.8-1).
    fn swarm(&self, asker: &MemberName, root: Root) -> impl Iterator<Item = (&Session, Content)> {
        let announced = Content { file_bytes: None, root: Some(root), is_folder: false };
        let others = self.sessions.iter().filter(move |session| session.member != *asker);
        others.filter_map(move |session| {
            let device = session.device()?;
            let has_announced = self.announced.get(&device).is_some_and(|roots| roots.contains(&root));
            let offers = self.offers.get(&device).into_iter().flat_map(BTreeMap::values);
            let offered = offers.filter(|content| content.root == Some(root)).min().copied();
            Some((session, offered.or(has_announced.then_some(announced))?))
        })
    }

    pub(super) fn locate(&self, asker: &MemberName, locate: &Locate) -> Answer {
        let (publishers, origins) = match &locate.target {
            Target::Root(root) => self.locate_root(asker, *root),
            Target::Name(name) => self.locate_name(asker, name),
        };
        let source = |(session, content): (&Session, Content)| Source {
            member: session.member.clone(),
            address: session.source,
            content,
            access: session
                .device()
                .map(|device| Access { device, ticket: ticket_for(&device, &locate.target) }),
        };
        let mut sources: Vec<Source> = origins.into_iter().map(source).collect();
        let place = |member: &MemberName, address: SourceAddress| (member.clone(), address_order(address));
        sources.sort_by_key(|source| place(&source.member, source.address));
        if let Some(after) = &locate.after {
            let after = place(&after.member, after.address);
            sources.retain(|source| place(&source.member, source.address) > after);
        }
        Answer::Sources { members: count(publishers.iter()), sources }
    }

    /// Who has published a root last or offers it, and its sources. Announcing it makes a source alone (BT-2.12-2).
    fn locate_root(
        &self,
        asker: &MemberName,
        root: Root,
    ) -> (BTreeSet<&MemberName>, Vec<(&Session, Content)>) {
        let published = self.all().filter(|(owner, name, last)| {
            let mut offered = self.sources(name, owner).filter(|(session, _)| !session.is_legacy());
            last.root == Some(root) || offered.any(|(_, content)| content.root == Some(root))
        });
        let owners = published.map(|(owner, ..)| owner).filter(|owner| *owner != asker).collect();
        (owners, self.swarm(asker, root).collect())
    }

    /// Who has published a name without a root last or is its source, and its sources.
    fn locate_name(
        &self,
        asker: &MemberName,
        name: &FileName,
    ) -> (BTreeSet<&MemberName>, Vec<(&Session, Content)>) {
        let is_unhashed =
            |(session, content): &(&Session, Content)| session.is_legacy() || content.root.is_none();
        let (mut owners, mut origins) = (BTreeSet::new(), Vec::new());
        for (owner, last) in self.owners(name).filter(|(owner, _)| *owner != asker) {
            let unhashed: Vec<_> = self.sources(name, owner).filter(is_unhashed).collect();
            if last.root.is_none() || !unhashed.is_empty() {
                owners.insert(owner);
            }
            origins.extend(unhashed);
        }
        (owners, origins)
    }

    pub(super) fn list_peers(&self, asker: &MemberName, list: &ListPeers) -> Answer {
        let mut online: BTreeMap<&MemberName, u32> = BTreeMap::new();
        for session in self.sessions.iter().filter(|session| session.member != *asker) {
            *online.entry(&session.member).or_default() += 1;
        }
        let entry = |(name, sessions): (&MemberName, u32)| PeerEntry { name: name.clone(), sessions };
        let behind = |name: &MemberName| list.after.as_ref().is_none_or(|after| name > after);
        Answer::Members(online.into_iter().filter(|(name, _)| behind(name)).map(entry).collect())
    }

    pub(super) fn list_files(&self, asker: &MemberName, list: &ListFiles) -> Answer {
        let own = self.own(asker).into_iter();
        let own = own.filter(|(number, ..)| list.after.is_none_or(|after| *number > after));
        let file = |(_, name, content): (u32, &FileName, Content)| OwnFile {
            name: name.clone(),
            content,
            sources: count(self.sources(name, asker)),
        };
        Answer::Files(own.map(file).collect())
    }
}

/// What a search says of names (BT-2.7-1, BT-2.7-5). `text` and `folded` are what it looks for and the name, both in the form
/// in which names are searched.
fn has_name(search: &Search, text: &str, name: &FileName, folded: &str) -> bool {
    let Filter { is_exact, is_prefix, extension, .. } = &search.filter;
    let starts = folded.starts_with(text);
    let has_text = match (is_exact, is_prefix) {
        (true, _) => name.as_str() == search.text.as_str() && (starts || !is_prefix),
        (false, true) => starts,
        (false, false) => text.split_whitespace().all(|word| folded.contains(word)),
    };
    let ends = |extension: &str| folded.ends_with(&format!(".{}", fold(extension)));
    has_text && extension.as_ref().is_none_or(|extension| ends(extension.as_str()))
}

/// What it says of contents (BT-2.7-5).
fn has_content(filter: &Filter, content: &Content) -> bool {
    let Filter { bytes_min, bytes_max, root_prefix, .. } = filter;
    let has_root = |digits: &str| content.root.is_some_and(|root| root.to_string().starts_with(digits));
    bytes_min.is_none_or(|min| content.file_bytes.is_some_and(|bytes| bytes >= min))
        && bytes_max.is_none_or(|max| content.file_bytes.is_some_and(|bytes| bytes <= max))
        && root_prefix.as_ref().is_none_or(|prefix| has_root(prefix.as_str()))
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

/// Lower case, character by character. The steps' names are all in normalization form C.
pub(super) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).collect()
}
