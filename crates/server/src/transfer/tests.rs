use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::data_dir::DataDir;
use crate::store::{PublicationStore, Store};

/// Two members with devices, one of whom has been away, and what they publish.
const LINES: &str = r#"{"bittrickle_export":{"version":1}}
{"member":{"member":"alice","password":"HASH","disabled":false,"created_unix_s":7}}
{"member":{"member":"bob","password":"HASH","disabled":true,"created_unix_s":18446744073709551615}}
{"device":{"device":"0707070707070707070707070707070707070707070707070707070707070707","member":"bob","enrolled_unix_s":8}}
{"offline":{"member":"bob","hours":12}}
{"publication":{"member":"alice","name":"Grüße.txt","content":{"file_bytes":5,"root":"0909090909090909090909090909090909090909090909090909090909090909","is_folder":false}}}
{"publication":{"member":"alice","name":"b","content":{"file_bytes":null,"root":null,"is_folder":true}}}
{"publication":{"member":"bob","name":"b","content":{"file_bytes":0,"root":null,"is_folder":false}}}
{"end":{"members":2,"devices":1,"offline":1,"publications":3}}
"#;

/// Of a password that nobody knows.
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn lines() -> String {
    LINES.replace("HASH", HASH)
}

fn stores(folder: &Path) -> (Store, PublicationStore) {
    let data_dir = Arc::new(DataDir::open(&folder.join("data"), Duration::ZERO).unwrap());
    (Store::open(Arc::clone(&data_dir)).unwrap(), PublicationStore::open(data_dir).unwrap())
}

fn empty() -> (TempDir, (Store, PublicationStore)) {
    let folder = tempfile::tempdir().unwrap();
    let stores = stores(folder.path());
    (folder, stores)
}

fn import((members, publications): &mut (Store, PublicationStore), text: &str) -> Result<Taken, TakeError> {
    take_in(text.as_bytes(), members, publications, &mut || {})
}

