//! Sources: those that go, that keep quiet, that are busy, that have only a part.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bittrickle_tests::content::{Content, PIECE, random_bytes};
use bittrickle_tests::server::Server;
use bittrickle_tests::source::{Act, Source, asks_for, honest};
use bittrickle_wire::Message;
use bittrickle_wire::messages::{Fetch, Part, RefusalCode, Refused, Reply};

use rustix::process::Signal;

use super::{
    ALICE, BOB, CAROL, DAVE, MIB, SLOW, assert_failed, assert_fetched, peer, redescribed, taker,
    wait_for_part,
};
use crate::programs;

/// BT-3.5-4, BT-3.5-8
#[test]
fn a_source_that_is_killed_in_the_middle_is_replaced_by_another() {
    let server = Server::start(&programs());
    let bytes = random_bytes(8 * MIB, 1);
    let (mut alice, mut carol) = (peer(&server, ALICE, SLOW), peer(&server, CAROL, SLOW));
    alice.share("file.bin", &bytes);
    let bob = taker(&server, BOB);
    let mut get = bob.start("file.bin");
    wait_for_part(&bob, &mut get, 2 * MIB);
    carol.share("file.bin", &bytes);
    alice.kill();
    let ended = get.wait();
    assert_fetched(&bob, &ended, "file.bin", &bytes);
    assert!(ended.told().contains("alice at "), "it is told who went: {}", ended.told());
}

/// BT-3.5-5, BT-3.5-8, BT-3.3-4: who ends in the middle is tried three times, unless it has brought a piece.
#[test]
fn a_source_that_ends_in_the_middle_is_tried_three_times() {
    let server = Server::start(&programs());
    let bytes = random_bytes(4 * MIB, 4);
    let content = Content::file(&bytes);
    let bob = taker(&server, BOB);
    let cut = Source::start(&server, ALICE, "cut.bin", &content, |request, mut answer| {
        if asks_for(request, Part::PIECES) {
            answer.truncate(2);
            return Act::Close(answer);
        }
        Act::Send(answer)
    });
    let ended = bob.get("cut.bin");
    assert_failed(&bob, &ended, 7);
    assert_eq!(cut.connections("cut.bin"), 3, "{}", ended.told());
    assert_eq!(ended.told().matches("it ends the connection").count(), 3, "{}", ended.told());
    drop(cut);

    // Ending after a piece each time, it is a slow source, but a source.
    let bob = taker(&server, BOB);
    let slow = Source::start(&server, CAROL, "slow.bin", &content, |request, mut answer| {
        if asks_for(request, Part::PIECES) {
            answer.truncate(PIECE.div_ceil(65_280));
            return Act::Close(answer);
        }
        Act::Send(answer)
    });
    let ended = bob.get("slow.bin");
    assert_fetched(&bob, &ended, "slow.bin", &bytes);
    assert!(slow.connections("slow.bin") >= 4, "{}", ended.told());
}

