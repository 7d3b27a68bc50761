//! The index in frames: drives a [`Session`] and the sealed [`Channel`] under it over one UDP socket.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bittrickle_wire::limits::DATAGRAM_BYTES_MAX;
use bittrickle_wire::messages::{Login, Offer, Reply, Request};
use bittrickle_wire::seal::{PublicKey, SecretKey};
use bittrickle_wire::{Encoding, TransferPort};
use bytes::BytesMut;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};

use crate::channel::{self, Channel};
use crate::session::{CallError, CallId, Event, Output, Rhythm, Session};
use crate::transfer::Admission;

/// A running session. Dropped without [`FramedIndex::leave`], it ends by silence.
#[derive(Debug)]
pub struct FramedIndex {
    calls: mpsc::Sender<Call>,
    driver: JoinHandle<()>,
}

/// Who logs in, and where.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The server's key, as it is pinned.
    pub server_key: PublicKey,
    /// This device's key.
    pub device: SecretKey,
    /// Where this peer's file server listens.
    pub transfer_port: TransferPort,
    /// Learns what it takes to check the tickets of others.
    pub admission: Arc<Mutex<Admission>>,
}

type Call = (Asked, oneshot::Sender<Result<Reply, CallError>>);

/// What is asked of the session.
enum Asked {
    Request(Request),
    /// To offer many files.
    Offers(Vec<Offer>),
}

/// Calls that may wait for the driver.
const CALLS_MAX: usize = 64;

/// How long the answer to the logout is waited for: it is a courtesy.
const LEAVE_WAIT: Duration = Duration::from_millis(500);

/// A UDP socket for talking to the index, and the address of this machine that it talks from.
///
/// # Errors
/// There is no way to the index's address.
pub async fn connect(server: SocketAddr) -> io::Result<(UdpSocket, IpAddr)> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let ip = socket.local_addr()?.ip();
    Ok((socket, ip))
}

impl FramedIndex {
    /// Logs in and keeps the session alive. What its user wants to know later goes to `events`.
    ///
    /// # Errors
    /// The index refuses or doesn't answer, or can't be reached at all.
    pub async fn log_in(
        server: SocketAddr,
        identity: Identity,
        encoding: Encoding,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<Self, CallError> {
        let (socket, _) = connect(server).await.map_err(|_| CallError::NoAnswer)?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| CallError::Closed)?;
        let Identity { server_key, device, transfer_port, admission } = identity;
        let channel = Channel::new(Instant::now(), server_key, device, seed);
        let spread = getrandom::u64().map_err(|_| CallError::Closed)?;
        let session = Session::new(Instant::now(), Login { transfer_port }, encoding, spread);
        let (calls, incoming) = mpsc::channel(CALLS_MAX);
        let (outcome, login_outcome) = oneshot::channel();
        let driver = Driver {
            socket,
            channel,
            session,
            is_established: false,
            admission,
            events,
            outcome: Some(outcome),
            waiting: HashMap::new(),
        };
        let index = Self { calls, driver: tokio::spawn(driver.run(incoming)) };
        match login_outcome.await.unwrap_or(Err(CallError::Closed)) {
            Ok(()) => Ok(index),
            Err(error) => {
                index.leave().await;
                Err(error)
            }
        }
    }

    /// Asks the index, and waits for the answer.
    ///
    /// # Errors
    /// The index refuses or doesn't answer, or the session is over.
    pub async fn call(&self, request: Request) -> Result<Reply, CallError> {
        self.ask(Asked::Request(request)).await
    }

    /// Offers many files, of which the index may know most, and waits until they are on offer. What the index refuses is
    /// told as an event.
    ///
    /// # Errors
    /// The index doesn't answer, or the session is over.
    pub async fn offer(&self, offers: Vec<Offer>) -> Result<Reply, CallError> {
        self.ask(Asked::Offers(offers)).await
    }

    async fn ask(&self, asked: Asked) -> Result<Reply, CallError> {
        let (answer, answered) = oneshot::channel();
        self.calls.send((asked, answer)).await.map_err(|_| CallError::Closed)?;
        answered.await.unwrap_or(Err(CallError::Closed))
    }

    /// Logs out, and returns once the socket is closed.
    pub async fn leave(self) {
        drop(self.calls);
        // The driver has its own time limit; if it panicked there is nothing left to close.
        let _ = self.driver.await;
    }
}

struct Driver {
    socket: UdpSocket,
    channel: Channel,
    session: Session,
    is_established: bool,
    admission: Arc<Mutex<Admission>>,
    events: mpsc::UnboundedSender<Event>,
    /// Who waits for the first login.
    outcome: Option<oneshot::Sender<Result<(), CallError>>>,
    waiting: HashMap<CallId, oneshot::Sender<Result<Reply, CallError>>>,
}

