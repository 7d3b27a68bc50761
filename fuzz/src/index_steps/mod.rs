//! A history of requests: the index answers as a model of it does, which was written from the
//! specification and shares no code with it.
//!
//! | module | what it holds |
//! |---|---|
//! | `step` | bytes to steps |
//! | `tables` | what the steps choose from |
//! | `model` | who is online and shares what, and what the index must answer to frames that change it |
//! | `kept_model` | what it keeps over restarts, and when it forgets it |
//! | `answers` | what it must answer to frames that only ask |
//! | `legacy_model` | what it must answer to the original's datagrams |
//! | `recalled` | the same for what is resumed |
//! | `pages` | all pages of an answer, as one |
//! | `crowds` | other histories, of fewer steps and more names |

mod answers;
mod crowds;
mod kept_model;
mod legacy_model;
mod model;
mod pages;
mod recalled;
mod step;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_server::index::{Caller, CatalogueBuilder, Edit, Index, LegacyAnswer, NameLetters, Tickets};
use bittrickle_wire::messages::{Login, RefusalCode, Reply, Request};
use bittrickle_wire::seal::{PublicKey, Ticket};
use bittrickle_wire::{
    Content, DatagramCodec, Encoding, FileName, Frame, Hex64, HexBytes, MemberName, Message, Received,
    Target, legacy,
};
use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, Encoder as _};

pub use crowds::{index_abyss, index_crowds};

use model::{Model, password_is_right};
use step::{Framed, Step, Steps};

/// The first byte chooses the limits, the rest are steps.
pub fn index_steps(data: &[u8]) {
    let Some((&limits, steps)) = data.split_first() else { return };
    play(limits, Steps::new(steps));
}

/// The same with other steps for the same bytes: for random ones, which would rarely make a session that lasts otherwise.
pub fn index_history(data: &[u8]) {
    let Some((&limits, steps)) = data.split_first() else { return };
    play(limits, Steps::of_few(steps));
}

fn play(limits: u8, steps: Steps<'_>) {
    let mut pair = Pair::new(limits);
    for step in steps.take(STEPS_MAX) {
        pair.take(step);
    }
}

/// The index and its model, at one time.
struct Pair {
    start: Instant,
    elapsed: Duration,
    index: Index,
    model: Model,
    kept: Kept,
    /// What is being read: all of it, as it was when the server was started.
    unread: Option<Kept>,
    /// Whose a device is. One that nobody has enrolled is the first member's.
    whose: BTreeMap<PublicKey, Arc<MemberName>>,
}

/// What a store keeps: all that the index has noted.
#[derive(Clone, Default)]
struct Kept {
    publications: BTreeMap<(Arc<MemberName>, FileName), Content>,
    /// For how many hours members have been offline.
    offline_hours: BTreeMap<Arc<MemberName>, u32>,
}

/// A ticket for every source: which ones, the responder's tests say.
struct AnyTicket;

impl Tickets for AnyTicket {
    fn issue(&self, source: &PublicKey, _: &PublicKey, target: &Target) -> Option<Ticket> {
        Some(ticket_for(source, target))
    }
}

/// What everybody gets for a target at a source.
fn ticket_for(source: &PublicKey, target: &Target) -> Ticket {
    let mut bytes = *source.as_bytes();
    for (place, byte) in target.to_string().bytes().enumerate() {
        bytes[place % 32] = bytes[place % 32].rotate_left(1) ^ byte;
    }
    Ticket(HexBytes(bytes))
}

impl Pair {
    fn new(limits: u8) -> Self {
        let (start, limits) = (Instant::now(), tables::limits(limits));
        let mut index = Index::new(start, BOOT_ID, limits);
        index.note_edits();
        Self {
            start,
            elapsed: Duration::ZERO,
            index,
            model: Model::new(limits),
            kept: Kept::default(),
            unread: None,
            whose: BTreeMap::new(),
        }
    }

    fn take(&mut self, step: Step) {
        let removed = if let Step::Remove(member) = &step { Some(member.clone()) } else { None };
        match step {
            // Time alone ends nothing: the next request must see by itself what is over.
            Step::Wait(duration) => return self.elapsed += duration,
            Step::Expire => {
                self.index.expire(self.now());
                self.model.expire(self.elapsed);
            }
            Step::Restart { removed, is_read } => {
                self.restart();
                if let Some(member) = &removed {
                    self.model.remove_member(member);
                }
                if is_read {
                    self.read(|member| Some(member) != removed.as_ref());
                }
            }
            Step::Read => self.read(|_| true),
            Step::Remove(member) => {
                self.index.remove_member(&member);
                self.model.remove_member(&member);
            }
            Step::Disable(member) => {
                self.index.close_member(&member);
                self.model.close_member(&member);
            }
            Step::Hour(hours_max) => self.pass_hour(hours_max),
            Step::Refuse(is_refused) => {
                self.index.refuse_changes(is_refused);
                self.model.is_refusing = is_refused;
            }
            Step::Framed(framed) => self.framed(framed),
            Step::Legacy { from, request } => self.legacy(from, &request),
        }
        self.keep();
        self.finish_forgetting(removed.as_ref());
        assert_eq!(self.index.session_count(), self.model.session_count(), "sessions");
        assert_eq!(self.index.publication_count(), self.model.publication_count(), "publications");
    }

