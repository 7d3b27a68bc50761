//! How long it takes until everybody is back after the server was killed and started again.
//!
//! The server is the product as it is, limits included. Each device has a socket and an address of its own, as at a
//! university, and does what a peer does: it sends its heartbeat every two seconds, hears that the server doesn't know the
//! session, makes a new handshake and logs in.
//!
//! | module | what it does |
//! |---|---|
//! | [`device`] | one device, without a socket |
//! | [`crowd`] | all of them, with their sockets, in one thread |

mod crowd;
mod device;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::measure::MeasureError;
use crate::report::{Line, Report};
use crate::server::DataFolder;
use crowd::Crowd;

/// Why the devices did not come back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReturnError {
    /// The server doesn't run.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// There can't be so many sockets.
    #[error(
        "{devices} devices need as many sockets, and this process may open {files} files; raise `ulimit -Hn`, or give \
         fewer --devices"
    )]
    Files {
        /// Devices.
        devices: usize,
        /// Files that may be open.
        files: u64,
    },
    /// Not all are online.
    #[error("{online} of {devices} devices were online after {} s", PATIENCE.as_secs())]
    TooLate {
        /// Those that are.
        online: usize,
        /// Those that should be.
        devices: usize,
    },
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
    /// The sockets fail.
    #[error("the devices' sockets fail: {0}")]
    Sockets(#[from] io::Error),
}

/// How long all devices together may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long they are left alone before the server is killed: then their heartbeats are spread as they are on any day.
const QUIET: Duration = Duration::from_secs(3);

/// Has them log in, kills the server, starts it again, and waits for the last one.
pub(super) fn run(devices: usize, report: &mut Report) -> Result<(), ReturnError> {
    crowd::allow_files(devices)?;
    let name = name(devices);
    eprintln!("{name}: enrolling {devices} devices, each with a durable commit");
    let folder = DataFolder::with_devices(0..devices).map_err(MeasureError::from)?;
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = folder.start_product(any_port).map_err(MeasureError::from)?;
    let start = Instant::now();
    let address = server.address();
    let crowd = Crowd::start(devices, address, folder.key())?;
    let first = crowd.all_online(PATIENCE)? - start;
    eprintln!("{name}: all online for the first time after {:.1} s", first.as_secs_f64());
    std::thread::sleep(QUIET);

    let killed = Instant::now();
    drop(server);
    let server = folder.start_product(address).map_err(MeasureError::from)?;
    let listens = killed.elapsed();
    let back = crowd.all_online(PATIENCE)? - killed;
    let busy = server.cpu_time().map_err(MeasureError::from)?;
    eprintln!(
        "{name}: the server listened again after {:.2} s, and had used {:.1} s of CPU time when the last device was back",
        listens.as_secs_f64(),
        busy.as_secs_f64()
    );
    report.add(&Line::new(name, back.as_secs_f64(), "s")).map_err(MeasureError::from)?;
    Ok(())
}

fn name(devices: usize) -> String {
    if devices.is_multiple_of(1_000) {
        format!("sealed.return.{}k", devices / 1_000)
    } else {
        format!("sealed.return.{devices}")
    }
}
