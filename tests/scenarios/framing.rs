//! Frames and their header, whole and cut, on datagrams and streams (BT-1.1 to BT-1.4).

mod bad_frames;
mod encodings;
mod memory;

use bittrickle_tests::samples::{self, every_message};
use bittrickle_tests::socketless::{Device, Server};
use bittrickle_wire::messages::{Reply, Request};
use bittrickle_wire::{
    DatagramCodec, Encoding, Format, Frame, FrameCodec, FramingError, Header, Kind, Message, Received,
};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder as _, Encoder as _};

const HEADER_BYTES: usize = 12;
const MESSAGE_BYTES_MAX: usize = 1_152;
const DATA_BYTES_MAX: usize = 65_280;

/// BT-1.1-1
#[test]
fn the_first_byte_says_which_format_follows() {
    for first in 0..=u8::MAX {
        let expected = match first {
            0xb7 => Some(Format::Frame),
            0x7b => Some(Format::LegacyJson),
            0x47 => Some(Format::LegacyGet),
            _ => None,
        };
        assert_eq!(Format::of(&[first, 1, 2, 3]), expected, "0x{first:02x}");
    }
    assert_eq!(Format::of(&[]), None);
    assert!((0..=u8::MAX).all(|second| std::str::from_utf8(&[0xb7, second]).is_err()), "0xb7 begins no text");
}

/// BT-1.1-2, BT-1.3-2
#[test]
fn what_begins_with_another_byte_is_dropped_or_closed_at_once() {
    for first in (0..=u8::MAX).filter(|first| *first != 0xb7) {
        for length in [1, 11, 12, 40] {
            let bytes = vec![first; length];
            assert!(matches!(datagram(&bytes), Err(FramingError::NotAFrame(byte)) if byte == first));
            for mut codec in [FrameCodec::for_requests(), FrameCodec::for_content()] {
                let result = codec.decode(&mut BytesMut::from(&bytes[..]));
                assert!(matches!(result, Err(FramingError::NotAFrame(byte)) if byte == first));
            }
            if first != b'{' {
                assert!(answers(&bytes).is_empty(), "0x{first:02x} is not answered");
            }
        }
    }
}

/// BT-1.2-1
#[test]
fn a_header_has_its_fields_at_their_offsets() {
    let bytes = [0xb7, 1, 0x22, 1, 0xde, 0xad, 0xbe, 0xef, 0, 0, 4, 0x80];
    let header = Header::parse(&bytes).unwrap();
    assert_eq!((header.version, header.kind, header.encoding), (1, Kind::Search, 1));
    assert_eq!((header.request_id, header.payload_bytes), (0xdead_beef, 1_152));
    assert_eq!(header.to_bytes(), bytes);
    for (name, encoding, message) in samples_in_each_encoding() {
        let frame = encode(encoding, 0x0102_0304, &message);
        let version = u8::from(message.kind() != Kind::Versions);
        assert_eq!(frame[..4], [0xb7, version, message.kind().code(), encoding.code()], "{name}");
        assert_eq!(frame[4..8], [1, 2, 3, 4], "{name}");
        assert_eq!(frame[8..12], u32::try_from(frame.len() - 12).unwrap().to_be_bytes(), "{name}");
    }
}

/// BT-1.2-2, BT-1.2-3
#[test]
fn an_answer_has_the_request_id_and_the_encoding_of_its_question() {
    let requests = samples::requests();
    // The answer to an enrolment waits for its password to be checked.
    for (name, request) in requests.iter().filter(|(_, request)| !matches!(request, Request::Enrol(_))) {
        for request_id in [0, 1, 0x8000_0000, u32::MAX] {
            for encoding in [Encoding::Json, Encoding::Bincode] {
                let answers = answers(&encode(encoding, request_id, &Message::Request(request.clone())));
                let [answer] = answers.as_slice() else { panic!("{name} has {} answers", answers.len()) };
                assert_eq!((answer.request_id, answer.encoding), (request_id, encoding), "{name}");
                let kind = answer.message.kind();
                assert!(
                    kind.code() == request.kind().code() + 0x80 || kind == Kind::Refused,
                    "{name}: {kind:?}"
                );
            }
        }
    }
}

