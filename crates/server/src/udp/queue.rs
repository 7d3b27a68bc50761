//! From the threads that read datagrams to the one that answers requests, with an end to how much may wait.
//!
//! Under overload heartbeats come first, as they don't stand in a queue at all; then requests; then strangers. What there
//! is no room for is shed, and counted: who sent it sends it again.

use std::net::SocketAddr;

use tokio::sync::mpsc;

use super::batch::BATCH;
use crate::responder::Work;

/// Work, and who sent it.
pub(super) type Sent = (SocketAddr, Work);

/// Where work comes in.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    requests: mpsc::Sender<Vec<Sent>>,
    strangers: mpsc::Sender<Vec<Sent>>,
}

/// Where it is taken out.
#[derive(Debug)]
pub(super) struct Exit {
    requests: mpsc::Receiver<Vec<Sent>>,
    strangers: mpsc::Receiver<Vec<Sent>>,
}

/// Most batches that wait, of [`BATCH`] at most: of requests some milliseconds of work.
const REQUEST_BATCHES_MAX: usize = 64;
const STRANGER_BATCHES_MAX: usize = 16;

/// A queue.
pub(super) fn queue() -> (Entrance, Exit) {
    let (requests, requests_out) = mpsc::channel(REQUEST_BATCHES_MAX);
    let (strangers, strangers_out) = mpsc::channel(STRANGER_BATCHES_MAX);
    (Entrance { requests, strangers }, Exit { requests: requests_out, strangers: strangers_out })
}

impl Entrance {
    /// Hands over what has come in together. Gives what there is no room for to `shed`.
    pub(super) fn push(
        &self,
        requests: &mut Vec<Sent>,
        strangers: &mut Vec<Sent>,
        mut shed: impl FnMut(&Work),
    ) {
        for (sender, batch) in [(&self.requests, requests), (&self.strangers, strangers)] {
            if batch.is_empty() {
                continue;
            }
            let full = std::mem::replace(batch, Vec::with_capacity(BATCH));
            if let Err(refused) = sender.try_send(full) {
                refused.into_inner().iter().for_each(|(_, work)| shed(work));
            }
        }
    }
}

impl Exit {
    /// What has waited longest: requests if there are any. `None` when nothing can come any more.
    pub(super) async fn next(&mut self) -> Option<Vec<Sent>> {
        tokio::select! {
            biased;
            batch = self.requests.recv() => batch,
            batch = self.strangers.recv() => batch,
        }
    }

    /// More requests, if there are any now.
    pub(super) fn next_requests(&mut self) -> Option<Vec<Sent>> {
        self.requests.try_recv().ok()
    }

    /// What strangers have sent, if they have.
    pub(super) fn next_strangers(&mut self) -> Option<Vec<Sent>> {
        self.strangers.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use bittrickle_wire::seal::Sealed;

    use super::*;

    fn of_a_stranger(counter: u64) -> Sent {
        ((std::net::Ipv4Addr::LOCALHOST, 1).into(), Work::Unknown(Sealed { index: 0, counter }))
    }

    #[test]
    fn what_there_is_no_room_for_is_shed_and_the_rest_stays_in_order() {
        let (entrance, mut exit) = queue();
        let mut shed = Vec::new();
        for counter in 0..STRANGER_BATCHES_MAX as u64 + 2 {
            entrance.push(&mut Vec::new(), &mut vec![of_a_stranger(counter)], |work| {
                shed.push(format!("{work:?}"));
            });
        }
        assert_eq!(shed.len(), 2);
        assert!(shed[0].contains("16") && shed[1].contains("17"), "{shed:?}");
        let mut taken = Vec::new();
        while let Some(batch) = exit.next_strangers() {
            taken.extend(batch.into_iter().map(|(_, work)| match work {
                Work::Unknown(sealed) => sealed.counter,
                other => panic!("{other:?}"),
            }));
        }
        assert_eq!(taken, (0..STRANGER_BATCHES_MAX as u64).collect::<Vec<_>>());
        assert!(exit.next_requests().is_none());
    }
}
