//! Passwords as they are kept: Argon2id, as a PHC string.

use std::fmt;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use bittrickle_wire::Password;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The Argon2id hash of a password. Not shown by `{:?}`: whoever has it can try passwords at leisure.
#[derive(Clone, Eq, PartialEq)]
pub struct PasswordHash(Box<str>);

/// Not an Argon2id hash that this server can check.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the hash of a password: Argon2id as a PHC string, with parameters in their bounds")]
pub struct PasswordHashError;

/// Memory that one hash takes, in KiB: what OWASP recommends with two passes.
const MEMORY_KIB: u32 = 19 * 1_024;

/// Passes over the memory.
const PASSES: u32 = 2;

/// Lanes, each of which could have a thread of its own.
const LANES: u32 = 1;

/// Bytes of salt.
const SALT_BYTES: usize = 16;

/// Bytes of the hash itself.
const HASH_BYTES: usize = 32;

/// Most bytes of a PHC string.
const TEXT_BYTES_MAX: usize = 256;

/// Parameters of hashes that are still checked, so that today's can be raised later. Above them, one login could take
/// all memory.
const MEMORY_KIB_MAX: u32 = 8 * MEMORY_KIB;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 4;

impl PasswordHash {
    /// Hashes a password with a new salt. Takes tens of milliseconds and 19 MiB.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub fn of(password: &Password) -> Result<Self, getrandom::Error> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let phc = argon2().hash_password_with_salt(password.as_str().as_bytes(), &salt);
        Ok(Self(
            phc.expect("the password, the salt and the parameters are in their bounds").to_string().into(),
        ))
    }

    /// Whether this is the password. Takes as long as [`PasswordHash::of`], right or wrong.
    #[must_use]
    pub fn is_of(&self, password: &Password) -> bool {
        let phc = Phc::new(&self.0).expect("it was checked when it was built");
        argon2().verify_password(password.as_str().as_bytes(), &phc).is_ok()
    }

    fn new(text: &str) -> Result<Self, PasswordHashError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(PasswordHashError);
        }
        let phc = Phc::new(text).map_err(|_| PasswordHashError)?;
        let params = Params::try_from(&phc).map_err(|_| PasswordHashError)?;
        let acceptable = phc.algorithm == Algorithm::Argon2id.ident()
            && phc.version == Some(Version::V0x13.into())
            && params.m_cost() <= MEMORY_KIB_MAX
            && params.t_cost() <= PASSES_MAX
            && params.p_cost() <= LANES_MAX
            && phc.salt.is_some_and(|salt| salt.len() >= SALT_BYTES)
            && phc.hash.is_some_and(|hash| hash.len() == HASH_BYTES);
        if acceptable { Ok(Self(text.into())) } else { Err(PasswordHashError) }
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES));
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.expect("the parameters are in their bounds"))
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(secret)")
    }
}

impl Serialize for PasswordHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password_and_no_other() {
        let [right, wrong] = ["wonderland", "wonderlanD"].map(|text| Password::new(text).unwrap());
        let hash = PasswordHash::of(&right).unwrap();
        assert!(hash.is_of(&right) && !hash.is_of(&wrong));
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert_ne!(PasswordHash::of(&right).unwrap(), hash, "each has a salt of its own");
        assert_eq!(format!("{hash:?}"), "PasswordHash(secret)");
    }

    #[test]
    fn a_hash_of_another_kind_or_out_of_bounds_is_refused() {
        let hash = PasswordHash::of(&Password::new("wonderland").unwrap()).unwrap().0;
        assert!(PasswordHash::new(&hash).is_ok());
        let changed = [
            String::new(),
            "wonderland".to_owned(),
            hash.replace("argon2id", "argon2i"),
            hash.replace("m=19456", "m=4000000000"),
            hash.replace("t=2", "t=4000000000"),
            hash.replace("v=19", "v=16"),
            hash.rsplit_once('$').unwrap().0.to_owned(),
            format!("{hash}{}", "A".repeat(300)),
        ];
        for text in changed {
            assert_eq!(PasswordHash::new(&text), Err(PasswordHashError), "{text}");
        }
    }
}
