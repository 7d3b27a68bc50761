//! The index whose searches are measured, and who publishes in it and asks it: no socket, no seal, and a clock that stands.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_server::index::{Caller, Index, Limits, Tickets};
use bittrickle_wire::limits::PUBLISH_FILES_MAX;
use bittrickle_wire::messages::{Found, Login, Logout, Offer, Publish, Reply, Request, Search};
use bittrickle_wire::seal::{PublicKey, Ticket};
use bittrickle_wire::{Encoding, FileBytes, FileName, Hex64, HexBytes, List, MemberName, Root, Target};

use super::SearchError;
use super::names::Names;
use super::random::{Purpose, Random};
use crate::people::{self, DEVICES_PER_MEMBER};

/// An index with all its publications, and somebody who asks.
pub(super) struct Crowd {
    index: Index,
    /// Nobody's silence gets longer, however long the benchmark takes.
    now: Instant,
    asking: Person,
    /// Resident bytes for one publication: what this process has grown by, over their number.
    pub(super) bytes_per_name: f64,
}

/// A member with one device.
struct Person {
    member: Arc<MemberName>,
    number: usize,
    device: PublicKey,
}

/// Searches need none.
struct NoTickets;

/// Names that each member publishes, as far as there are enough.
const NAMES_PER_MEMBER: usize = 1_000;

/// Fewer members than these are no crowd.
const MEMBERS_MIN: usize = 10;

impl Crowd {
    /// Publishes the first `count` names of this seed; half of those who did are offline then.
    ///
    /// # Errors
    /// The index refuses something, or the memory can't be read.
    pub(super) fn gather(seed: u64, count: usize) -> Result<Self, SearchError> {
        let members = (count / NAMES_PER_MEMBER).max(MEMBERS_MIN);
        let now = Instant::now();
        let before = resident_bytes()?;
        let index = Index::new(now, Hex64(seed), Limits::default());
        let asking = Person::numbered(members);
        let mut crowd = Self { index, now, asking, bytes_per_name: 0.0 };
        crowd.publish_all(seed, count, members)?;
        for member in (0..members).step_by(2) {
            crowd.ask_as(&Person::numbered(member), Request::Logout(Logout {}));
        }
        crowd.bytes_per_name = (resident_bytes()? - before) / count as f64;
        let asking = Person::numbered(members);
        expect_done(crowd.ask_as(&asking, login(members)))?;
        Ok(crowd)
    }

    /// Only this function holds what makes the names up, so that its memory is free when it returns.
    fn publish_all(&mut self, seed: u64, count: usize, members: usize) -> Result<(), SearchError> {
        let (mut names, mut random) = (Names::new(seed, count), Random::new(seed, Purpose::Contents));
        for member in 0..members {
            let person = Person::numbered(member);
            expect_done(self.ask_as(&person, login(member)))?;
            let (first, end) = (member * count / members, (member + 1) * count / members);
            let own: Vec<FileName> = names.by_ref().take(end - first).collect();
            for names in own.chunks(PUBLISH_FILES_MAX) {
                let offers = names.iter().map(|name| offer(name.clone(), &mut random)).collect();
                let files = List::new(offers).expect("no more than a list holds");
                expect_done(self.ask_as(&person, Request::Publish(Publish { files })))?;
            }
            if (member + 1) % members.div_ceil(10) == 0 {
                eprintln!("published: {end} of {count} names");
            }
        }
        Ok(())
    }

    /// One search, and how long the index took for it.
    ///
    /// # Errors
    /// The index refuses it.
    pub(super) fn search(&mut self, search: Search) -> Result<(Found, Duration), SearchError> {
        let (caller, request) = (self.asking.caller(), Request::Search(search));
        let start = Instant::now();
        let reply = self.index.handle(self.now, caller, Encoding::Bincode, request, &NoTickets);
        let elapsed = start.elapsed();
        match reply {
            Reply::Found(found) => Ok((found, elapsed)),
            other => Err(SearchError::Refused(Box::new(other))),
        }
    }

    fn ask_as(&mut self, person: &Person, request: Request) -> Reply {
        self.index.handle(self.now, person.caller(), Encoding::Bincode, request, &NoTickets)
    }
}

impl Person {
    fn numbered(number: usize) -> Self {
        let device = number * DEVICES_PER_MEMBER;
        let member = Arc::new(people::member_of(device));
        Self { member, number, device: people::key_of(device).public() }
    }

    fn caller(&self) -> Caller<'_> {
        let address = SocketAddr::from((people::address_of(self.number), 50_000));
        Caller { member: &self.member, device: self.device, address }
    }
}

impl Tickets for NoTickets {
    fn issue(&self, _: &PublicKey, _: &PublicKey, _: &Target) -> Option<Ticket> {
        None
    }
}

fn login(number: usize) -> Request {
    Request::Login(Login { transfer_port: people::transfer_port_of(number) })
}

/// Something of one to some thousand million bytes, small ones more often.
fn offer(name: FileName, random: &mut Random) -> Offer {
    let bytes = random.next() >> (32 + random.below(32));
    let file_bytes = FileBytes::new(bytes).expect("32 bits are a size");
    let words = [random.next(), random.next(), random.next(), random.next()];
    let mut root = [0; 32];
    for (bytes, word) in root.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    Offer { name, file_bytes, root: Some(Root(HexBytes(root))), is_folder: false }
}

fn expect_done(reply: Reply) -> Result<(), SearchError> {
    match reply {
        Reply::LoggedIn(_) | Reply::Published(_) => Ok(()),
        other => Err(SearchError::Refused(Box::new(other))),
    }
}

/// Memory of this process that is in use.
fn resident_bytes() -> io::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = kibibytes.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kibibytes.map(|kibibytes| kibibytes * 1_024.0).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
