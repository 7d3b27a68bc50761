//! Which content is meant by what the user asks for.

use std::time::Duration;

use bittrickle_wire::messages::{Filter, Hit};
use bittrickle_wire::{Content, FileName, Query, Root, Target};
use tokio::time::sleep;

use super::{GetError, Happening};
use crate::net::fetch::FetchError;
use crate::net::framed::FramedIndex;
use crate::net::index::{IndexError, locate, search};
use crate::transfer::{Candidate, Choice, Wanted, choose, wanted};

/// Pages of hits that one name may have.
const PAGES_MAX: usize = 8;

/// Most contents of one name whose members are asked for.
const LOCATED_MAX: usize = 8;

/// How often the index is asked whether a content has been hashed.
const HASHED_EVERY: Duration = Duration::from_millis(500);

/// The same for one that has changed, at first: who appends to it all the time leaves little time to fetch it.
const CHANGED_EVERY: Duration = Duration::from_millis(200);
const CHANGED_LOOKS: u32 = 5;

/// Which content is meant. Never guesses (BT-2.7-3).
pub(super) async fn resolve(index: &FramedIndex, what: &str) -> Result<(Hit, Filter), GetError> {
    let wanted = wanted(what);
    if wanted.is_empty() {
        return Err(GetError::NoName);
    }
    for wanted in wanted {
        let (text, filter) = question(&wanted);
        let text = Query::new(text).map_err(IndexError::from)?;
        let (hits, _) =
            search(index, &text, &filter, PAGES_MAX, usize::MAX).await.map_err(IndexError::from)?;
        let candidates: Vec<_> = hits
            .iter()
            .map(|hit| Candidate { content: hit.content, members: hit.members, sources: hit.sources })
            .collect();
        match choose(&candidates) {
            Choice::None => {}
            Choice::One(index) => return Ok((hits[index].clone(), filter)),
            Choice::Several(several) => {
                let hits = several.into_iter().map(|choice| hits[choice].clone());
                return Err(GetError::Several(with_members(index, hits).await));
            }
        }
    }
    Err(GetError::NotFound)
}

/// Who has which of several contents, as far as they are online. If the index doesn't say, that is missing.
async fn with_members(index: &FramedIndex, hits: impl Iterator<Item = Hit>) -> Vec<(Hit, Vec<String>)> {
    let mut choices = Vec::new();
    for hit in hits {
        let target = hit.content.root.map_or_else(|| Target::Name(hit.name.clone()), Target::Root);
        let is_asked = hit.sources > 0 && choices.len() < LOCATED_MAX;
        let sources = if is_asked { locate(index, &target).await.unwrap_or_default() } else { Vec::new() };
        let mut members: Vec<String> = sources.into_iter().filter_map(|source| source.member).collect();
        // They come by member, one for each device.
        members.dedup();
        choices.push((hit, members));
    }
    choices
}

fn question(wanted: &Wanted) -> (&str, Filter) {
    match wanted {
        Wanted::Name(name) => (name.as_str(), Filter { is_exact: true, ..Filter::default() }),
        Wanted::NameOf { name, member } => {
            (name.as_str(), Filter { is_exact: true, member: Some(member.clone()), ..Filter::default() })
        }
        Wanted::Prefix(prefix) => ("", Filter { root_prefix: Some(prefix.clone()), ..Filter::default() }),
    }
}

/// Waits until what has this name has been hashed.
pub(super) async fn hashed_content(
    index: &FramedIndex,
    name: &FileName,
    filter: &Filter,
    watch: &mut impl FnMut(Happening<'_>),
) -> Result<Content, GetError> {
    loop {
        let hits = hits_of(index, name, filter).await?;
        match hits.iter().find(|hit| hit.content.root.is_some()) {
            Some(hit) => return Ok(hit.content),
            None if hits.iter().all(|hit| hit.sources == 0) => return Err(GetError::NobodyOnline),
            None => {
                watch(Happening::Hashing(name));
                sleep(HASHED_EVERY).await;
            }
        }
    }
}

/// Waits until what has changed has been hashed again: what the name stands for then, which may be the same as before.
pub(super) async fn changed_content(
    index: &FramedIndex,
    name: &FileName,
    filter: &Filter,
    before: Root,
    by: Option<String>,
) -> Result<Content, GetError> {
    // It takes a moment until it is published anew. Where only its times have changed, it never is.
    for _ in 0..CHANGED_LOOKS {
        sleep(CHANGED_EVERY).await;
        let hits = hits_of(index, name, filter).await?;
        let mut rooted = hits.iter().filter(|hit| hit.content.root.is_some() && hit.sources > 0);
        match rooted.find(|hit| hit.content.root != Some(before)) {
            Some(hit) => return Ok(hit.content),
            None if hits.iter().all(|hit| hit.sources == 0) => return Err(FetchError::Changed { by }.into()),
            None => {}
        }
    }
    let hits = hits_of(index, name, filter).await?;
    let same = hits.iter().find(|hit| hit.content.root == Some(before) && hit.sources > 0);
    same.map(|hit| hit.content).ok_or(FetchError::Changed { by }.into())
}

/// What is listed under a name by now.
pub(super) async fn hits_of(
    index: &FramedIndex,
    name: &FileName,
    filter: &Filter,
) -> Result<Vec<Hit>, GetError> {
    let text = Query::new(name.as_str()).map_err(IndexError::from)?;
    Ok(search(index, &text, filter, PAGES_MAX, usize::MAX).await.map_err(IndexError::from)?.0)
}
