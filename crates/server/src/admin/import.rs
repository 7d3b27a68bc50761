//! Importing the original's file of members.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bittrickle_wire::{MemberName, Password};
use zeroize::Zeroizing;

use crate::accounts::PasswordHash;
use crate::credentials::{CredentialsError, parse_lines};

/// Most bytes of a file: a million of the longest lines have less than three times as many.
const FILE_BYTES_MAX: u64 = 64 * 1_024 * 1_024;

/// What a file of members says.
#[derive(Debug)]
pub(crate) struct CredentialsFile {
    /// The members and their passwords.
    pub(crate) members: Vec<(MemberName, Password)>,
    /// Whether other users can read the file too.
    pub(crate) exposed: bool,
}

/// Why a file of members can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsFileError {
    /// It can't be read.
    #[error("can't read the credentials file {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    /// It has more bytes than such a file may have.
    #[error("the credentials file {} is larger than {FILE_BYTES_MAX} bytes; import it in parts", path.display())]
    TooLarge { path: PathBuf },
    /// One of its lines is wrong.
    #[error("the credentials file {} is not acceptable: {error}", path.display())]
    Line { path: PathBuf, error: CredentialsError },
}

impl CredentialsFile {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, CredentialsFileError> {
        let unreadable = |error| CredentialsFileError::Unreadable { path: path.to_owned(), error };
        let file = File::open(path).map_err(unreadable)?;
        let exposed = file.metadata().map_err(unreadable)?.mode() & 0o077 != 0;
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(CredentialsFileError::TooLarge { path: path.to_owned() });
        }
        let members = parse_lines(&text)
            .map_err(|error| CredentialsFileError::Line { path: path.to_owned(), error })?;
        Ok(Self { members, exposed })
    }
}

/// Hashes the passwords of those of the members that are named, on all processors: a hash takes tens of milliseconds.
///
/// # Errors
/// The operating system has no randomness.
pub(crate) fn hash(
    members: Vec<(MemberName, Password)>,
    names: Vec<MemberName>,
) -> Result<Vec<(MemberName, PasswordHash)>, getrandom::Error> {
    let mut passwords: HashMap<MemberName, Password> = members.into_iter().collect();
    let named: Vec<_> = names.into_iter().filter_map(|name| passwords.remove_entry(&name)).collect();
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = named.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let hashing: Vec<_> = named
            .chunks(share)
            .map(|share| scope.spawn(move || share.iter().map(hash_one).collect()))
            .collect();
        let mut hashed = Vec::with_capacity(named.len());
        for thread in hashing {
            let share: Result<Vec<_>, _> = thread.join().expect("hashing doesn't panic");
            hashed.append(&mut share?);
        }
        Ok(hashed)
    })
}

fn hash_one(
    (name, password): &(MemberName, Password),
) -> Result<(MemberName, PasswordHash), getrandom::Error> {
    Ok((name.clone(), PasswordHash::of(password)?))
}
