//! A name from afar is a label, never a path: whatever it is, nothing outside the folder changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bittrickle_peer::net::{LegacyDownloadError, download_legacy};
use bittrickle_peer::share::Folder;
use bittrickle_peer::transfer::Deadlines;
use sha2::{Digest as _, Sha256};

use crate::source::{Source, answer_with};

/// Labels that have led other programs out of their folder, and what can be made of them.
fn hostile_labels() -> Vec<String> {
    let seeds = ["passwd", "evil.txt", "a", "résumé.pdf", "x.tar.gz"];
    let frames = [
        "../{}",
        "../../{}",
        "../../../../../../../../tmp/{}",
        "/{}",
        "/tmp/{}",
        "//host/share/{}",
        "..\\{}",
        "..\\..\\{}",
        "C:\\{}",
        "C:{}",
        "\\\\host\\share\\{}",
        "./{}",
        "./../{}",
        "{}/..",
        "{}/../../x",
        "{}/",
        "{}\\",
        ".{}",
        "..{}",
        "...{}",
        "-{}",
        "--{}",
        "~{}",
        "~root/{}",
        "{}.",
        "{}..",
        "{}:stream",
        "{}::$DATA",
        "<{}",
        "{}>",
        "{}|x",
        "{}?",
        "{}*",
        "\"{}\"",
        "{}\u{0}",
        "{}\u{1b}[2J",
        "\u{1b}]0;{}\u{7}",
        "{}\u{9b}2J",
        "\u{202e}{}",
        "{}\u{200b}",
        "\u{feff}{}",
        "{}\u{7f}",
        "{}\u{85}x",
        "e\u{301}{}",
        "%2e%2e%2f{}",
        "..%2f{}",
        "..;/{}",
        "{}\u{2066}x",
        "\u{e0041}{}",
        ".bittrickle-{}.part",
        "{}\u{ad}",
    ];
    let mut labels: Vec<String> =
        frames.iter().flat_map(|frame| seeds.map(|seed| frame.replace("{}", seed))).collect();
    for device in ["CON", "prn", "Aux", "NUL", "COM0", "com9", "LPT1", "COM¹", "lpt³", "CONIN$"] {
        labels.extend(["", ".txt", ".tar.gz", "."].map(|end| format!("{device}{end}")));
    }
    labels.extend([1, 200, 255, 256, 300, 900].map(|length| "n".repeat(length)));
    labels.extend([64, 200].map(|length| "é/".repeat(length)));
    labels.extend([".", "..", "...", "/", "//", "\\", "-", "~", ".ssh", ".bashrc"].map(str::to_owned));
    labels
}

/// BT-3.5-7, over TCP and into a folder, as a hostile legacy index and source would have it.
#[test]
fn no_label_leads_out_of_the_folder() {
    let outside = tempfile::tempdir().unwrap();
    let inside = outside.path().join("deep/er/folder");
    fs::create_dir_all(&inside).unwrap();
    fs::write(outside.path().join("passwd"), b"root").unwrap();
    fs::write(outside.path().join("deep/evil.txt"), b"kept").unwrap();
    let before = tree(outside.path(), &inside);
    let labels = hostile_labels();
    assert!(labels.len() >= 300, "{}", labels.len());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = Arc::new(Folder::open(&inside, 0o644).unwrap());
    let mut fetched = 0;
    for label in &labels {
        let source = Source::start(1, answer_with(b"evil".to_vec()));
        let (deadlines, bytes) = (Deadlines::default(), Arc::default());
        let downloading = download_legacy(source.address, label, &folder, &deadlines, &bytes);
        let result = runtime.block_on(downloading);
        match result {
            Ok(_) => fetched += 1,
            // A name with white space, or of a thousand bytes, can't be asked for; one that is there stays.
            Err(LegacyDownloadError::Name(_) | LegacyDownloadError::Folder(_)) => {
                drop(std::net::TcpStream::connect(source.address));
            }
            Err(error) => panic!("{label:?}: {error}"),
        }
        assert_eq!(tree(outside.path(), &inside), before, "{label:?}");
    }
    let names: Vec<_> = fs::read_dir(&inside).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(names.len(), fetched, "each is one file, directly in the folder");
    assert!(fetched > 250, "{fetched}");
    for entry in names {
        assert!(entry.file_type().unwrap().is_file());
        let name = entry.file_name().into_string().unwrap();
        assert!(!name.starts_with(['.', '-', '~']) && !name.contains(['/', '\\', ':', '\u{1b}']), "{name:?}");
    }
}

/// Everything below `top` but what is in `except`: path, and hash of the content.
fn tree(top: &Path, except: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                found.insert(name, Vec::new());
                if path != except {
                    folders.push(path);
                }
            } else {
                found.insert(name, Sha256::digest(fs::read(&path).unwrap()).to_vec());
            }
        }
    }
    found
}
