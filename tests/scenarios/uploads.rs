//! The peer's file server, from the other side: what it refuses, how much it takes, when it closes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bittrickle_tests::peer::Peer;
use bittrickle_tests::server::Server;
use bittrickle_wire::messages::{Fetch, Heartbeat, RefusalCode, Reply, Request};
use bittrickle_wire::{Encoding, FileName, Frame, FrameCodec, Message, Received};
use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, Encoder as _};

use crate::programs;
use crate::sharing::listening_port;

/// A peer that shares these files, and the port of its file server.
fn sharing(server: &Server, files: &[(&str, &[u8])]) -> (Peer, u16) {
    let mut alice = Peer::start(&programs(), server.address(), "alice", "wonderland", &[]);
    for (name, bytes) in files {
        alice.write(name, bytes);
        assert_eq!(alice.ask(&format!("pub {name}")), ["File published successfully"]);
    }
    let port = listening_port(alice.id());
    (alice, port)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn fetch(request_id: u32, encoding: Encoding, name: &str) -> Frame {
    let message = Message::Fetch(Fetch { name: FileName::new(name).unwrap() });
    Frame { request_id, encoding, message }
}

fn send(stream: &mut TcpStream, frame: Frame) {
    let mut bytes = BytesMut::new();
    FrameCodec::for_content().encode(frame, &mut bytes).unwrap();
    stream.write_all(&bytes).unwrap();
}

/// The next frame, or `None` at the end of the stream.
fn next(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<Frame> {
    let mut codec = FrameCodec::for_content();
    loop {
        match codec.decode(buffer).unwrap() {
            Some(Received::Frame(frame)) => return Some(frame),
            Some(Received::Bad(bad)) => panic!("{bad:?}"),
            None => {}
        }
        let mut read = [0; 65_536];
        match stream.read(&mut read) {
            Ok(0) | Err(_) => return None,
            Ok(bytes) => buffer.extend_from_slice(&read[..bytes]),
        }
    }
}

fn refusal(frame: Option<Frame>) -> RefusalCode {
    match frame.expect("an answer").message {
        Message::Reply(Reply::Refused(refused)) => refused.code,
        other => panic!("{other:?}"),
    }
}

/// BT-3.1-2, BT-3.3-1, BT-1.2-2, BT-1.2-3
#[test]
fn fetches_on_one_connection_are_answered_one_after_the_other() {
    let server = Server::start(&programs());
    let big = vec![7; 200_000];
    let (_alice, port) = sharing(&server, &[("small", b"abc"), ("big", &big), ("empty", b"")]);
    let mut stream = connect(port);
    for (id, name) in [(5, "small"), (6, "big"), (7, "empty")] {
        send(&mut stream, fetch(id, Encoding::Json, name));
    }
    let mut buffer = BytesMut::new();
    for (id, expected) in [(5, &b"abc"[..]), (6, &big), (7, b"")] {
        let mut bytes = Vec::new();
        loop {
            let frame = next(&mut stream, &mut buffer).unwrap();
            assert_eq!(frame.request_id, id);
            match frame.message {
                Message::Content(content) => {
                    assert_eq!(frame.encoding, Encoding::Json);
                    assert_eq!(content.file_bytes.bytes(), expected.len() as u64);
                }
                Message::Data(data) => {
                    assert!((1..=65_280).contains(&data.len()));
                    bytes.extend_from_slice(&data);
                }
                Message::Done(_) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(bytes, expected);
    }
}

/// BT-3.1-1, BT-3.2-1, BT-1.6-2
#[test]
fn only_what_is_published_is_served_and_refusals_keep_the_connection() {
    let server = Server::start(&programs());
    let (mut alice, port) = sharing(&server, &[("shared", b"abc"), ("gone", b"x"), ("taken back", b"y")]);
    alice.write("private", b"secret");
    std::fs::remove_file(alice.path("gone")).unwrap();
    assert_eq!(alice.ask("unp taken back"), ["File unpublished successfully"]);
    let mut stream = connect(port);
    let mut buffer = BytesMut::new();
    let cases = [
        ("private", RefusalCode::NOT_SHARED),
        ("taken back", RefusalCode::NOT_SHARED),
        ("gone", RefusalCode::UNREADABLE),
    ];
    for (name, code) in cases {
        send(&mut stream, fetch(1, Encoding::Bincode, name));
        assert_eq!(refusal(next(&mut stream, &mut buffer)), code, "{name}");
    }
    let heartbeat = Message::Request(Request::Heartbeat(Heartbeat {}));
    send(&mut stream, Frame { request_id: 2, encoding: Encoding::Bincode, message: heartbeat });
    assert_eq!(refusal(next(&mut stream, &mut buffer)), RefusalCode::UNEXPECTED_KIND);
    stream.write_all(&[0xb7, 1, 0x77, 1, 0, 0, 0, 3, 0, 0, 0, 0]).unwrap();
    assert_eq!(refusal(next(&mut stream, &mut buffer)), RefusalCode::UNKNOWN_KIND);
    let evil = br#"{"name":"../shared"}"#;
    stream.write_all(&[0xb7, 1, 0x40, 0, 0, 0, 0, 4, 0, 0, 0, evil.len() as u8]).unwrap();
    stream.write_all(evil).unwrap();
    assert_eq!(refusal(next(&mut stream, &mut buffer)), RefusalCode::MALFORMED);
    send(&mut stream, fetch(9, Encoding::Bincode, "shared"));
    let content = next(&mut stream, &mut buffer).unwrap().message;
    assert!(matches!(content, Message::Content(_)), "{content:?}");
}

/// BT-1.3-2, BT-1.1-2, BT-1.7-2
#[test]
fn a_stream_that_can_not_be_read_is_closed() {
    let server = Server::start(&programs());
    let (_alice, port) = sharing(&server, &[("shared", b"abc")]);
    let mut huge = vec![0xb7, 1, 0x40, 1, 0, 0, 0, 1];
    huge.extend_from_slice(&[0xff; 4]);
    for bytes in [&b"HELLO"[..], b"{\"type\": \"lap\"}", &huge, &[0xb7, 1, 0x40]] {
        let mut stream = connect(port);
        stream.write_all(bytes).unwrap();
        // The other side may have closed already.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert_eq!(rest, b"", "{bytes:?}");
    }
    let mut stream = connect(port);
    stream.write_all(&[0xb7, 2, 0x40, 1, 0, 0, 0, 1, 0, 0, 0, 0]).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, [0xb7, 0, 0xff, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1]);
}

/// BT-4.3-1, BT-4.3-2, BT-4.3-3
#[test]
fn a_legacy_get_is_served_for_published_names_and_reset_for_all_others() {
    let server = Server::start(&programs());
    let (alice, port) = sharing(&server, &[("notes.txt", b"abc"), ("empty", b"")]);
    alice.write("private", b"secret");
    let get = |request: &[u8]| {
        let mut stream = connect(port);
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map(|_| answer).ok()
    };
    assert_eq!(get(b"GET notes.txt"), Some(b"abc".to_vec()));
    assert_eq!(get(b"GET notes.txt\n"), Some(b"abc".to_vec()));
    assert_eq!(get(b"GET  notes.txt \r\n"), Some(b"abc".to_vec()));
    assert_eq!(get(b"GET empty"), Some(Vec::new()));
    let absolute = format!("GET {}", alice.path("notes.txt").display());
    for request in [
        &b"GET private"[..],
        b"GET ./notes.txt",
        b"GET ../notes.txt",
        absolute.as_bytes(),
        b"GET",
        b"GET a b",
        b"GOT notes.txt",
        b"GET \xff\xfe",
        &[b'G'; 2_000],
    ] {
        assert_eq!(get(request), None, "{}", String::from_utf8_lossy(request));
    }
}

/// BT-1.8-1, BT-4.3-5
#[test]
fn nothing_is_taken_from_another_machine() {
    let from = |ip: &str| bittrickle_peer::net::takes_from(ip.parse().unwrap());
    assert!(from("127.0.0.1") && from("127.8.9.10") && from("::1") && from("::ffff:127.0.0.1"));
    assert!(
        !from("192.0.2.1")
            && !from("10.0.0.1")
            && !from("fe80::1")
            && !from("::ffff:192.0.2.1")
            && !from("0.0.0.0")
    );
}

/// BT-3.3-2: a file that shrinks while it is sent is not completed.
#[test]
fn a_file_that_shrinks_while_it_travels_is_never_called_done() {
    let server = Server::start(&programs());
    let (alice, port) = sharing(&server, &[("big", &vec![1; 8_000_000])]);
    let mut stream = connect(port);
    send(&mut stream, fetch(1, Encoding::Bincode, "big"));
    let mut buffer = BytesMut::new();
    let content = next(&mut stream, &mut buffer).unwrap();
    assert!(matches!(content.message, Message::Content(_)));
    std::fs::File::options().write(true).open(alice.path("big")).unwrap().set_len(10).unwrap();
    let mut bytes = 0;
    while let Some(frame) = next(&mut stream, &mut buffer) {
        match frame.message {
            Message::Data(data) => bytes += data.len(),
            // Fast enough to have been read before it shrank: then all of it was sent.
            Message::Done(_) => return assert_eq!(bytes, 8_000_000),
            other => panic!("{other:?}"),
        }
    }
    assert!(bytes < 8_000_000);
}

/// BT-5.4-2, BT-5.4-1: strangers who say nothing neither pile up nor keep members out for long.
#[test]
fn silent_connections_are_bounded_and_closed_after_their_deadline() {
    let server = Server::start(&programs());
    let (_alice, port) = sharing(&server, &[("notes.txt", b"abc")]);
    let mut silent: Vec<TcpStream> = (0..100).map(|_| connect(port)).collect();
    let closed = silent.split_off(80);
    for mut stream in closed {
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "more than 64 are closed at once");
    }
    for mut stream in silent {
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "the others within the deadline");
    }
    let mut stream = connect(port);
    send(&mut stream, fetch(1, Encoding::Bincode, "notes.txt"));
    assert!(next(&mut stream, &mut BytesMut::new()).is_some());
}

/// BT-3.2-1, BT-5.4-2
#[test]
fn more_uploads_than_there_are_slots_are_told_to_come_back() {
    let server = Server::start(&programs());
    let (alice, port) = sharing(&server, &[]);
    let mut alice = alice;
    // Large enough that no socket buffer swallows it: each taker keeps its slot until it reads.
    std::fs::File::create(alice.path("big")).unwrap().set_len(1 << 30).unwrap();
    assert_eq!(alice.ask("pub big"), ["File published successfully"]);
    let mut takers: Vec<TcpStream> = (0..32).map(|_| connect(port)).collect();
    for taker in &mut takers {
        send(taker, fetch(1, Encoding::Bincode, "big"));
        assert!(next(taker, &mut BytesMut::new()).is_some(), "its upload has begun");
    }
    let mut late = connect(port);
    send(&mut late, fetch(1, Encoding::Bincode, "big"));
    assert_eq!(refusal(next(&mut late, &mut BytesMut::new())), RefusalCode::BUSY);
    drop(takers);
    bittrickle_tests::wait::wait_until("a slot is free again", || {
        send(&mut late, fetch(2, Encoding::Bincode, "big"));
        matches!(next(&mut late, &mut BytesMut::new()).unwrap().message, Message::Content(_))
    });
}

/// BT-5.4-1, BT-5.4-2: who asks for something else than a file gets no more time for it.
#[test]
fn a_connection_that_never_fetches_is_closed_like_a_silent_one() {
    let server = Server::start(&programs());
    let (_alice, port) = sharing(&server, &[]);
    let started = std::time::Instant::now();
    let mut stream = connect(port);
    let mut buffer = BytesMut::new();
    let heartbeat = Message::Request(Request::Heartbeat(Heartbeat {}));
    send(&mut stream, Frame { request_id: 2, encoding: Encoding::Bincode, message: heartbeat });
    assert_eq!(refusal(next(&mut stream, &mut buffer)), RefusalCode::UNEXPECTED_KIND);
    assert_eq!(next(&mut stream, &mut buffer), None);
    assert!(started.elapsed() < Duration::from_secs(15), "long before a fetching peer would be closed");
}

/// BT-5.4-2
#[test]
fn connections_that_have_fetched_are_bounded_too() {
    let server = Server::start(&programs());
    let (_alice, port) = sharing(&server, &[("notes.txt", b"abc")]);
    let mut kept = Vec::new();
    for _ in 0..260 {
        let mut stream = connect(port);
        // Where the other side has closed already, this may fail: that is the answer.
        let mut fetch_bytes = BytesMut::new();
        FrameCodec::for_content().encode(fetch(1, Encoding::Bincode, "notes.txt"), &mut fetch_bytes).unwrap();
        let _ = stream.write_all(&fetch_bytes);
        if next(&mut stream, &mut BytesMut::new()).is_some() {
            kept.push(stream);
        }
    }
    assert_eq!(kept.len(), 256);
}
