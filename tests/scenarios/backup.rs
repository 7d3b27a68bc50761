//! Backups, exports and imports, as the operator sees them: with the server running, stopped, and killed in between.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bittrickle_tests::client::Client;
use bittrickle_tests::process::{Process, run};
use bittrickle_tests::samples;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::wait_until;
use bittrickle_wire::Encoding;
use bittrickle_wire::messages::{RefusalCode, Reply};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::durability::{alice, own_files};
use crate::programs;

fn command(arguments: &[&str], data_dir: &Path) -> Command {
    let mut command = programs().server();
    command.args(arguments).arg("--data-dir").arg(data_dir);
    command
}

/// What a command wrote to stdout, and to stderr. It must end with this exit code.
fn told(output: &Output, code: i32) -> (String, String) {
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8(bytes.clone()).unwrap());
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    (stdout, stderr)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The names of what is in a folder, hidden or not.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn export(data_dir: &Path) -> String {
    told(&run(command(&["export", "-"], data_dir), ""), 0).0
}

/// A data folder, for which no server runs, with so many publications.
fn filled(publications: usize) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let credentials = folder.path().join("credentials");
    fs::write(&credentials, "alice wonderland\nbob builder\n").unwrap();
    told(&run(command(&["user", "import", text(&credentials)], &data_dir), ""), 0);
    told(&run(command(&["invite", "--host", "192.0.2.1:16980"], &data_dir), ""), 0);
    let mut lines = String::from("{\"bittrickle_export\":{\"version\":1}}\n");
    for number in 0..publications {
        let member = ["alice", "bob"][usize::from(number > publications / 2)];
        let content = r#"{"file_bytes":5,"root":null,"is_folder":false}"#;
        let line = format!(
            r#"{{"publication":{{"member":"{member}","name":"file {number:06}","content":{content}}}}}"#
        );
        writeln!(lines, "{line}").unwrap();
    }
    writeln!(lines, r#"{{"end":{{"members":0,"devices":0,"offline":0,"publications":{publications}}}}}"#)
        .unwrap();
    let (imported, _) = told(&run(command(&["import", "-"], &data_dir), &lines), 0);
    let expected =
        format!("0 members, 0 devices, {publications} publications added; 0 lines were there already\n");
    assert_eq!(imported, expected);
    (folder, data_dir)
}

/// Publishes file after file until it is told to stop. Gives those that were acknowledged.
fn publish_until(client: &mut Client, round: usize, is_over: &AtomicBool) -> Vec<String> {
    let mut there = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let name = format!("{round}-{}", there.len());
        let request = samples::publish(vec![samples::hashed_offer(&name, 5, 7, false)]);
        match client.ask(Encoding::Bincode, request) {
            Reply::Published(_) => there.push(name),
            Reply::Refused(refused) if refused.code == RefusalCode::TOO_FAST => {}
            other => panic!("{other:?}"),
        }
    }
    there
}

#[test]
fn a_backup_of_a_running_server_has_what_was_acknowledged_and_serves() {
    let mut server = Server::start(&programs());
    let mut client = alice(&server);
    let (mut before, mut all) = (BTreeSet::new(), BTreeSet::new());
    let backup = server.data_dir().with_file_name("backup");
    for round in 0..3 {
        before.clone_from(&all);
        let _ = fs::remove_dir_all(&backup);
        let is_over = AtomicBool::new(false);
        let published = std::thread::scope(|scope| {
            let publishing = scope.spawn(|| publish_until(&mut client, round, &is_over));
            let (said, _) = told(&server.admin(&["backup", text(&backup)], ""), 0);
            assert!(said.starts_with("backed up 4 members, 1 devices, "), "{said}");
            is_over.store(true, Ordering::Relaxed);
            publishing.join().unwrap()
        });
        assert!(!published.is_empty(), "publishing goes on meanwhile");
        all.extend(published);
    }
    assert_eq!(mode(&backup), 0o700);
    let files = ["members.redb", "publications.redb", "server.key"];
    assert_eq!(names(&backup), files.map(str::to_owned).into());
    assert_eq!(files.map(|file| mode(&backup.join(file))), [0o600; 3]);

    server.kill();
    fs::remove_dir_all(server.data_dir()).unwrap();
    fs::rename(&backup, server.data_dir()).unwrap();
    server.restart();
    let restored = own_files(&mut alice(&server));
    assert!(before.is_subset(&restored), "{:?} are lost", before.difference(&restored));
    assert!(restored.is_subset(&all), "{:?} are from nowhere", restored.difference(&all));
}

