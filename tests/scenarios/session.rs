//! The peer's session, with invented time: resending, heartbeats, returning.

mod recall;
mod returns;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bittrickle_peer::channel::ChannelError;
use bittrickle_peer::session::{CallError, Event, Output, Rhythm, Session};
use bittrickle_server::index::{Caller, Index, Limits, Tickets};
use bittrickle_tests::samples;
use bittrickle_tests::samples::login;
use bittrickle_wire::messages::{
    Filter, Heartbeat, ListFiles, Publish, RefusalCode, Refused, Reply, Request, Search, Unpublish,
};
use bittrickle_wire::seal::{PublicKey, Ticket};
use bittrickle_wire::{Encoding, FileName, Frame, Hex64, List, MemberName, Message, Query, Received, Target};

/// A session and an index, and the network between them: a list that a test may drop or delay.
struct World {
    now: Instant,
    session: Session,
    index: Index,
    sent: Vec<(Instant, Frame)>,
    events: Vec<Event>,
    finished: Vec<Result<Reply, CallError>>,
    connected: bool,
    /// What the index refuses everything with, while it does.
    refusal: Option<RefusalCode>,
    /// Whether it knows of no session but right after a login.
    forgets: bool,
    /// Whether its digests are wrong.
    lies_about_digests: bool,
    rhythm: Option<Rhythm>,
}

/// Nobody asks for sources here.
struct NoTickets;

impl Tickets for NoTickets {
    fn issue(&self, _: &PublicKey, _: &PublicKey, _: &Target) -> Option<Ticket> {
        None
    }
}

const FROM: &str = "127.0.0.1:40000";

fn index() -> Index {
    index_with(Limits::default())
}

fn index_with(limits: Limits) -> Index {
    Index::new(Instant::now(), Hex64(7), limits)
}

/// Alice's only device asks.
fn ask(index: &mut Index, now: Instant, encoding: Encoding, request: Request) -> Reply {
    let member = Arc::new(MemberName::new("alice").unwrap());
    let (device, address) = (PublicKey::from_bytes([1; 32]), FROM.parse().unwrap());
    index.handle(now, Caller { member: &member, device, address }, encoding, request, &NoTickets)
}

impl World {
    /// A session whose channel has just been established.
    fn new() -> Self {
        let mut world = Self::without_channel();
        world.session.begin(world.now);
        world
    }

    fn without_channel() -> Self {
        let index = index();
        let now = Instant::now();
        let Request::Login(login) = login(5_000) else { unreachable!() };
        let session = Session::new(now, login, Encoding::Bincode, 42);
        let (sent, events, finished) = (Vec::new(), Vec::new(), Vec::new());
        let (refusal, forgets, lies_about_digests, rhythm) = (None, false, false, None);
        Self {
            now,
            session,
            index,
            sent,
            events,
            finished,
            connected: true,
            refusal,
            forgets,
            lies_about_digests,
            rhythm,
        }
    }

    /// Takes all outputs; what is sent is answered at once while there is a connection.
    fn settle(&mut self) {
        while let Some(output) = self.session.next_output() {
            match output {
                Output::Send(frame) => {
                    self.sent.push((self.now, frame.clone()));
                    if self.connected {
                        self.deliver(frame);
                    }
                }
                Output::Finished(_, result) => self.finished.push(result),
                Output::Event(event) => self.events.push(event),
                Output::Rhythm(rhythm) => self.rhythm = Some(rhythm),
            }
        }
    }

    fn deliver(&mut self, frame: Frame) {
        let Message::Request(request) = frame.message else { panic!("a peer only asks") };
        let reply = match self.refusal {
            Some(code) => Reply::Refused(Refused::new(code, "no")),
            None if self.forgets && !matches!(request, Request::Login(_)) => {
                Reply::Refused(Refused::new(RefusalCode::NO_SESSION, "who are you?"))
            }
            None => ask(&mut self.index, self.now, frame.encoding, request),
        };
        let reply = match reply {
            Reply::HeartbeatReply(mut reply) if self.lies_about_digests => {
                reply.digest = Hex64(reply.digest.0 ^ 1);
                Reply::HeartbeatReply(reply)
            }
            reply => reply,
        };
        let answer = Frame { message: Message::Reply(reply), ..frame };
        self.session.receive(self.now, Received::Frame(answer));
    }

