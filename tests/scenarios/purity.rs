//! What is pure stays pure: no clock, socket, file, thread or log in the modules that say so.

use std::fs;

use crate::project;
use crate::specification::files_below;

/// Folders and files that take the time as an argument and return what to do.
const PURE: [&str; 13] = [
    "crates/wire/src",
    "crates/server/src/index",
    "crates/server/src/responder",
    "crates/server/src/sealing",
    "crates/server/src/directory.rs",
    "crates/server/src/accounts/backoff.rs",
    "crates/server/src/credentials.rs",
    "crates/server/src/access.rs",
    "crates/peer/src/channel",
    "crates/peer/src/resend.rs",
    "crates/peer/src/session",
    "crates/peer/src/transfer",
    "crates/peer/src/shell/command.rs",
];

const IMPURE: [&str; 12] = [
    "Instant::now",
    "SystemTime",
    "std::fs",
    "std::thread",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "tokio::",
    "tracing::",
    "println!",
    "getrandom",
    "std::env",
];

#[test]
fn pure_modules_know_no_clock_socket_file_thread_or_log() {
    for pure in PURE {
        let path = project().join(pure);
        let files = if path.is_dir() { files_below(&path, "rs") } else { vec![path] };
        assert!(!files.is_empty());
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                for word in IMPURE {
                    assert!(!line.contains(word), "{}: {word} in {line:?}", file.display());
                }
            }
        }
    }
}

/// The crates' own rule: server and peer never meet outside the tests, and wire depends on neither.
#[test]
fn imports_go_one_way() {
    let forbidden = [
        ("crates/wire", "bittrickle-server"),
        ("crates/wire", "bittrickle-peer"),
        ("crates/wire", "\ntokio."),
        ("crates/server", "bittrickle-peer"),
        ("crates/peer", "bittrickle-server"),
    ];
    for (package, dependency) in forbidden {
        let manifest = fs::read_to_string(project().join(package).join("Cargo.toml")).unwrap();
        assert!(!manifest.contains(dependency), "{package} must not depend on {dependency}");
    }
}

/// bincode has no maintainer: one file names it, so that it can be replaced there.
#[test]
fn one_file_names_bincode() {
    let uses = |text: &str| {
        text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("bincode::"))
    };
    let files = files_below(&project().join("crates"), "rs");
    let naming: Vec<_> = files.into_iter().filter(|path| uses(&fs::read_to_string(path).unwrap())).collect();
    assert_eq!(naming, [project().join("crates/wire/src/encoding/binary.rs")]);
}
