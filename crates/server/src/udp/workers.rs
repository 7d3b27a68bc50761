//! The threads that read datagrams: each has a socket, and answers heartbeats by itself, and while little comes also what is
//! quickly looked up.

use std::io;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bittrickle_wire::seal::Cipher;
use bytes::BytesMut;
use tokio::io::Interest;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::batch::{BATCH, Inbound};
use super::port::{Port, canonical};
use super::queue::{Entrance, Sent};
use super::shared::Shared;
use crate::responder::{Counters, Front};

/// All of them. They end when this goes.
#[derive(Debug)]
pub(super) struct Workers {
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    counters: Vec<Arc<Mutex<Counters>>>,
    failures: mpsc::UnboundedReceiver<io::Error>,
}

/// One of them.
struct Worker<C> {
    socket: tokio::net::UdpSocket,
    port: Port,
    front: Front<C>,
    responder: Arc<Shared<C>>,
    entrance: Entrance,
    inbound: Inbound,
    requests: Vec<Sent>,
    strangers: Vec<Sent>,
    /// Batches in a row with which more may have waited.
    full_batches: u32,
    counters: Arc<Mutex<Counters>>,
}

/// Batches read in a row before it is looked whether to stop.
const BURST: usize = 16;

/// For how long a worker looks things up before it is there for heartbeats again.
const LOOK_UP_FOR: Duration = Duration::from_millis(1);

/// Full batches in a row after which more comes than a worker can look up, and it is there for heartbeats alone.
const FULL_BATCHES_MAX: u32 = 4;

/// Errors in a row after which a socket is given up.
const RECEIVE_ERRORS_MAX: u32 = 100;

/// How long to wait after an error.
const RECEIVE_ERROR_PAUSE: Duration = Duration::from_millis(100);

impl Workers {
    /// Starts one for each socket.
    pub(super) fn start<C: Cipher>(
        sockets: Vec<UdpSocket>,
        responder: &Arc<Shared<C>>,
        entrance: &Entrance,
    ) -> io::Result<Self> {
        let (failed, failures) = mpsc::unbounded_channel();
        let mut workers =
            Self { stop: CancellationToken::new(), threads: Vec::new(), counters: Vec::new(), failures };
        for socket in sockets {
            let (front, responder) = (responder.lock().front(), Arc::clone(responder));
            let (entrance, failed) = (entrance.clone(), failed.clone());
            let (stop, counters) = (workers.stop.clone(), Arc::<Mutex<Counters>>::default());
            workers.counters.push(Arc::clone(&counters));
            let run = move || {
                let ended = run(socket, front, responder, entrance, counters, &stop);
                // Nobody wants to know when all are ending.
                let _ = ended.map_err(|error| failed.send(error));
            };
            workers.threads.push(std::thread::Builder::new().name("worker".to_owned()).spawn(run)?);
        }
        Ok(workers)
    }

    /// What they have counted so far.
    pub(super) fn counters(&self) -> Counters {
        let counted =
            self.counters.iter().map(|counters| *counters.lock().unwrap_or_else(PoisonError::into_inner));
        counted.fold(Counters::default(), |all, counters| all + counters)
    }

    /// Why one of them has ended, when one has.
    pub(super) async fn failure(&mut self) -> io::Error {
        let ended = || io::Error::other("the threads that read datagrams have ended");
        self.failures.recv().await.unwrap_or_else(ended)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that reads datagrams has failed");
            }
        }
    }
}

fn run<C: Cipher>(
    socket: UdpSocket,
    front: Front<C>,
    responder: Arc<Shared<C>>,
    entrance: Entrance,
    counters: Arc<Mutex<Counters>>,
    stop: &CancellationToken,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let port = Port::new(socket.try_clone()?)?;
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        let (requests, strangers) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let inbound = Inbound::default();
        let worker = Worker {
            socket,
            port,
            front,
            responder,
            entrance,
            inbound,
            requests,
            strangers,
            full_batches: 0,
            counters,
        };
        worker.run(stop).await
    })
}

impl<C: Cipher> Worker<C> {
    async fn run(mut self, stop: &CancellationToken) -> io::Result<()> {
        let mut errors = 0;
        // Made once: each one enters a list that has a lock.
        let stopped = stop.cancelled();
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => return Ok(()),
                readable = self.socket.readable() => readable?,
            }
            match self.take_burst() {
                Ok(()) => errors = 0,
                Err(error) if errors == RECEIVE_ERRORS_MAX => return Err(error),
                Err(error) => {
                    // Memory that ran short for a moment, say. What members have published is in this process, so it
                    // goes on as long as there is hope.
                    errors += 1;
                    tracing::warn!(%error, "datagrams can't be received");
                    sleep(RECEIVE_ERROR_PAUSE).await;
                }
            }
        }
    }

    fn take_burst(&mut self) -> io::Result<()> {
        for _ in 0..BURST {
            match self.socket.try_io(Interest::READABLE, || self.inbound.receive(&self.socket)) {
                Ok(()) => self.take_batch(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // An earlier answer could not be delivered: the client has gone. Nothing is wrong with the socket.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take_batch(&mut self) {
        let now = Instant::now();
        let mut datagram = BytesMut::new();
        for (from, bytes) in self.inbound.datagrams() {
            // A decoded payload may share this buffer. If it is gone by now, its memory is taken again, not anew.
            datagram.extend_from_slice(bytes);
            let from = canonical(from);
            if let Some(work) = self.front.take(now, from, &mut datagram, self.port.bytes()) {
                let batch = if work.is_request() { &mut self.requests } else { &mut self.strangers };
                batch.push((from, work));
            }
            self.port.end(from);
        }
        self.port.send();
        let is_full = self.inbound.datagrams().len() == BATCH;
        self.full_batches = if is_full { self.full_batches.saturating_add(1) } else { 0 };
        if self.full_batches < FULL_BATCHES_MAX {
            self.look_up(now);
        }
        self.entrance.push(&mut self.requests, &mut self.strangers, |work| self.front.shed(work));
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner) = self.front.counters();
    }

    /// Answers what is quickly looked up: handing it over costs as much. That for which there isn't time, and all of it while
    /// the responder is busy, is handed over with the rest.
    fn look_up(&mut self, now: Instant) {
        let until = now + LOOK_UP_FOR;
        let mut left = Vec::new();
        for (from, work) in self.requests.extract_if(.., |(_, work)| work.is_quick()) {
            if Instant::now() < until
                && let Some(mut responder) = self.responder.borrow()
            {
                responder.work(now, from, work, self.port.bytes());
                drop(responder);
                self.port.end(from);
            } else {
                left.push((from, work));
            }
        }
        self.requests.append(&mut left);
        self.port.send();
    }
}
