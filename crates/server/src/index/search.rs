//! Search: names that contain a text, and what stands behind them (BT-2.7).

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use bittrickle_wire::limits::{FILE_BYTES_MAX, PAGE_ENTRIES_MAX};
use bittrickle_wire::messages::{Filter, Found, Hit, HitCursor, Search};
use bittrickle_wire::page::PageBuilder;
use bittrickle_wire::{Content, FileBytes, FileName, HexBytes, MemberName, Root, fold};

use super::Index;
use super::owners::Owners;
use super::publications::{Entry, Publication};
use super::requests::Asker;

/// What is looked for, prepared for many names.
struct Wanted<'a> {
    text: String,
    /// With its dot.
    extension: Option<String>,
    /// The lowest and the highest root.
    roots: Option<(Root, Root)>,
    filter: &'a Filter,
}

/// How many stand behind a name with one content.
#[derive(Default)]
struct Standing {
    members: u32,
    /// Those who offer it under this name.
    sessions: usize,
}

type Names<'a> = Box<dyn Iterator<Item = (&'a Arc<FileName>, &'a Entry)> + 'a>;

impl Index {
    pub(super) fn search(&self, asker: &Asker, search: &Search) -> Found {
        let wanted = Wanted::new(search);
        let start = search.after.as_ref().map(|after| &after.name);
        // One content may stand behind every name of a page: the empty one often does.
        let mut counted = BTreeMap::new();
        let mut page = PageBuilder::new(asker.encoding);
        let mut looked_at = 0;
        for (name, entry) in self.candidates(search, &wanted, start) {
            // The name at which the page before ended has been counted there.
            looked_at += usize::from(Some(&**name) != start);
            if looked_at > self.limits.names_per_search {
                // Only an empty page is sure to have room for a cursor at whatever name comes next.
                let next =
                    if page.is_empty() { self.cursor_before(name) } else { page.last().map(cursor_at) };
                return Found { hits: page.finish(), next };
            }
            if !wanted.has_name(entry) {
                continue;
            }
            let after = search.after.as_ref().filter(|after| after.name == **name);
            let contents = self.contents_of(asker, entry, &wanted);
            let behind = (after.map_or(Unbounded, |after| Excluded(after.content)), Unbounded);
            for (content, standing) in contents.range(behind) {
                let sources = match content.root {
                    Some(root) => *counted.entry(root).or_insert_with(|| self.swarm_size(asker, root)),
                    None => standing.sessions,
                };
                let sources = u32::try_from(sources).unwrap_or(u32::MAX);
                let (name, members) = (FileName::clone(name), standing.members);
                if page.push(Hit { name, content: *content, members, sources }).is_err() {
                    let next = page.last().map(cursor_at);
                    return Found { hits: page.finish(), next };
                }
            }
        }
        Found { hits: page.finish(), next: None }
    }

