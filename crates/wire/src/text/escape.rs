//! Strings from afar, made safe to show: on a terminal, in a log line, in a sentence.

use std::fmt;

use unicode_width::UnicodeWidthChar;

use super::is_invisible;

/// A string that displays without any character that could move a cursor, hide, or reorder text.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a> {
    text: &'a str,
    columns_max: usize,
}

/// Shows `text` with every invisible character as `\u{…}`.
#[must_use]
pub fn escaped(text: &str) -> Escaped<'_> {
    Escaped { text, columns_max: usize::MAX }
}

impl Escaped<'_> {
    /// Cuts what is shown at so many terminal columns, the last of which is then `…`.
    #[must_use]
    pub fn cut(self, columns_max: usize) -> Self {
        Self { columns_max, ..self }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.text.chars().map(columns).fold(0, usize::saturating_add);
        if columns <= self.columns_max {
            return self.text.chars().try_for_each(|c| show(c, f));
        }
        let Some(mut left) = self.columns_max.checked_sub(1) else { return Ok(()) };
        for character in self.text.chars() {
            match left.checked_sub(self::columns(character)) {
                Some(rest) => left = rest,
                None => break,
            }
            show(character, f)?;
        }
        f.write_str("…")
    }
}

fn show(character: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if is_invisible(character) {
        write!(f, "\\u{{{:x}}}", character as u32)
    } else {
        fmt::Write::write_char(f, character)
    }
}

fn columns(character: char) -> usize {
    if is_invisible(character) {
        "\\u{}".len() + format!("{:x}", character as u32).len()
    } else {
        character.width().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_reorders_text_is_shown_as_it_is() {
        let shown = escaped("a\u{1b}[2Jb\nc\u{202e}d\u{9b}").to_string();
        assert_eq!(shown, "a\\u{1b}[2Jb\\u{a}c\\u{202e}d\\u{9b}");
    }

    #[test]
    fn a_long_text_is_cut_to_the_columns_it_may_fill() {
        assert_eq!(escaped("abcdef").cut(4).to_string(), "abc…");
        assert_eq!(escaped("abcd").cut(4).to_string(), "abcd");
        assert_eq!(escaped("日本語").cut(5).to_string(), "日本…");
        assert_eq!(escaped("ab\u{7}cd").cut(5).to_string(), "ab…");
    }
}
