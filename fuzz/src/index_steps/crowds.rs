//! Histories of few steps, with so many names that the index keeps them in its other forms: bitmaps instead of lists,
//! contents apart from their names, numbers that are used again. The model has one form for all.
//!
//! They are for the test suite, as what they take is minutes of a fuzzer's time. What happens is chosen by bytes here too.

use std::net::SocketAddr;

use bittrickle_wire::legacy::{self, RequestKind};
use bittrickle_wire::messages::{
    Announce, Filter, Heartbeat, HitCursor, ListFiles, Locate, Login, Offer, Publish, Recall, Request,
    Resume, Search, Unpublish,
};
use bittrickle_wire::seal::PublicKey;
use bittrickle_wire::{Content, Encoding, FileBytes, FileName, Hex64, HexBytes, List, Query, Root, Target};

use super::Pair;
use super::step::{Framed, Step};
use super::tables::{MEMBERS, address, choose, extension, member, roots, transfer_port};

/// Some devices publish and withdraw thousands of names at a time, and ask in between. The bytes choose.
pub fn index_crowds(choices: &[u8]) {
    let mut crowd = Crowd { pair: Pair::new(0), choices: choices.iter().copied() };
    crowd.log_in();
    crowd.publish(0, 0, CROWD, 1);
    crowd.ask(1);
    // So many names with one of two words are looked up one by one, and the next one has both.
    crowd.search_both(4_999 - 2 * 2_048);
    crowd.pair.take(Step::Restart { removed: None, is_read: true });
    crowd.log_in();
    crowd.ask(1);
    // What many names have is in few names soon, and some of these have just been added.
    crowd.unpublish(0, 0, CROWD / 2);
    crowd.publish(1, CROWD, 64, 2);
    crowd.unpublish(0, CROWD / 2, CROWD / 2 - 64);
    crowd.publish(2, 0, 2_000, 3);
    crowd.ask(2);
    crowd.remove_while_reading(2);
    crowd.log_in();
    while let Some(what) = crowd.choices.next() {
        let (device, first) = (crowd.below(DEVICES), u32::from(crowd.below(24)) * 250);
        let (count, version) = (choose(&COUNTS, crowd.byte()), crowd.byte());
        match what % 16 {
            0..=5 => crowd.publish(device, first, count, version),
            6..=11 => crowd.unpublish(device, first, count),
            12 => crowd.pair.take(Step::Remove(member(device % 3))),
            13 => crowd.pair.take(Step::Hour(0)),
            14 => crowd.pair.take(Step::Restart { removed: None, is_read: true }),
            _ => crowd.remove_while_reading(device),
        }
        crowd.log_in();
        let asker = crowd.below(DEVICES);
        crowd.ask(asker);
    }
}

/// One member has published so many names that, when all of them have gone, their numbers are used again.
pub fn index_abyss() {
    let mut abyss = Crowd { pair: Pair::new(0), choices: [].iter().copied() };
    let (many, few) = (member(1), member(0));
    for number in 0..ABYSS {
        let content = content(number, number as u8);
        abyss.pair.add_kept(&many, short_name(number), content);
    }
    abyss.pair.add_kept(&few, short_name(ABYSS / 2), content(0, 2));
    abyss.pair.take(Step::Restart { removed: None, is_read: true });
    abyss.log_in();
    abyss.unpublish_named(1, (0..200).map(|nth| short_name(nth * 300)));
    abyss.ask_of_the_abyss();
    abyss.pair.take(Step::Remove(many));
    abyss.log_in();
    // Their numbers are free, and the first of them are used again.
    for (device, first) in [(0, 0), (1, 500), (0, 1_000)] {
        abyss.publish(device, first, 1_000, device);
        abyss.ask_of_the_abyss();
        abyss.unpublish(device, first + 250, 500);
    }
    abyss.ask_of_the_abyss();
}

/// A history under way.
struct Crowd<Choices> {
    pair: Pair,
    choices: Choices,
}

/// Names of the longest range, and the ranges: around what fits a list, half of it, and a tail.
const CROWD: u32 = 9_000;
const COUNTS: [u32; 6] = [64, 1_000, 2_100, 3_000, 4_200, 6_000];

/// Names whose numbers are used again when they have gone: more than may be free, and than stand in one block.
const ABYSS: u32 = 66_500;

/// Of the members but for the last one; the first and the last device have the same one.
const DEVICES: u8 = 4;

