//! Hashing a file with several threads: each takes the next piece that nobody has taken (BT-3.1-5).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;

use bittrickle_wire::Root;
use bittrickle_wire::content::{ChainingValue, Layout, LayoutError, Piece, PieceHasher, merge};
use rustix::fs::{Advice, fadvise};

/// What a file's bytes were hashed to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hashed {
    /// The file's root.
    pub root: Root,
    /// The values of its pieces. None, if there is one piece at most.
    pub outline: Vec<ChainingValue>,
}

/// Why a file wasn't hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// It ended before the size that it was to have.
    #[error("the file became shorter while it was hashed")]
    Shorter,
    /// It was changed each time it was hashed.
    #[error("the file keeps changing")]
    Changing,
    /// The caller wants it no longer.
    #[error("hashing was stopped")]
    Stopped,
    /// More bytes than a content may have.
    #[error("the file is too large: {0}")]
    TooLarge(#[from] LayoutError),
    /// It can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Bytes that are read at once. They are still in the processor's nearest caches when they are hashed; with 256 KiB and
/// more, most of the time goes into waiting for memory.
const READ_BYTES: usize = 64 * 1_024;

/// Hashes the first `bytes` bytes of a file, with `threads` threads at most, and at least one. `progress` grows by the
/// bytes that are hashed, piece by piece. When `stop` is set, hashing ends within a piece a thread.
///
/// # Errors
/// The file is shorter, too large or can't be read, or it was stopped.
pub fn hash_file(
    file: &File,
    bytes: u64,
    threads: usize,
    progress: &AtomicU64,
    stop: &AtomicBool,
) -> Result<Hashed, HashError> {
    let layout = Layout::of_file(bytes)?;
    let hashing =
        Hashing { file, layout, next: AtomicU32::new(0), is_over: AtomicBool::new(false), progress, stop };
    if hashing.layout.pieces() < 2 {
        return hashing.one_piece();
    }
    // Only advice: where it isn't taken, the file is read all the same.
    let _ = fadvise(file, 0, None, Advice::Sequential);
    let outline = hashing.outline(threads)?;
    Ok(Hashed { root: merge(&outline), outline })
}

/// One file while it is hashed, for all threads.
struct Hashing<'a> {
    file: &'a File,
    layout: Layout,
    /// The next piece that nobody has taken.
    next: AtomicU32,
    /// Set by the first thread that fails, so that the others don't go on in vain.
    is_over: AtomicBool,
    progress: &'a AtomicU64,
    stop: &'a AtomicBool,
}

/// A piece's number and value.
type Value = (u32, ChainingValue);

impl Hashing<'_> {
    fn one_piece(&self) -> Result<Hashed, HashError> {
        let bytes = self.layout.bytes();
        let mut buffer = vec![0; READ_BYTES.min(bytes as usize)];
        let piece = Piece { file: 0, offset: 0, bytes: bytes as u32 };
        let root = self.hash(piece, &mut buffer)?.root();
        Ok(Hashed { root, outline: Vec::new() })
    }

    fn outline(&self, threads: usize) -> Result<Vec<ChainingValue>, HashError> {
        let others = threads.min(self.layout.pieces() as usize).saturating_sub(1);
        let shares: Vec<Result<Vec<Value>, HashError>> = thread::scope(|scope| {
            let others: Vec<_> = (0..others).map(|_| scope.spawn(|| self.share())).collect();
            let own = self.share();
            let others = others.into_iter().map(|other| other.join().expect("hashing doesn't panic"));
            others.chain([own]).collect()
        });
        let mut outline = vec![ChainingValue::default(); self.layout.pieces() as usize];
        for share in shares {
            for (piece, value) in share? {
                outline[piece as usize] = value;
            }
        }
        Ok(outline)
    }

    /// Hashes pieces until none is left.
    fn share(&self) -> Result<Vec<Value>, HashError> {
        let values = self.take_pieces();
        if values.is_err() {
            self.is_over.store(true, Ordering::Relaxed);
        }
        values
    }

    fn take_pieces(&self) -> Result<Vec<Value>, HashError> {
        let mut buffer = vec![0; READ_BYTES];
        let mut values = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.layout.pieces() {
                break;
            }
            let piece = self.hash(self.layout.piece(number), &mut buffer)?;
            values.push((number, piece.chaining_value()));
        }
        Ok(values)
    }

    fn hash(&self, piece: Piece, buffer: &mut [u8]) -> Result<PieceHasher, HashError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(HashError::Stopped);
        }
        let mut hasher = PieceHasher::new(piece.offset);
        let end = piece.offset + u64::from(piece.bytes);
        let mut offset = piece.offset;
        while offset < end {
            let part_bytes = buffer.len().min((end - offset) as usize);
            let part = &mut buffer[..part_bytes];
            self.file.read_exact_at(part, offset).map_err(shorter_or_unreadable)?;
            hasher.update(part);
            offset += part_bytes as u64;
        }
        self.progress.fetch_add(u64::from(piece.bytes), Ordering::Relaxed);
        Ok(hasher)
    }
}

