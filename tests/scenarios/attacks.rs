//! What somebody on the network can send, and that it does nothing: what they have seen before, what they have seen
//! somewhere else, what they make up.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};

use bittrickle_tests::client::{Client, enrol, login};
use bittrickle_tests::network::{Recording, TcpProxy, UdpProxy, Way};
use bittrickle_tests::peer::Peer;
use bittrickle_tests::server::Server;
use bittrickle_tests::strangers::Stranger;
use bittrickle_tests::wait::{PATIENCE, wait_for, wait_until};
use bittrickle_wire::messages::{
    Filter, Heartbeat, ListFiles, ListPeers, Locate, Logout, Offer, Publish, RefusalCode, Reply, Request,
    Search, Unpublish,
};
use bittrickle_wire::seal::{Datagram, Invite, STREAM_INITIATE_BYTES};
use bittrickle_wire::{Encoding, FileBytes, FileName, Frame, List, Message, Query, Target};

use crate::programs;
use crate::sharing::listening_port;

mod floods;

/// Somebody else's address, on this machine.
const ELSEWHERE: &str = "127.0.0.66";

fn elsewhere() -> IpAddr {
    ELSEWHERE.parse().unwrap()
}

fn ask(client: &mut Client, request: Request) -> Reply {
    client.ask(Encoding::Bincode, request)
}

fn heartbeat() -> Request {
    Request::Heartbeat(Heartbeat {})
}

fn file(name: &str) -> FileName {
    FileName::new(name).unwrap()
}

fn publish(name: &str) -> Request {
    let offer =
        Offer { name: file(name), file_bytes: FileBytes::new(5).unwrap(), root: None, is_folder: false };
    Request::Publish(Publish { files: List::new(vec![offer]).unwrap() })
}

fn unpublish(name: &str) -> Request {
    Request::Unpublish(Unpublish { names: List::new(vec![file(name)]).unwrap() })
}

/// What a client has published.
fn own_files(client: &mut Client) -> usize {
    match ask(client, Request::ListFiles(ListFiles { after: None })) {
        Reply::Files(page) => page.files.len(),
        other => panic!("{other:?}"),
    }
}

/// Where a client is sent for this name; `None` when it asks too often.
fn sources(client: &mut Client, name: &str) -> Option<Vec<SocketAddr>> {
    match ask(client, Request::Locate(Locate { target: Target::Name(file(name)), after: None })) {
        Reply::Located(page) => {
            Some(page.sources.iter().map(|source| source.address.socket_address()).collect())
        }
        Reply::Refused(refused) if refused.code == RefusalCode::TOO_FAST => None,
        other => panic!("{other:?}"),
    }
}

/// A datagram of the client's, which it doesn't send.
fn sealed(client: &mut Client, request: Request) -> Vec<u8> {
    let message = Message::Request(request);
    client.seal(Frame { request_id: 0, encoding: Encoding::Bincode, message }).to_vec()
}

fn is_sealed(datagram: &[u8]) -> bool {
    matches!(Datagram::parse(datagram), Ok(Datagram::Sealed(_)))
}

fn is_initiate(datagram: &[u8]) -> bool {
    matches!(Datagram::parse(datagram), Ok(Datagram::Initiate(_)))
}

/// BT-6.5-7, BT-2.2-5, BT-2.2-6: authentic bytes from elsewhere get one answer, which is shorter.
#[test]
fn what_comes_from_another_address_is_not_executed() {
    let server = Server::start(&programs());
    let mut alice = Client::log_in(&server, "alice", "wonderland", 40_000);
    let mut bob = Client::log_in(&server, "bob", "builder", 40_001);
    ask(&mut alice, publish("notes.txt"));
    let before = sources(&mut bob, "notes.txt").unwrap();
    let thief = Stranger::at(elsewhere(), server.address());
    for request in [Request::Logout(Logout {}), login(40_002), unpublish("notes.txt"), heartbeat()] {
        let datagram = sealed(&mut alice, request);
        thief.socket.send(&datagram).unwrap();
        let answer = wait_for("there is an answer", PATIENCE, || thief.receive());
        assert!(matches!(Datagram::parse(&answer), Ok(Datagram::Reset(_))), "{answer:02x?}");
        assert!(answer.len() < datagram.len());
        assert_eq!(sources(&mut bob, "notes.txt"), Some(before.clone()));
    }
    assert_eq!((before.len(), own_files(&mut alice)), (1, 1));
    assert!(matches!(ask(&mut alice, heartbeat()), Reply::HeartbeatReply(_)), "the session is there");
}

