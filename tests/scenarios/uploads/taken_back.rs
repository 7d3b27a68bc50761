//! What has changed since somebody was let in: a content was taken back, hashed, changed or downloaded to its end.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;

use bittrickle_tests::client::Client;
use bittrickle_tests::content::{Content, Entry, PIECE, random_bytes};
use bittrickle_tests::peer::Peer;
use bittrickle_tests::sealed_stream::SealedStream;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::{PATIENCE, wait_for};
use bittrickle_wire::content::chaining_value;
use bittrickle_wire::messages::{Describe, Described, Locate, RefusalCode, Reply, Request};
use bittrickle_wire::{Encoding, Frame, Message, Root, Target};

use super::{LIFE_MS, Sharing, bytes_of, refusal};
use crate::programs;

fn describe(stream: &mut SealedStream) -> Result<Described, RefusalCode> {
    let message = Message::Describe(Describe {});
    stream.send(Frame { request_id: 1, encoding: Encoding::Bincode, message }).unwrap();
    match stream.receive().expect("an answer").message {
        Message::Described(described) => Ok(described),
        Message::Reply(Reply::Refused(refused)) => Err(refused.code),
        other => panic!("{other:?}"),
    }
}

fn refused(stream: &mut SealedStream, piece: u32) -> RefusalCode {
    stream.fetch(7, Encoding::Bincode, piece, 1).unwrap();
    refusal(stream.receive())
}

fn piece(stream: &mut SealedStream, piece: u32, bytes: usize) -> Vec<u8> {
    stream.fetch(8, Encoding::Bincode, piece, 1).unwrap();
    bytes_of(stream, 8, bytes)
}

/// BT-3.7-1: who was let in before gets nothing more either, until it is shared again.
#[test]
fn what_is_taken_back_is_refused_from_the_next_request_on() {
    let bytes = random_bytes(2 * PIECE, 1);
    let mut sharing = Sharing::start(&[("film", &bytes)]);
    let mut stream = sharing.enter("film");
    assert!(piece(&mut stream, 0, PIECE) == bytes[..PIECE]);
    assert_eq!(sharing.alice.ask("unp film"), ["File unpublished successfully"]);
    assert_eq!(refused(&mut stream, 1), RefusalCode::NOT_SHARED);
    assert_eq!(describe(&mut stream), Err(RefusalCode::NOT_SHARED));
    sharing.alice.publish("film");
    assert!(piece(&mut stream, 1, PIECE) == bytes[PIECE..]);
}

/// BT-3.7-1, BT-3.3-2: nor the rest of what it is being sent.
#[test]
fn an_answer_ends_where_its_content_is_taken_back() {
    let mut sharing = Sharing::start(&[]);
    // More than all socket buffers on the way take.
    File::create(sharing.alice.path("big")).unwrap().set_len(63 << 20).unwrap();
    sharing.alice.publish("big");
    let mut stream = sharing.enter("big");
    stream.fetch(1, Encoding::Bincode, 0, 63).unwrap();
    let mut received = 0;
    let refused = loop {
        match stream.receive().expect("an answer").message {
            Message::Data(data) => {
                if received == 0 {
                    assert_eq!(sharing.alice.ask("unp big"), ["File unpublished successfully"]);
                }
                received += data.len();
            }
            Message::Reply(Reply::Refused(refused)) => break refused.code,
            other => panic!("{other:?}"),
        }
        assert!(received < 63 << 20, "all of it was sent");
    };
    assert_eq!(refused, RefusalCode::NOT_SHARED);
    assert_eq!(describe(&mut stream), Err(RefusalCode::NOT_SHARED), "and the connection goes on");
}

/// BT-3.4-3, BT-3.4-4: the pieces are the same, and their values too, whoever has worked them out.
#[test]
fn who_fetches_by_name_goes_on_when_the_content_has_been_hashed() {
    const BYTES: u64 = 512 << 20;
    let mut sharing = Sharing::start(&[]);
    File::create(sharing.alice.path("large")).unwrap().set_len(BYTES).unwrap();
    sharing.alice.publish("large");
    let mut stream = sharing.enter("large");
    let expected = [vec![0; PIECE], chaining_value(3 << 20, &vec![0; PIECE]).to_vec()].concat();
    assert!(piece(&mut stream, 3, PIECE + 32) == expected);
    // In the middle of an answer, more than all socket buffers on the way take.
    stream.fetch(9, Encoding::Bincode, 0, 64).unwrap();
    let told = sharing.alice.wait_for_stderr("large is hashed: ");
    let pieces = bytes_of(&mut stream, 9, 64 * (PIECE + 32));
    assert!(pieces[3 * (PIECE + 32)..].starts_with(&expected));
    let described = describe(&mut stream).unwrap();
    assert_eq!(described.file_bytes.bytes(), BYTES);
    assert!(described.root.is_some_and(|root| told.ends_with(&root.to_string())), "{told}");
    assert!(piece(&mut stream, 3, PIECE + 32) == expected);
}

