//! What is measured: three kinds of request, each a list of datagrams that are sent in turn.

use bittrickle_wire::limits::HEADER_BYTES;
use bittrickle_wire::messages::{Heartbeat, Locate, Reply, Request, Search};
use bittrickle_wire::{Encoding, Header, Kind};
use bytes::BytesMut;

use super::client::{Answer, Client, ClientError, encoded};
use crate::catalog;

/// One kind of request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scenario {
    /// The request that every peer sends all day: the smallest, and the index does least for it.
    Heartbeat,
    /// The first page of hits for a common word.
    Search,
    /// The sources of one name.
    Locate,
}

/// A request's datagram, whose request id is put in when it is sent, and the answer it must get.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// What to send.
    pub(super) request: BytesMut,
    /// The answer's kind.
    pub(super) reply_kind: Kind,
    /// Bytes of the answer's datagram.
    pub(super) reply_bytes: usize,
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

/// How many names are located in turn.
const LOCATED_NAMES: usize = 500;

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
                catalog::queries().map(|text| Request::Search(Search { text, after: None })).collect()
            }
            Self::Locate => (0..LOCATED_NAMES)
                .map(|turn| catalog::name(turn * names / LOCATED_NAMES))
                .map(|name| Request::Locate(Locate { name, after: None }))
                .collect(),
        }
    }

    /// Asks each of its requests once, so that what the answers must be is known before they are counted.
    ///
    /// # Errors
    /// The server doesn't answer, or hasn't got what was published.
    pub(super) fn exchanges(self, client: &mut Client, names: usize) -> Result<Vec<Exchange>, ScenarioError> {
        let mut exchanges = Vec::new();
        for request in self.requests(names) {
            let Answer { reply, bytes } = client.ask(request.clone())?;
            if !self.is_answered_by(&reply) {
                return Err(ScenarioError::Answer { scenario: self, reply: Box::new(reply) });
            }
            let request = encoded(0, request);
            exchanges.push(Exchange { request, reply_kind: reply.kind(), reply_bytes: bytes });
        }
        Ok(exchanges)
    }

    fn is_answered_by(self, reply: &Reply) -> bool {
        match (self, reply) {
            (Self::Heartbeat, Reply::HeartbeatReply(_)) => true,
            (Self::Search, Reply::Found(found)) => found.hits.iter().any(|hit| hit.sources > 0),
            (Self::Locate, Reply::Located(located)) => !located.sources.is_empty(),
            _ => false,
        }
    }
}

impl Exchange {
    /// The same for the [echo](super::echo): as many bytes there and back. It sends the header back, so the request
    /// declares the answer's kind and length.
    pub(super) fn for_echo(&self) -> Self {
        let mut echo = self.clone();
        let payload_bytes = u32::try_from(self.reply_bytes - HEADER_BYTES).expect("a datagram is short");
        let header = Header::new(self.reply_kind, Encoding::Bincode, 0, payload_bytes);
        echo.request[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        echo
    }
}
