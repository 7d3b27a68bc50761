//! Samples of every message, and short ways to the values they are made of.

use std::fmt::Debug;

use bittrickle_wire::messages::{
    Access, Announce, Announced, AskHave, Bitmap, Describe, Described, Enrol, Enrolled, Fetch, Files, Filter,
    Found, Have, Heartbeat, HeartbeatReply, Hit, HitCursor, ListFiles, ListPeers, Locate, Located, LoggedIn,
    LoggedOut, Login, Logout, Offer, OwnFile, Part, PeerEntry, Peers, Publish, Published, Recall, Recalled,
    RefusalCode, Refused, Renew, Renewed, Reply, Request, Resume, Resumed, Search, Source, SourceCursor,
    Unpublish, Unpublished, Versions,
};
use bittrickle_wire::seal::{PublicKey, Ticket};
use bittrickle_wire::{
    Content, Extension, FileBytes, FileName, Hex64, HexBytes, List, MemberName, Message, Password, Query,
    Root, RootPrefix, Sentence, SourceAddress, Target, TransferPort,
};
use bytes::Bytes;

/// Numbers around every change of a number's form in bincode, up to the largest file.
pub const NUMBERS: [u64; 9] = [0, 1, 250, 251, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, (1 << 53) - 1];

/// One or more values of every message, each short enough for a datagram in both encodings.
#[must_use]
pub fn every_message() -> Vec<(&'static str, Message)> {
    let requests = requests().into_iter().map(|(name, request)| (name, Message::Request(request)));
    let replies = replies().into_iter().map(|(name, reply)| (name, Message::Reply(reply)));
    requests.chain(replies).chain(transfers()).collect()
}

/// Samples of what a peer asks the index.
#[must_use]
pub fn requests() -> Vec<(&'static str, Request)> {
    let all_sizes = NUMBERS.map(|size| offer(&format!("{size}.bin"), size));
    let many_names = (0..64).map(|i| name(&format!("{i:02}"))).collect();
    vec![
        ("login", login(50_000)),
        ("login_lowest_port", login(1_024)),
        ("login_highest_port", login(65_535)),
        ("enrol", enrol("alice", "wonderland")),
        ("enrol_non_ascii", enrol("zoë", "p\"ä\\ß 5 😀")),
        ("enrol_longest", enrol(&"é".repeat(32), &"\"".repeat(128))),
        ("heartbeat", Request::Heartbeat(Heartbeat {})),
        ("logout", Request::Logout(Logout {})),
        ("publish_nothing", publish(vec![])),
        ("publish_every_size", publish(all_sizes.to_vec())),
        ("publish_longest_name", publish(vec![offer(&longest_name(), 1 << 32), offer("日本語.txt", 7)])),
        ("unpublish_nothing", unpublish(vec![])),
        ("unpublish", unpublish(vec![name("a b.txt"), name("résumé.pdf")])),
        ("unpublish_most_names", unpublish(many_names)),
        ("search", search("Notes", None)),
        ("search_everything", search("", None)),
        ("search_with_cursor", search("ü \"\\", Some(hit_cursor(65_536, Some(65_536))))),
        (
            "search_with_cursor_without_content",
            search(&"q".repeat(255), Some(HitCursor { number: 1, content: None })),
        ),
        ("search_filtered", Request::Search(filtered())),
        (
            "publish_with_roots",
            publish(vec![hashed_offer("a.iso", 5, 0x10, false), hashed_offer("d", 0, 0xf0, true)]),
        ),
        ("announce_nothing", Request::Announce(Announce { roots: list(vec![]) })),
        ("announce_most", Request::Announce(Announce { roots: list((0..16).map(root).collect()) })),
        ("recall", Request::Recall(Recall { rank: 0 })),
        ("recall_highest_rank", Request::Recall(Recall { rank: u32::MAX })),
        ("resume_nothing", resume(0, vec![], 0)),
        ("resume", resume(256, vec![0, 8, 127], 0x0123_4567_89ab_cdef)),
        ("resume_most", resume(u32::MAX, (0..128).collect(), u64::MAX)),
        ("locate_by_root", Request::Locate(Locate { target: Target::Root(root(7)), after: None })),
        ("locate", locate("notes.txt", None)),
        ("locate_with_cursor", locate("notes.txt", Some(source_cursor("bob", "127.0.0.1:1024")))),
        (
            "locate_with_ipv6_cursor",
            locate(&longest_name(), Some(source_cursor("zoë", "[2001:db8::1]:65535"))),
        ),
        ("list_peers", Request::ListPeers(ListPeers { after: None })),
        ("list_peers_with_cursor", Request::ListPeers(ListPeers { after: Some(member("zoë\"\\")) })),
        ("list_files", Request::ListFiles(ListFiles { after: None })),
        ("list_files_with_cursor", Request::ListFiles(ListFiles { after: Some(251) })),
    ]
}