/// BT-5.4-1: nobody waits for ever, and with another source nobody waits at all.
#[test]
fn a_source_that_falls_silent_is_left_in_time() {
    let server = Server::start(&programs());
    let bytes = random_bytes(6 * MIB, 5);
    let content = Content::file(&bytes);
    let silence = |request: &Message, answer: Vec<Message>| match request {
        Message::Fetch(Fetch { part: Part::PIECES, .. }) => Act::Silence,
        _ => Act::Send(answer),
    };
    let silent = Source::start(&server, ALICE, "silent.bin", &content, silence);
    let bob = taker(&server, BOB);
    let alone = bob.start("silent.bin");
    let started = Instant::now();
    alone.wait_for_stderr("does not answer within 10 s");
    assert!((5..15).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    drop(alone);

    let helper = Source::start(&server, CAROL, "silent.bin", &content, honest);
    let carols = taker(&server, DAVE);
    let started = Instant::now();
    let ended = carols.get("silent.bin");
    println!("with a silent source beside the honest one: {:?}", started.elapsed());
    assert_fetched(&carols, &ended, "silent.bin", &bytes);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    drop((silent, helper));
}

/// BT-3.5-10: a member with many devices that say nothing keeps nobody's place.
#[test]
fn silent_devices_of_one_member_do_not_hold_up_an_honest_source() {
    let server = Server::start(&programs());
    let bytes = random_bytes(6 * MIB, 7);
    let content = Content::file(&bytes);
    let silent: Vec<Source> = (0..16)
        .map(|number| {
            Source::start(&server, CAROL, "file.bin", &content, move |request, answer| match request {
                // Some say what they have, and then nothing.
                Message::Describe(_) if number % 2 == 0 => Act::Send(answer),
                _ => Act::Silence,
            })
        })
        .collect();
    let honest = Source::start(&server, ALICE, "file.bin", &content, honest);
    for who in [BOB, DAVE] {
        let taker = taker(&server, who);
        let before: Vec<usize> = silent.iter().map(|source| source.connections("file.bin")).collect();
        assert_fetched(&taker, &taker.get("file.bin"), "file.bin", &bytes);
        let after = silent.iter().map(|source| source.connections("file.bin"));
        let asked: Vec<usize> = after.zip(before).map(|(after, before)| after - before).collect();
        assert!(asked.iter().all(|times| *times <= 1), "none is asked twice: {asked:?}");
        assert!(asked.iter().sum::<usize>() < 8, "most aren't asked at all: {asked:?}");
    }
    assert!(honest.connections("file.bin") >= 2);
}

/// BT-3.5-10: nor do its devices that bring a piece each, and are busy from then on, keep everybody's places.
#[test]
fn devices_of_one_member_that_have_all_places_make_room_for_another_member() {
    let server = Server::start(&programs());
    let bytes = random_bytes(24 * MIB, 8);
    let content = Content::file(&bytes);
    let busy = |request: &Message, answer: Vec<Message>, times: &AtomicU32| {
        let is_late = asks_for(request, Part::PIECES) && times.fetch_add(1, Ordering::Relaxed) > 0;
        let refused = vec![Message::Reply(Reply::Refused(Refused::new(RefusalCode::BUSY, "later")))];
        if !is_late {
            // One piece, and then the rest isn't here now.
            let mut one = answer;
            let is_more = one.len() > PIECE.div_ceil(65_280);
            one.truncate(PIECE.div_ceil(65_280));
            if is_more && asks_for(request, Part::PIECES) {
                one.extend(refused);
            }
            return Act::Send(one);
        }
        Act::Send(refused)
    };
    let devices: Vec<Source> = (0..12)
        .map(|_| {
            let times = AtomicU32::new(0);
            Source::start(&server, CAROL, "file.bin", &content, move |request, answer| {
                busy(request, answer, &times)
            })
        })
        .collect();
    let bob = taker(&server, BOB);
    let get = bob.start("file.bin");
    get.wait_for_stderr("waiting for a turn");
    let honest = Source::start(&server, ALICE, "file.bin", &content, honest);
    assert_fetched(&bob, &get.wait(), "file.bin", &bytes);
    assert!(honest.connections("file.bin") > 0);
    drop(devices);
}

/// BT-3.5-4: one that has brought something, and was away for longer than anybody waits, is a source again.
#[test]
fn a_source_that_was_stopped_is_fetched_from_again() {
    let server = Server::start(&programs());
    let bytes = random_bytes(8 * MIB, 9);
    let mut alice = peer(&server, ALICE, SLOW);
    alice.share("file.bin", &bytes);
    let bob = taker(&server, BOB);
    let mut get = bob.start("file.bin");
    wait_for_part(&bob, &mut get, 2 * MIB);
    alice.signal(Signal::STOP);
    get.wait_for_stderr("does not answer within 10 s");
    alice.signal(Signal::CONT);
    assert_fetched(&bob, &get.wait(), "file.bin", &bytes);
}

/// BT-3.3-2, BT-3.3-4, BT-3.5-4: a refusal is no lie.
#[test]
fn a_source_that_is_busy_or_lacks_pieces_is_asked_again() {
    let server = Server::start(&programs());
    let bytes = random_bytes(3 * MIB, 6);
    let content = Content::file(&bytes);
    let refused = |code| vec![Message::Reply(Reply::Refused(Refused::new(code, "not now")))];
    let (times, counted) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let busy = Source::start(&server, ALICE, "busy.bin", &content, {
        let times = Arc::clone(&times);
        move |request, answer| {
            let is_early = asks_for(request, Part::PIECES) && times.fetch_add(1, Ordering::Relaxed) < 2;
            Act::Send(if is_early { refused(RefusalCode::BUSY) } else { answer })
        }
    });
    let bob = taker(&server, BOB);
    assert_fetched(&bob, &bob.get("busy.bin"), "busy.bin", &bytes);
    assert!(times.load(Ordering::Relaxed) > 2);
    assert_eq!(busy.connections("busy.bin"), 1);
    drop(busy);

    // Nor is it a matter of when: whoever is refused before there is a plan waits for its turn as well, however often it is
    // told to come back, and says so once.
    times.store(0, Ordering::Relaxed);
    let full = Source::start(&server, ALICE, "full.bin", &content, {
        let times = Arc::clone(&times);
        move |request, answer| {
            let is_early = matches!(request, Message::Fetch(_)) && times.fetch_add(1, Ordering::Relaxed) < 8;
            Act::Send(if is_early { refused(RefusalCode::BUSY) } else { answer })
        }
    });
    let ended = bob.get("full.bin");
    assert_fetched(&bob, &ended, "full.bin", &bytes);
    assert_eq!(ended.told().matches("all its upload slots are taken; waiting for a turn").count(), 1);
    assert_eq!(full.connections("full.bin"), 1);
    drop(full);

    // One that gets its pieces bit by bit itself: only what it has by then is asked of it.
    let partial = Source::start(&server, ALICE, "partial.bin", &content, {
        let counted = Arc::clone(&counted);
        move |request, answer| match request {
            Message::Describe(_) => Act::Send(redescribed(answer, |described| described.is_complete = false)),
            Message::AskHave(_) => {
                let has = [0b001, 0b101, 0b111][counted.fetch_add(1, Ordering::Relaxed).min(2) as usize];
                let bitmap = bittrickle_wire::messages::Bitmap::new(vec![has]).unwrap();
                Act::Send(vec![Message::Have(bittrickle_wire::messages::Have { first: 0, bitmap })])
            }
            _ => Act::Send(answer),
        }
    });
    assert_fetched(&bob, &bob.get("partial.bin"), "partial.bin", &bytes);
    let asked: Vec<u32> = partial
        .asked("partial.bin")
        .into_iter()
        .filter_map(|request| match request {
            Message::Fetch(Fetch { part: Part::PIECES, first, count }) => {
                assert_eq!(count, 1, "BT-3.2-5");
                Some(first)
            }
            _ => None,
        })
        .collect();
    assert_eq!(asked, [0, 2, 1]);
}