    /// The names that are looked at, from `start` on, in their order: looked up where that can be (BT-2.7-7).
    fn candidates<'a>(
        &'a self,
        search: &'a Search,
        wanted: &Wanted<'_>,
        start: Option<&'a FileName>,
    ) -> Names<'a> {
        if search.filter.is_exact {
            let name = FileName::new(search.text.as_str()).ok();
            let found = name.and_then(|name| self.publications.named(&name));
            let behind = move |name: &FileName| start.is_none_or(|start| *name >= *start);
            return Box::new(found.into_iter().filter(move |(name, _)| behind(name)));
        }
        if let Some((lowest, highest)) = wanted.roots {
            let names = self.publications.contents().names_between(lowest, highest, start);
            if let Some(names) = names {
                return Box::new(names.filter_map(|name| self.publications.named(name)));
            }
        }
        if let Some(member) = &search.filter.member {
            return Box::new(self.publications.of_member_from(member, start));
        }
        let texts = [wanted.text.as_str(), wanted.extension.as_deref().unwrap_or_default()];
        match self.publications.names_with(&texts, start, self.worth_ordering()) {
            Some(names) => Box::new(names),
            None => Box::new(self.publications.names_from(start)),
        }
    }

    /// How many candidates are worth being put in order. With m of n names, going through all in their order finds a page
    /// after a page's part of n / m names. That is cheaper for each name, by a factor of about eight; but it is worth nothing
    /// where it takes more names than one request looks at.
    fn worth_ordering(&self) -> u64 {
        let (names, page) = (self.publications.name_count() as u64, PAGE_ENTRIES_MAX as u64);
        let most = self.limits.names_per_search as u64;
        let cheaper = (names * page / 8).isqrt();
        cheaper.max(names * page / most.max(1)).min(most)
    }

    /// A cursor behind every content of the name before this one.
    fn cursor_before(&self, name: &FileName) -> Option<HitCursor> {
        let name = self.publications.name_before(name)?.clone();
        let (file_bytes, root) = (FileBytes::new(FILE_BYTES_MAX).ok(), Some(Root(HexBytes([u8::MAX; 32]))));
        Some(HitCursor { name, content: Content { file_bytes, root, is_folder: true } })
    }

    /// What others have published under a name, as far as it is wanted. Of each publication that is what sessions
    /// offer; while none does, what was published last (BT-2.6-7).
    fn contents_of(&self, asker: &Asker, entry: &Entry, wanted: &Wanted<'_>) -> BTreeMap<Content, Standing> {
        let mut contents: BTreeMap<Content, Standing> = BTreeMap::new();
        let mut offered: Vec<Content> = Vec::new();
        let others = wanted.publications(&entry.owners).filter(|(owner, _)| **owner != *asker.member);
        for (owner, publication) in others {
            offered.extend(self.sources(owner, publication).map(|origin| origin.content));
            let is_online = !offered.is_empty();
            if !is_online {
                offered.push(*publication.content);
            }
            offered.sort_unstable();
            for same in offered.chunk_by(Content::eq).filter(|same| wanted.has_content(&same[0])) {
                let standing = contents.entry(same[0]).or_default();
                standing.members += 1;
                standing.sessions += if is_online { same.len() } else { 0 };
            }
            offered.clear();
        }
        contents
    }
}

impl<'a> Wanted<'a> {
    fn new(search: &'a Search) -> Self {
        let filter = &search.filter;
        // An exact name has been looked up: it has the text as it is.
        let text = if filter.is_exact { String::new() } else { fold(search.text.as_str()) };
        let extension = filter.extension.as_ref().map(|extension| format!(".{}", fold(extension.as_str())));
        let roots = filter.root_prefix.as_ref().map(|prefix| (prefix.lowest(), prefix.highest()));
        Self { text, extension, roots, filter }
    }

    fn has_name(&self, entry: &Entry) -> bool {
        let extension = self.extension.as_ref();
        entry.folded.contains(&self.text)
            && extension.is_none_or(|extension| entry.folded.ends_with(extension.as_str()))
    }

    /// The publications that are looked at: one member's or all.
    fn publications<'b>(
        &self,
        owners: &'b Owners,
    ) -> impl Iterator<Item = (&'b MemberName, &'b Publication)> {
        let member = self.filter.member.as_ref();
        let one = member.and_then(|member| owners.get_key_value(member));
        let all = member.is_none().then(|| owners.iter());
        let all = all.into_iter().flatten();
        one.into_iter().chain(all).map(|(owner, publication)| (&**owner, publication))
    }

    fn has_content(&self, content: &Content) -> bool {
        let Filter { bytes_min, bytes_max, .. } = self.filter;
        let is_root_between =
            |(lowest, highest)| content.root.is_some_and(|root| (lowest..=highest).contains(&root));
        bytes_min.is_none_or(|min| content.file_bytes.is_some_and(|bytes| bytes >= min))
            && bytes_max.is_none_or(|max| content.file_bytes.is_some_and(|bytes| bytes <= max))
            && self.roots.is_none_or(is_root_between)
    }
}

fn cursor_at(hit: &Hit) -> HitCursor {
    HitCursor { name: hit.name.clone(), content: hit.content }
}
