//! Why the peer ended before its time: one sentence, what to do next, and an exit code.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use bittrickle_secret::PasswordError;
use bittrickle_wire::messages::RefusalCode;
use bittrickle_wire::seal::{Fingerprint, Host, InviteError};
use bittrickle_wire::{MemberName, NumberError, TextError};

use crate::channel::ChannelError;
use crate::net::{ConnectError, EnrolError, IndexError, LegacyCallError};
use crate::session::CallError;
use crate::state::{PinError, StateError};

/// Why the peer ended before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeerError {
    #[error(transparent)]
    Host(#[from] InviteError),
    #[error("can't find the server {server}: {error}; it is given as HOST:PORT, for example 127.0.0.1:16980")]
    Resolve { server: String, error: io::Error },
    #[error("can't use the folder {}: {error}", path.display())]
    Folder { path: PathBuf, error: io::Error },
    #[error(transparent)]
    State(#[from] StateError),
    #[error("no server is joined yet; join first: bittrickle join INVITE --user NAME")]
    NothingJoined,
    #[error("{0} is not joined yet; join first: bittrickle join INVITE --user NAME")]
    NotJoined(Host),
    #[error("{0} is not joined, so there is nothing to forget; `bittrickle servers` lists those that are")]
    NothingToForget(Host),
    #[error(
        "this device is {joined}'s at {host}, not {given}'s; leave --user out, or join again as {given}",
        joined = joined.as_str()
    )]
    OtherMember { host: Host, joined: MemberName, given: String },
    #[error(
        "{server} is never spoken to in clear: this device has joined it as {pinned}; leave --legacy out"
    )]
    Downgrade { server: String, pinned: Host },
    #[error("another key is presented for {host} than the one that this device accepted before")]
    KeyChanged { host: Host, pinned: Fingerprint, presented: Fingerprint },
    #[error("the key of {host} is not the one that --accept-key asks for; no password was sent")]
    OtherKey { host: Host, accepted: Fingerprint, presented: Fingerprint },
    #[error(
        "there is no terminal to ask whether the key of {host} is the right one; join with the invite, or with --accept-key FINGERPRINT"
    )]
    NobodyToAsk { host: Host, presented: Fingerprint },
    #[error(
        "not joined: only `yes` accepts the key of {0}; ask the server's admin for its fingerprint, or for an invite"
    )]
    NotAccepted(Host),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error("can't ask {host} for its key: {error}; is bittrickle-server running there?")]
    ServerKey { host: Host, error: ConnectError },
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("no member has such a password: {0}")]
    NoPassword(TextError),
    #[error("can't join {host}: {error}{}", enrol_hint(error))]
    Enrol { host: Host, error: EnrolError },
    #[error("this device is not enrolled at {0} any more: ask the admin, then `bittrickle join` again")]
    NotEnrolled(Host),
    #[error("can't log in at {server}: {error}{}", hint(error))]
    Login { server: SocketAddr, error: IndexError },
    #[error("the login was refused, and there are no more names and passwords to try")]
    Refused,
    #[error("interrupted")]
    Interrupted,
    #[error("the operating system refuses what a peer needs: {0}")]
    System(#[from] io::Error),
    #[error("no port for the file server: {0}")]
    Port(#[from] NumberError),
}

impl PeerError {
    /// Why a sealed session with this server could not begin.
    pub(super) fn login(host: &Host, server: SocketAddr, error: CallError) -> Self {
        match error {
            CallError::Channel(ChannelError::KeyChanged { pinned, presented }) => {
                let (pinned, presented) = (pinned.fingerprint(), presented.fingerprint());
                Self::KeyChanged { host: host.clone(), pinned, presented }
            }
            CallError::Refused(refused) if refused.code == RefusalCode::NOT_ENROLLED => {
                Self::NotEnrolled(host.clone())
            }
            error => Self::Login { server, error: error.into() },
        }
    }

    /// Why this server didn't enrol the device.
    pub(super) fn enrol(host: &Host, error: EnrolError) -> Self {
        let host = host.clone();
        match error {
            EnrolError::KeyChanged { pinned, presented } => Self::KeyChanged { host, pinned, presented },
            error => Self::Enrol { host, error },
        }
    }

    /// Whether another password may help.
    pub(super) fn is_wrong_password(&self) -> bool {
        match self {
            Self::Enrol { error: EnrolError::Refused(refused), .. } => {
                refused.code == RefusalCode::AUTHENTICATION_FAILED
            }
            error => matches!(
                error,
                Self::NoPassword(_)
                    | Self::Password(PasswordError::Empty | PasswordError::TooLong | PasswordError::NotText)
            ),
        }
    }

    /// What else to say, line by line.
    pub(super) fn advice(&self) -> Vec<String> {
        if let Self::KeyChanged { host, pinned, presented } = self {
            return vec![
                format!("  accepted before: {pinned}"),
                format!("  presented now:   {presented}"),
                "Somebody may be pretending to be the server. No password was sent, and nothing of yours."
                    .to_owned(),
                "Ask its admin. Only if the server was really installed anew, and the admin names the second"
                    .to_owned(),
                format!("fingerprint: bittrickle forget {host}, and join again with a new invite."),
            ];
        }
        if let Self::OtherKey { accepted, presented, .. } = self {
            return vec![format!("  asked for: {accepted}"), format!("  presented: {presented}")];
        }
        if let Self::NobodyToAsk { presented, .. } = self {
            return vec![format!("  presented: {presented}")];
        }
        Vec::new()
    }

    /// What scripts go by.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Resolve { error, .. } if error.kind() != io::ErrorKind::InvalidInput => 6,
            Self::Host(_) | Self::Resolve { .. } | Self::OtherMember { .. } => 2,
            Self::NothingToForget(_) => 3,
            Self::NothingJoined | Self::NotJoined(_) | Self::Downgrade { .. } => 4,
            Self::KeyChanged { .. } | Self::OtherKey { .. } | Self::NobodyToAsk { .. } => 4,
            Self::NotAccepted(_) | Self::Pin(PinError::OtherKey { .. }) | Self::NotEnrolled(_) => 4,
            Self::Refused | Self::NoPassword(_) => 4,
            Self::Password(_) => 4,
            Self::State(StateError::Secret(error)) if error.is_permission() => 4,
            Self::State(StateError::InUse { .. }) => 5,
            Self::Enrol { error: EnrolError::Refused(refused), .. } => refusal_exit_code(refused.code),
            Self::Login { error: IndexError::Framed(CallError::Refused(refused)), .. } => {
                refusal_exit_code(refused.code)
            }
            Self::Enrol { error: EnrolError::Version(_), .. } => 1,
            Self::Login {
                error: IndexError::Framed(CallError::Channel(ChannelError::OtherVersion(_))),
                ..
            } => 1,
            Self::ServerKey { .. } | Self::Enrol { .. } | Self::Login { .. } => 6,
            Self::Interrupted => 130,
            Self::Folder { .. } | Self::State(_) | Self::Pin(PinError::TooMany) => 1,
            Self::System(_) | Self::Port(_) => 1,
        }
    }
}

