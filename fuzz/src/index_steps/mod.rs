//! A history of requests: the index answers as a model of it does, which was written from the
//! specification and shares no code with it.
//!
//! | module | what it holds |
//! |---|---|
//! | `step` | bytes to steps |
//! | `model` | what the index must answer to frames |
//! | `legacy_model` | what it must answer to the original's datagrams |
//! | `pages` | all pages of an answer, as one |

mod legacy_model;
mod model;
mod pages;
mod step;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bittrickle_server::credentials::Credentials;
use bittrickle_server::index::Index;
use bittrickle_wire::messages::{Reply, Request};
use bittrickle_wire::{DatagramCodec, Encoding, Frame, Hex64, Message, Received, legacy};
use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, Encoder as _};

use model::Model;
use step::{Step, Steps};

/// The first byte chooses the limits, the rest are steps.
pub fn index_steps(data: &[u8]) {
    let Some((&limits, steps)) = data.split_first() else { return };
    let mut pair = Pair::new(limits);
    for step in Steps::new(steps).take(STEPS_MAX) {
        pair.take(step);
    }
}

/// The index and its model, at one time.
struct Pair {
    start: Instant,
    elapsed: Duration,
    index: Index,
    model: Model,
}

impl Pair {
    fn new(limits: u8) -> Self {
        let lines: Vec<String> = step::MEMBERS.map(|name| format!("{name} {name}\n")).into();
        let credentials = Credentials::parse(&lines.concat()).expect("a name and a password in each line");
        let limits = step::limits(limits);
        Self {
            start: Instant::now(),
            elapsed: Duration::ZERO,
            index: Index::new(BOOT_ID, credentials, limits),
            model: Model::new(limits),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            // Time alone ends nothing: the next request must see by itself what is over.
            Step::Wait(duration) => return self.elapsed += duration,
            Step::Expire => {
                self.index.expire(self.now());
                self.model.expire(self.elapsed);
            }
            Step::Framed { from, encoding, request, repeated } => {
                self.framed(from, encoding, &request, repeated);
            }
            Step::Legacy { from, request } => self.legacy(from, &request),
        }
        assert_eq!(self.index.session_count(), self.model.session_count(), "sessions");
        assert_eq!(self.index.publication_count(), self.model.publication_count(), "publications");
    }

    fn framed(&mut self, from: SocketAddr, encoding: Encoding, request: &Request, repeated: bool) {
        let expected = self.model.handle(self.elapsed, from, request);
        // A request whose answer was lost comes again, and gets the same answer (BT-2.2-3).
        for _ in 0..=u8::from(repeated) {
            let answer = pages::gather(request, |request| self.ask(from, encoding, request));
            assert_eq!(answer, expected, "the index, and what was expected of {request:?}");
        }
    }

    fn ask(&mut self, from: SocketAddr, encoding: Encoding, request: Request) -> Reply {
        let reply = self.index.handle(self.now(), from, encoding, request);
        check_fits(encoding, &reply);
        reply
    }

    fn legacy(&mut self, from: SocketAddr, request: &legacy::Request) {
        let expected = self.model.handle_legacy(self.elapsed, from, request);
        let answer = self.index.handle_legacy(self.now(), from, request);
        expected.check(&answer);
    }

    fn now(&self) -> Instant {
        self.start + self.elapsed
    }
}

/// Every answer fits one datagram, and the peer reads what was meant (BT-1.4-1).
fn check_fits(encoding: Encoding, reply: &Reply) {
    let frame = Frame { request_id: 1, encoding, message: Message::Reply(reply.clone()) };
    let mut bytes = BytesMut::new();
    DatagramCodec.encode(frame.clone(), &mut bytes).expect("an answer fits one datagram");
    match DatagramCodec.decode(&mut bytes) {
        Ok(Some(Received::Frame(read))) => assert_eq!(read, frame),
        other => panic!("{frame:?} is read as {other:?}"),
    }
}

const BOOT_ID: Hex64 = Hex64(0xb007);

/// More would be the same again, slower.
const STEPS_MAX: usize = 256;