/// BT-1.4-2: a part of a frame is never taken for a frame.
#[test]
fn a_message_cut_anywhere_is_refused_as_a_datagram() {
    for (name, encoding, message) in samples_in_each_encoding() {
        let bytes = encode(encoding, 7, &message);
        for end in 1..bytes.len() {
            let missing = if end < HEADER_BYTES { HEADER_BYTES } else { bytes.len() } - end;
            let result = datagram(&bytes[..end]);
            let short = matches!(result, Err(FramingError::Short { missing: m }) if m == missing);
            assert!(short, "{name} cut at {end}: {result:?}");
        }
    }
}

/// BT-1.3-1, BT-1.3-2
#[test]
fn a_message_cut_anywhere_is_waited_for_on_a_stream_and_refused_at_its_end() {
    for (name, encoding, message) in samples_in_each_encoding() {
        let bytes = encode(encoding, 7, &message);
        for end in 0..bytes.len() {
            let mut codec = FrameCodec::for_requests();
            let mut buffer = BytesMut::from(&bytes[..end]);
            assert!(matches!(codec.decode(&mut buffer), Ok(None)), "{name} cut at {end}");
            assert_eq!(buffer, bytes[..end], "what is waited for stays, {name} cut at {end}");
            let at_end = codec.decode_eof(&mut buffer);
            match end {
                0 => assert!(matches!(at_end, Ok(None)), "{name}: nothing began, nothing is missing"),
                _ => assert!(
                    matches!(at_end, Err(FramingError::Short { missing: 1.. })),
                    "{name} cut at {end}"
                ),
            }
        }
    }
}

/// BT-1.3-1
#[test]
fn a_stream_gives_the_same_frames_whether_it_comes_at_once_or_byte_by_byte() {
    let frames: Vec<Frame> =
        samples_in_each_encoding().map(|(_, encoding, message)| frame(encoding, 9, &message)).collect();
    let stream: Vec<u8> = frames.iter().flat_map(|f| encode(f.encoding, 9, &f.message)).collect();
    for chunk_bytes in [1, 2, 11, 13, 1_200, stream.len()] {
        let mut codec = FrameCodec::for_content();
        let mut buffer = BytesMut::new();
        let mut found = Vec::new();
        for chunk in stream.chunks(chunk_bytes) {
            buffer.extend_from_slice(chunk);
            while let Some(received) = codec.decode(&mut buffer).unwrap() {
                found.push(good(received));
            }
        }
        assert!(buffer.is_empty() && matches!(codec.decode_eof(&mut buffer), Ok(None)));
        assert_eq!(found, frames, "in pieces of {chunk_bytes} bytes");
    }
}

/// BT-1.4-1, BT-1.4-2
#[test]
fn a_datagram_with_anything_behind_its_frame_is_refused() {
    for (name, encoding, message) in samples_in_each_encoding() {
        let bytes = encode(encoding, 7, &message);
        for behind in [&b"\0"[..], b" ", b"\n", &bytes] {
            let result = datagram(&[&bytes[..], behind].concat());
            let refused = matches!(result, Err(FramingError::TrailingBytes(n)) if n == behind.len());
            assert!(refused, "{name}: {result:?}");
        }
    }
}

/// BT-1.4-2: what is left in the buffer would be read as the next datagram.
#[test]
fn whatever_a_datagram_held_its_buffer_is_empty_afterwards() {
    for (name, encoding, message) in samples_in_each_encoding() {
        let bytes = encode(encoding, 7, &message);
        for end in 0..bytes.len() + 3 {
            for (position, value) in [(0, 0xb7), (0, 0), (1, 9), (2, 0x7f), (3, 9), (8, 0xff), (11, 0)] {
                let mut changed = [&bytes[..], b"xyz"].concat();
                changed[position] = value;
                let mut buffer = BytesMut::from(&changed[..end]);
                // Only what is left matters here; what comes out is other tests' business.
                drop(DatagramCodec.decode(&mut buffer));
                assert!(buffer.is_empty(), "{name} up to {end}, byte {position} is {value}");
            }
        }
    }
}

