//! Folders that an earlier version has left on disk (`tests/fixtures/`), copied to where a program may go on with them.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Where the server was when the fixtures were made.
const MADE_AT: &str = "127.0.0.1:26980";

/// One of the fixtures.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// Copies a folder and all that is in it, for its owner's eyes alone: git keeps no modes.
///
/// # Panics
/// It can't be copied.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the place is ours");
    set_mode(to, 0o700);
    for entry in fs::read_dir(from).expect("a fixture is a folder") {
        let entry = entry.expect("it can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("the place is ours");
            set_mode(&target, 0o600);
        }
    }
}

/// The state folder of a device, inside the one that is given, with its server at this address.
///
/// # Panics
/// The fixture isn't there.
#[must_use]
pub fn state_of(device: &str, server: SocketAddr) -> TempDir {
    let place = tempfile::tempdir().expect("a temporary folder");
    let state = place.path().join("state");
    copy(&fixture(device), &state);
    let servers = state.join("servers.json");
    let text = fs::read_to_string(&servers).expect("a state folder has its servers");
    assert!(text.contains(MADE_AT), "{text}");
    fs::write(&servers, text.replace(MADE_AT, &server.to_string())).expect("the place is ours");
    place
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}
