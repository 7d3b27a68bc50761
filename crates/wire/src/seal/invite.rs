//! Invites: where a server is, and which key is its own (BT-6.2-4).

use std::fmt;
use std::str::FromStr;

use super::keys::PublicKey;

/// `bt://HOST:PORT/KEY`. Whoever joins with one sends a password to that server and to no other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invite {
    /// Where the server is.
    pub host: Host,
    /// Its public key.
    pub key: PublicKey,
}

/// `HOST:PORT`: a name, an IPv4 address, or an IPv6 address in brackets, and a UDP port.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Host(String);

/// Why a text is no invite, or no host.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InviteError {
    /// It begins otherwise.
    #[error(
        "an invite begins with {SCHEME}, like {SCHEME}index.example.org:16980/ and 64 hexadecimal digits"
    )]
    Scheme,
    /// Not `HOST:PORT`.
    #[error("a server is given as HOST:PORT, like index.example.org:16980 or [2001:db8::1]:16980")]
    Host,
    /// The key is missing or isn't one.
    #[error("the invite's key is missing or damaged: it has 64 hexadecimal digits; copy the whole line")]
    Key,
}

const SCHEME: &str = "bt://";

/// Most bytes of a host's name in the domain name system, and room for a port.
const HOST_BYTES_MAX: usize = 253 + 6;

impl Host {
    /// The text, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let (name, port) = text.rsplit_once(':').ok_or(InviteError::Host)?;
        let name_is_good = match name.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
            None => {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
                !name.is_empty() && name.bytes().all(allowed)
            }
        };
        // One spelling for one port: pinned servers are found by it.
        let port_is_good = !port.starts_with('0')
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0);
        let is_good = name_is_good && port_is_good && text.len() <= HOST_BYTES_MAX;
        if is_good { Ok(Self(text.to_owned())) } else { Err(InviteError::Host) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Invite {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let rest = text.trim().strip_prefix(SCHEME).ok_or(InviteError::Scheme)?;
        let (host, key) = rest.split_once('/').ok_or(InviteError::Key)?;
        Ok(Self { host: host.parse()?, key: key.parse().map_err(|_| InviteError::Key)? })
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.host, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_is_read_as_it_is_written() {
        let key = PublicKey::from_bytes([0xa5; 32]);
        for host in ["index.example.org:16980", "192.0.2.1:1", "[2001:db8::1]:65535"] {
            let text = format!("bt://{host}/{key}");
            let invite: Invite = text.parse().unwrap();
            assert_eq!((invite.host.as_str(), invite.key, invite.to_string()), (host, key, text));
        }
    }

    #[test]
    fn what_is_no_invite_is_refused_with_what_to_mend() {
        let key = "a5".repeat(32);
        for (text, error) in [
            (format!("http://h:1/{key}"), InviteError::Scheme),
            (format!("bt://h:1/{}", &key[1..]), InviteError::Key),
            ("bt://h:1".to_owned(), InviteError::Key),
            (format!("bt://h/{key}"), InviteError::Host),
            (format!("bt://h:0/{key}"), InviteError::Host),
            (format!("bt://h:+1/{key}"), InviteError::Host),
            (format!("bt://h:01/{key}"), InviteError::Host),
            (format!("bt://h h:1/{key}"), InviteError::Host),
            (format!("bt://2001:db8::1:16980/{key}"), InviteError::Host),
            (format!("bt://{}:1/{key}", "h".repeat(300)), InviteError::Host),
        ] {
            assert_eq!(text.parse::<Invite>(), Err(error), "{text}");
        }
    }
}
