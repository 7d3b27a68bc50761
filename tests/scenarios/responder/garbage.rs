//! Whatever comes from an address that hasn't proved itself: at no moment has it been sent more than came from it
//! (BT-6.4-1).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bittrickle_tests::socketless::{Device, Server, secret, written};
use bittrickle_wire::Format;
use bittrickle_wire::seal::{Cookie, Hello, Initiate, NONCE_BYTES, Retry};
use bytes::BytesMut;
use proptest::prelude::*;
use proptest::sample::Index as Choice;

use super::{ALICE, heartbeat};

/// Addresses of those who would like to be answered more than they ask; two share a network.
const STRANGERS: [&str; 5] =
    ["203.0.113.1:1000", "203.0.113.1:1001", "127.0.0.1:1000", "[2001:db8::1]:1000", "[2001:db8::2]:1000"];

/// What a stranger does.
#[derive(Clone, Debug)]
enum Step {
    Hello {
        bytes: usize,
    },
    /// With a cookie that somebody was given, by this address or another.
    Initiate {
        cookie: Choice,
        noise: u8,
    },
    ForgedCookie {
        cookie: [u8; 24],
    },
    /// Bytes that look sealed, for one of the first sessions.
    Sealed {
        index: u32,
        counter: u64,
        bytes: usize,
        fill: u8,
    },
    /// What the member's device has sealed, sent from elsewhere.
    Stolen {
        cut: Choice,
    },
    Version {
        version: u8,
        kind: u8,
        bytes: usize,
    },
    Frame {
        kind: u8,
        encoding: u8,
        bytes: usize,
    },
    Legacy,
    Bytes(Vec<u8>),
    Wait {
        milliseconds: u64,
    },
    /// The server answers a handshake.
    Turn,
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop_oneof![0..60_usize, 240..320_usize, 1_180..1_260_usize];
    prop_oneof![
        4 => length().prop_map(|bytes| Step::Hello { bytes }),
        4 => (any::<Choice>(), any::<u8>()).prop_map(|(cookie, noise)| Step::Initiate { cookie, noise }),
        1 => any::<[u8; 24]>().prop_map(|cookie| Step::ForgedCookie { cookie }),
        3 => (0..4_u32, 0..3_u64, length(), any::<u8>())
            .prop_map(|(index, counter, bytes, fill)| Step::Sealed { index, counter, bytes, fill }),
        2 => any::<Choice>().prop_map(|cut| Step::Stolen { cut }),
        3 => (any::<u8>(), any::<u8>(), length())
            .prop_map(|(version, kind, bytes)| Step::Version { version, kind, bytes }),
        2 => (any::<u8>(), 0..4_u8, length()).prop_map(|(kind, encoding, bytes)| Step::Frame { kind, encoding, bytes }),
        1 => Just(Step::Legacy),
        2 => prop::collection::vec(any::<u8>(), 0..400).prop_map(Step::Bytes),
        2 => prop::sample::select(vec![1_u64, 50, 1_000, 14_999, 15_001, 130_000])
            .prop_map(|milliseconds| Step::Wait { milliseconds }),
        3 => Just(Step::Turn),
    ]
}

/// Bytes and datagrams.
#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    bytes: usize,
    datagrams: usize,
}

impl Traffic {
    fn add(&mut self, datagram: &[u8]) {
        self.bytes += datagram.len();
        self.datagrams += usize::from(!datagram.is_empty());
    }
}

struct Scene {
    world: Server,
    member: Device,
    /// What the server has given to whom.
    cookies: Vec<(SocketAddr, Retry)>,
    proved: BTreeSet<SocketAddr>,
    sent: BTreeMap<SocketAddr, Traffic>,
    got: BTreeMap<SocketAddr, Traffic>,
}

impl Scene {
    fn new() -> Self {
        let mut world = Server::new();
        let member = world.log_in("alice", 1, ALICE);
        let (cookies, proved) = (Vec::new(), BTreeSet::new());
        Self { world, member, cookies, proved, sent: BTreeMap::new(), got: BTreeMap::new() }
    }

