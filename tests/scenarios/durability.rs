//! What the index has said that it keeps, it keeps (BT-2.6-8).

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use bittrickle_tests::client::Client;
use bittrickle_tests::samples;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::wait_until;
use bittrickle_wire::Encoding;
use bittrickle_wire::messages::{ListFiles, RefusalCode, Reply, Request};
use bittrickle_wire::seal::SecretKey;

use crate::programs;

/// Names of one request.
fn names(round: u32, batch: u32, every: usize) -> BTreeSet<String> {
    (0..24).step_by(every).map(|nth| format!("{round}-{batch}-{nth}")).collect()
}

fn publish(names: &BTreeSet<String>) -> Request {
    samples::publish(names.iter().map(|name| samples::hashed_offer(name, 5, 7, false)).collect())
}

fn unpublish(names: &BTreeSet<String>) -> Request {
    samples::unpublish(names.iter().map(|name| samples::name(name)).collect())
}

/// The same device each time: a member has few.
pub(crate) fn alice(server: &Server) -> Client {
    Client::log_in_with(server, SecretKey::from_bytes([7; 32]), "alice", "wonderland", 40_001)
}

/// Every page of the member's own files, once the index knows what has been published.
pub(crate) fn own_files(client: &mut Client) -> BTreeSet<String> {
    let (mut names, mut after) = (BTreeSet::new(), None);
    loop {
        let reply = client.ask(Encoding::Bincode, Request::ListFiles(ListFiles { after }));
        let files = match reply {
            Reply::Files(files) => files,
            Reply::Refused(refused) if refused.code == RefusalCode::TOO_FAST => continue,
            other => panic!("{other:?}"),
        };
        names.extend(files.files.iter().map(|file| file.name.as_str().to_owned()));
        after = files.next;
        if after.is_none() {
            return names;
        }
    }
}

