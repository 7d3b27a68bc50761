//! Faults of the way between honest peers: none of them makes a liar of a source (BT-3.5-4).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bittrickle_tests::content::{Content, PIECE, random_bytes};
use bittrickle_tests::server::Server;
use bittrickle_tests::source::{Act, Source, asks_for};
use bittrickle_tests::wait::wait_for;
use bittrickle_wire::Message;
use bittrickle_wire::messages::Part;
use rustix::process::Signal;

use super::{ALICE, BOB, MIB, SLOW, assert_fetched, peer, taker, wait_for_part};
use crate::programs;

/// What happens to the answers of an otherwise honest source, each time but the last.
type Fault = fn(Vec<Message>) -> Act;

/// What is asked for, and how that is told.
type Place = (&'static str, fn(&Message) -> bool);

/// BT-3.5-4: a bit changed on the way, or an end in the middle, wherever in a download, is tried again.
#[test]
fn what_breaks_on_the_way_is_fetched_again_from_the_same_source() {
    let server = Server::start(&programs());
    let bytes = random_bytes(3 * PIECE + 7, 41);
    let content = Content::file(&bytes);
    let source = Source::log_in(&server, ALICE);
    let bob = taker(&server, BOB);
    let is_described = |request: &Message| matches!(request, Message::Describe(_));
    let is_outline = |request: &Message| asks_for(request, Part::OUTLINE);
    let is_pieces = |request: &Message| asks_for(request, Part::PIECES);
    let places: [Place; 3] = [("description", is_described), ("outline", is_outline), ("pieces", is_pieces)];
    let faults: [(&str, Fault); 2] = [
        ("a bit", Act::Break),
        ("an end", |mut answer| {
            answer.truncate(answer.len() / 2);
            Act::Close(answer)
        }),
    ];
    for (place, is_there) in places {
        for (what, fault) in faults {
            let name = format!("{what} in the {place}");
            let times = AtomicUsize::new(0);
            source.share(&name, &content, move |request, answer| {
                let is_broken = is_there(request) && times.fetch_add(1, Ordering::Relaxed) < 2;
                if is_broken { fault(answer) } else { Act::Send(answer) }
            });
            let ended = bob.get(&name);
            assert_fetched(&bob, &ended, &name, &bytes);
            assert!(!ended.told().contains("it is not asked again"), "{name}: {}", ended.told());
            // Two requests for pieces may have been under way at once.
            assert!((2..=3).contains(&source.connections(&name)), "{name}");
        }
    }
}

/// BT-3.5-4, BT-3.5-5: a way on which nothing comes through is given up, and that isn't the source's lie.
#[test]
fn a_way_that_breaks_everything_is_given_up_and_nobody_has_lied() {
    let server = Server::start(&programs());
    let content = Content::file(&random_bytes(100, 42));
    let source = Source::start(&server, ALICE, "file.bin", &content, |_, answer| Act::Break(answer));
    let ended = taker(&server, BOB).get("file.bin");
    assert_eq!(ended.code(), Some(7), "{}", ended.told());
    assert!(ended.told().contains("what comes from it is broken"), "{}", ended.told());
    assert!(ended.told().contains("from here none of them is reached"), "{}", ended.told());
    assert_eq!(source.connections("file.bin"), 3);
}

/// A taker that is stopped for longer than anybody waits goes on afterwards. Here the source is left alone for less: it is
/// `records.rs` where a window passes in an instant.
#[test]
fn a_taker_that_was_stopped_goes_on() {
    let server = Server::start(&programs());
    let bytes = random_bytes(6 * MIB, 43);
    let (mut alice, bob) = (peer(&server, ALICE, SLOW), taker(&server, BOB));
    alice.share("file.bin", &bytes);
    let mut get = bob.start("file.bin");
    wait_for_part(&bob, &mut get, MIB);
    get.signal(Signal::STOP);
    // The index forgets it meanwhile.
    wait_for("the session is over", Duration::from_secs(30), || {
        alice.ask("lap").iter().any(|line| line == "No active peers").then_some(())
    });
    get.signal(Signal::CONT);
    let ended = get.wait();
    assert_fetched(&bob, &ended, "file.bin", &bytes);
}
