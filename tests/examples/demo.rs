//! The main job in one command: an index server and peers, as processes. A file and a folder come from three sources, and the
//! downloads are killed in the middle and gone on with; then the file goes the original's way.
//!
//! `cargo run --release --example demo`, or with `-- FILE` for a file of one's own.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use bittrickle_tests::peer::{Peer, join};
use bittrickle_tests::process::{Process, Programs, run, run_as_program};
use bittrickle_tests::server::Server;
use bittrickle_tests::wait::wait_for;
use bittrickle_wire::FileName;

/// What is shared when no file is given.
const SAMPLE_BYTES: usize = 256 << 20;

/// The folder that is shared beside it, and its files.
const FOLDER: &str = "folder";
const FILES: usize = 2_000;

/// Devices that share them.
const SOURCES: usize = 3;

/// How long any step may take.
const COMMAND_WAIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    // The server and the peers are this program again, told so by its first argument.
    if let Some(code) = run_as_program(std::env::args_os().skip(1)) {
        return code;
    }
    match demo(std::env::args_os().nth(1).map(PathBuf::from)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo(file: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    if file.as_deref().is_some_and(|path| path.as_os_str() == "--help") {
        println!("usage: cargo run --release --example demo [-- FILE]");
        return Ok(());
    }
    let scratch = tempfile::tempdir()?;
    let file = match file {
        Some(file) => file,
        None => make_sample(scratch.path())?,
    };
    let size = fs::metadata(&file).map_err(|error| format!("can't read {}: {error}", file.display()))?.len();
    let label = file.file_name().and_then(|name| name.to_str()).ok_or("the file's name is not UTF-8")?;
    let name = FileName::sanitized(label).as_str().to_owned();
    let programs = Programs::at(std::env::current_exe()?);

    let server = Server::start(&programs);
    println!("index server   listening on {} (process {})", server.address(), server.id());
    println!("\nsealed frames, three sources");
    share_sealed(&programs, &server, &file, &name, size)?;
    println!("\nthe original's JSON, one source");
    share_legacy(&programs, &server, &file, &name, size)?;
    println!("\nAll copies are equal to the original, byte for byte. Everything is cleaned up.");
    Ok(())
}

/// Three of Alice's devices share a file and a folder; Bob fetches both, and is killed in the middle of each.
fn share_sealed(
    programs: &Programs,
    server: &Server,
    file: &Path,
    name: &str,
    size: u64,
) -> Result<(), Box<dyn Error>> {
    let mut sources = Vec::new();
    for _ in 0..SOURCES {
        let mut source = Peer::start(programs, server, "alice", "wonderland", &[]);
        fs::copy(file, source.path(name))?;
        make_tree(&source.path(FOLDER))?;
        source.ask(&format!("pub {name}"));
        source.ask(&format!("pub {FOLDER}"));
        sources.push(source);
    }
    step("publish", &format!("{name} and {FOLDER} by {SOURCES} devices"), None);
    let home = tempfile::tempdir()?;
    let state = home.path().join("state");
    let joined = join(programs, &server.invite().to_string(), "bob", "builder", &state);
    if !joined.status.success() {
        return Err(String::from_utf8_lossy(&joined.stderr).into());
    }
    wait_for("the root is known", COMMAND_WAIT, || {
        let mut watcher = Peer::start(programs, server, "bob", "builder", &[]);
        let found = watcher.ask("sch");
        watcher.type_line("xit");
        (watcher.wait().status.success() && found.len() == 2).then_some(())
    });
    for what in [name, FOLDER] {
        let folder = home.path().join("downloads");
        fs::create_dir_all(&folder)?;
        let get = || {
            let mut command = programs.peer();
            command.arg("--state-dir").arg(&state).args(["get", what, "--out"]).arg(&folder);
            command
        };
        let mut first = Process::new(get().stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        let part = wait_for("a part grows", COMMAND_WAIT, || grown_part(&folder, what));
        if let Grown::Part(part) = part {
            first.kill();
            step("fetch", &format!("{what}: killed {part}"), None);
            let (again, took) = timed(|| run(get(), ""));
            let told = String::from_utf8_lossy(&again.stderr).into_owned();
            if !again.status.success() {
                return Err(told.into());
            }
            told.lines().for_each(|line| step("fetch again", line, None));
            step("fetch again", "done", Some(took));
        } else {
            first.wait();
            step("fetch", &format!("{what}: complete; it is too small to be killed in the middle"), None);
        }
        if !same(&sources[0].path(what), &folder.join(what))? {
            return Err("the bytes differ".into());
        }
        step("compare", "equal", None);
    }
    step("size", &format!("{}, and {FILES} small files", shown_size(size)), None);
    leave(sources)
}

/// How far a download has come.
enum Grown {
    Complete,
    Part(String),
}

/// A size as people read it.
fn shown_size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{bytes} bytes"),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}

/// How far a download has come, once it is far enough to be killed, or is over.
fn grown_part(folder: &Path, what: &str) -> Option<Grown> {
    if folder.join(what).exists() {
        return Some(Grown::Complete);
    }
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let part =
        entries.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "part"))?;
    if part.is_dir() {
        let files = files_below(&part).ok()?.len();
        return (files > FILES / 4).then(|| Grown::Part(format!("with {files} files")));
    }
    let mib = fs::metadata(part).ok()?.len() >> 20;
    (mib > 16).then(|| Grown::Part(format!("within its first {mib} MiB")))
}

