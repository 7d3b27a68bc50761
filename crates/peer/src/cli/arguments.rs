//! What `bittrickle` is told on its command line.

use std::path::PathBuf;
use std::str::FromStr;

use bittrickle_secret::PasswordSource;
use bittrickle_wire::seal::{Fingerprint, Host, Invite, InviteError};
use bittrickle_wire::{Encoding, MemberName};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::shell::parse_bytes;

/// BitTrickle: publish, find and fetch files among the members of a group.
#[derive(Debug, Parser)]
#[command(name = "bittrickle", version, after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// The index server [default: the one that was joined last]
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) server: Option<String>,

    /// Speak the original's format, to an original server and its peers: in clear, unverified
    #[arg(long, requires = "server")]
    pub(super) legacy: bool,

    /// Folder for published and downloaded files [default: the working directory]
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,

    /// Your user name with --legacy; asked for if it isn't given
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,

    /// Folder for this device's key and the servers that it has joined [default: $XDG_STATE_HOME/bittrickle, or
    /// ~/.local/state/bittrickle]
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) state_dir: Option<PathBuf>,

    /// How frames are written inside their seal
    #[arg(long, value_enum, default_value_t = Spelling::Bincode, global = true)]
    pub(super) encoding: Spelling,

    /// The most that all uploads together send, in bytes a second; K, M and G stand for powers of 1,024 [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = rate, global = true)]
    pub(super) limit_rate: Option<u64>,

    /// Uploads at a time; others wait for their turn
    #[arg(long, value_name = "COUNT", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=192), global = true)]
    pub(super) upload_slots: u16,

    #[command(subcommand)]
    pub(super) command: Subcommands,
}

#[derive(Debug, Subcommand)]
pub(super) enum Subcommands {
    /// Make this device one of yours at a server, once, with your password
    Join(JoinArguments),
    /// Start a session and read commands: get, lap, lpf, pub, sch, unp, status, xit, help
    Shell,
    /// Fetch one file or folder, verified; a download that was interrupted is gone on with
    Get(GetArguments),
    /// List the servers that this device has joined
    Servers {
        /// As one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show the fingerprint of this device's key, which the server's admin sees as well
    Key,
    /// Forget a server and its key, so that it can be joined anew
    Forget {
        /// The server, as `bittrickle servers` lists it
        #[arg(value_name = "HOST:PORT")]
        host: Host,
    },
}

#[derive(Debug, Args)]
pub(super) struct GetArguments {
    /// The name under which it is shared; with @MEMBER behind it, or the first digits of its hash (at least 8), where there
    /// are several
    #[arg(value_name = "NAME|NAME@MEMBER|HASH")]
    pub(super) what: String,

    /// Folder to put it in [default: the working directory]
    #[arg(long, short, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct JoinArguments {
    /// The invite that the server's admin gave you; or where the server is, and its key's fingerprint is asked about
    #[arg(value_name = "INVITE|HOST:PORT")]
    pub(super) server: JoinServer,

    /// Your member name
    #[arg(long, value_name = "NAME", value_parser = MemberName::new)]
    pub(super) user: MemberName,

    /// Take the password from the first line of standard input
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,

