//! What a shell does while its user waits for a command: it goes on publishing, and hears of its session.

use std::fs;

use bittrickle_tests::content::random_bytes;
use bittrickle_tests::peer::Peer;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::wait_until;

use super::{ALICE, BOB, CAROL, MIB, peer, root_of, taker};
use crate::programs;

/// A peer with a file that takes longer to fetch than any of this.
fn slow_peer(server: &Server) -> Peer {
    let mut carol = peer(server, CAROL, &["--limit-rate", "256K"]);
    carol.share("long.bin", &random_bytes(32 * MIB, 1));
    carol
}

fn assert_waiting(alice: &Peer) {
    assert!(!alice.folder_names().contains(&"long.bin".to_owned()), "the download takes two minutes");
}

/// BT-3.4-3, BT-3.7-3: the index learns of roots, whatever the user who publishes is waiting for.
#[test]
fn roots_are_published_while_a_download_goes_on() {
    let server = Server::start(&programs());
    let _carol = slow_peer(&server);
    let (mut alice, bob) = (peer(&server, ALICE, &[]), taker(&server, BOB));
    // More than is hashed before it is published.
    let bytes = (64 << 20) + 1;
    let file = fs::File::create(alice.path("fresh.img")).unwrap();
    file.set_len(bytes).unwrap();
    alice.type_bytes(b"pub fresh.img\nget long.bin\n");
    let root = root_of(&vec![0; bytes as usize]);
    alice.wait_for_stderr(&format!("fresh.img is hashed: {root}"));
    let ended = bob.get(&root);
    assert_eq!(ended.code(), Some(0), "{}", ended.told());
    assert_waiting(&alice);

    fs::remove_file(bob.path("fresh.img")).unwrap();
    file.set_len(bytes + 1).unwrap();
    assert_eq!(bob.get(&root).code(), Some(7));
    let root = root_of(&vec![0; bytes as usize + 1]);
    alice.wait_for_stderr(&format!("fresh.img is hashed: {root}"));
    let ended = bob.get(&root);
    assert_eq!(ended.code(), Some(0), "{}", ended.told());
    assert_waiting(&alice);
}

/// BT-2.4-2: what the session has to say is said at once.
#[test]
fn a_server_that_goes_and_comes_back_is_told_while_a_download_goes_on() {
    let mut server = Server::start(&programs());
    let _carol = slow_peer(&server);
    let mut alice = peer(&server, ALICE, &[]);
    alice.type_line("get long.bin");
    wait_until("the download has begun", || alice.folder_names().iter().any(|name| name.ends_with(".part")));
    server.kill();
    alice.wait_for_stderr("The server has gone silent");
    server.restart();
    alice.wait_for_stderr("The server is back");
    assert_waiting(&alice);
}
