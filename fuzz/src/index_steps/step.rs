//! Bytes to steps. Everything is chosen from short tables, so that histories meet themselves: few members, few
//! devices, few names, few contents.
//!
//! A step is one byte that says what is done, then one byte for each of its arguments; a byte that is missing is 0.
//! Bit 7 of the first byte asks for bincode instead of JSON, bit 6 sends a framed request twice.

use std::net::SocketAddr;
use std::time::Duration;

use bittrickle_wire::legacy::{self, RequestKind};
use bittrickle_wire::messages::{
    Announce, Filter, Heartbeat, HitCursor, ListFiles, ListPeers, Locate, Login, Logout, Offer, Publish,
    Recall, Request, Resume, Search, SourceCursor, Unpublish,
};
use bittrickle_wire::seal::PublicKey;
use bittrickle_wire::{
    Content, Encoding, FileName, Hex64, List, MemberName, Query, Root, SourceAddress, Target,
};

use super::tables::{
    LEGACY_PORTS, QUERIES, USERNAMES, WAITS_MS, address, choose, content, extension, file_name, member,
    root_prefix, roots, size, transfer_port,
};

/// One thing that happens.
#[derive(Debug)]
pub(super) enum Step {
    Wait(Duration),
    Expire,
    /// The server ends, and another one begins with what it has kept.
    Restart {
        /// Who is removed meanwhile.
        removed: Option<MemberName>,
        /// Whether all that is kept has been read before anybody asks.
        is_read: bool,
    },
    /// All that is kept has been read.
    Read,
    /// A member is removed: who gets the name later is somebody else.
    Remove(MemberName),
    /// A member is disabled, and enabled again at once.
    Disable(MemberName),
    /// An hour has passed, and nobody may be offline for more hours than these.
    Hour(u32),
    /// From now on the disk is full, or has room again.
    Refuse(bool),
    Framed(Framed),
    Legacy {
        from: SocketAddr,
        request: legacy::Request,
    },
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
    /// What is done, and by whom, as it is read.
    first: fn(u8, u8) -> (u8, u8),
}

impl<'a> Steps<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, first: |what, argument| (what, argument) }
    }

    /// The same bytes as other steps: of a few devices that are mostly online, so that random bytes make histories in which
    /// more is done than refused.
    pub(super) fn of_few(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, first: of_few }
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
        let (what, argument) = (self.byte(), self.byte());
        let (what, argument) = (self.first)(what, argument);
        Some(match what & 0x3f {
            0 => Step::Wait(Duration::from_millis(choose(&WAITS_MS, argument))),
            1 => by_the_server(argument),
            2..=31 => Step::Framed(self.framed(what, argument)),
            _ => Step::Legacy { from: address(argument), request: self.legacy_request(what & 0x3f) },
        })
    }
}

fn of_few(what: u8, argument: u8) -> (u8, u8) {
    let kind = choose(&KINDS, what);
    let argument = match kind {
        0 if argument & 0x80 == 0 => argument & 0x01,
        1 => choose(&BY_THE_SERVER, argument),
        2..=31 => argument % 4,
        _ => argument,
    };
    (what & 0xc0 | kind, argument)
}

