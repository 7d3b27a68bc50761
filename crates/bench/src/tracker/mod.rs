//! What a BitTorrent tracker does under the load that [`index`](crate::index) puts on the server: as many requests in flight
//! over as many sockets, beside the same bare echo. The tracker is another program, which runs already.
//!
//! An announce is to a tracker what `Locate` is to the index: it asks who has a content. So the exchanges are those of
//! `Locate`, and the [`Announcer`] says each of them in BEP 15: the content's root, cut to twenty bytes, is its info hash.
//!
//! | module | what it does |
//! |---|---|
//! | [`packets`] | the datagrams of BEP 15 |

mod packets;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use bittrickle_wire::messages::{Locate, Request};
use bittrickle_wire::{Kind, Root, Target};
use bytes::BytesMut;
use clap::{Args, value_parser};

use crate::catalog;
use crate::client;
use crate::interrupt;
use crate::load::{Exchange, Load, LoadError, SLOTS_MAX};
use crate::measure::{
    MeasureError, Outcome, ROUNDS, measure, measure_with, report_rates, report_rounds, seconds,
};
use crate::process::{Process, Role, cpu_time_of};
use crate::report::Report;
use crate::voice::{Bare, Heard, Voice};
use packets::{ANNOUNCE_BYTES, Announce, Answer, Body, HASH_BYTES, write_connect};

/// What to measure.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Options {
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// Where the tracker listens
    #[arg(long, required_unless_present = "print_torrents")]
    address: Option<SocketAddr>,

    /// The tracker's process, if its CPU time is to be measured as well
    #[arg(long)]
    pid: Option<u32>,

    /// Seconds of each measurement; there are three of the tracker and three of the echo
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,

    /// Peers that announce, each over a socket of its own
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u16).range(1..=256))]
    sessions: u16,

    /// Requests in flight of each peer; more than about 200 in all don't fit a socket's usual buffer, and get lost
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u16).range(1..=i64::from(SLOTS_MAX)))]
    window: u16,

    /// Contents that are announced by turns
    #[arg(long, default_value_t = 500, value_parser = value_parser!(u32).range(1..=100_000))]
    torrents: u32,

    /// Only print their info hashes, one a line: some trackers take none that they haven't been told of
    #[arg(long)]
    pub(crate) print_torrents: bool,
}

const EXAMPLE: &str = "\
Example:
  bittrickle-bench tracker --address 127.0.0.1:6969 --pid $(pidof aquatic_udp) --seconds 5
  contrib/compare-index.sh starts some trackers, and runs this.";

/// Why the tracker could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrackerError {
    /// A measurement has failed.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// The socket fails; most often nobody listens.
    #[error("the tracker's socket fails: {0}; does it listen there?")]
    Socket(#[from] io::Error),
    /// Nothing came back.
    #[error("the tracker has not answered any of {TRIES} tries")]
    Silent,
    /// The tracker says no.
    #[error("the tracker refuses: {0}")]
    Refused(String),
    /// It answers something else.
    #[error("the tracker answers with something else than it was asked")]
    Answer,
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

/// Speaks with a tracker as one peer.
#[derive(Clone, Copy, Debug)]
struct Announcer {
    connection_id: u64,
    peer_id: [u8; HASH_BYTES],
    left_bytes: u64,
    port: u16,
}

const NAME: &str = "tracker.announce";

/// Peers that an announce asks for: as many as `Located` has of a rare content.
const PEERS_WANTED: u32 = 2;

/// How often a request is sent before the tracker is given up, and how long each try waits.
const TRIES: u32 = 10;
const TRY: Duration = Duration::from_millis(500);

/// What the load takes an announce's answer for.
const ANSWER: Kind = Kind::Located;

/// Measures the tracker and the echo by turns.
///
/// # Errors
/// Something doesn't run, answers wrongly, or somebody wants the program to end.
pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), TrackerError> {
    let Some(address) = options.address.filter(|_| !options.print_torrents) else {
        roots(options).for_each(|root| println!("{}", hex(&info_hash(&root))));
        return Ok(());
    };
    let echo = Process::start(Role::Echo, &[]).map_err(MeasureError::from)?;
    let sockets = connect_all(options.sessions, address)?;
    let echo_sockets = connect_all(options.sessions, echo.address())?;
    let mut rounds = Vec::new();
    for round in 1..=ROUNDS {
        // Connections end after a minute or two.
        let announcers = greet_all(&sockets)?;
        let exchanges = populate(&sockets, &announcers, options)?;
        let tracker = measure_tracker(&sockets, &announcers, &exchanges, options)?;
        let bare = echo_sockets.iter().map(|socket| (socket, Bare));
        let load = Load::new(bare, &exchanges, options.window.into()).map_err(MeasureError::from)?;
        let floor = measure(&echo, load, Duration::from_secs_f64(options.seconds))?;
        eprintln!(
            "{NAME}: round {round} of {ROUNDS}: {:.0} replies/s, echo {:.0}",
            tracker.replies_per_second, floor.replies_per_second
        );
        rounds.push((tracker, floor));
    }
    let reported = if options.pid.is_some() {
        report_rounds(NAME, ["the tracker", "the echo"], &rounds, report)
    } else {
        report_rates(NAME, &rounds, report)
    };
    Ok(reported.map_err(MeasureError::from)?)
}

