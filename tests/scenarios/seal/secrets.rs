//! Secrets aren't shown, and randomness doesn't repeat (BT-6.2-1).

use std::collections::BTreeSet;
use std::fmt::Debug;

use bittrickle_wire::seal::{CookieKeys, Entropy, SecretKey};

use super::{cookie_keys, device_secret, handshake, login, open, sealed, stream};

/// BT-6.2-2, BT-6.3-5: neither in a log nor in a panic.
#[test]
fn no_secret_is_shown_by_debug() {
    let mut made = handshake();
    let datagram = sealed(&mut made.device, login(1));
    check("SecretKey", &device_secret());
    check("SecretKey", &SecretKey::from_bytes([0xab; 32]));
    check("SessionKeys", &made.device_keys);
    check("CipherKey", &made.device_keys.send);
    check("CipherKey", &made.device_keys.receive);
    check("TicketKey", &made.device.ticket_key(true));
    check("DatagramSession", &made.device);
    check("DatagramSession", &made.server);
    check("CookieKeys", &cookie_keys());
    check("CookieKeys", &CookieKeys::new([0xab; 32]));
    check("Entropy", &Entropy::new([0xab; 32]));
    let (fetcher, provider) = stream("notes.txt");
    check("SealedCodec", &fetcher);
    check("SealedCodec", &provider);
    check("Opened", &open(&mut made.server, &datagram).unwrap());
}

/// BT-6.2-1
#[test]
fn drawn_bytes_never_repeat() {
    let mut entropy = Entropy::new([7; 32]);
    let mut seen = BTreeSet::new();
    for _ in 0..20_000 {
        assert!(seen.insert(entropy.draw::<16>()));
    }
    for _ in 0..1_000 {
        let wide: [u8; 256] = entropy.draw();
        for part in wide.as_chunks::<16>().0 {
            assert!(seen.insert(*part));
        }
    }
    assert!(!seen.contains(&[7; 16]), "the seed is not given away");
}

/// BT-6.2-1: all that follows depends on all of the seed, and on nothing else.
#[test]
fn what_is_drawn_depends_on_the_seed_alone() {
    let draws = |seed: [u8; 32]| {
        let mut entropy = Entropy::new(seed);
        (entropy.draw::<32>(), entropy.draw::<4>(), entropy.draw::<16>())
    };
    let expected = draws([7; 32]);
    assert_eq!(draws([7; 32]), expected);
    for bit in 0..256 {
        let mut seed = [7; 32];
        seed[bit / 8] ^= 1 << (bit % 8);
        let drawn = draws(seed);
        assert!(drawn.0 != expected.0 && drawn.1 != expected.1 && drawn.2 != expected.2, "bit {bit}");
    }
}

/// Neither digits of a key nor numbers of its bytes: what is shown has no long word of hexadecimal digits and no list.
fn check(name: &str, value: &dyn Debug) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(shown.starts_with(name), "{shown}");
        let words = shown.split(|character: char| !character.is_ascii_hexdigit());
        assert!(words.clone().all(|word| word.len() < 12), "{shown}");
        assert!(!shown.contains('['), "{shown}");
        let numbers = words.filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()));
        assert!(numbers.count() < 8, "{shown}");
    }
}
