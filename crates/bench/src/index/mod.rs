//! What the index costs: replies a second and CPU time of a real server process over sealed sessions, beside a bare echo
//! whose datagrams have the same sizes.
//!
//! | module | what it does |
//! |---|---|
//! | [`publishers`] | the members whose files are found |
//! | [`scenario`] | which requests are measured, and what answers they must get |

mod publishers;
mod scenario;

use std::net::UdpSocket;
use std::time::Duration;

use bittrickle_wire::seal::Aes256Gcm;
use clap::{Args, value_parser};

use crate::client::{self, Client};
use crate::load::{Load, SLOTS_MAX};
use crate::measure::{MeasureError, Outcome, ROUNDS, measure, report_rounds, seconds};
use crate::people::DEVICES_PER_MEMBER;
use crate::process::{Process, Role};
use crate::report::Report;
use crate::server::Server;
use crate::voice::Bare;
use publishers::{PUBLISHERS, Publishers};
use scenario::{Scenario, ScenarioError};

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
    /// There is nothing to measure.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A measurement has failed.
    #[error(transparent)]
    Measure(#[from] MeasureError),
}

/// Everything that is measured, running.
struct Bench {
    asking: Vec<Client<Aes256Gcm>>,
    echo_sockets: Vec<UdpSocket>,
    _publishers: Publishers,
    server: Server,
    echo: Process,
    window: usize,
    names: usize,
    duration: Duration,
}

/// The first device that asks: those of the publishers stand before it.
const FIRST_ASKING: usize = PUBLISHERS * DEVICES_PER_MEMBER;

/// Measures every scenario.
///
/// # Errors
/// Something doesn't run, answers wrongly, or somebody wants the program to end.
pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), IndexError> {
    eprintln!("index: publishing {} names", options.names);
    let mut bench = Bench::start(options)?;
    for scenario in Scenario::ALL {
        bench.measure(scenario, report)?;
    }
    Ok(())
}

impl Bench {
    fn start(options: &Options) -> Result<Self, MeasureError> {
        let asking = FIRST_ASKING..FIRST_ASKING + usize::from(options.sessions);
        let server = Server::start(Role::Server, publishers::devices().chain(asking.clone()))?;
        let echo = Process::start(Role::Echo, &[])?;
        let names = options.names as usize;
        let publishers = Publishers::publish(&server, names)?;
        let echo_sockets =
            asking.clone().map(|_| client::connect(echo.address())).collect::<Result<_, _>>()?;
        let asking = asking.map(|device| Client::log_in(&server, device)).collect::<Result<_, _>>()?;
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
            let (server, echo) = self.round(scenario)?;
            eprintln!(
                "{name}: round {round} of {ROUNDS}: {:.0} replies/s, echo {:.0}",
                server.replies_per_second, echo.replies_per_second
            );
            rounds.push((server, echo));
        }
        report_rounds(name, ["the server", "the echo"], &rounds, report).map_err(MeasureError::from)?;
        Ok(())
    }

    fn round(&mut self, scenario: Scenario) -> Result<(Outcome, Outcome), IndexError> {
        // Sessions may be over by now: the echo's turn can take longer than the index waits for a sign of life.
        self.asking.iter_mut().try_for_each(Client::log_in_again).map_err(MeasureError::from)?;
        let exchanges = scenario.exchanges(&mut self.asking[0], self.names)?;
        let sealed = self.asking.iter_mut().map(Client::socket_and_session);
        let load = Load::new(sealed, &exchanges, self.window).map_err(MeasureError::from)?;
        let server = measure(self.server.process(), load, self.duration)?;
        let bare = self.echo_sockets.iter().map(|socket| (socket, Bare));
        let load = Load::new(bare, &exchanges, self.window).map_err(MeasureError::from)?;
        Ok((server, measure(&self.echo, load, self.duration)?))
    }
}
