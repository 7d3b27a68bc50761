//! What a handshake leaves behind: the boundary between it and all that is sealed (BT-6.3-5).

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::keys::KEY_BYTES;
use super::ticket::TicketKey;

/// The keys of one session, from one side's view. In memory only, and wiped when they go.
#[derive(Clone)]
pub struct SessionKeys {
    /// Seals what this side sends.
    pub send: CipherKey,
    /// Opens what it receives.
    pub receive: CipherKey,
}

/// A key for AES-256-GCM.
#[derive(Clone)]
pub struct CipherKey(pub(super) [u8; KEY_BYTES]);

impl SessionKeys {
    pub(super) fn new(send: [u8; KEY_BYTES], receive: [u8; KEY_BYTES]) -> Self {
        Self { send: CipherKey(send), receive: CipherKey(receive) }
    }

    /// The key for tickets, which both sides know and nobody else (BT-6.7-1). The one of the side that began.
    #[must_use]
    pub fn ticket_key(&self, began: bool) -> TicketKey {
        let (first, second) = if began { (&self.send, &self.receive) } else { (&self.receive, &self.send) };
        TicketKey::derive(&first.0, &second.0)
    }
}

impl fmt::Debug for CipherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CipherKey(secret)")
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys(secret)")
    }
}

impl Drop for CipherKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for CipherKey {}
