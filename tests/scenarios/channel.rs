//! The peer's sealed channel, pure, against the server's responder in the same process, at invented times: the handshake,
//! what is lost on the way, and when another one is due (BT-6.4, BT-6.5).

mod forged;
mod renewal;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bittrickle_peer::channel::{Channel, ChannelError, Output};
use bittrickle_tests::samples;
use bittrickle_tests::socketless::{Server, secret};
use bittrickle_wire::messages::{Heartbeat, Reply, Request};
use bittrickle_wire::seal::{Datagram, PublicKey};
use bittrickle_wire::{Encoding, Frame, Message, Received};
use bytes::{Bytes, BytesMut};

const HELLO: u8 = 0x01;
const INITIATE: u8 = 0x02;
const SEALED: u8 = 0x03;
const RETRY: u8 = 0x81;
const ACCEPT: u8 = 0x82;
const RESET: u8 = 0x83;

/// A device's channel, a server, and the network between them.
struct World {
    server: Server,
    channel: Channel,
    from: SocketAddr,
    /// Says of each datagram on its way whether it is lost.
    loses: Losses,
    /// All that the device has sent, and when.
    sent: Vec<(Instant, Bytes)>,
    /// All that has come from the server, lost or not.
    answered: Vec<BytesMut>,
    established: usize,
    replies: Vec<Reply>,
    failed: Vec<ChannelError>,
}

/// Says of each datagram on its way whether it is lost.
type Losses = Box<dyn FnMut(&[u8]) -> bool>;

impl World {
    /// A device that alice has enrolled, whose channel has sent nothing yet.
    fn new() -> Self {
        let server = Server::new();
        let key = server.key();
        Self::pinned_to(server, key)
    }