    fn take(&mut self, from: SocketAddr, step: &Step) {
        match step {
            Step::Wait { milliseconds } => self.world.wait(*milliseconds),
            Step::Turn => {
                if let Some((to, answer)) = self.world.next_handshake() {
                    assert!(self.proved.contains(&to), "only who has shown a good cookie gets a turn");
                    self.got.entry(to).or_default().add(&answer);
                }
            }
            Step::Hello { bytes } => {
                let hello = Hello { device_index: 7, nonce: [*bytes as u8; NONCE_BYTES] };
                let mut datagram = BytesMut::new();
                hello.write(&mut datagram);
                datagram.resize(*bytes, 0);
                if datagram.len() >= 12 {
                    let declared = u32::try_from(datagram.len() - 12).unwrap();
                    datagram[8..12].copy_from_slice(&declared.to_be_bytes());
                }
                self.send(from, &datagram);
            }
            Step::Initiate { cookie, noise } if !self.cookies.is_empty() => {
                let (_, retry) = self.cookies[cookie.index(self.cookies.len())];
                let Retry { device_index, nonce, cookie, .. } = retry;
                self.send(from, &written(&Initiate { device_index, nonce, cookie, noise: [*noise; 204] }));
            }
            Step::Initiate { .. } => {}
            Step::ForgedCookie { cookie } => {
                let (nonce, cookie) = ([3; NONCE_BYTES], Cookie(*cookie));
                self.send(from, &written(&Initiate { device_index: 7, nonce, cookie, noise: [0; 204] }));
            }
            Step::Sealed { index, counter, bytes, fill } => {
                let mut datagram = header(1, 0x03, 2, *bytes);
                datagram[4..8].copy_from_slice(&index.to_be_bytes());
                datagram.extend(counter.to_be_bytes());
                datagram.resize(bytes + 12, *fill);
                self.send(from, &datagram);
            }
            Step::Stolen { cut } => {
                let datagram = self.member.sealed(heartbeat());
                self.send(from, &datagram[..cut.index(datagram.len() + 1)]);
                self.send(from, &datagram);
            }
            Step::Version { version, kind, bytes } => {
                let mut datagram = header(*version, *kind, 2, *bytes);
                datagram.resize(bytes + 12, 0);
                self.send(from, &datagram);
            }
            Step::Frame { kind, encoding, bytes } => {
                let mut datagram = header(1, *kind, *encoding, *bytes);
                datagram.resize(bytes + 12, b' ');
                self.send(from, &datagram);
            }
            Step::Legacy => self.send(from, br#"{"type":"lap","username":"alice"}"#),
            Step::Bytes(bytes) => self.send(from, bytes),
        }
        for (to, got) in &self.got {
            let sent = self.sent[to];
            let is_fair = got.bytes <= sent.bytes && got.datagrams <= sent.datagrams;
            assert!(is_fair || self.proved.contains(to), "{to} has sent {sent:?} and was sent {got:?}");
        }
    }

    fn send(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.sent.entry(from).or_default().add(datagram);
        let before = self.world.responder.counters().handshakes;
        let answer = self.world.send(from, datagram);
        self.got.entry(from).or_default().add(&answer);
        assert!(answer.len() <= datagram.len(), "{} bytes answer {}", answer.len(), datagram.len());
        assert!(answer.is_empty() || Format::of(&answer) == Some(Format::Frame));
        if self.world.responder.counters().handshakes > before {
            self.proved.insert(from);
        }
        if let Ok(bittrickle_wire::seal::Datagram::Retry(retry)) =
            bittrickle_wire::seal::Datagram::parse(&answer)
        {
            self.cookies.push((from, retry));
        }
    }
}

fn header(version: u8, kind: u8, encoding: u8, payload_bytes: usize) -> Vec<u8> {
    let mut header = vec![0xb7, version, kind, encoding, 0, 0, 0, 7];
    header.extend(u32::try_from(payload_bytes).unwrap().to_be_bytes());
    header
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// BT-6.4-1, BT-6.4-4: at every moment, in bytes and in datagrams; and the member goes on.
    #[test]
    fn nobody_who_has_not_proved_an_address_is_sent_more_there_than_came_from_it(
        steps in prop::collection::vec((0..STRANGERS.len(), step()), 0..250),
    ) {
        let mut scene = Scene::new();
        for (who, step) in &steps {
            scene.take(STRANGERS[*who].parse().unwrap(), step);
        }
        let alone = scene.proved.is_empty();
        prop_assert!(!alone || scene.world.responder.sealed_count() <= 1, "strangers without a cookie leave nothing");
        while scene.world.next_handshake().is_some() {}
        let mut member = match scene.world.ask(&mut scene.member, heartbeat()) {
            Some(_) => scene.member,
            None => scene.world.shake_hands(ALICE.parse().unwrap(), &secret(1)).expect("there is room"),
        };
        prop_assert!(scene.world.ask(&mut member, heartbeat()).is_some());
    }
}
