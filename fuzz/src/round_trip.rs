//! One message: both encodings carry the same value, and bincode has one form for it.

use bittrickle_wire::limits::HEADER_BYTES;
use bittrickle_wire::{DatagramCodec, Encoding, Frame, Kind, Received};
use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, Encoder as _};

/// The bytes are the kind, the encoding, and the payload: the header around them is always a right one, so that
/// fuzzing spends itself on payloads.
pub fn round_trip(data: &[u8]) {
    let [kind, encoding, payload @ ..] = data else { return };
    let bytes = datagram(*kind, *encoding, payload);
    let Some(frame) = read(&bytes) else { return };
    let written = write(frame.clone());
    if frame.encoding != Encoding::Json {
        assert_eq!(written.as_deref(), Some(&bytes[..]), "a value has one form (BT-1.5-3)");
    } else if let Some(written) = written {
        let expected = objects(&written[HEADER_BYTES..]);
        assert_eq!(objects(payload), expected, "a struct is an object and nothing else (BT-1.5-2)");
    }
    for &encoding in encodings(&frame) {
        let again = Frame { encoding, ..frame.clone() };
        match write(again.clone()) {
            Some(bytes) => assert_eq!(read(&bytes), Some(again)),
            // Only JSON can have grown: it may have been read with `null`s left out, or from bincode.
            None => assert_eq!(encoding, Encoding::Json, "{frame:?} does not fit"),
        }
    }
}

/// The encodings that this frame may be written in (BT-1.2-5).
fn encodings(frame: &Frame) -> &'static [Encoding] {
    match frame.message.kind() {
        Kind::Data | Kind::Versions => &[Encoding::Raw],
        _ => &[Encoding::Json, Encoding::Bincode],
    }
}

/// The objects in a JSON text.
fn objects(json: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (0, false, false);
    for &byte in json {
        count += usize::from(byte == b'{' && !in_string);
        in_string ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
    }
    count
}

fn datagram(kind: u8, encoding: u8, payload: &[u8]) -> Vec<u8> {
    let version = u8::from(kind != Kind::Versions.code());
    let mut bytes = vec![0xb7, version, kind, encoding];
    bytes.extend_from_slice(&REQUEST_ID.to_be_bytes());
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    assert_eq!(bytes.len(), HEADER_BYTES);
    bytes.extend_from_slice(payload);
    bytes
}

fn read(bytes: &[u8]) -> Option<Frame> {
    match DatagramCodec.decode(&mut BytesMut::from(bytes)) {
        Ok(Some(Received::Frame(frame))) => {
            assert_eq!(frame.request_id, REQUEST_ID);
            Some(frame)
        }
        Ok(_) | Err(_) => None,
    }
}

fn write(frame: Frame) -> Option<BytesMut> {
    let mut out = BytesMut::new();
    DatagramCodec.encode(frame, &mut out).ok().map(|()| out)
}

const REQUEST_ID: u32 = 0x0102_0304;
