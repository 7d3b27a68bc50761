//! The socket: reads datagrams, has them answered, sends the answers, until it is told to stop.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bittrickle_wire::limits::DATAGRAM_BYTES_MAX;
use bytes::{BufMut as _, BytesMut};
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::responder::{Counters, Responder};

/// Most bytes that are read of a datagram: one more than any format allows, so that a longer one is seen to be.
const READ_BYTES: usize = DATAGRAM_BYTES_MAX + 1;

/// Datagrams answered in a row before timers and signals get their turn.
const BURST: usize = 256;

/// Errors in a row after which the socket is given up.
const RECEIVE_ERRORS_MAX: u32 = 100;

/// How long to wait after an error.
const RECEIVE_ERROR_PAUSE: Duration = Duration::from_millis(100);

/// How often sessions are expired when no request does it, and how often counters are looked at.
const TICK: Duration = Duration::from_secs(1);

/// How often drops are reported, while there are any.
const REPORT_TICKS: u32 = 60;

/// Answers datagrams until `stop` is done. Returns what became of them.
///
/// # Errors
/// The socket can't be read any more.
pub async fn serve(
    socket: UdpSocket,
    mut responder: Responder,
    stop: impl Future<Output = ()>,
) -> io::Result<Counters> {
    tokio::pin!(stop);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut errors = 0;
    let mut ticks = 0_u32;
    let mut reported = Counters::default();
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return Ok(responder.counters()),
            _ = tick.tick() => {
                responder.index.expire(Instant::now());
                ticks = ticks.wrapping_add(1);
                if ticks.is_multiple_of(REPORT_TICKS) {
                    report_drops(&mut reported, responder.counters());
                }
            }
            readable = socket.readable() => {
                readable?;
                match answer_burst(&socket, &mut responder) {
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
    }
}

fn answer_burst(socket: &UdpSocket, responder: &mut Responder) -> io::Result<()> {
    let mut out = BytesMut::with_capacity(DATAGRAM_BYTES_MAX);
    let mut datagram = BytesMut::with_capacity(READ_BYTES);
    for _ in 0..BURST {
        // A decoded payload shares this buffer, but is gone by now: its memory is taken again, not anew.
        datagram.reserve(READ_BYTES);
        let (_, from) = match socket.try_recv_buf_from(&mut (&mut datagram).limit(READ_BYTES)) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // An earlier answer could not be delivered: the client has gone. Nothing is wrong with the socket.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error),
        };
        let canonical = SocketAddr::new(from.ip().to_canonical(), from.port());
        responder.respond(Instant::now(), canonical, &mut datagram, &mut out);
        if !out.is_empty() {
            // A full send buffer or a client that has gone: the client asks again.
            if let Err(error) = socket.try_send_to(&out, from) {
                tracing::debug!(%from, %error, "an answer was not sent");
            }
            out.clear();
        }
    }
    Ok(())
}

fn report_drops(reported: &mut Counters, counters: Counters) {
    let drops = |c: &Counters| c.malformed + c.address_refused + c.unexpected_replies;
    if drops(&counters) > drops(reported) {
        tracing::warn!("{counters}");
    }
    *reported = counters;
}