/// Of which some are in half of all names, some in few, some in none; short and long ones; in ASCII and not.
const TEXTS: [&str; 18] = [
    "kappa",
    "sigma kappa",
    "日本語 kappa",
    "МОСКВА .txt",
    "0 1 2 3 4 5",
    "k",
    "pa",
    "日",
    "99",
    "kappa sigma 日本語 99",
    "kappa 日本語 00042.txt",
    "sigma kappa москва 04999.mp3",
    "a 0 . p",
    "4 kappa",
    "sigma mp3 00",
    "kappa 语",
    "none of them",
    "",
];

/// Two words that share every thousandth name alone, and two that aren't ASCII.
fn name(number: u32) -> FileName {
    let word = match number % 1_000 {
        999 => "sigma kappa",
        rest if rest % 2 == 0 => "kappa",
        _ => "sigma",
    };
    let (other, extension) = (choose(&["日本語", "москва", "日本語"], number as u8), number % 5);
    let extension = if extension == 0 { "txt" } else { "mp3" };
    FileName::new(&format!("{word} {other} {number:05}.{extension}")).expect("a file name")
}

fn short_name(number: u32) -> FileName {
    FileName::new(&format!("n{number:05}")).expect("a file name")
}

/// The version says which root: none, one that begins as all others of this version, one of three, one of its own.
fn content(number: u32, version: u8) -> Content {
    let with_head = |head: [u8; 4]| {
        let mut bytes = [0x22; 32];
        bytes[..4].copy_from_slice(&head);
        bytes[4..8].copy_from_slice(&number.to_be_bytes());
        Root(HexBytes(bytes))
    };
    let root = match version % 4 {
        0 => None,
        1 => Some(with_head([0x11; 4])),
        2 => Some(choose(&roots(), number as u8)),
        _ => Some(with_head(number.wrapping_mul(0x9e37_79b1).to_be_bytes())),
    };
    let file_bytes = Some(FileBytes::new(u64::from(number % 97)).expect("a size"));
    Content { file_bytes, root, is_folder: number.is_multiple_of(11) }
}

impl<Choices: Iterator<Item = u8>> Crowd<Choices> {
    fn byte(&mut self) -> u8 {
        self.choices.next().unwrap_or(0)
    }

    fn below(&mut self, count: u8) -> u8 {
        self.byte() % count
    }

    /// Each device, and the last member in the original's format.
    fn log_in(&mut self) {
        for device in 0..DEVICES {
            let login = Request::Login(Login { transfer_port: transfer_port(0) });
            let enrolled = Some(member(device % 3));
            self.pair.take(Step::Framed(Framed { enrolled, ..framed(device, login) }));
        }
        self.legacy(RequestKind::Login { password: MEMBERS[3].to_owned(), tcp_port: 6_000 });
    }

    fn framed(&mut self, device: u8, request: Request) {
        self.pair.take(Step::Framed(framed(device, request)));
    }

    fn legacy(&mut self, kind: RequestKind) {
        let request = legacy::Request { username: MEMBERS[3].to_owned(), kind };
        self.pair.take(Step::Legacy { from: address(0), request });
    }

    fn publish(&mut self, device: u8, first: u32, count: u32, version: u8) {
        let numbers: Vec<u32> = (first..first + count).collect();
        for chunk in numbers.chunks(64) {
            let offer = |number: &u32| {
                let Content { file_bytes, root, is_folder } = content(*number, version);
                Offer { name: name(*number), file_bytes: file_bytes.expect("a size"), root, is_folder }
            };
            let files = List::new(chunk.iter().map(offer).collect()).expect("at most 64");
            self.framed(device, Request::Publish(Publish { files }));
        }
    }

    fn unpublish(&mut self, device: u8, first: u32, count: u32) {
        self.unpublish_named(device, (first..first + count).map(name));
    }

    fn unpublish_named(&mut self, device: u8, names: impl Iterator<Item = FileName>) {
        let names: Vec<FileName> = names.collect();
        for chunk in names.chunks(64) {
            let names = List::new(chunk.to_vec()).expect("at most 64");
            self.framed(device, Request::Unpublish(Unpublish { names }));
        }
    }

    /// The member of a device is removed after a restart, before all is read. Somebody gets the name, and logs in.
    fn remove_while_reading(&mut self, device: u8) {
        self.pair.take(Step::Restart { removed: None, is_read: false });
        self.log_in();
        self.pair.take(Step::Remove(member(device % 3)));
        self.log_in();
        self.pair.take(Step::Read);
    }