fn export((members, publications): &mut (Store, PublicationStore)) -> String {
    let snapshot =
        Snapshot { members: members.snapshot().unwrap(), publications: publications.snapshot().unwrap() };
    let mut text = Vec::new();
    give(&snapshot, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// What is told about lines that are refused.
fn refused(stores: &mut (Store, PublicationStore), text: &str) -> String {
    let before = export(stores);
    let told = import(stores, text).unwrap_err().to_string();
    assert_eq!(export(stores), before, "after: {told}");
    told
}

#[test]
fn what_is_imported_is_exported_line_by_line_and_is_there_the_second_time() {
    let (folder, mut stores) = empty();
    let taken = import(&mut stores, &lines()).unwrap();
    assert_eq!((taken.added.members, taken.added.publications, taken.there), (2, 3, 0));
    assert_eq!(export(&mut stores), lines());
    drop(stores);
    let mut stores = self::stores(folder.path());
    assert_eq!(export(&mut stores), lines());
    assert_eq!(import(&mut stores, &lines()).unwrap(), Taken { there: 7, ..Taken::default() });
    stores.0.directory().unwrap();
}

#[test]
fn what_is_there_stays_as_it_is() {
    let (_folder, mut stores) = empty();
    let others =
        lines().replace(":true", ":false").replace("\"hours\":12", "\"hours\":3").replace(":5,", ":6,");
    let others = others.replace("\"alice\",\"enrolled", "\"bob\",\"enrolled").replace("\"b\"", "\"c\"");
    import(&mut stores, &others).unwrap();
    let taken = import(&mut stores, &lines()).unwrap();
    assert_eq!((taken.added.publications, taken.there), (2, 5));
    let all = export(&mut stores);
    assert!(
        all.contains("\"hours\":3") && all.contains(":6,") && !all.contains("\"disabled\":true"),
        "{all}"
    );
}

#[test]
fn an_export_that_is_cut_anywhere_changes_nothing() {
    let (_folder, mut stores) = empty();
    let lines = lines();
    // Without its last line feed it is whole.
    for end in (0..lines.len() - 1).filter(|end| lines.is_char_boundary(*end)) {
        let told = import(&mut stores, &lines[..end]).unwrap_err().to_string();
        // Where a line feed alone is missing, it is the next line that isn't there.
        let number = lines[..end].matches('\n').count() + 1 + usize::from(lines[end..].starts_with('\n'));
        assert_eq!(told, format!("line {number}: {}; nothing is imported", line::Fault::Cut), "cut at {end}");
    }
    assert_eq!(export(&mut stores).lines().count(), 2);
}

#[test]
fn a_byte_that_is_changed_anywhere_is_never_a_panic_and_a_hash_is_never_told() {
    let (_folder, mut stores) = empty();
    let lines = lines();
    let mut refused = 0;
    for place in 0..lines.len() {
        for byte in [b'\n', b'7'] {
            let mut bytes = lines.clone().into_bytes();
            bytes[place] = byte;
            let result: Result<(), TakeError> = stores.1.take_in(|publications| {
                stores.0.take_in(|members| {
                    take::take_from(&bytes[..], members, publications, &mut || {})?;
                    // Nothing stays, so that each begins with nothing.
                    Err(io::Error::other("good").into())
                })
            });
            let told = result.unwrap_err().to_string();
            refused += usize::from(told.starts_with("line "));
            assert!(!told.contains("AAAA"), "{told}");
        }
    }
    assert!(refused > lines.len(), "{refused}");
}

#[test]
fn a_wrong_line_is_told_with_its_number_and_changes_nothing() {
    let (_folder, mut stores) = empty();
    let all = lines();
    let lines: Vec<_> = all.lines().collect();
    let with = |index: usize, line: &str| {
        let mut lines = lines.clone();
        lines[index] = line;
        lines.join("\n") + "\n"
    };
    let devices: Vec<_> = (10..27).map(|byte| lines[3].replace("07", &byte.to_string())).collect();
    for (text, told) in [
        (String::new(), "line 1: the export was cut"),
        ("\n".repeat(9), "line 10: the export was cut"),
        (lines[1..].join("\n"), "line 1: an export begins with another line"),
        (with(0, r#"{"bittrickle_export":{"version":2}}"#), "line 1: the export is of version 2"),
        (with(4, "hello"), "line 5: it is not acceptable at column 1: expected value"),
        (with(4, &lines[4].replace("bob", "eve")), "line 5: its member has no line before it"),
        (with(4, &lines[4].replace("12", "-1")), "line 5: it is not acceptable at column"),
        (with(5, &lines[5].replace("Grüße.txt", "a/b")), "line 6: it is not acceptable at column"),
        (with(5, lines[0]), "line 6: another export begins here"),
        (with(6, &" ".repeat(LINE_BYTES_MAX + 1)), "line 7: it has more than 8192 bytes"),
        (with(6, &"[".repeat(LINE_BYTES_MAX)), "line 7: it is not acceptable at column"),
        (with(6, ""), "line 9: it counts other lines"),
        (with(3, &devices.join("\n")), "line 20: its member would have more than 16 devices"),
        (all.clone() + lines[6], "line 10: it comes behind the export's last line"),
        (all.clone() + &all, "line 10: it comes behind the export's last line"),
    ] {
        let error = refused(&mut stores, &text);
        assert!(error.starts_with(told), "{told}: {error}");
    }
}

#[test]
fn publications_of_who_is_no_member_any_more_are_not_exported() {
    let (_folder, mut stores) = empty();
    import(&mut stores, &lines()).unwrap();
    let snapshot = stores.1.snapshot().unwrap();
    stores.0.remove_member(&bittrickle_wire::MemberName::new("alice").unwrap()).unwrap();
    let snapshot = Snapshot { members: stores.0.snapshot().unwrap(), publications: snapshot };
    let mut text = Vec::new();
    give(&snapshot, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(!text.contains("alice") && text.ends_with("\"offline\":1,\"publications\":1}}\n"), "{text}");
    let (_folder, mut others) = empty();
    import(&mut others, &text).unwrap();
}
