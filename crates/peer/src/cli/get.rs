//! `bittrickle get`: one download, and an exit code that says how it went.

use std::convert::Infallible;
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::arguments::{Arguments, GetArguments};
use super::error::PeerError;
use super::peer::{Entry, Peer};
use super::{INTERRUPTED, TERMINATED};
use crate::net::{Getter, Index};
use crate::session::Event;
use crate::shell::{Connection, ShowGet, exit_code};
use crate::transfer::Deadlines;

/// Runs until the download is done, fails, or a signal comes. What is there of it is kept. Returns the exit code.
pub(super) async fn run(arguments: &Arguments, get: &GetArguments, file_mode: u32) -> Result<u8, PeerError> {
    let entry = Entry::choose(arguments)?;
    let folder = get.out.as_deref().unwrap_or_else(|| Path::new("."));
    let (peer, _changes) = Peer::start(arguments, entry, folder, file_mode).await?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, events) = mpsc::unbounded_channel();
    let (index, connection) = tokio::select! {
        logged_in = peer.log_in(arguments, None, sender) => logged_in?,
        _ = interrupt.recv() => return Ok(INTERRUPTED),
        _ = terminate.recv() => return Ok(TERMINATED),
    };
    let code = tokio::select! {
        result = fetch(&peer, &index, &connection, get) => result,
        never = tell(&peer, events) => match never {},
        _ = interrupt.recv() => interrupted(&peer, INTERRUPTED),
        _ = terminate.recv() => interrupted(&peer, TERMINATED),
    };
    index.leave().await;
    peer.file_server.stop().await;
    Ok(code)
}

async fn fetch(peer: &Peer, index: &Index, connection: &Connection, get: &GetArguments) -> u8 {
    let device = connection.seal.as_ref().map(|seal| &seal.device);
    let deadlines = Deadlines::default();
    let (folder, shares, attempts) = (&peer.folder, &peer.shares, &peer.attempts);
    let getter = Getter { index, folder, shares, device, deadlines, attempts };
    let mut show = ShowGet::new(peer.output, &get.what);
    let result = getter.get(&get.what, |happening| show.show(&happening)).await;
    peer.output.clear_progress();
    // If nobody reads what is said, the exit code says it.
    match result {
        Ok(got) => {
            let _ = show.got(&got);
            0
        }
        Err(error) => {
            let _ = show.failed(&error);
            exit_code(&error)
        }
    }
}

/// Says what becomes of the session, for as long as the download goes on.
async fn tell(peer: &Peer, mut events: mpsc::UnboundedReceiver<Event>) -> Infallible {
    while let Some(event) = events.recv().await {
        let line = match event {
            Event::Silent => "the server has gone silent; what is under way goes on without it",
            Event::Back => "the server is back",
            Event::Ended(_) => "the server has ended the session",
            Event::LoggedIn | Event::LoginFailed(_) | Event::NotOffered(..) => continue,
        };
        peer.output.clear_progress();
        peer.output.complain(line);
    }
    std::future::pending().await
}

fn interrupted(peer: &Peer, code: u8) -> u8 {
    peer.output.clear_progress();
    peer.output.complain("interrupted; what is here is kept, and the same `get` goes on with it");
    code
}
