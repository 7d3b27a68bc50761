//! The lists of the legacy format: who and what stands in them, in which order, and where they are cut (BT-4.2-7).

use bittrickle_server::access::LegacyAccess;
use bittrickle_server::index::Limits;
use bittrickle_tests::samples;
use bittrickle_wire::messages::{Logout, Request};
use serde_json::Value;

use super::{World, file, plain, search};

/// BT-4.2-7
#[test]
fn names_are_listed_in_the_order_in_which_they_were_first_published() {
    let mut world = World::new();
    for (member, port) in [("alice", 50_000), ("bob", 50_001), ("carol", 50_002)] {
        world.log_in(member, port);
    }
    for (member, name) in [
        ("bob", "z"),
        ("alice", "m"),
        ("bob", "a"),
        ("alice", "z"),
        ("alice", "é"),
        ("bob", "m"),
        ("bob", "Z"),
    ] {
        world.publish(member, name);
    }
    assert_eq!(world.list(&search("carol", "")), ["z", "m", "a", "é", "Z"]);
    assert_eq!(world.list(&plain("lpf", "alice")), ["z", "m", "é"], "whoever published it first");
    world.publish("alice", "m");
    assert_eq!(world.list(&plain("lpf", "alice")), ["z", "m", "é"], "again changes nothing");
    world.ask(&file("unp", "bob", "z"));
    assert_eq!(world.list(&search("carol", ""))[0], "z", "alice still has it");
    world.ask(&file("unp", "alice", "z"));
    world.publish("bob", "z");
    assert_eq!(world.list(&search("carol", "")), ["m", "a", "é", "Z", "z"], "for the first time, again");
}

/// BT-4.2-7
#[test]
fn sch_leaves_out_the_askers_files_and_compares_byte_for_byte() {
    let mut world = World::new();
    world.log_in("alice", 50_000);
    world.log_in("bob", 50_001);
    for name in ["Notes.txt", "notes.TXT", "both", "ΣΑΣ"] {
        world.publish("bob", name);
    }
    world.publish("alice", "mine.notes");
    world.publish("alice", "both");
    assert_eq!(world.list(&search("alice", "notes")), ["notes.TXT"]);
    assert_eq!(world.list(&search("alice", "N")), ["Notes.txt"]);
    assert_eq!(world.list(&search("alice", "bot")), ["both"], "bob has it too");
    assert_eq!(world.list(&search("alice", "σ")), [""; 0]);
    assert_eq!(world.list(&search("alice", "Σ")), ["ΣΑΣ"]);
    assert_eq!(world.list(&search("alice", "*")), [""; 0]);
    assert_eq!(
        world.list(&search("bob", "")),
        ["both", "mine.notes"],
        "in the order of bob's first, then alice's"
    );
}

/// BT-4.2-7
#[test]
fn sch_lists_files_of_owners_who_are_not_active() {
    let mut world = World::new();
    world.log_in("bob", 50_001);
    world.publish("bob", "old");
    world.framed_log_in("127.0.0.1:4000", "carol", 50_002);
    world.framed("127.0.0.1:4000", samples::publish(vec![samples::offer("framed", 1)]));
    world.framed("127.0.0.1:4000", Request::Logout(Logout {}));
    world.wait(3_000);
    world.log_in("alice", 50_000);
    assert_eq!(world.list(&plain("lap", "alice")), [""; 0]);
    assert_eq!(world.list(&search("alice", "")), ["old", "framed"]);
}

/// BT-4.2-7
#[test]
fn users_are_listed_in_the_order_of_their_logins_without_the_asker() {
    let mut world = World::new();
    for member in ["zoë", "alice", "carol"] {
        world.log_in(member, 50_000);
    }
    world.framed_log_in("127.0.0.1:4000", "bob", 50_001);
    assert_eq!(world.list(&plain("lap", "alice")), ["zoë", "carol", "bob"]);
    assert_eq!(world.list(&plain("lap", "zoë")), ["alice", "carol", "bob"]);
    world.wait(2_000);
    for member in ["alice", "carol"] {
        world.ask(&plain("heartbeat", member));
    }
    world.wait(1_000);
    world.log_in("zoë", 50_000);
    assert_eq!(world.list(&plain("lap", "alice")), ["carol", "bob", "zoë"], "a new login stands at the end");
}

