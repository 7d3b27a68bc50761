//! One datagram: through the codec, and through a server that has a session at its address.

use std::net::SocketAddr;
use std::time::Instant;

use bittrickle_server::access::LegacyAccess;
use bittrickle_server::credentials::Credentials;
use bittrickle_server::index::{Index, Limits};
use bittrickle_server::responder::{Counters, Responder};
use bittrickle_wire::limits::{DATAGRAM_BYTES_MAX, HEADER_BYTES, LEGACY_DATAGRAM_BYTES_MAX};
use bittrickle_wire::messages::{Login, Offer, Publish, RefusalCode, Reply, Request, Versions};
use bittrickle_wire::{
    BadFrame, DatagramCodec, Encoding, Fault, FileBytes, FileName, Frame, Header, Hex64, List, MemberName,
    Message, Password, Received, TransferPort, Verdict,
};
use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, Encoder as _};

/// Whatever arrives, the codec leaves an empty buffer, and the server sends at most one small answer.
pub fn datagram(data: &[u8]) {
    let mut buffer = BytesMut::from(data);
    let received = DatagramCodec.decode(&mut buffer);
    assert!(buffer.is_empty(), "what is left would be read as the next datagram");
    match received {
        Ok(None) => assert!(data.is_empty(), "only an empty datagram is nothing"),
        Ok(Some(Received::Frame(frame))) => assert_eq!(frame.request_id, header(data).request_id),
        Ok(Some(Received::Bad(bad))) => check_verdict(data, &bad),
        Err(_) => {}
    }
    check_server(data);
}

/// What follows from a bad frame (BT-1.6, BT-1.7-2).
fn check_verdict(data: &[u8], bad: &BadFrame) {
    let header = header(data);
    assert_eq!((bad.kind, bad.request_id), (header.kind, header.request_id));
    if bad.kind.code() >= 0x80 {
        assert_eq!(bad.verdict(), Verdict::Drop, "answers are never answered");
        return;
    }
    let code = match bad.fault {
        Fault::Version(_) => {
            let message = Message::Versions(Versions::SPOKEN);
            let versions = Frame { request_id: header.request_id, encoding: Encoding::Raw, message };
            assert_eq!(bad.verdict(), Verdict::AnswerAndClose(versions));
            return;
        }
        Fault::UnknownKind(_) => RefusalCode::UNKNOWN_KIND,
        Fault::UnknownEncoding(_) => RefusalCode::UNKNOWN_ENCODING,
        Fault::Payload(_) => RefusalCode::MALFORMED,
    };
    let Verdict::Answer(answer) = bad.verdict() else { panic!("a bad request is refused") };
    let Message::Reply(Reply::Refused(refused)) = &answer.message else { panic!("{answer:?}") };
    assert_eq!((refused.code, answer.request_id), (code, header.request_id));
    assert_eq!(answer.encoding == Encoding::Bincode, header.encoding == Encoding::Bincode.code());
}

/// A server answers loopback only, a request at most once, and in one datagram (BT-1.4, BT-1.6, BT-1.8).
fn check_server(data: &[u8]) {
    let mut responder = responder();
    let start = Instant::now();
    let answer = respond(&mut responder, start, ANN, data);
    let stranger = "192.0.2.7:7000".parse().expect("an address");
    assert!(respond(&mut responder, start, stranger, data).is_empty(), "only loopback is answered");
    let Counters { frames_answered, legacy_answered, malformed, address_refused, unexpected_replies } =
        responder.counters();
    let counted = frames_answered + legacy_answered + malformed + address_refused + unexpected_replies;
    assert_eq!(counted, SETUP_DATAGRAMS + 2, "every datagram is counted once");
    if answer.is_empty() {
        return;
    }
    match data[0] {
        b'{' => check_legacy_answer(&answer),
        _ => check_frame_answer(data, &answer),
    }
    assert!(respond(&mut responder, start, BOB, &answer).is_empty(), "an answer is never answered");
}

fn check_frame_answer(data: &[u8], answer: &[u8]) {
    let question = header(data);
    assert!(question.kind.code() < 0x80, "answers are never answered");
    assert!(answer.len() <= DATAGRAM_BYTES_MAX);
    let Ok(Some(Received::Frame(frame))) = DatagramCodec.decode(&mut BytesMut::from(answer)) else {
        panic!("the answer is not a frame: {answer:?}");
    };
    assert_eq!(frame.request_id, question.request_id);
    let kind = frame.message.kind().code();
    assert!(matches!(kind, 0xf0 | 0xff) || kind == question.kind.code() + 0x80, "0x{kind:02x} answers it");
}

fn check_legacy_answer(answer: &[u8]) {
    assert!(answer.len() <= LEGACY_DATAGRAM_BYTES_MAX, "more than the original reads");
    assert!(answer.iter().all(|byte| matches!(byte, b' '..=b'~')));
}

fn header(data: &[u8]) -> Header {
    let bytes = data.first_chunk::<HEADER_BYTES>().expect("it was long enough to be read");
    Header::parse(bytes).expect("it was read as a frame")
}

/// A server with two members online, each with a file, so that requests find something.
fn responder() -> Responder {
    let credentials = Credentials::parse("ann a\nbob b\ncyd c").expect("three lines");
    let index = Index::new(Hex64(7), credentials, Limits::default());
    let mut responder = Responder::new(index, LegacyAccess::loopback());
    for (address, name, password) in [(ANN, "ann", "a"), (BOB, "bob", "b")] {
        let login = Login {
            member: MemberName::new(name).expect("a member name"),
            password: Password::new(password).expect("a password"),
            transfer_port: TransferPort::new(6_000).expect("a port"),
        };
        let file_name = FileName::new(&format!("{name}.txt")).expect("a file name");
        let offer = Offer { name: file_name, file_bytes: FileBytes::new(300).expect("a size") };
        let publish = Publish { files: List::new(vec![offer]).expect("one file") };
        for request in [Request::Login(login), Request::Publish(publish)] {
            let message = Message::Request(request);
            let frame = Frame { request_id: 1, encoding: Encoding::Bincode, message };
            let mut bytes = BytesMut::new();
            DatagramCodec.encode(frame, &mut bytes).expect("a short frame");
            respond(&mut responder, Instant::now(), address, &bytes);
        }
    }
    responder
}

fn respond(responder: &mut Responder, now: Instant, from: SocketAddr, datagram: &[u8]) -> BytesMut {
    let mut datagram = BytesMut::from(datagram);
    let mut out = BytesMut::new();
    responder.respond(now, from, &mut datagram, &mut out);
    assert!(datagram.is_empty(), "the server's buffer is used again");
    out
}

const ANN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7_001);
const BOB: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7_002);

/// A login and a publication of each of the two.
const SETUP_DATAGRAMS: u64 = 4;
