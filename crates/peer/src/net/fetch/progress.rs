//! How far a download has come, for whoever shows it.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// Numbers that grow while a download goes on.
#[derive(Debug, Default)]
pub struct Progress {
    verified_bytes: AtomicU64,
    resumed_bytes: AtomicU64,
    file_bytes: AtomicU64,
    sources: AtomicUsize,
    phase: AtomicU8,
}

/// What is being done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Waiting for a source that lets us in.
    Connecting,
    /// Hashing what an earlier download has left.
    Checking,
    /// Fetching pieces.
    Fetching,
    /// Making everything durable under its final name.
    Finishing,
}

impl Progress {
    /// Bytes that have arrived, have been verified, and are written.
    #[must_use]
    pub fn verified_bytes(&self) -> u64 {
        self.verified_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of them that were there from an earlier download.
    #[must_use]
    pub fn resumed_bytes(&self) -> u64 {
        self.resumed_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of the whole content; 0 while that isn't known.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes.load(Ordering::Relaxed)
    }

    /// Sources that are fetched from.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.sources.load(Ordering::Relaxed)
    }

    /// What is being done.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let phases = [Phase::Connecting, Phase::Checking, Phase::Fetching];
        phases.get(usize::from(self.phase.load(Ordering::Relaxed))).copied().unwrap_or(Phase::Finishing)
    }

    pub(super) fn begin(&self, file_bytes: u64, resumed_bytes: u64) {
        self.file_bytes.store(file_bytes, Ordering::Relaxed);
        self.resumed_bytes.store(resumed_bytes, Ordering::Relaxed);
        self.verified_bytes.store(resumed_bytes, Ordering::Relaxed);
    }

    pub(super) fn add(&self, bytes: u64) {
        self.verified_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn set_sources(&self, sources: usize) {
        self.sources.store(sources, Ordering::Relaxed);
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }
}