/// Samples of what the index answers.
#[must_use]
pub fn replies() -> Vec<(&'static str, Reply)> {
    let mut samples = plain_replies();
    samples.extend(pages());
    samples
}

fn plain_replies() -> Vec<(&'static str, Reply)> {
    vec![
        ("logged_in", logged_in(0x0123_4567_89ab_cdef, 1_234_567, 2_000, 7_000)),
        ("logged_in_smallest", logged_in(0, 0, 0, 250)),
        ("logged_in_largest", logged_in(u64::MAX, u64::MAX, 65_536, u32::MAX)),
        ("heartbeat_reply", heartbeat_reply(0x00ff_00ff_00ff_00ff, 1 << 32, 251, 0xfedc_ba98_7654_3210)),
        ("heartbeat_reply_largest", heartbeat_reply(u64::MAX, u64::MAX, u32::MAX, u64::MAX)),
        ("logged_out", Reply::LoggedOut(LoggedOut {})),
        ("enrolled", Reply::Enrolled(Enrolled {})),
        ("published_nothing", Reply::Published(Published { offered: 0 })),
        ("published", Reply::Published(Published { offered: 65_535 })),
        ("unpublished", Reply::Unpublished(Unpublished {})),
        ("announced", Reply::Announced(Announced {})),
        ("recalled_nothing", recalled(0, vec![])),
        ("recalled", recalled(1_000_000, vec![0, 1, 0xfedc_ba98_7654_3210, u64::MAX])),
        ("recalled_most_in_json", recalled(u32::MAX, (0..57).collect())),
        ("resumed", Reply::Resumed(Resumed { offered: 250, is_resumed: true })),
        ("resumed_nothing", Reply::Resumed(Resumed { offered: u32::MAX, is_resumed: false })),
        ("refused", refused(5, "log in first")),
        ("refused_without_sentence", refused(0, "")),
        ("refused_with_unknown_code", refused(u16::MAX, &"ü".repeat(100))),
    ]
}

fn pages() -> Vec<(&'static str, Reply)> {
    let sources =
        |from: usize| (from..from + 8).map(|i| source(&format!("m{i}"), "[fe80::1]:2000", None, None));
    let entries = (0..32).map(|i| entry(&format!("m{i:02}"), 1 + i)).collect();
    let hits = vec![
        hit("a.txt", None, 1, 0),
        hit("a.txt", Some(0), 250, 251),
        hit("ü", Some((1 << 53) - 1), 3, 65_536),
    ];
    let own = vec![own_file("a.txt", None, 0), own_file("日本語", Some(251), u32::MAX)];
    vec![
        ("found_hashed", found(vec![hashed_hit("a.iso", 5, 0x10)], Some(hashed_cursor(7, 5, 0x10)))),
        ("found_nothing", found(vec![], None)),
        ("found_nothing_yet", found(vec![], Some(hit_cursor(u32::MAX, Some((1 << 53) - 1))))),
        ("found", found(hits, Some(hit_cursor(0, None)))),
        ("located_nothing", located(3, vec![], None)),
        ("located", located(2, vec![source("bob", "127.0.0.1:50000", Some(5), Some(access(0x10)))], None)),
        (
            "located_ipv6",
            located(1, vec![source("zoë", "[2001:db8::2:1]:1024", Some(1 << 32), Some(access(0xe0)))], None),
        ),
        (
            "located_most",
            located(u32::MAX, sources(0).collect(), Some(source_cursor("m7", "[fe80::1]:2000"))),
        ),
        ("peers_nobody", peers(vec![], None)),
        ("peers", peers(vec![entry("bob", 1), entry("zoë", 16)], None)),
        ("peers_with_next", peers(entries, Some(member("m31")))),
        ("files_nothing", files(vec![], None)),
        ("files", files(own, Some(u32::MAX))),
    ]
}

