//! The server's own key: what invites carry, and what devices hold it to (BT-6.2).

use std::path::Path;

use bittrickle_secret::SecretError;
use bittrickle_wire::seal::SecretKey;

/// Why there is no server key.
#[derive(Debug, thiserror::Error)]
pub enum ServerKeyError {
    /// Its file can't be used.
    #[error("the server's key is not acceptable: {0}")]
    File(#[from] SecretError),
    /// A new one can't be made.
    #[error("the operating system has no randomness for the server's key: {0}")]
    Random(#[from] getrandom::Error),
}

/// The key's file in the data folder.
const FILE_NAME: &str = "server.key";

/// Its digits, two a byte, and a line feed.
const FILE_BYTES: usize = 2 * bittrickle_secret::KEY_BYTES + 1;

/// Reads the server's key from its data folder; the first time, makes one. The folder must be there.
///
/// # Errors
/// The file can't be read or made, is damaged, or others have access to it.
pub fn load(data_dir: &Path) -> Result<SecretKey, ServerKeyError> {
    let mut random = [0; bittrickle_secret::KEY_BYTES];
    getrandom::fill(&mut random)?;
    let key = bittrickle_secret::read_or_create_key(&data_dir.join(FILE_NAME), random)?;
    Ok(SecretKey::from_bytes(*key))
}

/// Copies the server's key into another folder, unless there is none yet.
///
/// # Errors
/// The file can't be read or is damaged, others have access to it, or there is a key in the other folder.
pub(crate) fn copy(data_dir: &Path, to: &Path) -> Result<(), ServerKeyError> {
    match bittrickle_secret::read(&data_dir.join(FILE_NAME), FILE_BYTES) {
        Err(SecretError::Missing { .. }) => return Ok(()),
        read => bittrickle_secret::create(&to.join(FILE_NAME), &read?)?,
    }
    // It is there, so that this checks what it says, and makes none.
    load(data_dir).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = load(folder.path()).unwrap().public();
        assert_eq!(load(folder.path()).unwrap().public(), first);
    }

    #[test]
    fn a_copied_key_is_the_same_and_none_is_none() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        copy(from.path(), to.path()).unwrap();
        assert!(!to.path().join(FILE_NAME).exists());
        let key = load(from.path()).unwrap().public();
        copy(from.path(), to.path()).unwrap();
        assert_eq!(load(to.path()).unwrap().public(), key);
        assert!(copy(from.path(), to.path()).is_err());
    }
}