    /// What a store does.
    fn keep(&mut self) {
        for edit in self.index.take_edits() {
            match edit {
                Edit::Publish { member, name, content } => {
                    self.kept.publications.insert((member, name), content);
                }
                Edit::Withdraw { member, name } => {
                    let kept = self.kept.publications.remove(&(member, name));
                    assert!(kept.is_some(), "what was withdrawn had been kept");
                }
                Edit::Forget { member } => {
                    self.kept.publications.retain(|(owner, _), _| *owner != member);
                    self.kept.offline_hours.remove(&member);
                }
                Edit::Offline { member, hours: 0 } => drop(self.kept.offline_hours.remove(&member)),
                Edit::Offline { member, hours } => drop(self.kept.offline_hours.insert(member, hours)),
            }
        }
    }

    /// What is withdrawn a little at a time is withdrawn before anybody asks: what is still there meanwhile, nobody says.
    fn finish_forgetting(&mut self, removed: Option<&MemberName>) {
        while self.index.is_forgetting() {
            if let Some(member) = removed.cloned().map(Arc::new) {
                let caller = Caller {
                    member: &member,
                    device: PublicKey::from_bytes([0xee; 32]),
                    address: tables::address(0),
                };
                let login = Request::Login(Login { transfer_port: tables::transfer_port(0) });
                let answer = self.ask(caller, Encoding::Json, login);
                assert!(matches!(&answer, Reply::Refused(refused) if refused.code == RefusalCode::TOO_FAST));
            }
            let before = self.index.publication_count();
            self.index.forget_more();
            let gone = before - self.index.publication_count();
            assert!(gone <= FORGOTTEN_AT_ONCE, "{gone} at once");
            assert!(self.index.take_edits().is_empty(), "all of it is gone from what is kept");
        }
    }

    /// A publication that an earlier start has kept.
    fn add_kept(&mut self, member: &MemberName, name: FileName, content: Content) {
        self.model.add(name.clone(), member, content);
        self.kept.publications.insert((Arc::new(member.clone()), name), content);
    }

    fn restart(&mut self) {
        self.index = Index::new(self.now(), BOOT_ID, self.model.limits);
        self.index.note_edits();
        self.index.await_catalogue();
        self.model.restart(self.elapsed);
        // It is read as it is now, whatever changes meanwhile.
        self.unread = Some(self.kept.clone());
    }

    fn read(&mut self, is_known: impl Fn(&MemberName) -> bool) {
        let Some(Kept { publications, offline_hours }) = self.unread.take() else { return };
        let (mut builder, mut letters) = (CatalogueBuilder::default(), NameLetters::default());
        for ((member, name), content) in publications {
            if let Some(block) = builder.add(&member, name, content) {
                letters.append(&block);
            }
        }
        letters.append(&builder.last_block());
        offline_hours.into_iter().for_each(|(member, hours)| builder.set_offline_hours(member, hours));
        self.index.load(builder.finish(letters), is_known);
        self.model.read();
    }

    fn pass_hour(&mut self, hours_max: u32) {
        self.index.expire(self.now());
        self.model.expire(self.elapsed);
        let forgotten: BTreeSet<_> =
            self.index.pass_hour(hours_max).into_iter().map(|member| MemberName::clone(&member)).collect();
        assert_eq!(forgotten, self.model.pass_hour(hours_max), "forgotten");
    }

    fn framed(&mut self, framed: Framed) {
        let Framed { device, from, encoding, request, repeated, enrolled } = framed;
        if let Some(member) = enrolled {
            self.whose.insert(device, Arc::new(member));
        }
        let first = || Arc::new(MemberName::new(tables::MEMBERS[0]).expect("a member name"));
        let member = Arc::clone(self.whose.entry(device).or_insert_with(first));
        let caller = Caller { member: &member, device, address: from };
        let request = self.model.complete(&member, request);
        let expected = self.model.handle(self.elapsed, caller, &request);
        // A request whose answer was lost comes again, and gets the same answer (BT-2.2-3).
        for _ in 0..=u8::from(repeated) {
            let answer = pages::gather(&request, |request| self.ask(caller, encoding, request));
            assert_eq!(answer, expected, "the index, and what was expected of {request:?}");
        }
    }

    fn ask(&mut self, caller: Caller<'_>, encoding: Encoding, request: Request) -> Reply {
        let reply = self.index.handle(self.now(), caller, encoding, request, &AnyTicket);
        check_fits(encoding, &reply);
        reply
    }

    fn legacy(&mut self, from: SocketAddr, request: &legacy::Request) {
        let expected = self.model.handle_legacy(self.elapsed, from, request);
        let answer = match self.index.handle_legacy(self.now(), from, request) {
            LegacyAnswer::Reply(reply) => reply,
            LegacyAnswer::CheckPassword(login) => {
                let is_right = password_is_right(login.member.as_str(), login.password.as_str());
                self.index.finish_legacy_login(self.now(), from, &login, is_right)
            }
        };
        expected.check(&answer);
    }

    fn now(&self) -> Instant {
        self.start + self.elapsed
    }
}

/// Every answer fits one datagram, and the peer reads what was meant (BT-1.4-1).
fn check_fits(encoding: Encoding, reply: &Reply) {
    let frame = Frame { request_id: 1, encoding, message: Message::Reply(reply.clone()) };
    let mut bytes = BytesMut::new();
    DatagramCodec.encode(frame.clone(), &mut bytes).expect("an answer fits one datagram");
    match DatagramCodec.decode(&mut bytes) {
        Ok(Some(Received::Frame(read))) => assert_eq!(read, frame),
        other => panic!("{frame:?} is read as {other:?}"),
    }
}

const BOOT_ID: Hex64 = Hex64(0xb007);

/// Some milliseconds of work: what may go in a row.
const FORGOTTEN_AT_ONCE: usize = 1_024;

/// More would be the same again, slower.
const STEPS_MAX: usize = 256;
