//! Folders that nobody else can enter.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use crate::SecretError;

/// The permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Makes the folder, and those above it, with mode 0700 if it isn't there. A folder that is there stays as it is: see
/// [`check_folder`].
///
/// # Errors
/// It can't be made, or something else has its name.
pub fn create_folder(path: &Path) -> Result<(), SecretError> {
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory) => {
            Err(SecretError::NotAFolder { path: path.to_owned() })
        }
        Err(error) => Err(SecretError::io(path)(error)),
    }
}

/// Checks that the folder is ours and that nobody else has any access to it.
///
/// # Errors
/// It isn't there, isn't a folder, belongs to another user, or others have access.
pub fn check_folder(path: &Path) -> Result<(), SecretError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SecretError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(SecretError::io(path)(error)),
    };
    if !metadata.is_dir() {
        return Err(SecretError::NotAFolder { path: path.to_owned() });
    }
    match exposed_mode(&metadata, path)? {
        Some(mode) => Err(SecretError::FolderExposed { path: path.to_owned(), mode }),
        None => Ok(()),
    }
}

/// The permission bits, if they let anybody else in.
///
/// # Errors
/// What they belong to isn't ours.
pub(crate) fn exposed_mode(metadata: &Metadata, path: &Path) -> Result<Option<u32>, SecretError> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(SecretError::NotOurs { path: path.to_owned() });
    }
    let mode = metadata.mode() & 0o7777;
    Ok((mode & OTHERS != 0).then_some(mode))
}

/// Makes durable which files the folder around `path` has.
pub(crate) fn sync_around(path: &Path) -> Result<(), SecretError> {
    let folder = folder_around(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(SecretError::io(folder))
}

fn folder_around(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_folder_and_those_above_it_are_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("outer/inner");
        create_folder(&inner).unwrap();
        create_folder(&inner).unwrap();
        for path in [inner.as_path(), inner.parent().unwrap()] {
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o700);
        }
        check_folder(&inner).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_use_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o750, 0o701, 0o720] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            let error = check_folder(folder.path()).unwrap_err();
            assert!(error.is_permission() && error.to_string().contains("chmod 700 "), "{error}");
        }
    }

    #[test]
    fn a_file_in_a_folders_place_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(create_folder(&file), Err(SecretError::NotAFolder { .. })));
        assert!(matches!(create_folder(&file.join("inner")), Err(SecretError::NotAFolder { .. })));
        assert!(matches!(check_folder(&file), Err(SecretError::NotAFolder { .. })));
        assert!(matches!(check_folder(&folder.path().join("none")), Err(SecretError::Missing { .. })));
    }
}
