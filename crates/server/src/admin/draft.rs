//! A file or folder in the making: under a hidden name until it is complete and durable, and never in another one's place.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bittrickle_secret::SecretError;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tokio::signal::unix::{SignalKind, signal};

/// What is removed again unless it is published.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    target: PathBuf,
    /// What it is opened as.
    file: File,
    /// Whether it has been published or removed. Held while that is being done.
    is_settled: Arc<Mutex<bool>>,
}

/// What ends a program that doesn't mind it.
const SIGNALS: [SignalKind; 3] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];

/// More than there are files that a draft is filled with.
const REMOVE_TRIES: u32 = 16;

/// What shells add to a signal's number to make an exit code of it.
const SIGNAL_EXIT: i32 = 128;

impl Draft {
    /// A folder with mode 0700 that is to become `target`.
    pub(super) fn folder(target: &Path) -> Result<Self, SecretError> {
        let path = hidden_beside(target)?;
        DirBuilder::new().mode(0o700).create(&path).map_err(io_at(&path))?;
        let file = File::open(&path).map_err(io_at(&path))?;
        Ok(Self { path, target: target.to_owned(), file, is_settled: Arc::default() })
    }

    /// A file with mode 0600 that is to become `target`.
    pub(super) fn file(target: &Path) -> Result<Self, SecretError> {
        let path = hidden_beside(target)?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path).map_err(io_at(&path))?;
        Ok(Self { path, target: target.to_owned(), file, is_settled: Arc::default() })
    }

    /// Where it is now.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, to be written to.
    pub(super) fn writer(&self) -> &File {
        &self.file
    }

    /// From now on, a signal that ends this process removes it first.
    pub(super) fn go_with_signals(&self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let mut arrived = {
            let _inside = runtime.enter();
            let [interrupt, terminate, hangup] = SIGNALS.map(signal);
            [interrupt?, terminate?, hangup?]
        };
        let (path, is_settled) = (self.path.clone(), Arc::clone(&self.is_settled));
        let run = move || {
            let [interrupt, terminate, hangup] = &mut arrived;
            let kind = runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => SIGNALS[0],
                    _ = terminate.recv() => SIGNALS[1],
                    _ = hangup.recv() => SIGNALS[2],
                }
            });
            // Held until the end: what is removed is not published meanwhile.
            let is_settled = is_settled.lock().unwrap_or_else(PoisonError::into_inner);
            if !*is_settled {
                remove(&path);
                std::process::exit(SIGNAL_EXIT + kind.as_raw_value());
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(run).map(drop)
    }

    /// Makes it durable, and gives it its name.
    pub(super) fn publish(self) -> Result<(), SecretError> {
        let mut is_settled = self.is_settled.lock().unwrap_or_else(PoisonError::into_inner);
        self.file.sync_all().map_err(io_at(&self.path))?;
        match renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(SecretError::Exists { path: self.target.clone() }),
            // A file system that can't: whoever makes something of the same name at this moment loses it.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                refuse_existing(&self.target)?;
                fs::rename(&self.path, &self.target).map_err(io_at(&self.target))?;
            }
            Err(error) => return Err(io_at(&self.target)(error.into())),
        }
        *is_settled = true;
        let folder = match self.target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_at(folder))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let mut is_settled = self.is_settled.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_settled {
            *is_settled = true;
            remove(&self.path);
        }
    }
}

/// Removes a draft: our own random name. If it fails, something hidden stays that its owner alone can read.
fn remove(path: &Path) {
    let try_once = || match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    // Whoever fills it may add something while it is emptied.
    let _ = (0..REMOVE_TRIES).any(|_| try_once().is_ok());
}

fn hidden_beside(target: &Path) -> Result<PathBuf, SecretError> {
    refuse_existing(target)?;
    let failed = io_at(target);
    let name = target.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
    let random = getrandom::u64().map_err(|error| failed(io::Error::other(error)))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{random:016x}.new"));
    Ok(target.with_file_name(hidden))
}

fn refuse_existing(target: &Path) -> Result<(), SecretError> {
    match fs::symlink_metadata(target) {
        Ok(_) => Err(SecretError::Exists { path: target.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_at(target)(error)),
    }
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> SecretError + use<> {
    let path = path.to_owned();
    move |error| SecretError::Io { path: path.clone(), error }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn what_is_published_has_its_name_and_what_is_not_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (file, inner) = (folder.path().join("file"), folder.path().join("inner"));
        drop(Draft::file(&file).unwrap());
        let draft = Draft::folder(&inner).unwrap();
        fs::write(draft.path().join("half"), "").unwrap();
        drop(draft);
        assert_eq!(names(folder.path()), 0);

        let draft = Draft::file(&file).unwrap();
        draft.writer().write_all(b"all").unwrap();
        draft.publish().unwrap();
        Draft::folder(&inner).unwrap().publish().unwrap();
        let mode = |path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&file), mode(&inner), names(folder.path())), (0o600, 0o700, 2));
        assert_eq!(fs::read(&file).unwrap(), b"all");
    }

    #[test]
    fn nothing_is_replaced_not_even_what_came_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let draft = Draft::folder(&target).unwrap();
        fs::create_dir(&target).unwrap();
        assert!(matches!(draft.publish(), Err(SecretError::Exists { .. })));
        assert!(matches!(Draft::file(&target), Err(SecretError::Exists { .. })));
        assert_eq!(names(folder.path()), 1);
        assert!(matches!(Draft::file(&target.join("none/file")), Err(SecretError::Io { .. })));
        assert!(matches!(Draft::file(Path::new("/")), Err(SecretError::Exists { .. })));
    }
}
