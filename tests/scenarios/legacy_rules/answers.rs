//! Who gets which answer: logins, sessions, publishing, and where a file can be fetched (BT-4.2).

use bittrickle_server::access::LegacyAccess;
use bittrickle_server::index::Limits;
use bittrickle_tests::samples;
use bittrickle_wire::messages::{Logout, Reply, Request};
use serde_json::{Value, json};

use super::{HERE, World, fail, file, login, plain, search, success};

const WRONG: &str = "Authentication failed. Please try again.";
const ALREADY: &str = "Authentication failed. You are already logged in.";

fn peer(address: &str, port: u16) -> String {
    format!(r#"{{"status": "success", "peer_address": "{address}", "peer_port": {port}}}"#)
}

/// BT-4.2-1: a day in the life of three users, word for word.
#[test]
fn every_answer_has_the_originals_words() {
    let mut world = World::new();
    let day: Vec<(Value, String)> = vec![
        (login("alice", "nope", 50_000), fail(WRONG)),
        (login("mallory", "pw", 50_000), fail(WRONG)),
        (login("alice", "pw", 50_000), success("Welcome to BitTrickle!")),
        (login("alice", "pw", 50_000), fail(ALREADY)),
        (plain("heartbeat", "alice"), success("Hearbeat received")),
        (plain("lap", "alice"), fail("No active peers")),
        (plain("lpf", "alice"), fail("No files published")),
        (login("bob", "pw", 50_001), success("Welcome to BitTrickle!")),
        (
            plain("lap", "alice"),
            r#"{"status": "success", "message": "Active users listed.", "users": ["bob"]}"#.into(),
        ),
        (file("pub", "alice", "a.txt"), success("File published successfully")),
        (file("pub", "alice", "a.txt"), success("File published successfully")),
        (
            plain("lpf", "alice"),
            r#"{"status": "success", "message": "Files Listed.", "files": ["a.txt"]}"#.into(),
        ),
        (plain("lpf", "bob"), r#"{"status": "success", "message": "Files Listed.", "files": []}"#.into()),
        (
            search("bob", "a."),
            r#"{"status": "success", "message": "Matching files found.", "files": ["a.txt"]}"#.into(),
        ),
        (search("bob", "b"), fail("No matching files found.")),
        (file("get", "bob", "a.txt"), peer("127.0.0.1", 50_000)),
        (file("get", "bob", "b.txt"), fail("File not found")),
        (
            file("unp", "bob", "a.txt"),
            fail("File cannot be unpublished as you are not the publisher of the file."),
        ),
        (file("unp", "bob", "b.txt"), fail("No files published with that filename")),
        (file("unp", "alice", "a.txt"), success("File unpublished successfully")),
        (file("unp", "alice", "a.txt"), fail("No files published with that filename")),
        (plain("lpf", "alice"), fail("No files published")),
        (plain("xyz", "alice"), fail("Unknown request")),
    ];
    for (request, expected) in day {
        assert_eq!(world.ask(&request), expected, "{request}");
    }
}

/// BT-4.2-2
#[test]
fn a_user_without_a_session_from_that_ip_address_is_unknown() {
    let mut world = World::new();
    world.log_in("alice", 50_000);
    world.publish("alice", "a");
    world.framed_log_in("127.0.0.1:4000", "carol", 50_002);
    let requests = |member: &str| {
        let plain = ["heartbeat", "lap", "lpf", "xyz", ""].map(|kind| plain(kind, member));
        let files = ["pub", "unp", "get"].map(|kind| file(kind, member, "a"));
        plain.into_iter().chain(files).chain([search(member, "a")]).collect::<Vec<_>>()
    };
    for member in ["bob", "carol", "mallory", "", "Alice", "alice ", "two words"] {
        for request in requests(member) {
            assert_eq!(world.ask(&request), fail("Unknown user"), "{request}");
        }
    }
    for ip in ["127.0.0.2", "::1"] {
        for request in requests("alice") {
            assert_eq!(world.ask_from(ip, &request), fail("Unknown user"), "{request} from {ip}");
        }
    }
    assert_eq!(world.responder.index.publication_count(), 1);
    for kind in ["xyz", "", "LAP", "login ", "search"] {
        assert_eq!(world.ask(&plain(kind, "alice")), fail("Unknown request"), "{kind:?}");
    }
}

/// BT-4.2-3
#[test]
fn a_legacy_session_is_over_after_three_seconds_exactly() {
    for (silence_ms, open) in [(2_999, true), (3_000, false), (3_001, false)] {
        let mut world = World::new();
        world.log_in("alice", 50_000);
        world.wait(silence_ms);
        let expected = if open { success("Hearbeat received") } else { fail("Unknown user") };
        assert_eq!(world.ask(&plain("heartbeat", "alice")), expected, "after {silence_ms} ms");
    }
}

/// BT-4.2-3
#[test]
fn every_request_of_a_user_is_a_sign_of_life() {
    let mut requests = vec![search("alice", "a"), login("alice", "pw", 9_999)];
    requests.extend(["heartbeat", "lap", "lpf", "xyz"].map(|kind| plain(kind, "alice")));
    requests.extend(["pub", "unp", "get"].map(|kind| file(kind, "alice", "a")));
    for request in requests {
        let mut world = World::new();
        world.log_in("alice", 50_000);
        for _ in 0..3 {
            world.wait(2_999);
            world.ask(&request);
        }
        world.wait(2_999);
        assert_eq!(world.ask(&plain("heartbeat", "alice")), success("Hearbeat received"), "{request}");
    }
}

/// BT-4.2-3: with the right password only; and it changes nothing but that.
#[test]
fn a_second_login_fails_and_keeps_the_session_as_it_is() {
    let mut world = World::new();
    world.log_in("alice", 50_000);
    world.log_in("bob", 50_001);
    world.publish("alice", "a");
    world.wait(2_000);
    assert_eq!(world.ask(&login("alice", "nope", 50_009)), fail(WRONG));
    assert_eq!(world.ask_from("127.0.0.2", &login("alice", "pw", 50_009)), fail(ALREADY));
    assert_eq!(world.ask(&login("bob", "nope", 50_009)), fail(WRONG));
    world.wait(1_000);
    assert_eq!(
        world.ask(&plain("heartbeat", "bob")),
        fail("Unknown user"),
        "a wrong password is no sign of life"
    );
    world.log_in("bob", 50_001);
    assert_eq!(
        world.ask(&file("get", "bob", "a")),
        peer("127.0.0.1", 50_000),
        "the first login's address and port"
    );
    assert_eq!(world.ask_from("127.0.0.2", &plain("heartbeat", "alice")), fail("Unknown user"));
}

/// BT-4.2-3, BT-2.3-5: a session of either format.
#[test]
fn a_login_fails_while_the_member_has_a_framed_session() {
    let mut world = World::new();
    world.framed_log_in("127.0.0.1:4000", "alice", 50_000);
    assert_eq!(world.log_in("alice", 50_001), fail(ALREADY));
    assert_eq!(world.ask(&login("alice", "nope", 50_001)), fail(WRONG));
    world.wait(6_999);
    assert_eq!(world.log_in("alice", 50_001), fail(ALREADY));
    world.wait(1);
    assert_eq!(
        world.log_in("alice", 50_001),
        success("Welcome to BitTrickle!"),
        "a login was no sign of its life"
    );
}

/// BT-4.2-5
#[test]
fn what_has_no_acceptable_name_is_not_published() {
    let mut world = World::new();
    world.log_in("alice", 50_000);
    let names = [
        json!(null),
        json!(""),
        json!("../etc/passwd"),
        json!("/etc/passwd"),
        json!("a\\b"),
        json!("C:a"),
        json!(".hidden"),
        json!("-rf"),
        json!("~x"),
        json!("a."),
        json!("a "),
        json!(" a"),
        json!("CON"),
        json!("nul.txt"),
        json!("a\u{0}b"),
        json!("a\u{202e}b"),
        json!("e\u{301}"),
        json!("n".repeat(256)),
        json!("a\nb"),
        json!("a?"),
    ];
    for name in names {
        let request = json!({ "type": "pub", "username": "alice", "filename": name });
        assert_eq!(world.ask(&request), fail("File publish was unsuccessful"), "{name}");
    }
    assert_eq!(
        world.ask(&plain("pub", "alice")),
        fail("File publish was unsuccessful"),
        "no filename at all"
    );
    assert_eq!(world.responder.index.publication_count(), 0);
    world.publish("alice", &"n".repeat(255));
    world.publish("alice", "a b ü.txt");
    for kind in ["unp", "get", "sch"] {
        assert!(
            world.ask(&plain(kind, "alice")).contains(r#""status": "fail""#),
            "{kind} without what it asks for"
        );
    }
}

/// BT-4.2-6
#[test]
fn get_hands_out_an_owner_who_is_active_and_is_not_the_asker() {
    let mut world = World::new();
    for (member, port) in [("alice", 50_000), ("bob", 50_001), ("carol", 50_002)] {
        world.log_in(member, port);
    }
    for member in ["alice", "bob"] {
        world.publish(member, "a");
    }
    world.publish("carol", "hers");
    assert_eq!(world.ask(&file("get", "alice", "a")), peer("127.0.0.1", 50_001));
    assert_eq!(world.ask(&file("get", "bob", "a")), peer("127.0.0.1", 50_000));
    assert_eq!(world.ask(&file("get", "carol", "hers")), fail("File not found"), "only the asker owns it");
    world.wait(2_000);
    world.ask(&plain("heartbeat", "carol"));
    world.ask(&plain("heartbeat", "bob"));
    world.wait(1_000);
    assert_eq!(
        world.ask(&file("get", "carol", "a")),
        peer("127.0.0.1", 50_001),
        "alice isn't active any more"
    );
    assert_eq!(world.ask(&file("get", "bob", "a")), fail("File owner is not active"), "never the asker");
    assert_eq!(world.ask(&file("unp", "bob", "a")), success("File unpublished successfully"));
    assert_eq!(
        world.ask(&file("unp", "bob", "a")),
        fail("File cannot be unpublished as you are not the publisher of the file.")
    );
    assert_eq!(
        world.ask(&file("get", "carol", "a")),
        fail("File owner is not active"),
        "alice's publication stays"
    );
}

/// BT-4.2-8
#[test]
fn get_gives_the_address_of_the_login_and_its_port() {
    let mut world = World::new();
    world.log_in("alice", 50_000);
    for (ip, member, port) in [("127.0.0.9", "bob", 1_024), ("::1", "carol", 65_535)] {
        assert_eq!(world.ask_from(ip, &login(member, "pw", port)), success("Welcome to BitTrickle!"));
        world.ask_from(ip, &file("pub", member, member));
        assert_eq!(world.ask(&file("get", "alice", member)), peer(ip, port));
    }
}

/// BT-4.2-8: where it offers the file; peers take `GET` beside frames.
#[test]
fn get_gives_the_address_of_a_framed_owner() {
    let mut world = World::new();
    world.log_in("alice", 50_000);
    world.framed_log_in("127.0.0.7:4000", "bob", 55_555);
    assert_eq!(world.ask(&file("get", "alice", "a")), fail("File not found"));
    world.framed("127.0.0.7:4000", samples::publish(vec![samples::offer("a", 3)]));
    assert_eq!(world.ask(&file("get", "alice", "a")), peer("127.0.0.7", 55_555));
    assert_eq!(world.list(&plain("lap", "alice")), ["bob"]);
    assert_eq!(world.list(&search("alice", "a")), ["a"]);
    let reply = world.framed("127.0.0.7:4000", Request::Logout(Logout {}));
    assert!(matches!(reply, Reply::LoggedOut(_)));
    assert_eq!(world.ask(&file("get", "alice", "a")), fail("File owner is not active"));
}

/// BT-4.2-8
#[test]
fn a_login_with_a_port_below_1024_fails_with_the_first_sentence() {
    let mut world = World::new();
    for port in [0, 1, 22, 80, 1_023] {
        assert_eq!(world.log_in("alice", port), fail(WRONG), "{port}");
    }
    assert_eq!(world.responder.index.session_count(), 0);
    assert_eq!(world.log_in("alice", 1_024), success("Welcome to BitTrickle!"));
}

/// BT-5.3-2: one datagram keeps nobody waiting for long, however many names there are.
#[test]
fn sch_looks_at_a_bounded_number_of_names() {
    let limits = Limits { names_per_legacy_search: 10, ..Limits::default() };
    let mut world = World::with(&["alice", "bob"], limits, LegacyAccess::loopback());
    world.log_in("alice", 50_000);
    world.log_in("bob", 50_001);
    for i in 0..11 {
        world.publish("bob", &format!("{i:02}"));
    }
    assert_eq!(world.list(&search("alice", "09")), ["09"]);
    assert_eq!(world.ask(&search("alice", "10")), fail("No matching files found."));
}

/// BT-4.1-1: the same words from another address are another's.
#[test]
fn a_session_is_bound_to_its_ip_address() {
    let mut world = World::new();
    world.log_in("alice", 50_000);
    world.wait(2_000);
    assert_eq!(world.ask_from("127.0.0.2", &plain("heartbeat", "alice")), fail("Unknown user"));
    world.wait(1_000);
    assert_eq!(
        world.ask_from(HERE, &plain("heartbeat", "alice")),
        fail("Unknown user"),
        "that was no sign of life"
    );
}
