//! Bytes to steps. Everything is chosen from short tables, so that histories meet themselves: few members, few
//! devices, few names.
//!
//! A step is one byte that says what is done, then one byte for each of its arguments; a byte that is missing is 0.
//! Bit 7 of the first byte asks for bincode instead of JSON, bit 6 sends a framed request twice.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bittrickle_server::index::Limits;
use bittrickle_wire::legacy::{self, RequestKind};
use bittrickle_wire::limits::FILE_BYTES_MAX;
use bittrickle_wire::messages::{
    Heartbeat, HitCursor, ListFiles, ListPeers, Locate, Login, Logout, Offer, Publish, Request, Search,
    SourceCursor, Unpublish,
};
use bittrickle_wire::seal::PublicKey;
use bittrickle_wire::{Encoding, FileBytes, FileName, List, MemberName, Query, SourceAddress, TransferPort};

/// One thing that happens.
#[derive(Debug)]
pub(super) enum Step {
    Wait(Duration),
    Expire,
    Framed(Framed),
    Legacy { from: SocketAddr, request: legacy::Request },
}

/// A device asks in frames.
#[derive(Debug)]
pub(super) struct Framed {
    pub(super) device: PublicKey,
    pub(super) from: SocketAddr,
    pub(super) encoding: Encoding,
    pub(super) request: Request,
    pub(super) repeated: bool,
    /// Whose device it is from now on.
    pub(super) enrolled: Option<MemberName>,
}

/// Reads steps until the bytes end.
pub(super) struct Steps<'a> {
    rest: &'a [u8],
}

impl<'a> Steps<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        first
    }
}

impl Iterator for Steps<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.rest.is_empty() {
            return None;
        }
        let what = self.byte();
        let argument = self.byte();
        Some(match what & 0x3f {
            0 => Step::Wait(Duration::from_millis(choose(&WAITS_MS, argument))),
            1 => Step::Expire,
            2..=31 => Step::Framed(self.framed(what, argument)),
            _ => Step::Legacy { from: address(argument), request: self.legacy_request(what & 0x3f) },
        })
    }
}

impl Steps<'_> {
    /// A device asks from an address of its own, unless bit 7 of a login's member says that it has moved.
    fn framed(&mut self, what: u8, argument: u8) -> Framed {
        let (mut from, mut enrolled) = (address(argument), None);
        let request = match what & 0x3f {
            kind @ 2..=22 => self.request(kind),
            _ => {
                let (who, port) = (self.byte(), self.byte());
                if who & 0x80 != 0 {
                    from = address(argument.wrapping_add(1));
                }
                enrolled = Some(member(who & 0x7f));
                Request::Login(Login { transfer_port: transfer_port(port) })
            }
        };
        let encoding = if what & 0x80 == 0 { Encoding::Json } else { Encoding::Bincode };
        let device = PublicKey::from_bytes([argument % 16; 32]);
        Framed { device, from, encoding, request, repeated: what & 0x40 != 0, enrolled }
    }

    fn request(&mut self, what: u8) -> Request {
        match what {
            2 => Request::Heartbeat(Heartbeat {}),
            3 => Request::Logout(Logout {}),
            4 => Request::Unpublish(self.unpublish()),
            5 => Request::ListPeers(ListPeers { after: self.optional().map(member) }),
            6 => Request::ListFiles(ListFiles { after: self.optional().map(file_name) }),
            7..=10 => Request::Search(self.search()),
            11..=14 => Request::Locate(self.locate()),
            _ => Request::Publish(self.publish()),
        }
    }

    fn publish(&mut self) -> Publish {
        let names = self.names();
        let first_size = self.byte();
        let offer = |(name, nth)| Offer { name, file_bytes: size(first_size.wrapping_add(nth)) };
        let files = names.into_iter().zip(0..).map(offer).collect();
        Publish { files: List::new(files).expect("at most 64") }
    }

    fn unpublish(&mut self) -> Unpublish {
        Unpublish { names: List::new(self.names()).expect("at most 64") }
    }

    /// 1 to 64 names of the table from one on: every one, every second or third, or the same one again and again.
    fn names(&mut self) -> Vec<FileName> {
        let (first, how_many) = (self.byte(), self.byte());
        let (count, stride) = (1 + how_many % 64, [1, 2, 3, 0][usize::from(how_many / 64)]);
        (0..count).map(|nth| file_name(first.wrapping_add(nth * stride))).collect()
    }

    fn search(&mut self) -> Search {
        let text = Query::new(choose(&QUERIES, self.byte())).expect("a short query");
        let after = self.optional().map(|name| {
            let file_bytes = self.optional().map(size);
            HitCursor { name: file_name(name), file_bytes }
        });
        Search { text, after }
    }

    fn locate(&mut self) -> Locate {
        let name = file_name(self.byte());
        let after = self.optional().map(|who| {
            let ip = address(self.byte()).ip();
            let address = SocketAddr::new(ip, transfer_port(self.byte()).number());
            let address = SourceAddress::new(address).expect("the table has no other addresses");
            SourceCursor { member: member(who), address }
        });
        Locate { name, after }
    }

    fn legacy_request(&mut self, what: u8) -> legacy::Request {
        let who = self.byte();
        let username = choose(&USERNAMES, who & 0x7f).to_owned();
        let kind = match what {
            32 => RequestKind::Heartbeat,
            33 => RequestKind::Lap,
            34 => RequestKind::Lpf,
            35 => RequestKind::Unknown,
            36..=39 => RequestKind::Unp(self.label()),
            40..=43 => RequestKind::Sch(self.optional().map(|query| choose(&QUERIES, query).to_owned())),
            44..=47 => RequestKind::Get(self.label()),
            48..=55 => RequestKind::Pub(self.label()),
            _ => {
                let right = who & 0x80 == 0;
                let password = if right { username.clone() } else { "wrong".to_owned() };
                RequestKind::Login { password, tcp_port: choose(&LEGACY_PORTS, self.byte()) }
            }
        };
        legacy::Request { username, kind }
    }

    /// What a legacy client may call a file name.
    fn label(&mut self) -> Option<String> {
        match self.byte() {
            0 => None,
            1 => Some(String::new()),
            2 => Some("../up".to_owned()),
            3 => Some("e\u{301}.txt".to_owned()),
            byte => Some(file_name(byte - 4).as_str().to_owned()),
        }
    }

    /// 0 stands for nothing, other bytes for the byte below.
    fn optional(&mut self) -> Option<u8> {
        self.byte().checked_sub(1)
    }
}

