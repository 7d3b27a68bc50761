//! Who is a member: the credentials file of `name password` lines, as the original has it.
//!
//! Passwords are kept as SHA-256 digests, so that comparing them takes the same time whatever they share with the right
//! one, and memory doesn't hold them. This is no protection of the file: it holds them in clear.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;
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

impl Credentials {
    /// Reads a credentials file. Empty lines are passed over.
    ///
    /// # Errors
    /// The first line that is not acceptable. Its text is not part of the error: it holds a password.
    pub fn parse(file: &str) -> Result<Self, CredentialsError> {
        let mut credentials = Self::default();
        for (index, text) in file.lines().enumerate() {
            if !text.trim().is_empty() {
                credentials.add_line(index + 1, text)?;
            }
        }
        Ok(credentials)
    }

    fn add_line(&mut self, line: usize, text: &str) -> Result<(), CredentialsError> {
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
        let password =
            Password::new(password).map_err(|error| CredentialsError::BadPassword { line, error })?;
        match self.members.insert(Arc::new(name), digest(password.as_str())) {
            Some(_) => Err(CredentialsError::Duplicate { line }),
            None => Ok(()),
        }
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