/// What nobody asks for in a datagram.
fn by_the_server(argument: u8) -> Step {
    let whom = || member(argument & 0x0f);
    match argument >> 4 {
        0..=1 => Step::Expire,
        2 => Step::Refuse(argument & 0x01 != 0),
        3 => Step::Disable(whom()),
        4 => Step::Remove(whom()),
        5 => Step::Hour(u32::from(argument & 0x03)),
        6 => Step::Restart { removed: None, is_read: false },
        7 => Step::Read,
        8..=11 => Step::Restart { removed: None, is_read: true },
        _ => Step::Restart { removed: Some(whom()), is_read: true },
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
            6 => Request::ListFiles(ListFiles { after: self.optional().map(u32::from) }),
            7..=9 => Request::Search(self.search()),
            10 => {
                let search = self.search();
                Request::Search(self.filtered(search))
            }
            11..=13 => {
                let target = Target::Name(file_name(self.byte()));
                Request::Locate(self.locate(target))
            }
            14 => {
                let target = Target::Root(choose(&roots(), self.byte()));
                Request::Locate(self.locate(target))
            }
            20 => Request::Recall(Recall { rank: self.byte().into() }),
            21 => Request::Resume(self.resume()),
            22 => Request::Announce(self.announce()),
            _ => Request::Publish(self.publish()),
        }
    }

    fn publish(&mut self) -> Publish {
        let names = self.names();
        let first = self.byte();
        let offer = |(name, nth): (FileName, u8)| {
            // Within a request the sizes change, and the roots where bit 5 says so.
            let next_root = if first & 0x20 == 0 { 0 } else { nth << 2 };
            let (size, root) = (first.wrapping_add(nth) & 0x03, first.wrapping_add(next_root) & 0x0c);
            let Content { file_bytes, root, is_folder } = content(first & 0x10 | root | size);
            Offer { name, file_bytes: file_bytes.expect("every choice has one"), root, is_folder }
        };
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
            let content = self.optional().map(content);
            HitCursor { number: name.into(), content }
        });
        Search { text, filter: Filter::default(), after }
    }

    /// The same search, where more must hold: bit by bit what, then a byte for each of it.
    fn filtered(&mut self, mut search: Search) -> Search {
        let what = self.byte();
        let mut argument = |bit: u8| (what & bit != 0).then(|| self.byte());
        let exact = argument(0x01);
        search.filter = Filter {
            is_exact: exact.is_some(),
            is_prefix: what & 0x40 != 0,
            is_online: what & 0x80 != 0,
            extension: argument(0x02).map(extension),
            bytes_min: argument(0x04).map(size),
            bytes_max: argument(0x08).map(size),
            member: argument(0x10).map(member),
            root_prefix: argument(0x20).map(root_prefix),
        };
        // Bit 6 leaves the query as it is, which can't be a name, or one that nobody publishes.
        if let Some(name) = exact.filter(|_| what & 0x40 == 0) {
            search.text = Query::new(file_name(name).as_str()).expect("no name needs a backslash");
        }
        search
    }

    /// Bit by bit which roots, and bit 3 for each of them five times.
    fn announce(&mut self) -> Announce {
        let what = self.byte();
        let chosen = (0..3).filter(|nth| what >> nth & 1 == 1).map(|nth| choose(&roots(), nth));
        let times = if what & 0x08 == 0 { 1 } else { 5 };
        let roots: Vec<Root> = chosen.flat_map(|root| vec![root; times]).collect();
        Announce { roots: List::new(roots).expect("at most 15") }
    }

    /// One to four from one of the first ranks on, every one or every second or third. The digest is completed later.
    fn resume(&mut self) -> Resume {
        let (rank, how_many) = (self.byte(), self.byte());
        let (count, stride) = (1 + u32::from(how_many & 0x03), u32::from(how_many >> 4 & 0x03));
        let chosen = (0..count).map(|nth| nth * stride).collect();
        let missed = u64::from(how_many & 0xc0 == 0xc0);
        Resume { rank: u32::from(rank >> 5), chosen, digest: Hex64(missed) }
    }

    fn locate(&mut self, target: Target) -> Locate {
        let after = self.optional().map(|who| {
            let ip = address(self.byte()).ip();
            let address = SocketAddr::new(ip, transfer_port(self.byte()).number());
            let address = SourceAddress::new(address).expect("the table has no other addresses");
            SourceCursor { member: member(who), address }
        });
        Locate { target, after }
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

/// What is done in a history of few devices: logins, as so much ends a session, and most of all what changes something or
/// looks closely.
const KINDS: [u8; 72] = [
    0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 4, 4, 4, 5, 6, 6, 7, 7, 7, 10, 10, 10, 10, 10, 11, 11, 11, 14, 14, 14, 15,
    15, 15, 15, 15, 15, 15, 15, 20, 20, 21, 21, 21, 22, 22, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23,
    23, 23, 23, 23, 32, 33, 34, 36, 40, 44, 48, 48, 56, 56, 56,
];

/// What the server does itself in it: it is started again, and reads what is kept at once or later; hours pass; members
/// are removed; its disk is full for a while.
const BY_THE_SERVER: [u8; 24] = [
    0x80, 0xc1, 0x60, 0x60, 0x70, 0x70, 0x70, 0x70, 0x70, 0x70, 0x70, 0x70, 0x51, 0x51, 0x51, 0x52, 0x53,
    0x30, 0x40, 0x41, 0x42, 0x20, 0x20, 0x21,
];
