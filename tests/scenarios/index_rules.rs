//! The index, asked at invented times from invented addresses (BT-2.2 to BT-2.10).

mod pages;
mod publications;
mod queries;
mod sessions;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bittrickle_server::credentials::Credentials;
use bittrickle_server::index::{Index, Limits};
use bittrickle_tests::samples;
use bittrickle_wire::messages::{
    Files, Found, Heartbeat, HeartbeatReply, ListFiles, ListPeers, Located, Logout, Peers, RefusalCode,
    Reply, Request,
};
use bittrickle_wire::{DatagramCodec, Encoding, FileBytes, Frame, Hex64, Message, legacy};
use bytes::BytesMut;
use tokio_util::codec::Encoder as _;

const BOOT_ID: Hex64 = Hex64(0x0b00_71d0_0000_0001);

/// The last moment at which a session without a sign of life is open, from that sign on.
const LAST_MOMENT: Duration = Duration::from_nanos(6_999_999_999);

/// An index and a clock that stands still until it is moved.
struct World {
    index: Index,
    now: Instant,
    encoding: Encoding,
}

impl World {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    /// Its members have names of all kinds; the password of each is `pw`.
    fn with(limits: Limits) -> Self {
        Self::of_members(limits, &["alice", "bob", "carol", "dave", "zoë", "Bob"])
    }

    fn of_members(limits: Limits, members: &[&str]) -> Self {
        let file: Vec<String> = members.iter().map(|member| format!("{member} pw")).collect();
        let credentials = Credentials::parse(&file.join("\n")).unwrap();
        Self {
            index: Index::new(BOOT_ID, credentials, limits),
            now: Instant::now(),
            encoding: Encoding::Bincode,
        }
    }

    fn wait(&mut self, duration: Duration) {
        self.now += duration;
    }

    /// Asks from this port of 127.0.0.1.
    fn ask(&mut self, port: u16, request: Request) -> Reply {
        self.ask_from(local(port), request)
    }

    /// Asks, and sees to it that the answer fits a datagram.
    fn ask_from(&mut self, from: SocketAddr, request: Request) -> Reply {
        let reply = self.index.handle(self.now, from, self.encoding, request);
        let frame = Frame { request_id: 1, encoding: self.encoding, message: Message::Reply(reply.clone()) };
        let mut datagram = BytesMut::new();
        let written = DatagramCodec.encode(frame, &mut datagram);
        assert!(
            written.is_ok() && datagram.len() <= 1_200,
            "the answer fits a datagram: {written:?} {reply:?}"
        );
        reply
    }

    /// Logs in; the member's file server is said to be at the same port.
    fn log_in(&mut self, port: u16, member: &str) {
        let reply = self.ask(port, samples::login(member, "pw", port));
        assert!(matches!(reply, Reply::LoggedIn(_)), "{reply:?}");
    }

    fn log_out(&mut self, port: u16) {
        let reply = self.ask(port, Request::Logout(Logout {}));
        assert!(matches!(reply, Reply::LoggedOut(_)), "{reply:?}");
    }

    /// Publishes, and says how many files the session offers then.
    fn publish(&mut self, port: u16, files: &[(&str, u64)]) -> u32 {
        match self.ask(port, publish(files)) {
            Reply::Published(published) => published.offered,
            other => panic!("{other:?}"),
        }
    }

    fn unpublish(&mut self, port: u16, names: &[&str]) {
        let reply = self.ask(port, unpublish(names));
        assert!(matches!(reply, Reply::Unpublished(_)), "{reply:?}");
    }

    fn heartbeat(&mut self, port: u16) -> HeartbeatReply {
        match self.ask(port, heartbeat()) {
            Reply::HeartbeatReply(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn is_logged_in(&mut self, port: u16) -> bool {
        !is_refused(&self.ask(port, Request::ListFiles(ListFiles { after: None })), RefusalCode::NO_SESSION)
    }

    /// The first page of hits.
    fn search(&mut self, port: u16, text: &str) -> Found {
        self.search_after(port, text, None)
    }

    fn search_after(
        &mut self,
        port: u16,
        text: &str,
        after: Option<bittrickle_wire::messages::HitCursor>,
    ) -> Found {
        match self.ask(port, samples::search(text, after)) {
            Reply::Found(found) => found,
            other => panic!("{other:?}"),
        }
    }

    /// Name, size, members and sources of each hit on the first page.
    fn hits(&mut self, port: u16, text: &str) -> Vec<(String, Option<u64>, u32, u32)> {
        let found = self.search(port, text);
        let hits = found.hits.iter();
        hits.map(|hit| {
            (hit.name.as_str().to_owned(), hit.file_bytes.map(FileBytes::bytes), hit.members, hit.sources)
        })
        .collect()
    }

    fn locate(&mut self, port: u16, name: &str) -> Located {
        match self.ask(port, samples::locate(name, None)) {
            Reply::Located(located) => located,
            other => panic!("{other:?}"),
        }
    }

    /// Member and address of each source on the first page.
    fn sources(&mut self, port: u16, name: &str) -> Vec<(String, String)> {
        let located = self.locate(port, name);
        let sources = located.sources.iter();
        sources
            .map(|source| (source.member.as_str().to_owned(), source.address.socket_address().to_string()))
            .collect()
    }

    fn peers(&mut self, port: u16) -> Peers {
        match self.ask(port, Request::ListPeers(ListPeers { after: None })) {
            Reply::Peers(peers) => peers,
            other => panic!("{other:?}"),
        }
    }

    fn files(&mut self, port: u16) -> Files {
        match self.ask(port, Request::ListFiles(ListFiles { after: None })) {
            Reply::Files(files) => files,
            other => panic!("{other:?}"),
        }
    }

    /// What a legacy client at this address is answered: the sentence, or the whole answer in Python's print.
    fn legacy(&mut self, ip: &str, request: &str) -> String {
        let request = legacy::Request::decode(request.as_bytes()).unwrap();
        let from = SocketAddr::new(ip.parse().unwrap(), 9_999);
        let reply = self.index.handle_legacy(self.now, from, &request);
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

    /// Everything that the session at this port can see, and the counts.
    fn view(&mut self, port: u16, names: &[&str]) -> String {
        let mut view = format!(
            "{} sessions, {} publications",
            self.index.session_count(),
            self.index.publication_count()
        );
        let mut requests = vec![samples::search("", None), Request::ListPeers(ListPeers { after: None })];
        requests.extend([Request::ListFiles(ListFiles { after: None }), heartbeat()]);
        requests.extend(names.iter().map(|name| samples::locate(name, None)));
        for request in requests {
            view += &format!("\n{:?}", self.ask(port, request));
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
    }
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
