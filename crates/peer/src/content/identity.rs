//! Identities: how a file is known to be the one that was hashed, without reading it again.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a file system says of a file, and changes with what is in it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Identity {
    /// The file system that the file is on.
    pub device: u64,
    /// The file's number there.
    pub inode: u64,
    /// Its size.
    pub file_bytes: u64,
    /// When its bytes were changed last, in nanoseconds since 1970.
    pub modified_ns: i128,
    /// When anything of it was changed last, in nanoseconds since 1970. No program sets this back.
    pub changed_ns: i128,
}

/// How coarse the times of common file systems are. Within it, a second change may leave the times as they are.
const TIMES_STEP: Duration = Duration::from_secs(2);

impl Identity {
    /// The identity of an open file, now.
    ///
    /// # Errors
    /// The file system says nothing.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }

    /// Whether the file was modified so shortly before or after `now` that a change right after it could go unnoticed.
    /// `now` is when the identity was taken, before the file was read.
    #[must_use]
    pub fn is_recent(&self, now: SystemTime) -> bool {
        let now_ns = match now.duration_since(UNIX_EPOCH) {
            Ok(since) => nanoseconds(since),
            Err(before) => -nanoseconds(before.duration()),
        };
        (now_ns - self.modified_ns).abs() <= nanoseconds(TIMES_STEP)
    }
}

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        let time =
            |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            file_bytes: metadata.len(),
            modified_ns: time(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: time(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

fn nanoseconds(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_to_or_replaced_has_another_identity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "one").unwrap();
        let file = File::open(&path).unwrap();
        let first = Identity::of(&file).unwrap();
        assert_eq!(Identity::of(&file).unwrap(), first);
        std::fs::write(&path, "three").unwrap();
        assert_ne!(Identity::of(&file).unwrap(), first);
        let second = Identity::of(&file).unwrap();
        std::fs::write(folder.path().join("b"), "three").unwrap();
        std::fs::rename(folder.path().join("b"), &path).unwrap();
        assert_ne!(Identity::of(&File::open(&path).unwrap()).unwrap(), second);
    }

    #[test]
    fn a_file_is_recent_for_two_seconds_on_either_side() {
        let at = |seconds: i128| Identity {
            device: 0,
            inode: 0,
            file_bytes: 0,
            modified_ns: seconds * 1_000_000_000,
            changed_ns: 0,
        };
        let now = UNIX_EPOCH + Duration::from_secs(100);
        for (seconds, is_recent) in
            [(97, false), (98, true), (100, true), (102, true), (103, false), (-9, false)]
        {
            assert_eq!(at(seconds).is_recent(now), is_recent, "{seconds}");
        }
        assert!(at(-1).is_recent(UNIX_EPOCH - Duration::from_secs(1)));
    }
}