    /// Lets time pass, waking the session exactly when it asks for it.
    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        while let Some(wake) = self.session.next_wake().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.session.tick(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn call(&mut self, request: Request) {
        self.session.call(self.now, request);
        self.settle();
    }

    fn sent_kinds(&mut self) -> Vec<String> {
        self.sent.drain(..).map(|(_, frame)| format!("{:?}", frame.message.kind())).collect()
    }
}

fn publish(name: &str) -> Request {
    let offer = samples::offer(name, 1);
    Request::Publish(Publish { files: List::new(vec![offer]).unwrap() })
}

fn search() -> Request {
    Request::Search(Search { text: Query::new("x").unwrap(), filter: Filter::default(), after: None })
}

/// BT-2.2-2
#[test]
fn a_request_without_an_answer_is_sent_five_times_and_then_given_up() {
    let mut world = World::new();
    world.settle();
    world.connected = false;
    world.sent.clear();
    world.call(search());
    world.run(Duration::from_secs(30));
    let sends: Vec<_> = world
        .sent
        .iter()
        .filter(|(_, frame)| frame.message.kind() != bittrickle_wire::Kind::Heartbeat)
        .collect();
    assert_eq!(sends.len(), 5);
    assert!(sends.iter().all(|(_, frame)| frame == &sends[0].1), "the same frame, the same id");
    for (i, pair) in sends.windows(2).enumerate() {
        let wait = (pair[1].0 - pair[0].0).as_secs_f64();
        let expected = 0.5 * f64::from(1_u32 << i);
        assert!((0.75 * expected..=1.25 * expected).contains(&wait), "wait {i} is {wait}");
    }
    assert_eq!(world.finished, [Err(CallError::NoAnswer)]);
}

/// BT-2.2-2, BT-1.6-3: a late answer is an answer; one that nobody waits for is dropped.
#[test]
fn an_answer_to_the_second_sending_is_as_good_as_to_the_first() {
    let mut world = World::new();
    world.settle();
    world.connected = false;
    world.call(search());
    world.run(Duration::from_millis(700));
    let frame = world.sent.last().unwrap().1.clone();
    world.deliver(frame.clone());
    world.deliver(frame);
    world.settle();
    assert_eq!(world.finished.len(), 1);
    assert!(matches!(world.finished[0], Ok(Reply::Found(_))));
}

/// BT-2.4-1
#[test]
fn heartbeats_go_out_every_two_seconds_give_or_take_a_tenth() {
    let mut world = World::new();
    world.run(Duration::from_secs(60));
    let is_heartbeat =
        |frame: &Frame| matches!(frame.message, Message::Request(Request::Heartbeat(Heartbeat {})));
    let beats: Vec<Instant> =
        world.sent.iter().filter(|(_, frame)| is_heartbeat(frame)).map(|(at, _)| *at).collect();
    assert!((27..=34).contains(&beats.len()), "{}", beats.len());
    for pair in beats.windows(2) {
        let wait = (pair[1] - pair[0]).as_secs_f64();
        assert!((1.8..=2.2).contains(&wait), "{wait}");
    }
    assert_eq!(world.events, [Event::LoggedIn]);
    assert_eq!(world.index.session_count(), 1, "never offline");
}

/// BT-2.4-1: three heartbeats in a row that get lost would end a session.
#[test]
fn a_heartbeat_without_an_answer_is_followed_by_one_more_before_the_next() {
    let mut world = World::new();
    world.settle();
    world.connected = false;
    world.sent.clear();
    world.run(Duration::from_secs(20));
    let beats: Vec<f64> = world.sent.iter().map(|(at, _)| (*at - world.sent[0].0).as_secs_f64()).collect();
    assert!((16..=24).contains(&beats.len()), "{beats:?}");
    for pair in beats.chunks_exact(2) {
        assert!((0.375..=0.625).contains(&(pair[1] - pair[0])), "{beats:?}");
    }
    for pair in beats.chunks_exact(2).collect::<Vec<_>>().windows(2) {
        assert!((1.8..=2.2).contains(&(pair[1][0] - pair[0][0])), "{beats:?}");
    }
}

/// BT-2.4-2: after a restart of the index everything is back, by itself.
#[test]
fn an_index_that_has_forgotten_everything_is_told_again() {
    let mut world = World::new();
    world.settle();
    for i in 0..200 {
        world.call(publish(&format!("file {i} {}", "n".repeat(200))));
    }
    assert_eq!(world.index.publication_count(), 200);
    world.index = index();
    world.run(Duration::from_secs(3));
    assert_eq!(world.index.publication_count(), 200);
    assert_eq!(world.events, [Event::LoggedIn, Event::Back]);
}

/// BT-2.4-2: a command that meets an index without a session is not lost on its user.
#[test]
fn a_command_at_a_restarted_index_is_answered_after_the_return() {
    let mut world = World::new();
    world.settle();
    world.call(publish("a"));
    world.index = index();
    world.finished.clear();
    world.call(Request::ListFiles(ListFiles { after: None }));
    assert!(matches!(&world.finished[..], [Ok(Reply::Files(_))]), "{:?}", world.finished);
    assert_eq!(world.index.publication_count(), 1);
}

/// BT-2.2-2, BT-2.3-3: nobody waits for ever for a return that doesn't come.
#[test]
fn a_command_that_waits_for_a_return_is_told_when_the_return_fails() {
    let mut world = World::new();
    world.settle();
    world.index = index_with(Limits { sessions: 0, ..Limits::default() });
    world.call(search());
    assert!(matches!(&world.finished[..], [Err(CallError::Refused(_))]), "{:?}", world.finished);

    let mut world = World::new();
    world.settle();
    world.index = index();
    world.session.call(world.now, search());
    let Some(Output::Send(frame)) = world.session.next_output() else { panic!("the search is sent") };
    world.deliver(frame);
    world.connected = false;
    world.run(Duration::from_secs(30));
    assert_eq!(world.finished, [Err(CallError::NoAnswer)]);
    world.connected = true;
    world.run(Duration::from_secs(30));
    assert_eq!(world.index.session_count(), 1, "and it returns when it can");
}

/// BT-2.4-3: what the user was told is not published is not published later.
#[test]
fn a_publication_without_an_answer_is_not_made_behind_the_users_back() {
    let mut world = World::new();
    world.settle();
    world.session.call(world.now, publish("a"));
    let Some(Output::Send(frame)) = world.session.next_output() else { panic!("the publication is sent") };
    let Message::Request(request) = frame.message else { panic!("a peer only asks") };
    ask(&mut world.index, world.now, Encoding::Bincode, request);
    world.connected = false;
    world.run(Duration::from_secs(20));
    assert_eq!(world.finished, [Err(CallError::NoAnswer)]);
    world.connected = true;
    world.run(Duration::from_secs(10));
    let reply = ask(&mut world.index, world.now, Encoding::Bincode, Request::Heartbeat(Heartbeat {}));
    let Reply::HeartbeatReply(reply) = reply else { panic!("{reply:?}") };
    assert_eq!(reply.offered, 0);
}

/// BT-2.4-3
#[test]
fn an_index_that_believes_something_else_is_set_right() {
    let mut world = World::new();
    world.settle();
    world.call(publish("mine"));
    // Behind our back: as if an answer had been lost, or another program used this address.
    ask(&mut world.index, world.now, Encoding::Json, publish("not mine"));
    world.sent.clear();
    world.run(Duration::from_millis(2_300));
    assert_eq!(world.sent_kinds(), ["Heartbeat", "Logout", "Login", "Publish"]);
    world.run(Duration::from_secs(10));
    assert!(world.sent_kinds().iter().all(|kind| kind == "Heartbeat"), "once is enough");
}

/// BT-2.4-3: heartbeats that crossed a change say nothing, and cause nothing.
#[test]
fn a_heartbeat_that_crosses_a_publication_causes_no_return() {
    let mut world = World::new();
    world.settle();
    world.run(Duration::from_millis(1_000));
    world.connected = false;
    world.run(Duration::from_millis(1_300));
    let heartbeat = world.sent.last().unwrap().1.clone();
    world.session.call(world.now, publish("a"));
    world.deliver(heartbeat);
    world.connected = true;
    world.sent.clear();
    world.run(Duration::from_secs(10));
    let kinds = world.sent_kinds();
    assert!(kinds.iter().all(|kind| kind == "Heartbeat" || kind == "Publish"), "{kinds:?}");
    assert_eq!(world.index.publication_count(), 1);
}

/// BT-2.4-3: what the index refuses on the return is told, and not asked for over and over.
#[test]
fn files_that_are_refused_on_the_return_are_told_and_not_asked_for_again() {
    let mut world = World::new();
    world.settle();
    for i in 0..200 {
        world.call(publish(&format!("file {i} {}", "n".repeat(200))));
    }
    world.index = index_with(Limits { publications_per_member: 150, ..Limits::default() });
    world.run(Duration::from_secs(3));
    let dropped: usize = world
        .events
        .iter()
        .map(|event| if let Event::NotOffered(count, _) = event { *count } else { 0 })
        .sum();
    assert_eq!(world.index.publication_count() + dropped, 200);
    assert!(dropped >= 50);
    world.sent.clear();
    world.run(Duration::from_secs(10));
    assert!(world.sent_kinds().iter().all(|kind| kind == "Heartbeat"));
}

/// BT-2.6-5
#[test]
fn what_is_taken_back_stays_so_after_a_return() {
    let mut world = World::new();
    world.settle();
    world.call(publish("a"));
    world.call(publish("b"));
    let names = List::new(vec![FileName::new("a").unwrap()]).unwrap();
    world.call(Request::Unpublish(Unpublish { names }));
    world.index = index();
    world.run(Duration::from_secs(3));
    assert_eq!(world.index.publication_count(), 1);
}

/// BT-6.2-8
#[test]
fn a_refused_login_ends_the_session_and_everything_that_waits_for_it() {
    let mut world = World::new();
    world.refusal = Some(RefusalCode::NOT_ENROLLED);
    world.session.call(world.now, search());
    world.settle();
    assert!(matches!(&world.events[..], [Event::LoginFailed(CallError::Refused(_))]), "{:?}", world.events);
    assert!(matches!(&world.finished[..], [Err(CallError::Refused(_))]));
    assert!(world.session.is_over());
    assert_eq!(world.session.next_wake(), None);
}

/// BT-2.3-9: before there is a channel nothing is said, and when there will be none, all who wait are told.
#[test]
fn a_session_without_a_channel_says_nothing_and_ends_when_there_will_be_none() {
    let mut world = World::without_channel();
    world.call(search());
    assert!(world.sent.is_empty());
    world.session.channel_failed(ChannelError::NoAnswer);
    world.settle();
    let error = CallError::Channel(ChannelError::NoAnswer);
    assert_eq!(world.events, [Event::LoginFailed(error.clone())]);
    assert_eq!(world.finished, [Err(error)]);
    assert!(world.session.is_over());

    let mut world = World::new();
    world.settle();
    world.session.channel_failed(ChannelError::NoAnswer);
    world.run(Duration::from_secs(5));
    assert_eq!(world.events, [Event::LoggedIn], "one that stands doesn't end for that");
}

/// BT-2.3-7: the index learns the new address; everything else goes on.
#[test]
fn a_renewed_channel_logs_in_again_and_publishes_nothing_again() {
    let mut world = World::new();
    world.settle();
    world.call(publish("a"));
    world.sent.clear();
    world.session.channel_renewed(world.now);
    world.settle();
    assert_eq!(world.sent_kinds(), ["Login"]);
    assert_eq!((world.events.len(), world.index.publication_count()), (1, 1));
}

/// BT-2.4-4: the index was started again, so that it knows nothing of us.
#[test]
fn a_renewed_channel_to_a_restarted_index_publishes_everything_again() {
    let mut world = World::new();
    world.settle();
    world.call(publish("a"));
    world.index = Index::new(world.now, Hex64(8), Limits::default());
    world.sent.clear();
    world.session.channel_renewed(world.now);
    world.settle();
    assert_eq!(world.sent_kinds(), ["Login", "Publish"]);
    assert_eq!(world.index.publication_count(), 1);
}

/// BT-2.2-7
#[test]
fn what_is_asked_too_fast_is_asked_again_later() {
    let mut world = World::new();
    world.settle();
    world.refusal = Some(RefusalCode::TOO_FAST);
    world.call(search());
    world.run(Duration::from_secs(3));
    assert!(world.finished.is_empty());
    let searches = |world: &World| {
        world.sent.iter().filter(|(_, frame)| frame.message.kind() == bittrickle_wire::Kind::Search).count()
    };
    assert!(
        (14..=30).contains(&searches(&world)),
        "soon, then about five times a second: {}",
        searches(&world)
    );
    world.refusal = None;
    world.run(Duration::from_secs(1));
    assert!(matches!(&world.finished[..], [Ok(Reply::Found(_))]), "{:?}", world.finished);
}

/// BT-2.2-7, BT-2.6-8: a full disk of the index takes nothing off the network, however long it is full.
#[test]
fn what_the_index_can_not_keep_on_the_return_is_published_as_soon_as_it_can() {
    let mut world = World::new();
    world.settle();
    world.call(publish("a"));
    world.index = Index::new(world.now, Hex64(8), Limits::default());
    world.session.channel_renewed(world.now);
    world.index.refuse_changes(true);
    world.run(Duration::from_secs(300));
    assert!(!world.events.iter().any(|event| matches!(event, Event::NotOffered(..))), "{:?}", world.events);
    assert_eq!(world.index.publication_count(), 0);
    world.index.refuse_changes(false);
    world.run(Duration::from_secs(4));
    assert_eq!(world.index.publication_count(), 1);
}

/// BT-2.2-7: an index that never has time isn't asked for ever.
#[test]
fn what_is_asked_too_fast_for_a_minute_has_no_answer() {
    let mut world = World::new();
    world.settle();
    world.refusal = Some(RefusalCode::TOO_FAST);
    world.call(search());
    world.run(Duration::from_secs(90));
    assert_eq!(world.finished, [Err(CallError::NoAnswer)]);
}

/// BT-6.2-9: whatever it asks next tells the device that it is shut out.
#[test]
fn a_device_that_is_shut_out_ends_its_session() {
    for is_asking in [false, true] {
        let mut world = World::new();
        world.settle();
        world.refusal = Some(RefusalCode::NOT_ENROLLED);
        if is_asking {
            world.call(search());
            assert!(matches!(&world.finished[..], [Err(CallError::Refused(_))]), "{:?}", world.finished);
        } else {
            world.run(Duration::from_millis(2_300));
        }
        assert!(matches!(&world.events[..], [Event::LoggedIn, Event::Ended(_)]), "{:?}", world.events);
        assert!(world.session.is_over() && world.session.next_wake().is_none());
    }
}

/// BT-2.3-8
#[test]
fn the_indexs_clock_is_learnt_at_login_and_with_each_heartbeat() {
    let mut world = World::new();
    world.settle();
    let first = world.rhythm.unwrap();
    world.run(Duration::from_millis(2_300));
    let second = world.rhythm.unwrap();
    assert!((1_700..=2_400).contains(&(second.clock_ms - first.clock_ms)), "{first:?} {second:?}");
    assert_eq!(second.offline_after, Duration::from_secs(7));
}

/// BT-2.2-2, BT-2.4-1: silence is noticed, and ends when the index answers again.
#[test]
fn a_silent_index_is_noticed_after_seven_seconds_and_so_is_its_return() {
    let mut world = World::new();
    world.run(Duration::from_secs(5));
    world.connected = false;
    world.run(Duration::from_secs(6));
    assert_eq!(world.events, [Event::LoggedIn]);
    world.run(Duration::from_secs(4));
    assert_eq!(world.events, [Event::LoggedIn, Event::Silent]);
    world.run(Duration::from_secs(60));
    world.connected = true;
    world.run(Duration::from_secs(3));
    assert_eq!(world.events, [Event::LoggedIn, Event::Silent, Event::Back]);
}

/// BT-2.3-6
#[test]
fn leaving_says_so_and_is_over_with_the_answer() {
    let mut world = World::new();
    world.settle();
    world.session.leave(world.now);
    world.settle();
    assert!(world.session.is_over());
    assert_eq!(world.index.session_count(), 0);
}
