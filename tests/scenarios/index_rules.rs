//! The index, asked at invented times by invented devices from invented addresses (BT-2.2 to BT-2.10).

mod contents;
mod pages;
mod publications;
mod queries;
mod recall;
mod sessions;
mod tickets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_server::index::{Caller, Index, LegacyAnswer, Limits, Tickets};
use bittrickle_tests::samples;
use bittrickle_wire::messages::{
    Access, Files, Found, Heartbeat, HeartbeatReply, ListFiles, ListPeers, Located, Logout, Peers,
    RefusalCode, Reply, Request,
};
use bittrickle_wire::seal::{PublicKey, Ticket};
use bittrickle_wire::{
    DatagramCodec, Encoding, FileBytes, Frame, Hex64, HexBytes, MemberName, Message, Target, legacy,
};
use bytes::BytesMut;
use tokio_util::codec::Encoder as _;

const BOOT_ID: Hex64 = Hex64(0x0b00_71d0_0000_0001);

/// The last moment at which a session without a sign of life is open, from that sign on.
const LAST_MOMENT: Duration = Duration::from_nanos(6_999_999_999);

/// An index and a clock that stands still until it is moved. Devices have numbers: a device's number makes its key, and
/// is the port of 127.0.0.1 at which it stands, unless a test says otherwise.
struct World {
    index: Index,
    now: Instant,
    encoding: Encoding,
    /// Whose the devices are; the others are alice's.
    members: BTreeMap<u16, Arc<MemberName>>,
    tickets: Made,
}

/// Tickets that say for what they were made.
#[derive(Default)]
struct Made {
    /// Sources with which no key is shared.
    strangers: BTreeSet<PublicKey>,
}

impl Tickets for Made {
    fn issue(&self, source: &PublicKey, requester: &PublicKey, target: &Target) -> Option<Ticket> {
        (!self.strangers.contains(source)).then(|| ticket(source, requester, target))
    }
}