/// BT-6.5-7, BT-2.3-4
#[test]
fn heartbeats_from_another_address_keep_nobody_online() {
    let server = Server::start(&programs());
    let mut alice = Client::log_in(&server, "alice", "wonderland", 40_000);
    let mut bob = Client::log_in(&server, "bob", "builder", 40_001);
    ask(&mut alice, publish("notes.txt"));
    let thief = Stranger::at(elsewhere(), server.address());
    wait_until("the session of who is silent is over", || {
        thief.socket.send(&sealed(&mut alice, heartbeat())).unwrap();
        sources(&mut bob, "notes.txt").is_some_and(|sources| sources.is_empty())
    });
}

/// BT-6.5-4, BT-6.5-5
#[test]
fn a_sealed_datagram_that_comes_again_does_nothing_and_is_not_answered() {
    let server = Server::start(&programs());
    let recording = Recording::default();
    let proxy = UdpProxy::start(server.address(), "127.0.0.1".parse().unwrap(), &recording);
    let mut alice = logged_in_through(&proxy, &server);
    ask(&mut alice, publish("notes.txt"));
    ask(&mut alice, Request::Logout(Logout {}));
    ask(&mut alice, login(40_000));
    ask(&mut alice, publish("gone.txt"));
    ask(&mut alice, unpublish("gone.txt"));
    let seen: Vec<_> = recording.going(Way::There).into_iter().filter(|sent| is_sealed(sent)).collect();
    let answers = recording.going(Way::Back).len();
    assert_eq!(seen.len(), 7);
    for datagram in seen.iter().chain(seen.iter().rev()) {
        proxy.inject(datagram);
    }
    assert!(matches!(ask(&mut alice, heartbeat()), Reply::HeartbeatReply(_)), "nobody was logged out");
    assert_eq!(own_files(&mut alice), 1, "nothing was published again");
    assert_eq!(recording.going(Way::Back).len(), answers + 2, "there are no other answers");

    // Under a new session of the device, and to a server that was started anew, they are strangers' noise.
    alice.shake_hands();
    ask(&mut alice, login(40_000));
    ask(&mut alice, unpublish("notes.txt"));
    let_sealed_pass(&proxy);
    seen.iter().for_each(|datagram| proxy.inject(datagram));
    assert_eq!(own_files(&mut alice), 0);
}

fn logged_in_through(proxy: &UdpProxy, server: &Server) -> Client {
    let mut client = Client::of(proxy.address(), server.invite().key);
    client.shake_hands();
    let enrolled = ask(&mut client, enrol("alice", "wonderland"));
    assert!(matches!(enrolled, Reply::Enrolled(_)), "{enrolled:?}");
    ask(&mut client, login(40_000));
    client
}

/// From now on the client doesn't see what comes back outside a seal.
fn let_sealed_pass(proxy: &UdpProxy) {
    proxy.let_pass(|way, datagram| way == Way::There || is_sealed(datagram));
}

/// BT-6.4-2, BT-6.4-4, BT-6.4-7, BT-6.5-3
#[test]
fn an_initiate_that_comes_again_takes_no_session_away() {
    let server = Server::start(&programs());
    let recording = Recording::default();
    let proxy = UdpProxy::start(server.address(), "127.0.0.1".parse().unwrap(), &recording);
    let mut alice = logged_in_through(&proxy, &server);
    ask(&mut alice, publish("notes.txt"));
    let seen = recording.going(Way::There).into_iter().find(|sent| is_initiate(sent)).unwrap();
    let thief = Stranger::at(elsewhere(), server.address());
    thief.socket.send(&seen).unwrap();
    let_sealed_pass(&proxy);
    for _ in 0..40 {
        proxy.inject(&seen);
        assert!(matches!(ask(&mut alice, heartbeat()), Reply::HeartbeatReply(_) | Reply::Refused(_)));
    }
    assert_eq!(own_files(&mut alice), 1);
    thief.socket.set_nonblocking(true).unwrap();
    assert!(thief.receive().is_none(), "a cookie is good at its own address alone");
}

