//! Downloads that end early, and are gone on with: by ctrl-C, by a kill in the middle of whatever they do, with whatever a
//! crash may have left of part and journal.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use bittrickle_tests::content::random_bytes;
use bittrickle_tests::get::{Get, Taker};
use bittrickle_tests::peer::Peer;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::wait_until;
use rustix::process::Signal;

use super::{ALICE, BOB, CAROL, MIB, SLOW, assert_fetched, peer, rounds, taker, tree, wait_for_part};
use crate::programs;

/// Interrupts a download that has at least so many bytes on disk.
fn interrupt(taker: &Taker, mut get: Get, bytes: usize, signal: Signal, code: i32) {
    wait_for_part(taker, &mut get, bytes);
    get.signal(signal);
    let ended = get.wait();
    assert_eq!(ended.code(), Some(code), "{}", ended.told());
    assert!(ended.told().contains("what is here is kept"), "{}", ended.told());
    assert_eq!((taker.names().len(), taker.left_overs().len()), (2, 2), "{:?}", taker.names());
}

/// MiB that were there, as it is told.
fn resumed_mib(told: &str) -> f64 {
    let number = told.lines().find_map(|line| line.strip_suffix(" MiB were here already"));
    number.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |number| number.parse().unwrap())
}

/// BT-3.5-8, BT-3.8-1: with the same source, or with another one.
#[test]
fn a_download_that_was_interrupted_is_gone_on_with() {
    let server = Server::start(&programs());
    let bytes = random_bytes(8 * MIB + 3, 1);
    let mut alice = peer(&server, ALICE, SLOW);
    alice.share("file.bin", &bytes);
    let bob = taker(&server, BOB);
    interrupt(&bob, bob.start("file.bin"), 3 * MIB, Signal::INT, 130);
    interrupt(&bob, bob.start("file.bin"), 5 * MIB, Signal::TERM, 143);
    alice.kill();
    let mut carol = peer(&server, CAROL, &[]);
    carol.share("another name.bin", &bytes);
    let ended = bob.get("file.bin");
    // The pieces of what is asked for at last may not have been on disk.
    assert!((2.0..8.0).contains(&resumed_mib(&ended.told())), "{}", ended.told());
    assert_fetched(&bob, &ended, "file.bin", &bytes);
}

/// BT-3.5-8: kept, as long as there is somebody to go on with.
#[test]
fn a_download_whose_only_source_goes_is_kept() {
    let server = Server::start(&programs());
    let bytes = random_bytes(6 * MIB, 2);
    let mut alice = peer(&server, ALICE, SLOW);
    alice.share("file.bin", &bytes);
    let bob = taker(&server, BOB);
    let mut get = bob.start("file.bin");
    wait_for_part(&bob, &mut get, 2 * MIB);
    alice.kill();
    let ended = get.wait();
    assert_eq!(ended.code(), Some(7), "{}", ended.told());
    assert!(
        ended.told().contains("no source is left: nobody who has it is online now; what is here is kept"),
        "{}",
        ended.told()
    );
    wait_until("alice's session is over", || bob.get("file.bin").code() == Some(3));
    assert_eq!(bob.left_overs().len(), 2);
    let mut alice = alice.kill_and_restart(&programs(), &[]);
    alice.publish("file.bin");
    let ended = bob.get("file.bin");
    assert!(resumed_mib(&ended.told()) >= 1.0, "{}", ended.told());
    assert_fetched(&bob, &ended, "file.bin", &bytes);
}

/// Files of a folder in which pieces are whole files, and files have several.
fn fill(alice: &Peer, name: &str) {
    fs::create_dir_all(alice.path(name).join("deep/er")).unwrap();
    for number in 0..40 {
        let path = alice.path(name).join(if number % 2 == 0 { "deep" } else { "deep/er" });
        fs::write(path.join(format!("{number}.bin")), random_bytes(50_000 + number, number as u64)).unwrap();
    }
    fs::write(alice.path(name).join("large.bin"), random_bytes(3 * MIB + 1, 99)).unwrap();
}