/// Samples of what peers say to each other, and of `Versions`.
#[must_use]
pub fn transfers() -> Vec<(&'static str, Message)> {
    let described = |bytes| {
        Message::Described(Described {
            file_bytes: size(bytes),
            root: None,
            manifest_bytes: None,
            is_complete: true,
        })
    };
    let fetch = |part, first, count| Message::Fetch(Fetch { part, first, count });
    let have = |first, bytes: Vec<u8>| Message::Have(Have { first, bitmap: must(Bitmap::new(bytes)) });
    let folder = Described {
        file_bytes: size(1 << 32),
        root: Some(root(0x30)),
        manifest_bytes: Some(size(251)),
        is_complete: false,
    };
    vec![
        ("describe", Message::Describe(Describe {})),
        ("fetch_manifest", fetch(Part::MANIFEST, 0, 1)),
        ("fetch_outline", fetch(Part::OUTLINE, 250, 251)),
        ("fetch_pieces", fetch(Part::PIECES, 65_535, 65_536)),
        ("fetch_unknown_part", fetch(Part(u8::MAX), u32::MAX, u32::MAX)),
        ("described_empty", described(NUMBERS[0])),
        ("described_250", described(NUMBERS[2])),
        ("described_251", described(NUMBERS[3])),
        ("described_65535", described(NUMBERS[4])),
        ("described_65536", described(NUMBERS[5])),
        ("described_below_2_32", described(NUMBERS[6])),
        ("described_2_32", described(NUMBERS[7])),
        ("described_largest", described(NUMBERS[8])),
        ("described_folder", Message::Described(folder)),
        ("ask_have", Message::AskHave(AskHave { first: 4_096 })),
        ("have_nothing", have(0, vec![])),
        ("have_some", have(4_096, vec![0x01, 0x80, 0xff])),
        ("have_most", have(0, vec![0xa5; 512])),
        ("renew", Message::Renew(Renew { ticket: access(0x10).ticket })),
        ("renewed", Message::Renewed(Renewed {})),
        ("data", Message::Data(Bytes::from_static(b"hello\n"))),
        ("data_one_byte", Message::Data(Bytes::from_static(b"\0"))),
        ("data_every_byte", Message::Data((0..=u8::MAX).collect())),
        ("versions", Message::Versions(Versions::SPOKEN)),
        ("versions_others", Message::Versions(Versions { lowest: 2, highest: 255 })),
    ]
}

/// A name of as many bytes as there may be, not all of them ASCII.
#[must_use]
pub fn longest_name() -> String {
    format!("{}.txt.{}", "é".repeat(100), "n".repeat(50))
}

/// An acceptable file name.
#[must_use]
pub fn name(text: &str) -> FileName {
    must(FileName::new(text))
}

/// An acceptable member name.
#[must_use]
pub fn member(text: &str) -> MemberName {
    must(MemberName::new(text))
}

/// A size within its range.
#[must_use]
pub fn size(bytes: u64) -> FileBytes {
    must(FileBytes::new(bytes))
}

/// A source's address.
#[must_use]
pub fn address(text: &str) -> SourceAddress {
    must(SourceAddress::new(must(text.parse())))
}

/// A list within its bound.
#[must_use]
pub fn list<T: Debug, const MAX: usize>(entries: Vec<T>) -> List<T, MAX> {
    must(List::new(entries))
}

/// A login.
#[must_use]
pub fn login(transfer_port: u16) -> Request {
    Request::Login(Login { transfer_port: must(TransferPort::new(transfer_port)) })
}

/// An enrolment.
#[must_use]
pub fn enrol(name: &str, password: &str) -> Request {
    Request::Enrol(Enrol { member: member(name), password: must(Password::new(password)) })
}

/// A source's key and a ticket for it, of bytes that count up from `first`, wrapping around.
#[must_use]
pub fn access(first: u8) -> Access {
    let bytes = |first: u8| std::array::from_fn(|i| first.wrapping_add(i as u8));
    Access {
        device: PublicKey(HexBytes(bytes(first))),
        ticket: Ticket(HexBytes(bytes(first.wrapping_add(32)))),
    }
}

/// One file on offer.
#[must_use]
pub fn offer(text: &str, bytes: u64) -> Offer {
    Offer { name: name(text), file_bytes: size(bytes), root: None, is_folder: false }
}

/// A root, of bytes that count up from `first`, wrapping around.
#[must_use]
pub fn root(first: u8) -> Root {
    Root(HexBytes(std::array::from_fn(|i| first.wrapping_add(i as u8))))
}

/// A file or folder on offer that has been hashed.
#[must_use]
pub fn hashed_offer(text: &str, bytes: u64, first: u8, is_folder: bool) -> Offer {
    Offer { name: name(text), file_bytes: size(bytes), root: Some(root(first)), is_folder }
}

/// A file that isn't hashed; one of the original's format without a size.
#[must_use]
pub fn unhashed(bytes: Option<u64>) -> Content {
    Content { file_bytes: bytes.map(size), root: None, is_folder: false }
}

/// A file that has been hashed.
#[must_use]
pub fn hashed(bytes: u64, first: u8) -> Content {
    Content { file_bytes: Some(size(bytes)), root: Some(root(first)), is_folder: false }
}

fn hashed_cursor(number: u32, bytes: u64, first: u8) -> HitCursor {
    HitCursor { number, content: Some(hashed(bytes, first)) }
}

