//! The client in `spec/reference`, written from the specification alone, against our server and our peer.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Output, Stdio};

use bittrickle_tests::content::{Content, Entry, data};
use bittrickle_tests::get::names_in;
use bittrickle_tests::peer::Peer;
use bittrickle_tests::process::Process;
use bittrickle_tests::server::Server;
use bittrickle_tests::source::{Act, Acting, Source, asks_for};
use bittrickle_tests::wait::wait_until;
use bittrickle_wire::messages::Part;
use bittrickle_wire::{FileBytes, Message, Root};
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

fn state_dir(state: &TempDir) -> PathBuf {
    // Made by the client itself, so that nobody else can read it.
    state.path().join("state")
}

impl Reference {
    fn start(server: &Server, account: (&str, &str), encoding: &str) -> Self {
        Self::start_with(server, account, encoding, &[])
    }

    fn start_with(server: &Server, account: (&str, &str), encoding: &str, extra: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let joined = join(&server.invite().to_string(), account, encoding, &state_dir(&state));
        assert!(joined.status.success(), "{joined:?}");

        let folder = tempfile::tempdir().unwrap();
        let mut child = python("client.py")
            .args(["run", "--encoding", encoding, "--state-dir"])
            .arg(state_dir(&state))
            .arg("--dir")
            .arg(folder.path())
            .args(extra)
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

    fn type_line(&mut self, command: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{command}").unwrap();
    }

    fn ask(&mut self, command: &str) -> Value {
        self.type_line(command);
        let answer = self.read();
        assert_eq!(answer["ok"], json!(true), "{command}: {answer}");
        answer["result"].clone()
    }

    fn refusal(&mut self, command: &str) -> Value {
        self.type_line(command);
        let answer = self.read();
        assert_eq!(answer["ok"], json!(false), "{command}: {answer}");
        answer["code"].clone()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }
}

/// The names in a list of entries.
fn names(entries: &Value) -> Vec<&str> {
    entries.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

/// Bytes that fill several `Data`.
fn content() -> Vec<u8> {
    bytes(300_000)
}

/// Bytes of which no piece is like another.
fn bytes(count: u32) -> Vec<u8> {
    (0..count).map(|i| (i % 249) as u8).collect()
}

/// BT-1.5-1, BT-1.5-3, BT-1.5-4, BT-2.4-3, BT-6.3-1, BT-6.7-3: a reader who has only `spec/` can write a client.
#[test]
fn a_client_written_from_the_specification_shares_files_with_our_peer() {
    if !python_is_there() {
        return;
    }
    let server = Server::start(&programs());
    for encoding in ["json", "bincode"] {
        let mut theirs = Reference::start(&server, ("alice", "wonderland"), encoding);
        let mut ours = Peer::start(&programs(), &server, "bob", "builder", &[]);

        theirs.write("résumé.pdf", &content());
        let root = Root::of(&content()).to_string();
        assert_eq!(theirs.ask("publish résumé.pdf")["root"], root);
        assert_eq!(ours.ask("sch RÉSUMÉ"), ["résumé.pdf"]);
        assert_eq!(ours.ask("get résumé.pdf"), ["File downloaded successfully."], "{:?}", ours.stderr());
        assert_eq!(fs::read(ours.path("résumé.pdf")).unwrap(), content());

        ours.share("long.bin", &content());
        for i in 0..150 {
            ours.share(&format!("page {i:03} {}", "n".repeat(60)), format!("{i}").as_bytes());
        }
        let hits = theirs.ask("search PAGE");
        assert_eq!(names(&hits).len(), 150, "over all pages");
        assert!(names(&hits).is_sorted());
        let content_of_it = json!({"file_bytes": 300_000, "root": root, "is_folder": false});
        let hits = json!([{"name": "long.bin", "content": content_of_it, "members": 1, "sources": 1}]);
        for filter in [
            json!({"text": "LONG", "extension": "BIN"}),
            json!({"bytes_min": 300_000, "bytes_max": 300_000, "member": "bob"}),
            json!({"text": "long.bin", "is_exact": true}),
            json!({"root_prefix": &root[..8]}),
        ] {
            assert_eq!(theirs.ask(&format!("find {filter}")), hits, "{filter}");
        }
        for filter in
            [json!({"text": "LONG", "is_exact": true}), json!({"member": "bob", "bytes_min": 300_001})]
        {
            assert_eq!(theirs.ask(&format!("find {filter}")), json!([]), "{filter}");
        }

        let sources = theirs.ask(&format!("locate root:{root}"));
        assert_eq!(sources[0]["member"], json!("bob"));
        assert_eq!(sources[0]["content"], content_of_it);
        assert_eq!(sources[0]["access"]["ticket"].as_str().map(str::len), Some(64), "{sources}");
        assert_eq!(theirs.ask("locate name:long.bin"), json!([]), "it has a root");
        assert_eq!(theirs.ask("fetch long.bin"), json!({"file_bytes": 300_000, "root": root}));
        assert_eq!(theirs.file("long.bin"), content());
        assert_eq!(theirs.refusal("fetch long.bin"), Value::Null, "what is there is never replaced");
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
/// BT-3.1-5, BT-3.1-6, BT-3.1-7, BT-3.6-5: what has several pieces is verified by its outline, a folder by its manifest.
#[test]
fn a_client_written_from_the_specification_shares_long_files_and_folders_with_our_peer() {
    if !python_is_there() {
        return;
    }
    let server = Server::start(&programs());
    // It is slow: in each encoding one of the two is long.
    for (encoding, alone, in_folder) in [("json", 1_200_000, 1_000), ("bincode", 1_000, 1_200_000)] {
        let mut theirs = Reference::start(&server, ("alice", "wonderland"), encoding);
        let mut ours = Peer::start(&programs(), &server, "bob", "builder", &[]);

        ours.share("long.bin", &bytes(alone));
        assert_eq!(theirs.ask("fetch long.bin")["file_bytes"], json!(alone));
        assert_eq!(theirs.file("long.bin"), bytes(alone));
        plant(&ours.path("tree"), in_folder);
        ours.publish("tree");
        assert_eq!(theirs.ask("fetch tree")["file_bytes"], json!(in_folder + 7));
        assert_same_trees(&ours.path("tree"), &theirs.path("tree"));

        theirs.write("again.bin", &bytes(alone + 1));
        theirs.ask("publish again.bin");
        assert_eq!(ours.ask("get again.bin"), ["File downloaded successfully."], "{:?}", ours.stderr());
        assert_eq!(fs::read(ours.path("again.bin")).unwrap(), bytes(alone + 1));
        plant(&theirs.path("forest"), in_folder);
        symlink("/etc/passwd", theirs.path("forest/link")).unwrap();
        assert_eq!(theirs.ask("publish forest")["left_out"][0]["path"], json!("link"));
        fs::remove_file(theirs.path("forest/link")).unwrap();
        assert_eq!(ours.ask("get forest"), ["File downloaded successfully."], "{:?}", ours.stderr());
        assert_same_trees(&theirs.path("forest"), &ours.path("forest"));

        assert_eq!(
            names_in(theirs.folder.path()),
            ["again.bin", "forest", "long.bin", "tree"],
            "no parts are left"
        );
        for name in ["long.bin", "tree"] {
            assert_eq!(ours.ask(&format!("unp {name}")), ["File unpublished successfully"]);
        }
        theirs.ask("logout");
    }
}

/// A folder with an empty folder, an empty file, a program, a text, and a file of so many bytes.
fn plant(tree: &Path, file_bytes: u32) {
    fs::create_dir_all(tree.join("deep/er/empty")).unwrap();
    fs::write(tree.join("deep/er/bytes"), bytes(file_bytes)).unwrap();
    fs::write(tree.join("deep.txt"), b"abc").unwrap();
    fs::write(tree.join(".zero"), b"").unwrap();
    fs::write(tree.join("run"), b"#!/x").unwrap();
    fs::set_permissions(tree.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn assert_same_trees(one: &Path, other: &Path) {
    assert!(Command::new("diff").arg("-r").args([one, other]).status().unwrap().success());
    let is_executable = |name| fs::metadata(other.join(name)).unwrap().permissions().mode() & 0o100 != 0;
    assert!(is_executable("run") && !is_executable("deep.txt"));
}

/// What a source answers instead of the truth, and what the client says of it.
fn lies() -> [(&'static str, Acting, &'static str); 6] {
    let flipped = |mut bytes: Vec<u8>| {
        bytes[0] ^= 1;
        Act::Send(data(&bytes))
    };
    let on = |part: Part, lie: fn(Vec<u8>) -> Act| -> Acting {
        Box::new(
            move |request, answer| {
                if asks_for(request, part) { lie(joined(&answer)) } else { Act::Send(answer) }
            },
        )
    };
    let another_size: Acting = Box::new(|_, mut answer| {
        if let Some(Message::Described(described)) = answer.first_mut() {
            described.file_bytes = FileBytes::new(1).unwrap();
        }
        Act::Send(answer)
    });
    [
        ("another size", another_size, "another content"),
        ("another manifest", on(Part::MANIFEST, flipped), "isn't the folder's manifest"),
        ("endless manifest", on(Part::MANIFEST, |_| Act::Repeat(data(&[0; 65_280]).remove(0))), "more bytes"),
        ("another outline", on(Part::OUTLINE, flipped), "doesn't lead to the root"),
        ("another piece", on(Part::PIECES, flipped), "piece 0 isn't right"),
        ("no more", on(Part::PIECES, |_| Act::Close(Vec::new())), "ends too early"),
    ]
}

/// What these `Data` bring.
fn joined(answer: &[Message]) -> Vec<u8> {
    answer
        .iter()
        .flat_map(|message| if let Message::Data(bytes) = message { bytes.to_vec() } else { Vec::new() })
        .collect()
}

/// BT-3.2-6, BT-3.3-3, BT-3.5-1, BT-3.5-2, BT-3.5-3, BT-3.5-4: who lies is asked once, and nothing that isn't right gets a name.
#[test]
fn a_client_written_from_the_specification_believes_no_source() {
    if !python_is_there() {
        return;
    }
    let server = Server::start(&programs());
    let account = ("alice", "wonderland");
    let mut theirs = Reference::start_with(&server, account, "bincode", &["--renew-after", "0"]);
    for (name, lie, told) in lies() {
        // One at another address each time: none of them is connected to often (BT-3.5-5).
        let liar = Source::log_in(&server, ("carol", "singer"));
        let long = bytes((1 << 20) + 1);
        let files = [("a", name.as_bytes()), ("long", &long)].map(|(path, bytes)| Entry::File(path, bytes));
        liar.share(name, &Content::folder(&files), lie);
        theirs.type_line(&format!("fetch {name}"));
        let answer = theirs.read();
        assert!(
            answer["sentence"].as_str().is_some_and(|sentence| sentence.contains(told)),
            "{name}: {answer}"
        );
        // What is cut may have been cut on the way: it is tried again.
        assert_eq!(liar.connections(name), if name == "no more" { 3 } else { 1 }, "{name}");
    }
    let left = names_in(theirs.folder.path());
    assert!(
        left.iter().all(|name| name.ends_with(".part")) && left.len() == 2,
        "of those with an outline: {left:?}"
    );

    let liar = Source::log_in(&server, ("carol", "singer"));
    liar.share("both", &Content::file(b"the truth"), |request, answer| {
        if asks_for(request, Part::PIECES) { Act::Send(data(b"not truth")) } else { Act::Send(answer) }
    });
    let mut honest = Peer::start(&programs(), &server, "dave", "diver", &[]);
    honest.share("both", b"the truth");
    assert_eq!(theirs.ask("fetch both")["file_bytes"], json!(9));
    assert_eq!(theirs.file("both"), b"the truth");
    assert_eq!(liar.connections("both"), 1, "it was asked first");
    let is_renew = |request: &Message| matches!(request, Message::Renew(_));
    assert!(liar.asked("both").iter().any(is_renew), "and the honest one has taken a new ticket as well");
}

/// BT-4.3-3, BT-4.3-4: with the original's clients it shares files in their format.
#[test]
fn a_client_written_from_the_specification_shares_files_with_legacy_clients() {
    if !python_is_there() {
        return;
    }
    let server = Server::start(&programs());
    let mut theirs = Reference::start(&server, ("alice", "wonderland"), "json");
    let mut legacy = Peer::start(&programs(), &server, "carol", "singer", &["--legacy"]);
    theirs.write("résumé.pdf", &content());
    theirs.ask("publish résumé.pdf");
    fs::create_dir(theirs.path("tree")).unwrap();
    theirs.ask("publish tree");
    assert_eq!(legacy.ask("get résumé.pdf"), ["File downloaded successfully."], "{:?}", legacy.stderr());
    assert_eq!(fs::read(legacy.path("résumé.pdf")).unwrap(), content());
    assert_eq!(legacy.ask("get tree"), ["File not found"]);

    legacy.share("long.bin", &content());
    assert_eq!(theirs.ask("locate name:long.bin")[0]["access"], Value::Null);
    assert_eq!(theirs.ask("fetch long.bin"), json!({"file_bytes": 300_000, "root": null}));
    assert_eq!(theirs.file("long.bin"), content());
    fs::remove_file(legacy.path("long.bin")).unwrap();
    fs::remove_file(theirs.path("long.bin")).unwrap();
    assert_eq!(theirs.refusal("fetch long.bin"), Value::Null, "a reset is a failure");
    assert_eq!(names_in(theirs.folder.path()), ["résumé.pdf", "tree"], "and nothing of it is kept");
}

/// BT-3.7-3: a file that has changed under its source is hashed again, and offered with its new root.
#[test]
fn a_client_written_from_the_specification_offers_what_has_changed_anew() {
    if !python_is_there() {
        return;
    }
    let server = Server::start(&programs());
    let mut theirs = Reference::start(&server, ("alice", "wonderland"), "json");
    let mut ours = Peer::start(&programs(), &server, "bob", "builder", &[]);
    theirs.write("notes.txt", b"before");
    theirs.ask("publish notes.txt");
    theirs.write("notes.txt", b"behind");
    // Nothing of the new bytes goes out under the old root: they have one of their own, and come under that.
    assert_eq!(ours.ask("get notes.txt"), ["File downloaded successfully."], "{:?}", ours.stderr());
    assert!(ours.stderr().iter().any(|line| line.contains("it refuses: ")), "{:?}", ours.stderr());
    let root = Root::of(b"behind").to_string();
    assert_eq!(theirs.ask("files")[0]["content"]["root"], root);
    assert_eq!(fs::read(ours.path("notes.txt")).unwrap(), b"behind");
}

/// BT-2.12-1, BT-3.2-5, BT-3.5-9: who fetches is a source of what is there already.
#[test]
fn a_client_written_from_the_specification_announces_what_it_fetches() {
    if !python_is_there() {
        return;
    }
    let server = Server::start(&programs());
    let mut theirs = Reference::start(&server, ("alice", "wonderland"), "json");
    let mut another = Reference::start(&server, ("carol", "singer"), "bincode");
    let mut ours = Peer::start(&programs(), &server, "bob", "builder", &[]);
    ours.share("long.bin", &bytes(2_500_000));
    let root = Root::of(&bytes(2_500_000)).to_string();

    theirs.type_line("fetch long.bin");
    let locate = format!("locate root:{root}");
    wait_until("it is announced", || {
        let sources = another.ask(&locate);
        let announced = json!({"file_bytes": null, "root": root, "is_folder": false});
        sources[0]["member"] == json!("alice") && sources[0]["content"] == announced
    });
    assert_eq!(another.ask("fetch long.bin")["file_bytes"], json!(2_500_000));
    assert_eq!(another.file("long.bin"), bytes(2_500_000));
    assert_eq!(theirs.read()["ok"], json!(true));
    assert_eq!(theirs.file("long.bin"), bytes(2_500_000));
    let sources = another.ask(&locate);
    assert_eq!(sources.as_array().unwrap().len(), 1, "what is complete isn't announced: {sources}");
}

/// BT-3.5-8: what has been verified stays, though the source goes.
#[test]
fn a_client_written_from_the_specification_goes_on_where_it_was() {
    if !python_is_there() {
        return;
    }
    let server = Server::start(&programs());
    let mut theirs = Reference::start(&server, ("alice", "wonderland"), "json");
    let mut ours = Peer::start(&programs(), &server, "bob", "builder", &[]);
    ours.share("long.bin", &bytes(2_000_000));
    let part = || names_in(theirs.folder.path()).into_iter().find(|name| name.ends_with(".part"));

    writeln!(theirs.stdin.as_ref().unwrap(), "fetch long.bin").unwrap();
    let file_bytes = |name: String| fs::metadata(theirs.path(&name)).map_or(0, |found| found.len());
    wait_until("a piece is there", || part().is_some_and(|name| file_bytes(name) == 1 << 20));
    ours.kill();
    let part = part().unwrap();
    assert_eq!(theirs.read()["ok"], json!(false));
    assert_eq!(names_in(theirs.folder.path()), [part], "the part is kept, and nothing has the final name");

    let mut ours = ours.kill_and_restart(&programs(), &[]);
    ours.publish("long.bin");
    assert_eq!(theirs.ask("fetch long.bin")["file_bytes"], json!(2_000_000));
    assert_eq!(theirs.file("long.bin"), bytes(2_000_000));
    assert_eq!(names_in(theirs.folder.path()), ["long.bin"]);
}

/// BT-2.3-7, BT-2.4-4, BT-6.5-5, BT-6.5-6, BT-6.7-6: it gets over a server that has forgotten everything.
#[test]
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
        // So many that it recalls and resumes them (BT-2.13-5).
        for number in 0..70 {
            let name = format!("{number} {encoding}");
            theirs.write(&name, name.as_bytes());
            theirs.ask(&format!("publish {name}"));
        }

        server.kill_and_restart();
        wait_until("it has published again", || {
            let files = theirs.ask("files");
            let offered = files.as_array().unwrap().iter().filter(|file| file["sources"] == 1);
            offered.count() == 71
        });

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

/// BT-1.5-2, BT-3.1-6, BT-3.6-1, BT-3.8-2, BT-6.3-2, BT-6.3-4, BT-6.4-2, BT-6.4-3, BT-6.6-4, BT-6.7-1: a codec, a seal and
/// contents that know nothing of ours agree with every vector.
#[test]
fn a_codec_written_from_the_specification_agrees_with_every_vector() {
    if !python_is_there() {
        return;
    }
    let vectors = project().join("spec/vectors");
    let checked = python("check_vectors.py")
        .args(["frames.json", "seal.json", "content.json"].map(|file| vectors.join(file)))
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
