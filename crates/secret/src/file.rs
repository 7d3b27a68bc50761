//! Files that nobody else can read: written whole or not at all, checked on the opened handle each time they are read.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::SecretError;
use crate::folder::{exposed_mode, sync_around};

/// A new secret under a hidden name, until it has its own.
struct Draft {
    path: PathBuf,
    renamed: bool,
}

/// Creates a secret file with mode 0600, durable when this returns. What is there already is never replaced.
///
/// # Errors
/// Something of this name is there, even a link that leads nowhere, or it can't be written.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), SecretError> {
    let mut draft = Draft::write(path, bytes)?;
    draft.rename_without_replacing(path)?;
    sync_around(path)
}

/// Creates a secret file with mode 0600, or replaces the one that is there, durable when this returns. Whoever reads it
/// meanwhile finds the old secret or the new one, never a part. A symbolic link is replaced, not followed.
///
/// # Errors
/// It can't be written. The old secret is still there then.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), SecretError> {
    let mut draft = Draft::write(path, bytes)?;
    fs::rename(&draft.path, path).map_err(SecretError::io(path))?;
    draft.renamed = true;
    sync_around(path)
}

/// Reads a secret file of at most `bytes_max` bytes, which are reserved at once so that no copy is left behind.
///
/// # Errors
/// It isn't there, is not a regular file or reached through a link of its own name, belongs to another user, others have
/// some access to it, or it is longer.
pub fn read(path: &Path, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let mut file = open(path, OpenOptions::new().read(true))?;
    let mut bytes = Zeroizing::new(vec![0; bytes_max.saturating_add(1)]);
    let length = fill(&mut file, &mut bytes).map_err(SecretError::io(path))?;
    if length > bytes_max {
        return Err(SecretError::TooLong { path: path.to_owned(), bytes_max });
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Opens a file that is there, with these options, and checks on the handle what [`read`] checks: for files that are more
/// than one secret, such as a database.
///
/// # Errors
/// See [`read`].
pub fn open(path: &Path, options: &mut OpenOptions) -> Result<File, SecretError> {
    // A pipe in the file's place is opened without waiting for its other end, and then refused.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file =
        options.custom_flags(flags).open(path).map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NOENT) => SecretError::Missing { path: path.to_owned() },
            Some(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => SecretError::NotAFile { path: path.to_owned() },
            Some(_) | None => SecretError::io(path)(error),
        })?;
    let metadata = file.metadata().map_err(SecretError::io(path))?;
    if !metadata.is_file() {
        return Err(SecretError::NotAFile { path: path.to_owned() });
    }
    match exposed_mode(&metadata, path)? {
        Some(mode) => Err(SecretError::FileExposed { path: path.to_owned(), mode }),
        None => Ok(file),
    }
}

/// Reads until the end or until `bytes` are full, and tells how many there are.
fn fill(file: &mut File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < bytes.len() {
        match file.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

impl Draft {
    /// Writes the secret beside the path that it is for.
    fn write(path: &Path, bytes: &[u8]) -> Result<Self, SecretError> {
        let failed = SecretError::io(path);
        let name = path.file_name().ok_or_else(|| SecretError::NotAFile { path: path.to_owned() })?;
        let random = getrandom::u64().map_err(|error| failed(io::Error::other(error)))?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{random:016x}.new"));
        let draft = Self { path: path.with_file_name(hidden), renamed: false };

        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let mut file = options.open(&draft.path).map_err(failed)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(draft)
    }

    fn rename_without_replacing(&mut self, path: &Path) -> Result<(), SecretError> {
        let failed = |error: io::Error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                SecretError::Exists { path: path.to_owned() }
            } else {
                SecretError::io(path)(error)
            }
        };
        match renameat_with(CWD, &self.path, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => self.renamed = true,
            // A file system that can't: a link doesn't replace either, and the draft's own name goes with it.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                fs::hard_link(&self.path, path).map_err(failed)?;
            }
            Err(error) => return Err(failed(error.into())),
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.renamed {
            // Our own random name. If it fails, a hidden file stays that its owner alone can read.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    fn only_name(folder: &Path) -> OsString {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 1, "{names:?}");
        names.remove(0)
    }

    #[test]
    fn a_secret_is_read_as_it_was_written_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create(&path, b"one").unwrap();
        assert_eq!(read(&path, 3).unwrap().as_slice(), b"one");
        replace(&path, b"two").unwrap();
        assert_eq!(read(&path, 3).unwrap().as_slice(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(only_name(folder.path()), "secret");
    }

    #[test]
    fn a_new_secret_replaces_nothing_not_even_a_link_that_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create(&path, b"one").unwrap();
        assert!(matches!(create(&path, b"two"), Err(SecretError::Exists { .. })));
        assert_eq!(read(&path, 9).unwrap().as_slice(), b"one");
        fs::remove_file(&path).unwrap();
        symlink("nowhere", &path).unwrap();
        assert!(matches!(create(&path, b"two"), Err(SecretError::Exists { .. })));
        assert_eq!(only_name(folder.path()), "secret");
    }

    #[test]
    fn a_link_is_replaced_and_what_it_leads_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("secret"), folder.path().join("other"));
        fs::write(&other, "kept").unwrap();
        symlink(&other, &path).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(read(&path, 9).unwrap().as_slice(), b"new");
        assert_eq!(fs::read(&other).unwrap(), b"kept");
    }

    #[test]
    fn a_secret_that_others_may_use_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create(&path, b"one").unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path, 9).unwrap_err();
            let advice = format!("chmod 600 {}", path.display());
            assert!(error.is_permission() && error.to_string().contains(&advice), "{error}");
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        create(&at("secret"), b"one").unwrap();
        symlink(at("secret"), at("link")).unwrap();
        let mode = rustix::fs::Mode::from_bits_truncate(0o600);
        rustix::fs::mknodat(CWD, at("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for name in ["link", "pipe", "socket", "."] {
            let error = read(&at(name), 9).unwrap_err();
            assert!(matches!(error, SecretError::NotAFile { .. }), "{name}: {error:?}");
        }
        assert!(matches!(read(&at("none"), 9), Err(SecretError::Missing { .. })));
    }

    #[test]
    fn a_file_that_is_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create(&path, b"four").unwrap();
        assert!(matches!(read(&path, 3), Err(SecretError::TooLong { bytes_max: 3, .. })));
        assert_eq!(read(&path, 4).unwrap().len(), 4);
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create(&path, b"one").unwrap();
        // Only root can give a file away; for anybody else there is nothing to test.
        if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
            assert!(matches!(read(&path, 9), Err(SecretError::NotOurs { .. })));
        }
    }

    #[test]
    fn of_many_who_create_one_secret_exactly_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let created = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8_u8)
                .map(|n| {
                    scope.spawn({
                        let path = &path;
                        move || create(path, &[n; 64]).is_ok()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|ok| *ok).count()
        });
        assert_eq!(created, 1);
        let bytes = read(&path, 64).unwrap();
        assert!(bytes.len() == 64 && bytes.iter().all(|byte| *byte == bytes[0]));
    }
}
