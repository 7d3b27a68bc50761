//! Somebody who asks the index, again and again, which members are online, and with how many sessions.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use bittrickle_wire::messages::{ListPeers, Peers, Reply, Request};
use bittrickle_wire::seal::Aes256Gcm;

use crate::client::{Client, ClientError};
use crate::server::Server;

/// A device of a member's own, in a thread that looks until it is told to stop.
pub(super) struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<Result<Seen, ClientError>>>,
}

/// What it has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// How often it has looked.
    pub(super) looks: u32,
    /// The most sessions that were missing in a look.
    pub(super) missing_most: u64,
    /// Those that were missing in the last look.
    pub(super) missing_last: u64,
}

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Watch {
    /// Looks from now on whether so many sessions are online, besides its own.
    pub(super) fn start(mut client: Client<Aes256Gcm>, sessions: usize) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            loop {
                let ends = stopped.recv_timeout(LOOK_EVERY) != Err(RecvTimeoutError::Timeout);
                // Its own session may be over by now: a look takes longer than usual on a busy machine.
                client.log_in_again()?;
                seen.note((sessions as u64).saturating_sub(online(&mut client)?));
                if ends {
                    return Ok(seen);
                }
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }

    /// Looks for the last time.
    ///
    /// # Errors
    /// The index has not answered, or has refused.
    pub(super) fn last_look(mut self) -> Result<Seen, ClientError> {
        self.stop = None;
        let thread = self.thread.take().expect("it is joined once");
        thread.join().expect("it doesn't panic")
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // Whoever drops it has another error to tell.
            let _ = thread.join();
        }
    }
}

impl Seen {
    fn note(&mut self, missing: u64) {
        self.looks += 1;
        self.missing_most = self.missing_most.max(missing);
        self.missing_last = missing;
    }
}

/// The sessions of all other members.
fn online(client: &mut Client<Aes256Gcm>) -> Result<u64, ClientError> {
    let (mut sessions, mut after) = (0, None);
    loop {
        let answer = client.ask(Request::ListPeers(ListPeers { after }))?;
        let Reply::Peers(Peers { members, next }) = answer.reply else { return Ok(sessions) };
        sessions += members.iter().map(|member| u64::from(member.sessions)).sum::<u64>();
        match next {
            None => return Ok(sessions),
            next => after = next,
        }
    }
}

/// The device with this number, which is the first of a member of its own, as soon as the server answers.
///
/// # Errors
/// The server doesn't, or refuses.
pub(super) fn log_in(server: &Server, device: usize) -> Result<Client<Aes256Gcm>, ClientError> {
    let mut client = Client::log_in(server, device)?;
    online(&mut client)?;
    Ok(client)
}
