//! Going on with what another download has left: one that was begun before the root was known, or one of a root that the
//! name doesn't stand for any more (BT-3.8-5). Whatever is taken over is hashed before it counts.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read as _};

use std::sync::Arc;

use bittrickle_wire::content::{Layout, Manifest, ManifestEntry};
use bittrickle_wire::{FileName, Root, Target};
use cap_fs_ext::{DirExt as _, FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{Dir, DirEntry, MetadataExt as _, OpenOptions, Permissions, PermissionsExt as _};

use super::Names;
use super::open_journal::{lock, read, write_anew};
use crate::share::folder::{Folder, FolderError, open_to_read};
use crate::transfer::{Journal, JournalHeader, PieceSet};

/// What an adopted part has to fit.
pub(super) struct Adopting<'a> {
    pub(super) folder: &'a Folder,
    pub(super) header: &'a JournalHeader,
    pub(super) names: &'a Names,
    pub(super) layout: &'a Layout,
    pub(super) manifest: Option<&'a Arc<Manifest>>,
}

impl Adopting<'_> {
    /// Goes on with a download of the same name and size that was begun before the root was known.
    pub(super) fn of_name(&self) -> Result<(), FolderError> {
        self.adopt(&Target::Name(self.header.name.clone()), |before| {
            (before.file_bytes, before.is_folder) == (self.header.file_bytes, self.header.is_folder)
        })
    }

    /// Goes on with a download of another root, which the name doesn't stand for any more.
    pub(super) fn of_root(&self, before: Root) -> Result<(), FolderError> {
        self.adopt(&Target::Root(before), |before| before.is_folder == self.header.is_folder)
    }

    fn adopt(&self, target: &Target, fits: impl FnOnce(&JournalHeader) -> bool) -> Result<(), FolderError> {
        let (folder, header) = (self.folder, self.header);
        let before = Names::of(target, &header.name);
        let Some(mut file) = lock(folder, &before.journal, false)? else { return Ok(()) };
        if !folder.has_entry(&before.part) {
            // There was no room for it, a crash has come between the two steps below, or its user has removed the part.
            return Ok(folder.dir().remove_file(&before.journal)?);
        }
        let Some((read, claimed, _)) = read(&mut file)? else { return Ok(()) };
        if !fits(&read) {
            return Ok(());
        }
        // The part is made to fit under its old name: it never has the new one with anything in it that isn't to be there.
        let claimed = match self.manifest {
            Some(manifest) => {
                fit_tree(&folder.dir().open_dir_nofollow(&before.part)?, manifest, self.layout)?
            }
            None => claimed,
        };
        let pieces = claimed.ranges().map(|range| range.start..range.end.min(header.pieces));
        let pieces: Vec<_> = pieces.filter(|range| !range.is_empty()).collect();
        let (mut journal, mut bytes) = Journal::begin(header);
        bytes.extend(journal.append(&pieces));
        let mut file = lock(folder, &self.names.journal, true)?.expect("it is made when it isn't there");
        write_anew(&mut file, &bytes)?;
        folder.dir().rename(&before.part, folder.dir(), &self.names.part)?;
        Ok(folder.dir().remove_file(&before.journal)?)
    }
}

/// The roots that unfinished downloads of this final name are of; those of which most is claimed come first.
pub(super) fn unfinished(folder: &Folder, name: &FileName) -> io::Result<Vec<Root>> {
    let mut found = Vec::new();
    for entry in folder.dir().entries()? {
        let Ok(journal) = entry?.file_name().into_string() else { continue };
        if !journal.starts_with(".bittrickle-") || !journal.ends_with(".journal") {
            continue;
        }
        let Ok(file) = open_to_read(folder.dir(), &journal) else { continue };
        let claimed_bytes = file.metadata()?.len();
        let mut beginning = Vec::new();
        file.take(HEADER_BYTES_MAX).read_to_end(&mut beginning)?;
        if let Ok((JournalHeader { target: Target::Root(root), name: final_name, .. }, ..)) =
            Journal::read(&beginning)
            && final_name == *name
        {
            found.push((claimed_bytes, root));
        }
    }
    found.sort_by_key(|(claimed_bytes, _)| std::cmp::Reverse(*claimed_bytes));
    Ok(found.into_iter().map(|(_, root)| root).collect())
}

