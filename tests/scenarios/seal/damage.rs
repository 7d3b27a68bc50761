//! Every datagram outside a seal, with each bit flipped, cut at every length, and made longer (BT-6.1-4, BT-6.3-6, BT-6.5-5).

use std::ops::Range;

use bittrickle_wire::limits::HEADER_BYTES;
use bittrickle_wire::seal::{Accepting, Aes256Gcm, Datagram, DatagramError};

use super::{
    NOW, bytes_from, cookie_keys, every_datagram, from, handshake, initiating, login, open, opened_frame,
    sealed, server_secret,
};

const INDEX: Range<usize> = 4..8;
const NONCE: Range<usize> = 12..28;
const COOKIE: Range<usize> = 28..52;
const SERVER_KEY: Range<usize> = 52..84;

/// BT-6.1-5, BT-6.4-8: another index or nonce leads to a `Retry` that the device passes over. What pads isn't looked at, and
/// whatever else is flipped, it is no `Hello` any more.
#[test]
fn a_flipped_bit_of_hello_gives_no_cookie_for_this_handshake() {
    let made = handshake();
    for (place, flipped) in flips("Hello") {
        match Datagram::parse(&flipped) {
            Ok(Datagram::Hello(hello)) if place >= NONCE.end => assert_eq!(hello, made.hello),
            Ok(Datagram::Hello(hello)) => {
                assert!(INDEX.contains(&place) || NONCE.contains(&place), "{place}");
                assert_ne!(hello, made.hello);
                let cookie = cookie_keys().make(NOW, from(), &hello.nonce);
                let shown = cookie_keys().check(NOW, from(), &made.hello.nonce, &cookie);
                assert_eq!(shown.is_ok(), INDEX.contains(&place), "the cookie is for the other nonce");
            }
            Ok(other) => assert!(place == 2 && matches!(other, Datagram::Sealed(_)), "{other:?}"),
            Err(_) => assert!(!INDEX.contains(&place) && !NONCE.contains(&place), "{place}"),
        }
    }
}

/// BT-6.4-8, BT-6.2-6, BT-6.4-2: another index or nonce is passed over, another key isn't the expected one, and another
/// cookie is no good.
#[test]
fn a_flipped_bit_of_retry_leads_to_no_session() {
    let made = handshake();
    for (place, flipped) in flips("Retry") {
        let Ok(Datagram::Retry(retry)) = Datagram::parse(&flipped) else {
            assert!(place < HEADER_BYTES && !INDEX.contains(&place), "{place}");
            continue;
        };
        assert_eq!(retry.device_index != made.retry.device_index, INDEX.contains(&place));
        assert_eq!(retry.nonce != made.retry.nonce, NONCE.contains(&place));
        assert_eq!(retry.server_key != made.retry.server_key, SERVER_KEY.contains(&place));
        let checked = cookie_keys().check(NOW, from(), &retry.nonce, &retry.cookie);
        assert_eq!(checked.is_err(), NONCE.contains(&place) || COOKIE.contains(&place), "{place}");
    }
}

/// BT-6.3-2, BT-6.3-6: all of it is authenticated, what pads it too.
#[test]
fn a_flipped_bit_of_initiate_is_not_accepted() {
    let mut made = handshake();
    for (place, flipped) in flips("Initiate") {
        match Datagram::parse(&flipped) {
            Ok(Datagram::Initiate(initiate)) => {
                assert!(Accepting::new(&server_secret(), &initiate, bytes_from(0x60)).is_err(), "{place}");
            }
            Ok(Datagram::Sealed(_)) if place == 2 => assert!(open(&mut made.server, &flipped).is_err()),
            Ok(other) => panic!("{other:?}"),
            Err(_) => assert!(place < HEADER_BYTES, "{place}"),
        }
    }
}