/// BT-6.2-11, BT-6.4-3
#[test]
fn what_was_recorded_before_a_restart_is_worth_nothing_after_it() {
    let mut server = Server::start(&programs());
    let recording = Recording::default();
    let proxy = UdpProxy::start(server.address(), "127.0.0.1".parse().unwrap(), &recording);
    let mut alice = logged_in_through(&proxy, &server);
    ask(&mut alice, publish("notes.txt"));
    let seen = recording.going(Way::There);
    server.kill_and_restart();
    proxy.let_pass(|way, _| way == Way::There);
    let before = recording.going(Way::Back).len();
    seen.iter().for_each(|datagram| proxy.inject(datagram));
    let mut carol = Client::log_in(&server, "carol", "singer", 40_002);
    assert_eq!(ask_peers(&mut carol), 0, "nobody is online");
    let answers = recording.going(Way::Back).split_off(before);
    let is_accept = |answer: &Vec<u8>| matches!(Datagram::parse(answer), Ok(Datagram::Accept(_)));
    assert!(answers.len() <= seen.len() && !answers.iter().any(is_accept), "{answers:02x?}");
}

fn ask_peers(client: &mut Client) -> usize {
    match ask(client, Request::ListPeers(ListPeers { after: None })) {
        Reply::Peers(page) => page.members.len(),
        other => panic!("{other:?}"),
    }
}

/// BT-6.6-2, BT-6.7-4, BT-6.7-5
#[test]
fn a_handshake_that_fetched_a_file_opens_no_door_again() {
    let (server, recording) = (Server::start(&programs()), Recording::default());
    let proxy = UdpProxy::start(server.address(), elsewhere(), &Recording::default());
    let host = proxy.address().to_string().parse().unwrap();
    let invite = Invite { host, key: server.invite().key };
    let mut alice = Peer::start(&programs(), &invite, "alice", "wonderland", &[]);
    let mut bob = Peer::start(&programs(), &server, "bob", "builder", &[]);
    // The server sees alice elsewhere, and sends bob there.
    let port = listening_port(alice.id());
    let source = SocketAddr::from(([127, 0, 0, 1], port));
    let _tcp = TcpProxy::start(SocketAddr::new(elsewhere(), port), source, &recording);
    alice.write("notes.txt", b"what was sent once");
    alice.ask("pub notes.txt");
    assert_eq!(bob.ask("get notes.txt"), ["File downloaded successfully."], "{:?}", bob.stderr());

    let seen = recording.going(Way::There).concat();
    for bytes in [&seen[..], &seen[..STREAM_INITIATE_BYTES]] {
        let mut stream = TcpStream::connect(source).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // Its end may be told as an error, as there is something that was not read.
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer, b"", "the connection is closed without a byte");
    }
    assert!(alice.ask("status").iter().any(|line| line.contains("2 tickets")), "{:?}", alice.ask("status"));
}

/// BT-6.2-8
#[test]
fn a_stranger_may_only_enrol() {
    let server = Server::start(&programs());
    let mut stranger = Client::new(&server);
    stranger.shake_hands();
    for request in [
        login(40_000),
        heartbeat(),
        Request::Logout(Logout {}),
        publish("notes.txt"),
        unpublish("notes.txt"),
        Request::Search(Search { text: Query::new("").unwrap(), filter: Filter::default(), after: None }),
        Request::Locate(Locate { target: Target::Name(file("notes.txt")), after: None }),
        Request::ListPeers(ListPeers { after: None }),
        Request::ListFiles(ListFiles { after: None }),
    ] {
        let reply = ask(&mut stranger, request.clone());
        let Reply::Refused(refused) = reply else { panic!("{request:?} is answered with {reply:?}") };
        assert_eq!(refused.code, RefusalCode::NOT_ENROLLED, "{request:?}");
    }
    let enrolled = ask(&mut stranger, enrol("alice", "wonderland"));
    assert!(matches!(enrolled, Reply::Enrolled(_)), "{enrolled:?}");
    assert!(matches!(ask(&mut stranger, login(40_000)), Reply::LoggedIn(_)));
}
