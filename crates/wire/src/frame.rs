//! Frames: a header and a message (BT-1.2), and what to do about bad ones (BT-1.6).

use bytes::{Bytes, BytesMut};

use crate::encoding::{Encoding, PayloadError};
use crate::header::{Header, VERSION};
use crate::kind::Kind;
use crate::limits::HEADER_BYTES;
use crate::messages::{
    AskHave, Describe, Described, Fetch, Have, RefusalCode, Refused, Renew, Renewed, Reply, Request, Versions,
};

/// One message with its addressing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// Chosen by who asks, echoed by who answers.
    pub request_id: u32,
    /// How the payload is written. `Data` and `Versions` are always raw.
    pub encoding: Encoding,
    /// What it says.
    pub message: Message,
}

/// Everything that a frame can say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// A peer asks the index.
    Request(Request),
    /// The index answers, or anybody refuses.
    Reply(Reply),
    /// A peer asks another what a content is.
    Describe(Describe),
    /// What it is.
    Described(Described),
    /// A peer asks another for a part of a content.
    Fetch(Fetch),
    /// Some of the bytes that were asked for.
    Data(Bytes),
    /// A peer asks another which pieces it has.
    AskHave(AskHave),
    /// Those that it has.
    Have(Have),
    /// A peer shows another a new ticket.
    Renew(Renew),
    /// It is good.
    Renewed(Renewed),
    /// The versions that the sender speaks.
    Versions(Versions),
}

/// What a codec reads: a frame, or something framed well that isn't one.
#[derive(Debug)]
pub enum Received {
    /// A frame.
    Frame(Frame),
    /// Well framed, but bad. Framing goes on behind it.
    Bad(BadFrame),
}

/// A well-framed message that is not acceptable. Whoever sent it is at fault.
#[derive(Debug)]
pub struct BadFrame {
    /// As its header says.
    pub kind: Kind,
    /// As its header says.
    pub request_id: u32,
    /// As its header says; JSON when its number isn't known.
    pub encoding: Encoding,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a well-framed message.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A version that we don't speak.
    #[error("version {0} is not spoken here, version {VERSION} is")]
    Version(u8),
    /// A kind that we don't know.
    #[error("kind 0x{0:02x} is not known here")]
    UnknownKind(u8),
    /// A kind that stands outside a seal, inside one.
    #[error("kind 0x{:02x} has no place inside a seal", .0.code())]
    Misplaced(Kind),
    /// An encoding that we don't know.
    #[error("encoding {0} is not known here")]
    UnknownEncoding(u8),
    /// A payload that isn't what its kind says.
    #[error("{0}")]
    Payload(#[from] PayloadError),
}

/// What follows from a bad frame. One function decides: [`BadFrame::verdict`].
#[derive(Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Send this, and go on.
    Answer(Frame),
    /// Send this, and close a stream: what follows can't be read.
    AnswerAndClose(Frame),
    /// Count it, and go on.
    Drop,
}

