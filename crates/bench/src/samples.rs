//! One realistic message of every kind. Lists are as full as one JSON datagram allows, and both encodings carry the
//! same message, so that their figures can be compared.

use bittrickle_wire::limits::{
    ANNOUNCE_ROOTS_MAX, DATA_BYTES_MAX, HAVE_BITMAP_BYTES_MAX, UNPUBLISH_NAMES_MAX,
};
use bittrickle_wire::messages::{
    Access, Announce, Announced, AskHave, Bitmap, Describe, Described, Enrol, Enrolled, Fetch, Files, Filter,
    Found, Have, Heartbeat, HeartbeatReply, Hit, HitCursor, ListFiles, ListPeers, Locate, Located, LoggedIn,
    LoggedOut, Login, Logout, OwnFile, Part, PeerEntry, Peers, Publish, Published, Recall, Recalled,
    RefusalCode, Refused, Renew, Renewed, Reply, Request, Resume, Resumed, Search, Source, SourceCursor,
    Unpublish, Unpublished, Versions, offer_digest,
};
use bittrickle_wire::page::{Entry, PageBuilder};
use bittrickle_wire::seal::{KEY_BYTES, PublicKey, TICKET_BYTES, Ticket};
use bittrickle_wire::{
    Encoding, Hex64, HexBytes, List, MemberName, Message, Password, Query, SourceAddress, Target,
    TransferPort,
};
use bytes::Bytes;

use crate::catalog;

/// A message and how it travels.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Its kind's part of a figure's name.
    pub(crate) name: &'static str,
    /// How it travels.
    pub(crate) carrier: Carrier,
    /// The message.
    pub(crate) message: Message,
}

/// Which codec a message goes through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Carrier {
    /// `DatagramCodec`: between peer and index.
    Datagram,
    /// `FrameCodec`: between peer and peer.
    Stream,
}

/// One sample of every kind.
pub(crate) fn every_kind() -> Vec<Sample> {
    [requests(), replies(), transfer()].concat()
}

fn requests() -> Vec<Sample> {
    let cursor = HitCursor { number: 1_414, content: Some(catalog::content(14)) };
    let source = SourceCursor { member: member(3), address: address(3) };
    let login = Login { transfer_port: TransferPort::new(40_001).expect("a high port") };
    let password = Password::new("correct horse battery").expect("a password");
    let enrol = Enrol { member: member(0), password };
    let text = Query::new("lecture").expect("a query");
    let search = Search { text, filter: Filter::default(), after: Some(cursor) };
    let locate = Locate { target: Target::Root(catalog::root(42)), after: Some(source) };
    let roots =
        List::new((0..ANNOUNCE_ROOTS_MAX).map(catalog::root).collect()).expect("as many as there may be");
    let resume =
        Resume { rank: 128, chosen: (0..128).step_by(2).collect(), digest: Hex64(0x0123_4567_89ab_cdef) };
    let names = List::new((0..24).map(catalog::name).collect()).expect("a short list");
    const { assert!(24 <= UNPUBLISH_NAMES_MAX) };
    let request =
        |name, request| Sample { name, carrier: Carrier::Datagram, message: Message::Request(request) };
    vec![
        request("login", Request::Login(login)),
        request("heartbeat", Request::Heartbeat(Heartbeat {})),
        request("logout", Request::Logout(Logout {})),
        request("enrol", Request::Enrol(enrol)),
        request("publish", Request::Publish(Publish { files: page(catalog::offer) })),
        request("unpublish", Request::Unpublish(Unpublish { names })),
        request("announce", Request::Announce(Announce { roots })),
        request("recall", Request::Recall(Recall { rank: 128 })),
        request("resume", Request::Resume(resume)),
        request("search", Request::Search(search)),
        request("locate", Request::Locate(locate)),
        request("list_peers", Request::ListPeers(ListPeers { after: Some(member(20)) })),
        request("list_files", Request::ListFiles(ListFiles { after: Some(2_020) })),
    ]
}

