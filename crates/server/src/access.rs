//! Which addresses may speak the legacy format, which is in clear (BT-4.1-5).
#![deny(clippy::disallowed_methods)]

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{AddrParseError, IpNet};

/// The addresses from which the legacy format is taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LegacyAccess(Vec<IpNet>);

impl LegacyAccess {
    /// Loopback addresses, the default: the format is in clear, passwords included.
    #[must_use]
    pub fn loopback() -> Self {
        Self(vec![
            IpNet::V4("127.0.0.0/8".parse().expect("a network")),
            IpNet::V6("::1/128".parse().expect("a network")),
        ])
    }

    /// Whether this address may speak legacy.
    #[must_use]
    pub fn allows(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip))
    }
}

impl FromStr for LegacyAccess {
    type Err = AddrParseError;

    /// `off`, or networks and addresses separated by commas: `127.0.0.0/8,10.1.2.3`.
    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        if text == "off" {
            return Ok(Self(Vec::new()));
        }
        let network =
            |part: &str| part.parse().or_else(|error| part.parse().map(IpAddr::into).map_err(|_| error));
        text.split(',').map(str::trim).map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for LegacyAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("off");
        }
        let networks: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&networks.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_is_for_the_listed_networks_and_for_nobody_when_off() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let access: LegacyAccess = "10.1.0.0/16, 192.0.2.7".parse().unwrap();
        assert!(access.allows(ip("10.1.2.3")) && access.allows(ip("192.0.2.7")));
        assert!(!access.allows(ip("10.2.0.1")) && !access.allows(ip("127.0.0.1")));
        assert!(!"off".parse::<LegacyAccess>().unwrap().allows(ip("127.0.0.1")));
        assert!(
            LegacyAccess::loopback().allows(ip("127.9.9.9")) && LegacyAccess::loopback().allows(ip("::1"))
        );
        assert!("10.0.0.0/33".parse::<LegacyAccess>().is_err() && "".parse::<LegacyAccess>().is_err());
    }
}