    fn pinned_to(mut server: Server, key: PublicKey) -> Self {
        server.enrol("alice", secret(1).public());
        let channel = Channel::new(server.now, key, secret(1), [9; 32]);
        Self {
            server,
            channel,
            from: "192.0.2.1:4000".parse().unwrap(),
            loses: Box::new(|_| false),
            sent: Vec::new(),
            answered: Vec::new(),
            established: 0,
            replies: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// One whose session stands, and that has logged in.
    fn live() -> Self {
        let mut world = Self::new();
        world.settle();
        assert_eq!(world.established, 1);
        world.ask(samples::login(6_000));
        assert!(matches!(&world.replies[..], [Reply::LoggedIn(_)]), "{:?}", world.replies);
        world.forget();
        world
    }

    /// Forgets what has happened so far.
    fn forget(&mut self) {
        (self.sent, self.answered, self.replies) = Default::default();
        self.established = 0;
    }

    /// Takes all outputs. What isn't lost is answered at once.
    fn settle(&mut self) {
        while let Some(output) = self.channel.next_output() {
            match output {
                Output::Send(datagram) => {
                    self.sent.push((self.server.now, datagram.clone()));
                    if !(self.loses)(&datagram) {
                        self.deliver(&datagram);
                    }
                }
                Output::Receive(Received::Frame(Frame { message: Message::Reply(reply), .. })) => {
                    self.replies.push(reply);
                }
                Output::Receive(other) => panic!("{other:?}"),
                Output::Established(_) => self.established += 1,
                Output::Failed(error) => self.failed.push(error),
            }
        }
    }

    /// Brings a datagram to the server, and back what it answers.
    fn deliver(&mut self, datagram: &[u8]) {
        let answer = self.server.send(self.from, datagram);
        self.bring_back(&answer);
        while let Some((_, answer)) = self.server.next_handshake() {
            self.bring_back(&answer);
        }
    }

    fn bring_back(&mut self, answer: &BytesMut) {
        if answer.is_empty() {
            return;
        }
        self.answered.push(answer.clone());
        if !(self.loses)(answer) {
            self.receive(answer);
        }
    }

    fn receive(&mut self, datagram: &[u8]) {
        let mut datagram = BytesMut::from(datagram);
        self.channel.receive(self.server.now, &mut datagram);
    }

    /// Lets time pass, waking the channel exactly when it asks for it.
    fn run(&mut self, duration: Duration) {
        let end = self.server.now + duration;
        self.settle();
        while let Some(wake) = self.channel.next_wake().filter(|wake| *wake <= end) {
            self.server.now = self.server.now.max(wake);
            self.channel.tick(self.server.now);
            self.settle();
        }
        self.server.now = end;
    }

    fn ask(&mut self, request: Request) {
        let message = Message::Request(request);
        self.channel.send(Frame { request_id: 1, encoding: Encoding::Bincode, message });
        self.settle();
    }

    /// Whether a heartbeat is answered now, with whatever reply.
    fn is_answered(&mut self) -> bool {
        let before = self.replies.len();
        self.ask(Request::Heartbeat(Heartbeat {}));
        self.replies.len() == before + 1
    }

    /// The kinds of what the device has sent.
    fn kinds(&self) -> Vec<u8> {
        self.sent.iter().map(|(_, datagram)| datagram[2]).collect()
    }

    fn sent_of(&self, kind: u8) -> Vec<Bytes> {
        self.sent
            .iter()
            .filter(|(_, datagram)| datagram[2] == kind)
            .map(|(_, datagram)| datagram.clone())
            .collect()
    }

    fn answers_of(&self, kind: u8) -> Vec<BytesMut> {
        self.answered.iter().filter(|answer| answer[2] == kind).cloned().collect()
    }
}

/// Loses the first so many datagrams of this kind.
fn first_of(kind: u8, mut count: u32) -> Losses {
    Box::new(move |datagram| {
        let is_lost = datagram[2] == kind && count > 0;
        count -= u32::from(is_lost);
        is_lost
    })
}

/// BT-6.4-6, BT-6.1-5
#[test]
fn a_handshake_takes_two_datagrams_each_way() {
    let mut world = World::new();
    world.ask(Request::Heartbeat(Heartbeat {}));
    assert_eq!(
        (world.kinds(), world.established),
        (vec![HELLO, INITIATE], 1),
        "what is said too early is lost"
    );
    assert_eq!(world.answered.iter().map(|answer| answer[2]).collect::<Vec<_>>(), [RETRY, ACCEPT]);
    assert_eq!(world.sent.iter().map(|(_, datagram)| datagram.len()).collect::<Vec<_>>(), [256, 256]);
    assert_eq!(world.answered.iter().map(BytesMut::len).collect::<Vec<_>>(), [84, 64]);
    world.ask(samples::login(6_000));
    assert!(matches!(&world.replies[..], [Reply::LoggedIn(_)]));
    assert!(world.is_answered());
    world.run(Duration::from_secs(1));
    assert_eq!(world.kinds()[2..], [SEALED, SEALED], "then only frames");
}

/// BT-6.4-6: any of the four is sent again, half a second later.
#[test]
fn whatever_of_a_handshake_is_lost_is_made_good() {
    for (lost, expected) in [
        (HELLO, vec![HELLO, HELLO, INITIATE]),
        (RETRY, vec![HELLO, HELLO, INITIATE]),
        (INITIATE, vec![HELLO, INITIATE, INITIATE]),
        (ACCEPT, vec![HELLO, INITIATE, INITIATE]),
    ] {
        let mut world = World::new();
        world.loses = first_of(lost, 1);
        world.run(Duration::from_millis(374));
        assert_eq!(world.established, 0, "0x{lost:02x}");
        world.run(Duration::from_millis(626 - 374));
        assert_eq!((world.established, world.kinds()), (1, expected), "0x{lost:02x}");
        for kind in [HELLO, INITIATE] {
            let sent = world.sent_of(kind);
            assert!(sent.iter().all(|datagram| *datagram == sent[0]), "the same bytes again");
        }
        world.ask(samples::login(6_000));
        assert!(world.is_answered());
        assert_eq!(world.server.responder.sealed_count(), 1);
    }
}

/// BT-6.4-7
#[test]
fn an_initiate_whose_accept_was_lost_gets_the_same_accept() {
    let mut world = World::new();
    world.loses = first_of(ACCEPT, 1);
    world.run(Duration::from_secs(1));
    let accepts = world.answers_of(ACCEPT);
    assert_eq!((accepts.len(), world.established), (2, 1));
    assert_eq!(accepts[0], accepts[1]);
}

/// BT-6.4-6: its cookie may be one that the server doesn't know any more.
#[test]
fn instead_of_a_fourth_initiate_there_is_another_hello() {
    let mut world = World::new();
    world.loses = first_of(INITIATE, 3);
    world.run(Duration::from_secs(5));
    let expected = vec![HELLO, INITIATE, INITIATE, INITIATE, HELLO, INITIATE];
    assert_eq!((world.kinds(), world.established), (expected, 1));
    let (hellos, initiates) = (world.sent_of(HELLO), world.sent_of(INITIATE));
    assert_ne!(hellos[0][4..8], hellos[1][4..8], "another index");
    assert_ne!(hellos[0][12..28], hellos[1][12..28], "another nonce");
    assert!(initiates[0] == initiates[1] && initiates[1] == initiates[2]);
    assert_ne!(initiates[2], initiates[3]);
}

/// BT-6.4-6, BT-2.2-2
#[test]
fn a_server_that_does_not_answer_is_given_up_after_the_fifth_wait() {
    let mut world = World::new();
    world.loses = Box::new(|_| true);
    world.run(Duration::from_secs(30));
    assert_eq!(world.kinds(), [HELLO; 5]);
    for (i, pair) in world.sent.windows(2).enumerate() {
        let (wait, expected) = ((pair[1].0 - pair[0].0).as_secs_f64(), 0.5 * f64::from(1_u32 << i));
        assert!((0.75 * expected..=1.25 * expected).contains(&wait), "wait {i} is {wait}");
    }
    assert_eq!(world.failed, [ChannelError::NoAnswer]);
    assert_eq!(world.channel.next_wake(), None);
}

/// BT-6.4-6: nothing listens there; later it may come back.
#[test]
fn a_network_that_refuses_ends_the_first_handshake_only() {
    let mut world = World::new();
    world.channel.refused_by_network();
    world.settle();
    assert_eq!(world.failed, [ChannelError::NoAnswer]);

    let mut world = World::live();
    world.channel.refused_by_network();
    world.loses = Box::new(|_| true);
    world.run(Duration::from_secs(8));
    world.channel.refused_by_network();
    world.settle();
    world.loses = Box::new(|_| false);
    world.run(Duration::from_secs(3));
    assert_eq!((world.failed.len(), world.established), (0, 1));
    assert!(world.is_answered());
}

/// BT-6.4-8: the first is taken, and nothing is asked of a second.
#[test]
fn one_retry_is_taken_for_each_hello() {
    let mut world = World::new();
    world.loses = first_of(ACCEPT, u32::MAX);
    world.settle();
    let retry = world.answers_of(RETRY).remove(0);
    for _ in 0..5 {
        world.receive(&retry);
        world.settle();
    }
    assert_eq!(world.kinds(), [HELLO, INITIATE]);
}

/// BT-6.2-8: a handshake is possible with any key, and says nothing of whose it is.
#[test]
fn a_strangers_channel_stands_as_well() {
    let mut world = World::new();
    let device = secret(1).public();
    world.server.responder.apply(&bittrickle_server::directory::Change::DeviceRevoked(device));
    world.settle();
    assert_eq!(world.established, 1);
    world.ask(samples::login(6_000));
    assert!(matches!(&world.replies[..], [Reply::Refused(refused)] if refused.code.0 == 11));
}

fn parse(datagram: &[u8]) -> Datagram {
    Datagram::parse(datagram).unwrap()
}
