//! Downloads that have sources, and get nothing from them.

use std::fs;

use bittrickle_tests::content::{Content, random_bytes};
use bittrickle_tests::server::Server;
use bittrickle_tests::source::{Act, Source, honest};
use bittrickle_wire::Message;
use bittrickle_wire::messages::{Bitmap, Have};

use super::{ALICE, BOB, CAROL, MIB, assert_fetched, redescribed, taker};
use crate::programs;

/// BT-3.5-8: the only source lacks a piece, and never gets it. After a minute the download ends, keeps the other piece, and
/// goes on with it once there is somebody who has all.
#[test]
fn a_download_whose_sources_all_lack_the_same_piece_ends_and_can_be_gone_on_with() {
    let server = Server::start(&programs());
    let bytes = random_bytes(2 * MIB, 21);
    let content = Content::file(&bytes);
    let partial = Source::start(&server, ALICE, "file.bin", &content, |request, answer| match request {
        Message::Describe(_) => Act::Send(redescribed(answer, |described| described.is_complete = false)),
        Message::AskHave(_) => {
            Act::Send(vec![Message::Have(Have { first: 0, bitmap: Bitmap::new(vec![0b01]).unwrap() })])
        }
        _ => Act::Send(answer),
    });
    let bob = taker(&server, BOB);
    let ended = bob.get("file.bin");
    assert_eq!(ended.code(), Some(7), "{}", ended.told());
    assert!(ended.told().contains("no source is left"), "{}", ended.told());
    assert!(!fs::exists(bob.path("file.bin")).unwrap());
    drop(partial);

    let _complete = Source::start(&server, CAROL, "file.bin", &content, honest);
    let ended = bob.get("file.bin");
    assert_fetched(&bob, &ended, "file.bin", &bytes);
    assert!(ended.told().contains("1.0 MiB were here already"), "{}", ended.told());
}

/// BT-3.5-8: who is missing is said. Without the server, what stands goes on; without both, nothing does.
#[test]
fn a_download_that_has_lost_the_server_and_its_source_says_what_is_missing() {
    let mut server = Server::start(&programs());
    let bytes = random_bytes(4 * MIB, 22);
    let mut alice = super::peer(&server, ALICE, super::SLOW);
    alice.share("goes on.bin", &bytes);
    alice.share("ends.bin", &random_bytes(40 * MIB, 23));
    let (bob, carol) = (taker(&server, BOB), taker(&server, CAROL));
    let (mut going_on, mut ending) = (bob.start("goes on.bin"), carol.start("ends.bin"));
    super::wait_for_part(&bob, &mut going_on, MIB);
    super::wait_for_part(&carol, &mut ending, MIB);
    server.kill();
    assert_fetched(&bob, &going_on.wait(), "goes on.bin", &bytes);
    alice.kill();
    let ended = ending.wait();
    assert_eq!(ended.code(), Some(7), "{}", ended.told());
    let told = "no source is left: the server does not answer, so others can't be looked for";
    assert!(ended.told().contains(told), "{}", ended.told());
}
