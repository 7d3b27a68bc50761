//! Spelling: a folder may have a name decomposed (as files from a Mac often are) whose label is composed (BT-2.1-13).

use std::io;

use bittrickle_wire::composed;
use cap_fs_ext::DirExt as _;
use cap_std::fs::Dir;

/// How a folder spells a label that isn't there as it is. Only a look at all its names tells.
pub(crate) fn spelled(dir: &Dir, label: &str) -> Option<String> {
    if label.is_ascii() {
        return None;
    }
    let names = dir.entries().ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    // Of several, always the same one.
    names.filter(|name| composed(name) == label).min()
}

/// The same for a path of labels, of which at least one is spelled otherwise.
pub(crate) fn spelled_path(dir: &Dir, path: &str) -> Option<String> {
    if path.is_ascii() {
        return None;
    }
    let mut found = String::new();
    let mut parent: Option<Dir> = None;
    for label in path.split('/') {
        let dir = parent.as_ref().unwrap_or(dir);
        let is_there = dir.symlink_metadata(label).is_ok();
        let name = if is_there { label.to_owned() } else { spelled(dir, label)? };
        if !found.is_empty() {
            found.push('/');
        }
        found.push_str(&name);
        // The last one is a file; whoever opens the path finds out what it is.
        parent = dir.open_dir_nofollow(&name).ok().or(parent);
    }
    Some(found)
}

/// Does something with a name in a folder: the label itself, or what the folder has for it.
pub(crate) fn with_spelling<T>(
    dir: &Dir,
    label: &str,
    work: impl Fn(&str) -> io::Result<T>,
) -> io::Result<T> {
    match work(label) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match spelled(dir, label) {
            Some(name) => work(&name),
            None => Err(error),
        },
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    /// BT-2.1-13
    #[test]
    fn what_a_folder_has_decomposed_is_found_by_its_label() {
        let place = tempfile::tempdir().unwrap();
        let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
        std::fs::create_dir_all(place.path().join(decomposed).join("sub")).unwrap();
        std::fs::write(place.path().join(decomposed).join("sub").join(decomposed), b"x").unwrap();
        let dir = Dir::open_ambient_dir(place.path(), ambient_authority()).unwrap();
        assert_eq!(spelled(&dir, composed).as_deref(), Some(decomposed));
        assert_eq!(spelled(&dir, "other\u{e9}"), None);
        let path = spelled_path(&dir, &format!("{composed}/sub/{composed}")).unwrap();
        assert_eq!(path, format!("{decomposed}/sub/{decomposed}"));
        assert!(dir.metadata(&path).unwrap().is_file());
        assert_eq!(spelled_path(&dir, &format!("{composed}/sub/e\u{e9}")), None);
        assert!(with_spelling(&dir, composed, |name| dir.open_dir_nofollow(name)).is_ok());
        let missing = with_spelling(&dir, "x\u{e9}", |name| dir.open_dir_nofollow(name));
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
