//! Who is a member: the credentials file of `name password` lines, as the original has it.
//!
//! Passwords are kept as SHA-256 digests, so that comparing them takes the same time whatever they share with the right
//! one, and memory doesn't hold them. This is no protection of the file: it holds them in clear.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bittrickle_wire::{MemberName, Password, TextError};
use sha2::{Digest as _, Sha256};

/// The members and their passwords.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    members: BTreeMap<Arc<MemberName>, [u8; 32]>,
}

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

impl Credentials {
    /// Reads a credentials file: see [`parse_lines`].
    ///
    /// # Errors
    /// The first line that is not acceptable.
    pub fn parse(file: &str) -> Result<Self, CredentialsError> {
        Ok(Self::new(&parse_lines(file)?))
    }

    /// These members and passwords.
    #[must_use]
    pub fn new(members: &[(MemberName, Password)]) -> Self {
        let entry =
            |(name, password): &(MemberName, Password)| (Arc::new(name.clone()), digest(password.as_str()));
        Self { members: members.iter().map(entry).collect() }
    }

    /// The member of this name, if the password is theirs.
    #[must_use]
    pub fn check(&self, name: &MemberName, password: &str) -> Option<Arc<MemberName>> {
        let (member, expected) = self.members.get_key_value(name)?;
        (digest(password) == *expected).then(|| Arc::clone(member))
    }

    /// The member of this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Arc<MemberName>> {
        let name = MemberName::new(name).ok()?;
        self.members.get_key_value(&name).map(|(member, _)| Arc::clone(member))
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no member: then nobody can log in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

fn digest(password: &str) -> [u8; 32] {
    Sha256::digest(password.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_read_line_by_line() {
        let credentials = Credentials::parse("alice wonderland\r\n\nbob  builder\n").unwrap();
        let bob = MemberName::new("bob").unwrap();
        let pairs = parse_lines("alice wonderland\nbob builder\n").unwrap();
        assert_eq!((pairs.len(), pairs[1].1.as_str()), (2, "builder"));
        assert_eq!(credentials.len(), 2);
        assert!(credentials.check(&bob, "builder").is_some());
        assert!(credentials.check(&bob, "wonderland").is_none());
    }

    #[test]
    fn a_line_that_is_not_a_name_and_a_password_is_named_by_its_number() {
        let error = |text| Credentials::parse(text).unwrap_err();
        assert_eq!(error("a b\n secret"), CredentialsError::NoName { line: 2 });
        assert_eq!(error("alice"), CredentialsError::NoPassword { line: 1 });
        assert_eq!(error("alice two words"), CredentialsError::TooManyWords { line: 1 });
        assert_eq!(error("a b\n\na c"), CredentialsError::Duplicate { line: 3 });
        let long = "n".repeat(65);
        assert!(matches!(error(&format!("{long} x")), CredentialsError::BadName { line: 1, .. }));
    }
}