#[test]
fn an_export_of_a_running_server_is_imported_elsewhere_and_is_the_same_there() {
    let mut server = Server::start(&programs());
    let mut client = alice(&server);
    let files = vec![samples::hashed_offer("Grüße", 5, 7, false), samples::offer("a b", 9)];
    wait_until("alice has published", || {
        matches!(client.ask(Encoding::Bincode, samples::publish(files.clone())), Reply::Published(_))
    });
    told(&server.admin(&["user", "disable", "bob"], ""), 0);
    let file = server.data_dir().with_file_name("all.jsonl");
    let (said, _) = told(&server.admin(&["export", text(&file)], ""), 0);
    assert_eq!(said, format!("9 lines written to {}\n", file.display()));
    assert_eq!(mode(&file), 0o600);
    let exported = fs::read_to_string(&file).unwrap();
    assert_eq!(told(&server.admin(&["export", "-"], ""), 0).0, exported);
    let (_, error) = told(&server.admin(&["export", text(&file)], ""), 1);
    assert!(error.contains("already there"), "{error}");
    let (_, error) = told(&server.admin(&["import", text(&file)], ""), 1);
    assert!(error.contains("a server is running") && error.contains("stop it, import"), "{error}");

    let other = server.data_dir().with_file_name("other");
    let (said, warned) = told(&run(command(&["import", text(&file)], &other), ""), 0);
    assert_eq!(said, "4 members, 1 devices, 2 publications added; 0 lines were there already\n");
    assert_eq!((warned.as_str(), export(&other)), ("", exported.clone()));
    let (said, _) = told(&run(command(&["import", "-"], &other), &exported), 0);
    assert_eq!(said, "0 members, 0 devices, 0 publications added; 7 lines were there already\n");
    server.stop(Signal::TERM);
    assert_eq!(export(&server.data_dir()), exported, "the stopped server's folder says the same");
}

#[test]
fn what_is_no_export_is_refused_with_the_line_and_nothing_is_changed() {
    let (folder, data_dir) = filled(100);
    let exported = export(&data_dir);
    let lines: Vec<_> = exported.lines().collect();
    let (file, other) = (folder.path().join("file"), folder.path().join("other"));
    told(&run(command(&["import", "-"], &other), "{\"bittrickle_export\":{\"version\":1}}\n"), 1);
    let empty = export(&other);
    for (bad, said) in [
        (exported[..exported.len() / 2].to_owned(), "the export was cut off here"),
        (lines[..50].join("\n") + "\n", "line 51: the export was cut off here"),
        (exported.replace("000042", "../etc"), "line 46: it is not acceptable at column "),
        (exported.replace("$argon2id$", "$argon2i$"), "line 2: it is not acceptable at column "),
        (
            exported.replace("{\"member\":{\"member\":\"bob\"", "{\"member\":{\"member\":\"eve\""),
            "line 55: its member",
        ),
        (lines[1..].join("\n"), "line 1: an export begins with another line"),
        (exported.replace("\"publications\":100", "\"publications\":99"), "line 104: it counts other lines"),
    ] {
        fs::write(&file, bad).unwrap();
        let (_, error) = told(&run(command(&["import", text(&file)], &other), ""), 1);
        assert!(error.contains(said) && error.contains("nothing is imported"), "{said}: {error}");
        assert!(!error.contains("argon2"), "{error}");
        assert_eq!(export(&other), empty, "{said}");
    }
    for no_file in [folder.path(), &folder.path().join("none")] {
        let (_, error) = told(&run(command(&["import", text(no_file)], &other), ""), 1);
        assert!(error.contains("can't read it"), "{error}");
    }
    let (_, error) = told(&run(command(&["backup", text(&file)], &data_dir), ""), 1);
    assert!(error.contains("already there"), "{error}");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let (_, error) = told(&run(command(&["export", "-"], folder.path()), ""), 1);
    assert!(error.contains("there are no members in"), "{error}");
}