/// Framing is lost: a datagram is dropped, a stream closed.
#[derive(Debug, thiserror::Error)]
pub enum FramingError {
    /// The first byte is not a frame's.
    #[error("byte 0x{0:02x} does not begin a frame")]
    NotAFrame(u8),
    /// A record that isn't sealed with the stream's key, in its place.
    #[error("the record is not sealed as it should be")]
    NotSealed,
    /// The payload is longer than its kind, or this stage of the connection, allows.
    #[error("a payload of {declared} bytes, {allowed} are allowed")]
    PayloadTooLong {
        /// Bytes that the header declares.
        declared: u32,
        /// Bytes that are allowed.
        allowed: usize,
    },
    /// The sender declared more bytes than it sent.
    #[error("the frame is {missing} bytes short")]
    Short {
        /// Bytes that are missing.
        missing: usize,
    },
    /// A datagram has bytes behind its frame.
    #[error("{0} bytes follow the frame")]
    TrailingBytes(usize),
    /// A frame in another version came before: where the next one begins is not known.
    #[error("the frame before was in another version")]
    VersionLost,
    /// The message to send is longer than a frame of its kind or one datagram.
    #[error("the message has {bytes} bytes, {allowed} are allowed")]
    MessageTooLong {
        /// Bytes it has.
        bytes: usize,
        /// Bytes it may have.
        allowed: usize,
    },
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Message {
    /// The kind of frame that carries it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Request(request) => request.kind(),
            Self::Reply(reply) => reply.kind(),
            Self::Describe(_) => Kind::Describe,
            Self::Described(_) => Kind::Described,
            Self::Fetch(_) => Kind::Fetch,
            Self::Data(_) => Kind::Data,
            Self::AskHave(_) => Kind::AskHave,
            Self::Have(_) => Kind::Have,
            Self::Renew(_) => Kind::Renew,
            Self::Renewed(_) => Kind::Renewed,
            Self::Versions(_) => Kind::Versions,
        }
    }

    fn encode(&self, encoding: Encoding, out: &mut BytesMut) {
        match self {
            Self::Request(Request::Login(m)) => encoding.encode(m, out),
            Self::Request(Request::Heartbeat(m)) => encoding.encode(m, out),
            Self::Request(Request::Logout(m)) => encoding.encode(m, out),
            Self::Request(Request::Enrol(m)) => encoding.encode(m, out),
            Self::Request(Request::Publish(m)) => encoding.encode(m, out),
            Self::Request(Request::Unpublish(m)) => encoding.encode(m, out),
            Self::Request(Request::Announce(m)) => encoding.encode(m, out),
            Self::Request(Request::Recall(m)) => encoding.encode(m, out),
            Self::Request(Request::Resume(m)) => encoding.encode(m, out),
            Self::Request(Request::Search(m)) => encoding.encode(m, out),
            Self::Request(Request::Locate(m)) => encoding.encode(m, out),
            Self::Request(Request::ListPeers(m)) => encoding.encode(m, out),
            Self::Request(Request::ListFiles(m)) => encoding.encode(m, out),
            Self::Reply(Reply::LoggedIn(m)) => encoding.encode(m, out),
            Self::Reply(Reply::HeartbeatReply(m)) => encoding.encode(m, out),
            Self::Reply(Reply::LoggedOut(m)) => encoding.encode(m, out),
            Self::Reply(Reply::Enrolled(m)) => encoding.encode(m, out),
            Self::Reply(Reply::Published(m)) => encoding.encode(m, out),
            Self::Reply(Reply::Unpublished(m)) => encoding.encode(m, out),
            Self::Reply(Reply::Announced(m)) => encoding.encode(m, out),
            Self::Reply(Reply::Recalled(m)) => encoding.encode(m, out),
            Self::Reply(Reply::Resumed(m)) => encoding.encode(m, out),
            Self::Reply(Reply::Found(m)) => encoding.encode(m, out),
            Self::Reply(Reply::Located(m)) => encoding.encode(m, out),
            Self::Reply(Reply::Peers(m)) => encoding.encode(m, out),
            Self::Reply(Reply::Files(m)) => encoding.encode(m, out),
            Self::Reply(Reply::Refused(m)) => encoding.encode(m, out),
            Self::Describe(m) => encoding.encode(m, out),
            Self::Described(m) => encoding.encode(m, out),
            Self::Fetch(m) => encoding.encode(m, out),
            Self::Data(bytes) => out.extend_from_slice(bytes),
            Self::AskHave(m) => encoding.encode(m, out),
            Self::Have(m) => encoding.encode(m, out),
            Self::Renew(m) => encoding.encode(m, out),
            Self::Renewed(m) => encoding.encode(m, out),
            Self::Versions(m) => out.extend_from_slice(&[m.lowest, m.highest]),
        }
    }

    fn decode(kind: Kind, encoding: Encoding, payload: Bytes) -> Result<Self, Fault> {
        Ok(match kind {
            Kind::Login => Self::Request(Request::Login(encoding.decode(&payload)?)),
            Kind::Heartbeat => Self::Request(Request::Heartbeat(encoding.decode(&payload)?)),
            Kind::Logout => Self::Request(Request::Logout(encoding.decode(&payload)?)),
            Kind::Enrol => Self::Request(Request::Enrol(encoding.decode(&payload)?)),
            Kind::Publish => Self::Request(Request::Publish(encoding.decode(&payload)?)),
            Kind::Unpublish => Self::Request(Request::Unpublish(encoding.decode(&payload)?)),
            Kind::Announce => Self::Request(Request::Announce(encoding.decode(&payload)?)),
            Kind::Recall => Self::Request(Request::Recall(encoding.decode(&payload)?)),
            Kind::Resume => Self::Request(Request::Resume(encoding.decode(&payload)?)),
            Kind::Search => Self::Request(Request::Search(encoding.decode(&payload)?)),
            Kind::Locate => Self::Request(Request::Locate(encoding.decode(&payload)?)),
            Kind::ListPeers => Self::Request(Request::ListPeers(encoding.decode(&payload)?)),
            Kind::ListFiles => Self::Request(Request::ListFiles(encoding.decode(&payload)?)),
            Kind::LoggedIn => Self::Reply(Reply::LoggedIn(encoding.decode(&payload)?)),
            Kind::HeartbeatReply => Self::Reply(Reply::HeartbeatReply(encoding.decode(&payload)?)),
            Kind::LoggedOut => Self::Reply(Reply::LoggedOut(encoding.decode(&payload)?)),
            Kind::Enrolled => Self::Reply(Reply::Enrolled(encoding.decode(&payload)?)),
            Kind::Published => Self::Reply(Reply::Published(encoding.decode(&payload)?)),
            Kind::Unpublished => Self::Reply(Reply::Unpublished(encoding.decode(&payload)?)),
            Kind::Announced => Self::Reply(Reply::Announced(encoding.decode(&payload)?)),
            Kind::Recalled => Self::Reply(Reply::Recalled(encoding.decode(&payload)?)),
            Kind::Resumed => Self::Reply(Reply::Resumed(encoding.decode(&payload)?)),
            Kind::Found => Self::Reply(Reply::Found(encoding.decode(&payload)?)),
            Kind::Located => Self::Reply(Reply::Located(encoding.decode(&payload)?)),
            Kind::Peers => Self::Reply(Reply::Peers(encoding.decode(&payload)?)),
            Kind::Files => Self::Reply(Reply::Files(encoding.decode(&payload)?)),
            Kind::Refused => Self::Reply(Reply::Refused(encoding.decode(&payload)?)),
            Kind::Describe => Self::Describe(encoding.decode(&payload)?),
            Kind::Described => Self::Described(encoding.decode(&payload)?),
            Kind::Fetch => Self::Fetch(encoding.decode(&payload)?),
            Kind::Data if encoding == Encoding::Raw => Self::Data(payload),
            Kind::AskHave => Self::AskHave(encoding.decode(&payload)?),
            Kind::Have => Self::Have(encoding.decode(&payload)?),
            Kind::Renew => Self::Renew(encoding.decode(&payload)?),
            Kind::Renewed => Self::Renewed(encoding.decode(&payload)?),
            Kind::Versions if encoding == Encoding::Raw => Self::Versions(Versions::decode(&payload)?),
            Kind::Data | Kind::Versions => return Err(PayloadError::WrongEncoding.into()),
            Kind::Hello | Kind::Initiate | Kind::Sealed | Kind::Retry | Kind::Accept | Kind::Reset => {
                return Err(Fault::Misplaced(kind));
            }
            Kind::Unknown(code) => return Err(Fault::UnknownKind(code)),
        })
    }
}

