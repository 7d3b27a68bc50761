//! A hundred thousand sealed sessions that do nothing but say, every two seconds, that they are still there: what that
//! costs the server, and whether the index ever takes one of them for offline.
//!
//! | module | what it does |
//! |---|---|
//! | [`crowd`] | all devices, in one thread |
//! | [`device`] | one of them: its keys, and how it stands with the index |
//! | [`arrivals`] | handshakes, logins, and when they are sent again |
//! | [`pace`] | when the next heartbeat is due |
//! | [`loss`] | what gets lost |
//! | [`sockets`] | the sockets, which devices share |
//! | [`tally`] | what has come of the heartbeats |
//! | [`floor`] | the same for the bare echo |
//! | [`drops`] | what the server's socket had no room for |
//! | [`watch`] | asks the index who is online |

mod arrivals;
mod crowd;
mod device;
mod drops;
mod floor;
mod loss;
mod pace;
mod sockets;
mod tally;
mod watch;

use std::io;
use std::time::{Duration, Instant};

use bittrickle_wire::messages::{Heartbeat, Reply, Request};
use bittrickle_wire::seal::{KeysUsedUp, OpenError};
use clap::{Args, value_parser};

use crate::client::{Answer, ClientError};
use crate::load::{Exchange, LoadError};
use crate::measure::{seconds, thread_cpu_time};
use crate::people::DEVICES_PER_MEMBER;
use crate::process::{ProcessError, Role};
use crate::report::{Line, Report, ReportError};
use crate::server::{Server, ServerError};
use crowd::Crowd;
use watch::{Seen, Watch};

/// What to measure.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Options {
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// Sessions, each of a device of its own
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u32).range(1..=250_000))]
    sessions: u32,

    /// Seconds that are measured, when all sessions are there
    #[arg(long, default_value_t = 60.0, value_parser = seconds)]
    seconds: f64,

    /// From one heartbeat of a session to its next, in milliseconds
    #[arg(long, default_value_t = 2_000, value_parser = value_parser!(u32).range(100..=6_000))]
    interval_ms: u32,

    /// So many of a hundred heartbeats are lost, and so many of a hundred answers
    #[arg(long, default_value_t = 0, value_parser = value_parser!(u8).range(0..=50))]
    loss_percent: u8,

    /// Microseconds that the loader sleeps before it looks what is due, besides the 50 or so that the system adds: what is
    /// due then comes in one burst, which is cheaper for the server
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(0..=1_000))]
    step_us: u32,
}

