//! Cookies: who shows one receives what is sent to its address, and has asked a moment ago (BT-6.4).

use std::net::SocketAddr;
use std::time::Duration;

use bittrickle_wire::seal::{
    COOKIE_AGE_MAX, COOKIE_AHEAD_MAX, COOKIE_KEY_LIFE, Cookie, CookieError, CookieKeys, Entropy, NONCE_BYTES,
};

use super::{NOW, bytes_from, cookie_keys, from};

const NONCE: [u8; NONCE_BYTES] = [0x80; NONCE_BYTES];
const MILLISECOND: Duration = Duration::from_millis(1);

/// BT-6.4-2
#[test]
fn a_cookie_is_good_for_its_address_and_nonce_and_for_no_other() {
    let cookie = cookie_at(NOW);
    assert_eq!(check(NOW, &from().to_string(), &NONCE, &cookie), Ok(()));
    assert_eq!(
        check(NOW, "[::ffff:192.0.2.7]:50000", &NONCE, &cookie),
        Ok(()),
        "the same address, in IPv6 clothes"
    );
    for elsewhere in [
        "192.0.2.6:50000",
        "193.0.2.7:50000",
        "192.0.2.7:50001",
        "192.0.2.7:0",
        "[::192.0.2.7]:50000",
        "[64:ff9b::192.0.2.7]:50000",
        "[2001:db8::1]:50000",
    ] {
        assert_eq!(check(NOW, elsewhere, &NONCE, &cookie), Err(CookieError::Forged), "{elsewhere}");
    }
    for bit in 0..8 * NONCE_BYTES {
        let mut nonce = NONCE;
        nonce[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(check(NOW, &from().to_string(), &nonce, &cookie), Err(CookieError::Forged), "bit {bit}");
    }
}

/// BT-6.4-2: no bit can be changed, the time's least of all.
#[test]
fn a_cookie_with_a_flipped_bit_is_refused() {
    let cookie = cookie_at(NOW);
    for bit in 0..8 * cookie.0.len() {
        let mut changed = cookie;
        changed.0[bit / 8] ^= 1 << (bit % 8);
        assert!(check(NOW, &from().to_string(), &NONCE, &changed).is_err(), "bit {bit}");
    }
    for step in 1..=2_000_u64 {
        let mut later = cookie;
        let time = u64::from_be_bytes(cookie.0[..8].try_into().unwrap()) + step;
        later.0[..8].copy_from_slice(&time.to_be_bytes());
        let result = check(NOW + COOKIE_AGE_MAX, &from().to_string(), &NONCE, &later);
        assert_eq!(result, Err(CookieError::Forged), "{step} ms younger than it is");
    }
}

/// BT-6.4-2: exactly 15 s, and exactly 2 s, wherever in the life of a key.
#[test]
fn a_cookie_is_good_for_15_s_and_2_s_ahead() {
    assert_eq!((COOKIE_AGE_MAX, COOKIE_AHEAD_MAX), (Duration::from_secs(15), Duration::from_secs(2)));
    let life = COOKIE_KEY_LIFE;
    let ahead = Duration::from_secs(3);
    for made in [ahead, NOW, life - MILLISECOND, life, life + MILLISECOND, 7 * life - MILLISECOND, 7 * life] {
        let cookie = cookie_at(made);
        let at = |now| check(now, &from().to_string(), &NONCE, &cookie);
        for good in [made, made + MILLISECOND, made + COOKIE_AGE_MAX, made - COOKIE_AHEAD_MAX] {
            assert_eq!(at(good), Ok(()), "made at {made:?}, shown at {good:?}");
        }
        for stale in [made + COOKIE_AGE_MAX + MILLISECOND, made - COOKIE_AHEAD_MAX - MILLISECOND, made + life]
        {
            assert_eq!(at(stale), Err(CookieError::Stale), "made at {made:?}, shown at {stale:?}");
        }
    }
    assert_eq!(check(Duration::ZERO, &from().to_string(), &NONCE, &cookie_at(Duration::ZERO)), Ok(()));
}

/// BT-6.4-3: every moment of the changes of keys, by the same server and by one whose clock is a little behind.
#[test]
fn cookies_live_through_the_change_of_keys() {
    let mut keys = cookie_keys();
    for seconds in 0..1_000 {
        let made = Duration::from_secs(seconds);
        let cookie = keys.make(made, from(), &NONCE);
        assert_eq!(keys.check(made, from(), &NONCE, &cookie), Ok(()), "{seconds}");
        let earlier = made.saturating_sub(COOKIE_AHEAD_MAX);
        assert_eq!(check(earlier, &from().to_string(), &NONCE, &cookie), Ok(()), "{seconds}");
        let later = made + COOKIE_AGE_MAX;
        assert_eq!(check(later, &from().to_string(), &NONCE, &cookie), Ok(()), "{seconds}");
    }
    let a_day = Duration::from_secs(86_400);
    let cookie = keys.make(a_day, from(), &NONCE);
    assert_eq!(
        check(a_day, &from().to_string(), &NONCE, &cookie),
        Ok(()),
        "a day later, without anybody asking"
    );
}

/// BT-6.4-3: a key is not used for the times of another one.
#[test]
fn each_life_of_a_key_has_other_tags() {
    // A server that starts with a later key makes for a time what another makes for a later one.
    let later_seed = blake3::derive_key("BitTrickle 1 cookie key", &bytes_from::<32>(0xa0));
    let cookie = CookieKeys::new(later_seed).make(NOW, from(), &NONCE);
    assert_eq!(check(NOW, &from().to_string(), &NONCE, &cookie), Err(CookieError::Forged));
}

/// BT-6.2-11, BT-6.4-6: a server that was started again knows nothing of earlier cookies.
#[test]
fn a_cookie_of_another_server_is_refused() {
    for seed in 0..=u8::MAX {
        if seed != 0xa0 {
            let cookie = CookieKeys::new(bytes_from(seed)).make(NOW, from(), &NONCE);
            assert_eq!(check(NOW, &from().to_string(), &NONCE, &cookie), Err(CookieError::Forged));
        }
    }
}

/// BT-6.4-2
#[test]
fn none_of_a_million_random_cookies_is_taken() {
    let (mut keys, mut entropy) = (cookie_keys(), Entropy::new(bytes_from(1)));
    let now_ms = u64::try_from(NOW.as_millis()).unwrap();
    let mut forged = 0;
    for round in 0..20_000_u64 {
        let random: [u8; 16 * 50] = entropy.draw();
        for tag in random.as_chunks::<16>().0 {
            let mut cookie = Cookie([0; 24]);
            cookie.0[..8].copy_from_slice(&(now_ms - round % 15_000).to_be_bytes());
            cookie.0[8..].copy_from_slice(tag);
            forged += u32::from(keys.check(NOW, from(), &NONCE, &cookie) == Err(CookieError::Forged));
        }
    }
    assert_eq!(forged, 1_000_000);
}

fn cookie_at(made: Duration) -> Cookie {
    cookie_keys().make(made, from(), &NONCE)
}

/// What a server with the same keys says that has just been started.
fn check(now: Duration, from: &str, nonce: &[u8; NONCE_BYTES], cookie: &Cookie) -> Result<(), CookieError> {
    let from: SocketAddr = from.parse().unwrap();
    cookie_keys().check(now, from, nonce, cookie)
}
