//! Tickets: for one device, one name, one source, and a short time (BT-6.7).

use bittrickle_wire::seal::{PublicKey, TICKET_LIFE_MS_MAX, Ticket, TicketError, TicketKey};
use bittrickle_wire::{FileName, HexBytes, Target};

use super::{fetcher_secret, handshake, handshake_of, secret};

const NOW_MS: u64 = 1_000_000;
const ENDS_MS: u64 = NOW_MS + 120_000;

/// BT-6.7-1, BT-6.7-3, BT-6.7-4: the index makes it with its side's key, the source checks it with its own.
#[test]
fn a_ticket_is_good_for_its_device_and_its_name() {
    let made = handshake();
    let ticket = made.server.ticket_key(false).issue(&fetcher(), &name("notes.txt"), ENDS_MS, 7);
    let source = made.device.ticket_key(true);
    assert_eq!(source.check(NOW_MS, &fetcher(), &name("notes.txt"), &ticket), Ok(()));
    assert_eq!(ticket.ends_ms(), ENDS_MS);
    for bit in 0..256 {
        let mut other = *fetcher().as_bytes();
        other[bit / 8] ^= 1 << (bit % 8);
        let result = source.check(NOW_MS, &PublicKey::from_bytes(other), &name("notes.txt"), &ticket);
        assert_eq!(result, Err(TicketError::Forged), "bit {bit} of the device's key");
    }
    for other in ["notes.tx", "notes.txt.", "Notes.txt", "otes.txt", "n", "notes.txt2"] {
        let Ok(other) = FileName::new(other).map(Target::Name) else { continue };
        let result = source.check(NOW_MS, &fetcher(), &other, &ticket);
        assert_eq!(result, Err(TicketError::Forged), "{other:?}");
    }
}

/// BT-6.7-1: nobody else's key will do: not another source's, not that of the same source's next session.
#[test]
fn a_ticket_of_another_source_is_forged() {
    let ticket = key().issue(&fetcher(), &name("notes.txt"), ENDS_MS, 7);
    let others =
        [handshake_of(0x41, 0x60), handshake_of(0x40, 0x61)].map(|made| made.device.ticket_key(true));
    for other in others.iter().chain([&handshake().device.ticket_key(false)]) {
        let result = other.check(NOW_MS, &fetcher(), &name("notes.txt"), &ticket);
        assert_eq!(result, Err(TicketError::Forged));
    }
}

/// BT-6.7-2, BT-6.7-4: to the millisecond.
#[test]
fn a_ticket_is_good_until_it_ends_and_for_at_most_300_s() {
    assert_eq!(TICKET_LIFE_MS_MAX, 300_000);
    for (ends_ms, expected) in [
        (0, Err(TicketError::Expired)),
        (NOW_MS - 1, Err(TicketError::Expired)),
        (NOW_MS, Err(TicketError::Expired)),
        (NOW_MS + 1, Ok(())),
        (NOW_MS + 299_999, Ok(())),
        (NOW_MS + 300_000, Ok(())),
        (NOW_MS + 300_001, Err(TicketError::TooLong)),
        (u64::MAX, Err(TicketError::TooLong)),
    ] {
        let ticket = key().issue(&fetcher(), &name("a"), ends_ms, 1);
        assert_eq!(key().check(NOW_MS, &fetcher(), &name("a"), &ticket), expected, "{ends_ms}");
    }
    let last = key().issue(&fetcher(), &name("a"), u64::MAX, 1);
    assert_eq!(key().check(u64::MAX, &fetcher(), &name("a"), &last), Err(TicketError::Expired));
}

/// BT-6.7-3: neither its end nor its number nor its tag can be changed, and one that is wrong is forged before it is old.
#[test]
fn a_ticket_with_a_flipped_bit_is_forged() {
    let ticket = key().issue(&fetcher(), &name("a"), ENDS_MS, 7);
    for bit in 0..256 {
        let mut changed = ticket.0.0;
        changed[bit / 8] ^= 1 << (bit % 8);
        let result = key().check(NOW_MS, &fetcher(), &name("a"), &Ticket(HexBytes(changed)));
        assert_eq!(result, Err(TicketError::Forged), "bit {bit}");
    }
    for ends_ms in [0, NOW_MS, ENDS_MS - 1, ENDS_MS + 1, u64::MAX] {
        let mut changed = ticket.0.0;
        changed[..8].copy_from_slice(&ends_ms.to_be_bytes());
        let result = key().check(NOW_MS, &fetcher(), &name("a"), &Ticket(HexBytes(changed)));
        assert_eq!(result, Err(TicketError::Forged), "it would end at {ends_ms}");
    }
}

/// BT-6.7-3, BT-6.7-5: a number makes a ticket another one, so that a used one can be told apart.
#[test]
fn tickets_with_other_numbers_are_other_tickets() {
    let [one, other] = [7, 8].map(|number| key().issue(&fetcher(), &name("a"), ENDS_MS, number));
    assert_ne!(one.0.0[16..], other.0.0[16..]);
    assert_eq!(one.0.0[..8], other.0.0[..8]);
    assert_eq!(key().issue(&fetcher(), &name("a"), ENDS_MS, 7), one);
    // Where the device's key ends and the name begins is fixed: no two questions are one text.
    assert_ne!(key().issue(&secret(1).public(), &name("a"), ENDS_MS, 7), one);
}

fn key() -> TicketKey {
    handshake().device.ticket_key(true)
}

fn fetcher() -> PublicKey {
    fetcher_secret().public()
}

fn name(text: &str) -> Target {
    Target::Name(FileName::new(text).unwrap())
}