/// BT-1.4-1, BT-5.3-1
#[test]
fn a_datagram_has_at_most_1200_bytes() {
    let data = |bytes| Frame::data(1, Bytes::from(vec![7; bytes]));
    let mut out = BytesMut::from(&b"before"[..]);
    let refused = DatagramCodec.encode(data(MESSAGE_BYTES_MAX + 1), &mut out);
    assert!(
        matches!(refused, Err(FramingError::MessageTooLong { bytes: 1_153, allowed: 1_152 })),
        "{refused:?}"
    );
    assert_eq!(out, b"before"[..], "a frame that is refused leaves nothing behind");
    DatagramCodec.encode(data(MESSAGE_BYTES_MAX), &mut out).unwrap();
    assert_eq!(out.len(), "before".len() + HEADER_BYTES + MESSAGE_BYTES_MAX);
    assert!(matches!(datagram(&out[6..]), Ok(Some(Received::Frame(_)))));

    let mut longer = out[6..].to_vec();
    longer.push(0);
    longer[11] += 1;
    assert!(matches!(datagram(&longer), Err(FramingError::PayloadTooLong { .. })), "1,201 bytes");
}

/// BT-5.3-1: what doesn't fit is refused where it is made.
#[test]
fn a_message_that_is_too_long_is_not_written() {
    let offers = (0..64).map(|i| samples::offer(&format!("{i:064}"), 1)).collect();
    let message = Message::Request(samples::publish(offers));
    for encoding in [Encoding::Json, Encoding::Bincode] {
        let mut out = BytesMut::from(&b"before"[..]);
        let refused = FrameCodec::for_content().encode(frame(encoding, 1, &message), &mut out);
        assert!(matches!(refused, Err(FramingError::MessageTooLong { allowed: MESSAGE_BYTES_MAX, .. })));
        assert_eq!(out, b"before"[..]);
    }
    let too_much = Frame::data(1, Bytes::from(vec![0; DATA_BYTES_MAX + 1]));
    assert!(FrameCodec::for_content().encode(too_much, &mut BytesMut::new()).is_err());
}

/// BT-1.2-4, BT-1.3-2, BT-5.3-1
#[test]
fn a_length_over_the_limit_of_its_kind_ends_a_stream_when_the_header_is_there() {
    for code in 0..=u8::MAX {
        let kind = Kind::from_code(code);
        let version = u8::from(kind != Kind::Versions);
        let content_max = if kind == Kind::Data { DATA_BYTES_MAX } else { MESSAGE_BYTES_MAX };
        for (codec, allowed) in
            [(FrameCodec::for_requests(), MESSAGE_BYTES_MAX), (FrameCodec::for_content(), content_max)]
        {
            let declare = |bytes: usize| {
                let header = header(version, code, 1, u32::try_from(bytes).unwrap());
                codec.clone().decode(&mut BytesMut::from(&header[..]))
            };
            assert!(matches!(declare(allowed), Ok(None)), "0x{code:02x} of {allowed} bytes is waited for");
            for declared in [allowed + 1, 65_536, 1 << 24, u32::MAX as usize] {
                let refused = matches!(declare(declared), Err(FramingError::PayloadTooLong { .. }));
                assert!(refused, "0x{code:02x} of {declared} bytes");
            }
        }
    }
}

/// BT-5.1-1, BT-5.1-2
#[test]
fn kinds_have_the_codes_of_the_registry() {
    let pairs = [
        (0x01, Kind::Hello, Kind::Retry),
        (0x02, Kind::Initiate, Kind::Accept),
        (0x03, Kind::Sealed, Kind::Reset),
        (0x10, Kind::Login, Kind::LoggedIn),
        (0x11, Kind::Heartbeat, Kind::HeartbeatReply),
        (0x12, Kind::Logout, Kind::LoggedOut),
        (0x13, Kind::Enrol, Kind::Enrolled),
        (0x20, Kind::Publish, Kind::Published),
        (0x21, Kind::Unpublish, Kind::Unpublished),
        (0x22, Kind::Search, Kind::Found),
        (0x23, Kind::Locate, Kind::Located),
        (0x24, Kind::ListPeers, Kind::Peers),
        (0x25, Kind::ListFiles, Kind::Files),
        (0x01, Kind::Hello, Kind::Retry),
        (0x02, Kind::Initiate, Kind::Accept),
        (0x03, Kind::Sealed, Kind::Reset),
        (0x13, Kind::Enrol, Kind::Enrolled),
        (0x26, Kind::Announce, Kind::Announced),
        (0x27, Kind::Recall, Kind::Recalled),
        (0x28, Kind::Resume, Kind::Resumed),
        (0x40, Kind::Describe, Kind::Described),
        (0x41, Kind::Fetch, Kind::Data),
        (0x42, Kind::AskHave, Kind::Have),
        (0x43, Kind::Renew, Kind::Renewed),
    ];
    for (code, request, answer) in pairs {
        assert_eq!((request.code(), answer.code()), (code, code + 0x80));
        assert_eq!((Kind::from_code(code), Kind::from_code(code + 0x80)), (request, answer));
    }
    let others = [(0xf0, Kind::Refused), (0xff, Kind::Versions)];
    for (code, kind) in others {
        assert_eq!((kind.code(), Kind::from_code(code)), (code, kind));
    }
    let known = (0..=u8::MAX).filter(|code| Kind::from_code(*code) != Kind::Unknown(*code)).count();
    assert_eq!((known, Kind::ALL.len()), (42, 42));
}

