//! The floor: what the bare echo costs for datagrams of the same sizes, at the same pace, over as many sockets.

use std::time::{Duration, Instant};

use super::SessionsError;
use super::pace::Pace;
use super::sockets::Sockets;
use crate::interrupt;
use crate::load::Exchange;
use crate::process::{Process, Role};
use crate::voice::{Bare, Voice as _};

/// Before its CPU time counts, and while it does.
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(10);

/// The echo's CPU time as a part of one core's.
///
/// # Errors
/// It doesn't run, or somebody wants the program to end.
pub(super) fn cpu(
    devices: usize,
    [interval, step]: [Duration; 2],
    exchange: &Exchange,
) -> Result<f64, SessionsError> {
    let echo = Process::start(Role::Echo, &[])?;
    let mut sockets = Sockets::connect(devices, echo.address())?;
    let mut pace = Pace::new(Instant::now(), interval, devices);
    let mut run = |duration| run(&mut sockets, &mut pace, devices, exchange, step, duration);
    run(WARM_UP)?;
    let (start, cpu) = (Instant::now(), echo.cpu_time()?);
    run(MEASURED)?;
    Ok((echo.cpu_time()? - cpu).div_duration_f64(start.elapsed()))
}

/// As the crowd does it, but for what it does with its answers.
fn run(
    sockets: &mut Sockets,
    pace: &mut Pace,
    devices: usize,
    exchange: &Exchange,
    step: Duration,
    duration: Duration,
) -> Result<(), SessionsError> {
    let end = Instant::now() + duration;
    loop {
        let now = Instant::now();
        if now >= end {
            return Ok(());
        }
        if interrupt::requested() {
            return Err(SessionsError::Interrupted);
        }
        for turn in pace.take_due(now) {
            sockets.address(usize::try_from(turn % devices as u64).expect("a device's number"));
            Bare.say(exchange, 0, sockets.outbound.bytes())?;
            sockets.outbound.end(None);
        }
        sockets.flush();
        let mut received = false;
        for socket in sockets.ready()? {
            received |= sockets.receive(socket)? > 0;
        }
        if !received {
            std::thread::sleep(step);
        }
    }
}
