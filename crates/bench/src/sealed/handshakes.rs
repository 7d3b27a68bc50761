//! Handshakes a second and core: what the server alone does for one, from the hello to the answer that opens a session.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::in_process::{InProcess, Prepared, address_of};
use crate::handshake::entropy;
use crate::measure::{ROUNDS, median, thread_cpu_time};
use crate::report::{Line, Report, ReportError};
use crate::server::lifted_limits;

const NAME: &str = "sealed.handshakes";

/// Prepares the devices' part first; then only the server's runs.
pub(super) fn run(handshakes: usize, report: &mut Report) -> Result<(), ReportError> {
    let per_second = median((0..ROUNDS).map(|_| handshakes as f64 / round(handshakes).as_secs_f64()));
    report.add(&Line::new(NAME.to_owned(), per_second, "handshakes/s/core"))
}

/// CPU time that so many handshakes take the server.
fn round(handshakes: usize) -> Duration {
    let now = Instant::now();
    let mut server = InProcess::start(now, handshakes, lifted_limits());
    let mut entropy = entropy(0);
    let prepared: Vec<Prepared> =
        (0..handshakes).map(|device| server.prepare(now, address_of(device), device, &mut entropy)).collect();
    let mut datagram = BytesMut::new();
    let start = thread_cpu_time();
    for Prepared { from, hello, initiate, .. } in &prepared {
        // The hello once more: its cookie is the same, and the server doesn't remember the first one.
        for bytes in [hello, initiate] {
            datagram.extend_from_slice(bytes);
            server.send(now, *from, &mut datagram);
        }
        server.responder.next_handshake(now, &mut server.out).expect("a handshake waits");
    }
    let elapsed = thread_cpu_time() - start;
    assert_eq!(server.responder.sealed_count(), handshakes, "all of them are accepted");
    elapsed
}
