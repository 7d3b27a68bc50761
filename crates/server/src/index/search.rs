//! Search: names that contain some words, and what stands behind them (BT-2.7).

use std::collections::BTreeSet;

use bittrickle_wire::messages::{Filter, Found, Hit, HitCursor, Search};
use bittrickle_wire::page::PageBuilder;
use bittrickle_wire::{Content, FileName, MemberName, Root, fold};
use roaring::RoaringBitmap;

use super::Index;
use super::candidates::Postings;
use super::names::Entry;
use super::owners::Owners;
use super::posting::Numbers;
use super::publications::Publication;
use super::requests::Asker;

/// What is looked for, prepared for many names.
struct Wanted<'a> {
    /// All are in the name.
    words: Vec<String>,
    /// What it begins with.
    prefix: Option<String>,
    /// With its dot.
    extension: Option<String>,
    /// The lowest and the highest root.
    roots: Option<(Root, Root)>,
    filter: &'a Filter,
}

/// What stands behind a name.
#[derive(Clone, Copy)]
struct Standing {
    content: Content,
    /// Who has published it.
    members: u32,
    /// Those who offer it under this name.
    sessions: usize,
}

/// Room that is used again for each name: a search looks at many.
#[derive(Default)]
struct Room {
    folded: String,
    of_member: Vec<Standing>,
    all: Vec<Standing>,
}

/// Words of one or two characters that are looked up, at most: each takes a look at up to 4,096 postings.
const SHORT_WORDS_MAX: usize = 4;

/// Owners of one name that are looked at, at most: of `README.md` there may be a hundred thousand.
const OWNERS_MAX: usize = 8_192;

impl Index {
    pub(super) fn search(&self, asker: &Asker, search: &Search) -> Found {
        let wanted = Wanted::new(search);
        let short = self.names_with_short_words(&wanted);
        let start = search.after.map_or(0, |after| after.number);
        // One content may stand behind every name of a page: the empty one often does.
        let mut counted = Vec::new();
        let mut page = PageBuilder::new(asker.encoding);
        let mut room = Room::default();
        let mut looked_at = 0;
        for number in self.candidates(search, &wanted, &short, start) {
            let behind = search.after.filter(|after| after.number == number).and_then(|after| after.content);
            let mut place = HitCursor { number, content: behind };
            // The name at which the page before ended has been counted there.
            looked_at += usize::from(behind.is_none());
            if looked_at > self.limits.names_per_search {
                return Found { hits: page.finish(), next: Some(place) };
            }
            let entry = self.publications.names().entry(number);
            let Some(entry) = entry.filter(|entry| wanted.has_name(&entry.name, &mut room.folded)) else {
                continue;
            };
            self.find_contents(asker, entry, &wanted, &mut room);
            for standing in room.all.iter().filter(|standing| Some(standing.content) > behind) {
                let Some(hit) = self.hit(asker, entry, &wanted, *standing, &mut counted) else { continue };
                if page.push(hit).is_err() {
                    return Found { hits: page.finish(), next: Some(place) };
                }
                place.content = Some(standing.content);
            }
        }
        Found { hits: page.finish(), next: None }
    }

    /// The hit that is made of what stands behind a name, if it is one. `counted` is how many sources roots are known to
    /// have.
    fn hit(
        &self,
        asker: &Asker,
        entry: &Entry,
        wanted: &Wanted<'_>,
        Standing { content, members, sessions }: Standing,
        counted: &mut Vec<(Root, usize)>,
    ) -> Option<Hit> {
        let sources = match content.root {
            None => sessions,
            Some(root) => match counted.iter().find(|(known, _)| *known == root) {
                Some((_, sources)) => *sources,
                None => {
                    let sources = self.swarm_size(asker, root);
                    counted.push((root, sources));
                    sources
                }
            },
        };
        let sources = u32::try_from(sources).unwrap_or(u32::MAX);
        let is_wanted = sources > 0 || !wanted.filter.is_online;
        is_wanted.then(|| Hit { name: entry.name.clone(), content, members, sources })
    }

