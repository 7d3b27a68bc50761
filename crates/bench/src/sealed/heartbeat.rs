//! Heartbeats a second, sealed as they are, beside the same server whose cipher does nothing: what is left of the rate is
//! what sealing leaves.

use std::time::Duration;

use bittrickle_wire::messages::{Heartbeat, Request};
use bittrickle_wire::seal::{Aes256Gcm, Cipher};

use super::Options;
use crate::cipher::NullCipher;
use crate::client::{Answer, Client};
use crate::load::{Exchange, Load};
use crate::measure::{MeasureError, Outcome, ROUNDS, measure, report_rounds};
use crate::process::Role;
use crate::report::Report;
use crate::server::Server;

const NAME: &str = "sealed.heartbeat";

/// A server with one cipher, and sessions with it.
struct Side<C> {
    clients: Vec<Client<C>>,
    server: Server,
}

/// Measures both servers by turns.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<(), MeasureError> {
    let mut real = Side::<Aes256Gcm>::start(Role::Server, options.sessions)?;
    let mut null = Side::<NullCipher>::start(Role::NullServer, options.sessions)?;
    let mut rounds = Vec::new();
    for round in 1..=ROUNDS {
        let outcomes = (real.measure(options)?, null.measure(options)?);
        eprintln!(
            "{NAME}: round {round} of {ROUNDS}: {:.0} replies/s, {:.0} with the null cipher",
            outcomes.0.replies_per_second, outcomes.1.replies_per_second
        );
        rounds.push(outcomes);
    }
    report_rounds(NAME, ["the server", "the server with the null cipher"], &rounds, report)?;
    Ok(())
}

impl<C: Cipher> Side<C> {
    fn start(role: Role, sessions: u16) -> Result<Self, MeasureError> {
        let devices = 0..usize::from(sessions);
        let server = Server::start(role, devices.clone())?;
        let clients = devices.map(|device| Client::log_in(&server, device)).collect::<Result<_, _>>()?;
        Ok(Self { clients, server })
    }

    fn measure(&mut self, options: &Options) -> Result<Outcome, MeasureError> {
        // The other side's turn may have taken longer than a session lives in silence.
        self.clients.iter_mut().try_for_each(Client::log_in_again)?;
        let request = Request::Heartbeat(Heartbeat {});
        let Answer { reply, request_bytes, reply_bytes } = self.clients[0].ask(request.clone())?;
        let exchanges = [Exchange { request, request_bytes, reply_kind: reply.kind(), reply_bytes }];
        let sealed = self.clients.iter_mut().map(Client::socket_and_session);
        let load = Load::new(sealed, &exchanges, usize::from(options.window))?;
        measure(self.server.process(), load, Duration::from_secs_f64(options.seconds))
    }
}
