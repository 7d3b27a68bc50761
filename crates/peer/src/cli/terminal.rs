//! Questions and passwords. Both wait for a person, on a thread that nobody waits for when a signal ends the program;
//! [`TerminalMode`](crate::shell::TerminalMode) then gives the terminal back as it was.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::net::SocketAddr;

use bittrickle_secret::{PasswordError, PasswordSource, password};
use bittrickle_wire::Password;
use bittrickle_wire::seal::{Fingerprint, Host};
use tokio::sync::oneshot;

use super::error::PeerError;

/// Most bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: u64 = 256;

/// Asks whether this is the server's key.
///
/// # Errors
/// Anything but a `yes` from a person at a terminal.
pub(super) async fn confirm_key(
    host: &Host,
    server: SocketAddr,
    presented: Fingerprint,
) -> Result<(), PeerError> {
    // A `yes` from a pipe would be nobody's decision.
    if !io::stdin().is_terminal() {
        return Err(PeerError::NobodyToAsk { host: host.clone(), presented });
    }
    eprintln!("The server at {host} ({server}) says that the fingerprint of its key is");
    eprintln!("  {presented}");
    eprint!("Is this the fingerprint that the server's admin gave you? (yes/no) ");
    let _ = io::stderr().flush();
    if on_thread(read_answer).await?? == b"yes" { Ok(()) } else { Err(PeerError::NotAccepted(host.clone())) }
}

fn read_answer() -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    io::stdin().lock().take(ANSWER_BYTES_MAX).read_until(b'\n', &mut answer)?;
    Ok(answer.trim_ascii().to_vec())
}

/// Takes a member's password.
///
/// # Errors
/// There is none, or it can't be a member's.
pub(super) async fn member_password(source: PasswordSource, prompt: String) -> Result<Password, PeerError> {
    let text = match on_thread(move || password(&source, &prompt, false)).await? {
        // While a password is typed, ctrl-C is a character; it becomes a signal and this, whichever is seen first.
        Err(PasswordError::NotEntered(error)) if error.kind() == io::ErrorKind::Interrupted => {
            return Err(PeerError::Interrupted);
        }
        entered => entered?,
    };
    Password::new(&text).map_err(PeerError::NoPassword)
}

/// Runs what blocks.
async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (sender, done) = oneshot::channel();
    let thread = std::thread::Builder::new().name("terminal".to_owned());
    thread.spawn(move || {
        // If nobody waits any more, the program is ending.
        let _ = sender.send(work());
    })?;
    done.await.map_err(io::Error::other)
}