pub(super) fn limits(choice: u8) -> Limits {
    match choice % 3 {
        0 => Limits::default(),
        1 => Limits {
            sessions: 3,
            sessions_per_member: 2,
            publications: 6,
            publications_per_member: 4,
            names_per_search: 2,
        },
        _ => Limits { names_per_search: 5, publications_per_member: 40, ..Limits::default() },
    }
}

fn choose<T: Copy>(table: &[T], choice: u8) -> T {
    table[usize::from(choice) % table.len()]
}

/// Few enough to meet, enough for more sources than a page has.
fn address(choice: u8) -> SocketAddr {
    SocketAddr::new(choose(&IPS, choice), 50_000 + u16::from(choice / 4 % 4))
}

fn transfer_port(choice: u8) -> TransferPort {
    TransferPort::new(choose(&[6_000, 1_024, 65_535], choice)).expect("high ports")
}

fn member(choice: u8) -> MemberName {
    let names = [MEMBERS[0], MEMBERS[1], MEMBERS[2], MEMBERS[3], STRANGER];
    MemberName::new(choose(&names, choice)).expect("member names")
}

fn size(choice: u8) -> FileBytes {
    FileBytes::new(choose(&[0, 1, 300, FILE_BYTES_MAX], choice)).expect("sizes")
}

/// Names in which order, case and length matter; from 0xC0 on, enough others to fill pages.
fn file_name(choice: u8) -> FileName {
    let name = match choice {
        0xc0.. => format!("f{choice:02x}"),
        _ => match choice % 16 {
            9 => "l".repeat(255),
            10 => "l".repeat(254) + "m",
            11 => "é".repeat(120),
            12 => "𐀀".repeat(60),
            other => NAMES[usize::from(other)].to_owned(),
        },
    };
    FileName::new(&name).expect("file names")
}

/// Everybody who has an account. Their passwords, which only legacy logins need, are their names.
pub(super) const MEMBERS: [&str; 4] = ["ann", "bob", "Bob", "cyÿ"];

/// Somebody who has none.
const STRANGER: &str = "eve";

/// Who legacy datagrams claim to come from.
const USERNAMES: [&str; 6] = [MEMBERS[0], MEMBERS[1], MEMBERS[2], MEMBERS[3], STRANGER, "no member name"];

const IPS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)),
];

const LEGACY_PORTS: [u16; 4] = [6_000, 1_024, 1_023, 0];

/// Around both formats' deadlines.
const WAITS_MS: [u64; 8] = [1, 500, 1_000, 2_999, 3_000, 4_000, 6_999, 7_000];

const NAMES: [&str; 16] =
    ["a", "A", "ab", "b.txt", "B.TXT", "z", "é.txt", "É.txt", "日本語.mp3", "", "", "", "", "a b", "ß", "SS"];

const QUERIES: [&str; 8] = ["", "a", "B", "É", ".t", "l", "ss", "nothing"];
