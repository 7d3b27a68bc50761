//! The index in the original's format: one socket a request, no repeating (BT-4.4).

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bittrickle_wire::legacy::{LegacyError, PeerReply, Reply, Request, RequestKind, sentence};
use bittrickle_wire::limits::LEGACY_DATAGRAM_BYTES_MAX;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::framed::connect;
use crate::session::Event;

/// A user who is logged in at an original server.
#[derive(Debug)]
pub struct LegacyIndex {
    account: Arc<Account>,
    heartbeats: JoinHandle<()>,
}

struct Account {
    server: SocketAddr,
    username: String,
    password: String,
    tcp_port: u16,
    /// What is published, to be published again when the server has forgotten us.
    published: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Why an original server has no answer for us.
#[derive(Debug, thiserror::Error)]
pub enum LegacyCallError {
    /// It says no; the sentence is its own.
    #[error("{0}")]
    Failed(String),
    /// It doesn't answer.
    #[error("the server does not answer")]
    NoAnswer,
    /// It answers with what is no answer to the question.
    #[error("the server answers with what is no answer: {0}")]
    BadAnswer(LegacyError),
    /// The socket fails.
    #[error("the server can't be reached: {0}")]
    Io(#[from] io::Error),
}

/// How long an answer is waited for (BT-4.4-1).
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// How often a heartbeat is sent (BT-4.4-2).
const HEARTBEAT: Duration = Duration::from_secs(2);

impl LegacyIndex {
    /// Logs in and keeps sending heartbeats.
    ///
    /// # Errors
    /// The server refuses, or doesn't answer.
    pub async fn log_in(
        server: SocketAddr,
        username: &str,
        password: &str,
        tcp_port: u16,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<Self, LegacyCallError> {
        let (username, password) = (username.to_owned(), password.to_owned());
        let published = Mutex::new(BTreeSet::new());
        let account = Arc::new(Account { server, username, password, tcp_port, published });
        account.log_in().await?;
        let heartbeats = tokio::spawn(beat(Arc::clone(&account), events));
        Ok(Self { account, heartbeats })
    }

    /// Publishes a name.
    ///
    /// # Errors
    /// The server refuses, or doesn't answer.
    pub async fn publish(&self, name: &str) -> Result<(), LegacyCallError> {
        self.account.publish(name).await?;
        self.account.published().insert(name.to_owned());
        Ok(())
    }

    /// Unpublishes a name.
    ///
    /// # Errors
    /// The server refuses, or doesn't answer.
    pub async fn unpublish(&self, name: &str) -> Result<(), LegacyCallError> {
        self.account.ask(RequestKind::Unp(Some(name.to_owned()))).await?;
        self.account.published().remove(name);
        Ok(())
    }

    /// The other users who are active.
    ///
    /// # Errors
    /// The server refuses (there are none), or doesn't answer.
    pub async fn peers(&self) -> Result<Vec<String>, LegacyCallError> {
        match self.account.ask(RequestKind::Lap).await? {
            Reply::Users(users) => Ok(users),
            _ => Err(LegacyCallError::BadAnswer(LegacyError::Shape)),
        }
    }

    /// The names that this user has published.
    ///
    /// # Errors
    /// The server refuses (there are none), or doesn't answer.
    pub async fn files(&self) -> Result<Vec<String>, LegacyCallError> {
        match self.account.ask(RequestKind::Lpf).await? {
            Reply::Files(_, files) => Ok(files),
            _ => Err(LegacyCallError::BadAnswer(LegacyError::Shape)),
        }
    }

    /// The names of others that contain a text.
    ///
    /// # Errors
    /// The server refuses (there are none), or doesn't answer.
    pub async fn search(&self, text: &str) -> Result<Vec<String>, LegacyCallError> {
        match self.account.ask(RequestKind::Sch(Some(text.to_owned()))).await? {
            Reply::Files(_, files) => Ok(files),
            _ => Err(LegacyCallError::BadAnswer(LegacyError::Shape)),
        }
    }

    /// Stops the heartbeats, and returns once their socket is closed. The format has no other way to leave.
    pub async fn leave(self) {
        self.heartbeats.abort();
        // It has been aborted: there is nothing else to hear from it.
        let _ = self.heartbeats.await;
    }

    /// Where a name can be fetched from.
    ///
    /// # Errors
    /// The server refuses (nobody has it, or nobody is active), or doesn't answer.
    pub async fn locate(&self, name: &str) -> Result<PeerReply, LegacyCallError> {
        match self.account.ask(RequestKind::Get(Some(name.to_owned()))).await? {
            Reply::Peer(peer) => Ok(peer),
            _ => Err(LegacyCallError::BadAnswer(LegacyError::Shape)),
        }
    }
}

impl Account {
    fn published(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn log_in(&self) -> Result<(), LegacyCallError> {
        let (password, tcp_port) = (self.password.clone(), self.tcp_port);
        self.ask(RequestKind::Login { password, tcp_port }).await.map(drop)
    }

    async fn publish(&self, name: &str) -> Result<(), LegacyCallError> {
        match self.ask(RequestKind::Pub(Some(name.to_owned()))).await? {
            // The original says "success" to what it didn't publish as well; its sentence tells.
            Reply::Success(message) if message == sentence::NOT_PUBLISHED => {
                Err(LegacyCallError::Failed(message))
            }
            _ => Ok(()),
        }
    }

    /// Asks from a socket of its own, so that no late answer is taken for another's.
    async fn ask(&self, kind: RequestKind) -> Result<Reply, LegacyCallError> {
        let (socket, _) = connect(self.server).await?;
        let request = Request { username: self.username.clone(), kind };
        socket.send(&request.encode()).await?;
        let mut buffer = [0; LEGACY_DATAGRAM_BYTES_MAX];
        let received = timeout(ANSWER_WAIT, socket.recv(&mut buffer)).await;
        let bytes = match received.map_err(|_| LegacyCallError::NoAnswer)? {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(LegacyCallError::NoAnswer);
            }
            Err(error) => return Err(error.into()),
        };
        match Reply::decode(&buffer[..bytes]).map_err(LegacyCallError::BadAnswer)? {
            Reply::Fail(message) => Err(LegacyCallError::Failed(message)),
            reply => Ok(reply),
        }
    }

