//! Why an administrator's command failed, and the exit code that tells so.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use bittrickle_secret::{PasswordError, SecretError};
use bittrickle_wire::TextError;

use super::CredentialsFileError;
use crate::control::{AskError, Refusal};
use crate::data_dir::DataDirError;
use crate::server_key::ServerKeyError;
use crate::store::StoreError;
use crate::transfer::TakeError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("the data folder is not acceptable: {0}")]
    Folder(#[from] SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("the password is not acceptable: {0}")]
    NotAPassword(TextError),
    #[error(transparent)]
    CredentialsFile(#[from] CredentialsFileError),
    #[error(transparent)]
    ServerKey(#[from] ServerKeyError),
    #[error("the operating system has no randomness: {0}")]
    Random(#[from] getrandom::Error),
    #[error("can't write the result: {0}")]
    Output(io::Error),
    #[error("the running server answered something else; use the bittrickle-server that it was started from")]
    Unexpected,
    #[error(
        "no server is running with this data folder; tell with --host HOST:PORT where devices will reach it"
    )]
    NotRunning,
    #[error("the server listens on {address}, which is no address to reach it at; use --host HOST:PORT")]
    Everywhere { address: SocketAddr },
    #[error("a server is running with the data folder {}; stop it, import, and start it again", path.display())]
    Running { path: PathBuf },
    #[error("there are no members in {}; is it the server's data folder?", path.display())]
    NothingThere { path: PathBuf },
    #[error("can't make it: {0}")]
    Target(SecretError),
    #[error("can't make the backup: {0}")]
    Backup(TakeError),
    #[error("the server broke off; its log says why")]
    BrokenOff,
    #[error("can't import {from}: {error}")]
    Import { from: String, error: TakeError },
    #[error("the operating system refuses what this needs: {0}")]
    System(io::Error),
}

/// Exit codes beside 0, 1 and 2, which mean what they always do.
const NO_SUCH: u8 = 3;
const PERMISSION: u8 = 4;
const EXISTS: u8 = 13;

impl AdminError {
    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> u8 {
        let permission = match self {
            Self::Refused(Refusal::NoMember | Refusal::NoDevice) => return NO_SUCH,
            Self::Refused(Refusal::MemberExists) => return EXISTS,
            Self::Folder(error)
            | Self::Target(error)
            | Self::Password(PasswordError::File(error))
            | Self::ServerKey(ServerKeyError::File(error)) => error.is_permission(),
            Self::DataDir(error) => error.is_permission(),
            Self::Store(error) => error.is_permission(),
            Self::Ask(AskError::Connection(error))
            | Self::CredentialsFile(CredentialsFileError::Unreadable { error, .. })
            | Self::Import { error: TakeError::Input(error), .. } => {
                error.kind() == io::ErrorKind::PermissionDenied
            }
            Self::Refused(_)
            | Self::Ask(_)
            | Self::Password(_)
            | Self::NotAPassword(_)
            | Self::CredentialsFile(_)
            | Self::ServerKey(_)
            | Self::Random(_)
            | Self::Output(_)
            | Self::Unexpected
            | Self::NotRunning
            | Self::Everywhere { .. }
            | Self::Running { .. }
            | Self::NothingThere { .. }
            | Self::Backup(_)
            | Self::BrokenOff
            | Self::Import { .. }
            | Self::System(_) => false,
        };
        if permission { PERMISSION } else { 1 }
    }
}