fn refusal_exit_code(code: RefusalCode) -> u8 {
    match code {
        RefusalCode::AUTHENTICATION_FAILED | RefusalCode::NOT_ENROLLED => 4,
        RefusalCode::LIMIT_REACHED | RefusalCode::BUSY | RefusalCode::TOO_FAST => 5,
        // The two programs don't understand each other: trying again is of no use.
        _ => 1,
    }
}

fn enrol_hint(error: &EnrolError) -> &'static str {
    match error {
        EnrolError::NoAnswer | EnrolError::Io(_) => "; is bittrickle-server running there?",
        EnrolError::KeyChanged { .. } | EnrolError::Refused(_) => "",
        EnrolError::BadAnswer(_) | EnrolError::Version(_) => "",
    }
}

fn hint(error: &IndexError) -> &'static str {
    match error {
        IndexError::Framed(CallError::NoAnswer | CallError::Channel(ChannelError::NoAnswer)) => {
            "; is bittrickle-server running there? An original server needs --legacy"
        }
        IndexError::Legacy(LegacyCallError::NoAnswer) => "; is the server running there?",
        IndexError::Framed(_) | IndexError::Legacy(_) | IndexError::Text(_) | IndexError::Source(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use bittrickle_wire::messages::Refused;
    use bittrickle_wire::seal::PublicKey;

    use super::*;

    fn host() -> Host {
        "h.example:1".parse().unwrap()
    }

    #[test]
    fn a_changed_key_is_told_with_both_fingerprints_and_what_to_do() {
        let [pinned, presented] = [1, 2].map(|byte| PublicKey::from_bytes([byte; 32]).fingerprint());
        let error = PeerError::enrol(&host(), EnrolError::KeyChanged { pinned, presented });
        let told = format!("{error}\n{}", error.advice().join("\n"));
        for part in
            [&pinned.to_string(), &presented.to_string(), "pretending", "bittrickle forget h.example:1"]
        {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert_eq!(error.exit_code(), 4);
    }

    #[test]
    fn a_refusal_ends_with_the_code_that_says_whether_to_try_again() {
        for (code, exit_code, again) in [
            (RefusalCode::AUTHENTICATION_FAILED, 4, true),
            (RefusalCode::LIMIT_REACHED, 5, false),
            (RefusalCode::TOO_FAST, 5, false),
            (RefusalCode::MALFORMED, 1, false),
            (RefusalCode(999), 1, false),
        ] {
            let refused = Refused::new(code, "no");
            let error = PeerError::enrol(&host(), EnrolError::Refused(refused.clone()));
            assert_eq!((error.exit_code(), error.is_wrong_password()), (exit_code, again), "{code:?}");
            let server = SocketAddr::from(([127, 0, 0, 1], 1));
            let error = PeerError::login(&host(), server, CallError::Refused(refused));
            assert_eq!(error.exit_code(), exit_code, "{code:?}");
        }
    }

    #[test]
    fn a_device_that_is_not_enrolled_any_more_is_told_to_join() {
        let refused = Refused::new(RefusalCode::NOT_ENROLLED, "who are you?");
        let server = SocketAddr::from(([127, 0, 0, 1], 1));
        let error = PeerError::login(&host(), server, CallError::Refused(refused));
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains("ask the admin, then `bittrickle join`"), "{error}");
    }
}
