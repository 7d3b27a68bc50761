//! The socket: reads datagrams, has them answered, sends the answers, until it is told to stop.

pub mod batch;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bittrickle_wire::seal::Cipher;
use bytes::BytesMut;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::accounts::{Accounts, Check, CheckId, Notice, Verdict};
use crate::durability::{Durability, Progress};
use crate::responder::{Counters, Responder};
use batch::{Inbound, Outbound};

/// Datagrams answered in a row before timers and signals get their turn.
const BURST: usize = 256;

/// Handshakes answered in a row before datagrams get their turn: each takes as long as a hundred of them.
const HANDSHAKES: usize = 4;

/// Errors in a row after which the socket is given up.
const RECEIVE_ERRORS_MAX: u32 = 100;

/// How long to wait after an error.
const RECEIVE_ERROR_PAUSE: Duration = Duration::from_millis(100);

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

/// The socket, and which addresses it wants.
struct Port {
    socket: UdpSocket,
    is_ipv6: bool,
    inbound: Inbound,
    outbound: Outbound,
}

/// Answers datagrams until `stop` is done. Returns what became of them.
///
/// # Errors
/// The socket can't be read any more, or whoever checks passwords has ended.
pub async fn serve<C: Cipher>(
    socket: UdpSocket,
    mut responder: Responder<C>,
    mut members: Members,
    stop: impl Future<Output = ()>,
) -> io::Result<Counters> {
    tokio::pin!(stop);
    let is_ipv6 = socket.local_addr()?.is_ipv6();
    let mut port = Port { socket, is_ipv6, inbound: Inbound::default(), outbound: Outbound::default() };
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut errors = 0;
    let mut ticks = 0_u32;
    let mut reported = Counters::default();
    if members.durability.is_some() {
        responder.keep_publications();
    }
    loop {
        let Members { notices, durability, .. } = &mut members;
        tokio::select! {
            biased;
            () = &mut stop => return Ok(responder.counters()),
            _ = tick.tick() => {
                responder.expire(Instant::now());
                ticks = ticks.wrapping_add(1);
                if ticks.is_multiple_of(HOUR_TICKS)
                    && let Some(hours_max) = members.offline_hours_max
                {
                    pass_hour(&mut responder, hours_max);
                }
                if ticks.is_multiple_of(REPORT_TICKS) {
                    report_drops(&mut reported, responder.counters());
                }
            }
            notice = notices.recv() => match notice {
                Some(notice) => take_notice(&mut port, &mut responder, notice),
                None => return Err(io::Error::other("whoever checks passwords and keeps members has ended")),
            },
            progress = progress_of(durability) => match progress {
                Some(progress) => take_progress(&mut port, &mut responder, progress)?,
                None => return Err(io::Error::other("whoever keeps publications has ended")),
            },
            readable = port.socket.readable() => {
                readable?;
                match answer_burst(&mut port, &mut responder) {
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
            // Handshakes wait, and nothing else is to be done.
            () = tokio::task::yield_now(), if responder.has_handshakes() => {}
        }
        answer_handshakes(&mut port, &mut responder);
        while let Some(check) = responder.next_check() {
            ask_for_check(&mut port, &mut responder, &members.accounts, check);
        }
        if let Some(durability) = &members.durability
            && let Some(batch) = responder.next_batch()
        {
            durability.make_durable(batch);
        }
    }
}

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
) -> io::Result<()> {
    match progress {
        Progress::Loaded(catalogue) => responder.load(*catalogue),
        Progress::Durable(number) => responder.made_durable(number),
        Progress::Failed => responder.failed_to_keep(),
        Progress::Broken(error) => return Err(io::Error::other(error)),
    }
    while let Some(to) = responder.next_held(port.outbound.bytes()) {
        if let Some(to) = to {
            port.end(to);
        }
    }
    port.outbound.send(&port.socket);
    Ok(())
}

/// A few handshakes, so that those who are online don't wait for those who come.
fn answer_handshakes<C: Cipher>(port: &mut Port, responder: &mut Responder<C>) {
    for _ in 0..HANDSHAKES {
        let Some(from) = responder.next_handshake(Instant::now(), port.outbound.bytes()) else { break };
        port.end(from);
    }
    port.outbound.send(&port.socket);
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

fn take_notice<C: Cipher>(port: &mut Port, responder: &mut Responder<C>, notice: Notice) {
    match notice {
        Notice::Checked { id, verdict } => finish_check(port, responder, id, &verdict),
        Notice::Changed { change, applied } => {
            responder.apply(&change);
            // Whoever made the change may not wait for it.
            let _ = applied.send(());
        }
    }
}

fn finish_check<C: Cipher>(port: &mut Port, responder: &mut Responder<C>, id: CheckId, verdict: &Verdict) {
    if let Some(to) = responder.checked(Instant::now(), id, verdict, port.outbound.bytes()) {
        port.end(to);
    }
    port.outbound.send(&port.socket);
}

fn answer_burst<C: Cipher>(port: &mut Port, responder: &mut Responder<C>) -> io::Result<()> {
    let mut datagram = BytesMut::new();
    let mut answered = 0;
    while answered < BURST {
        match port.socket.try_io(Interest::READABLE, || port.inbound.receive(&port.socket)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // An earlier answer could not be delivered: the client has gone. Nothing is wrong with the socket.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error),
        }
        let now = Instant::now();
        let datagrams = port.inbound.datagrams();
        answered += datagrams.len();
        for (from, bytes) in datagrams {
            // A decoded payload shares this buffer, but is gone by now: its memory is taken again, not anew.
            datagram.extend_from_slice(bytes);
            let from = canonical(from);
            responder.respond(now, from, &mut datagram, port.outbound.bytes());
            port.outbound.end(Some(if port.is_ipv6 { in_ipv6(from) } else { from }));
        }
        port.outbound.send(&port.socket);
    }
    Ok(())
}

impl Port {
    /// The answer that has just been written goes to this address.
    fn end(&mut self, to: SocketAddr) {
        self.outbound.end(Some(if self.is_ipv6 { in_ipv6(to) } else { to }));
    }
}

/// An address as a socket for IPv6 wants it.
fn in_ipv6(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        SocketAddr::V6(_) => address,
    }
}

/// An IPv4 address is never in IPv6 clothes, whatever the socket says; a zone stays.
fn canonical(from: SocketAddr) -> SocketAddr {
    match from.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, from.port()),
        IpAddr::V6(_) => from,
    }
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

fn report_drops(reported: &mut Counters, counters: Counters) {
    if counters.drops() > reported.drops() {
        tracing::warn!("{counters}");
    }
    *reported = counters;
}
