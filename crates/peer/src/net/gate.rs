//! The gate of the file server: who is let in, and who was not (BT-6.6, BT-6.7).

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bittrickle_wire::limits::HEADER_BYTES;
use bittrickle_wire::seal::{
    Entropy, PublicKey, STREAM_INITIATE_BYTES, SecretKey, StreamAccepting, StreamError, Ticket,
};
use bittrickle_wire::{Encoding, Header, Kind, Target};

use super::places::{Place, Places};
use crate::transfer::{Admission, NotAdmitted};

/// Lets peers in that show a ticket of the index. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Gate {
    device: SecretKey,
    admission: Arc<Mutex<Admission>>,
    entropy: Arc<Mutex<Entropy>>,
    devices: Places<PublicKey>,
    refused: Arc<Refused>,
}

/// What somebody who is let in may do.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Fetch this.
    pub(super) target: Target,
    /// Ask for parts of it until then.
    pub(super) until: Instant,
    /// Who it is.
    pub(super) device: PublicKey,
    _place: Place<PublicKey>,
}

/// Connections of one device: nobody takes all the uploads of a peer (BT-5.4-4).
const PLACES_OF_DEVICE_MAX: usize = 4;

/// The same, of all devices.
const DEVICES_PLACES_MAX: usize = 192;

/// Connections that were not let in, by what was wrong with them.
#[derive(Debug, Default)]
struct Refused {
    handshakes: AtomicU64,
    tickets: AtomicU64,
}

/// How many connections were not let in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RefusedCounts {
    /// Made for another key, or nonsense.
    pub handshakes: u64,
    /// With a ticket that isn't good, or was used before.
    pub tickets: u64,
}

/// Why a connection isn't let in. The other side isn't told.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum NotLetIn {
    /// Its handshake fails.
    #[error(transparent)]
    Handshake(#[from] StreamError),
    /// Its ticket isn't good.
    #[error(transparent)]
    Ticket(#[from] NotAdmitted),
    /// Its device has as many connections as allowed, or all of them together have.
    #[error("too many connections")]
    TooMany,
}

impl Gate {
    /// The gate of the owner of this key.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub fn new(device: SecretKey, admission: Arc<Mutex<Admission>>) -> io::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        let entropy = Arc::new(Mutex::new(Entropy::new(seed)));
        let devices = Places::new(DEVICES_PLACES_MAX, PLACES_OF_DEVICE_MAX);
        Ok(Self { device, admission, entropy, devices, refused: Arc::default() })
    }

    /// Looks at the first bytes of a connection, so that nobody is waited for who begins otherwise.
    pub(super) fn check_head(&self, head: &[u8; HEADER_BYTES]) -> Result<(), NotLetIn> {
        const PAYLOAD_BYTES: u32 = (STREAM_INITIATE_BYTES - HEADER_BYTES) as u32;
        if Header::new(Kind::Initiate, Encoding::Raw, 0, PAYLOAD_BYTES).to_bytes() == *head {
            return Ok(());
        }
        self.count_handshake();
        Err(StreamError::NotAHandshake.into())
    }

    /// Reads what begins a connection: the handshake to be answered, and what may be fetched.
    pub(super) fn admit(
        &self,
        initiate: &[u8; STREAM_INITIATE_BYTES],
    ) -> Result<(StreamAccepting, Admitted), NotLetIn> {
        let ephemeral = self.entropy.lock().unwrap_or_else(PoisonError::into_inner).draw();
        let accepting = StreamAccepting::new(&self.device, initiate, ephemeral);
        let accepting = accepting.inspect_err(|_| self.count_handshake())?;
        let StreamAccepting { device, ticket, target, .. } = &accepting;
        let now = Instant::now();
        let mut admission = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        let until = admission.admit(now, device, target, ticket).inspect_err(|_| self.count_ticket())?;
        let place =
            self.devices.add(*device).ok_or(NotLetIn::TooMany).inspect_err(|_| self.count_ticket())?;
        let admitted = Admitted { target: target.clone(), until, device: *device, _place: place };
        Ok((accepting, admitted))
    }

    /// Looks at a new ticket of somebody who has been let in: says until when it is good.
    pub(super) fn renew(&self, admitted: &Admitted, ticket: &Ticket) -> Result<Instant, NotAdmitted> {
        let mut admission = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        let until = admission.admit(Instant::now(), &admitted.device, &admitted.target, ticket);
        until.inspect_err(|_| self.count_ticket())
    }

    /// Whether somebody who has been let in may still ask, by its last ticket.
    pub(super) fn is_good_still(&self, admitted: &Admitted) -> bool {
        let admission = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        admission.is_good_still(Instant::now(), admitted.until)
    }

    /// Counts a ticket that isn't good.
    fn count_ticket(&self) {
        self.refused.tickets.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that ends in the middle of its handshake, or doesn't get on with it.
    pub(super) fn count_handshake(&self) {
        self.refused.handshakes.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were not let in so far.
    #[must_use]
    pub fn refused(&self) -> RefusedCounts {
        RefusedCounts {
            handshakes: self.refused.handshakes.load(Ordering::Relaxed),
            tickets: self.refused.tickets.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Display for RefusedCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} handshakes, {} tickets", self.handshakes, self.tickets)
    }
}