/// BT-3.8-3, BT-3.8-4: at whatever moment; `BITTRICKLE_KILLS` says how often.
#[test]
fn a_download_that_is_killed_at_any_moment_is_gone_on_with_to_the_right_bytes() {
    let kills = rounds("BITTRICKLE_KILLS", 12);
    let server = Server::start(&programs());
    let bytes = random_bytes(6 * MIB + 1, 3);
    let mut alice = peer(&server, ALICE, &["--limit-rate", "12M"]);
    alice.share("file.bin", &bytes);
    fill(&alice, "folder");
    alice.publish("folder");
    let folder = tree(&alice.path("folder"));
    let bob = taker(&server, BOB);
    let (mut state, mut killed, mut resumed) = (0x5eed_u64, 0, 0);
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    while killed < kills {
        let name = if killed % 2 == 0 { "file.bin" } else { "folder" };
        // Once, or several times before it may go on.
        for _ in 0..=random(2) {
            let (mut get, kill_at) = (bob.start(name), Instant::now() + Duration::from_millis(random(700)));
            // No state is waited for: any moment will do.
            while !get.is_over() && Instant::now() < kill_at {
                std::thread::sleep(Duration::from_millis(1));
            }
            if get.is_over() {
                break;
            }
            get.kill();
            killed += 1;
        }
        if !bob.names().contains(&name.to_owned()) {
            let ended = bob.get(name);
            assert_eq!(ended.code(), Some(0), "{killed}: {}", ended.told());
            resumed += u32::from(ended.told().contains("were here already"));
        }
        assert_eq!(bob.left_overs(), Vec::<String>::new(), "{killed}");
        if name == "file.bin" {
            assert!(fs::read(bob.path(name)).unwrap() == bytes, "{killed}");
            fs::remove_file(bob.path(name)).unwrap();
        } else {
            assert!(tree(&bob.path(name)) == folder, "{killed}");
            fs::remove_dir_all(bob.path(name)).unwrap();
        }
    }
    println!("{killed} kills, {resumed} times something was there");
    assert!(resumed > 0);
}

/// BT-3.8-2, BT-3.8-4: what a journal says is a hint, however wrong it is, and whatever has become of the part.
#[test]
fn what_is_left_of_a_download_is_never_believed() {
    let server = Server::start(&programs());
    let bytes = random_bytes(5 * MIB + 9, 4);
    let mut alice = peer(&server, ALICE, &["--limit-rate", "4M"]);
    alice.share("file.bin", &bytes);
    let bob = taker(&server, BOB);
    let path = |end: &str| {
        bob.path(bob.left_overs().iter().find(|name| name.ends_with(end)).expect("both are there"))
    };
    let spoils: [(&str, &dyn Fn()); 8] = [
        ("nothing", &|| {}),
        ("wrong bytes in every piece", &|| {
            let part = fs::File::options().write(true).open(path(".part")).unwrap();
            (0..5).for_each(|piece| part.write_all_at(b"wrong", (piece * MIB + 77) as u64).unwrap());
        }),
        ("a part that is cut", &|| {
            fs::File::options().write(true).open(path(".part")).unwrap().set_len(MIB as u64 + 5).unwrap();
        }),
        ("a part that is too long", &|| {
            fs::File::options().write(true).open(path(".part")).unwrap().set_len(50 * MIB as u64).unwrap();
        }),
        ("no part", &|| fs::remove_file(path(".part")).unwrap()),
        ("no journal", &|| fs::remove_file(path(".journal")).unwrap()),
        ("a torn journal", &|| {
            let journal = fs::File::options().write(true).open(path(".journal")).unwrap();
            journal.set_len(journal.metadata().unwrap().len() - 3).unwrap();
        }),
        ("a journal of nonsense", &|| fs::write(path(".journal"), random_bytes(1_000, 5)).unwrap()),
    ];
    for (what, spoil) in spoils {
        interrupt(&bob, bob.start("file.bin"), 2 * MIB, Signal::INT, 130);
        spoil();
        let ended = bob.get("file.bin");
        assert_fetched(&bob, &ended, "file.bin", &bytes);
        let resumed = resumed_mib(&ended.told());
        let nothing_is_right =
            ["wrong bytes in every piece", "no part", "no journal", "a journal of nonsense"];
        assert_eq!(resumed < 1.0, nothing_is_right.contains(&what), "{what}: {}", ended.told());
        fs::remove_file(bob.path("file.bin")).unwrap();
    }
}
