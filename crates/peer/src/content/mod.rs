//! Contents on this device's disk: files are hashed, and what they were hashed to is kept.

mod cache;
#[cfg(test)]
mod cache_tests;
mod hasher;
mod identity;
mod record;
mod settled;
mod spelling;
mod walk;

pub use cache::{CacheError, HashCache};
pub use hasher::{HashError, Hashed, hash_file};
pub use identity::Identity;
pub use settled::{ATTEMPTS_MAX, Hashing, Settled};
pub(crate) use spelling::{Spellings, spellings, spellings_below};
pub(crate) use walk::is_unfinished;
pub use walk::{LeftOut, WalkError, Walked, hash_files, walk};
