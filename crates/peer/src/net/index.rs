//! The index, whichever format it speaks: what the shell asks and what it gets.

use std::net::SocketAddr;

use bittrickle_wire::legacy::sentence;
use bittrickle_wire::messages::{
    Access, ListFiles, ListPeers, Locate, Offer, Publish, RefusalCode, Reply, Request, Search, Unpublish,
};
use bittrickle_wire::{FileBytes, FileName, List, Query, SourceAddress, TextError};

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
    /// Its size, where the index knows it.
    pub file_bytes: Option<u64>,
    /// How many online peers offer it, where the index knows it.
    pub sources: Option<u32>,
}

/// What a list has, or the sentence that says why it has nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listing<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// Said instead, when there are none.
    pub empty: &'static str,
}

/// What the index knows about who has a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Whether any other member has published it.
    pub published: bool,
    /// Where it can be fetched from now.
    pub sources: Vec<SourceAt>,
}

/// One place to fetch a file from.
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

/// Most pages of sources that are asked for.
const SOURCE_PAGES_MAX: usize = 8;

impl Index {
    /// Publishes a file.
    ///
    /// # Errors
    /// The index refuses or doesn't answer.
    pub async fn publish(&self, name: &FileName, file_bytes: FileBytes) -> Result<(), IndexError> {
        match self {
            Self::Framed(index) => {
                let files = List::new(vec![Offer { name: name.clone(), file_bytes }]).expect("one is few");
                Ok(index.call(Request::Publish(Publish { files })).await.map(drop)?)
            }
            Self::Legacy(index) => Ok(index.publish(name.as_str()).await?),
        }
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
        let empty = sentence::NO_PEERS;
        let entries = match self {
            Self::Framed(index) => {
                let ask = async |after| match index.call(Request::ListPeers(ListPeers { after })).await? {
                    Reply::Peers(page) => Ok((page.members.into_vec(), page.next)),
                    other => Err(other_answer(&other)),
                };
                let members = all_pages(usize::MAX, ask).await?;
                members.into_iter().map(|entry| entry.name.as_str().to_owned()).collect()
            }
            Self::Legacy(index) => none_is_empty(index.peers().await, empty)?,
        };
        Ok(Listing { entries, empty })
    }

    /// The files that this member has published, or as many pages of them.
    ///
    /// # Errors
    /// The index refuses or doesn't answer.
    pub async fn files(&self, pages_max: usize) -> Result<Listing<ListedFile>, IndexError> {
        let empty = sentence::NO_FILES;
        let entries = match self {
            Self::Framed(index) => {
                let ask = async |after| match index.call(Request::ListFiles(ListFiles { after })).await? {
                    Reply::Files(page) => Ok((page.files.into_vec(), page.next)),
                    other => Err(other_answer(&other)),
                };
                let files = all_pages(pages_max, ask).await?;
                files.into_iter().map(|file| listed(&file.name, file.file_bytes, file.sources)).collect()
            }
            Self::Legacy(index) => {
                none_is_empty(index.files().await, empty)?.into_iter().map(only_name).collect()
            }
        };
        Ok(Listing { entries, empty })
    }

    /// The files of others whose names contain a text.
    ///
    /// # Errors
    /// The text can't be asked for; the index refuses or doesn't answer.
    pub async fn search(&self, text: &str) -> Result<Listing<ListedFile>, IndexError> {
        let empty = sentence::NOTHING_FOUND;
        let entries = match self {
            Self::Framed(index) => {
                let text = Query::new(text)?;
                let ask = async |after| {
                    let search = Search { text: text.clone(), after };
                    match index.call(Request::Search(search)).await? {
                        Reply::Found(page) => Ok((page.hits.into_vec(), page.next)),
                        other => Err(other_answer(&other)),
                    }
                };
                let hits = all_pages(usize::MAX, ask).await?;
                hits.into_iter().map(|hit| listed(&hit.name, hit.file_bytes, hit.sources)).collect()
            }
            Self::Legacy(index) => {
                none_is_empty(index.search(text).await, empty)?.into_iter().map(only_name).collect()
            }
        };
        Ok(Listing { entries, empty })
    }

    /// Where a file can be fetched from: a few pages of sources, as some may just have gone.
    ///
    /// # Errors
    /// The name can't be asked for; the index refuses or doesn't answer, or names an address that can't be one.
    pub async fn locate(&self, label: &str) -> Result<Found, IndexError> {
        match self {
            Self::Framed(index) => {
                let name = FileName::new(label)?;
                let mut found = Found { published: false, sources: Vec::new() };
                let mut after = None;
                for _ in 0..SOURCE_PAGES_MAX {
                    let locate = Locate { name: name.clone(), after };
                    let Reply::Located(page) = index.call(Request::Locate(locate)).await? else { break };
                    found.published |= page.members > 0;
                    found.sources.extend(page.sources.iter().map(|source| SourceAt {
                        member: Some(source.member.as_str().to_owned()),
                        address: source.address.socket_address(),
                        access: source.access,
                    }));
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                }
                Ok(found)
            }
            Self::Legacy(index) => {
                let peer = index.locate(label).await?;
                let address = SourceAddress::new(SocketAddr::new(peer.address, peer.port))?.socket_address();
                Ok(Found { published: true, sources: vec![SourceAt { member: None, address, access: None }] })
            }
        }
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

/// Asks for page after page. Cursors only go forward (BT-2.5-2), so that no index can make its peers ask for ever.
async fn all_pages<T, C: Clone + Ord>(
    pages_max: usize,
    ask: impl AsyncFn(Option<C>) -> Result<(Vec<T>, Option<C>), CallError>,
) -> Result<Vec<T>, CallError> {
    let mut entries = Vec::new();
    let mut after: Option<C> = None;
    for _ in 0..pages_max {
        let (page, next) = ask(after.clone()).await?;
        entries.extend(page);
        if next.is_none() {
            break;
        }
        if next <= after {
            return Err(CallError::BadAnswer("a page that leads back".to_owned()));
        }
        after = next;
    }
    Ok(entries)
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

fn only_name(name: String) -> ListedFile {
    ListedFile { name, file_bytes: None, sources: None }
}

fn listed(name: &FileName, file_bytes: Option<FileBytes>, sources: u32) -> ListedFile {
    let file_bytes = file_bytes.map(FileBytes::bytes);
    ListedFile { name: name.as_str().to_owned(), file_bytes, sources: Some(sources) }
}
