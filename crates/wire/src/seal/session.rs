//! Sealed datagrams: a frame in, a datagram out, and back (BT-6.5).

use std::fmt;
use std::marker::PhantomData;

use bytes::{Buf as _, BytesMut};
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::cipher::{Aes256Gcm, BadTag, Cipher, TAG_BYTES};
use super::datagrams::{SEALED_HEAD_BYTES, Sealed};
use super::replay::ReplayWindow;
use super::session_keys::SessionKeys;
use super::ticket::TicketKey;
use crate::codec::DatagramCodec;
use crate::frame::{Frame, FramingError, Received};

/// Most frames that one key seals (BT-6.5-6): far below what AES-GCM allows. A device makes a new handshake before.
pub const SEALED_FRAMES_MAX: u64 = 1 << 32;

/// One side of a session over datagrams: its keys, what it has sent, and what it has seen. Small, as a server holds a
/// great many.
#[derive(Clone)]
pub struct DatagramSession<C = Aes256Gcm> {
    keys: SessionKeys,
    sent: u64,
    window: ReplayWindow,
    remote_index: u32,
    cipher: PhantomData<C>,
}

/// What came out of a seal.
#[derive(Debug)]
pub struct Opened {
    /// The frame, or what is wrong with it: the sender's fault, and authentic all the same.
    pub frame: Result<Option<Received>, FramingError>,
    /// Whether nothing that was sealed later has come before.
    pub is_newest: bool,
}

/// Why a datagram isn't opened. It is dropped in silence, and counted (BT-6.5-5).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// It has been seen before, or is too old to tell.
    #[error("the frame is a replay")]
    Replay,
    /// The keys have sealed as much as they may.
    #[error("the keys are used up")]
    UsedUp,
    /// Another key has sealed it, or it was changed.
    #[error(transparent)]
    BadTag(#[from] BadTag),
}

/// The session has sealed as much as its keys may: a new handshake is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the session's keys are used up")]
pub struct KeysUsedUp;

impl<C> DatagramSession<C> {
    pub(super) fn new(keys: SessionKeys, remote_index: u32) -> Self {
        Self { keys, sent: 0, window: ReplayWindow::default(), remote_index, cipher: PhantomData }
    }

    /// The key for tickets. `began` on the side of the device.
    #[must_use]
    pub fn ticket_key(&self, began: bool) -> TicketKey {
        self.keys.ticket_key(began)
    }

    /// Frames that this side has sealed so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The other side's number for the session.
    #[must_use]
    pub fn remote_index(&self) -> u32 {
        self.remote_index
    }
}

impl<C: Cipher> DatagramSession<C> {
    /// Appends a datagram with this frame to `out`.
    ///
    /// # Errors
    /// The keys are used up.
    ///
    /// # Panics
    /// The frame doesn't fit one datagram: requests are built, and pages filled, so that they do.
    pub fn seal(&mut self, frame: Frame, out: &mut BytesMut) -> Result<(), KeysUsedUp> {
        self.seal_written(out, |out| {
            DatagramCodec.encode(frame, out).expect("frames are built so that they fit one datagram");
        })
    }

    /// Appends a datagram with these bytes, which should be those of a frame, to `out`.
    ///
    /// # Errors
    /// The keys are used up.
    pub fn seal_bytes(&mut self, text: &[u8], out: &mut BytesMut) -> Result<(), KeysUsedUp> {
        self.seal_written(out, |out| out.extend_from_slice(text))
    }

    fn seal_written(
        &mut self,
        out: &mut BytesMut,
        write: impl FnOnce(&mut BytesMut),
    ) -> Result<(), KeysUsedUp> {
        if self.sent >= SEALED_FRAMES_MAX {
            return Err(KeysUsedUp);
        }
        let sealed = Sealed { index: self.remote_index, counter: self.sent };
        let start = out.len();
        let text = start + SEALED_HEAD_BYTES;
        out.resize(text, 0);
        write(out);
        let head = sealed.head(out.len() - text);
        out[start..text].copy_from_slice(&head);
        C::seal(&self.keys.send, sealed.counter, &head, out, text);
        self.sent += 1;
        Ok(())
    }

    /// Opens a datagram that [`Sealed`] was read from, and leaves its buffer empty.
    ///
    /// # Errors
    /// It isn't authentic, or not new. Nothing has changed then.
    pub fn open(&mut self, sealed: Sealed, datagram: &mut BytesMut) -> Result<Opened, OpenError> {
        let (mut text, is_newest) = self.open_bytes(sealed, datagram)?;
        Ok(Opened { frame: DatagramCodec.decode(&mut text), is_newest })
    }

    /// The same, for the bytes under the seal and whether nothing that was sealed later has come before.
    ///
    /// # Errors
    /// As for [`DatagramSession::open`].
    pub fn open_bytes(
        &mut self,
        sealed: Sealed,
        datagram: &mut BytesMut,
    ) -> Result<(BytesMut, bool), OpenError> {
        let mut datagram = datagram.split();
        let (text, is_newest) = self.open_in_place(sealed, &mut datagram)?;
        let bytes = text.len();
        datagram.advance(SEALED_HEAD_BYTES);
        datagram.truncate(bytes);
        Ok((datagram, is_newest))
    }

    /// The same, where the datagram lies: the text is in it behind [`SEALED_HEAD_BYTES`].
    ///
    /// # Errors
    /// As for [`DatagramSession::open`]; what the datagram holds then is of no use.
    pub fn open_in_place<'a>(
        &mut self,
        sealed: Sealed,
        datagram: &'a mut [u8],
    ) -> Result<(&'a [u8], bool), OpenError> {
        if sealed.counter >= SEALED_FRAMES_MAX {
            return Err(OpenError::UsedUp);
        }
        if !self.window.is_fresh(sealed.counter) {
            return Err(OpenError::Replay);
        }
        let (head, text) = datagram.split_at_mut(SEALED_HEAD_BYTES);
        debug_assert!(text.len() >= TAG_BYTES);
        let text = C::open(&self.keys.receive, sealed.counter, head, text)?;
        Ok((text, self.window.take(sealed.counter)))
    }
}

impl<C> fmt::Debug for DatagramSession<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("DatagramSession");
        shown.field("remote_index", &self.remote_index).field("sent", &self.sent).finish_non_exhaustive()
    }
}
