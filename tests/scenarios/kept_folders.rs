//! Folders on disk are kept: what an earlier version has left (`tests/fixtures/`), this one goes on with.

use bittrickle_tests::get::Taker;
use bittrickle_tests::kept::{fixture, state_of};
use bittrickle_tests::peer::Peer;
use bittrickle_tests::process::run;
use bittrickle_tests::server::Server;

use crate::programs;

/// What the fixtures were made of, by the script beside them.
fn repeated(line: &str, bytes: usize) -> Vec<u8> {
    format!("{line}\n").bytes().cycle().take(bytes).collect()
}

/// Alice's peer with what she shared, which its cache of hashes doesn't know: files that were copied are other files.
fn alice(server: &Server) -> Peer {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    put("hello.txt", b"hello\n");
    put("kept.txt", &repeated("what is kept is there when it is needed", 1_600_000));
    std::fs::create_dir_all(folder.path().join("album/inner")).unwrap();
    put("album/a.txt", &repeated("one", 1 << 20));
    put("album/inner/b.txt", &repeated("two", 500_000));
    Peer::go_on_with(&programs(), state_of("alice", server.address()), folder, &[])
}

fn told(output: &std::process::Output) -> String {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout.into_owned()
}

/// BT-3.8-1, BT-3.8-4
#[test]
fn a_servers_a_devices_and_a_downloads_folders_are_gone_on_with() {
    let server = Server::go_on_with(&programs(), &fixture("data"));
    let members = told(&server.admin(&["user", "list"], ""));
    assert!(members.contains("alice") && members.contains("bob"), "{members}");
    // Neither is asked for a password again.
    let mut alice = alice(&server);
    assert_eq!(alice.ask("lpf"), ["album", "hello.txt", "kept.txt"]);
    for name in ["hello.txt", "kept.txt", "album"] {
        alice.publish(name);
    }
    let bob = Taker::go_on_with(&programs(), state_of("bob", server.address()), &fixture("downloads"));
    for name in ["kept.txt", "album"] {
        let ended = bob.get(name);
        assert_eq!(ended.code(), Some(0), "{name}: {}", ended.told());
        assert!(ended.told().contains("1.0 MiB were here already"), "{name}: {}", ended.told());
    }
    assert!(!alice.stderr().join("\n").contains("hashes"), "the cache of hashes is gone on with");
    assert_eq!(bob.names(), ["album", "kept.txt"]);
    for name in ["kept.txt", "album/a.txt", "album/inner/b.txt"] {
        let [kept, fetched] = [alice.path(name), bob.path(name)].map(|path| std::fs::read(path).unwrap());
        assert!(kept == fetched, "{name}");
    }
}

#[test]
fn a_backup_is_started_with_and_an_export_is_taken_in() {
    let server = Server::go_on_with(&programs(), &fixture("backup"));
    let exported = std::fs::read_to_string(fixture("export.jsonl")).unwrap();
    assert_eq!(told(&server.admin(&["export", "-"], "")), exported, "both are of one moment");
    // The device is known, as it was when the backup was made.
    assert_eq!(alice(&server).ask("lpf"), ["album", "hello.txt", "kept.txt"]);

    let place = tempfile::tempdir().unwrap();
    let import = |lines: &str| {
        let mut command = programs().server();
        command.args(["import", "-", "--data-dir"]).arg(place.path().join("data"));
        told(&run(command, lines))
    };
    assert!(import(&exported).starts_with("2 members, 2 devices, 3 publications added"));
    assert!(import(&exported).starts_with("0 members, 0 devices, 0 publications added"));
}
