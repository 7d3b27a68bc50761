//! The command line of what administrators do.

use std::path::PathBuf;

use bittrickle_secret::PasswordSource;
use bittrickle_wire::seal::Host;
use bittrickle_wire::{MemberName, TextError};
use clap::{Args, Subcommand};

use crate::control::FingerprintStart;

/// What an administrator does.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Add, change, remove and list members
    #[command(subcommand)]
    User(UserCommand),
    /// List and revoke members' devices
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Print the invite with which devices join
    #[command(after_help = INVITE_HELP)]
    Invite {
        /// Where devices reach the server; without it, where the running server listens
        #[arg(long, value_name = "HOST:PORT")]
        host: Option<Host>,
    },
}

/// What can be done about members.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a member; the password is asked for
    #[command(after_help = PASSWORD_HELP)]
    Add(Account),
    /// Change a member's password; enrolled devices stay so
    #[command(after_help = PASSWORD_HELP)]
    Passwd(Account),
    /// Let a member and all devices do nothing until enabled again
    Disable(Name),
    /// Let a disabled member do everything again
    Enable(Name),
    /// Remove a member with all devices
    Remove(Name),
    /// List the members
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Add the members of a file of `name password` lines; those who are members already stay as they are
    Import {
        /// The file; delete it when it is imported, it holds passwords in clear
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// What can be done about devices.
#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// List the devices of a member, or all
    List {
        /// Whose
        #[arg(value_name = "NAME", value_parser = name)]
        member: Option<MemberName>,
        #[command(flatten)]
        format: Format,
    },
    /// Let a device do nothing any more; its member can enrol it again with the password
    Revoke {
        /// The device's fingerprint, or at least its first eight digits
        #[arg(value_name = "FINGERPRINT")]
        fingerprint: FingerprintStart,
    },
}

/// A member and where the password comes from.
#[derive(Debug, Args)]
pub(crate) struct Account {
    /// The member
    #[arg(value_name = "NAME", value_parser = name)]
    pub(crate) member: MemberName,
    /// Take the password from the first line of standard input
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,
    /// Take the password from the first line of a file that only you can read
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// A member.
#[derive(Debug, Args)]
pub(crate) struct Name {
    /// The member
    #[arg(value_name = "NAME", value_parser = name)]
    pub(crate) member: MemberName,
}

/// What a list looks like.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Format {
    /// Print one JSON array, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

const PASSWORD_HELP: &str = "\
Examples:
  bittrickle-server user add alice --data-dir data
  bittrickle-server user add alice --password-file alice.txt --data-dir data
  pass show alice | bittrickle-server user passwd alice --password-stdin --data-dir data

No option takes the password itself: other users could see it.";

const INVITE_HELP: &str = "\
Example:
  bittrickle-server invite --host index.example.org:16980 --data-dir data

The invite is no secret, but must not be changed on its way: it tells devices by
its key which server is the right one.";

fn name(text: &str) -> Result<MemberName, TextError> {
    MemberName::new(text)
}

impl Account {
    /// Where the password comes from.
    pub(crate) fn source(&self) -> PasswordSource {
        match &self.password_file {
            Some(path) => PasswordSource::File(path.clone()),
            None if self.password_stdin => PasswordSource::Stdin,
            None => PasswordSource::Terminal,
        }
    }
}
