//! Which content is meant by what the user asks for.

use std::time::Duration;

use bittrickle_wire::messages::{Filter, Hit};
use bittrickle_wire::{Content, FileName, Query, Root, Target};
use tokio::time::sleep;

use super::{GetError, Happening};
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
        match choose(&candidates(&hits)) {
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

/// Each content with the members who have it and are online. Members are left out when the index doesn't answer.
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

/// What a name stands for now, after its last source has refused the content that it stood for.
pub(super) enum Now {
    /// Still the same content.
    Same,
    /// This content; nobody lists the one before under the name.
    Another(Content),
    /// Nothing that can be fetched now.
    Nothing,
}

/// Asks the index what a name stands for, after its last source has refused the content `before`. While a member lists that
/// content under the name, no other one is chosen; afterwards the name is resolved as at first.
pub(super) async fn stands_for(
    index: &FramedIndex,
    name: &FileName,
    filter: &Filter,
    before: Root,
    watch: &mut impl FnMut(Happening<'_>),
) -> Result<Now, GetError> {
    // It takes a moment until it is published anew. Where only its times have changed, it never is.
    for _ in 0..CHANGED_LOOKS {
        sleep(CHANGED_EVERY).await;
        let hits = hits_of(index, name, filter).await?;
        match hits.iter().find(|hit| hit.content.root == Some(before)) {
            Some(hit) if hit.sources == 0 => return Ok(Now::Nothing),
            Some(_) => continue,
            None => {}
        }
        return match choose(&candidates(&hits)) {
            Choice::None => Ok(Now::Nothing),
            Choice::One(one) if hits[one].content.root.is_some() => Ok(Now::Another(hits[one].content)),
            Choice::One(_) => hashed_content(index, name, filter, watch).await.map(Now::Another),
            Choice::Several(several) => {
                let hits = several.into_iter().map(|choice| hits[choice].clone());
                Err(GetError::Several(with_members(index, hits).await))
            }
        };
    }
    watch(Happening::Hashing(name));
    Ok(Now::Same)
}

fn candidates(hits: &[Hit]) -> Vec<Candidate> {
    let candidate =
        |hit: &Hit| Candidate { content: hit.content, members: hit.members, sources: hit.sources };
    hits.iter().map(candidate).collect()
}

/// What is listed under a name by now.
pub(super) async fn hits_of(
    index: &FramedIndex,
    name: &FileName,
    filter: &Filter,
) -> Result<Vec<Hit>, GetError> {
    Ok(listed(index, name, filter).await?.0)
}

/// The same, and whether that is all.
pub(super) async fn listed(
    index: &FramedIndex,
    name: &FileName,
    filter: &Filter,
) -> Result<(Vec<Hit>, bool), GetError> {
    let text = Query::new(name.as_str()).map_err(IndexError::from)?;
    Ok(search(index, &text, filter, PAGES_MAX, usize::MAX).await.map_err(IndexError::from)?)
}
