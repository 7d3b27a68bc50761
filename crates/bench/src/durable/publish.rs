//! Publications a second, each acknowledged when it is durable.

use std::time::Instant;

use bittrickle_server::index::Edit;
use bittrickle_wire::Encoding;
use bittrickle_wire::messages::{Offer, Publish, Request};
use bittrickle_wire::page::PageBuilder;
use bittrickle_wire::seal::Aes256Gcm;
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
pub(crate) struct PublishOptions {
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// Files to publish in all
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u32).range(1_000..=10_000_000))]
    names: u32,

    /// Sessions that publish, each with one request in flight
    #[arg(long, default_value_t = 512, value_parser = value_parser!(u16).range(1..=1_024))]
    sessions: u16,
}

/// Measures `publish.durable`, with the store alone as its floor.
///
/// # Errors
/// Something doesn't run, answers wrongly, or somebody wants the program to end.
pub(crate) fn publish(options: &PublishOptions, report: &mut Report) -> Result<(), DurableError> {
    let (names, sessions) = (options.names as usize, usize::from(options.sessions));
    let folder = DataFolder::with_devices(std::iter::empty())?;
    let shares = shares(names, sessions);
    let edits = edits_by_turns(&shares);
    let began = Instant::now();
    fill(&folder, edits.into_iter())?;
    let floor = names as f64 / began.elapsed().as_secs_f64();
    eprintln!("publish.durable: the store alone takes {floor:.0} a second");
    drop(folder);

    let devices = (0..sessions).map(|session| session * DEVICES_PER_MEMBER);
    let server = Server::start(Role::Server, devices.clone())?;
    let mut clients = devices.map(|device| Client::log_in(&server, device)).collect::<Result<Vec<_>, _>>()?;
    let cpu_before = server.process().cpu_time()?;
    let began = Instant::now();
    std::thread::scope(|scope| {
        let publishing = clients.iter_mut().zip(&shares);
        let publishing: Vec<_> =
            publishing.map(|(client, own)| scope.spawn(move || publish_all(client, own))).collect();
        publishing.into_iter().try_for_each(|thread| thread.join().expect("no publisher panics"))
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = server.process().cpu_time()? - cpu_before;
    eprintln!("publish.durable: {:.2} of a core's time in the server", cpu.as_secs_f64() / seconds);
    report.add(&Line::with_floor("publish.durable".to_owned(), names as f64 / seconds, "files/s", floor))?;
    Ok(())
}

/// What each of so many members shares, by name: peers publish it so.
fn shares(names: usize, members: usize) -> Vec<Vec<Offer>> {
    let offers: Vec<Offer> =
        Names::new(1, names).take(names).enumerate().map(|(number, name)| offer(number, name)).collect();
    let shares = offers.chunks(names.div_ceil(members)).map(|own| {
        let mut own = own.to_vec();
        own.sort_by(|one, other| one.name.cmp(&other.name));
        own
    });
    shares.collect()
}

/// The same without a server: a member publishes some files at once, and then it is another one's turn.
fn edits_by_turns(shares: &[Vec<Offer>]) -> Vec<Edit> {
    let members: Vec<_> = (0..shares.len()).map(member).collect();
    let mut rest: Vec<_> = shares.iter().map(|own| own.chunks(AT_ONCE)).collect();
    let mut edits = Vec::new();
    loop {
        let before = edits.len();
        for (member, rest) in members.iter().zip(&mut rest) {
            edits.extend(rest.next().into_iter().flatten().map(|offer| edit(member, offer)));
        }
        if edits.len() == before {
            return edits;
        }
    }
}

/// Publishes these, as many in a request as fit, one request after the other.
fn publish_all(client: &mut Client<Aes256Gcm>, own: &[Offer]) -> Result<(), ClientError> {
    let mut page = PageBuilder::new(Encoding::Bincode);
    for offer in own {
        if let Err(next) = page.push(offer.clone()) {
            client.ask(Request::Publish(Publish { files: page.finish() }))?;
            page = PageBuilder::new(Encoding::Bincode);
            page.push(next).expect("the first entry always fits");
        }
    }
    client.ask(Request::Publish(Publish { files: page.finish() })).map(drop)
}