    /// A few questions.
    fn ask(&mut self, device: u8) {
        self.search_both(0);
        let number = u32::from(self.byte()) * 40;
        // What more roots have than are looked up.
        let (alike, bytes_max) = ("11111111".parse().expect("a prefix"), Some(size(3)));
        let alike = Filter { root_prefix: Some(alike), bytes_max, ..Filter::default() };
        let mut searches =
            vec![Search { text: Query::new("").expect("a short query"), filter: alike, after: None }];
        searches.extend((0..4).map(|_| self.search(number)));
        for search in searches {
            self.framed(device, Request::Search(search));
        }
        let announced = vec![content(number, 1).root.expect("it has one")];
        let announce = Announce { roots: List::new(announced).expect("one") };
        self.framed(device, Request::Announce(announce));
        for target in [
            Target::Name(name(number)),
            Target::Root(content(number, 1).root.expect("it has one")),
            Target::Root(roots()[0]),
        ] {
            self.framed(device, Request::Locate(Locate { target, after: None }));
        }
        self.ask_of_own(device, number);
        let text = choose(&TEXTS, self.byte()).to_owned();
        for kind in [RequestKind::Sch(Some(text)), RequestKind::Get(Some(name(number).as_str().to_owned()))] {
            self.legacy(kind);
        }
    }

    /// Two words that few names have both, though many have one.
    fn search_both(&mut self, number: u32) {
        let text = Query::new("sigma kappa").expect("a short query");
        let after = Some(HitCursor { number, content: None });
        self.framed(1, Request::Search(Search { text, filter: Filter::default(), after }));
    }

    fn ask_of_own(&mut self, device: u8, number: u32) {
        self.framed(device, Request::ListFiles(ListFiles { after: Some(number) }));
        self.framed(device, Request::Recall(Recall { rank: number / 2 }));
        let chosen = [0, 1, 5, 127].into_iter().collect();
        self.framed(device, Request::Resume(Resume { rank: number / 2, chosen, digest: Hex64(0) }));
        self.framed(device, Request::Heartbeat(Heartbeat {}));
    }

    /// Some text from some number on, and one filter more, if any.
    fn search(&mut self, number: u32) -> Search {
        let text = Query::new(choose(&TEXTS, self.byte())).expect("a short query");
        let after = (self.byte() & 0x01 == 1).then_some(HitCursor { number, content: None });
        let none = Filter::default();
        let prefix = |text: &str| Some(text.parse().expect("a prefix"));
        let filter = match self.byte() % 8 {
            0 => Filter { extension: Some(extension(0)), ..none },
            1 => Filter { member: Some(member(self.below(3))), ..none },
            2 => Filter { root_prefix: prefix("11111111"), bytes_max: Some(size(3)), ..none },
            3 => Filter { root_prefix: prefix("11111111000010"), ..none },
            4 => Filter { bytes_min: Some(size(95)), ..none },
            5 => Filter { is_online: true, bytes_max: Some(size(10)), ..none },
            _ => none,
        };
        Search { text, filter, after }
    }

    /// What is at the end, and what has an end.
    fn ask_of_the_abyss(&mut self) {
        let last = ABYSS - 40;
        for (text, after) in [
            ("n664", 0),
            ("n6600", 20_000),
            ("n00", 66_000),
            ("n0012", 0),
            ("n6553", 60_000),
            ("kappa", 0),
            ("sigma kappa", 0),
        ] {
            let after = Some(HitCursor { number: after, content: None });
            let text = Query::new(text).expect("a short query");
            self.framed(0, Request::Search(Search { text, filter: Filter::default(), after }));
        }
        self.ask_of_own(0, 0);
        self.ask_of_own(1, last);
        for text in ["n0001", "n664", "kappa"] {
            self.legacy(RequestKind::Sch(Some(text.to_owned())));
        }
    }
}

fn framed(device: u8, request: Request) -> Framed {
    let from: SocketAddr = address(device);
    let device = PublicKey::from_bytes([device; 32]);
    Framed { device, from, encoding: Encoding::Bincode, request, repeated: false, enrolled: None }
}

fn size(bytes: u64) -> FileBytes {
    FileBytes::new(bytes).expect("a size")
}
