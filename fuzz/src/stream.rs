//! A stream of frames: how it is cut into pieces changes nothing, and no length reserves memory by itself.

use bittrickle_wire::limits::{DATA_BYTES_MAX, HEADER_BYTES, MESSAGE_PAYLOAD_BYTES_MAX};
use bittrickle_wire::{Encoding, Frame, FrameCodec, Kind, Received};
use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, Encoder as _};

/// The first byte seeds the cuts, the rest is the stream.
pub fn stream(data: &[u8]) {
    let Some((&seed, bytes)) = data.split_first() else { return };
    let sides = [
        (FrameCodec::for_requests(), MESSAGE_PAYLOAD_BYTES_MAX),
        (FrameCodec::for_content(), DATA_BYTES_MAX),
    ];
    for (codec, payload_bytes_max) in sides {
        let at_once = read(codec.clone(), payload_bytes_max, &[bytes]);
        let in_pieces = read(codec.clone(), payload_bytes_max, &pieces(seed, bytes));
        assert_eq!(in_pieces, at_once, "where it is cut changes nothing");
        for item in &at_once {
            if let Item::Frame(frame) = item {
                check_round_trip(codec.clone(), payload_bytes_max, frame);
            }
        }
    }
}

/// What a stream holds, in a form that can be compared.
#[derive(Debug, PartialEq)]
enum Item {
    Frame(Frame),
    Bad {
        kind: Kind,
        request_id: u32,
        encoding: Encoding,
        fault: String,
    },
    /// Framing is lost here.
    Lost(String),
}

/// Everything that the pieces hold, up to where framing is lost.
fn read(mut codec: FrameCodec, payload_bytes_max: usize, pieces: &[&[u8]]) -> Vec<Item> {
    let mut buffer = BytesMut::new();
    let mut items = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let reserved_before = buffer.capacity();
            let received = codec.decode(&mut buffer);
            check_reserved(&buffer, reserved_before, payload_bytes_max);
            match received {
                Ok(Some(received)) => items.push(item(received)),
                Ok(None) => break,
                Err(error) => {
                    items.push(Item::Lost(error.to_string()));
                    return items;
                }
            }
        }
    }
    match codec.decode_eof(&mut buffer) {
        Ok(None) => assert!(buffer.is_empty(), "bytes are left, and nobody says so"),
        Ok(Some(received)) => panic!("{received:?} has been waiting"),
        Err(error) => items.push(Item::Lost(error.to_string())),
    }
    items
}

/// A buffer grows at most to twice what it had or to twice one frame: it doubles, and frames are limited.
fn check_reserved(buffer: &BytesMut, reserved_before: usize, payload_bytes_max: usize) {
    let most = 2 * reserved_before.max(HEADER_BYTES + payload_bytes_max);
    assert!(buffer.capacity() <= most, "{} bytes reserved, {most} are plenty", buffer.capacity());
}

fn item(received: Received) -> Item {
    match received {
        Received::Frame(frame) => Item::Frame(frame),
        Received::Bad(bad) => Item::Bad {
            kind: bad.kind,
            request_id: bad.request_id,
            encoding: bad.encoding,
            fault: bad.fault.to_string(),
        },
    }
}

/// A frame that was read can be read again when it is written, unless its JSON has grown too long for a frame.
fn check_round_trip(mut codec: FrameCodec, payload_bytes_max: usize, frame: &Frame) {
    let mut bytes = BytesMut::new();
    if codec.encode(frame.clone(), &mut bytes).is_err() {
        assert!(bytes.is_empty(), "a frame that isn't written leaves nothing behind");
        assert_eq!(frame.encoding, Encoding::Json, "other frames are written as they were read");
        return;
    }
    let again = read(codec, payload_bytes_max, &[&bytes]);
    assert_eq!(again, [Item::Frame(frame.clone())]);
}

/// Cuts into pieces of 1 to 32 bytes; a seed of 0 cuts at every byte.
pub(super) fn pieces(seed: u8, mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut state = u32::from(seed);
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(u32::from(seed));
        let length = 1 + (state >> 27) as usize;
        let (piece, rest) = bytes.split_at(length.min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}
