//! The index, whichever format it speaks: what the shell asks and what it gets.

use std::cmp::Ordering;
use std::net::SocketAddr;

use bittrickle_wire::legacy::sentence;
use bittrickle_wire::limits::ANNOUNCE_ROOTS_MAX;
use bittrickle_wire::messages::{
    Access, Announce, Filter, Hit, ListFiles, ListPeers, Locate, Offer, Publish, RefusalCode, Reply, Request,
    Search, Unpublish,
};
use bittrickle_wire::{Content, FileName, List, Query, Root, SourceAddress, Target, TextError};

use super::framed::FramedIndex;
use super::legacy::{LegacyCallError, LegacyIndex};
use crate::session::CallError;

/// A session with an index.
#[derive(Debug)]
pub enum Index {
    /// In frames.
    Framed(FramedIndex),
    /// In the original's format.
    Legacy(LegacyIndex),
}

/// A name in a list, with what is known of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedFile {
    /// The name. From a legacy server it may be anything.
    pub name: String,
    /// What stands behind it, as far as the index knows it.
    pub content: Content,
    /// How many online peers have it, where the index knows it.
    pub sources: Option<u32>,
}

/// What a list has, or the sentence that says why it has nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listing<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// Whether these are all there are.
    pub is_complete: bool,
    /// Said instead, when there are none.
    pub empty: &'static str,
}

/// One place to fetch a content from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceAt {
    /// Whose peer it is; a legacy server doesn't tell.
    pub member: Option<String>,
    /// Where its file server answers.
    pub address: SocketAddr,
    /// Who it is, and the permission to fetch from it. Absent when it speaks only the original's `GET name`.
    pub access: Option<Access>,
}