/// BT-3.7-2, BT-3.7-3: of a folder in which one file has changed nothing is sent, also not what is as it was.
#[test]
fn a_folder_is_refused_as_a_whole_when_one_file_of_it_has_changed() {
    let mut sharing = Sharing::start(&[]);
    let folder = sharing.alice.path("stuff");
    fs::create_dir(&folder).unwrap();
    for name in ["a", "b"] {
        fs::write(folder.join(name), name).unwrap();
    }
    sharing.alice.publish("stuff");
    let content = Content::folder(&[Entry::File("a", b"a"), Entry::File("b", b"b")]);
    let target = Target::Root(content.root()).to_string();
    let ticket = sharing.index.ticket("alice", &sharing.device.public(), &target, LIFE_MS);
    let mut stream = sharing.show_for(&sharing.device, &ticket, &target).unwrap();
    assert_eq!((piece(&mut stream, 0, 1), piece(&mut stream, 1, 1)), (b"a".to_vec(), b"b".to_vec()));
    fs::write(folder.join("a"), "another").unwrap();
    assert_eq!(refused(&mut stream, 0), RefusalCode::CHANGED);
    let code = refused(&mut stream, 1);
    assert!(matches!(code, RefusalCode::CHANGED | RefusalCode::NOT_SHARED), "{code:?}");
    sharing.alice.wait_for_stderr("stuff is hashed: ");
    assert_eq!(refused(&mut stream, 1), RefusalCode::NOT_SHARED, "its root is another one");
    let told = sharing.alice.stderr();
    let changes = told.iter().filter(|line| line.contains("stuff/a has changed on disk")).count();
    assert_eq!(changes, 1, "{told:?}");
}

/// A connection to this member's download of a content, as soon as it is announced.
fn enter_download(server: &Server, member: &str, root: Root) -> SealedStream {
    let target = Target::Root(root);
    let mut carol = Client::log_in(server, "carol", "singer", 40_000);
    let source = wait_for("the download is announced", PATIENCE, || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let locate = Locate { target: target.clone(), after: None };
        match carol.ask(Encoding::Bincode, Request::Locate(locate)) {
            Reply::Located(located) => {
                located.sources.into_vec().into_iter().find(|source| source.member.as_str() == member)
            }
            other => panic!("{other:?}"),
        }
    });
    let (access, address) = (source.access.unwrap(), source.address.socket_address());
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let target = target.to_string();
    SealedStream::begin(stream, carol.device(), &access.device, &access.ticket, &target)
        .expect("a good ticket")
}

/// BT-3.5-9, BT-3.7-2: who is fetching from a download may go on when that is complete. It is the user's then, and nothing
/// that differs from what was verified is sent.
#[test]
fn a_download_that_has_become_complete_is_served_to_those_who_are_fetching_it() {
    let server = Server::start(&programs());
    let mut alice = Peer::start(&programs(), &server, "alice", "wonderland", &["--limit-rate", "2M"]);
    let mut bob = Peer::start(&programs(), &server, "bob", "builder", &[]);
    let bytes = random_bytes(6 * PIECE, 2);
    alice.share("film", &bytes);
    bob.type_line("get film");
    let mut stream = enter_download(&server, "bob", Root::of(&bytes));
    assert!(!describe(&mut stream).unwrap().is_complete);
    bob.wait_for_stdout("File downloaded successfully.");
    for number in 0..6 {
        assert!(piece(&mut stream, number, PIECE) == bytes[number as usize * PIECE..][..PIECE], "{number}");
    }
    let file = File::options().write(true).open(bob.path("film")).unwrap();
    file.write_all_at(b"secret", 2 * PIECE as u64).unwrap();
    assert_eq!(refused(&mut stream, 2), RefusalCode::CHANGED);
}
