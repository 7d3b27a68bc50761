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
    /// Copy members, devices, publications and the server's key into a new folder
    #[command(after_help = BACKUP_HELP)]
    Backup {
        /// The new folder; what is there already is never replaced
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Write members, devices and publications as lines of JSON
    #[command(after_help = EXPORT_HELP)]
    Export {
        /// The new file, or `-` for stdout; what is there already is never replaced
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Add what an export has and the server hasn't; the server must be stopped
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// The file, or `-` for stdin
        #[arg(value_name = "FILE")]
        file: PathBuf,
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

const BACKUP_HELP: &str = "\
Example:
  bittrickle-server backup /mnt/backups/2026-01-31 --data-dir data
  bittrickle-server --data-dir /mnt/backups/2026-01-31

It works while the server runs, and has everything as it is at one moment. A
server can be started with it as it is. It holds the server's key and the hashes
of passwords: keep it as safe as the data folder itself.";

const EXPORT_HELP: &str = "\
Examples:
  bittrickle-server export all.jsonl --data-dir data
  bittrickle-server export - --data-dir data | grep '^{\"publication\"'

It works while the server runs. The first line names the format, the last one
counts the others; between them are members, devices, hours offline, and
publications. Members have the hashes of their passwords: a file is for you
alone. The server's key is not among it: see `backup`.";

const IMPORT_HELP: &str = "\
Examples:
  bittrickle-server import all.jsonl --data-dir other
  zcat all.jsonl.gz | bittrickle-server import - --data-dir other

It takes what `export` writes. What is there already stays as it is. If a line
is wrong or the end is missing, nothing is imported. For the original's file of
`name password` lines, see `user import`.";

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
