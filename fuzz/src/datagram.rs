//! One datagram: through the codec, to a server from outside, and inside a seal from a device that is logged in.

use std::net::SocketAddr;
use std::time::Instant;

use bittrickle_server::access::LegacyAccess;
use bittrickle_server::directory::{Change, Directory};
use bittrickle_server::index::{Index, Limits};
use bittrickle_server::responder::{Identity, Responder};
use bittrickle_server::sealing;
use bittrickle_wire::limits::{DATAGRAM_BYTES_MAX, HEADER_BYTES, LEGACY_DATAGRAM_BYTES_MAX};
use bittrickle_wire::messages::{Login, Offer, Publish, RefusalCode, Reply, Request, Versions};
use bittrickle_wire::seal::{Datagram, DatagramSession, Hello, Initiating, SecretKey};
use bittrickle_wire::{
    BadFrame, DatagramCodec, Encoding, Fault, FileBytes, FileName, Frame, Header, Hex64, List, MAGIC,
    MemberName, Message, Received, TransferPort, Verdict,
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
        Fault::Misplaced(_) => RefusalCode::UNEXPECTED_KIND,
        Fault::UnknownEncoding(_) => RefusalCode::UNKNOWN_ENCODING,
        Fault::Payload(_) => RefusalCode::MALFORMED,
    };
    let Verdict::Answer(answer) = bad.verdict() else { panic!("a bad request is refused") };
    let Message::Reply(Reply::Refused(refused)) = &answer.message else { panic!("{answer:?}") };
    assert_eq!((refused.code, answer.request_id), (code, header.request_id));
    assert_eq!(answer.encoding == Encoding::Bincode, header.encoding == Encoding::Bincode.code());
}

/// Outside a seal, nothing that isn't a whole Hello or Initiate is answered, and no answer is longer than its question
/// (BT-6.1-1, BT-6.4-1). Inside one, a request is answered at most once, in one datagram (BT-1.4, BT-1.6).
fn check_server(data: &[u8]) {
    let mut world = World::new();
    let outside = world.respond(STRANGER, data);
    match data.first() {
        Some(b'{') => check_legacy_answer(&outside),
        _ => assert!(
            outside.len() <= data.len(),
            "more bytes than were sent: {} for {}",
            outside.len(),
            data.len()
        ),
    }
    if outside.first() == Some(&MAGIC) {
        assert!(world.respond(OTHER_STRANGER, &outside).is_empty(), "an answer is never answered");
    }
    let Some(answer) = world.ask(data) else { return };
    check_frame_answer(data, &answer);
    assert!(world.ask(&answer).is_none(), "an answer is never answered");
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

/// A server with a member's device online, which shares a file, and another's.
struct World {
    responder: Responder,
    now: Instant,
    device: DatagramSession,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let (ann, bob) = (SecretKey::from_bytes([3; 32]), SecretKey::from_bytes([4; 32]));
        let mut directory = Directory::default();
        for (name, secret) in [("ann", &ann), ("bob", &bob)] {
            let member = MemberName::new(name).expect("a member name");
            directory.apply(&Change::MemberAdded(member.clone()));
            directory.apply(&Change::DeviceAdded { device: secret.public(), member });
        }
        let identity = Identity { secret: SecretKey::from_bytes([1; 32]), directory, seed: [2; 32] };
        let index = Index::new(now, Hex64(7), Limits::default());
        let limits = sealing::Limits::default();
        let mut responder = Responder::new(index, identity, limits, LegacyAccess::loopback());
        let device = shake_hands(&mut responder, now, &ann);
        let mut world = Self { responder, now, device };
        let file_name = FileName::new("ann.txt").expect("a file name");
        let offer = Offer {
            name: file_name,
            file_bytes: FileBytes::new(300).expect("a size"),
            root: None,
            is_folder: false,
        };
        let login = Login { transfer_port: TransferPort::new(6_000).expect("a port") };
        let publish = Publish { files: List::new(vec![offer]).expect("one file") };
        for request in [Request::Login(login), Request::Publish(publish)] {
            let message = Message::Request(request);
            let mut frame = BytesMut::new();
            let request = Frame { request_id: 1, encoding: Encoding::Bincode, message };
            DatagramCodec.encode(request, &mut frame).expect("a short frame");
            world.ask(&frame).expect("an answer");
        }
        world
    }

    fn respond(&mut self, from: SocketAddr, datagram: &[u8]) -> BytesMut {
        let mut datagram = BytesMut::from(datagram);
        let mut out = BytesMut::new();
        self.responder.respond(self.now, from, &mut datagram, &mut out);
        assert!(datagram.is_empty(), "the server's buffer is used again");
        out
    }

    /// Puts these bytes under the device's seal, whatever they are, and opens the answer.
    fn ask(&mut self, text: &[u8]) -> Option<BytesMut> {
        let mut datagram = BytesMut::new();
        self.device.seal_bytes(text, &mut datagram).ok()?;
        let mut answer = self.respond(DEVICE, &datagram);
        assert!(answer.len() <= DATAGRAM_BYTES_MAX);
        let Ok(Datagram::Sealed(sealed)) = Datagram::parse(&answer) else {
            assert!(answer.is_empty(), "who has a session is answered under the seal");
            return None;
        };
        Some(self.device.open_bytes(sealed, &mut answer).expect("it is sealed for us").0)
    }
}

fn shake_hands(responder: &mut Responder, now: Instant, device: &SecretKey) -> DatagramSession {
    let server = SecretKey::from_bytes([1; 32]).public();
    let (mut datagram, mut out) = (BytesMut::new(), BytesMut::new());
    Hello { device_index: 9, nonce: [5; 16] }.write(&mut datagram);
    responder.respond(now, DEVICE, &mut datagram, &mut out);
    let Ok(Datagram::Retry(retry)) = Datagram::parse(&out) else { panic!("Hello is answered") };
    let (mut initiating, initiate) = Initiating::new(device, &server, &retry, [6; 32]);
    initiate.write(&mut datagram);
    out.clear();
    responder.respond(now, DEVICE, &mut datagram, &mut out);
    assert_eq!(responder.next_handshake(now, &mut out), Some(DEVICE));
    let Ok(Datagram::Accept(accept)) = Datagram::parse(&out) else { panic!("Initiate is answered") };
    initiating.finish(&accept).expect("the server has its key").0
}

const DEVICE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7_001);
const STRANGER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7_002);
const OTHER_STRANGER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7_003);
