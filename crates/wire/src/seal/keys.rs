//! X25519 keys: who a device or a server is (BT-6.2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::noise;
use crate::encoding::binary::{DeriveDecode, DeriveEncode};
use crate::number::{HexBytes, HexError};

/// Bytes of a key, public or secret.
pub const KEY_BYTES: usize = 32;

/// The public key of a device or of a server: 64 hexadecimal digits in JSON and in files.
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
pub struct PublicKey(pub HexBytes<KEY_BYTES>);

/// The secret half. Wiped from memory when it goes, and never shown.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

/// What people compare: the first 16 bytes of a public key's BLAKE3, as eight groups of four digits (BT-6.2-3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint([u8; 16]);

/// Not a fingerprint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a fingerprint is eight groups of four hexadecimal digits, like 0f1e-2d3c-4b5a-6978-8796-a5b4-c3d2-e1f0"
)]
pub struct FingerprintError;

impl PublicKey {
    /// The key with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(HexBytes(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0.0
    }

    /// What people compare.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut first = [0; 16];
        first.copy_from_slice(&blake3::hash(self.as_bytes()).as_bytes()[..16]);
        Fingerprint(first)
    }
}

impl SecretKey {
    /// The key with these bytes, which must come from a source of good randomness (BT-6.2-1).
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes, for the file that keeps it and for the handshake.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::from_bytes(noise::public_key(self.expose()))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(secret)")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PublicKey {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, [high, low]) in self.0.as_chunks().0.iter().enumerate() {
            let dash = if index == 0 { "" } else { "-" };
            write!(f, "{dash}{high:02x}{low:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads what `Display` writes; the dashes may be left out, and capitals are taken.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits: String = text.trim().to_lowercase().split('-').collect();
        digits.parse::<HexBytes<16>>().map(|bytes| Self(bytes.0)).map_err(|_| FingerprintError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_written() {
        let fingerprint = PublicKey::from_bytes([7; KEY_BYTES]).fingerprint();
        let text = fingerprint.to_string();
        assert_eq!(text.parse(), Ok(fingerprint));
        assert_eq!(text.replace('-', "").to_uppercase().parse(), Ok(fingerprint));
        assert_eq!("".parse::<Fingerprint>(), Err(FingerprintError));
        assert_eq!(text[1..].parse::<Fingerprint>(), Err(FingerprintError));
    }

    #[test]
    fn a_secret_key_is_not_shown() {
        assert!(!format!("{:?}", SecretKey::from_bytes([0xab; KEY_BYTES])).contains("ab"));
    }
}