/// How many hits a search has, once the index knows what has been published.
fn hits(client: &mut Client, text: &str) -> usize {
    loop {
        match client.ask(Encoding::Bincode, samples::search(text, None)) {
            Reply::Found(found) => return found.hits.len(),
            Reply::Refused(refused) if refused.code == RefusalCode::TOO_FAST => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Publishes batches, and takes a third of each back, until there is no answer. What is certain is in `there`; gives the names
/// of the request that may have been carried out or not.
fn publish_until_killed(alice: &mut Client, round: u32, there: &mut BTreeSet<String>) -> BTreeSet<String> {
    let mut requests = (0..).flat_map(|batch| [(batch, true), (batch, false)]);
    loop {
        let (batch, publishes) = requests.next().expect("there is no end");
        let names = names(round, batch, if publishes { 1 } else { 3 });
        let request = if publishes { publish(&names) } else { unpublish(&names) };
        match alice.try_ask(Encoding::Bincode, request) {
            Some(Reply::Published(_)) => there.extend(names),
            Some(Reply::Unpublished(_)) => there.retain(|name| !names.contains(name)),
            Some(Reply::Refused(refused)) if refused.code == RefusalCode::TOO_FAST => {}
            Some(other) => panic!("{other:?}"),
            None => return names,
        }
    }
}

/// BT-2.6-8: `BITTRICKLE_KILLS` says how often.
#[test]
fn what_was_acknowledged_survives_a_server_that_is_killed_at_any_moment() {
    let kills = std::env::var("BITTRICKLE_KILLS").map_or(12, |kills| kills.parse().expect("a number"));
    let mut server = Server::start(&programs());
    let mut there = BTreeSet::new();
    for round in 0..kills {
        let mut client = alice(&server);
        client.patience(Duration::from_millis(500));
        let uncertain = std::thread::scope(|scope| {
            let publishing = scope.spawn(|| publish_until_killed(&mut client, round, &mut there));
            std::thread::sleep(Duration::from_micros(u64::from(round * 7_919 % 50_000)));
            server.kill();
            publishing.join().unwrap()
        });
        server.restart();
        let listed = own_files(&mut alice(&server));
        let lost: Vec<_> = there.difference(&uncertain).filter(|name| !listed.contains(*name)).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
        let new: Vec<_> = listed.iter().filter(|name| !there.contains(*name)).collect();
        assert!(new.iter().all(|name| uncertain.contains(*name)), "round {round}: {new:?} is from nowhere");
        let half = uncertain.iter().filter(|name| listed.contains(*name)).count();
        assert!(half == 0 || half == uncertain.len(), "round {round}: {half} of {}", uncertain.len());
        there = listed;
    }
    println!("{kills} kills, {} files", there.len());
    let mut bob = Client::log_in(&server, "bob", "builder", 40_002);
    let first = there.first().expect("something has been published in time");
    assert!(hits(&mut bob, first) > 0, "{first} is found");
}

/// BT-2.6-8: a store that can't be read is reported, and nothing is served in its place.
#[test]
fn a_damaged_store_of_publications_ends_the_server_with_what_to_do() {
    let mut server = Server::start(&programs());
    assert_eq!(own_files(&mut alice(&server)), BTreeSet::new(), "the store is there");
    server.kill();
    let path = server.data_dir().join("publications.redb");
    let good = fs::read(&path).unwrap();
    let bad = &good[..good.len() / 3];
    fs::write(&path, bad).unwrap();
    server.restart();
    wait_until("the server says what is wrong", || server.log().contains("publications.redb is damaged"));
    assert!(server.log().contains("restore it from a backup"), "{}", server.log());
    assert!(fs::read(&path).unwrap() == bad, "it is left as it is");
}

/// BT-2.6-8, BT-6.2-9: who is removed leaves no publication, also none on the disk.
#[test]
fn a_member_who_is_removed_and_comes_again_has_published_nothing() {
    let mut server = Server::start(&programs());
    let mut carol = Client::log_in(&server, "carol", "singer", 40_003);
    wait_until("carol has published", || {
        matches!(carol.ask(Encoding::Bincode, publish(&names(0, 0, 1))), Reply::Published(_))
    });
    assert!(server.admin(&["user", "remove", "carol"], "").status.success());
    server.add_member("carol");
    server.kill_and_restart();
    let mut carol = Client::log_in(&server, "carol", "carol", 40_003);
    assert_eq!(own_files(&mut carol), BTreeSet::new());

    // The same while no server runs.
    wait_until("carol has published again", || {
        matches!(carol.ask(Encoding::Bincode, publish(&names(1, 0, 1))), Reply::Published(_))
    });
    server.kill();
    assert!(server.admin(&["user", "remove", "carol"], "").status.success());
    server.add_member("carol");
    server.restart();
    let mut carol = Client::log_in(&server, "carol", "carol", 40_003);
    assert_eq!(own_files(&mut carol), BTreeSet::new());
}

/// BT-6.2-9: a server that is killed while it removes somebody may have kept what they published. Whoever comes under that
/// name while no server runs, in whichever way, has published nothing.
#[test]
fn who_comes_after_a_removal_that_a_kill_cut_short_has_published_nothing() {
    let mut server = Server::start(&programs());
    let mut carol = Client::log_in(&server, "carol", "singer", 40_003);
    wait_until("carol has published", || {
        matches!(carol.ask(Encoding::Bincode, publish(&names(0, 0, 1))), Reply::Published(_))
    });
    server.kill();
    let path = server.data_dir().join("publications.redb");
    let kept = fs::read(&path).unwrap();
    let export = String::from_utf8(server.admin(&["export", "-"], "").stdout).unwrap();
    let without_publications: Vec<_> = export
        .lines()
        .filter(|line| line.contains("export\"") || line.contains(r#""member":"carol","password""#))
        .collect();
    let end = r#"{"end":{"members":1,"devices":0,"offline":0,"publications":0}}"#;
    let only_carol = format!("{}\n{end}\n", without_publications.join("\n"));
    let ways: [&dyn Fn(&Server); 3] = [
        &|server| server.add_member("carol"),
        &|server| {
            let imported = server.admin(&["import", "-"], &only_carol);
            assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
        },
        // The scenarios' file of credentials is imported at each start.
        &|_| {},
    ];
    for come in ways {
        assert!(server.admin(&["user", "remove", "carol"], "").status.success());
        fs::write(&path, &kept).unwrap();
        come(&server);
        server.restart();
        assert!(server.admin(&["user", "passwd", "carol", "--password-stdin"], "singer\n").status.success());
        let mut carol = Client::log_in(&server, "carol", "singer", 40_003);
        assert_eq!(own_files(&mut carol), BTreeSet::new());
        server.kill();
    }
}