/// Alice publishes the file in the original's format, Bob finds and fetches it, and the bytes are compared.
fn share_legacy(
    programs: &Programs,
    server: &Server,
    file: &Path,
    name: &str,
    size: u64,
) -> Result<(), Box<dyn Error>> {
    let mode = &["--legacy"];
    let mut alice = Peer::start(programs, server, "alice", "wonderland", mode);
    let mut bob = Peer::start(programs, server, "bob", "builder", mode);
    step("log in", "alice and bob", None);
    fs::copy(file, alice.path(name))?;

    let published = timed(|| alice.ask(&format!("pub {name}")));
    step("publish", &published.0.join(" "), Some(published.1));
    let found = timed(|| bob.ask(&format!("sch {name}")));
    step("search", &found.0.join(" "), Some(found.1));
    let fetched = timed(|| bob.ask(&format!("get {name}")));
    if fetched.0 != ["File downloaded successfully."] {
        return Err(format!("the download failed: {:?}", bob.stderr()).into());
    }
    step("fetch", &shown_size(size), Some(fetched.1));
    if !same_bytes(&alice.path(name), &bob.path(name))? {
        return Err("the bytes differ".into());
    }
    step("compare", "equal", None);
    let unpublished = timed(|| alice.ask(&format!("unp {name}")));
    step("unpublish", &unpublished.0.join(" "), Some(unpublished.1));
    leave(vec![alice, bob])
}

fn leave(peers: Vec<Peer>) -> Result<(), Box<dyn Error>> {
    for mut peer in peers {
        peer.type_line("xit");
        let ended = peer.wait();
        if !ended.status.success() {
            return Err(format!("a peer ended with {}: {:?}", ended.status, ended.stderr).into());
        }
    }
    step("leave", "all peers have ended", None);
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    (work(), started.elapsed())
}

fn step(what: &str, result: &str, took: Option<Duration>) {
    let took = took.map_or_else(String::new, |took| format!("  ({:.1} ms)", took.as_secs_f64() * 1_000.0));
    println!("  {what:<12} {result}{took}");
}

/// A file that doesn't repeat itself soon, so that swapped or missing pieces show.
fn make_sample(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("sample.bin");
    let mut file = File::create(&path)?;
    let mut state = 1_u64;
    let mut bytes = Vec::with_capacity(SAMPLE_BYTES);
    while bytes.len() < SAMPLE_BYTES {
        // Knuth's MMIX generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_be_bytes());
    }
    file.write_all(&bytes)?;
    Ok(path)
}

/// Small files in folders, the same each time.
fn make_tree(folder: &Path) -> io::Result<()> {
    for number in 0..FILES {
        let within = folder.join(format!("{:02}", number % 20));
        fs::create_dir_all(&within)?;
        fs::write(within.join(format!("file-{number}")), format!("{number}\n").repeat(500))?;
    }
    fs::create_dir(folder.join("empty"))
}

/// Every file and folder below this one, by its path from there.
fn files_below(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().expect("an entry has a name");
        if path.is_dir() {
            found.extend(files_below(&path)?.into_iter().map(|below| Path::new(name).join(below)));
        }
        found.insert(PathBuf::from(name));
    }
    Ok(found)
}

/// Whether two files, or two folders, are the same.
fn same(one: &Path, other: &Path) -> io::Result<bool> {
    if !one.is_dir() {
        return same_bytes(one, other);
    }
    let paths = files_below(one)?;
    let mut are_same = paths == files_below(other)?;
    for path in paths.iter().filter(|path| one.join(path).is_file()) {
        are_same = are_same && same_bytes(&one.join(path), &other.join(path))?;
    }
    Ok(are_same)
}

fn same_bytes(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let bytes = one.read(&mut left)?;
        if bytes == 0 {
            return Ok(other.read(&mut right)? == 0);
        }
        match other.read_exact(&mut right[..bytes]) {
            Ok(()) if left[..bytes] == right[..bytes] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}