/// Bytes in which a journal's header stands.
const HEADER_BYTES_MAX: u64 = 2_048;

/// Removes an unfinished download.
pub(super) fn remove(folder: &Folder, root: Root, name: &FileName) -> Result<(), FolderError> {
    let names = Names::of(&Target::Root(root), name);
    let Some(_locked) = lock(folder, &names.journal, false)? else { return Ok(()) };
    match folder.dir().symlink_metadata(&names.part) {
        Ok(metadata) if metadata.is_dir() => {
            folder.dir().open_dir_nofollow(&names.part)?.remove_open_dir_all()?;
        }
        Ok(_) => folder.dir().remove_file(&names.part)?,
        Err(_) => {}
    }
    Ok(folder.dir().remove_file(&names.journal)?)
}

/// Removes from a tree what a manifest hasn't, and cuts what is longer there. Gives the pieces that may be what they should.
fn fit_tree(dir: &Dir, manifest: &Manifest, layout: &Layout) -> io::Result<PieceSet> {
    let mut fitting = Fitting {
        files: (0..)
            .zip(manifest.files())
            .map(|(number, file)| (file.path, (number, file.file_bytes.bytes(), file.is_executable)))
            .collect(),
        folders: manifest
            .entries()
            .filter_map(|entry| match entry {
                ManifestEntry::Folder { path } => Some(path),
                ManifestEntry::File(_) => None,
            })
            .collect(),
        layout,
        claimed: PieceSet::new(layout.pieces()),
    };
    fitting.fit(dir, "")?;
    Ok(fitting.claimed)
}

struct Fitting<'a> {
    /// The number, the size and whether it is executable, by path.
    files: HashMap<&'a str, (u32, u64, bool)>,
    folders: HashSet<&'a str>,
    layout: &'a Layout,
    claimed: PieceSet,
}

const OWNER_EXECUTES: u32 = 0o100;

impl Fitting<'_> {
    /// Trees are no deeper than manifests are.
    fn fit(&mut self, dir: &Dir, path: &str) -> io::Result<()> {
        for entry in dir.entries()?.collect::<io::Result<Vec<_>>>()? {
            let name = entry.file_name();
            let Some(text) = name.to_str() else {
                remove_entry(dir, &entry)?;
                continue;
            };
            let path = if path.is_empty() { text.to_owned() } else { format!("{path}/{text}") };
            let metadata = dir.symlink_metadata(&name)?;
            if metadata.is_dir() && self.folders.contains(&*path) {
                self.fit(&dir.open_dir_nofollow(&name)?, &path)?;
                continue;
            }
            match self.files.get(&*path) {
                Some(&(number, bytes, is_executable)) if metadata.is_file() => {
                    let mut options = OpenOptions::new();
                    let file = dir.open_with(&name, options.write(true).follow(FollowSymlinks::No))?;
                    if metadata.size() > bytes {
                        file.set_len(bytes)?;
                    }
                    let mode = metadata.permissions().mode();
                    if is_executable != (mode & OWNER_EXECUTES != 0) {
                        // Those who may read it may execute it, or nobody. Where the file system keeps no modes, it has its own.
                        let mode = if is_executable { mode | (mode & 0o444) >> 2 } else { mode & !0o111 };
                        let _ = file.set_permissions(Permissions::from_mode(mode));
                    }
                    for piece in self.layout.file_pieces(number) {
                        let place = self.layout.piece(piece);
                        if place.offset + u64::from(place.bytes) <= metadata.size() {
                            self.claimed.insert(piece);
                        }
                    }
                }
                Some(_) | None => remove_entry(dir, &entry)?,
            }
        }
        Ok(())
    }
}

fn remove_entry(dir: &Dir, entry: &DirEntry) -> io::Result<()> {
    let name = entry.file_name();
    if dir.symlink_metadata(&name)?.is_dir() {
        dir.open_dir_nofollow(&name)?.remove_open_dir_all()
    } else {
        dir.remove_file(&name)
    }
}