fn shorter_or_unreadable(error: io::Error) -> HashError {
    if error.kind() == io::ErrorKind::UnexpectedEof { HashError::Shorter } else { HashError::Io(error) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bittrickle_wire::content::Checks;
    use bittrickle_wire::limits::PIECE_BYTES;

    use super::*;

    fn file_of(bytes: &[u8]) -> (tempfile::TempDir, File) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, bytes).unwrap();
        (folder, File::open(path).unwrap())
    }

    fn sample(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|place| ((place / 251) ^ place) as u8).collect()
    }

    #[test]
    fn a_file_of_any_size_is_hashed_as_b3sum_does_by_any_number_of_threads() {
        for bytes in [0, 1, READ_BYTES + 1, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES + 77] {
            let content = sample(bytes);
            let (_folder, file) = file_of(&content);
            for threads in [0, 1, 2, 7] {
                let progress = AtomicU64::new(1);
                let stop = AtomicBool::new(false);
                let hashed = hash_file(&file, bytes as u64, threads, &progress, &stop).unwrap();
                assert_eq!(hashed.root, Root::of(&content), "{bytes} bytes, {threads} threads");
                assert_eq!(progress.into_inner(), 1 + bytes as u64);
                let layout = Layout::of_file(bytes as u64).unwrap();
                assert!(Checks::new(&layout, vec![hashed.root], hashed.outline).is_ok(), "{bytes} bytes");
            }
        }
    }

    #[test]
    fn a_file_that_is_shorter_than_it_was_is_told() {
        let (_folder, file) = file_of(&sample(3 * PIECE_BYTES));
        for bytes in [3 * PIECE_BYTES + 1, 9 * PIECE_BYTES] {
            let error = hash_file(&file, bytes as u64, 2, &AtomicU64::new(0), &AtomicBool::new(false));
            assert!(matches!(error, Err(HashError::Shorter)), "{bytes}");
        }
        let (_folder, file) = file_of(b"");
        let error = hash_file(&file, 1, 1, &AtomicU64::new(0), &AtomicBool::new(false)).unwrap_err();
        assert!(matches!(error, HashError::Shorter));
    }

    #[test]
    fn hashing_ends_when_it_is_stopped() {
        let (_folder, file) = file_of(&sample(4 * PIECE_BYTES));
        for bytes in [10, 4 * PIECE_BYTES as u64] {
            let progress = AtomicU64::new(0);
            let error = hash_file(&file, bytes, 2, &progress, &AtomicBool::new(true)).unwrap_err();
            assert!(matches!(error, HashError::Stopped));
            assert_eq!(progress.into_inner(), 0);
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let (_folder, file) = file_of(b"");
        let error = hash_file(&file, u64::MAX, 2, &AtomicU64::new(0), &AtomicBool::new(false)).unwrap_err();
        assert!(matches!(error, HashError::TooLarge(_)));
    }
}