    /// The numbers of the names that are looked at, from `start` on, in their order: looked up where that can be (BT-2.7-7).
    fn candidates<'a>(
        &'a self,
        search: &Search,
        wanted: &Wanted<'_>,
        short: &'a [RoaringBitmap],
        start: u32,
    ) -> Box<dyn Iterator<Item = u32> + 'a> {
        if search.filter.is_exact {
            let name = FileName::new(search.text.as_str()).ok();
            let number = name.and_then(|name| self.publications.names().number(&name));
            return Box::new(number.into_iter().filter(move |number| *number >= start));
        }
        if let Some((lowest, highest)) = wanted.roots
            && let Some(names) = self.publications.names_between(lowest, highest, start..)
        {
            return Box::new(names);
        }
        let trigrams = self.publications.names().trigrams();
        let mut postings = Postings::default();
        wanted.words.iter().chain(&wanted.prefix).for_each(|text| postings.contain(trigrams, text));
        wanted.extension.iter().for_each(|extension| postings.end_with(trigrams, extension));
        short.iter().for_each(|names| postings.are_among(Some(names.into())));
        if let Some(member) = &search.filter.member {
            postings.are_among(self.publications.of_member(member).map(Numbers::from));
        }
        if postings.is_empty() {
            return Box::new(self.publications.names().numbers_from(start..));
        }
        Box::new(postings.candidates(start).into_iter().flatten())
    }

    /// The names that contain each word of one or two characters, of those words for which they are few. Common ones stand
    /// in so many names that a page of them is soon found.
    fn names_with_short_words(&self, wanted: &Wanted<'_>) -> Vec<RoaringBitmap> {
        let most = self.limits.names_per_search as u64;
        let texts = wanted.words.iter().chain(&wanted.prefix).map(|text| text.chars().collect::<Vec<_>>());
        let short = texts.filter(|text| (1..=2).contains(&text.len())).take(SHORT_WORDS_MAX);
        short.filter_map(|text| self.publications.names().trigrams().few_with(&text, most)).collect()
    }

    /// What others have published under a name, as far as it is wanted, in the order of contents. Of each publication that
    /// is what sessions offer; while none does, what was published last (BT-2.6-7).
    fn find_contents(&self, asker: &Asker, entry: &Entry, wanted: &Wanted<'_>, room: &mut Room) {
        let Room { of_member, all, .. } = room;
        all.clear();
        let owners = wanted.publications(&entry.owners).take(OWNERS_MAX);
        for (owner, publication) in owners.filter(|(owner, _)| **owner != *asker.member) {
            let standing = |content, sessions| Standing { content, members: 1, sessions };
            of_member.extend(self.sources(owner, publication).map(|origin| standing(origin.content, 1)));
            if of_member.is_empty() {
                of_member.push(standing(publication.content(), 0));
            }
            merge(of_member, |_, _| 1);
            all.extend(of_member.drain(..).filter(|standing| wanted.has_content(&standing.content)));
        }
        merge(all, |first, second| first + second);
    }
}

/// Puts what stands for the same content together, in the order of contents.
fn merge(standings: &mut Vec<Standing>, members: impl Fn(u32, u32) -> u32) {
    standings.sort_unstable_by_key(|standing| standing.content);
    standings.dedup_by(|next, kept| {
        let is_same = next.content == kept.content;
        if is_same {
            kept.members = members(kept.members, next.members);
            kept.sessions += next.sessions;
        }
        is_same
    });
}

impl<'a> Wanted<'a> {
    fn new(search: &'a Search) -> Self {
        let filter = &search.filter;
        let text = fold(search.text.as_str());
        // An exact name has been looked up: it has the text as it is.
        let (words, prefix) = match (filter.is_exact, filter.is_prefix) {
            (true, false) => (Vec::new(), None),
            (_, true) => (Vec::new(), Some(text)),
            (false, false) => (text.split_whitespace().map(str::to_owned).collect(), None),
        };
        let words = words.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let extension = filter.extension.as_ref().map(|extension| format!(".{}", fold(extension.as_str())));
        let roots = filter.root_prefix.as_ref().map(|prefix| (prefix.lowest(), prefix.highest()));
        Self { words, prefix, extension, roots, filter }
    }

    /// `folded` is room for the name as it is searched.
    fn has_name(&self, name: &FileName, folded: &mut String) -> bool {
        fold_into(name.as_str(), folded);
        self.words.iter().all(|word| folded.contains(word.as_str()))
            && self.prefix.as_ref().is_none_or(|prefix| folded.starts_with(prefix.as_str()))
            && self.extension.as_ref().is_none_or(|extension| folded.ends_with(extension.as_str()))
    }

    /// The publications that are looked at: one member's or all.
    fn publications<'b>(
        &self,
        owners: &'b Owners,
    ) -> impl Iterator<Item = (&'b MemberName, &'b Publication)> + use<'b> {
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

/// What [`fold`] gives, without asking for memory each time: most names are ASCII, and a search looks at many.
fn fold_into(name: &str, folded: &mut String) {
    folded.clear();
    if name.is_ascii() {
        folded.push_str(name);
        folded.make_ascii_lowercase();
    } else {
        folded.push_str(&fold(name));
    }
}
