//! Entry names: what files and folders may be called inside a folder that is shared (BT-3.6-2).

use super::file_name::{check_name, composed};
use super::{Rule, Text, TextError};
use crate::limits::FILE_NAME_BYTES_MAX;

/// One component of a path in a folder: a [`FileName`](crate::FileName) that may also start with `.`, `-` or `~`, so
/// that hidden files travel with their folder. Never `.` or `..`.
pub type EntryName = Text<EntryNameRule>;

/// The rule of [`EntryName`].
pub enum EntryNameRule {}

impl Rule for EntryNameRule {
    const WHAT: &'static str = "entry name";
    const BYTES_MAX: usize = FILE_NAME_BYTES_MAX;

    fn check(text: &str) -> Result<(), TextError> {
        // No name ends with a dot: that keeps `.` and `..` out as well.
        check_name(text, char::is_whitespace)
    }
}

impl EntryName {
    /// What a file or folder of this local name is called in a manifest: the same in normalization form C (BT-2.1-13).
    ///
    /// # Errors
    /// The name isn't acceptable in whatever form.
    pub fn of_local(name: &str) -> Result<Self, TextError> {
        Self::new(&composed(name))
    }

    /// Checks a component where no copy of it is wanted.
    ///
    /// # Errors
    /// What [`EntryName::new`] would say.
    pub(crate) fn check_component(component: &str) -> Result<(), TextError> {
        Self::check(component)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileName;

    #[test]
    fn hidden_files_travel_but_nothing_leads_out_of_the_folder() {
        for name in [".gitignore", "-r", "~notes", "a", "...a", "résumé.pdf"] {
            assert_eq!(EntryName::new(name).unwrap().as_str(), name);
        }
        for name in [
            "",
            ".",
            "..",
            "...",
            " a",
            "a ",
            "a.",
            "a/b",
            "a\\b",
            "a\0",
            "a\u{202e}b",
            "CON",
            "nul.txt",
            "c:",
            "e\u{301}",
        ] {
            assert!(EntryName::new(name).is_err(), "{name:?}");
        }
        assert!(EntryName::new(&"a".repeat(FILE_NAME_BYTES_MAX)).is_ok());
        assert!(EntryName::new(&"a".repeat(FILE_NAME_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn every_file_name_is_an_entry_name() {
        for name in ["notes.txt", "a b.tar.gz", "日本語", "_"] {
            assert!(FileName::new(name).is_ok() && EntryName::new(name).is_ok(), "{name}");
        }
    }
}