/// BT-6.3-6: and the true one is still taken.
#[test]
fn a_flipped_bit_of_accept_gives_no_session() {
    let made = handshake();
    let (mut waiting, _) = initiating(&made.retry, 0x40);
    for (place, flipped) in flips("Accept") {
        match Datagram::parse(&flipped) {
            Ok(Datagram::Accept(accept)) => {
                assert!(waiting.finish::<Aes256Gcm>(&accept).is_err(), "{place}");
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => assert!(place < HEADER_BYTES, "{place}"),
        }
    }
    assert!(waiting.finish::<Aes256Gcm>(&made.accept).is_ok());
}

/// BT-6.5-2, BT-6.5-5: header, counter, text and tag.
#[test]
fn a_flipped_bit_of_sealed_is_not_opened() {
    let mut made = handshake();
    for (place, flipped) in flips("Sealed") {
        match Datagram::parse(&flipped) {
            Ok(Datagram::Sealed(_)) => assert!(open(&mut made.server, &flipped).is_err(), "{place}"),
            Ok(other) => panic!("{other:?}"),
            Err(_) => assert!(place < HEADER_BYTES, "{place}"),
        }
    }
    let untouched = sealed(&mut made.device, login(1));
    assert_eq!(opened_frame(&mut made.server, &untouched), login(1), "the forged ones have changed nothing");
}

/// BT-6.1-4: also when the header tells the new length.
#[test]
fn a_datagram_cut_anywhere_or_made_longer_is_refused() {
    let mut made = handshake();
    for (name, bytes) in every_datagram() {
        let whole = bytes.len();
        for length in (0..whole).chain(whole + 1..=1_300) {
            let mut changed = bytes.to_vec();
            changed.resize(length, 0);
            assert!(Datagram::parse(&changed).is_err(), "{name} of {length} bytes");
            if length < HEADER_BYTES {
                continue;
            }
            let payload_bytes = u32::try_from(length - HEADER_BYTES).unwrap();
            changed[8..HEADER_BYTES].copy_from_slice(&payload_bytes.to_be_bytes());
            match (name, Datagram::parse(&changed)) {
                ("Hello", Ok(Datagram::Hello(hello))) => {
                    assert!((256..=1_200).contains(&length));
                    assert_eq!(hello, made.hello);
                }
                ("Sealed", Ok(Datagram::Sealed(_))) => {
                    assert!((48..=1_200).contains(&length));
                    assert!(open(&mut made.server, &changed).is_err(), "{length} bytes");
                }
                (_, parsed) => assert_eq!(parsed, Err(DatagramError::Length(length)), "{name}"),
            }
        }
    }
}

/// BT-6.1-1, BT-6.1-4
#[test]
fn nothing_else_is_taken_for_a_datagram_outside_a_seal() {
    for (name, bytes) in every_datagram() {
        for encoding in (0..=u8::MAX).filter(|encoding| *encoding != 2) {
            let mut changed = bytes.clone();
            changed[3] = encoding;
            assert_eq!(Datagram::parse(&changed), Err(DatagramError::Encoding(encoding)), "{name}");
        }
        for version in (0..=u8::MAX).filter(|version| *version != 1) {
            let mut changed = bytes.clone();
            changed[1] = version;
            assert_eq!(Datagram::parse(&changed), Err(DatagramError::Version(version)), "{name}");
        }
        for kind in (0..=u8::MAX).filter(|kind| !matches!(kind, 1..=3 | 0x81..=0x83)) {
            let mut changed = bytes.clone();
            changed[2] = kind;
            assert_eq!(Datagram::parse(&changed), Err(DatagramError::NotOutside), "{name} as 0x{kind:02x}");
        }
    }
}

/// Each flip of one bit, and the byte that it stands in.
fn flips(name: &str) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let datagrams = every_datagram();
    let bytes = datagrams.into_iter().find(|datagram| datagram.0 == name).unwrap().1;
    (0..8 * bytes.len()).map(move |bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        (bit / 8, flipped)
    })
}
