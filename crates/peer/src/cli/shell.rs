//! `bittrickle shell`: a session, with commands from a terminal or a pipe.

use std::path::Path;

use bittrickle_wire::legacy::sentence;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::arguments::Arguments;
use super::error::PeerError;
use super::peer::{Entry, Peer};
use super::{INTERRUPTED, TERMINATED};
use crate::share::Changed;
use crate::shell::{Input, Output, Shell, ShellEnd};

/// Exit code when the server doesn't take this device, or not any more.
const NOT_LET_IN: u8 = 4;

/// Pages of publications that are looked through for some of an earlier session.
const LEFT_OVER_PAGES_MAX: usize = 100;

/// Runs until it ends by itself or by a signal, and closes everything either way. Returns the exit code.
pub(super) async fn run(arguments: &Arguments, file_mode: u32) -> Result<u8, PeerError> {
    let entry = Entry::choose(arguments)?;
    let folder = arguments.dir.as_deref().unwrap_or_else(|| Path::new("."));
    let (peer, changes) = Peer::start(arguments, entry, folder, file_mode).await?;
    // From here on there is something to close; before, a signal ends the program as it ends any other.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut input = Input::open();
    let mut session = None;
    let code = tokio::select! {
        result = log_in_and_run(&peer, arguments, changes, &mut input, &mut session) => result,
        _ = interrupt.recv() => Ok(INTERRUPTED),
        _ = terminate.recv() => Ok(TERMINATED),
    };
    if let Some(shell) = session {
        shell.index.leave().await;
    }
    peer.file_server.stop().await;
    code
}

/// The shell stays in `session`, so that it can be left in order even when a signal cuts this short.
async fn log_in_and_run(
    peer: &Peer,
    arguments: &Arguments,
    changes: mpsc::UnboundedReceiver<Changed>,
    input: &mut Input,
    session: &mut Option<Shell>,
) -> Result<u8, PeerError> {
    let (sender, events) = mpsc::unbounded_channel();
    let (index, connection) = peer.log_in(arguments, Some(input), sender).await?;
    let shell = session.insert(Shell::new(peer.parts(index, connection, events, changes)));
    let output = peer.output;
    let greeted = output
        .say(sentence::WELCOME)
        .and_then(|()| output.say("Available commands are: get, lap, lpf, pub, sch, unp, xit"));
    if greeted.is_err() {
        return Ok(0);
    }
    tell_left_overs(output, shell).await;
    match shell.run(input).await {
        ShellEnd::Left => {
            // If nobody reads it, nobody misses it.
            let _ = output.say("Goodbye!");
            Ok(0)
        }
        ShellEnd::Interrupted => Ok(INTERRUPTED),
        ShellEnd::SessionEnded => Ok(NOT_LET_IN),
    }
}

/// Publications outlive sessions, but what is served is what was published in this one.
async fn tell_left_overs(output: Output, shell: &Shell) {
    // Some pages are enough to say so: a member may have published a great many.
    let Ok(listing) = shell.index.files(LEFT_OVER_PAGES_MAX).await else { return };
    let left = listing.entries.iter().filter(|file| file.sources == Some(0)).count();
    if left > 0 {
        let files = match left {
            1 if listing.is_complete => "1 file".to_owned(),
            _ if listing.is_complete => format!("{left} files"),
            _ => format!("{left} files or more"),
        };
        output.complain(&format!(
            "{files} of yours published earlier can't be fetched from here until you `pub` them again; `lpf` lists them"
        ));
    }
}
