//! Many files, and a server and a peer that are started again (BT-2.13).

use std::collections::BTreeSet;

use bittrickle_tests::client::Client;
use bittrickle_tests::peer::Peer;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::wait_until;
use bittrickle_wire::messages::{Filter, RefusalCode, Reply, Request, Search};
use bittrickle_wire::{Encoding, Query};

use crate::programs;

/// The names that can be fetched now, once the index knows what has been published.
fn online(client: &mut Client) -> BTreeSet<String> {
    let (mut names, mut after) = (BTreeSet::new(), None);
    loop {
        let filter = Filter { is_online: true, ..Filter::default() };
        let search = Search { text: Query::new("small").unwrap(), filter, after };
        let found = match client.ask(Encoding::Bincode, Request::Search(search)) {
            Reply::Found(found) => found,
            Reply::Refused(refused) if refused.code == RefusalCode::TOO_FAST => continue,
            other => panic!("{other:?}"),
        };
        names.extend(found.hits.iter().map(|hit| hit.name.as_str().to_owned()));
        after = found.next;
        if after.is_none() {
            return names;
        }
    }
}

/// BT-2.13-5, BT-2.13-3: whichever of the two is started again, and with files that have changed or come meanwhile.
#[test]
fn three_hundred_files_are_found_again_after_restarts() {
    let mut server = Server::start(&programs());
    let mut alice = Peer::start(&programs(), &server, "alice", "wonderland", &[]);
    for i in 0..300 {
        alice.write(&format!("small {i:03}.txt"), format!("{i}").as_bytes());
    }
    alice.write(".hidden", b"no name of a file that is shared");
    std::fs::create_dir(alice.path("small folder")).unwrap();
    assert_eq!(alice.ask("pub *"), ["Published 300 files and 1 folder."], "{:?}", alice.stderr());
    let mut bob = Client::log_in(&server, "bob", "builder", 40_002);
    assert_eq!(online(&mut bob).len(), 301);

    server.kill_and_restart();
    bob = Client::log_in(&server, "bob", "builder", 40_002);
    wait_until("all are on offer again", || online(&mut bob).len() == 301);

    let mut alice = alice.kill_and_restart(&programs(), &[]);
    wait_until("alice is forgotten", || online(&mut bob).is_empty());
    alice.write("small 007.txt", b"another text");
    alice.write("small 300.txt", b"300");
    assert_eq!(alice.ask("pub *"), ["Published 301 files and 1 folder."], "{:?}", alice.stderr());
    assert_eq!(online(&mut bob).len(), 302);
    assert_eq!(alice.stderr().len(), 1, "but what can't be shared: {:?}", alice.stderr());
    let mut taker = Peer::start(&programs(), &server, "bob", "builder", &[]);
    taker.ask("get small 007.txt");
    assert_eq!(std::fs::read(taker.path("small 007.txt")).unwrap(), b"another text");
}
