//! What `status` tells.

use std::net::SocketAddr;
use std::path::PathBuf;

use bittrickle_wire::escaped;
use bittrickle_wire::seal::{Fingerprint, PROTOCOL, SecretKey};

use crate::net::Gate;

/// Whom the session is with, and how.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The server, as its user calls it.
    pub server: String,
    /// Where that is.
    pub address: SocketAddr,
    /// The member, or the user of an original server.
    pub member: String,
    /// Whose keys the session is sealed with; `None` in the original's format.
    pub seal: Option<Seal>,
    /// Where files are published from and downloaded to.
    pub folder: PathBuf,
}

/// The keys that both sides have proved.
#[derive(Clone, Debug)]
pub struct Seal {
    /// The server's.
    pub server_key: Fingerprint,
    /// This device's, with which it fetches as well.
    pub device: SecretKey,
    /// Where other peers are let in.
    pub gate: Gate,
}

impl Connection {
    /// One line a fact. `shares` is how many files are on offer.
    #[must_use]
    pub fn lines(&self, shares: usize) -> Vec<String> {
        let mut facts = vec![("server", format!("{} ({})", self.server, self.address))];
        let (member, folder) = (self.member.clone(), self.folder.display().to_string());
        match &self.seal {
            Some(seal) => facts.extend([
                ("server key", seal.server_key.to_string()),
                ("member", member),
                ("device", seal.device.public().fingerprint().to_string()),
                ("frames", format!("sealed ({PROTOCOL})")),
                ("turned away", seal.gate.refused().to_string()),
            ]),
            None => facts.extend([("user", member), ("frames", "legacy (in clear, unverified)".to_owned())]),
        }
        facts.extend([("folder", folder), ("shares", shares.to_string())]);
        facts.into_iter().map(|(what, fact)| format!("{what:<11}  {}", escaped(&fact))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bittrickle_wire::seal::PublicKey;

    use super::*;

    fn connection(seal: Option<Seal>) -> Connection {
        Connection {
            server: "h.example:1".to_owned(),
            address: SocketAddr::from(([192, 0, 2, 1], 1)),
            member: "alice".to_owned(),
            seal,
            folder: PathBuf::from("/a\u{1b}b"),
        }
    }

    #[test]
    fn a_sealed_session_shows_both_keys_and_one_in_clear_says_so() {
        let server_key = PublicKey::from_bytes([1; 32]).fingerprint();
        let device = SecretKey::from_bytes([2; 32]);
        let gate = Gate::new(device.clone(), Arc::default()).unwrap();
        let own = device.public().fingerprint().to_string();
        let told = connection(Some(Seal { server_key, device, gate })).lines(3).join("\n");
        for part in ["h.example:1 (192.0.2.1:1)", &server_key.to_string(), &own, "alice"] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert!(told.contains("frames       sealed (Noise_IK_25519_AESGCM_SHA256)"), "{told}");
        assert!(told.ends_with("shares       3"), "{told}");
        let told = connection(None).lines(0).join("\n");
        assert!(told.contains("legacy (in clear, unverified)") && !told.contains("device"), "{told}");
    }

    #[test]
    fn a_folder_with_an_odd_name_does_the_terminal_no_harm() {
        assert!(!connection(None).lines(0).join("\n").contains('\u{1b}'));
    }
}
