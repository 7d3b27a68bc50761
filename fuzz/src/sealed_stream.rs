//! A sealed stream with any bytes in it: whatever comes out was sealed by the other side, and came in its order.

use std::sync::OnceLock;

use bittrickle_wire::messages::{AskHave, Describe, Described, Fetch, Part, Renewed};
use bittrickle_wire::seal::SealedCodec;
use bittrickle_wire::{Encoding, FileBytes, Frame, Message, Received};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::handshake::{edited, stream_ends};
use super::stream::pieces;

/// The first byte chooses the side and seeds the cuts. The rest is the stream, as steps: a record that the other side has
/// sealed, one of these that is edited or cut, or bytes as they are.
pub fn sealed_stream(data: &[u8]) {
    let Some((&seed, steps)) = data.split_first() else { return };
    let is_fetcher = seed & 1 == 0;
    let sent = if is_fetcher { &sent().to_fetcher } else { &sent().to_provider };
    let bytes = stream(sent, steps);
    assert_eq!(read(is_fetcher, &pieces(seed, &bytes)), expected(sent, &bytes));
}

/// What one side has sealed, in order.
struct Sent {
    to_fetcher: Vec<Record>,
    to_provider: Vec<Record>,
}

struct Record {
    frame: Frame,
    record: BytesMut,
}

/// What came out of a stream.
#[derive(Debug, PartialEq)]
struct Read {
    frames: Vec<Frame>,
    /// Nothing was wrong up to its end.
    ends_well: bool,
}

/// The frames of the records with which the stream begins, up to the first byte that the other side has not sent there.
fn expected(sent: &[Record], mut bytes: &[u8]) -> Read {
    let mut frames = Vec::new();
    for Record { frame, record } in sent {
        let Some(rest) = bytes.strip_prefix(&record[..]) else { break };
        frames.push(frame.clone());
        bytes = rest;
    }
    Read { frames, ends_well: bytes.is_empty() }
}

fn sent() -> &'static Sent {
    static SENT: OnceLock<Sent> = OnceLock::new();
    SENT.get_or_init(|| {
        let (mut fetcher, mut provider) = stream_ends();
        let fetch = |first| Message::Fetch(Fetch { part: Part::PIECES, first, count: 1 });
        let file_bytes = FileBytes::new(300).expect("a size");
        let answers = [
            Message::Described(Described { file_bytes, root: None, manifest_bytes: None, is_complete: true }),
            Message::Data(Bytes::from_static(&[b'a'; 200])),
            Message::Data(Bytes::from_static(b"b")),
            Message::Data(Bytes::new()),
            Message::Renewed(Renewed {}),
        ];
        let requests =
            [fetch(0), Message::Describe(Describe {}), fetch(1), Message::AskHave(AskHave { first: 4_096 })];
        Sent { to_fetcher: seal(&mut provider, &answers), to_provider: seal(&mut fetcher, &requests) }
    })
}

fn seal(codec: &mut SealedCodec, messages: &[Message]) -> Vec<Record> {
    let seal = |(request_id, message): (u32, &Message)| {
        let raw = matches!(message, Message::Data(_));
        let encoding = if raw { Encoding::Raw } else { Encoding::Bincode };
        let frame = Frame { request_id, encoding, message: message.clone() };
        let mut record = BytesMut::new();
        codec.encode(frame.clone(), &mut record).expect("a short frame");
        Record { frame, record }
    };
    (1..).zip(messages).map(seal).collect()
}

/// A step is a byte: its upper bits say what it is, its lower ones which record, or how many bytes.
fn stream(sent: &[Record], mut steps: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [step, rest @ ..] = steps {
        let (record, low) = (&sent[usize::from(step & 0x3f) % sent.len()].record, usize::from(step & 0x3f));
        let taken = match step >> 6 {
            0 => 0,
            1 => 3.min(rest.len()),
            2 => 1.min(rest.len()),
            _ => low.min(rest.len()),
        };
        let (argument, rest) = rest.split_at(taken);
        match step >> 6 {
            0 => out.extend_from_slice(record),
            1 => out.extend(edited(record, argument)),
            2 => {
                let bytes = argument.first().map_or(0, |bytes| usize::from(*bytes));
                out.extend_from_slice(&record[..bytes.min(record.len())]);
            }
            _ => out.extend_from_slice(argument),
        }
        steps = rest;
    }
    out
}

fn read(is_fetcher: bool, pieces: &[&[u8]]) -> Read {
    let (fetcher, provider) = stream_ends();
    let mut codec = if is_fetcher { fetcher } else { provider };
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(Received::Frame(frame))) => frames.push(frame),
                Ok(Some(Received::Bad(bad))) => panic!("{bad:?} was never sealed"),
                Ok(None) => break,
                Err(_) => {
                    assert!(codec.decode(&mut BytesMut::new()).is_err(), "an error is the end");
                    return Read { frames, ends_well: false };
                }
            }
        }
    }
    let ends_well = codec.decode_eof(&mut buffer).is_ok();
    assert!(!ends_well || buffer.is_empty(), "bytes are left, and nobody says so");
    Read { frames, ends_well }
}
