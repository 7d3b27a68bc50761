//! Bytes a session: how much a server with so many members' devices grows when all of them make a handshake and log in.
//!
//! The server is a process of its own that has no socket: its devices live in it, one at a time, and are gone before the
//! next one comes. What stays is the server's. What is measured is anonymous resident memory, which is what an operator
//! pays for: allocations with all that the allocator adds, and pages that it keeps for later.
//!
//! Its clock is made up: all log in within five seconds, so that the first are still online when the last come.

use std::ffi::OsString;
use std::io;
use std::process::{Child, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_server::sealing::Limits;
use bittrickle_wire::messages::{Heartbeat, Login, Reply, Request};

use super::in_process::{InProcess, address_of};
use crate::handshake::entropy;
use crate::people;
use crate::process::{ProcessError, Role, resident_bytes_of};
use crate::report::{Line, Report, ReportError};

/// Why the memory could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MemoryError {
    /// The process doesn't start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The process ends without a figure.
    #[error("the process whose memory is measured ended without a figure; what it said stands above")]
    NoFigure,
    /// The process can't be read from.
    #[error("can't read the figure: {0}")]
    Read(#[from] io::Error),
    /// The figures can't be handed over.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// What a process looks at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Look {
    /// All at once: each device makes a handshake and logs in, and the allocator does as it does in the product.
    Whole,
    /// First all handshakes, then all logins, which are put to the index itself; and the allocator keeps little.
    Parts,
}

const NAME: &str = "sealed.memory";

const UNIT: &str = "bytes/session";

/// Handshakes of the first device, before the memory is looked at for the first time.
const WARM_UP: usize = 16;

/// From the first login to the last.
const LOGINS: Duration = Duration::from_secs(5);

/// With this and less in one piece, glibc's allocator uses its heap, and keeps what was freed. Its default grows with what
/// has been freed; a fixed one gives every large table back to the system as soon as it is replaced by a larger one.
const FIXED_THRESHOLD: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "131072");

/// Runs one process for each look, beside each other.
pub(super) fn run(sessions: usize, report: &mut Report) -> Result<(), MemoryError> {
    eprintln!("{NAME}: {sessions} handshakes in each of two processes, about a minute on two cores");
    let (whole, parts) = (start(sessions, Look::Whole)?, start(sessions, Look::Parts)?);
    let (whole, parts) = (figures(whole)?, figures(parts)?);
    let ([whole], [sealing, index]) = (whole.as_slice(), parts.as_slice()) else {
        return Err(MemoryError::NoFigure);
    };
    report.add(&Line::new(NAME.to_owned(), *whole, UNIT))?;
    report.add(&Line::new(format!("{NAME}.sealing"), *sealing, UNIT))?;
    report.add(&Line::new(format!("{NAME}.index"), *index, UNIT))?;
    Ok(())
}

fn start(sessions: usize, look: Look) -> Result<Child, MemoryError> {
    let mut command = Role::Memory.command()?;
    command.arg(sessions.to_string()).arg(look.argument());
    if look == Look::Parts {
        command.env(FIXED_THRESHOLD.0, FIXED_THRESHOLD.1);
    }
    Ok(command.spawn().map_err(ProcessError::Start)?)
}

fn figures(mut process: Child) -> Result<Vec<f64>, MemoryError> {
    // Its end is what tells the process to end with us: it must stay open until the figures are there.
    let stdin = process.stdin.take();
    let output = process.wait_with_output()?;
    drop(stdin);
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| line.parse().map_err(|_| MemoryError::NoFigure)).collect()
}

impl Look {
    fn argument(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Parts => "parts",
        }
    }
}

/// Is the process that is measured: `SESSIONS whole|parts`. Prints bytes a session, one part a line.
pub(crate) fn play(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<String> = arguments.filter_map(|argument| argument.into_string().ok()).collect();
    let [sessions, look] = arguments.as_slice() else { return ExitCode::FAILURE };
    let Ok(sessions) = sessions.parse() else { return ExitCode::FAILURE };
    let growth = if look == Look::Whole.argument() { whole(sessions) } else { parts(sessions) };
    match growth {
        Ok(growth) => {
            growth.iter().for_each(|bytes| println!("{}", bytes / sessions as f64));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the memory can't be read from /proc: {error}; this benchmark needs Linux");
            ExitCode::FAILURE
        }
    }
}

fn whole(sessions: usize) -> io::Result<Vec<f64>> {
    let (start, mut server) = warm_server(sessions);
    let before = resident_bytes_of("self")?;
    for device in 0..sessions {
        let (now, from) = (start + LOGINS.mul_f64(device as f64 / sessions as f64), address_of(device));
        let mut sealed = server.shake_hands(now, from, device, &mut entropy(device));
        let reply = server.ask(now, from, &mut sealed, login(device));
        assert!(matches!(reply, Reply::LoggedIn(_)), "{reply:?}");
    }
    let after = resident_bytes_of("self")?;
    check(&server, sessions);
    Ok(vec![after - before])
}

fn parts(sessions: usize) -> io::Result<Vec<f64>> {
    let (start, mut server) = warm_server(sessions);
    let before = resident_bytes_of("self")?;
    for device in 0..sessions {
        let (now, from) = (start + LOGINS.mul_f64(device as f64 / sessions as f64), address_of(device));
        let mut sealed = server.shake_hands(now, from, device, &mut entropy(device));
        // The first frame makes the session a full one; the index hasn't heard of it, and says so.
        server.ask(now, from, &mut sealed, Request::Heartbeat(Heartbeat {}));
    }
    let between = resident_bytes_of("self")?;
    let mut member = Arc::new(people::member_of(0));
    for device in 0..sessions {
        if device % people::DEVICES_PER_MEMBER == 0 {
            member = Arc::new(people::member_of(device));
        }
        let reply = server.ask_index(start + LOGINS, &member, device, login(device));
        assert!(matches!(reply, Reply::LoggedIn(_)), "{reply:?}");
    }
    let after = resident_bytes_of("self")?;
    check(&server, sessions);
    Ok(vec![between - before, after - between])
}

/// A server whose first handshakes are behind it: what these allocate for good isn't a session's.
fn warm_server(sessions: usize) -> (Instant, InProcess) {
    let start = Instant::now();
    let mut server = InProcess::start(start, sessions, Limits::default());
    for turn in 0..WARM_UP {
        // From other addresses than the devices' own, whose budgets would be used up.
        let from = address_of(sessions + turn);
        let mut sealed = server.shake_hands(start, from, 0, &mut entropy(sessions + turn));
        server.ask(start, from, &mut sealed, Request::Heartbeat(Heartbeat {}));
    }
    (start, server)
}

fn login(device: usize) -> Request {
    Request::Login(Login { transfer_port: people::transfer_port_of(device) })
}

fn check(server: &InProcess, sessions: usize) {
    assert_eq!(server.responder.sealed_count(), sessions, "every device has its session");
    assert_eq!(server.responder.index.session_count(), sessions, "nobody has gone offline meanwhile");
}
