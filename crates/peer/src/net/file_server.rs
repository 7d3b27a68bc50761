//! The file server: takes connections of other peers, in either format, and ends with the peer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::Format;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::gate::Gate;
use super::strangers::{Stranger, Strangers};
use super::upload::{Slots, Upload, UploadLimits, reset};
use crate::share::{Folder, Shares};
use crate::transfer::Deadlines;

/// A running file server.
#[derive(Debug)]
pub struct FileServer {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    slots: Slots,
}

/// Connections in all (BT-5.4-2).
const CONNECTIONS_MAX: usize = 256;

/// How long to wait when the process has no handle left for another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

impl FileServer {
    /// Listens on a free port of this address, the one from which the index is asked. Peers that speak frames come in by
    /// the gate; without one, none do.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(
        ip: IpAddr,
        folder: Arc<Folder>,
        shares: Arc<Shares>,
        deadlines: Deadlines,
        gate: Option<Gate>,
        limits: UploadLimits,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((ip, 0)).await?;
        let address = listener.local_addr()?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let slots = Slots::new(limits.slots());
        let upload = Upload { folder, shares, deadlines, slots: slots.clone(), limit: limits.rate, gate };
        let accepting = accept(listener, upload, stop.clone(), tasks.clone());
        tasks.spawn(stop.clone().run_until_cancelled_owned(accepting));
        Ok(Self { address, stop, tasks, slots })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every upload, and returns once all connections are closed.
    pub async fn stop(self) {
        self.stop.cancel();
        self.slots.close();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Whether the original's `GET`, which is in clear, is taken from this address, or sent there by a peer that speaks frames
/// (BT-4.3-5).
#[must_use]
pub fn takes_legacy_from(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

async fn accept(listener: TcpListener, upload: Upload, stop: CancellationToken, tasks: TaskTracker) {
    let strangers = Strangers::default();
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let from = from.ip().to_canonical();
        let (stranger, leave) = strangers.add(from);
        let (upload, connections) = (upload.clone(), Arc::clone(&connections));
        let serving = async move {
            let deadline = Instant::now() + upload.deadlines.first;
            // A stranger that has just been sent away makes room. While nobody goes, the door stays closed.
            let Ok(Ok(_connection)) = timeout_at(deadline.into(), connections.acquire_owned()).await else {
                return;
            };
            serve(stream, from, &upload, stranger, deadline).await;
        };
        tasks.spawn(stop.clone().run_until_cancelled_owned(leave.run_until_cancelled_owned(serving)));
    }
}

/// Bytes that the system takes ahead of a slow taker: few enough that it is seen to go on within any window.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Serves one connection, in the format its first byte says.
async fn serve(stream: TcpStream, from: IpAddr, upload: &Upload, stranger: Stranger, deadline: Instant) {
    // Where it can't be set, a taker near the lowest rate may be cut off too early.
    let _ = socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES);
    let mut first = [0; 1];
    let peeked = timeout_at(deadline.into(), stream.peek(&mut first)).await;
    let Ok(Ok(1)) = peeked else { return };
    match Format::of(&first) {
        Some(Format::Frame) => upload.serve_frames(stream, stranger, deadline).await,
        Some(Format::LegacyGet) if takes_legacy_from(from) => upload.serve_legacy(stream, stranger).await,
        Some(Format::LegacyGet | Format::LegacyJson) | None => reset(stream),
    }
}
