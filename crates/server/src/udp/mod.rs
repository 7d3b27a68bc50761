//! The sockets: datagrams are read and sorted by a few threads, which answer heartbeats by themselves; all else is answered by
//! one, which has the responder.
//!
//! ```text
//!  socket ── worker (front) ──┐ requests, strangers      ┌── durability
//!  socket ── worker (front) ──┴──▶ queue ──▶ serve (responder) ──▶ answers
//!       ◀── heartbeats' answers              └── accounts
//! ```
//! While little comes, a worker borrows the responder for what is quickly looked up: handing it over costs as much.

pub mod batch;
mod losses;
mod port;
mod queue;
mod shared;
mod sockets;
mod workers;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::seal::Cipher;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use crate::accounts::{Accounts, Check, CheckId, Notice, Verdict};
use crate::directory::Change;
use crate::durability::{Durability, Progress};
use crate::responder::{Counters, Responder};
use port::Port;
use queue::{Exit, Sent, queue};
use shared::Shared;
pub use sockets::{RECEIVE_BYTES, Sockets};
use workers::Workers;

/// Batches of requests answered in a row before timers and signals get their turn.
const BURST: usize = 4;

/// Handshakes answered in a row before datagrams get their turn: each takes as long as a hundred of them.
const HANDSHAKES: usize = 4;

/// When to try again whose password can't be checked now.
const CHECK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// How often sessions are expired when no request does it, and how often counters are looked at.
const TICK: Duration = Duration::from_secs(1);

/// How many of these are an hour.
const HOUR_TICKS: u32 = 3_600;

/// How often drops are reported, while there are any.
const REPORT_TICKS: u32 = 60;

/// Where passwords are checked, and what comes back from there.
#[derive(Debug)]
pub struct Members {
    /// Asked to check a password.
    pub accounts: Accounts,
    /// What has been checked, and what an admin has changed.
    pub notices: mpsc::Receiver<Notice>,
    /// Who makes publications durable. Without, they are kept as long as the server runs.
    pub durability: Option<Durability>,
    /// Hours after which those of members who are offline are forgotten, if ever.
    pub offline_hours_max: Option<u32>,
}

/// Answers datagrams until `stop` is done. Returns what became of them.
///
/// # Errors
/// The sockets can't be read any more, or whoever checks passwords has ended.
pub async fn serve<C: Cipher>(
    sockets: Sockets,
    mut responder: Responder<C>,
    mut members: Members,
    stop: impl Future<Output = ()>,
) -> io::Result<Counters> {
    tokio::pin!(stop);
    if members.durability.is_some() {
        responder.keep_publications();
    }
    let mut port = Port::new(sockets.try_clone_first()?)?;
    let (entrance, mut exit) = queue();
    let losses = sockets.losses();
    let responder = Arc::new(Shared::new(responder));
    let mut workers = Workers::start(sockets.into_all(), &responder, &entrance)?;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut ticks = 0_u32;
    let mut unapplied = Unapplied::new();
    let mut reported = Reported::default();
    let mut is_idle = true;
    loop {
        let Members { notices, durability, .. } = &mut members;
        let event = tokio::select! {
            biased;
            () = &mut stop => Event::Stop,
            _ = tick.tick() => Event::Tick,
            notice = notices.recv() => Event::Notice(notice),
            progress = progress_of(durability) => Event::Progress(progress),
            error = workers.failure() => return Err(error),
            Some(batch) = exit.next() => {
                answer_burst(&mut port, &responder, batch, &mut exit);
                Event::Nothing
            }
            () = tokio::task::yield_now(), if !is_idle => Event::Nothing,
        };
        let responder = &mut *responder.lock();
        match event {
            Event::Stop => return Ok(responder.counters() + workers.counters()),
            Event::Tick => {
                responder.expire(Instant::now());
                ticks = ticks.wrapping_add(1);
                if ticks.is_multiple_of(HOUR_TICKS)
                    && let Some(hours_max) = members.offline_hours_max
                {
                    pass_hour(responder, hours_max);
                }
                if ticks.is_multiple_of(REPORT_TICKS) {
                    reported.report(responder.counters() + workers.counters(), losses.count());
                }
            }
            Event::Notice(Some(notice)) => take_notice(&mut port, responder, notice, &mut unapplied),
            Event::Notice(None) => {
                return Err(io::Error::other("whoever checks passwords and keeps members has ended"));
            }
            Event::Progress(Some(progress)) => take_progress(&mut port, responder, progress, &mut unapplied)?,
            Event::Progress(None) => return Err(io::Error::other("whoever keeps publications has ended")),
            Event::Nothing => {}
        }
        responder.index.forget_more();
        answer_handshakes(&mut port, responder);
        while let Some(check) = responder.next_check() {
            ask_for_check(&mut port, responder, &members.accounts, check);
        }
        if let Some(durability) = &members.durability
            && let Some(batch) = responder.next_batch()
        {
            durability.make_durable(batch);
        }
        is_idle = !responder.has_handshakes() && !responder.index.is_forgetting();
    }
}

