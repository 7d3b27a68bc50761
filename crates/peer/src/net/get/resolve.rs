//! Which content is meant by what the user asks for.

use bittrickle_wire::messages::{Filter, Hit};
use bittrickle_wire::{FileName, Query};

use super::GetError;
use crate::net::framed::FramedIndex;
use crate::net::index::{IndexError, search};
use crate::transfer::{Candidate, Choice, Wanted, choose, wanted};

/// Pages of hits that one name may have.
const PAGES_MAX: usize = 8;

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
                return Err(GetError::Several(
                    several.into_iter().map(|index| hits[index].clone()).collect(),
                ));
            }
        }
    }
    Err(GetError::NotFound)
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

/// What is listed under a name by now.
pub(super) async fn hits_of(
    index: &FramedIndex,
    name: &FileName,
    filter: &Filter,
) -> Result<Vec<Hit>, GetError> {
    let text = Query::new(name.as_str()).map_err(IndexError::from)?;
    Ok(search(index, &text, filter, PAGES_MAX, usize::MAX).await.map_err(IndexError::from)?.0)
}