    /// Take the password from the first line of a file that only you can read
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// Accept the server's key without a question if it has this fingerprint
    #[arg(long, value_name = "FINGERPRINT")]
    pub(super) accept_key: Option<Fingerprint>,
}

/// Which server is joined, and whether its key is known already.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum JoinServer {
    Invite(Invite),
    Host(Host),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Spelling {
    Bincode,
    Json,
}

const EXAMPLE: &str = "\
Example:
  bittrickle join bt://index.example.org:16980/KEY --user alice
  bittrickle --dir ~/shared shell
  bittrickle get disk.iso --out ~/downloads

The server's admin gives you the invite, a member name and a password. Joining
is done once on each device: from then on its key, kept in the state folder, is
what lets it in, and no password is kept. The server's key is kept as well, and
no other is ever accepted in its place.

Names and sentences go to stdout; questions, progress and errors go to stderr.

Exit codes: 0 done, 1 other, 2 usage, or several contents have the name,
3 not found or nobody online, 4 refused or not joined, 5 try again later,
6 server not reached, 7 no source left, or it keeps changing, 9 disk full,
failing or not writable, 10 wrong bytes from every source or put in the
folder by somebody else, 13 the target exists, 130 SIGINT, 143 SIGTERM. After 5, 7, 9, 130 and 143 the same `get` goes on.";

impl Arguments {
    /// Checks what no single option can tell.
    pub(super) fn check(self) -> Result<Self, clap::Error> {
        let for_shell = [
            ("--server", self.server.is_some()),
            ("--legacy", self.legacy),
            ("--dir", self.dir.is_some()),
            ("--user", self.user.is_some()),
        ];
        let is_for = |option| match self.command {
            Subcommands::Shell => true,
            Subcommands::Get(_) => option == "--server",
            _ => false,
        };
        match for_shell.into_iter().find(|(option, given)| *given && !is_for(*option)) {
            Some((option, _)) => {
                let message = format!("{option}, where it stands, is for `bittrickle shell`; see --help");
                Err(Self::command().error(ErrorKind::ArgumentConflict, message))
            }
            None => Ok(self),
        }
    }

    pub(super) fn encoding(&self) -> Encoding {
        match self.encoding {
            Spelling::Bincode => Encoding::Bincode,
            Spelling::Json => Encoding::Json,
        }
    }
}

impl JoinArguments {
    pub(super) fn password_source(&self) -> PasswordSource {
        match &self.password_file {
            Some(path) => PasswordSource::File(path.clone()),
            None if self.password_stdin => PasswordSource::Stdin,
            None => PasswordSource::Terminal,
        }
    }
}

impl JoinServer {
    pub(super) fn host(&self) -> &Host {
        match self {
            Self::Invite(invite) => &invite.host,
            Self::Host(host) => host,
        }
    }
}

fn rate(text: &str) -> Result<u64, &'static str> {
    parse_bytes(text).filter(|rate| *rate > 0).ok_or("a number of bytes is needed, such as 500K or 10M")
}

impl FromStr for JoinServer {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        if text.contains("://") { text.parse().map(Self::Invite) } else { text.parse().map(Self::Host) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(format!("bittrickle {arguments}").split(' ')).and_then(Arguments::check)
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_invite_and_a_host_are_told_apart() {
        let invite = format!("bt://h.example:1/{}", "a5".repeat(32));
        for text in [&invite, "h.example:1", "[::1]:1"] {
            let joins_invite = matches!(text.parse(), Ok(JoinServer::Invite(_)));
            assert_eq!(joins_invite, text == invite, "{text}");
        }
        assert_eq!("http://h:1/".parse::<JoinServer>(), Err(InviteError::Scheme));
        assert_eq!("h".parse::<JoinServer>(), Err(InviteError::Host));
    }

    #[test]
    fn wrong_usage_is_told() {
        for wrong in [
            "join h:1",
            "join --user alice",
            "join h --user alice",
            "join h:1 --user a\u{1b}b",
            "join h:1 --user alice --accept-key 0f1e",
            "join h:1 --user alice --password-stdin --password-file x",
            "join h:1 --user alice --password secret",
            "--legacy shell",
            "--dir x servers",
            "--server h:1 key",
            "--user alice join h:1 --user alice",
            "forget h",
            "get",
            "--dir x get y",
            "--limit-rate 0 shell",
            "--limit-rate 1X shell",
            "--upload-slots 0 shell",
        ] {
            let error = parse(wrong).expect_err(wrong);
            assert_eq!(error.exit_code(), 2, "{wrong}: {error}");
        }
        for right in [
            "shell",
            "--server h:1 --legacy --user alice --dir x shell",
            "--state-dir x join h:1 --user alice --password-stdin",
            "join h:1 --user alice --password-file x --state-dir x --encoding json",
            "servers --json",
            "key",
            "forget h:1",
            "get a.txt",
            "--server h:1 get a.txt@bob --out x --limit-rate 500K",
        ] {
            assert!(parse(right).is_ok(), "{right}");
        }
    }
}
