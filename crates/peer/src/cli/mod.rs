//! The command line of `bittrickle`.

mod address;
mod arguments;
mod error;
mod get;
mod join;
mod peer;
mod servers;
mod shell;
mod terminal;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use bittrickle_wire::escaped;
use bittrickle_wire::seal::{KEY_BYTES, SecretKey};
use clap::Parser as _;
use rustix::fs::Mode;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use arguments::{Arguments, Subcommands};
use error::PeerError;

use crate::shell::TerminalMode;
use crate::state::StateDir;

/// Exit code of a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Exit code of a program that SIGTERM ended.
const TERMINATED: u8 = 143;

/// Runs the peer with these arguments until its user leaves.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments).and_then(Arguments::check) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run_command(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("bittrickle: {}", escaped(&error.to_string()));
            error.advice().iter().for_each(|line| eprintln!("{}", escaped(line)));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Gives the exit code.
fn run_command(arguments: &Arguments) -> Result<u8, PeerError> {
    let state_dir = arguments.state_dir.as_deref();
    match &arguments.command {
        Subcommands::Join(join) => run_async(until_signal(join::run(arguments, join))),
        Subcommands::Shell => {
            let file_mode = default_file_mode();
            run_async(shell::run(arguments, file_mode))
        }
        Subcommands::Get(get) => {
            let file_mode = default_file_mode();
            run_async(get::run(arguments, get, file_mode))
        }
        Subcommands::Servers { json } => servers::list(state_dir, *json),
        Subcommands::Key => servers::key(state_dir),
        Subcommands::Forget { host } => servers::forget(state_dir, host),
    }
}

/// Runs what needs sockets, and may ask the user.
fn run_async(work: impl Future<Output = Result<u8, PeerError>>) -> Result<u8, PeerError> {
    let _terminal = TerminalMode::save();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(work);
    // A name that is still being looked up holds nobody up.
    runtime.shutdown_background();
    result
}

/// Ends what has nothing to close when a signal comes.
async fn until_signal(work: impl Future<Output = Result<u8, PeerError>>) -> Result<u8, PeerError> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let code = tokio::select! {
        result = work => return result,
        _ = interrupt.recv() => INTERRUPTED,
        _ = terminate.recv() => TERMINATED,
    };
    // A question may stand there without its answer.
    eprintln!();
    Ok(code)
}

/// The mode that a file made by any other program would get: what the user's umask leaves of it.
fn default_file_mode() -> u32 {
    // It can be read only by setting it. There is one thread yet, so nobody sees the moment between.
    let umask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(umask);
    0o666 & !umask.as_raw_mode()
}

/// This device's key, made when it is first needed.
fn device_key(state: &StateDir) -> Result<SecretKey, PeerError> {
    let mut random = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *random).map_err(io::Error::other)?;
    Ok(state.device_key(*random)?)
}