    /// Logs in and publishes everything again. Publishing is the same however often it is done, so a return that fails
    /// on its way is simply begun again.
    async fn return_to_server(&self) -> Result<(), LegacyCallError> {
        match self.log_in().await {
            // The login before has worked, and its answer was lost.
            Err(LegacyCallError::Failed(message)) if message == sentence::ALREADY_LOGGED_IN => {}
            result => result?,
        }
        let names: Vec<String> = self.published().iter().cloned().collect();
        for name in names {
            self.publish(&name).await?;
        }
        Ok(())
    }
}

/// Sends heartbeats until it is aborted, and returns to a server that has forgotten us.
async fn beat(account: Arc<Account>, events: mpsc::UnboundedSender<Event>) {
    let mut beats = interval(HEARTBEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut silent, mut forgotten) = (false, false);
    loop {
        beats.tick().await;
        // An answer that takes longer than that is as good as none: the next heartbeat is due.
        let asked = timeout(HEARTBEAT, account.ask(RequestKind::Heartbeat)).await;
        let answer = asked.unwrap_or(Err(LegacyCallError::NoAnswer));
        let unknown =
            matches!(&answer, Err(LegacyCallError::Failed(message)) if message == sentence::UNKNOWN_USER);
        forgotten |= unknown;
        let event = if forgotten && answer_came(&answer) {
            forgotten = account.return_to_server().await.is_err();
            (!forgotten).then_some(Event::Back)
        } else if answer_came(&answer) {
            silent.then_some(Event::Back)
        } else {
            (!silent).then_some(Event::Silent)
        };
        if let Some(event) = event {
            silent = event == Event::Silent;
            // The shell may be leaving.
            let _ = events.send(event);
        }
    }
}

fn answer_came(answer: &Result<Reply, LegacyCallError>) -> bool {
    matches!(answer, Ok(_) | Err(LegacyCallError::Failed(_)))
}
