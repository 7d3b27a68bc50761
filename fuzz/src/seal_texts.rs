//! Keys, fingerprints and invites, as people copy them: what is read is written as it was.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use bittrickle_wire::seal::{Fingerprint, Host, Invite, PublicKey};

/// The bytes are a text.
pub fn seal_texts(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(key) = read::<PublicKey>(&text) {
        assert_eq!(key.to_string(), text, "a key has one form");
        read::<Fingerprint>(&key.fingerprint().to_string()).expect("what is written can be read");
    }
    if let Some(fingerprint) = read::<Fingerprint>(&text) {
        let digits = |text: &str| text.trim().replace('-', "").to_ascii_lowercase();
        assert_eq!(digits(&fingerprint.to_string()), digits(&text));
    }
    if let Some(host) = read::<Host>(&text) {
        assert_eq!(host.to_string(), text, "a host stays as it was given");
        check_host(host.as_str());
    }
    if let Some(invite) = read::<Invite>(&text) {
        assert_eq!(invite.to_string(), text.trim());
        check_host(invite.host.as_str());
    }
}

/// Reads a text, and what is written of that.
fn read<T: FromStr<Err: Debug> + Display + Debug + PartialEq>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let again = value.to_string().parse::<T>().expect("what is written can be read");
    assert_eq!(again, value);
    Some(value)
}

/// Nothing in it leads a resolver, a terminal or a file astray (BT-6.2-4).
fn check_host(host: &str) {
    assert!(host.len() <= 259 && host.is_ascii());
    assert!(host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)), "{host:?}");
    let (name, port) = host.rsplit_once(':').expect("it has a port");
    assert!(port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0));
    let is_ipv6 = name.starts_with('[') && name.ends_with(']');
    assert!(!name.is_empty() && (is_ipv6 || !name.contains([':', '[', ']'])), "{host:?}");
}