fn samples_in_each_encoding() -> impl Iterator<Item = (&'static str, Encoding, Message)> {
    every_message().into_iter().flat_map(|(name, message)| {
        let encodings: &[Encoding] = match message {
            Message::Data(_) | Message::Versions(_) => &[Encoding::Raw],
            _ => &[Encoding::Json, Encoding::Bincode],
        };
        encodings.iter().map(move |encoding| (name, *encoding, message.clone()))
    })
}

fn frame(encoding: Encoding, request_id: u32, message: &Message) -> Frame {
    Frame { request_id, encoding, message: message.clone() }
}

fn encode(encoding: Encoding, request_id: u32, message: &Message) -> Vec<u8> {
    let mut out = BytesMut::new();
    DatagramCodec.encode(frame(encoding, request_id, message), &mut out).expect("samples fit a datagram");
    out.to_vec()
}

/// The payload of a message, without its header.
fn payload(encoding: Encoding, message: &Message) -> Vec<u8> {
    encode(encoding, 0, message).split_off(HEADER_BYTES)
}

/// A header with request id 0x01020304.
fn header(version: u8, kind: u8, encoding: u8, payload_bytes: u32) -> Vec<u8> {
    let mut header = vec![0xb7, version, kind, encoding, 1, 2, 3, 4];
    header.extend(payload_bytes.to_be_bytes());
    header
}

/// A frame with these fields, good or bad.
fn bytes_of(version: u8, kind: u8, encoding: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(version, kind, encoding, u32::try_from(payload.len()).unwrap());
    frame.extend(payload);
    frame
}

fn datagram(bytes: &[u8]) -> Result<Option<Received>, FramingError> {
    DatagramCodec.decode(&mut BytesMut::from(bytes))
}

fn good(received: Received) -> Frame {
    match received {
        Received::Frame(frame) => frame,
        Received::Bad(bad) => panic!("{bad:?}"),
    }
}

/// A server, and alice's device, which has logged in and offers one file.
fn server() -> (Server, Device) {
    let mut server = Server::new();
    let mut device = server.log_in("alice", 1, "127.0.0.1:4000");
    server.ask(&mut device, samples::publish(vec![samples::offer("kept.txt", 1)])).expect("an answer");
    (server, device)
}

/// What the index answers alice for these bytes under her device's seal: a frame, or nothing.
fn answers(bytes: &[u8]) -> Vec<Frame> {
    let (mut server, mut device) = server();
    let answer = server.ask_bytes(&mut device, bytes);
    answer.map(|bytes| good(datagram(&bytes).unwrap().unwrap())).into_iter().collect()
}

/// The file that alice offers is still hers, and nothing else.
fn assert_unchanged(server: &mut Server, device: &mut Device) {
    let heartbeat = Request::Heartbeat(bittrickle_wire::messages::Heartbeat {});
    let Some(Reply::HeartbeatReply(reply)) = server.ask(device, heartbeat) else {
        panic!("a heartbeat is answered")
    };
    assert_eq!(reply.offered, 1, "alice's session is as it was");
    let index = &server.responder.index;
    assert_eq!((index.session_count(), index.publication_count()), (1, 1));
}