impl Driver {
    async fn run(mut self, mut calls: mpsc::Receiver<Call>) {
        let mut buffer = BytesMut::with_capacity(DATAGRAM_BYTES_MAX + 1);
        loop {
            self.take_outputs().await;
            let wake = self.next_wake();
            tokio::select! {
                call = calls.recv() => match call {
                    Some((asked, answer)) => {
                        let now = Instant::now();
                        let id = match asked {
                            Asked::Request(request) => self.session.call(now, request),
                            Asked::Offers(offers) => self.session.offer(now, &offers),
                        };
                        self.waiting.insert(id, answer);
                    }
                    None => return self.leave(&mut buffer).await,
                },
                received = self.socket.recv_buf(&mut buffer) => self.receive(&received, &mut buffer),
                () = sleep_until_or_for_ever(wake) => self.tick(),
            }
        }
    }

    async fn leave(mut self, buffer: &mut BytesMut) {
        self.session.leave(Instant::now());
        let answered = async {
            loop {
                self.take_outputs().await;
                if self.session.is_over() {
                    return;
                }
                let received = self.socket.recv_buf(buffer).await;
                self.receive(&received, buffer);
            }
        };
        // No answer: the session ends by silence.
        let _ = timeout(LEAVE_WAIT, answered).await;
    }

    /// Until there is a channel, the session has nothing to speak through.
    fn next_wake(&self) -> Option<Instant> {
        let session = self.session.next_wake().filter(|_| self.is_established);
        session.into_iter().chain(self.channel.next_wake()).min()
    }

    fn tick(&mut self) {
        let now = Instant::now();
        self.channel.tick(now);
        if self.is_established {
            self.session.tick(now);
        }
    }

    fn receive(&mut self, received: &io::Result<usize>, buffer: &mut BytesMut) {
        match received {
            // What can't be believed is no answer: the request is sent again, or its sender told that none came.
            Ok(_) => self.channel.receive(Instant::now(), buffer),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                self.channel.refused_by_network();
            }
            // The network is gone for the moment; resending finds out for how long.
            Err(_) => {}
        }
        buffer.clear();
        buffer.reserve(DATAGRAM_BYTES_MAX + 1);
    }

    async fn take_outputs(&mut self) {
        loop {
            while let Some(output) = self.channel.next_output() {
                self.take_channel_output(output).await;
            }
            let Some(output) = self.session.next_output() else { return };
            match output {
                Output::Send(frame) => self.channel.send(frame),
                Output::Finished(id, result) => {
                    if let Some(answer) = self.waiting.remove(&id) {
                        // Whoever asked may have gone.
                        let _ = answer.send(result);
                    }
                }
                Output::Event(event) => self.tell(event),
                Output::Rhythm(rhythm) => {
                    self.channel.set_silence_max(rhythm.offline_after);
                    let Rhythm { boot_id, clock_ms, offline_after } = rhythm;
                    self.admission().set_clock(Instant::now(), boot_id, clock_ms, offline_after);
                }
            }
        }
    }

    async fn take_channel_output(&mut self, output: channel::Output) {
        let now = Instant::now();
        match output {
            // A datagram that isn't sent is one that got lost: it is sent again.
            channel::Output::Send(datagram) => {
                if let Err(error) = self.socket.send(&datagram).await
                    && error.kind() == io::ErrorKind::ConnectionRefused
                {
                    self.channel.refused_by_network();
                }
            }
            channel::Output::Receive(received) => self.session.receive(now, received),
            channel::Output::Established(ticket_key) => {
                self.admission().add_key(now, ticket_key);
                if std::mem::replace(&mut self.is_established, true) {
                    self.session.channel_renewed(now);
                } else {
                    self.session.begin(now);
                }
            }
            channel::Output::Failed(error) => self.session.channel_failed(error),
        }
    }

    fn admission(&self) -> std::sync::MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&mut self, event: Event) {
        let outcome = match event {
            Event::LoggedIn => Ok(()),
            Event::LoginFailed(error) => Err(error),
            Event::Silent | Event::Back | Event::NotOffered(..) | Event::Ended(_) => {
                // The shell may be leaving.
                let _ = self.events.send(event);
                return;
            }
        };
        if let Some(waiting) = self.outcome.take() {
            let _ = waiting.send(outcome);
        }
    }
}

async fn sleep_until_or_for_ever(wake: Option<Instant>) {
    match wake {
        Some(wake) => sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}