impl Frame {
    /// A frame that carries some of a file's bytes.
    #[must_use]
    pub fn data(request_id: u32, bytes: Bytes) -> Self {
        Self { request_id, encoding: Encoding::Raw, message: Message::Data(bytes) }
    }

    /// Appends this frame to `out`, or leaves `out` as it was.
    pub(crate) fn write(&self, out: &mut BytesMut) -> Result<(), FramingError> {
        let kind = self.message.kind();
        let raw = matches!(kind, Kind::Data | Kind::Versions);
        let encoding = if raw { Encoding::Raw } else { self.encoding };
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_BYTES]);
        self.message.encode(encoding, out);
        let bytes = out.len() - start - HEADER_BYTES;
        if bytes > kind.payload_bytes_max() {
            out.truncate(start);
            return Err(FramingError::MessageTooLong { bytes, allowed: kind.payload_bytes_max() });
        }
        let payload_bytes = u32::try_from(bytes).expect("every kind's limit fits the field");
        let header = Header::new(kind, encoding, self.request_id, payload_bytes);
        out[start..start + HEADER_BYTES].copy_from_slice(&header.to_bytes());
        Ok(())
    }
}

impl Received {
    /// Reads the payload that follows `header`.
    pub(crate) fn read(header: Header, payload: Bytes) -> Self {
        let Header { kind, request_id, .. } = header;
        match read_message(header, payload) {
            Ok((encoding, message)) => Self::Frame(Frame { request_id, encoding, message }),
            Err(fault) => {
                let bincode = header.encoding == Encoding::Bincode.code();
                let encoding = if bincode { Encoding::Bincode } else { Encoding::Json };
                Self::Bad(BadFrame { kind, request_id, encoding, fault })
            }
        }
    }
}

fn read_message(header: Header, payload: Bytes) -> Result<(Encoding, Message), Fault> {
    if !header.is_readable() {
        return Err(Fault::Version(header.version));
    }
    if header.kind.is_outside() {
        return Err(Fault::Misplaced(header.kind));
    }
    if let Kind::Unknown(code) = header.kind {
        return Err(Fault::UnknownKind(code));
    }
    let encoding = Encoding::from_code(header.encoding).ok_or(Fault::UnknownEncoding(header.encoding))?;
    Ok((encoding, Message::decode(header.kind, encoding, payload)?))
}

impl BadFrame {
    /// What to do about it. A reply is never answered, so that two programs can't refuse each other for ever.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.kind.is_reply() {
            return Verdict::Drop;
        }
        let code = match &self.fault {
            Fault::Version(_) => return Verdict::AnswerAndClose(self.versions()),
            Fault::UnknownKind(_) => RefusalCode::UNKNOWN_KIND,
            Fault::Misplaced(_) => RefusalCode::UNEXPECTED_KIND,
            Fault::UnknownEncoding(_) => RefusalCode::UNKNOWN_ENCODING,
            Fault::Payload(_) => RefusalCode::MALFORMED,
        };
        let refused = Refused::new(code, &self.fault.to_string());
        let message = Message::Reply(Reply::Refused(refused));
        Verdict::Answer(Frame { request_id: self.request_id, encoding: self.encoding, message })
    }

    fn versions(&self) -> Frame {
        let message = Message::Versions(Versions::SPOKEN);
        Frame { request_id: self.request_id, encoding: Encoding::Raw, message }
    }
}
