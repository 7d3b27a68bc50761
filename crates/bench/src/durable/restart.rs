//! How soon a server that was killed answers again, with millions of publications in its store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_server::index::Edit;
use bittrickle_wire::messages::{Filter, Heartbeat, Request, Search};
use bittrickle_wire::seal::Aes256Gcm;
use bittrickle_wire::{MemberName, Query};
use clap::{Args, value_parser};

use super::{AT_ONCE, DurableError, edit, fill, member, offer};
use crate::client::{Client, ClientError};
use crate::people::DEVICES_PER_MEMBER;
use crate::process::Role;
use crate::report::{Line, Report};
use crate::search::names::Names;
use crate::server::{DataFolder, Server};

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct RestartOptions {
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// Publications in the store
    #[arg(long, default_value_t = 10_000_000, value_parser = value_parser!(u32).range(1_000..=10_000_000))]
    names: u32,
}

/// Names of each member.
const NAMES_PER_MEMBER: usize = 1_000;

/// How long to wait for all publications: far longer than it may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often it is asked whether all are there: seldom enough to leave the server its two cores.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Measures `restart.10m` and `restart.10m.heartbeat`, both from the start of the process on.
///
/// # Errors
/// Something doesn't run, answers wrongly, or somebody wants the program to end.
pub(crate) fn restart(options: &RestartOptions, report: &mut Report) -> Result<(), DurableError> {
    let names = options.names as usize;
    let members = (names / NAMES_PER_MEMBER).max(1);
    // The first member publishes, and the last one asks.
    let asking = members * DEVICES_PER_MEMBER;
    let folder = DataFolder::with_devices((0..=members).map(|member| member * DEVICES_PER_MEMBER))?;
    eprintln!("restart: filling the store with {names} publications");
    fill(&folder, edits(names, members))?;
    let server = Server::start_in(folder, Role::Server)?;
    wait_for_search(&mut Client::log_in(&server, asking)?)?;
    let began = Instant::now();
    let server = server.restart(Role::Server)?;
    let mut client = Client::<Aes256Gcm>::log_in(&server, asking)?;
    client.ask(Request::Heartbeat(Heartbeat {}))?;
    let heartbeat = began.elapsed();
    wait_for_search(&mut client)?;
    let search = began.elapsed();
    let label = if names == 10_000_000 { "restart.10m".to_owned() } else { format!("restart.{names}") };
    report.add(&Line::new(format!("{label}.heartbeat"), heartbeat.as_secs_f64(), "s"))?;
    report.add(&Line::new(label, search.as_secs_f64(), "s"))?;
    Ok(())
}

/// The names in no order, as so many members publish them by turns.
fn edits(names: usize, members: usize) -> impl Iterator<Item = Edit> {
    let people: Vec<Arc<MemberName>> = (0..members).map(member).collect();
    Names::new(1, names)
        .take(names)
        .enumerate()
        .map(move |(number, name)| edit(&people[number / AT_ONCE % members], &offer(number, name)))
}

/// Asks until the index has read what is published.
fn wait_for_search(client: &mut Client<Aes256Gcm>) -> Result<(), ClientError> {
    let text = Query::new("linux").expect("a query");
    let search = Search { text, filter: Filter::default(), after: None };
    let began = Instant::now();
    loop {
        match client.ask(Request::Search(search.clone())) {
            Ok(_) => return Ok(()),
            Err(ClientError::Refused(_)) if began.elapsed() < PATIENCE => {}
            Err(error) => return Err(error),
        }
        // Reading may take longer than the index waits for a sign of life, and a refusal is none.
        client.ask(Request::Heartbeat(Heartbeat {}))?;
        std::thread::sleep(LOOK_EVERY);
    }
}
