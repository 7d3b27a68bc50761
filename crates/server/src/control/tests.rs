use std::io::{BufRead as _, BufReader as StdBufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Instant;

use bittrickle_wire::MemberName;
use tempfile::TempDir;

use super::*;
use crate::durability::Durability;
use crate::store::Store;

fn data(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

/// A socket in `data` in a folder, with an empty store behind it. Nobody takes in changes: these tests make none.
fn start() -> (TempDir, Control) {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = Arc::new(DataDir::open(&data(&folder), Duration::ZERO).unwrap());
    let store = Store::open(Arc::clone(&data_dir)).unwrap();
    let (accounts, _) = Accounts::start(store).unwrap();
    // It ends at once.
    let snapshots = Durability::start(Arc::clone(&data_dir)).unwrap().snapshots();
    let control = Control::start(data_dir, accounts, snapshots, "192.0.2.1:16980".parse().unwrap()).unwrap();
    (folder, control)
}

/// Sends these bytes and reads a line.
fn exchange(folder: &TempDir, bytes: &[u8]) -> String {
    let mut stream = StdUnixStream::connect(data(folder).join(FILE_NAME)).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut line = String::new();
    let _ = StdBufReader::new(stream).read_line(&mut line);
    line
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_a_line_of_json_and_so_is_the_answer() {
    let (folder, control) = start();
    let socket = data(&folder).join(FILE_NAME);
    assert_eq!(fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
    assert_eq!(exchange(&folder, b"\"listening_address\"\n"), "{\"listening\":\"192.0.2.1:16980\"}\n");
    let answer = ask(&data(&folder), &Command::ListMembers { after: None }).unwrap();
    assert_eq!(answer, Answer::Members(Vec::new()));
    let nobody = MemberName::new("nobody").unwrap();
    let answer = ask(&data(&folder), &Command::RemoveMember(nobody)).unwrap();
    assert_eq!(answer, Answer::Refused(Refusal::NoMember));
    drop(control);
    assert!(!socket.exists());
    assert!(matches!(ask(&data(&folder), &Command::ListeningAddress), Err(AskError::Nobody(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_who_keeps_publications_there_is_no_export() {
    let (folder, _control) = start();
    for _ in 0..2 {
        let refusal = export(&data(&folder)).unwrap().unwrap_err();
        assert_eq!(refusal, Refusal::NotKeeping, "the place is free again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_command_is_refused() {
    let (folder, _control) = start();
    let long = [b" ".repeat(LINE_BYTES_MAX), b"\"listening_address\"\n".to_vec()].concat();
    for bytes in [
        &b"\n"[..],
        b"{}\n",
        b"\"listening_address\"",
        b"\"dance\"\n",
        b"{\"list_members\":{\"after\":null,\"more\":1}}\n",
        b"{\"add_member\":{\"member\":\"alice\",\"password\":\"wonderland\"}}\n",
        b"\xff\n",
        &long,
    ] {
        let answer = exchange(&folder, bytes);
        assert!(answer.is_empty() || answer == "{\"refused\":\"not_understood\"}\n", "{answer}");
        assert!(bytes.len() > LINE_BYTES_MAX || !answer.is_empty());
    }
    assert!(!exchange(&folder, b"\"listening_address\"\n").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_say_nothing_are_hung_up_on_and_then_others_are_served() {
    let (folder, _control) = start();
    let begun = Instant::now();
    let connect = |_| StdUnixStream::connect(data(&folder).join(FILE_NAME)).unwrap();
    let _silent: Vec<_> = (0..CONNECTIONS_MAX).map(connect).collect();
    assert!(ask(&data(&folder), &Command::ListeningAddress).is_ok());
    assert!(begun.elapsed() >= DEADLINE - Duration::from_secs(1), "more than {CONNECTIONS_MAX} at once");
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_anything_else_is_not() {
    let (folder, control) = start();
    std::mem::forget(control);
    let path = data(&folder).join(FILE_NAME);
    remove_stale(&path).unwrap();
    assert!(!path.exists());
    fs::write(&path, "precious").unwrap();
    assert!(matches!(remove_stale(&path), Err(ControlError::NotASocket { .. })));
}
