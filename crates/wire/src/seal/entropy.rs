//! Randomness that comes in as an argument (BT-6.2-1).

use std::fmt;

use zeroize::Zeroize as _;

/// A generator that is seeded once and forgets what it has given: each draw replaces its key with half of what the key
/// makes (Bernstein's fast key erasure), so that memory which is read later tells nothing of earlier draws.
pub struct Entropy {
    key: [u8; 32],
}

impl Entropy {
    /// Seeded with 32 bytes from the operating system, or with fixed ones in a test.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { key: seed }
    }

    /// The next bytes; never the same twice.
    #[must_use]
    pub fn draw<const BYTES: usize>(&mut self) -> [u8; BYTES] {
        let mut stream = blake3::Hasher::new_keyed(&self.key).finalize_xof();
        stream.fill(&mut self.key);
        let mut drawn = [0; BYTES];
        stream.fill(&mut drawn);
        drawn
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(secret)")
    }
}

impl Drop for Entropy {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}
