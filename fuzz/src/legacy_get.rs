//! `GET name`, and what becomes of a name from afar: on disk, and on a terminal.

use bittrickle_wire::legacy::GetRequest;
use bittrickle_wire::limits::FILE_NAME_BYTES_MAX;
use bittrickle_wire::{FileName, Sentence, escaped};

use super::names::{FORBIDDEN, is_device, is_invisible};

/// The bytes are a request, and a label that somebody else chose.
pub fn legacy_get(data: &[u8]) {
    if let Ok(request) = GetRequest::decode(data) {
        // Never longer than what was read: the shortest white space is what is written.
        let bytes = request.encode().expect("what was read can be written");
        assert_eq!(GetRequest::decode(&bytes).as_ref(), Ok(&request));
        check_label(&request.name);
    }
    check_label(&String::from_utf8_lossy(data));
}

fn check_label(label: &str) {
    let request = GetRequest { name: label.to_owned() };
    if let Ok(bytes) = request.encode() {
        assert_eq!(GetRequest::decode(&bytes).as_ref(), Ok(&request));
    }
    check_sanitized(label);
    check_shown(label);
}

/// The guard of every file that is created: written out again here, without the crate's own rule (BT-2.1-3).
fn check_sanitized(label: &str) {
    let name = FileName::sanitized(label);
    let text = name.as_str();
    assert!((1..=FILE_NAME_BYTES_MAX).contains(&text.len()), "{} bytes", text.len());
    assert!(!text.contains(FORBIDDEN), "{text:?}");
    assert!(!text.chars().any(is_invisible), "{text:?}");
    assert!(!text.starts_with(['.', '-', '~']) && !text.ends_with('.'), "{text:?}");
    assert_eq!(text.trim(), text);
    assert!(!is_device(text), "{text:?}");

    assert_eq!(FileName::sanitized(text), name, "sanitized again, it stays as it is");
    if let Ok(acceptable) = FileName::new(label) {
        assert_eq!(name, acceptable, "an acceptable label stays as it is");
    }
}

/// Nothing that hides, reorders or moves a cursor reaches a person, cut or not.
fn check_shown(label: &str) {
    for columns_max in [0, 8, 120] {
        let shown = escaped(label).cut(columns_max).to_string();
        assert!(!shown.chars().any(is_invisible), "{shown:?}");
    }
    assert!(!escaped(label).to_string().chars().any(is_invisible));
    assert!(!Sentence::lossy(label).as_str().chars().any(is_invisible));
}