fn hashed_hit(text: &str, bytes: u64, first: u8) -> Hit {
    Hit { name: name(text), content: hashed(bytes, first), members: 1, sources: 2 }
}

/// A search with every condition there is.
fn filtered() -> Search {
    let filter = Filter {
        is_exact: true,
        is_prefix: true,
        is_online: true,
        extension: Some(must(Extension::new("tar.gz"))),
        bytes_min: Some(size(1)),
        bytes_max: Some(size((1 << 53) - 1)),
        member: Some(member("zoë")),
        root_prefix: Some(must("0123456789abcdef".parse::<RootPrefix>())),
    };
    Search { text: must(Query::new("x")), filter, after: Some(hashed_cursor(0, 1, 2)) }
}

/// A request that offers these files.
#[must_use]
pub fn publish(files: Vec<Offer>) -> Request {
    Request::Publish(Publish { files: list(files) })
}

/// A request that takes these names back.
#[must_use]
pub fn unpublish(names: Vec<FileName>) -> Request {
    Request::Unpublish(Unpublish { names: list(names) })
}

fn resume(rank: u32, chosen: Vec<u32>, digest: u64) -> Request {
    Request::Resume(Resume { rank, chosen: chosen.into_iter().collect(), digest: Hex64(digest) })
}

fn recalled(publications: u32, digests: Vec<u64>) -> Reply {
    Reply::Recalled(Recalled { publications, digests: list(digests.into_iter().map(Hex64).collect()) })
}

/// A search.
#[must_use]
pub fn search(text: &str, after: Option<HitCursor>) -> Request {
    Request::Search(Search { text: must(Query::new(text)), filter: Filter::default(), after })
}

/// A question for the sources of a name whose content isn't hashed.
#[must_use]
pub fn locate(text: &str, after: Option<SourceCursor>) -> Request {
    Request::Locate(Locate { target: Target::Name(name(text)), after })
}

/// A place in the order of hits.
#[must_use]
pub fn hit_cursor(number: u32, bytes: Option<u64>) -> HitCursor {
    HitCursor { number, content: Some(unhashed(bytes)) }
}

/// A place in the order of sources.
#[must_use]
pub fn source_cursor(text: &str, at: &str) -> SourceCursor {
    SourceCursor { member: member(text), address: address(at) }
}

/// One hit of a search.
#[must_use]
pub fn hit(text: &str, bytes: Option<u64>, members: u32, sources: u32) -> Hit {
    Hit { name: name(text), content: unhashed(bytes), members, sources }
}

/// One source.
#[must_use]
pub fn source(text: &str, at: &str, bytes: Option<u64>, access: Option<Access>) -> Source {
    Source { member: member(text), address: address(at), content: unhashed(bytes), access }
}

/// One member who is online.
#[must_use]
pub fn entry(text: &str, sessions: u32) -> PeerEntry {
    PeerEntry { name: member(text), sessions }
}

/// One of the member's own publications.
#[must_use]
pub fn own_file(text: &str, bytes: Option<u64>, sources: u32) -> OwnFile {
    OwnFile { name: name(text), content: unhashed(bytes), sources }
}

fn logged_in(boot_id: u64, clock_ms: u64, heartbeat_ms: u32, offline_after_ms: u32) -> Reply {
    Reply::LoggedIn(LoggedIn { boot_id: Hex64(boot_id), clock_ms, heartbeat_ms, offline_after_ms })
}

fn heartbeat_reply(boot_id: u64, clock_ms: u64, offered: u32, digest: u64) -> Reply {
    let (boot_id, digest) = (Hex64(boot_id), Hex64(digest));
    Reply::HeartbeatReply(HeartbeatReply { boot_id, clock_ms, offered, digest })
}

fn refused(code: u16, text: &str) -> Reply {
    Reply::Refused(Refused { code: RefusalCode(code), sentence: must(Sentence::new(text)) })
}

fn found(hits: Vec<Hit>, next: Option<HitCursor>) -> Reply {
    Reply::Found(Found { hits: list(hits), next })
}

fn located(members: u32, sources: Vec<Source>, next: Option<SourceCursor>) -> Reply {
    Reply::Located(Located { members, sources: list(sources), next })
}

fn peers(members: Vec<PeerEntry>, next: Option<MemberName>) -> Reply {
    Reply::Peers(Peers { members: list(members), next })
}

fn files(own: Vec<OwnFile>, next: Option<u32>) -> Reply {
    Reply::Files(Files { files: list(own), next })
}

fn must<T, E: Debug>(result: Result<T, E>) -> T {
    result.expect("samples are acceptable")
}