impl World {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let now = Instant::now();
        let (members, tickets) = (BTreeMap::new(), Made::default());
        Self { index: Index::new(now, BOOT_ID, limits), now, encoding: Encoding::Bincode, members, tickets }
    }

    fn wait(&mut self, duration: Duration) {
        self.now += duration;
    }

    /// Makes a device a member's.
    fn enrol(&mut self, device: u16, member: &str) {
        self.members.insert(device, Arc::new(samples::member(member)));
    }

    fn ask(&mut self, device: u16, request: Request) -> Reply {
        self.ask_from(device, local(device), request)
    }

    /// Asks, and sees to it that the answer fits a sealed datagram.
    fn ask_from(&mut self, device: u16, address: SocketAddr, request: Request) -> Reply {
        let member = self.members.entry(device).or_insert_with(|| Arc::new(samples::member("alice")));
        let caller = Caller { member, device: key(device), address };
        let reply = self.index.handle(self.now, caller, self.encoding, request, &self.tickets);
        let frame = Frame { request_id: 1, encoding: self.encoding, message: Message::Reply(reply.clone()) };
        let mut datagram = BytesMut::new();
        let written = DatagramCodec.encode(frame, &mut datagram);
        assert!(
            written.is_ok() && datagram.len() <= 1_200 - 36,
            "the answer fits a datagram, and its seal: {written:?} {reply:?}"
        );
        reply
    }

    /// Makes a device a member's and logs in; its file server is said to be at the port of its number.
    fn log_in(&mut self, device: u16, member: &str) {
        self.log_in_from(device, member, local(device), device);
    }

    fn log_in_from(&mut self, device: u16, member: &str, from: SocketAddr, transfer_port: u16) {
        self.enrol(device, member);
        let reply = self.ask_from(device, from, samples::login(transfer_port));
        assert!(matches!(reply, Reply::LoggedIn(_)), "{reply:?}");
    }

    fn log_out(&mut self, device: u16) {
        let reply = self.ask(device, Request::Logout(Logout {}));
        assert!(matches!(reply, Reply::LoggedOut(_)), "{reply:?}");
    }

    /// Publishes, and says how many files the session offers then.
    fn publish(&mut self, device: u16, files: &[(&str, u64)]) -> u32 {
        match self.ask(device, publish(files)) {
            Reply::Published(published) => published.offered,
            other => panic!("{other:?}"),
        }
    }

    fn unpublish(&mut self, device: u16, names: &[&str]) {
        let reply = self.ask(device, unpublish(names));
        assert!(matches!(reply, Reply::Unpublished(_)), "{reply:?}");
    }

    fn heartbeat(&mut self, device: u16) -> HeartbeatReply {
        match self.ask(device, heartbeat()) {
            Reply::HeartbeatReply(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn is_logged_in(&mut self, device: u16) -> bool {
        !is_refused(&self.ask(device, Request::ListFiles(ListFiles { after: None })), RefusalCode::NO_SESSION)
    }

    /// The first page of hits.
    fn search(&mut self, device: u16, text: &str) -> Found {
        self.search_after(device, text, None)
    }

    fn search_after(
        &mut self,
        device: u16,
        text: &str,
        after: Option<bittrickle_wire::messages::HitCursor>,
    ) -> Found {
        match self.ask(device, samples::search(text, after)) {
            Reply::Found(found) => found,
            other => panic!("{other:?}"),
        }
    }

    /// Name, size, members and sources of each hit on the first page.
    fn hits(&mut self, device: u16, text: &str) -> Vec<(String, Option<u64>, u32, u32)> {
        let found = self.search(device, text);
        let hits = found.hits.iter();
        hits.map(|hit| {
            (
                hit.name.as_str().to_owned(),
                hit.content.file_bytes.map(FileBytes::bytes),
                hit.members,
                hit.sources,
            )
        })
        .collect()
    }

    fn locate(&mut self, device: u16, name: &str) -> Located {
        match self.ask(device, samples::locate(name, None)) {
            Reply::Located(located) => located,
            other => panic!("{other:?}"),
        }
    }

    /// Member and address of each source on the first page.
    fn sources(&mut self, device: u16, name: &str) -> Vec<(String, String)> {
        let located = self.locate(device, name);
        let sources = located.sources.iter();
        sources
            .map(|source| (source.member.as_str().to_owned(), source.address.socket_address().to_string()))
            .collect()
    }

    fn peers(&mut self, device: u16) -> Peers {
        match self.ask(device, Request::ListPeers(ListPeers { after: None })) {
            Reply::Peers(peers) => peers,
            other => panic!("{other:?}"),
        }
    }

    fn files(&mut self, device: u16) -> Files {
        match self.ask(device, Request::ListFiles(ListFiles { after: None })) {
            Reply::Files(files) => files,
            other => panic!("{other:?}"),
        }
    }

    /// What it takes this device to fetch a name from that one.
    fn access(&self, source: u16, requester: u16, name: &str) -> Option<Access> {
        let (device, requester) = (key(source), key(requester));
        Some(Access { device, ticket: ticket(&device, &requester, &Target::Name(samples::name(name))) })
    }

    /// What a legacy client at this address is answered, in Python's print. Everybody's password is `pw`.
    fn legacy(&mut self, ip: &str, request: &str) -> String {
        let request = legacy::Request::decode(request.as_bytes()).unwrap();
        let from = SocketAddr::new(ip.parse().unwrap(), 9_999);
        let reply = match self.index.handle_legacy(self.now, from, &request) {
            LegacyAnswer::Reply(reply) => reply,
            LegacyAnswer::CheckPassword(login) => {
                let is_right = login.password.as_str() == "pw";
                self.index.finish_legacy_login(self.now, from, &login, is_right)
            }
        };
        String::from_utf8(reply.encode()).unwrap()
    }

    fn legacy_log_in(&mut self, member: &str, port: u16) -> bool {
        let request =
            format!(r#"{{"type":"login","username":"{member}","password":"pw","tcp_port":{port}}}"#);
        self.legacy("127.0.0.1", &request).contains("Welcome")
    }

    fn legacy_publish(&mut self, member: &str, name: &str) {
        let request = format!(r#"{{"type":"pub","username":"{member}","filename":"{name}"}}"#);
        let reply = self.legacy("127.0.0.1", &request);
        assert!(reply.contains("success"), "{reply}");
    }

    /// Everything that a device can see but the clock, and the counts.
    fn view(&mut self, device: u16, names: &[&str]) -> String {
        let mut view = format!(
            "{} sessions, {} publications",
            self.index.session_count(),
            self.index.publication_count()
        );
        let mut requests = vec![samples::search("", None), Request::ListPeers(ListPeers { after: None })];
        requests.extend([Request::ListFiles(ListFiles { after: None }), heartbeat()]);
        requests.extend(names.iter().map(|name| samples::locate(name, None)));
        for request in requests {
            view += &format!("\n{:?}", without_clock(self.ask(device, request)));
        }
        view
    }
}

/// Small limits, so that tests reach them.
fn small_limits() -> Limits {
    Limits {
        sessions: 4,
        sessions_per_member: 2,
        publications: 6,
        publications_per_member: 4,
        names_per_search: 100_000,
        names_per_legacy_search: 100_000,
    }
}

/// The key of a device.
fn key(device: u16) -> PublicKey {
    let [high, low] = device.to_be_bytes();
    PublicKey::from_bytes(std::array::from_fn(|place| if place % 2 == 0 { high } else { low }))
}

/// A ticket that no other source, requester or name has.
fn ticket(source: &PublicKey, requester: &PublicKey, target: &Target) -> Ticket {
    let text = format!("{source} {requester} {target}");
    Ticket(HexBytes(*blake3::hash(text.as_bytes()).as_bytes()))
}

/// The answer, with the clock at its start: all else stays the same when a request is repeated.
fn without_clock(mut reply: Reply) -> Reply {
    match &mut reply {
        Reply::LoggedIn(logged_in) => logged_in.clock_ms = 0,
        Reply::HeartbeatReply(reply) => reply.clock_ms = 0,
        _ => {}
    }
    reply
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn publish(files: &[(&str, u64)]) -> Request {
    samples::publish(files.iter().map(|(name, bytes)| samples::offer(name, *bytes)).collect())
}

fn unpublish(names: &[&str]) -> Request {
    samples::unpublish(names.iter().map(|name| samples::name(name)).collect())
}

fn heartbeat() -> Request {
    Request::Heartbeat(Heartbeat {})
}

fn is_refused(reply: &Reply, code: RefusalCode) -> bool {
    matches!(reply, Reply::Refused(refused) if refused.code == code && !refused.sentence.as_str().is_empty())
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
