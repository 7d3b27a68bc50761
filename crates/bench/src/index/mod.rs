//! What the index costs: replies a second and CPU time of a real server process, beside a bare echo whose datagrams
//! have the same sizes.
//!
//! | module | what it does |
//! |---|---|
//! | [`process`] | starts the server and the echo, and ends them |
//! | [`echo`] | the floor |
//! | [`publishers`] | the members whose files are found |
//! | [`scenario`] | which requests are measured, and what answers they must get |
//! | [`load`] | sends them and counts the answers |

mod client;
mod echo;
mod load;
pub(crate) mod process;
mod publishers;
mod scenario;

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};

use crate::interrupt;
use crate::report::{Line, Report, ReportError};
use client::{Client, ClientError};
use load::{Counts, Load, LoadError, SLOTS_MAX};
use process::{Process, ProcessError, Server};
use publishers::Publishers;
use scenario::{Exchange, Scenario, ScenarioError};

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// Seconds of each measurement; there are three of the server and three of the echo for each kind of request
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,

    /// Sessions that ask, each over a socket of its own
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u16).range(1..=256))]
    sessions: u16,

    /// Requests in flight in each session; more than about 200 in all don't fit a socket's usual buffer, and get lost
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u16).range(1..=i64::from(SLOTS_MAX)))]
    window: u16,

    /// Published names in the index
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u32).range(1_000..=1_000_000))]
    names: u32,
}

/// Why the index could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    /// The server or the echo doesn't run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The server doesn't do what it is asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is nothing to measure.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A measurement ended early.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The figures can't be handed over.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The operating system refuses what a benchmark needs.
    #[error("the operating system refuses what a benchmark needs: {0}")]
    System(#[from] io::Error),
}

/// Everything that is measured, running.
struct Bench {
    asking: Vec<Client>,
    echo_sockets: Vec<UdpSocket>,
    _publishers: Publishers,
    server: Server,
    echo: Process,
    window: usize,
    names: usize,
    duration: Duration,
}

/// The result of one measurement.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    replies_per_second: f64,
    cpu_seconds_per_million: f64,
    /// The part of the time in which the process was on a CPU.
    busy: f64,
}

/// How often server and echo are measured by turns. Their medians count: what disturbs one measurement disturbs no
/// figure.
const ROUNDS: usize = 3;

/// Measurements begin when caches are warm and queues have their length.
const WARM_UP: Duration = Duration::from_millis(100);

/// A process that waits for more than the rest of its time is not what limits the rate.
const BUSY_MIN: f64 = 0.9;

/// Sessions of one member; the server allows as many (BT-5.3-2).
const SESSIONS_PER_MEMBER: usize = 16;

/// Measures every scenario.
///
/// # Errors
/// Something doesn't run, answers wrongly, or somebody wants the program to end.
pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), IndexError> {
    interrupt::watch()?;
    eprintln!("index: publishing {} names", options.names);
    let mut bench = Bench::start(options)?;
    for scenario in Scenario::ALL {
        bench.measure(scenario, report)?;
    }
    Ok(())
}

impl Bench {
    fn start(options: &Options) -> Result<Self, IndexError> {
        let sessions = usize::from(options.sessions);
        let names = options.names as usize;
        let asking = |session: usize| format!("asking-{}", session / SESSIONS_PER_MEMBER);
        let mut members: Vec<String> = publishers::members().chain((0..sessions).map(asking)).collect();
        members.dedup();
        let server = Server::start(&members)?;
        let echo = Process::start_echo()?;
        let address = server.process().address();
        let publishers = Publishers::publish(address, names)?;
        let asking = (0..sessions)
            .map(|session| Client::log_in(address, &asking(session), session))
            .collect::<Result<_, _>>()?;
        let echo_sockets =
            (0..sessions).map(|_| client::connect(echo.address())).collect::<Result<_, _>>()?;
        Ok(Self {
            asking,
            echo_sockets,
            _publishers: publishers,
            server,
            echo,
            window: usize::from(options.window),
            names,
            duration: Duration::from_secs_f64(options.seconds),
        })
    }

    fn measure(&mut self, scenario: Scenario, report: &mut Report) -> Result<(), IndexError> {
        let name = scenario.name();
        let mut rounds = Vec::new();
        for round in 1..=ROUNDS {
            // Sessions may be over by now: the echo's turn can take longer than the index waits for a sign of life.
            self.asking.iter_mut().try_for_each(Client::log_in_again)?;
            let exchanges = scenario.exchanges(&mut self.asking[0], self.names)?;
            let for_echo = exchanges.iter().map(Exchange::for_echo).collect();
            let sockets = self.asking.iter().map(Client::socket);
            let server = self.one(self.server.process(), sockets, exchanges)?;
            let echo = self.one(&self.echo, self.echo_sockets.iter(), for_echo)?;
            eprintln!(
                "{name}: round {round} of {ROUNDS}: {:.0} replies/s, echo {:.0}",
                server.replies_per_second, echo.replies_per_second
            );
            rounds.push((server, echo));
        }
        warn_of_idle(name, &rounds);
        let figure = |of: fn(&Outcome) -> f64| {
            (
                median(rounds.iter().map(|(server, _)| of(server))),
                median(rounds.iter().map(|(_, echo)| of(echo))),
            )
        };
        let (rate, floor) = figure(|outcome| outcome.replies_per_second);
        report.add(&Line::with_floor(name.to_owned(), rate, "replies/s", floor))?;
        let (cpu, floor) = figure(|outcome| outcome.cpu_seconds_per_million);
        report.add(&Line::with_floor(format!("{name}.cpu"), cpu, "s/million", floor))?;
        Ok(())
    }

    fn one<'a>(
        &self,
        process: &Process,
        sockets: impl Iterator<Item = &'a UdpSocket>,
        exchanges: Vec<Exchange>,
    ) -> Result<Outcome, IndexError> {
        let mut load = Load::new(sockets, exchanges, self.window)?;
        load.run_until(Instant::now() + WARM_UP)?;
        let (before, cpu_before, start) = (load.counts(), process.cpu_time()?, Instant::now());
        load.run_until(start + self.duration)?;
        let (after, cpu_after, elapsed) = (load.counts(), process.cpu_time()?, start.elapsed());
        load.settle()?;
        Ok(Outcome::of(before, after, cpu_after - cpu_before, elapsed))
    }
}

impl Outcome {
    fn of(before: Counts, after: Counts, cpu: Duration, elapsed: Duration) -> Self {
        if after.repeats > before.repeats {
            eprintln!("{} requests had to be sent again", after.repeats - before.repeats);
        }
        let replies = (after.replies - before.replies).max(1) as f64;
        Self {
            replies_per_second: replies / elapsed.as_secs_f64(),
            cpu_seconds_per_million: cpu.as_secs_f64() / replies * 1e6,
            busy: cpu.as_secs_f64() / elapsed.as_secs_f64(),
        }
    }
}

/// Says so when not the measured process but the load, or the rest of the machine, has set the pace.
fn warn_of_idle(name: &str, rounds: &[(Outcome, Outcome)]) {
    let server = median(rounds.iter().map(|(server, _)| server.busy));
    let echo = median(rounds.iter().map(|(_, echo)| echo.busy));
    for (what, busy) in [("server", server), ("echo", echo)] {
        if busy < BUSY_MIN {
            let percent = busy * 100.0;
            eprintln!(
                "{name}: the {what} was busy for {percent:.0} % of the time only: the load or another program has \
                 set the pace, and the rate says less than the CPU time"
            );
        }
    }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=3_600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.01 to 3600 is needed".to_owned()),
    }
}