/// Why the index has no answer for us.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A framed index.
    #[error(transparent)]
    Framed(#[from] CallError),
    /// A legacy index.
    #[error(transparent)]
    Legacy(#[from] LegacyCallError),
    /// What the user typed can't be asked for.
    #[error("{0}")]
    Text(#[from] TextError),
    /// The index hands out an address that nobody should connect to.
    #[error("the server names a source that can't be one: {0}")]
    Source(#[from] bittrickle_wire::NumberError),
}

/// Hits that somebody is shown, about: more than a thousand nobody reads.
const HITS_MAX: usize = 1_000;

/// Most pages of hits that are asked for. Each is a look at four thousand names or fewer, and a device may ask for twenty a
/// second: so many take some ten seconds.
const HIT_PAGES_MAX: usize = 256;

/// Most pages of any list: more than the index lets one member publish, and few enough to remember.
const LIST_PAGES_MAX: usize = 65_536;

/// Most pages of sources that are asked for.
const SOURCE_PAGES_MAX: usize = 8;

impl Index {
    /// Publishes a file or a folder.
    ///
    /// # Errors
    /// The index refuses or doesn't answer.
    pub async fn publish(&self, offer: Offer) -> Result<(), IndexError> {
        match self {
            Self::Framed(index) => {
                let files = List::new(vec![offer]).expect("one is few");
                Ok(index.call(Request::Publish(Publish { files })).await.map(drop)?)
            }
            Self::Legacy(index) => Ok(index.publish(offer.name.as_str()).await?),
        }
    }

    /// Publishes many files. What the index refuses of them, the session tells as an event.
    ///
    /// # Errors
    /// The index doesn't answer; one in the original's format refuses.
    pub async fn publish_many(&self, offers: Vec<Offer>) -> Result<(), IndexError> {
        match self {
            Self::Framed(index) => Ok(index.offer(offers).await.map(drop)?),
            Self::Legacy(index) => {
                for offer in offers {
                    index.publish(offer.name.as_str()).await?;
                }
                Ok(())
            }
        }
    }

    /// Says of which contents others may have pieces from us, beside those that are published. The original's format has no
    /// such word.
    ///
    /// # Errors
    /// The index refuses or doesn't answer.
    pub async fn announce(&self, mut roots: Vec<Root>) -> Result<(), IndexError> {
        let Self::Framed(index) = self else { return Ok(()) };
        roots.truncate(ANNOUNCE_ROOTS_MAX);
        let roots = List::new(roots).expect("the rest has just been cut off");
        Ok(index.call(Request::Announce(Announce { roots })).await.map(drop)?)
    }

    /// Unpublishes a name.
    ///
    /// # Errors
    /// The index refuses or doesn't answer.
    pub async fn unpublish(&self, name: &FileName) -> Result<(), IndexError> {
        match self {
            Self::Framed(index) => {
                let names = List::new(vec![name.clone()]).expect("one is few");
                Ok(index.call(Request::Unpublish(Unpublish { names })).await.map(drop)?)
            }
            Self::Legacy(index) => Ok(index.unpublish(name.as_str()).await?),
        }
    }

    /// The other members who are online.
    ///
    /// # Errors
    /// The index refuses or doesn't answer.
    pub async fn peers(&self) -> Result<Listing<String>, IndexError> {
        let (empty, mut is_complete) = (sentence::NO_PEERS, true);
        let entries = match self {
            Self::Framed(index) => {
                let ask = async |after| match index.call(Request::ListPeers(ListPeers { after })).await? {
                    Reply::Peers(page) => Ok((page.members.into_vec(), page.next)),
                    other => Err(other_answer(&other)),
                };
                let (members, is_all) = pages(LIST_PAGES_MAX, usize::MAX, ask).await?;
                is_complete = is_all;
                members.into_iter().map(|entry| entry.name.as_str().to_owned()).collect()
            }
            Self::Legacy(index) => none_is_empty(index.peers().await, empty)?,
        };
        Ok(Listing { entries, is_complete, empty })
    }

    /// The files that this member has published, or as many pages of them, 65,536 at most, by name.
    ///
    /// # Errors
    /// The index refuses or doesn't answer.
    pub async fn files(&self, pages_max: usize) -> Result<Listing<ListedFile>, IndexError> {
        let empty = sentence::NO_FILES;
        let (mut entries, mut is_complete) = (Vec::new(), true);
        match self {
            Self::Framed(index) => {
                let ask = async |after| match index.call(Request::ListFiles(ListFiles { after })).await? {
                    Reply::Files(page) => Ok((page.files.into_vec(), page.next)),
                    other => Err(other_answer(&other)),
                };
                let (files, is_all) = pages(pages_max.min(LIST_PAGES_MAX), usize::MAX, ask).await?;
                entries.extend(files.iter().map(|file| listed(&file.name, file.content, file.sources)));
                entries.sort_by(by_name);
                is_complete = is_all;
            }
            Self::Legacy(index) => {
                entries.extend(none_is_empty(index.files().await, empty)?.into_iter().map(only_name));
            }
        }
        Ok(Listing { entries, is_complete, empty })
    }

    /// The files of others whose names contain each word of a text, by name; the first thousand or so.
    ///
    /// # Errors
    /// The text can't be asked for; the index refuses or doesn't answer.
    pub async fn search(&self, text: &str, filter: &Filter) -> Result<Listing<ListedFile>, IndexError> {
        let empty = sentence::NOTHING_FOUND;
        let (mut entries, mut is_complete) = (Vec::new(), true);
        match self {
            Self::Framed(index) => {
                let (hits, is_all) =
                    search(index, &Query::new(text)?, filter, HIT_PAGES_MAX, HITS_MAX).await?;
                entries.extend(hits.iter().map(|hit| listed(&hit.name, hit.content, hit.sources)));
                entries.sort_by(by_name);
                is_complete = is_all;
            }
            Self::Legacy(index) => {
                entries.extend(none_is_empty(index.search(text).await, empty)?.into_iter().map(only_name));
            }
        }
        Ok(Listing { entries, is_complete, empty })
    }

    /// Leaves the index, and returns once the sockets are closed.
    pub async fn leave(self) {
        match self {
            Self::Framed(index) => index.leave().await,
            Self::Legacy(index) => index.leave().await,
        }
    }
}

impl IndexError {
    /// Whether the index refuses the member's name or password.
    #[must_use]
    pub fn is_wrong_password(&self) -> bool {
        match self {
            Self::Framed(CallError::Refused(refused)) => refused.code == RefusalCode::AUTHENTICATION_FAILED,
            Self::Legacy(LegacyCallError::Failed(_)) => true,
            Self::Framed(_) | Self::Legacy(_) | Self::Text(_) | Self::Source(_) => false,
        }
    }
}

/// Hits of a search in frames, or as many pages of them, and whether they are all.
pub(super) async fn search(
    index: &FramedIndex,
    text: &Query,
    filter: &Filter,
    pages_max: usize,
    hits_max: usize,
) -> Result<(Vec<Hit>, bool), CallError> {
    let ask = async |after| {
        let search = Search { text: text.clone(), filter: filter.clone(), after };
        match index.call(Request::Search(search)).await? {
            Reply::Found(page) => Ok((page.hits.into_vec(), page.next)),
            other => Err(other_answer(&other)),
        }
    };
    pages(pages_max, hits_max, ask).await
}

/// Where a content can be fetched from: a few pages of sources, as some may just have gone.
pub(super) async fn locate(index: &FramedIndex, target: &Target) -> Result<Vec<SourceAt>, CallError> {
    let mut sources = Vec::new();
    let mut after = None;
    for _ in 0..SOURCE_PAGES_MAX {
        let locate = Locate { target: target.clone(), after };
        let Reply::Located(page) = index.call(Request::Locate(locate)).await? else { break };
        sources.extend(page.sources.iter().map(|source| SourceAt {
            member: Some(source.member.as_str().to_owned()),
            address: source.address.socket_address(),
            access: source.access,
        }));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(sources)
}

/// The one place that an original server tells for a name.
pub(super) async fn locate_legacy(index: &LegacyIndex, label: &str) -> Result<SourceAt, IndexError> {
    let peer = index.locate(label).await?;
    let address = SourceAddress::new(SocketAddr::new(peer.address, peer.port))?.socket_address();
    Ok(SourceAt { member: None, address, access: None })
}

/// Asks for page after page until there are enough entries, and says whether these are all. Cursors only go forward
/// (BT-2.5-2), so that no index can make its peers ask for ever.
async fn pages<T, C: Clone + Ord>(
    pages_max: usize,
    enough: usize,
    ask: impl AsyncFn(Option<C>) -> Result<(Vec<T>, Option<C>), CallError>,
) -> Result<(Vec<T>, bool), CallError> {
    let mut entries = Vec::new();
    let mut after: Option<C> = None;
    for _ in 0..pages_max {
        let (page, next) = ask(after.clone()).await?;
        entries.extend(page);
        if next.is_none() {
            return Ok((entries, true));
        }
        if next <= after {
            return Err(CallError::BadAnswer("a page that leads back".to_owned()));
        }
        after = next;
        if entries.len() >= enough {
            break;
        }
    }
    Ok((entries, false))
}

fn other_answer(reply: &Reply) -> CallError {
    CallError::BadAnswer(format!("{:?}", reply.kind()))
}

/// A legacy server fails where there is nothing to list; its sentence says so.
fn none_is_empty(
    result: Result<Vec<String>, LegacyCallError>,
    empty: &str,
) -> Result<Vec<String>, LegacyCallError> {
    match result {
        Err(LegacyCallError::Failed(message)) if message == empty => Ok(Vec::new()),
        other => other,
    }
}

fn by_name(first: &ListedFile, second: &ListedFile) -> Ordering {
    (&first.name, &first.content).cmp(&(&second.name, &second.content))
}

fn only_name(name: String) -> ListedFile {
    ListedFile { name, content: Content::default(), sources: None }
}

fn listed(name: &FileName, content: Content, sources: u32) -> ListedFile {
    ListedFile { name: name.as_str().to_owned(), content, sources: Some(sources) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BT-2.5-2: an index whose list has no end doesn't fill anybody's memory.
    #[tokio::test]
    async fn a_list_without_an_end_is_cut_and_said_not_to_be_all() {
        let endless = async |after: Option<u32>| {
            let number = after.map_or(0, |after| after + 1);
            Ok((vec![number], Some(number)))
        };
        let (entries, is_all) = pages(LIST_PAGES_MAX, usize::MAX, endless).await.unwrap();
        assert_eq!((entries.len(), is_all), (LIST_PAGES_MAX, false));
        let ends = async |after: Option<u32>| Ok((vec![0], after.is_none().then_some(0)));
        assert_eq!(pages(LIST_PAGES_MAX, usize::MAX, ends).await.unwrap(), (vec![0, 0], true));
    }
}
