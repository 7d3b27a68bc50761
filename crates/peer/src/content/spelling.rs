//! Spelling: a folder may have a name decomposed (as files from a Mac often are) whose label is composed (BT-2.1-13).

use std::collections::HashMap;
use std::io;

use bittrickle_wire::composed;
use cap_fs_ext::DirExt as _;
use cap_std::fs::Dir;

/// The names of a folder that are spelled otherwise than their labels, by label. Of several with one label, always the same.
pub(crate) type Spellings = HashMap<String, String>;

/// Looks at all names of a folder.
pub(crate) fn spellings(dir: &Dir) -> Spellings {
    let mut spellings = Spellings::new();
    let Ok(entries) = dir.entries() else { return spellings };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let label = composed(&name);
        if label == name {
            continue;
        }
        match spellings.get_mut(&*label) {
            Some(other) if *other > name => *other = name,
            Some(_) => {}
            None => drop(spellings.insert(label.into_owned(), name)),
        }
    }
    spellings
}

/// The same for all that is below a folder: paths of labels, and what they are on disk. Folders in it are no deeper than
/// manifests are.
pub(crate) fn spellings_below(dir: &Dir) -> Spellings {
    let mut found = Spellings::new();
    look_below(dir, "", "", &mut found);
    found
}

fn look_below(dir: &Dir, labels: &str, names: &str, found: &mut Spellings) {
    let spellings: HashMap<String, String> =
        spellings(dir).into_iter().map(|(label, name)| (name, label)).collect();
    let Ok(entries) = dir.entries() else { return };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let label = spellings.get(&name).unwrap_or(&name);
        let join = |above: &str, name: &str| {
            if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
        };
        let (labels, names) = (join(labels, label), join(names, &name));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if let Ok(folder) = dir.open_dir_nofollow(&name) {
                look_below(&folder, &labels, &names, found);
            }
        } else if labels != names {
            found.insert(labels, names);
        }
    }
}

/// Does something with a name in a folder: the label itself, or what the folder has for it. All names of the folder are
/// looked at once, and only where a label isn't there as it is.
pub(crate) fn with_spelling<T>(
    dir: &Dir,
    known: &mut Option<Spellings>,
    label: &str,
    work: impl Fn(&str) -> io::Result<T>,
) -> io::Result<T> {
    match work(label) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !label.is_ascii() => {
            match known.get_or_insert_with(|| spellings(dir)).get(label) {
                Some(name) => work(name),
                None => Err(error),
            }
        }
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
        assert_eq!(spellings(&dir), HashMap::from([(composed.to_owned(), decomposed.to_owned())]));
        let below = spellings_below(&dir);
        let (labels, path) = (format!("{composed}/sub/{composed}"), format!("{decomposed}/sub/{decomposed}"));
        assert_eq!(below, HashMap::from([(labels, path.clone())]));
        assert!(dir.metadata(&path).unwrap().is_file());
        let mut known = None;
        assert!(with_spelling(&dir, &mut known, composed, |name| dir.open_dir_nofollow(name)).is_ok());
        let missing = with_spelling(&dir, &mut known, "x\u{e9}", |name| dir.open_dir_nofollow(name));
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
