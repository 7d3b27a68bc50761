//! All benchmarks run to their end and print what scripts read. The figures themselves are nobody's promise here.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::process::{Command, Output};

use serde_json::Value;

#[test]
fn codec_measures_every_kind_in_every_encoding_that_carries_it() {
    let figures = figures(&["codec", "--quick", "--json"]);
    for name in ["codec.search.json.encode", "codec.found.json.decode", "codec.data.raw.encode"] {
        assert!(figures[name]["value"].as_f64().unwrap() > 0.0, "{name}");
        assert_eq!(figures[name]["unit"], "ns/message");
    }
    let bincode = &figures["codec.search.bincode.decode"];
    let ratio = bincode["value"].as_f64().unwrap() / bincode["floor"].as_f64().unwrap();
    assert_eq!(bincode["floor"], figures["codec.search.json.decode"]["value"]);
    assert!((bincode["ratio"].as_f64().unwrap() - ratio).abs() < 1e-9);
    // 34 kinds in two encodings and 2 raw ones, written and read.
    assert_eq!(figures.len(), 2 * (34 * 2 + 2));
}

#[test]
fn index_measures_every_scenario_beside_the_echo() {
    let figures = figures(&["index", "--seconds", "0.05", "--names", "1000", "--sessions", "17", "--json"]);
    for name in ["index.heartbeat", "index.search", "index.locate"] {
        check_rate(&figures, name);
    }
    assert_eq!(figures.len(), 6);
}

#[test]
fn searches_are_timed_beside_a_look_at_all_names() {
    let figures = figures(&["search", "--names", "2000", "--queries", "50", "--json"]);
    for name in ["search.2k.bytes", "search.2k.p50", "search.2k.p99", "search.2k.short.p99"] {
        assert!(figures[name]["value"].as_f64().unwrap() > 0.0, "{name}");
    }
}

#[test]
fn publications_are_counted_when_they_are_durable_and_are_there_after_a_kill() {
    let published = figures(&["publish", "--names", "2000", "--sessions", "4", "--json"]);
    let durable = &published["publish.durable"];
    assert!(
        durable["value"].as_f64().unwrap() > 0.0 && durable["floor"].as_f64().unwrap() > 0.0,
        "{durable}"
    );
    let restarted = figures(&["restart", "--names", "2000", "--json"]);
    let all = restarted["restart.2000"]["value"].as_f64().unwrap();
    assert!(restarted["restart.2000.heartbeat"]["value"].as_f64().unwrap() <= all);
}

#[test]
fn sealed_heartbeats_are_measured_beside_the_null_cipher() {
    let figures = figures(&["sealed", "heartbeat", "--seconds", "0.05", "--sessions", "2", "--json"]);
    check_rate(&figures, "sealed.heartbeat");
    assert_eq!(figures.len(), 2);
}

#[test]
fn sealed_packets_and_handshakes_are_measured() {
    let arguments = ["sealed", "packet", "handshakes", "--seconds", "0.05", "--handshakes", "5", "--json"];
    let figures = figures(&arguments);
    for (name, unit) in [
        ("sealed.packet", "ns"),
        ("sealed.packet.aes_with_keys", "ns"),
        ("sealed.handshakes", "handshakes/s/core"),
    ] {
        assert!(figures[name]["value"].as_f64().unwrap() > 0.0, "{name}");
        assert_eq!(figures[name]["unit"], unit);
    }
    assert_eq!(figures.len(), 3);
}

#[test]
fn sealed_devices_come_back_to_a_server_that_was_killed() {
    let figures = figures(&["sealed", "return", "--devices", "20", "--json"]);
    let back = &figures["sealed.return.20"];
    assert!(back["value"].as_f64().unwrap() > 0.0 && back["unit"] == "s", "{back}");
    assert_eq!(figures.len(), 1);
}

#[test]
fn sealed_memory_is_told_by_parts() {
    let figures = figures(&["sealed", "memory", "--memory-sessions", "1000", "--json"]);
    for name in ["sealed.memory", "sealed.memory.sealing", "sealed.memory.index"] {
        assert!(figures[name]["value"].as_f64().unwrap() > 0.0, "{name}");
        assert_eq!(figures[name]["unit"], "bytes/session");
    }
    assert_eq!(figures.len(), 3);
}

#[test]
fn sessions_that_say_that_they_are_there_stay_online() {
    let figures =
        figures(&["sessions", "--sessions", "130", "--seconds", "0.5", "--interval-ms", "500", "--json"]);
    assert_eq!(figures["sessions.130.offline"]["value"].as_f64(), Some(0.0));
    for (name, unit) in [("cpu", "cores"), ("lateness", "ms"), ("memory", "bytes/session")] {
        assert_eq!(figures[&format!("sessions.130.{name}")]["unit"], unit);
    }
    assert_eq!(figures.len(), 4);
}