/// What the responder is needed for.
enum Event {
    Stop,
    Tick,
    Notice(Option<Notice>),
    Progress(Option<Progress>),
    /// Requests have been answered, or nothing has come: handshakes may wait, or somebody who is being forgotten.
    Nothing,
}

/// Who waits for a removal to be durable, with the batch that it is in: what a member has published must not come back when
/// another one gets the name.
type Unapplied = VecDeque<(u64, oneshot::Sender<()>)>;

async fn progress_of(durability: &mut Option<Durability>) -> Option<Progress> {
    match durability {
        Some(durability) => durability.progress().await,
        None => std::future::pending().await,
    }
}

fn take_progress<C: Cipher>(
    port: &mut Port,
    responder: &mut Responder<C>,
    progress: Progress,
    unapplied: &mut Unapplied,
) -> io::Result<()> {
    match progress {
        Progress::Loaded(catalogue) => responder.load(*catalogue),
        Progress::Durable(number) => {
            responder.made_durable(number);
            let durable = unapplied.partition_point(|(batch, _)| *batch <= number);
            for (_, applied) in unapplied.drain(..durable) {
                // Whoever made the change may not wait for it.
                let _ = applied.send(());
            }
        }
        Progress::Failed => responder.failed_to_keep(),
        Progress::Broken(error) => return Err(io::Error::other(error)),
    }
    while let Some(to) = responder.next_held(port.bytes()) {
        if let Some(to) = to {
            port.end(to);
        }
    }
    port.send();
    Ok(())
}

/// A few handshakes, so that those who are online don't wait for those who come.
fn answer_handshakes<C: Cipher>(port: &mut Port, responder: &mut Responder<C>) {
    for _ in 0..HANDSHAKES {
        let Some(from) = responder.next_handshake(Instant::now(), port.bytes()) else { break };
        port.end(from);
    }
    port.send();
}

fn ask_for_check<C: Cipher>(
    port: &mut Port,
    responder: &mut Responder<C>,
    accounts: &Accounts,
    check: Check,
) {
    let id = check.id;
    if accounts.check(check).is_err() {
        finish_check(port, responder, id, &Verdict::TryAgain { after: CHECK_AGAIN_AFTER });
    }
}

fn take_notice<C: Cipher>(
    port: &mut Port,
    responder: &mut Responder<C>,
    notice: Notice,
    unapplied: &mut Unapplied,
) {
    match notice {
        Notice::Checked { id, verdict } => finish_check(port, responder, id, &verdict),
        Notice::Changed { change, applied } => {
            responder.apply(&change);
            let is_removal = matches!(change, Change::MemberRemoved(_));
            match responder.awaited_batch().filter(|_| is_removal) {
                Some(batch) => unapplied.push_back((batch, applied)),
                // Whoever made the change may not wait for it.
                None => drop(applied.send(())),
            }
        }
    }
}

fn finish_check<C: Cipher>(port: &mut Port, responder: &mut Responder<C>, id: CheckId, verdict: &Verdict) {
    if let Some(to) = responder.checked(Instant::now(), id, verdict, port.bytes()) {
        port.end(to);
    }
    port.send();
}

/// Answers what has come, and what more there is of requests. Of strangers a little in each burst, so that there are new
/// sessions also when requests never end.
fn answer_burst<C: Cipher>(port: &mut Port, responder: &Shared<C>, first: Vec<Sent>, exit: &mut Exit) {
    let mut batch = Some(first);
    for _ in 0..BURST {
        let Some(sent) = batch.take() else { break };
        answer(port, responder, sent);
        batch = exit.next_requests();
    }
    for sent in batch.into_iter().chain(exit.next_strangers()) {
        answer(port, responder, sent);
    }
}

fn answer<C: Cipher>(port: &mut Port, responder: &Shared<C>, batch: Vec<Sent>) {
    let now = Instant::now();
    let mut responder = responder.lock();
    for (from, work) in batch {
        responder.work(now, from, work, port.bytes());
        port.end(from);
    }
    // Sending takes as long as answering.
    drop(responder);
    port.send();
}

fn pass_hour<C>(responder: &mut Responder<C>, hours_max: u32) {
    for member in responder.index.pass_hour(hours_max) {
        tracing::info!(
            member = member.as_str(),
            hours_max,
            "publications are forgotten: their member has been offline for longer"
        );
    }
}

/// What an operator has been told of.
#[derive(Default)]
struct Reported {
    drops: u64,
    lost: u64,
}

impl Reported {
    fn report(&mut self, counters: Counters, lost: u64) {
        if counters.drops() > self.drops {
            tracing::warn!("{counters}");
        }
        if lost > self.lost {
            tracing::warn!(
                lost = lost - self.lost,
                "more came than could be read: the receive buffers were full. If net.core.rmem_max is below {RECEIVE_BYTES}, \
                 raise it and start the server again"
            );
        }
        (self.drops, self.lost) = (counters.drops(), lost);
    }
}
