//! The index in frames: drives a [`Session`] over one UDP socket.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bittrickle_wire::limits::DATAGRAM_BYTES_MAX;
use bittrickle_wire::messages::{Login, Reply, Request};
use bittrickle_wire::{DatagramCodec, Encoding, Frame};
use bytes::BytesMut;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};
use tokio_util::codec::{Decoder as _, Encoder as _};

use crate::session::{CallError, CallId, Event, Output, Session};

/// A running session. Dropped without [`FramedIndex::leave`], it ends by silence.
#[derive(Debug)]
pub struct FramedIndex {
    calls: mpsc::Sender<Call>,
    driver: JoinHandle<()>,
}

type Call = (Request, oneshot::Sender<Result<Reply, CallError>>);

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
        login: Login,
        encoding: Encoding,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<Self, CallError> {
        let (socket, _) = connect(server).await.map_err(|_| CallError::NoAnswer)?;
        let seed = getrandom::u64().map_err(|_| CallError::Closed)?;
        let session = Session::new(Instant::now(), login, encoding, seed);
        let (calls, incoming) = mpsc::channel(CALLS_MAX);
        let (outcome, login_outcome) = oneshot::channel();
        let driver = Driver { socket, session, events, outcome: Some(outcome), waiting: HashMap::new() };
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
        let (answer, answered) = oneshot::channel();
        self.calls.send((request, answer)).await.map_err(|_| CallError::Closed)?;
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
    session: Session,
    events: mpsc::UnboundedSender<Event>,
    /// Who waits for the first login.
    outcome: Option<oneshot::Sender<Result<(), CallError>>>,
    waiting: HashMap<CallId, oneshot::Sender<Result<Reply, CallError>>>,
}

impl Driver {
    async fn run(mut self, mut calls: mpsc::Receiver<Call>) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX + 1];
        loop {
            self.take_outputs().await;
            let wake = self.session.next_wake();
            tokio::select! {
                call = calls.recv() => match call {
                    Some((request, answer)) => {
                        let id = self.session.call(Instant::now(), request);
                        self.waiting.insert(id, answer);
                    }
                    None => return self.leave(&mut buffer).await,
                },
                received = self.socket.recv(&mut buffer) => self.receive(received, &buffer),
                () = sleep_until_or_for_ever(wake) => self.session.tick(Instant::now()),
            }
        }
    }

    async fn leave(mut self, buffer: &mut [u8]) {
        self.session.leave(Instant::now());
        let answered = async {
            loop {
                self.take_outputs().await;
                if self.session.is_over() {
                    return;
                }
                let received = self.socket.recv(buffer).await;
                self.receive(received, buffer);
            }
        };
        // No answer: the session ends by silence.
        let _ = timeout(LEAVE_WAIT, answered).await;
    }

    fn receive(&mut self, received: io::Result<usize>, buffer: &[u8]) {
        match received {
            Ok(bytes) => {
                // What is no frame is no answer: the request is sent again, or its sender told that none came.
                let decoded = DatagramCodec.decode(&mut BytesMut::from(&buffer[..bytes]));
                if let Ok(Some(received)) = decoded {
                    self.session.receive(Instant::now(), received);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                self.session.refused_by_network();
            }
            // The network is gone for the moment; resending finds out for how long.
            Err(_) => {}
        }
    }

    async fn take_outputs(&mut self) {
        while let Some(output) = self.session.next_output() {
            match output {
                Output::Send(frame) => self.send(frame).await,
                Output::Finished(id, result) => {
                    if let Some(answer) = self.waiting.remove(&id) {
                        // Whoever asked may have gone.
                        let _ = answer.send(result);
                    }
                }
                Output::Event(event) => self.tell(event),
            }
        }
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

    async fn send(&mut self, frame: Frame) {
        let mut datagram = BytesMut::with_capacity(DATAGRAM_BYTES_MAX);
        DatagramCodec.encode(frame, &mut datagram).expect("requests are built to fit one datagram");
        // A datagram that isn't sent is one that got lost: it is sent again.
        if let Err(error) = self.socket.send(&datagram).await
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            self.session.refused_by_network();
        }
    }
}

async fn sleep_until_or_for_ever(wake: Option<Instant>) {
    match wake {
        Some(wake) => sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}
