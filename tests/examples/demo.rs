//! The main job in one command: an index server and two peers, as processes, share a file in both formats.
//!
//! `cargo run --release --example demo`, or with `-- FILE` for a file of one's own.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bittrickle_tests::peer::Peer;
use bittrickle_tests::process::{Programs, run_as_program};
use bittrickle_tests::server::Server;
use bittrickle_wire::FileName;

/// What is shared when no file is given.
const SAMPLE_BYTES: usize = 64 << 20;

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
    for (format, mode) in [("sealed frames", &[][..]), ("the original's JSON", &["--legacy"])] {
        println!("\n{format}");
        share(&programs, &server, mode, &file, &name, size)?;
    }
    println!("\nBoth copies are equal to the original, byte for byte. Everything is cleaned up.");
    Ok(())
}

/// Alice publishes the file, Bob finds and fetches it, and the bytes are compared.
fn share(
    programs: &Programs,
    server: &Server,
    mode: &[&str],
    file: &Path,
    name: &str,
    size: u64,
) -> Result<(), Box<dyn Error>> {
    let mut alice = Peer::start(programs, server, "alice", "wonderland", mode);
    let mut bob = Peer::start(programs, server, "bob", "builder", mode);
    step("join, log in", "alice and bob", None);
    fs::copy(file, alice.path(name))?;

    let published = timed(|| alice.ask(&format!("pub {name}")));
    step("publish", &published.0.join(" "), Some(published.1));
    let found = timed(|| bob.ask(&format!("sch {name}")));
    step("search", &found.0.join(" "), Some(found.1));
    let fetched = timed(|| bob.ask(&format!("get {name}")));
    if fetched.0 != ["File downloaded successfully."] {
        return Err(format!("the download failed: {:?}", bob.stderr()).into());
    }
    let mib = size as f64 / f64::from(1 << 20);
    let rate = mib / fetched.1.as_secs_f64();
    step("fetch", &format!("{mib:.1} MiB, {rate:.0} MiB/s"), Some(fetched.1));
    if !same_bytes(&alice.path(name), &bob.path(name))? {
        return Err("the bytes differ".into());
    }
    step("compare", "equal", None);
    let unpublished = timed(|| alice.ask(&format!("unp {name}")));
    step("unpublish", &unpublished.0.join(" "), Some(unpublished.1));
    for mut peer in [alice, bob] {
        peer.type_line("xit");
        let ended = peer.wait();
        if !ended.status.success() {
            return Err(format!("a peer ended with {}: {:?}", ended.status, ended.stderr).into());
        }
    }
    step("leave", "both peers have ended", None);
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
