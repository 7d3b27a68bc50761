//! Cookies: an address proves that it receives what is sent to it, before the server keeps anything (BT-6.4).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use super::datagrams::NONCE_BYTES;
use crate::header::VERSION;

/// Bytes of a cookie: a time and a MAC.
pub const COOKIE_BYTES: usize = 8 + MAC_BYTES;

const MAC_BYTES: usize = 16;

/// How old a cookie may be (BT-6.4-2).
pub const COOKIE_AGE_MAX: Duration = Duration::from_secs(15);

/// How far ahead of the server's clock it may be: two workers' clocks may differ.
pub const COOKIE_AHEAD_MAX: Duration = Duration::from_secs(2);

/// How long a key for cookies is used (BT-6.4-3).
pub const COOKIE_KEY_LIFE: Duration = Duration::from_secs(120);

const _: () =
    assert!(COOKIE_KEY_LIFE.as_millis() > COOKIE_AGE_MAX.as_millis() + COOKIE_AHEAD_MAX.as_millis());

/// What a server gives to an address that says hello.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cookie(pub [u8; COOKIE_BYTES]);

impl Cookie {
    /// When it was made, in milliseconds on the server's clock. Says nothing until the cookie has been checked.
    #[must_use]
    pub fn time_ms(&self) -> u64 {
        u64::from_be_bytes(self.0[..8].try_into().expect("eight bytes"))
    }
}

/// Why a cookie isn't taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CookieError {
    /// Its time has passed, or is yet to come.
    #[error("the cookie is too old")]
    Stale,
    /// This server has not made it for this address and nonce.
    #[error("the cookie is forged")]
    Forged,
}

/// Makes cookies and checks them, without remembering any.
pub struct CookieKeys {
    epoch: u64,
    previous: [u8; 32],
    current: [u8; 32],
}

impl CookieKeys {
    /// Keys from 32 random bytes, at the start of the server's clock.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { epoch: 0, previous: after(&seed), current: after(&after(&seed)) }
    }

    /// A cookie for this address and nonce. `now` is the time since the server started.
    #[must_use]
    pub fn make(&mut self, now: Duration, from: SocketAddr, nonce: &[u8; NONCE_BYTES]) -> Cookie {
        self.rotate(now);
        let time_ms = milliseconds(now);
        let mut cookie = [0; COOKIE_BYTES];
        cookie[..8].copy_from_slice(&time_ms.to_be_bytes());
        cookie[8..].copy_from_slice(&mac(&self.current, time_ms, from, nonce));
        Cookie(cookie)
    }

    /// Whether this server made the cookie for this address and nonce, a moment ago.
    ///
    /// # Errors
    /// It didn't, or the moment is over.
    pub fn check(
        &mut self,
        now: Duration,
        from: SocketAddr,
        nonce: &[u8; NONCE_BYTES],
        cookie: &Cookie,
    ) -> Result<(), CookieError> {
        self.rotate(now);
        let (time_ms, given) = (cookie.time_ms(), &cookie.0[8..]);
        let now_ms = milliseconds(now);
        let oldest = now_ms.saturating_sub(milliseconds(COOKIE_AGE_MAX));
        if !(oldest..=now_ms + milliseconds(COOKIE_AHEAD_MAX)).contains(&time_ms) {
            return Err(CookieError::Stale);
        }
        let epoch = time_ms / milliseconds(COOKIE_KEY_LIFE);
        let expected = match epoch.checked_sub(self.epoch) {
            None => mac(&self.previous, time_ms, from, nonce),
            Some(0) => mac(&self.current, time_ms, from, nonce),
            Some(_) => mac(&after(&self.current), time_ms, from, nonce),
        };
        if bool::from(expected.ct_eq(given)) { Ok(()) } else { Err(CookieError::Forged) }
    }

    /// Moves on to the key of this time. Earlier keys can't be found from it.
    fn rotate(&mut self, now: Duration) {
        let epoch = milliseconds(now) / milliseconds(COOKIE_KEY_LIFE);
        while self.epoch < epoch {
            self.previous = self.current;
            self.current = after(&self.current);
            self.epoch += 1;
        }
    }
}

impl fmt::Debug for CookieKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKeys(secret)")
    }
}

impl Drop for CookieKeys {
    fn drop(&mut self) {
        self.previous.zeroize();
        self.current.zeroize();
    }
}

fn after(key: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key("BitTrickle 1 cookie key", key)
}

fn mac(key: &[u8; 32], time_ms: u64, from: SocketAddr, nonce: &[u8; NONCE_BYTES]) -> [u8; MAC_BYTES] {
    let ip = match from.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&[VERSION]).update(&time_ms.to_be_bytes());
    hasher.update(&ip.octets()).update(&from.port().to_be_bytes()).update(nonce);
    let mut mac = [0; MAC_BYTES];
    mac.copy_from_slice(&hasher.finalize().as_bytes()[..MAC_BYTES]);
    mac
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("500 million years are not over")
}
