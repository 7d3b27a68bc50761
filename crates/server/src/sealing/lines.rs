//! The lines to devices: what it takes to open a frame and to seal one, by the server's index of the session.
//!
//! Every thread that reads datagrams shares them. Each line has a lock of its own, which is nearly always free: what comes
//! from one address is read by one thread. There is no other lock on the way to a line.

use std::array;
use std::fmt;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bittrickle_wire::seal::DatagramSession;

use super::rate::Budget;
use crate::index::Pulse;

/// One sealed line.
#[derive(Debug)]
pub struct Line<C> {
    /// Its keys.
    pub session: DatagramSession<C>,
    /// Tells it from those that had, or will have, the same index.
    pub serial: u32,
    /// Where the handshake came from: what comes from elsewhere isn't executed (BT-6.5-7).
    pub address: SocketAddr,
    /// What may still be asked over it that is neither a query nor publishes.
    pub others: Budget,
    /// When a frame was last opened, on the index's clock.
    pub heard_ms: u64,
    /// When it is over, whatever is heard.
    pub over_ms: u64,
    /// The sign of life of the device's session with the index, once it has logged in.
    pub pulse: Option<Arc<Pulse>>,
}

/// All lines.
pub struct Lines<C> {
    /// Made when they are needed, and never moved.
    chunks: Box<[OnceLock<Chunk<C>>]>,
}

/// A line, as long as it isn't used by anybody else.
pub struct LineGuard<'a, C>(MutexGuard<'a, Option<Line<C>>>);

type Chunk<C> = Box<[Mutex<Option<Line<C>>>; CHUNK]>;

/// Lines that get their memory together.
const CHUNK: usize = 256;

/// Most lines, whatever the limits are.
const LINES_MAX: usize = 1 << 22;

impl<C> Lines<C> {
    /// Room for so many lines, which takes next to no memory as long as there are none.
    #[must_use]
    pub fn new(count_max: usize) -> Self {
        let chunks = count_max.min(LINES_MAX).div_ceil(CHUNK);
        Self { chunks: (0..chunks).map(|_| OnceLock::new()).collect() }
    }

    /// The line with this index.
    #[must_use]
    pub fn line(&self, index: u32) -> Option<LineGuard<'_, C>> {
        let (chunk, place) = places(index);
        let line = lock(&self.chunks.get(chunk)?.get()?[place]);
        line.is_some().then_some(LineGuard(line))
    }

    /// Whether there is room for a line with this index.
    pub(super) fn has_room_for(&self, index: u32) -> bool {
        places(index).0 < self.chunks.len()
    }

    /// Sets the line with this index; there is room for it.
    pub(super) fn put(&self, index: u32, line: Line<C>) {
        let (chunk, place) = places(index);
        let chunk = self.chunks[chunk].get_or_init(|| Box::new(array::from_fn(|_| Mutex::new(None))));
        *lock(&chunk[place]) = Some(line);
    }

    /// Takes the line with this index away.
    pub(super) fn take(&self, index: u32) -> Option<Line<C>> {
        let (chunk, place) = places(index);
        lock(&self.chunks.get(chunk)?.get()?[place]).take()
    }
}

impl<C> Deref for LineGuard<'_, C> {
    type Target = Line<C>;

    fn deref(&self) -> &Line<C> {
        self.0.as_ref().expect("it is made of a line only")
    }
}

impl<C> DerefMut for LineGuard<'_, C> {
    fn deref_mut(&mut self) -> &mut Line<C> {
        self.0.as_mut().expect("it is made of a line only")
    }
}

impl<C> fmt::Debug for Lines<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = self.chunks.iter().filter(|chunk| chunk.get().is_some()).count();
        f.debug_struct("Lines").field("chunks", &made).finish_non_exhaustive()
    }
}

fn places(index: u32) -> (usize, usize) {
    (index as usize / CHUNK, index as usize % CHUNK)
}

/// Whoever panicked with a line in hand has left it as good as before: what a frame changes of it, it changes last.
fn lock<C>(line: &Mutex<Option<Line<C>>>) -> MutexGuard<'_, Option<Line<C>>> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}
