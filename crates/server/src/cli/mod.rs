//! The command line of `bittrickle-server`: without a subcommand it serves, with one it is an administrator's tool.

mod serve;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};

use crate::admin::{self, AdminCommand};
use serve::{Serving, serve};

/// BitTrickle's index server: who is a member, who is online, who shares what.
///
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "bittrickle-server", version, after_help = EXAMPLE, disable_help_subcommand = true)]
struct Arguments {
    #[command(flatten)]
    serving: Serving,

    /// Folder for the server's own state, yours alone; made if it isn't there
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,

    /// Say more on stderr; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,

    #[command(subcommand)]
    command: Option<AdminCommand>,
}

const EXAMPLE: &str = "\
Example:
  bittrickle-server user add alice --data-dir data
  bittrickle-server --listen 192.0.2.1:16980 --data-dir data
  bittrickle-server invite --data-dir data

The first line on stdout is `listening on ADDR:PORT`; everything else goes to
stderr. SIGINT and SIGTERM stop it. Commands work while the server runs, too,
but for `import`.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such member or device,
4 other users have access to what is secret, 13 the member exists already.";

/// Runs the program with these arguments. Exit code 2 for a wrong command line; for the others see the help text.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments).and_then(checked) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let (data_dir, Arguments { serving, verbose, command, .. }) = arguments;
    let failed = match &command {
        Some(command) => {
            admin::run(&data_dir, command).map_err(|error| (error.exit_code(), error.to_string()))
        }
        None => serve(&serving, &data_dir, verbose).map_err(|error| (error.exit_code(), error.to_string())),
    };
    match failed {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, told)) => {
            eprintln!("bittrickle-server: {told}");
            ExitCode::from(code)
        }
    }
}

/// What clap can't say for options that are taken before and behind a command.
fn checked(arguments: Arguments) -> Result<(PathBuf, Arguments), clap::Error> {
    let wrong = |kind, sentence: &str| Err(Arguments::command().error(kind, sentence));
    if arguments.command.is_some() && arguments.serving != Serving::default() {
        let sentence = "--listen, --credentials, --keep-offline, --legacy and --workers are for serving; leave them out, or \
                        the command";
        return wrong(ErrorKind::ArgumentConflict, sentence);
    }
    match arguments.data_dir.clone() {
        Some(data_dir) => Ok((data_dir, arguments)),
        None => wrong(
            ErrorKind::MissingRequiredArgument,
            "--data-dir DIR is missing: where the server keeps its state",
        ),
    }
}
