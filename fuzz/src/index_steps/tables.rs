//! What the steps choose from: of each, few enough to meet, and those that have something to tell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bittrickle_server::index::Limits;
use bittrickle_wire::limits::FILE_BYTES_MAX;
use bittrickle_wire::{
    Content, Extension, FileBytes, FileName, HexBytes, MemberName, Root, RootPrefix, TransferPort,
};

pub(super) fn limits(choice: u8) -> Limits {
    match choice % 3 {
        0 => Limits::default(),
        1 => Limits {
            sessions: 3,
            sessions_per_member: 2,
            publications: 6,
            publications_per_member: 4,
            names_per_search: 2,
            names_per_legacy_search: 2,
        },
        _ => Limits {
            names_per_search: 5,
            names_per_legacy_search: 5,
            publications_per_member: 40,
            ..Limits::default()
        },
    }
}

pub(super) fn choose<T: Copy>(table: &[T], choice: u8) -> T {
    table[usize::from(choice) % table.len()]
}

/// Few enough to meet, enough for more sources than a page has.
pub(super) fn address(choice: u8) -> SocketAddr {
    SocketAddr::new(choose(&IPS, choice), 50_000 + u16::from(choice / 4 % 4))
}

pub(super) fn transfer_port(choice: u8) -> TransferPort {
    TransferPort::new(choose(&[6_000, 1_024, 65_535], choice)).expect("high ports")
}

pub(super) fn member(choice: u8) -> MemberName {
    let names = [MEMBERS[0], MEMBERS[1], MEMBERS[2], MEMBERS[3], STRANGER];
    MemberName::new(choose(&names, choice)).expect("member names")
}

pub(super) fn size(choice: u8) -> FileBytes {
    FileBytes::new(choose(&[0, 1, 300, FILE_BYTES_MAX], choice)).expect("sizes")
}

/// Bits 0 and 1 are the size's, 2 and 3 the root's, bit 4 makes a folder.
pub(super) fn content(choice: u8) -> Content {
    let root = (choice >> 2 & 3).checked_sub(1).map(|nth| choose(&roots(), nth));
    Content { file_bytes: Some(size(choice)), root, is_folder: choice & 0x10 != 0 }
}

/// Two that begin alike, and another one.
pub(super) fn roots() -> [Root; 3] {
    let (mut first, mut second) = ([0x11; 32], [0x11; 32]);
    (first[4], second[4]) = (0x10, 0xff);
    [first, second, [0xee; 32]].map(|bytes| Root(HexBytes(bytes)))
}

/// Of two roots, of one, of a whole one, of none.
pub(super) fn root_prefix(choice: u8) -> RootPrefix {
    let [first, ..] = roots();
    let prefixes = ["11111111", "111111111", "eeeeeeee", "11111112"];
    let prefix = match choice % 5 {
        4 => first.to_string(),
        other => choose(&prefixes, other).to_owned(),
    };
    prefix.parse().expect("prefixes")
}

pub(super) fn extension(choice: u8) -> Extension {
    Extension::new(choose(&["txt", "TXT", "xt", "mp3", "É"], choice)).expect("extensions")
}

/// Names in which order, case and length matter; from 0xC0 on, enough others to fill pages.
pub(super) fn file_name(choice: u8) -> FileName {
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
pub(super) const USERNAMES: [&str; 6] =
    [MEMBERS[0], MEMBERS[1], MEMBERS[2], MEMBERS[3], STRANGER, "no member name"];

const IPS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)),
];

pub(super) const LEGACY_PORTS: [u16; 4] = [6_000, 1_024, 1_023, 0];

/// Around both formats' deadlines.
pub(super) const WAITS_MS: [u64; 8] = [1, 500, 1_000, 2_999, 3_000, 4_000, 6_999, 7_000];

const NAMES: [&str; 16] =
    ["a", "A", "ab", "b.txt", "B.TXT", "z", "é.txt", "É.txt", "日本語.mp3", "", "", "", "", "a b", "ß", "SS"];

pub(super) const QUERIES: [&str; 8] = ["", "a", "B", "É", ".t", "l", "ss", "nothing"];