#[test]
fn a_tracker_is_measured_beside_the_echo() {
    let tracker = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = tracker.local_addr().unwrap().to_string();
    std::thread::spawn(move || answer_announces(&tracker));
    let figures =
        figures(&["tracker", "--address", &address, "--seconds", "0.1", "--torrents", "3", "--json"]);
    check_figure(&figures, "tracker.announce", "replies/s");
    assert!(figures["tracker.announce"]["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0));
    assert_eq!(figures.len(), 1, "nobody has said which process it is");
}

/// A tracker that knows one peer, and tells whoever shows the connection id that it has given.
fn answer_announces(tracker: &UdpSocket) {
    const CONNECTION_ID: [u8; 8] = *b"BEP 15!!";
    let mut datagram = [0; 200];
    while let Ok((bytes, from)) = tracker.recv_from(&mut datagram) {
        let transaction_id = &datagram[12..16];
        let answer = match bytes {
            16 => [&[0; 4], transaction_id, &CONNECTION_ID].concat(),
            98 if datagram[..8] == CONNECTION_ID => {
                [&[0, 0, 0, 1], transaction_id, &[0; 12], &[127, 0, 0, 1, 0x9c, 0x40]].concat()
            }
            _ => [&[0, 0, 0, 3], transaction_id, b"what is that?"].concat(),
        };
        // Whoever has asked may have ended.
        let _ = tracker.send_to(&answer, from);
    }
}

#[test]
fn files_and_folders_go_from_peer_to_peer_beside_their_floors() {
    let figures = figures(&tiny(&["file-1gib", "folder"]));
    for (name, unit) in [
        ("transfer.file.1gib", "s"),
        ("transfer.file.1gib.engine", "s"),
        ("transfer.file.1gib.rate", "MiB/s"),
        ("transfer.folder.10k", "files/s"),
    ] {
        check_figure(&figures, name, unit);
        assert!(figures[name]["floor"].as_f64().is_some_and(|floor| floor > 0.0), "{name}");
    }
    for floor in ["plain", "discard", "cp"] {
        check_figure(&figures, &format!("transfer.file.1gib.{floor}"), "s");
        check_figure(&figures, &format!("transfer.file.1gib.{floor}.rate"), "MiB/s");
    }
    check_figure(&figures, "transfer.folder.10k.cp", "files/s");
    // So little may take less CPU time than the system counts.
    assert_eq!(figures["transfer.cpu.1gib"]["unit"], "s/GiB");
    assert_eq!(figures.len(), 12);
}

#[test]
fn a_disk_is_measured_once_more_under_other_names() {
    let disk = tempfile::tempdir().unwrap();
    let arguments = ["file-1gib", "--disk", disk.path().to_str().unwrap()];
    let figures = figures(&tiny(&arguments));
    for name in ["transfer.file.1gib", "transfer.file.1gib.disk", "transfer.file.1gib.disk.cp"] {
        check_figure(&figures, name, "s");
    }
    assert_eq!(figures.len(), 20);
    assert_eq!(disk.path().read_dir().unwrap().count(), 0, "everything is removed");
}

#[test]
fn floors_need_no_peer() {
    let figures = figures(&["transfer", "--floors", "--tiny", "--rounds", "1", "--json"]);
    for name in ["transfer.file.1gib.plain", "transfer.file.4gib.cp"] {
        check_figure(&figures, name, "s");
    }
    check_figure(&figures, "transfer.folder.10k.cp", "files/s");
    assert_eq!(figures.len(), 2 * 6 + 1);
}

#[test]
fn hashing_swarms_memory_and_first_bytes_are_measured() {
    let figures = figures(&tiny(&["hash", "memory", "swarm", "first-byte", "--b3sum", "/nowhere"]));
    for (name, unit) in [
        ("transfer.hash.1gib", "MiB/s"),
        ("transfer.memory.file", "MiB"),
        ("transfer.memory.file.source", "MiB"),
        ("transfer.memory.file.taker", "MiB"),
        ("transfer.memory.folder.100k", "MiB"),
        ("transfer.memory.folder.100k.source", "MiB"),
        ("transfer.memory.folder.100k.taker", "MiB"),
        ("transfer.swarm.8", "s"),
        ("transfer.first_byte.10gib", "s"),
    ] {
        check_figure(&figures, name, unit);
    }
    assert_eq!(figures.len(), 9);
}

#[test]
fn a_peer_that_is_not_built_is_said_to_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("bittrickle-bench");
    std::fs::copy(env!("CARGO_BIN_EXE_bittrickle-bench"), &alone).unwrap();
    let output = Command::new(alone).args(["transfer", "file-1gib", "--tiny"]).output().unwrap();
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("cargo build --release -p bittrickle-peer"), "{stderr}");
}

#[test]
fn a_wrong_command_line_is_explained() {
    for arguments in
        [["index", "--seconds", "none"], ["sealed", "--devices", "0"], ["transfer", "--rounds", "0"]]
    {
        let output = bench(&arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(arguments[1]), "{arguments:?}");
    }
}

fn check_rate(figures: &BTreeMap<String, Value>, name: &str) {
    for field in ["value", "floor"] {
        assert!(figures[name][field].as_f64().is_some_and(|rate| rate > 0.0), "{name}: {field}");
    }
    assert_eq!(figures[name]["unit"], "replies/s");
    assert_eq!(figures[&format!("{name}.cpu")]["unit"], "s/million");
}

fn check_figure(figures: &BTreeMap<String, Value>, name: &str, unit: &str) {
    let figure = figures.get(name).unwrap_or_else(|| panic!("{name} is missing: {figures:?}"));
    assert!(figure["value"].as_f64().is_some_and(|value| value > 0.0), "{figure}");
    assert_eq!(figure["unit"], unit);
}

/// Transfers of next to nothing, by the peer that is part of the benchmark: the product may not have been built.
fn tiny<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["transfer"], arguments, &["--tiny", "--peer-inside", "--rounds", "1", "--json"]].concat()
}

fn figures(arguments: &[&str]) -> BTreeMap<String, Value> {
    let output = bench(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    let stdout = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let line = |line: &str| serde_json::from_str::<Value>(line).expect("every line is one JSON object");
    let name = |line: &Value| line["name"].as_str().expect("every line has a name").to_owned();
    stdout.lines().map(line).map(|line| (name(&line), line)).collect()
}

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bittrickle-bench"));
    command.args(arguments).output().expect("cargo has just built it")
}
