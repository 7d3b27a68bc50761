//! The client in `spec/reference`, written from the specification alone, against our server and our peer.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Output, Stdio};

use bittrickle_tests::peer::Peer;
use bittrickle_tests::process::Process;
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::wait_until;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{programs, project};

/// The reference client as a process that has joined and logged in, with a folder of its own.
struct Reference {
    process: Process,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    folder: TempDir,
    _state: TempDir,
}

/// Whether python3 is there. On a machine that checks every change it has to be.
fn python_is_there() -> bool {
    let found =
        Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    if !found {
        assert!(
            std::env::var_os("CI").is_none(),
            "python3 is missing, and CI is set: the reference client must run"
        );
        println!("python3 is missing: the reference client is passed over");
    }
    found
}

fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(project().join("spec/reference").join(script)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs `client.py join`.
fn join(invite: &str, (member, password): (&str, &str), encoding: &str, state: &Path) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), password).unwrap();
    python("client.py")
        .args(["join", invite, "--user", member, "--encoding", encoding, "--password-file"])
        .arg(file.path())
        .arg("--state-dir")
        .arg(state)
        .output()
        .unwrap()
}

/// What a command has answered, on its one line.
fn answer(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

fn state_dir(state: &TempDir) -> std::path::PathBuf {
    // Made by the client itself, so that nobody else can read it.
    state.path().join("state")
}

impl Reference {
    fn start(server: &Server, account: (&str, &str), encoding: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let joined = join(&server.invite().to_string(), account, encoding, &state_dir(&state));
        assert!(joined.status.success(), "{joined:?}");

        let folder = tempfile::tempdir().unwrap();
        let mut child = python("client.py")
            .args(["run", "--encoding", encoding, "--state-dir"])
            .arg(state_dir(&state))
            .arg("--dir")
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut reference = Self { process: Process::new(child), stdin, stdout, folder, _state: state };
        let login = reference.read();
        assert_eq!(login["ok"], json!(true), "{login}");
        assert_eq!(login["result"]["heartbeat_ms"], json!(2_000));
        reference
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        answer(&line)
    }

    fn ask(&mut self, command: &str) -> Value {
        writeln!(self.stdin.as_mut().unwrap(), "{command}").unwrap();
        let answer = self.read();
        assert_eq!(answer["ok"], json!(true), "{command}: {answer}");
        answer["result"].clone()
    }

    fn refusal(&mut self, command: &str) -> Value {
        writeln!(self.stdin.as_mut().unwrap(), "{command}").unwrap();
        let answer = self.read();
        assert_eq!(answer["ok"], json!(false), "{command}: {answer}");
        answer["code"].clone()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap()
    }
}

/// The names in a list of entries.
fn names(entries: &Value) -> Vec<&str> {
    entries.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

/// Bytes that fill several `Data`.
fn content() -> Vec<u8> {
    (0..300_000).map(|i| (i % 249) as u8).collect()
}

/// BT-1.5-1, BT-1.5-3, BT-1.5-4, BT-2.4-3, BT-6.3-1, BT-6.7-3: a reader who has only `spec/` can write a client.
#[test]
#[ignore = "the reference client speaks the messages from before verified transfers; it comes next"]
fn a_client_written_from_the_specification_shares_files_with_our_peer() {
    if !python_is_there() {
        return;
    }
    let server = Server::start(&programs());
    for encoding in ["json", "bincode"] {
        let mut theirs = Reference::start(&server, ("alice", "wonderland"), encoding);
        let mut ours = Peer::start(&programs(), &server, "bob", "builder", &[]);

        theirs.write("résumé.pdf", &content());
        theirs.ask("publish résumé.pdf");
        assert_eq!(ours.ask("sch RÉSUMÉ"), ["résumé.pdf"]);
        assert_eq!(ours.ask("get résumé.pdf"), ["File downloaded successfully."], "{:?}", ours.stderr());
        assert_eq!(fs::read(ours.path("résumé.pdf")).unwrap(), content());

        ours.write("long.bin", &content());
        assert_eq!(ours.ask("pub long.bin"), ["File published successfully"]);
        for i in 0..150 {
            let name = format!("page {i:03} {}", "n".repeat(60));
            ours.write(&name, format!("{i}").as_bytes());
            assert_eq!(ours.ask(&format!("pub {name}")), ["File published successfully"]);
        }
        let hits = theirs.ask("search PAGE");
        assert_eq!(names(&hits).len(), 150, "over all pages");
        assert!(names(&hits).is_sorted());
        let sources = theirs.ask("locate long.bin");
        assert_eq!(sources[0]["member"], json!("bob"));
        assert_eq!(sources[0]["access"]["ticket"].as_str().map(str::len), Some(64), "{sources}");
        assert_eq!(theirs.ask("fetch long.bin")["file_bytes"], json!(300_000));
        assert_eq!(theirs.file("long.bin"), content());
        let name = format!("page 149 {}", "n".repeat(60));
        assert_eq!(theirs.ask(&format!("fetch {name}"))["file_bytes"], json!(3));
        assert_eq!(theirs.file(&name), b"149");

        assert_eq!(names(&theirs.ask("peers")), ["bob"]);
        assert_eq!(names(&theirs.ask("files")), ["résumé.pdf"]);
        assert_eq!(theirs.ask("heartbeat")["offered"], json!(1));
        theirs.ask("unpublish résumé.pdf");
        assert_eq!(ours.ask("sch résumé"), ["No matching files found."]);
        theirs.ask("logout");
        assert_eq!(theirs.refusal("peers"), json!(5));
        drop(theirs.stdin.take());
        assert!(theirs.process.wait().success());
        ours.type_line("unp long.bin");
        for i in 0..150 {
            ours.type_line(&format!("unp page {i:03} {}", "n".repeat(60)));
        }
        assert_eq!(ours.ask("lpf").last().map(String::as_str), Some("No files published"));
    }
}

/// BT-2.3-7, BT-2.4-4, BT-6.5-5, BT-6.5-6, BT-6.7-6: it gets over a server that has forgotten everything.
#[test]
#[ignore = "the reference client speaks the messages from before verified transfers; it comes next"]
fn a_client_written_from_the_specification_survives_a_restart_of_the_server() {
    if !python_is_there() {
        return;
    }
    let mut server = Server::start(&programs());
    for encoding in ["json", "bincode"] {
        let mut theirs = Reference::start(&server, ("alice", "wonderland"), encoding);
        let name = format!("kept.{encoding}");
        theirs.write(&name, &content());
        theirs.ask(&format!("publish {name}"));

        server.kill_and_restart();
        wait_until("it has published again", || names(&theirs.ask("files")) == [name.as_str()]);

        let mut ours = Peer::start(&programs(), &server, "bob", "builder", &[]);
        assert_eq!(
            ours.ask(&format!("get {name}")),
            ["File downloaded successfully."],
            "{:?}",
            ours.stderr()
        );
        assert_eq!(fs::read(ours.path(&name)).unwrap(), content());
        theirs.ask("logout");
    }
}

/// BT-6.2-4, BT-6.2-6: a server that has another key than the invite says is told nothing.
#[test]
fn a_client_written_from_the_specification_joins_nobody_but_the_invites_server() {
    if !python_is_there() {
        return;
    }
    let server = Server::start(&programs());
    let state = tempfile::tempdir().unwrap();
    let invite = server.invite().to_string();
    let (start, last) = invite.split_at(invite.len() - 1);
    let forged = format!("{start}{}", if last == "0" { "1" } else { "0" });

    let refused = join(&forged, ("alice", "wonderland"), "json", &state_dir(&state));
    assert!(!refused.status.success());
    let told = answer(&String::from_utf8_lossy(&refused.stdout));
    let log = server.log();
    let fingerprint = log.split("fingerprint=").nth(1).and_then(|rest| rest.get(..39)).unwrap();
    assert!(told["sentence"].as_str().unwrap().contains(fingerprint), "{told}");

    // Nothing was kept of that attempt: the true invite is as good as on the first day.
    let refused = join(&invite, ("alice", "looking-glass"), "json", &state_dir(&state));
    assert_eq!(answer(&String::from_utf8_lossy(&refused.stdout))["code"], json!(6));
    let joined = join(&invite, ("alice", "wonderland"), "json", &state_dir(&state));
    assert!(joined.status.success(), "{joined:?}");
    let refused = join(&forged, ("alice", "wonderland"), "json", &state_dir(&state));
    assert!(!refused.status.success(), "the key is pinned by now");
}

/// BT-1.5-2, BT-6.3-2, BT-6.3-4, BT-6.4-2, BT-6.4-3, BT-6.6-4, BT-6.7-1: a codec and a seal that know nothing of ours
/// agree with every vector.
#[test]
fn a_codec_written_from_the_specification_agrees_with_every_vector() {
    if !python_is_there() {
        return;
    }
    let vectors = project().join("spec/vectors");
    let checked = python("check_vectors.py")
        .args([vectors.join("frames.json"), vectors.join("seal.json")])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "{told}{}", String::from_utf8_lossy(&checked.stderr));
    assert!(told.contains("vectors agree"), "{told}");
}

/// What the documents of X25519, AES-GCM and BLAKE3 publish: vectors of our own prove nothing about these.
#[test]
fn the_primitives_of_the_reference_client_agree_with_their_documents() {
    if !python_is_there() {
        return;
    }
    let checked = python("check_primitives.py").output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