fn measure_tracker(
    sockets: &[UdpSocket],
    announcers: &[Announcer],
    exchanges: &[Exchange],
    options: &Options,
) -> Result<Outcome, MeasureError> {
    let voices = sockets.iter().zip(announcers.iter().copied());
    let load = Load::new(voices, exchanges, options.window.into())?;
    let cpu_time = || options.pid.map_or(Ok(Duration::ZERO), cpu_time_of);
    measure_with(cpu_time, load, Duration::from_secs_f64(options.seconds))
}

fn roots(options: &Options) -> impl Iterator<Item = Root> {
    (0..options.torrents as usize).map(catalog::root)
}

fn info_hash(root: &Root) -> [u8; HASH_BYTES] {
    *root.as_bytes().first_chunk().expect("a root is longer")
}

fn connect_all(count: u16, address: SocketAddr) -> io::Result<Vec<UdpSocket>> {
    (0..count).map(|_| client::connect(address)).collect()
}

/// Gets a connection id for each socket.
fn greet_all(sockets: &[UdpSocket]) -> Result<Vec<Announcer>, TrackerError> {
    let greet = |(number, socket): (usize, &UdpSocket)| {
        let number = u16::try_from(number).expect("a few peers");
        let mut datagram = BytesMut::new();
        write_connect(u32::from(number), &mut datagram);
        let (body, _) = ask(socket, &datagram, u32::from(number))?;
        let Body::Connected(connection_id) = body else { return Err(TrackerError::Answer) };
        let mut peer_id = *b"-BT0000-000000000000";
        peer_id[HASH_BYTES - 2..].copy_from_slice(&number.to_be_bytes());
        // Every other one has the content.
        Ok(Announcer { connection_id, peer_id, left_bytes: u64::from(number % 2), port: 40_000 + number })
    };
    sockets.iter().enumerate().map(greet).collect()
}

/// Has every peer announce every content once, so that measured announces change nothing but times; then asks what the
/// answers are.
fn populate(
    sockets: &[UdpSocket],
    announcers: &[Announcer],
    options: &Options,
) -> Result<Vec<Exchange>, TrackerError> {
    let mut answers = Vec::new();
    for (socket, announcer) in sockets.iter().zip(announcers).chain([(&sockets[0], &announcers[0])]) {
        answers.clear();
        for (number, root) in (0_u32..).zip(roots(options)) {
            let mut datagram = BytesMut::new();
            announcer.announce(info_hash(&root), number).write(&mut datagram);
            let (Body::Announced(_), bytes) = ask(socket, &datagram, number)? else {
                return Err(TrackerError::Answer);
            };
            answers.push(bytes);
        }
    }
    let exchange = |(root, reply_bytes)| Exchange {
        request: Request::Locate(Locate { target: Target::Root(root), after: None }),
        request_bytes: ANNOUNCE_BYTES,
        reply_kind: ANSWER,
        reply_bytes,
    };
    Ok(roots(options).zip(answers).map(exchange).collect())
}

/// Asks until there is an answer: what it says, and how long it is.
fn ask(socket: &UdpSocket, datagram: &[u8], transaction_id: u32) -> Result<(Body, usize), TrackerError> {
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(TRY))?;
    for _ in 0..TRIES {
        if interrupt::requested() {
            return Err(TrackerError::Interrupted);
        }
        match try_once(socket, datagram, transaction_id) {
            Ok(Some(answered)) => return Ok(answered),
            Ok(None) => {}
            // It may have just been started.
            Err(TrackerError::Socket(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                sleep(TRY);
            }
            Err(error) => return Err(error),
        }
    }
    Err(TrackerError::Silent)
}

/// Asks once: `None` when nothing comes in time.
fn try_once(
    socket: &UdpSocket,
    datagram: &[u8],
    transaction_id: u32,
) -> Result<Option<(Body, usize)>, TrackerError> {
    let mut received = [0; 2_048];
    socket.send(datagram)?;
    loop {
        let bytes = match socket.recv(&mut received) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        match Answer::parse(&received[..bytes]) {
            Some(Answer { body: Body::Refused(why), .. }) => return Err(TrackerError::Refused(why)),
            Some(answer) if answer.transaction_id == transaction_id => return Ok(Some((answer.body, bytes))),
            // The late answer to something that was asked before.
            _ => {}
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Announcer {
    fn announce(&self, info_hash: [u8; HASH_BYTES], transaction_id: u32) -> Announce {
        let Self { connection_id, peer_id, left_bytes, port } = *self;
        let peers_wanted = PEERS_WANTED;
        Announce { connection_id, transaction_id, info_hash, peer_id, left_bytes, peers_wanted, port }
    }
}

impl Voice for Announcer {
    fn say(&mut self, exchange: &Exchange, request_id: u32, out: &mut BytesMut) -> Result<(), LoadError> {
        let Request::Locate(Locate { target: Target::Root(root), .. }) = &exchange.request else {
            unreachable!("all exchanges are made here")
        };
        self.announce(info_hash(root), request_id).write(out);
        Ok(())
    }

    fn hear(&mut self, datagram: &mut BytesMut) -> Result<Option<Heard>, LoadError> {
        match Answer::parse(datagram) {
            Some(Answer { transaction_id, body: Body::Announced(_) }) => {
                Ok(Some(Heard { request_id: transaction_id, kind: ANSWER }))
            }
            Some(Answer { body: Body::Refused(why), .. }) => Err(LoadError::Refused(why)),
            Some(Answer { body: Body::Connected(_), .. }) => Ok(None),
            None => Err(LoadError::NoFrame),
        }
    }
}
