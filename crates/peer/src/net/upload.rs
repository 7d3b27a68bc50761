//! Uploads: what a connected peer asks for, answered from the files that are shared (BT-3, BT-4.3).

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_wire::messages::{Content, Done, RefusalCode, Refused, Reply};
use bittrickle_wire::seal::{STREAM_INITIATE_BYTES, SealedCodec};
use bittrickle_wire::{Encoding, FileName, Frame, FramingError, Message, Received, Verdict, legacy};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{timeout, timeout_at};
use tokio_util::codec::Framed;

use super::gate::{Admitted, Gate, NotLetIn};
use super::pace::keep_pace;
use super::places::Place;
use crate::share::{Folder, FolderError, SharedFile, Shares, read_pieces};
use crate::transfer::{Deadlines, RateFloor, TooSlow};

/// What every upload needs.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) folder: Arc<Folder>,
    pub(super) shares: Arc<Shares>,
    pub(super) deadlines: Deadlines,
    pub(super) slots: Arc<Semaphore>,
    /// Lets peers in that speak frames; without it, nobody who does.
    pub(super) gate: Option<Gate>,
}

/// Pieces read ahead of the network.
const PIECES_AHEAD: usize = 16;

/// Why a connection ends early. Nobody is told but the other side, by the end.
#[derive(Debug, thiserror::Error)]
enum UploadError {
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    TooSlow(#[from] TooSlow),
    #[error("the other side keeps us waiting")]
    Stuck,
    #[error(transparent)]
    NotLetIn(#[from] NotLetIn),
    #[error("nobody who speaks frames is let in here")]
    NoGate,
    #[error("the ticket is for another file, or its time is over")]
    NoTicket,
}

impl Upload {
    /// Lets a peer in if its ticket is good, and answers `Fetch` after `Fetch` until it goes, keeps us waiting, or sends
    /// what is no frame. Who isn't let in learns nothing: the connection is closed (BT-6.6-2).
    pub(super) async fn serve_frames(
        &self,
        mut stream: TcpStream,
        stranger: Place<IpAddr>,
        deadline: Instant,
    ) {
        let _ = stream.set_nodelay(true);
        let admitted = timeout_at(deadline.into(), self.admit(&mut stream)).await;
        let Ok(Ok((admitted, codec))) = admitted else {
            // Whatever else is wrong has been counted where it was found.
            if let (Some(gate), Err(_) | Ok(Err(UploadError::Io(_)))) = (&self.gate, &admitted) {
                gate.count_handshake();
            }
            return reset(stream);
        };
        drop(stranger);
        let mut framed = Framed::new(stream, codec);
        let mut deadline = Instant::now() + self.deadlines.first;
        while let Ok(Some(Ok(received))) = timeout_at(deadline.into(), framed.next()).await {
            let is_fetch = matches!(&received, Received::Frame(Frame { message: Message::Fetch(_), .. }));
            if self.answer(&mut framed, &admitted, received).await.is_err() {
                // The frames so far say that the file isn't complete; the end of the stream says the rest.
                return;
            }
            // Who asks for something else gets no more time for it.
            if is_fetch {
                deadline = Instant::now() + self.deadlines.idle;
            }
        }
    }

    /// The handshake: what the other side may fetch, and the codec for what follows.
    async fn admit(&self, stream: &mut TcpStream) -> Result<(Admitted, SealedCodec), UploadError> {
        let gate = self.gate.as_ref().ok_or(UploadError::NoGate)?;
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

    async fn answer(
        &self,
        framed: &mut Framed<TcpStream, SealedCodec>,
        admitted: &Admitted,
        received: Received,
    ) -> Result<(), UploadError> {
        match received {
            Received::Frame(Frame { request_id, encoding, message: Message::Fetch(fetch) }) => {
                // What was permitted once is not permitted for ever: the member may have been shut out since.
                if fetch.name != admitted.name || Instant::now() > admitted.until {
                    self.gate.iter().for_each(Gate::count_ticket);
                    let sentence = "this connection's ticket is for another file, or its time is over";
                    let message =
                        Message::Reply(Reply::Refused(Refused::new(RefusalCode::NO_TICKET, sentence)));
                    self.send(framed, Frame { request_id, encoding, message }).await?;
                    return Err(UploadError::NoTicket);
                }
                match self.open(&fetch.name).await {
                    Ok(opened) => self.send_file(framed, request_id, encoding, opened).await,
                    Err(refused) => {
                        let message = Message::Reply(Reply::Refused(refused));
                        self.send(framed, Frame { request_id, encoding, message }).await
                    }
                }
            }
            Received::Frame(frame) if frame.message.kind().is_reply() => Ok(()),
            Received::Frame(Frame { request_id, encoding, .. }) => {
                let refused =
                    Refused::new(RefusalCode::UNEXPECTED_KIND, "a peer answers Fetch and nothing else");
                let message = Message::Reply(Reply::Refused(refused));
                self.send(framed, Frame { request_id, encoding, message }).await
            }
            Received::Bad(bad) => match bad.verdict() {
                Verdict::Answer(frame) => self.send(framed, frame).await,
                Verdict::AnswerAndClose(frame) => {
                    self.send(framed, frame).await?;
                    Err(FramingError::VersionLost.into())
                }
                Verdict::Drop => Ok(()),
            },
        }
    }

    /// Finds a file among those that are shared, and opens it. The permit is part of what is returned.
    async fn open(&self, name: &FileName) -> Result<Opened, Refused> {
        let Some(name) = self.shares.find(name.as_str()) else {
            return Err(Refused::new(RefusalCode::NOT_SHARED, "a file of this name is not shared here"));
        };
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return Err(Refused::new(RefusalCode::BUSY, "all upload slots are taken; try again later"));
        };
        let folder = Arc::clone(&self.folder);
        let opened = tokio::task::spawn_blocking(move || folder.open_shared(&name)).await;
        match opened.unwrap_or_else(|error| Err(FolderError::Io(io::Error::other(error)))) {
            Ok(shared) => Ok(Opened { shared, slot }),
            Err(error) => {
                Err(Refused::new(RefusalCode::UNREADABLE, &format!("the file can't be read: {error}")))
            }
        }
    }

    async fn send_file(
        &self,
        framed: &mut Framed<TcpStream, SealedCodec>,
        request_id: u32,
        encoding: Encoding,
        opened: Opened,
    ) -> Result<(), UploadError> {
        let Opened { shared, slot: _slot } = opened;
        let content = Message::Content(Content { file_bytes: shared.file_bytes });
        self.send(framed, Frame { request_id, encoding, message: content }).await?;
        let (mut pieces, reading) = start_reading(shared);
        let mut floor = RateFloor::new(Instant::now(), self.deadlines.window);
        while let Some(piece) = pieces.recv().await {
            let bytes = piece.len();
            keep_pace(&mut floor, framed.send(Frame::data(request_id, piece))).await??;
            floor.add(bytes);
        }
        finished(reading).await?;
        self.send(framed, Frame { request_id, encoding, message: Message::Done(Done {}) }).await
    }

    async fn send(
        &self,
        framed: &mut Framed<TcpStream, SealedCodec>,
        frame: Frame,
    ) -> Result<(), UploadError> {
        timeout(self.deadlines.window, framed.send(frame)).await.map_err(|_| UploadError::Stuck)??;
        Ok(())
    }

    /// Answers one `GET name` of the original's client. Whatever goes wrong resets the connection (BT-4.3-3).
    pub(super) async fn serve_legacy(&self, mut stream: TcpStream, stranger: Place<IpAddr>) {
        let reading = read_legacy_request(&mut stream, &self.deadlines);
        let request = timeout(self.deadlines.first, reading).await.unwrap_or(Err(UploadError::Stuck));
        drop(stranger);
        let sent = match request {
            Ok(request) => self.send_legacy(&mut stream, &request.name).await,
            Err(error) => Err(error),
        };
        if sent.is_err() {
            reset(stream);
        }
    }

    async fn send_legacy(&self, stream: &mut TcpStream, label: &str) -> Result<(), UploadError> {
        let refused = |_| UploadError::Io(io::ErrorKind::NotFound.into());
        let name = FileName::new(label).map_err(refused)?;
        let opened = self.open(&name).await.map_err(|_| UploadError::Io(io::ErrorKind::NotFound.into()))?;
        let Opened { shared, slot: _slot } = opened;
        let (mut pieces, reading) = start_reading(shared);
        let mut floor = RateFloor::new(Instant::now(), self.deadlines.window);
        while let Some(piece) = pieces.recv().await {
            keep_pace(&mut floor, stream.write_all(&piece)).await??;
            floor.add(piece.len());
        }
        finished(reading).await?;
        Ok(stream.shutdown().await?)
    }
}

/// A file that is open to be sent, in one of the upload slots.
struct Opened {
    shared: SharedFile,
    slot: OwnedSemaphorePermit,
}

/// Reads until the request is complete: a newline, the end, or a pause tells (BT-4.3-2).
async fn read_legacy_request(
    stream: &mut TcpStream,
    deadlines: &Deadlines,
) -> Result<legacy::GetRequest, UploadError> {
    let mut request = Vec::with_capacity(256);
    let mut wait: Duration = deadlines.first;
    let limit = bittrickle_wire::limits::LEGACY_GET_BYTES_MAX + 1;
    while request.len() < limit && !request.ends_with(b"\n") {
        match timeout(wait, stream.read_buf(&mut request)).await {
            Ok(Ok(0)) | Err(_) => break,
            Ok(Ok(_)) => wait = deadlines.legacy_pause,
            Ok(Err(error)) => return Err(error.into()),
        }
    }
    legacy::GetRequest::decode(&request)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error).into())
}

fn start_reading(shared: SharedFile) -> (mpsc::Receiver<Bytes>, JoinHandle<io::Result<()>>) {
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    (pieces, tokio::task::spawn_blocking(move || read_pieces(shared, &sender)))
}

/// Whether the file was read to its end.
async fn finished(reading: JoinHandle<io::Result<()>>) -> io::Result<()> {
    reading.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Closes a connection so that the other side sees a failure, not an end.
pub(super) fn reset(stream: TcpStream) {
    // If the option can't be set, the other side sees an end instead; there is no better way to say it.
    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}
