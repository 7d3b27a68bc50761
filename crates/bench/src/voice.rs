//! How a load speaks: in sealed sessions with a server, bare with the echo.

use bittrickle_wire::limits::HEADER_BYTES;
use bittrickle_wire::seal::{Cipher, Datagram};
use bittrickle_wire::{Encoding, Frame, Header, Kind, Message, Received};
use bytes::BytesMut;

use crate::handshake::Sealed;
use crate::load::{Exchange, LoadError};

/// What a load says on one socket, and what it hears there.
pub(crate) trait Voice {
    /// Writes a request's datagram.
    ///
    /// # Errors
    /// The session is at its end.
    fn say(&mut self, exchange: &Exchange, request_id: u32, out: &mut BytesMut) -> Result<(), LoadError>;

    /// Reads an answer's datagram; `None` when it isn't for this session.
    ///
    /// # Errors
    /// It is no answer.
    fn hear(&mut self, datagram: &mut BytesMut) -> Result<Option<Heard>, LoadError>;
}

/// What a load needs to know of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Heard {
    /// What it answers.
    pub(crate) request_id: u32,
    /// What it is.
    pub(crate) kind: Kind,
}

/// Speaks with the [echo](crate::echo): as many bytes there and back as with the server. The echo sends the header back,
/// so the request declares the answer's kind and length.
#[derive(Debug)]
pub(crate) struct Bare;

impl<C: Cipher> Voice for &mut Sealed<C> {
    // A request can't be sealed before the clock starts and sent again and again: the server takes each counter once.
    fn say(&mut self, exchange: &Exchange, request_id: u32, out: &mut BytesMut) -> Result<(), LoadError> {
        let message = Message::Request(exchange.request.clone());
        let frame = Frame { request_id, encoding: Encoding::Bincode, message };
        Ok(self.session.seal(frame, out)?)
    }

    fn hear(&mut self, datagram: &mut BytesMut) -> Result<Option<Heard>, LoadError> {
        let Ok(Datagram::Sealed(sealed)) = Datagram::parse(datagram) else { return Err(LoadError::NoFrame) };
        if sealed.index != self.device_index {
            return Ok(None);
        }
        match self.session.open(sealed, datagram)?.frame {
            Ok(Some(Received::Frame(frame))) => {
                Ok(Some(Heard { request_id: frame.request_id, kind: frame.message.kind() }))
            }
            Ok(Some(Received::Bad(_)) | None) | Err(_) => Err(LoadError::NoFrame),
        }
    }
}

impl Voice for Bare {
    fn say(&mut self, exchange: &Exchange, request_id: u32, out: &mut BytesMut) -> Result<(), LoadError> {
        let payload_bytes = u32::try_from(exchange.reply_bytes - HEADER_BYTES).expect("a datagram is short");
        let header = Header::new(exchange.reply_kind, Encoding::Raw, request_id, payload_bytes);
        let end = out.len() + exchange.request_bytes;
        out.extend_from_slice(&header.to_bytes());
        out.resize(end, 0);
        Ok(())
    }

    fn hear(&mut self, datagram: &mut BytesMut) -> Result<Option<Heard>, LoadError> {
        let header = datagram.first_chunk::<HEADER_BYTES>().and_then(Header::parse);
        let Header { request_id, kind, .. } = header.ok_or(LoadError::NoFrame)?;
        Ok(Some(Heard { request_id, kind }))
    }
}
