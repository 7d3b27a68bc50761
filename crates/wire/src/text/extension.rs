//! Extensions: what a search may want a name to end with (BT-2.1-12).

use super::file_name::{check_characters, is_forbidden_end};
use super::{Rule, Text, TextError};
use crate::limits::EXTENSION_BYTES_MAX;

/// What follows a dot at a name's end, `gz` as well as `tar.gz`: 1 to 32 bytes, characters as in a
/// [`FileName`](crate::FileName), no dot in front, neither a dot nor white space at the end. It is compared
/// [folded](crate::fold), so it needs no normalization form.
pub type Extension = Text<ExtensionRule>;

/// The rule of [`Extension`].
pub enum ExtensionRule {}

impl Rule for ExtensionRule {
    const WHAT: &'static str = "extension";
    const BYTES_MAX: usize = EXTENSION_BYTES_MAX;

    fn check(text: &str) -> Result<(), TextError> {
        let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
            return Err(TextError::Empty);
        };
        check_characters(text)?;
        match (first, last) {
            ('.', _) => Err(TextError::Start(first)),
            (_, last) if is_forbidden_end(last) => Err(TextError::End(last)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_is_what_can_stand_behind_a_names_dot() {
        for text in ["gz", "tar.gz", "PDF", "~", "-", "日本", "7 z"] {
            assert_eq!(Extension::new(text).unwrap().as_str(), text);
        }
        for text in ["", ".", ".gz", "gz.", "gz ", " ", "a/b", "a*", "a\n", "a\u{200b}"] {
            assert!(Extension::new(text).is_err(), "{text:?}");
        }
        assert!(Extension::new(&"a".repeat(EXTENSION_BYTES_MAX)).is_ok());
        assert!(Extension::new(&"a".repeat(EXTENSION_BYTES_MAX + 1)).is_err());
    }
}