fn replies() -> Vec<Sample> {
    let boot_id = Hex64(0x9e37_79b9_7f4a_7c15);
    let hit_cursor = HitCursor { number: 1_111, content: Some(catalog::content(11)) };
    let source_cursor = SourceCursor { member: member(7), address: address(7) };
    let clock_ms = 86_400_000;
    let logged_in = LoggedIn { boot_id, clock_ms, heartbeat_ms: 2_000, offline_after_ms: 7_000 };
    let digest = Hex64(0x0123_4567_89ab_cdef);
    let heartbeat = HeartbeatReply { boot_id, clock_ms, offered: 312, digest };
    let located = Located { members: 11, sources: page(source), next: Some(source_cursor) };
    let refused = Refused::new(RefusalCode::NO_SESSION, "there is no session at this address; log in first");
    let reply = |name, reply| Sample { name, carrier: Carrier::Datagram, message: Message::Reply(reply) };
    vec![
        reply("logged_in", Reply::LoggedIn(logged_in)),
        reply("heartbeat_reply", Reply::HeartbeatReply(heartbeat)),
        reply("logged_out", Reply::LoggedOut(LoggedOut {})),
        reply("enrolled", Reply::Enrolled(Enrolled {})),
        reply("published", Reply::Published(Published { offered: 312 })),
        reply("unpublished", Reply::Unpublished(Unpublished {})),
        reply("announced", Reply::Announced(Announced {})),
        reply("recalled", Reply::Recalled(Recalled { publications: 1_000, digests: page(digest_of) })),
        reply("resumed", Reply::Resumed(Resumed { offered: 312, is_resumed: true })),
        reply("found", Reply::Found(Found { hits: page(hit), next: Some(hit_cursor) })),
        reply("located", Reply::Located(located)),
        reply("peers", Reply::Peers(Peers { members: page(peer), next: Some(member(20)) })),
        reply("files", Reply::Files(Files { files: page(own_file), next: Some(1_212) })),
        reply("refused", Reply::Refused(refused)),
        Sample { name: "versions", carrier: Carrier::Datagram, message: Message::Versions(Versions::SPOKEN) },
    ]
}

fn transfer() -> Vec<Sample> {
    let data: Vec<u8> = (0..=u8::MAX).cycle().take(DATA_BYTES_MAX).collect();
    let described = Described {
        file_bytes: catalog::size(42),
        root: Some(catalog::root(42)),
        manifest_bytes: None,
        is_complete: true,
    };
    let bitmap = Bitmap::new(vec![0xa5; HAVE_BITMAP_BYTES_MAX]).expect("as many as there may be");
    let ticket = Ticket(HexBytes([0xa5; TICKET_BYTES]));
    let stream = |name, message| Sample { name, carrier: Carrier::Stream, message };
    vec![
        stream("describe", Message::Describe(Describe {})),
        stream("described", Message::Described(described)),
        stream("fetch", Message::Fetch(Fetch { part: Part::PIECES, first: 4_096, count: 64 })),
        stream("data", Message::Data(Bytes::from(data))),
        stream("ask_have", Message::AskHave(AskHave { first: Bitmap::PIECES_MAX })),
        stream("have", Message::Have(Have { first: Bitmap::PIECES_MAX, bitmap })),
        stream("renew", Message::Renew(Renew { ticket })),
        stream("renewed", Message::Renewed(Renewed {})),
    ]
}

/// As many entries as one page holds in JSON, the longer encoding.
fn page<T: Entry, const MAX: usize>(entry: impl Fn(usize) -> T) -> List<T, MAX> {
    let mut page = PageBuilder::new(Encoding::Json);
    let mut number = 0;
    while page.push(entry(number)).is_ok() {
        number += 1;
    }
    page.finish()
}

fn hit(number: usize) -> Hit {
    let members = u32::try_from(1 + number % 9).expect("a digit");
    Hit { name: catalog::name(number), content: catalog::content(number), members, sources: members / 2 }
}

fn source(number: usize) -> Source {
    let byte = u8::try_from(number % 250).expect("a byte");
    let device = PublicKey::from_bytes([byte; KEY_BYTES]);
    let ticket = Ticket(HexBytes([byte; TICKET_BYTES]));
    // Now and then somebody uses the original's program.
    let access = (number % 4 != 3).then_some(Access { device, ticket });
    Source { member: member(number), address: address(number), content: catalog::content(number), access }
}

fn peer(number: usize) -> PeerEntry {
    PeerEntry { name: member(number), sessions: 1 }
}

fn own_file(number: usize) -> OwnFile {
    OwnFile { name: catalog::name(number), content: catalog::content(number), sources: 1 }
}

fn digest_of(number: usize) -> Hex64 {
    Hex64(offer_digest(&catalog::offer(number)))
}

fn member(number: usize) -> MemberName {
    MemberName::new(&format!("student{number:04}")).expect("letters and digits are a name")
}

fn address(number: usize) -> SourceAddress {
    let address = format!("192.0.2.{}:{}", 1 + number % 250, 40_000 + number % 20_000);
    SourceAddress::new(address.parse().expect("an address")).expect("a unicast address and a high port")
}

#[cfg(test)]
mod tests {
    use bittrickle_wire::Kind;

    use super::*;

    #[test]
    fn every_kind_has_one_sample() {
        let samples = every_kind();
        // What stands outside a seal is no message: it goes through no codec.
        let inside = || Kind::ALL.into_iter().filter(|kind| !kind.is_outside());
        assert_eq!(samples.len(), inside().count());
        for kind in inside() {
            assert!(samples.iter().any(|sample| sample.message.kind() == kind), "{kind:?}");
        }
    }
}
