//! The state folder: who may use it, and what stands in it.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bittrickle_secret::{SecretError, check_folder, create_folder, read, read_or_create_key, replace};
use bittrickle_wire::seal::{KEY_BYTES, SecretKey};

use super::error::StateError;
use super::servers::{FILE_BYTES_MAX, PinnedServers};

/// A folder that its owner alone can enter.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

/// Held while this process may change what is in the folder, or uses the device's key: one device never has two
/// sessions at a time.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

/// The device's secret key.
const DEVICE_KEY: &str = "device.key";

/// The servers that were joined.
const SERVERS: &str = "servers.json";

/// The hashes of shared files. It can be deleted: files are hashed again then.
const HASHES: &str = "hashes.redb";

const LOCK: &str = "lock";

impl StateDir {
    /// Opens the folder, and makes it if it isn't there: `given`, else `$XDG_STATE_HOME/bittrickle`, else
    /// `~/.local/state/bittrickle`.
    ///
    /// # Errors
    /// Nothing says where it is, it can't be made, or others can use it.
    pub fn open(given: Option<&Path>) -> Result<Self, StateError> {
        let state = Self { path: place(given, std::env::var_os)? };
        create_folder(&state.path)?;
        check_folder(&state.path)?;
        Ok(state)
    }

    /// Opens the folder if it is there, for those who only look.
    ///
    /// # Errors
    /// Nothing says where it is, or others can use it.
    pub fn open_existing(given: Option<&Path>) -> Result<Option<Self>, StateError> {
        let state = Self { path: place(given, std::env::var_os)? };
        match check_folder(&state.path) {
            Ok(()) => Ok(Some(state)),
            Err(SecretError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the folder for this process, until the lock is dropped.
    ///
    /// # Errors
    /// Another process has it.
    pub fn lock(&self) -> Result<StateLock, StateError> {
        let path = self.path.join(LOCK);
        let failed = |error| StateError::Lock { path: path.clone(), error };
        let file = File::options().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(StateLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse { path: self.path.clone() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The device's key: the one that is there, or else a new one from `random`.
    ///
    /// # Errors
    /// It can't be read or written, is damaged, or others can read it.
    pub fn device_key(&self, random: [u8; KEY_BYTES]) -> Result<SecretKey, StateError> {
        let bytes = read_or_create_key(&self.path.join(DEVICE_KEY), random)?;
        Ok(SecretKey::from_bytes(*bytes))
    }

    /// Where the hashes of shared files are kept.
    #[must_use]
    pub fn hashes(&self) -> PathBuf {
        self.path.join(HASHES)
    }

    /// The servers that were joined; none if there is no list yet.
    ///
    /// # Errors
    /// The list can't be read, is damaged, or others can read it.
    pub fn servers(&self) -> Result<PinnedServers, StateError> {
        let path = self.path.join(SERVERS);
        match read(&path, FILE_BYTES_MAX) {
            Ok(bytes) => {
                PinnedServers::from_json(&bytes).map_err(|error| StateError::Damaged { path, error })
            }
            Err(SecretError::Missing { .. }) => Ok(PinnedServers::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces the list of servers, durably. The lock shows that nobody else does so meanwhile.
    ///
    /// # Errors
    /// It can't be written; the old list is still there then.
    pub fn store_servers(&self, _lock: &StateLock, servers: &PinnedServers) -> Result<(), StateError> {
        Ok(replace(&self.path.join(SERVERS), &servers.to_json())?)
    }
}

/// Where the folder is. A relative path in the environment counts for nothing, as the XDG specification wants it: it
/// would mean another folder, and another device, in each working directory.
fn place(
    given: Option<&Path>,
    variable: impl Fn(&'static str) -> Option<OsString>,
) -> Result<PathBuf, StateError> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Ok(base.ok_or(StateError::NoHome)?.join("bittrickle"))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::super::servers::tests::pinned;
    use super::*;

    fn state() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(Some(&folder.path().join("a/state"))).unwrap();
        (folder, state)
    }

    #[test]
    fn the_folder_is_the_one_that_is_given_or_the_users_own() {
        let place_with = |given: Option<&str>, xdg: Option<&'static str>, home: Option<&'static str>| {
            let variable = |name| if name == "HOME" { home } else { xdg }.map(OsString::from);
            place(given.map(Path::new), variable).map(|path| path.to_str().unwrap().to_owned())
        };
        assert_eq!(place_with(Some("here"), Some("/x"), None).unwrap(), "here");
        assert_eq!(place_with(None, Some("/x"), Some("/home/user")).unwrap(), "/x/bittrickle");
        for xdg in [None, Some(""), Some("x")] {
            let path = place_with(None, xdg, Some("/home/user")).unwrap();
            assert_eq!(path, "/home/user/.local/state/bittrickle");
        }
        for home in [None, Some(""), Some("relative")] {
            let error = place_with(None, None, home).unwrap_err();
            assert!(error.to_string().contains("--state-dir"), "{error}");
        }
    }

    #[test]
    fn the_folder_is_for_its_owner_alone() {
        let (_folder, state) = state();
        assert_eq!(fs::metadata(&state.path).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&state.path, Permissions::from_mode(0o750)).unwrap();
        let opened =
            [StateDir::open(Some(&state.path)).err(), StateDir::open_existing(Some(&state.path)).err()];
        for error in opened.map(|error| error.unwrap().to_string()) {
            assert!(error.contains("chmod 700"), "{error}");
        }
    }

    #[test]
    fn who_only_looks_makes_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert!(StateDir::open_existing(Some(&path)).unwrap().is_none());
        assert!(!path.exists());
    }

    #[test]
    fn one_process_at_a_time_has_the_folder() {
        let (_folder, state) = state();
        let lock = state.lock().unwrap();
        assert!(state.lock().unwrap_err().to_string().contains("another bittrickle"));
        drop(lock);
        assert!(state.lock().is_ok());
    }

    #[test]
    fn a_device_has_one_key_for_good() {
        let (_folder, state) = state();
        let first = state.device_key([1; KEY_BYTES]).unwrap().public();
        assert_eq!(state.device_key([2; KEY_BYTES]).unwrap().public(), first);
        assert_eq!(fs::metadata(state.path.join(DEVICE_KEY)).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn servers_are_read_as_they_were_stored() {
        let (_folder, state) = state();
        assert_eq!(state.servers().unwrap(), PinnedServers::default());
        let mut servers = PinnedServers::default();
        servers.pin(pinned("a.example:1", 1, "alice")).unwrap();
        servers.pin(pinned("[2001:db8::1]:2", 2, "bob")).unwrap();
        state.store_servers(&state.lock().unwrap(), &servers).unwrap();
        assert_eq!(state.servers().unwrap(), servers);
        assert_eq!(fs::metadata(state.path.join(SERVERS)).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_list_is_told_and_kept() {
        let (_folder, state) = state();
        let path = state.path.join(SERVERS);
        let mut servers = PinnedServers::default();
        servers.pin(pinned("a.example:1", 1, "alice")).unwrap();
        let good = String::from_utf8(servers.to_json()).unwrap();
        let unknown_field = good.replace("\"servers\"", "\"more\": 1,\n  \"servers\"");
        let bad_host = good.replace("a.example:1", "a.example");
        for damaged in
            [&good[..good.len() / 2], "", "[]", &unknown_field, &bad_host, &format!("{good}{good}")]
        {
            replace(&path, damaged.as_bytes()).unwrap();
            let error = state.servers().unwrap_err();
            assert!(matches!(error, StateError::Damaged { .. }), "{damaged}: {error}");
            assert!(error.to_string().contains("move it away"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
        replace(&path, &vec![b' '; FILE_BYTES_MAX + 1]).unwrap();
        assert!(matches!(state.servers(), Err(StateError::Secret(SecretError::TooLong { .. }))));
    }

    #[test]
    fn a_list_that_others_can_read_is_refused() {
        let (_folder, state) = state();
        state.store_servers(&state.lock().unwrap(), &PinnedServers::default()).unwrap();
        fs::set_permissions(state.path.join(SERVERS), Permissions::from_mode(0o644)).unwrap();
        assert!(state.servers().unwrap_err().to_string().contains("chmod 600"));
    }
}
