//! The client in `spec/reference`, written from the specification alone, against our server and our peer.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use bittrickle_tests::peer::Peer;
use bittrickle_tests::process::Process;
use bittrickle_tests::server::Server;
use serde_json::{Value, json};

use crate::{programs, project};

struct Reference {
    process: Process,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
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

impl Reference {
    fn start(server: SocketAddr, account: (&str, &str), encoding: &str, folder: &Path) -> Self {
        let password = tempfile::NamedTempFile::new().unwrap();
        fs::write(password.path(), account.1).unwrap();
        let mut child: Child = python("client.py")
            .args([
                "--server",
                &server.to_string(),
                "--user",
                account.0,
                "--encoding",
                encoding,
                "--password-file",
            ])
            .arg(password.path())
            .arg("--dir")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut reference = Self { process: Process::new(child), stdin, stdout };
        let login = reference.read();
        assert_eq!(login["ok"], json!(true), "{login}");
        assert_eq!(login["result"]["heartbeat_ms"], json!(2_000));
        reference
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
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
}

/// The names in a list of entries.
fn names(entries: &Value) -> Vec<&str> {
    entries.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

/// BT-1.5-1, BT-1.5-3, BT-1.5-4, BT-2.4-3: a reader who has only `spec/` can write a client.
#[test]
fn a_client_written_from_the_specification_shares_files_with_our_peer() {
    if !python_is_there() {
        return;
    }
    let server = Server::start(&programs());
    for encoding in ["json", "bincode"] {
        let folder = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..300_000).map(|i| (i % 249) as u8).collect();
        let mut theirs = Reference::start(server.address(), ("alice", "wonderland"), encoding, folder.path());
        let mut ours = Peer::start(&programs(), server.address(), "bob", "builder", &[]);

        fs::write(folder.path().join("résumé.pdf"), &content).unwrap();
        theirs.ask("publish résumé.pdf");
        assert_eq!(ours.ask("sch RÉSUMÉ"), ["résumé.pdf"]);
        assert_eq!(ours.ask("get résumé.pdf"), ["File downloaded successfully."], "{:?}", ours.stderr());
        assert_eq!(fs::read(ours.path("résumé.pdf")).unwrap(), content);

        for i in 0..150 {
            let name = format!("page {i:03} {}", "n".repeat(60));
            ours.write(&name, format!("{i}").as_bytes());
            assert_eq!(ours.ask(&format!("pub {name}")), ["File published successfully"]);
        }
        let hits = theirs.ask("search PAGE");
        assert_eq!(names(&hits).len(), 150, "over all pages");
        assert!(names(&hits).is_sorted());
        let name = format!("page 149 {}", "n".repeat(60));
        let sources = theirs.ask(&format!("locate {name}"));
        assert_eq!((&sources[0]["member"], &sources[0]["legacy"]), (&json!("bob"), &json!(false)));
        assert_eq!(theirs.ask(&format!("fetch {name}"))["file_bytes"], json!(3));
        assert_eq!(fs::read(folder.path().join(&name)).unwrap(), b"149");

        assert_eq!(names(&theirs.ask("peers")), ["bob"]);
        assert_eq!(names(&theirs.ask("files")), ["résumé.pdf"]);
        assert_eq!(theirs.ask("heartbeat")["offered"], json!(1));
        theirs.ask("unpublish résumé.pdf");
        assert_eq!(ours.ask("sch résumé"), ["No matching files found."]);
        theirs.ask("logout");
        assert_eq!(theirs.refusal("peers"), json!(5));
        drop(theirs.stdin.take());
        assert!(theirs.process.wait().success());
        for i in 0..150 {
            ours.type_line(&format!("unp page {i:03} {}", "n".repeat(60)));
        }
        assert_eq!(ours.ask("lpf").last().map(String::as_str), Some("No files published"));
    }
}

/// BT-1.5-2: a codec that knows nothing of ours agrees with every vector.
#[test]
fn a_codec_written_from_the_specification_agrees_with_every_vector() {
    if !python_is_there() {
        return;
    }
    let checked =
        python("check_vectors.py").arg(project().join("spec/vectors/frames.json")).output().unwrap();
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "{told}{}", String::from_utf8_lossy(&checked.stderr));
    assert!(told.contains("vectors agree"), "{told}");
}
