//! File names: labels that are safe as one path component, everywhere (BT-2.1-3).

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use super::{Rule, Text, TextError, is_invisible};
use crate::limits::FILE_NAME_BYTES_MAX;

/// The name under which a file is published: one path component, acceptable on every common system.
///
/// A name from the network is a label, never a path. This type is the guard: every function that creates a
/// file takes it, and it can't be built from a text that could lead out of a folder.
pub type FileName = Text<FileNameRule>;

/// The rule of [`FileName`].
pub enum FileNameRule {}

impl Rule for FileNameRule {
    const WHAT: &'static str = "file name";
    const BYTES_MAX: usize = FILE_NAME_BYTES_MAX;

    fn check(text: &str) -> Result<(), TextError> {
        check_name(text, is_forbidden_start)
    }
}

impl FileName {
    /// The label under which a file of this local name is published: the name in normalization form C, which one system
    /// keeps composed and another one decomposed (BT-2.1-13).
    ///
    /// # Errors
    /// The name isn't acceptable in whatever form.
    pub fn of_local(name: &str) -> Result<Self, TextError> {
        Self::new(&composed(name))
    }

    /// An acceptable name for any label: the label itself where it is acceptable, else the label with what is
    /// not acceptable replaced by `_` and a short hash of the whole label, so that two labels rarely meet.
    /// The result is one component of 1 to 255 bytes; made of its own result it stays as it is.
    #[must_use]
    pub fn sanitized(label: &str) -> Self {
        Self::new(label).unwrap_or_else(|_| {
            let hash = short_hash(label);
            Self::new(&replace_hostile(label, &hash))
                .or_else(|_| Self::new(&format!("_{hash}")))
                .expect("an underscore and eight hexadecimal digits are acceptable")
        })
    }
}

/// A text in normalization form C.
#[must_use]
pub fn composed(text: &str) -> Cow<'_, str> {
    // ASCII is in every normalization form.
    if text.is_ascii() || is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// What names of files have in common, here and inside folders: only their first character is judged differently.
pub(super) fn check_name(text: &str, is_forbidden_start: impl Fn(char) -> bool) -> Result<(), TextError> {
    let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
        return Err(TextError::Empty);
    };
    check_characters(text)?;
    if is_forbidden_start(first) {
        return Err(TextError::Start(first));
    }
    if is_forbidden_end(last) {
        return Err(TextError::End(last));
    }
    if is_device(text) {
        return Err(TextError::Device);
    }
    // ASCII is in every normalization form.
    if text.is_ascii() || is_nfc(text) { Ok(()) } else { Err(TextError::NotNormalized) }
}

/// ASCII that may stand in any name. Most names are made of nothing else, and a server that starts checks millions.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        plain[byte as usize] = !is_forbidden(byte as char);
        byte += 1;
    }
    plain
};

pub(super) fn check_characters(text: &str) -> Result<(), TextError> {
    if text.bytes().all(|byte| PLAIN[usize::from(byte)]) {
        return Ok(());
    }
    for character in text.chars() {
        if is_invisible(character) {
            return Err(TextError::Invisible(character));
        }
        if is_forbidden(character) {
            return Err(TextError::Forbidden(character));
        }
    }
    Ok(())
}

const fn is_forbidden(character: char) -> bool {
    matches!(character, '/' | '\\' | ':' | '<' | '>' | '"' | '|' | '?' | '*')
}

fn is_forbidden_start(character: char) -> bool {
    matches!(character, '.' | '-' | '~') || character.is_whitespace()
}

pub(super) fn is_forbidden_end(character: char) -> bool {
    character == '.' || character.is_whitespace()
}

/// Windows takes a device's name for the device, whatever extension follows it.
fn is_device(name: &str) -> bool {
    const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    if DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device)) {
        return true;
    }
    let Some((port, number)) = stem.split_at_checked(3) else { return false };
    let is_port = port.eq_ignore_ascii_case("COM") || port.eq_ignore_ascii_case("LPT");
    let mut number = number.chars();
    is_port && matches!((number.next(), number.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

pub(super) fn short_hash(label: &str) -> String {
    Sha256::digest(label.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The label with `_` for every hostile character and the hash before its extension. A label that Windows
/// would take for a device gets a `_` in front.
fn replace_hostile(label: &str, hash: &str) -> String {
    let visible: String = label
        .nfc()
        .take(FILE_NAME_BYTES_MAX)
        .map(|c| if is_invisible(c) || is_forbidden(c) { '_' } else { c })
        .collect();
    let trimmed = visible.trim_end_matches(is_forbidden_end);
    let (stem, extension) = split_extension(trimmed);
    let front = match stem.chars().next() {
        Some(first) if is_forbidden_start(first) || is_device(stem) => "_",
        _ => "",
    };
    let room = FILE_NAME_BYTES_MAX - front.len() - extension.len() - hash.len() - 1;
    format!("{front}{}_{hash}{extension}", cut(stem, room))
}

/// Splits before the last dot, if what follows it looks like an extension: a few letters and digits.
pub(super) fn split_extension(name: &str) -> (&str, &str) {
    const EXTENSION_BYTES_MAX: usize = 16;
    let plain = |extension: &str| extension[1..].chars().all(char::is_alphanumeric);
    match name.rfind('.').map(|dot| name.split_at(dot)) {
        Some((stem, extension)) if extension.len() <= EXTENSION_BYTES_MAX && plain(extension) => {
            (stem, extension)
        }
        _ => (name, ""),
    }
}

pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acceptable_label_stays_as_it_is() {
        for label in
            ["notes.txt", "résumé.pdf", "a b.tar.gz", "CONSOLE.txt", "日本語", "❤️.png", "_", "com10"]
        {
            assert_eq!(FileName::sanitized(label).as_str(), label);
        }
    }

    #[test]
    fn a_hostile_label_keeps_its_extension_and_loses_its_teeth() {
        let name = |label| FileName::sanitized(label).as_str().to_owned();
        assert!(name("../etc/passwd").starts_with("_.._etc_passwd_"), "{}", name("../etc/passwd"));
        assert!(name("CON.txt").starts_with("_CON_") && name("CON.txt").ends_with(".txt"));
        assert!(name("report:1.pdf").starts_with("report_1_") && name("report:1.pdf").ends_with(".pdf"));
        assert_ne!(name("a:b"), name("a?b"), "two labels become two names");
    }
}
