//! The original's credentials file: `name password` lines, in clear. It is read once, to import its members.
#![deny(clippy::disallowed_methods)]

use std::collections::HashSet;

use bittrickle_wire::{MemberName, Password, TextError};

/// Why a credentials file is not acceptable. The operator's to mend.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CredentialsError {
    /// A line begins with white space.
    #[error("line {line} has no user name: it begins with white space")]
    NoName {
        /// Counted from 1.
        line: usize,
    },
    /// A line has a name and nothing else.
    #[error("line {line} has no password behind the user name")]
    NoPassword {
        /// Counted from 1.
        line: usize,
    },
    /// A line has more than two words.
    #[error("line {line} has more than a user name and a password")]
    TooManyWords {
        /// Counted from 1.
        line: usize,
    },
    /// A name that can't be a member's.
    #[error("the user name in line {line} is not acceptable: {error}")]
    BadName {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        error: TextError,
    },
    /// A password that can't be one.
    #[error("the password in line {line} is not acceptable: {error}")]
    BadPassword {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        error: TextError,
    },
    /// A name that stood in an earlier line.
    #[error("the user name in line {line} stands in an earlier line too")]
    Duplicate {
        /// Counted from 1.
        line: usize,
    },
}

/// Reads a credentials file: the members and their passwords, in the order of the lines. Empty lines are passed over.
///
/// # Errors
/// The first line that is not acceptable. Its text is not part of the error: it holds a password.
pub fn parse_lines(file: &str) -> Result<Vec<(MemberName, Password)>, CredentialsError> {
    let mut members = Vec::new();
    let mut names = HashSet::new();
    for (index, text) in file.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let (name, password) = parse_line(index + 1, text)?;
        if !names.insert(name.clone()) {
            return Err(CredentialsError::Duplicate { line: index + 1 });
        }
        members.push((name, password));
    }
    Ok(members)
}

fn parse_line(line: usize, text: &str) -> Result<(MemberName, Password), CredentialsError> {
    if text.starts_with(char::is_whitespace) {
        return Err(CredentialsError::NoName { line });
    }
    let mut words = text.split_whitespace();
    let name = words.next().ok_or(CredentialsError::NoName { line })?;
    let password = words.next().ok_or(CredentialsError::NoPassword { line })?;
    if words.next().is_some() {
        return Err(CredentialsError::TooManyWords { line });
    }
    let name = MemberName::new(name).map_err(|error| CredentialsError::BadName { line, error })?;
    let password = Password::new(password).map_err(|error| CredentialsError::BadPassword { line, error })?;
    Ok((name, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_read_line_by_line() {
        let members = parse_lines("alice wonderland\r\n\nbob  builder\n").unwrap();
        let pair = |(name, password): &(MemberName, Password)| {
            (name.as_str().to_owned(), password.as_str().to_owned())
        };
        let expected = [("alice", "wonderland"), ("bob", "builder")];
        let expected = expected.map(|(name, password)| (name.to_owned(), password.to_owned()));
        assert_eq!(members.iter().map(pair).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_line_that_is_not_a_name_and_a_password_is_named_by_its_number() {
        let error = |text| parse_lines(text).unwrap_err();
        assert_eq!(error("a b\n secret"), CredentialsError::NoName { line: 2 });
        assert_eq!(error("alice"), CredentialsError::NoPassword { line: 1 });
        assert_eq!(error("alice two words"), CredentialsError::TooManyWords { line: 1 });
        assert_eq!(error("a b\n\na c"), CredentialsError::Duplicate { line: 3 });
        let long = "n".repeat(65);
        assert!(matches!(error(&format!("{long} x")), CredentialsError::BadName { line: 1, .. }));
    }
}
