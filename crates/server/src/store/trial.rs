//! A file that is opened on trial: what is written to it stays in memory.
//!
//! Opening a database repairs it where its process was killed, and writes while it does. A file that turns out to be
//! damaged is to be left as it is, so it is opened on trial first.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};

use redb::StorageBackend;

/// The file, and what would have been written.
pub(super) struct Trial {
    file: File,
    state: Mutex<State>,
}

struct State {
    bytes: u64,
    /// How much of the file still shows: less once it has been made shorter.
    file_bytes: u64,
    /// Pages that have been written, by their place.
    pages: HashMap<u64, Box<[u8; PAGE_BYTES]>>,
}

const PAGE_BYTES: usize = 4_096;

impl Trial {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self { file, state: Mutex::new(State { bytes, file_bytes: bytes, pages: HashMap::new() }) })
    }

    fn with<T>(&self, act: impl FnOnce(&File, &mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        act(&self.file, &mut state)
    }
}

impl State {
    /// A page as it would be.
    fn page(&self, file: &File, number: u64) -> io::Result<Box<[u8; PAGE_BYTES]>> {
        if let Some(page) = self.pages.get(&number) {
            return Ok(page.clone());
        }
        let mut page = Box::new([0; PAGE_BYTES]);
        let start = number * PAGE_BYTES as u64;
        let there = self.file_bytes.saturating_sub(start).min(PAGE_BYTES as u64);
        let there = usize::try_from(there).expect("at most a page");
        file.read_exact_at(&mut page[..there], start)?;
        Ok(page)
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trial")
    }
}

impl StorageBackend for Trial {
    fn len(&self) -> io::Result<u64> {
        self.with(|_, state| Ok(state.bytes))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|file, state| {
            if state.bytes < offset + out.len() as u64 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let is_as_in_file = pieces(offset, out.len())
                .all(|(start, _)| !state.pages.contains_key(&(start / PAGE_BYTES as u64)));
            if is_as_in_file && offset + out.len() as u64 <= state.file_bytes {
                return file.read_exact_at(out, offset);
            }
            for (start, piece) in pieces(offset, out.len()) {
                let page = state.page(file, start / PAGE_BYTES as u64)?;
                let from = usize::try_from(start % PAGE_BYTES as u64).expect("within a page");
                out[piece.clone()].copy_from_slice(&page[from..from + piece.len()]);
            }
            Ok(())
        })
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.with(|_, state| {
            state.file_bytes = state.file_bytes.min(bytes);
            state.bytes = bytes;
            state.pages.retain(|number, _| number * (PAGE_BYTES as u64) < bytes);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|file, state| {
            state.bytes = state.bytes.max(offset + data.len() as u64);
            for (start, piece) in pieces(offset, data.len()) {
                let number = start / PAGE_BYTES as u64;
                let mut page = state.page(file, number)?;
                let from = usize::try_from(start % PAGE_BYTES as u64).expect("within a page");
                page[from..from + piece.len()].copy_from_slice(&data[piece]);
                state.pages.insert(number, page);
            }
            Ok(())
        })
    }
}

/// The parts of a range that lie in one page each: where each starts, and which part of the range it is.
fn pieces(offset: u64, bytes: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let start = offset + done as u64;
        let room = PAGE_BYTES - usize::try_from(start % PAGE_BYTES as u64).expect("within a page");
        let piece = done..bytes.min(done + room);
        done = piece.end;
        (!piece.is_empty()).then_some((start, piece))
    })
}