/// BT-4.2-4: still JSON, with as many names as fit and no more, for lengths around every edge.
#[test]
fn a_list_of_files_is_cut_between_two_names() {
    for longest in 1..120 {
        let names: Vec<String> = (0..60)
            .map(|i| format!("{i:02}{}", ["n", "é", "日", "😀"][i % 4].repeat(i * 7 % longest % 62)))
            .collect();
        let mut world = World::new();
        world.log_in("alice", 50_000);
        world.log_in("bob", 50_001);
        for name in &names {
            world.publish("bob", name);
        }
        assert_cut(&world.ask(&plain("lpf", "bob")), "files", &names);
        assert_cut(&world.ask(&search("alice", "")), "files", &names);
        let some: Vec<String> = names.iter().filter(|name| name.contains('1')).cloned().collect();
        assert_cut(&world.ask(&search("alice", "1")), "files", &some);
    }
}

/// BT-4.2-4: a reply of 1,024 bytes is whole, one of 1,025 would be cut.
#[test]
fn a_list_that_fits_exactly_is_not_cut() {
    for (last, kept) in [(197, 5), (198, 5), (199, 5), (200, 4), (201, 4)] {
        let mut world = World::new();
        world.log_in("alice", 50_000);
        let around =
            r#"{"status": "success", "message": "Files Listed.", "files": ["", "", "", "", ""]}"#.len();
        let four = (1_024 - around - 199) / 4;
        let rest = (1_024 - around - 199) % 4;
        for (i, bytes) in [four + rest, four, four, four, last].into_iter().enumerate() {
            world.publish("alice", &format!("{i}{}", "n".repeat(bytes - 1)));
        }
        let answer = world.ask(&plain("lpf", "alice"));
        assert_eq!(world.list(&plain("lpf", "alice")).len(), kept, "{last}");
        if last == 199 {
            assert_eq!(answer.len(), 1_024);
        }
    }
}

/// BT-4.2-4
#[test]
fn a_list_of_users_is_cut_between_two_names() {
    let members: Vec<String> =
        (0..60).map(|i| format!("{i:02}{}", ["m", "é", "\"", "\\", "😀"][i % 5].repeat(i % 16))).collect();
    let mut all: Vec<&str> = members.iter().map(String::as_str).collect();
    all.push("alice");
    let mut world = World::with(&all, Limits::default(), LegacyAccess::loopback());
    world.log_in("alice", 50_000);
    for member in &members {
        world.log_in(member, 50_000);
    }
    assert_cut(&world.ask(&plain("lap", "alice")), "users", &members);
}

/// The answer is JSON, starts the list of these names, and the next of them would have made it longer than is read.
fn assert_cut(answer: &str, field: &str, names: &[String]) {
    assert!(answer.len() <= 1_024, "{} bytes", answer.len());
    let value: Value = serde_json::from_str(answer).expect("whole JSON");
    let listed: Vec<&str> =
        value[field].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(
        listed.len() <= names.len()
            && listed.iter().zip(names).all(|(listed, name)| *listed == name.as_str()),
        "{answer}"
    );
    if let Some(next) = names.get(listed.len()) {
        assert!(answer.len() + ", ".len() + python_bytes(next) > 1_024, "{next} would have fitted: {answer}");
    }
}

/// The bytes of a string as Python prints it in JSON, for names without control characters.
fn python_bytes(text: &str) -> usize {
    let bytes = |c: char| match c {
        '"' | '\\' => 2,
        ' '..='~' => 1,
        _ => 6 * c.len_utf16(),
    };
    2 + text.chars().map(bytes).sum::<usize>()
}