/// Starts a command that says nothing on stdout until it has done its work, and ends it after a while. Gives its exit code.
fn end_after(command: &mut Command, after: Duration, signal: Signal) -> Option<i32> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut process = Process::new(child);
    std::thread::sleep(after);
    if process.ended().is_none() {
        process.signal(signal);
    }
    process.wait().code()
}

#[test]
fn a_backup_that_is_killed_at_any_moment_is_complete_or_not_there() {
    let (folder, data_dir) = filled(8_000);
    let exported = export(&data_dir);
    let is_draft = |name: &String| name.starts_with(".backup.") && name.ends_with(".new");
    let (mut complete, mut nothing) = (0, 0);
    for nth in 0_u32..16 {
        let target = folder.path().join("backup");
        let signal = if nth.is_multiple_of(2) { Signal::KILL } else { Signal::INT };
        let mut backup = command(&["backup", text(&target)], &data_dir);
        let code = end_after(&mut backup, Duration::from_millis(u64::from(20 + nth * nth * 8)), signal);
        if target.exists() {
            assert_eq!(export(&target), exported, "after {code:?}");
            fs::remove_dir_all(&target).unwrap();
            complete += 1;
        } else {
            assert!(matches!(code, None | Some(130)), "{code:?}");
            nothing += 1;
        }
        let drafts: Vec<_> = names(folder.path()).into_iter().filter(is_draft).collect();
        assert!(code != Some(130) || drafts.is_empty(), "ctrl-C leaves nothing: {drafts:?}");
        drafts.iter().for_each(|draft| fs::remove_dir_all(folder.path().join(draft)).unwrap());
    }
    println!("{complete} complete, {nothing} not there");
    assert!(nothing > 0);
    assert_eq!(export(&data_dir), exported, "what is backed up stays as it is");
}

#[test]
fn an_export_that_nobody_reads_holds_up_neither_the_server_nor_its_end() {
    let (folder, data_dir) = filled(30_000);
    let mut server = Server::start(&programs());
    server.stop(Signal::TERM);
    fs::remove_dir_all(server.data_dir()).unwrap();
    fs::rename(&data_dir, server.data_dir()).unwrap();
    server.restart();
    let mut client = alice(&server);
    wait_until("publications are read", || !some_files(&mut client).is_empty());

    let start = || {
        let mut command = command(&["export", "-"], &server.data_dir());
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        assert!(first.starts_with("{\"bittrickle_export\""), "{first}");
        (Process::new(child), stdout)
    };
    let (mut stalled, reader) = start();
    let request = samples::publish(vec![samples::offer("meanwhile", 5)]);
    assert!(matches!(client.ask(Encoding::Bincode, request), Reply::Published(_)));
    let (_, error) = told(&server.admin(&["backup", text(&folder.path().join("backup"))], ""), 1);
    assert!(error.contains("another backup or export is under way"), "{error}");
    stalled.kill();
    drop(reader);
    wait_until("there is a place again", || server.admin(&["export", "-"], "").status.success());

    let (mut stalled, reader) = start();
    assert!(server.stop(Signal::TERM).success(), "it ends though nobody reads");
    let lines = reader.lines().map_while(Result::ok).count();
    assert_eq!((stalled.wait().code(), lines < 30_000), (Some(1), true), "{lines}");
}

/// Some of the member's files, once the index knows them.
fn some_files(client: &mut Client) -> Vec<String> {
    match client.ask(Encoding::Bincode, samples::search("file 000", None)) {
        Reply::Found(found) => found.hits.iter().map(|hit| hit.name.as_str().to_owned()).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn each_command_has_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["backup", "export", "import"] {
        let (help, _) = told(&run(command(&[name, "--help"], folder.path()), ""), 0);
        assert!(help.contains(&format!("bittrickle-server {name} ")), "{help}");
    }
}
