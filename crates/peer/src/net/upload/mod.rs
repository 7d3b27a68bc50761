//! Uploads: what a connected peer asks for, answered from what is shared (BT-3, BT-4.3).

mod answers;
mod content;
mod legacy;
mod limit;
mod records;
mod slots;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::seal::{STREAM_INITIATE_BYTES, SealedCodec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::closing::Closing;
use super::gate::{Admitted, Gate, NotLetIn};
use super::strangers::Stranger;
use crate::share::{Folder, Shares};
use crate::transfer::Deadlines;
use answers::Answers;

pub use limit::{RateLimit, UploadLimits};
pub(super) use slots::Slots;

/// What every upload needs.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) folder: Arc<Folder>,
    pub(super) shares: Arc<Shares>,
    pub(super) deadlines: Deadlines,
    pub(super) slots: Slots,
    /// The most that all uploads together send.
    pub(super) limit: RateLimit,
    /// Lets peers in that speak frames; without it, nobody who does.
    pub(super) gate: Option<Gate>,
}

/// Why nobody is let in. The other side isn't told.
#[derive(Debug, thiserror::Error)]
enum AdmitError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    NotLetIn(#[from] NotLetIn),
    #[error("nobody who speaks frames is let in here")]
    NoGate,
}

impl Upload {
    /// Lets a peer in if its ticket is good, and answers it until it goes, keeps us waiting, or sends what is no frame. Who
    /// isn't let in learns nothing: the connection is closed (BT-6.6-2).
    pub(super) async fn serve_frames(&self, mut stream: TcpStream, stranger: Stranger, deadline: Instant) {
        let _ = stream.set_nodelay(true);
        let admitted = timeout_at(deadline.into(), self.admit(&mut stream)).await;
        let Ok(Ok((admitted, codec))) = admitted else {
            // Whatever else is wrong has been counted where it was found.
            if let (Some(gate), Err(_) | Ok(Err(AdmitError::Io(_)))) = (&self.gate, &admitted) {
                gate.count_handshake();
            }
            return reset(stream);
        };
        drop(stranger);
        // Whatever fails here, the connection is closed, and the other side knows as much as we.
        let Ok((stream, closing)) = Closing::blocking(stream) else { return };
        let answers = Answers::new(self.clone(), admitted, stream, codec);
        let _ = tokio::task::spawn_blocking(move || answers.run()).await;
        drop(closing);
    }

    /// The handshake: what the other side may fetch, and the codec for what follows.
    async fn admit(&self, stream: &mut TcpStream) -> Result<(Admitted, SealedCodec), AdmitError> {
        let gate = self.gate.as_ref().ok_or(AdmitError::NoGate)?;
        let mut initiate = [0; STREAM_INITIATE_BYTES];
        let (head, rest) = initiate.split_first_chunk_mut().expect("it begins with a header");
        stream.read_exact(head).await?;
        gate.check_head(head)?;
        stream.read_exact(rest).await?;
        let (accepting, admitted) = gate.admit(&initiate)?;
        let (codec, accept) = accepting.finish();
        stream.write_all(&accept).await?;
        Ok((admitted, codec))
    }
}

/// Closes a connection so that the other side sees a failure, not an end.
pub(super) fn reset(stream: TcpStream) {
    // If the option can't be set, the other side sees an end instead; there is no better way to say it.
    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}
