//! Tickets: the index's permission for one device to fetch one content from one source (BT-6.7).

use std::fmt;
use std::sync::LazyLock;

use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use super::keys::{KEY_BYTES, PublicKey};
use crate::content::Target;
use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::number::HexBytes;

/// Bytes of a ticket: when it ends, its number, a MAC.
pub const TICKET_BYTES: usize = 32;

/// Longest time for which a ticket is good, in milliseconds (BT-6.7-2).
pub const TICKET_LIFE_MS_MAX: u64 = 300_000;

/// Opaque to all but the index that made it and the source that it is for.
#[derive(
    Clone,
    Copy,
    Debug,
    Eq,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
    Deserialize,
    DeriveEncode,
    DeriveDecode,
)]
#[serde(transparent)]
pub struct Ticket(pub HexBytes<TICKET_BYTES>);

/// What only the index and one source know, from their session's keys.
#[derive(Clone, Eq, PartialEq)]
pub struct TicketKey([u8; KEY_BYTES]);

/// Why a ticket isn't taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TicketError {
    /// The index has not made it for this device, this content and this source.
    #[error("the ticket is not for this device and this content")]
    Forged,
    /// Its time is over.
    #[error("the ticket's time is over")]
    Expired,
    /// It is good for longer than any ticket may be.
    #[error("the ticket is good for too long")]
    TooLong,
    /// It has been used.
    #[error("the ticket has been used before")]
    Used,
}

impl TicketKey {
    pub(super) fn derive(first: &[u8; KEY_BYTES], second: &[u8; KEY_BYTES]) -> Self {
        static CONTEXT: LazyLock<ContextKey> =
            LazyLock::new(|| hash_derive_key_context("BitTrickle 1 ticket key"));
        let mut hasher = blake3::Hasher::new_from_context_key(&CONTEXT);
        hasher.update(first).update(second);
        Self(*hasher.finalize().as_bytes())
    }

    /// A ticket for this device and target. `ends_ms` is on the index's clock; `number` is never used twice.
    #[must_use]
    pub fn issue(&self, device: &PublicKey, target: &Target, ends_ms: u64, number: u64) -> Ticket {
        let mut ticket = [0; TICKET_BYTES];
        ticket[..8].copy_from_slice(&ends_ms.to_be_bytes());
        ticket[8..16].copy_from_slice(&number.to_be_bytes());
        let mac = self.mac(&ticket, device, target);
        ticket[16..].copy_from_slice(&mac);
        Ticket(HexBytes(ticket))
    }

    /// Whether the index made this ticket for this device and target, and its time is not over. Whether it was used
    /// before is for the caller to know.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(
        &self,
        now_ms: u64,
        device: &PublicKey,
        target: &Target,
        ticket: &Ticket,
    ) -> Result<(), TicketError> {
        let given = &ticket.0.0[16..];
        if !bool::from(self.mac(&ticket.0.0, device, target).ct_eq(given)) {
            return Err(TicketError::Forged);
        }
        match ticket.ends_ms().checked_sub(now_ms) {
            None | Some(0) => Err(TicketError::Expired),
            Some(left) if left > TICKET_LIFE_MS_MAX => Err(TicketError::TooLong),
            Some(_) => Ok(()),
        }
    }

    fn mac(&self, ticket: &[u8; TICKET_BYTES], device: &PublicKey, target: &Target) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&ticket[..16]).update(device.as_bytes()).update(target.to_string().as_bytes());
        let mut mac = [0; 16];
        mac.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        mac
    }
}

impl Ticket {
    /// When it ends, in milliseconds on the index's clock. Says nothing until the ticket has been checked.
    #[must_use]
    pub fn ends_ms(&self) -> u64 {
        u64::from_be_bytes(self.0.0[..8].try_into().expect("eight bytes"))
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey(secret)")
    }
}

impl Drop for TicketKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
