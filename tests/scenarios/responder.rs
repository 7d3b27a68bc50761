//! The server, from datagram to datagram, at invented times: what is said outside a seal, who may make a handshake, and
//! what a sealed session may do (BT-6.1, BT-6.2, BT-6.4, BT-6.5, BT-2.11, BT-5.3-3).

mod durable;
mod fronts;
mod garbage;
mod handshakes;
mod members;
mod outside;
mod passwords;
mod rates;
mod sessions;

use bittrickle_tests::samples;
use bittrickle_tests::socketless::{Device, Server};
use bittrickle_wire::messages::{Heartbeat, Located, RefusalCode, Reply, Request};

const ALICE: &str = "192.0.2.1:4000";
const BOB: &str = "198.51.100.2:4000";

fn heartbeat() -> Request {
    Request::Heartbeat(Heartbeat {})
}

fn publish(name: &str) -> Request {
    samples::publish(vec![samples::offer(name, 1)])
}

fn is_refused(reply: Option<&Reply>, code: RefusalCode) -> bool {
    matches!(reply, Some(Reply::Refused(refused)) if refused.code == code && !refused.sentence.as_str().is_empty())
}

/// The code with which the server refuses this request; `None` when it answers it otherwise.
fn refusal(world: &mut Server, device: &mut Device, request: Request) -> Option<RefusalCode> {
    match world.ask(device, request).expect("an answer") {
        Reply::Refused(refused) => Some(refused.code),
        _ => None,
    }
}

fn locate(world: &mut Server, device: &mut Device, name: &str) -> Located {
    match world.ask(device, samples::locate(name, None)) {
        Some(Reply::Located(located)) => located,
        other => panic!("{other:?}"),
    }
}
