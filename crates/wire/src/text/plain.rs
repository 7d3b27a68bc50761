//! The texts that are not file names: member names, passwords, queries, sentences (BT-2.1).

use super::{Rule, Text, TextError, check_visible, escaped, is_invisible};
use crate::limits::{MEMBER_NAME_BYTES_MAX, PASSWORD_BYTES_MAX, QUERY_BYTES_MAX, SENTENCE_BYTES_MAX};

/// The name of a member's account: 1 to 64 bytes, nothing invisible, no white space.
pub type MemberName = Text<MemberNameRule>;

/// A member's password: 1 to 128 bytes, no control characters. Never printed, not even by `{:?}`.
pub type Password = Text<PasswordRule>;

/// What to search for: 0 to 255 bytes, `"` and `\` counted twice, no control characters. The empty query finds everything.
pub type Query = Text<QueryRule>;

/// One sentence for a person: 0 to 200 bytes, nothing invisible.
pub type Sentence = Text<SentenceRule>;

/// The rule of [`MemberName`].
pub enum MemberNameRule {}

/// The rule of [`Password`].
pub enum PasswordRule {}

/// The rule of [`Query`].
pub enum QueryRule {}

/// The rule of [`Sentence`].
pub enum SentenceRule {}

impl Rule for MemberNameRule {
    const WHAT: &'static str = "member name";
    const BYTES_MAX: usize = MEMBER_NAME_BYTES_MAX;

    fn check(text: &str) -> Result<(), TextError> {
        check_visible(text)?;
        match text.chars().find(|c| c.is_whitespace()) {
            Some(character) => Err(TextError::Forbidden(character)),
            None if text.is_empty() => Err(TextError::Empty),
            None => Ok(()),
        }
    }
}

impl Rule for PasswordRule {
    const WHAT: &'static str = "password";
    const BYTES_MAX: usize = PASSWORD_BYTES_MAX;
    const SECRET: bool = true;

    fn check(text: &str) -> Result<(), TextError> {
        if text.is_empty() { Err(TextError::Empty) } else { no_control(text) }
    }
}

impl Rule for QueryRule {
    const WHAT: &'static str = "query";
    const BYTES_MAX: usize = QUERY_BYTES_MAX;

    fn check(text: &str) -> Result<(), TextError> {
        let bytes = text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        if bytes > QUERY_BYTES_MAX {
            return Err(TextError::TooLong { bytes, bytes_max: QUERY_BYTES_MAX });
        }
        no_control(text)
    }
}

impl Rule for SentenceRule {
    const WHAT: &'static str = "sentence";
    const BYTES_MAX: usize = SENTENCE_BYTES_MAX;

    fn check(text: &str) -> Result<(), TextError> {
        check_visible(text)
    }
}

impl Sentence {
    /// Any text as a sentence: what is invisible is escaped, and what is too long is cut.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let mut sentence = String::new();
        for character in text.chars() {
            let piece = if is_invisible(character) {
                escaped(character.encode_utf8(&mut [0; 4])).to_string()
            } else {
                character.to_string()
            };
            if sentence.len() + piece.len() > SENTENCE_BYTES_MAX {
                break;
            }
            sentence.push_str(&piece);
        }
        Self::new(&sentence).expect("every character was made visible and counted")
    }
}

fn no_control(text: &str) -> Result<(), TextError> {
    match text.chars().find(|c| c.is_control()) {
        Some(character) => Err(TextError::Invisible(character)),
        None => Ok(()),
    }
}