const EXAMPLE: &str = "\
Example:
  bittrickle-bench sessions --seconds 600
  bittrickle-bench sessions --seconds 600 --loss-percent 1 --json";

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionsError {
    /// The server doesn't run.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Its process can't be looked at.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It doesn't say who is online.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Nothing can be said to the echo.
    #[error(transparent)]
    Floor(#[from] LoadError),
    /// The figures can't be handed over.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The sockets fail; most often nobody listens any more.
    #[error("the server has ended, or a socket fails: {0}; a message of its own may stand above")]
    Sockets(#[from] io::Error),
    /// They don't come online.
    #[error("{online} of {sessions} sessions were online after {} s; is the machine far too busy?", PATIENCE.as_secs())]
    TooLate {
        /// Those that are.
        online: usize,
        /// Those that should be.
        sessions: usize,
    },
    /// The server has forgotten a sealed session, which it does after a minute of silence.
    #[error("the server has forgotten a sealed session; has the machine stood still for a minute?")]
    Reset,
    /// An answer that no heartbeat and no login may get.
    #[error("a heartbeat, or a login, is answered with {0:?}")]
    Answer(Box<Reply>),
    /// Not a frame.
    #[error("an answer that is no frame")]
    NoFrame,
    /// Not sealed with a session's keys, or seen before.
    #[error("an answer that can't be opened: {0}")]
    Open(#[from] OpenError),
    /// A session is at its end.
    #[error(transparent)]
    KeysUsedUp(#[from] KeysUsedUp),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

/// How long all sessions together may take to come online.
const PATIENCE: Duration = Duration::from_secs(600);

/// Rounds before counting begins: then everybody has the pace that is measured.
const WARM_UP_ROUNDS: u32 = 2;

/// How long the last answers may take.
const SETTLE: Duration = Duration::from_millis(300);

/// Brings the sessions online, and measures.
///
/// # Errors
/// Something doesn't run, answers wrongly, or somebody wants the program to end.
pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), SessionsError> {
    let sessions = options.sessions as usize;
    let name = name(sessions);
    let watching = sessions.next_multiple_of(DEVICES_PER_MEMBER);
    let server = Server::start_with(Role::Server, watching + 1)?;
    let mut client = watch::log_in(&server, watching)?;
    let request = Request::Heartbeat(Heartbeat {});
    let Answer { reply, request_bytes, reply_bytes } = client.ask(request.clone())?;
    let exchange = Exchange { request, request_bytes, reply_kind: reply.kind(), reply_bytes };
    let empty_bytes = server.process().resident_bytes()?;
    let mut crowd = Crowd::new(sessions, options.pace(), server.process().address(), server.key())?;
    let began = Instant::now();
    crowd.come_online(PATIENCE)?;
    eprintln!("{name}: all are online after {:.1} s", began.elapsed().as_secs_f64());
    crowd.warm_up(WARM_UP_ROUNDS)?;
    let watch = Watch::start(client, sessions);
    let cpu = measure(&name, &mut crowd, &server, options)?;
    // The list is made while nobody says anything, for less time than anybody may be silent.
    let seen = watch.last_look()?;
    let returning = crowd.logging_in() as u64;
    let bytes = (server.process().resident_bytes()? - empty_bytes) / sessions as f64;
    let offline = offline(&name, &crowd, seen, returning);
    let floor = floor::cpu(sessions, options.pace(), &exchange)?;
    let lateness_ms = crowd.pace.lateness.most.as_secs_f64() * 1e3;
    report.add(&Line::with_floor(format!("{name}.cpu"), cpu, "cores", floor))?;
    report.add(&Line::new(format!("{name}.offline"), offline as f64, "times"))?;
    report.add(&Line::new(format!("{name}.lateness"), lateness_ms, "ms"))?;
    report.add(&Line::new(format!("{name}.memory"), bytes, "bytes/session"))?;
    Ok(())
}

impl Options {
    /// From one heartbeat to the next, and from one look at what is due to the next.
    fn pace(&self) -> [Duration; 2] {
        [Duration::from_millis(self.interval_ms.into()), Duration::from_micros(self.step_us.into())]
    }
}

/// The server's CPU time as a part of one core's.
fn measure(name: &str, crowd: &mut Crowd, server: &Server, options: &Options) -> Result<f64, SessionsError> {
    let duration = Duration::from_secs_f64(options.seconds);
    crowd.count_anew(options.loss_percent);
    let address = server.process().address();
    let dropped = drops::dropped_at(address);
    let (start, cpu, own) = (Instant::now(), server.process().cpu_time()?, thread_cpu_time());
    crowd.run_until(start + duration)?;
    let elapsed = start.elapsed().as_secs_f64();
    let (cpu, own) = (server.process().cpu_time()? - cpu, thread_cpu_time() - own);
    crowd.settle(SETTLE)?;
    let dropped = drops::dropped_at(address).zip(dropped).map(|(after, before)| after - before);
    let expected = elapsed * 1e3 / f64::from(options.interval_ms) * f64::from(options.sessions);
    crowd.tally.explain(name, crowd.pace.lateness, expected, own.as_secs_f64() / elapsed);
    crowd.tally.explain_gaps(name, dropped);
    Ok(cpu.as_secs_f64() / elapsed)
}

/// How often a session was taken for offline: as its heartbeats were told, or as the list says of those who have not been
/// told yet.
fn offline(name: &str, crowd: &Crowd, seen: Seen, returning: u64) -> u64 {
    let Seen { looks, missing_most, missing_last } = seen;
    eprintln!(
        "{name}: in {looks} lists of who is online, at most {missing_most} sessions were missing, {missing_last} in the last"
    );
    (crowd.tally.offline + missing_last.saturating_sub(returning)).max(missing_most)
}

fn name(sessions: usize) -> String {
    if sessions.is_multiple_of(1_000) {
        format!("sessions.{}k", sessions / 1_000)
    } else {
        format!("sessions.{sessions}")
    }
}
