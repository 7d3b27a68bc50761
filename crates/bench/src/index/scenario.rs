//! What is measured: three kinds of request, each a list of requests that are sent in turn.

use bittrickle_wire::Target;
use bittrickle_wire::messages::{Filter, Heartbeat, Locate, Reply, Request, Search};
use bittrickle_wire::seal::Cipher;

use crate::catalog;
use crate::client::{Answer, Client, ClientError};
use crate::load::Exchange;

/// One kind of request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scenario {
    /// The request that every peer sends all day: the smallest, and the index does least for it.
    Heartbeat,
    /// The first page of hits for a common word.
    Search,
    /// The sources of one content.
    Locate,
}

/// Why there is nothing to measure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    /// The server doesn't answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It answers, but not with what was published.
    #[error("the server's answer to {scenario:?} is {reply:?}; a benchmark of it would say nothing")]
    Answer {
        /// What was asked.
        scenario: Scenario,
        /// What was answered.
        reply: Box<Reply>,
    },
}

/// How many contents are located in turn.
const LOCATED: usize = 500;

impl Scenario {
    /// All of them, in the order in which they are measured.
    pub(super) const ALL: [Self; 3] = [Self::Heartbeat, Self::Search, Self::Locate];

    /// The figure's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Heartbeat => "index.heartbeat",
            Self::Search => "index.search",
            Self::Locate => "index.locate",
        }
    }

    fn requests(self, names: usize) -> Vec<Request> {
        match self {
            Self::Heartbeat => vec![Request::Heartbeat(Heartbeat {})],
            Self::Search => {
                let search = |text| Search { text, filter: Filter::default(), after: None };
                catalog::queries().map(|text| Request::Search(search(text))).collect()
            }
            Self::Locate => (0..LOCATED)
                .map(|turn| Target::Root(catalog::root(turn * names / LOCATED)))
                .map(|target| Request::Locate(Locate { target, after: None }))
                .collect(),
        }
    }

    /// Asks each of its requests once, so that what the answers must be is known before they are counted.
    ///
    /// # Errors
    /// The server doesn't answer, or hasn't got what was published.
    pub(super) fn exchanges<C: Cipher>(
        self,
        client: &mut Client<C>,
        names: usize,
    ) -> Result<Vec<Exchange>, ScenarioError> {
        let mut exchanges = Vec::new();
        for request in self.requests(names) {
            let Answer { reply, request_bytes, reply_bytes } = client.ask(request.clone())?;
            if !self.is_answered_by(&reply) {
                return Err(ScenarioError::Answer { scenario: self, reply: Box::new(reply) });
            }
            exchanges.push(Exchange { request, request_bytes, reply_kind: reply.kind(), reply_bytes });
        }
        Ok(exchanges)
    }

    fn is_answered_by(self, reply: &Reply) -> bool {
        match (self, reply) {
            (Self::Heartbeat, Reply::HeartbeatReply(_)) => true,
            (Self::Search, Reply::Found(found)) => found.hits.iter().any(|hit| hit.sources > 0),
            (Self::Locate, Reply::Located(located)) => {
                located.sources.iter().any(|source| source.access.is_some())
            }
            _ => false,
        }
    }
}
