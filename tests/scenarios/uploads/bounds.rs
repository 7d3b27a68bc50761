//! How much a peer takes on: strangers, connections, uploads, and for how long.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use bittrickle_tests::sealed_stream::{INITIATE_BYTES, SealedStream, initiate};
use bittrickle_tests::wait::{wait_for, wait_until};
use bittrickle_wire::messages::{RefusalCode, Renew, Reply};
use bittrickle_wire::seal::Ticket;
use bittrickle_wire::{Encoding, Frame, HexBytes, Message};

use super::{LIFE_MS, Sharing, connect_from, heartbeat, refusal, rest_of, secret_key};

/// BT-5.4-1, BT-5.4-3: strangers who say nothing, or not all of it, neither pile up nor keep members out.
#[test]
fn strangers_are_bounded_and_closed_after_their_deadline() {
    let sharing = Sharing::start(&[("notes.txt", b"abc")]);
    let eve = Ipv4Addr::new(127, 0, 0, 2);
    let (_, initiate) =
        initiate(&sharing.device, &sharing.provider, &Ticket(HexBytes([0; 32])), "name:notes.txt");
    let started = Instant::now();
    let mut slow: Vec<TcpStream> = (0..8).map(|_| connect_from(eve, sharing.address)).collect();
    for (missing, stream) in slow.iter_mut().enumerate() {
        // A handshake that isn't all there is waited for: nothing at all, or all but some bytes.
        let end = if missing == 0 { 0 } else { INITIATE_BYTES - missing };
        stream.write_all(&initiate[..end]).unwrap();
    }
    let mut dripping = slow.remove(0);
    let drip = std::thread::spawn(move || {
        for byte in &initiate[..INITIATE_BYTES - 1] {
            if dripping.write_all(&[*byte]).is_err() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    });
    for _ in 0..20 {
        drop(sharing.enter("notes.txt"));
    }
    for stream in &mut slow {
        assert_eq!(rest_of(stream), b"", "each is closed at the deadline");
    }
    assert!(drip.join().unwrap(), "a byte now and then buys no time");
    let took = started.elapsed();
    assert!((Duration::from_millis(4_900)..Duration::from_secs(12)).contains(&took), "{took:?}");
}

/// BT-5.4-3: the oldest goes for the ninth of one address, and whoever shows a ticket is let in all the same.
#[test]
fn the_oldest_stranger_of_an_address_makes_room_for_the_next() {
    let sharing = Sharing::start(&[("notes.txt", b"abc")]);
    let eve = Ipv4Addr::new(127, 0, 0, 2);
    let mut strangers: Vec<TcpStream> = (0..8).map(|_| connect_from(eve, sharing.address)).collect();
    let mut newest = connect_from(eve, sharing.address);
    assert_eq!(rest_of(&mut strangers[0]), b"", "the oldest is closed");
    let from_eve = || {
        SealedStream::begin(
            connect_from(eve, sharing.address),
            &sharing.device,
            &sharing.provider,
            &sharing.ticket("notes.txt", LIFE_MS),
            &sharing.target("notes.txt"),
        )
    };
    assert!(from_eve().is_some(), "also from the same address");
    assert_eq!(rest_of(&mut strangers[1]), b"");
    newest.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert!(newest.read(&mut [0]).is_err(), "the newest isn't closed for an older one's sake");
}

/// BT-5.4-3: however many addresses they come from, nobody who shows a ticket is kept out; and those who have shown theirs
/// aren't touched by it.
#[test]
fn strangers_of_all_addresses_are_bounded_too() {
    let sharing = Sharing::start(&[("notes.txt", b"abc")]);
    let mut member = sharing.enter("notes.txt");
    let mut strangers: Vec<TcpStream> = (0..64)
        .map(|number| connect_from(Ipv4Addr::new(127, 0, 1, 1 + number / 8), sharing.address))
        .collect();
    let mut late = sharing.enter("notes.txt");
    assert_eq!(rest_of(&mut strangers[0]), b"", "the oldest makes room");
    for stream in [&mut member, &mut late] {
        stream.fetch(1, Encoding::Bincode, 0, 1).unwrap();
        assert!(matches!(stream.receive().unwrap().message, Message::Data(_)));
    }
}

/// BT-3.3-4, BT-3.7-4, BT-5.4-2
#[test]
fn more_uploads_than_there_are_slots_are_told_to_come_back() {
    let mut sharing = Sharing::start(&[]);
    // Large enough that no socket buffer swallows it: each taker keeps its slot until it reads.
    std::fs::File::create(sharing.alice.path("big")).unwrap().set_len(63 << 20).unwrap();
    assert_eq!(sharing.alice.ask("pub big"), ["File published successfully"]);
    let target = sharing.target("big");
    let takers = sharing.take_all_slots(&target);
    let mut late = sharing.enter_for(&target);
    late.fetch(1, Encoding::Bincode, 0, 1).unwrap();
    assert_eq!(refusal(late.receive()), RefusalCode::BUSY);
    drop(takers);
    wait_until("a slot is free again", || {
        late.fetch(2, Encoding::Bincode, 0, 1).unwrap();
        matches!(late.receive().unwrap().message, Message::Data(_))
    });
}

/// BT-5.4-1, BT-5.4-2: who asks for something else than a file gets no more time for it.
#[test]
fn a_connection_that_never_fetches_is_closed_like_a_silent_one() {
    let sharing = Sharing::start(&[]);
    let started = Instant::now();
    let mut stream = sharing.enter("shared");
    stream.send(heartbeat()).unwrap();
    assert_eq!(refusal(stream.receive()), RefusalCode::UNEXPECTED_KIND);
    assert_eq!(stream.receive(), None);
    assert!(started.elapsed() < Duration::from_secs(15), "long before a fetching peer would be closed");
}

/// BT-5.4-4: nobody takes all the places, nor do all together.
#[test]
fn connections_of_one_device_and_of_all_devices_are_bounded_too() {
    let sharing = Sharing::start(&[("notes.txt", b"abc")]);
    let mut kept = Vec::new();
    for _ in 0..6 {
        kept.extend(sharing.enter_as(&sharing.device, "notes.txt"));
    }
    assert_eq!(kept.len(), 4, "of one device");
    let more = std::iter::repeat_with(|| sharing.enter_as(&secret_key(), "notes.txt"));
    kept.extend(more.take(200).flatten());
    assert_eq!(kept.len(), 192, "of all devices");
    let last = kept.last_mut().unwrap();
    last.fetch(1, Encoding::Bincode, 0, 1).unwrap();
    assert!(matches!(last.receive().unwrap().message, Message::Data(_)));
    kept.truncate(3);
    wait_until("there is room again", || sharing.enter_as(&sharing.device, "notes.txt").is_some());
}

/// BT-3.2-7: while the index is silent nobody can get a new ticket, so that the last one is good enough.
#[test]
fn a_connection_goes_on_while_the_index_is_away() {
    let sharing = Sharing::start(&[("notes.txt", b"abc")]);
    let ticket = sharing.ticket("notes.txt", 9_000);
    let mut stream = sharing.show(&sharing.device, &ticket, "notes.txt").expect("the ticket is good");
    let shown = Instant::now();
    sharing.index.be_silent(true);
    // One moment is as good as another: none of them finds the door closed.
    wait_for("the ticket has ended", Duration::from_secs(30), || {
        stream.fetch(1, Encoding::Bincode, 0, 1).unwrap();
        let message = stream.receive().expect("an answer").message;
        assert!(matches!(message, Message::Data(_)), "{:?}: {message:?}", shown.elapsed());
        (shown.elapsed() > Duration::from_secs(10)).then_some(())
    });
}

/// BT-3.2-6, BT-6.6-6: who was let in once isn't let in for ever, but may show a new ticket.
#[test]
fn a_request_after_the_end_of_its_ticket_is_refused_until_a_new_one_is_shown() {
    let sharing = Sharing::start(&[("notes.txt", b"abc")]);
    let ticket = sharing.ticket("notes.txt", 1_500);
    let mut stream = sharing.show(&sharing.device, &ticket, "notes.txt").expect("the ticket is good");
    let mut id = 0;
    let refused = wait_for("the ticket's end", Duration::from_secs(10), || {
        id += 1;
        stream.fetch(id, Encoding::Bincode, 0, 1).unwrap();
        match stream.receive().expect("an answer").message {
            Message::Reply(reply) => Some(reply),
            _ => None,
        }
    });
    assert!(id > 1, "before its end it is good");
    let Reply::Refused(refused) = refused else { panic!("{refused:?}") };
    assert_eq!((refused.code, RefusalCode::NO_TICKET), (RefusalCode(13), RefusalCode(13)));
    let mut renew = |ticket| {
        let message = Message::Renew(Renew { ticket });
        stream.send(Frame { request_id: 1, encoding: Encoding::Bincode, message }).unwrap();
        stream.receive().expect("an answer").message
    };
    for bad in [
        ticket,
        sharing.ticket("notes.txt", -1),
        sharing.index.ticket("alice", &sharing.device.public(), "name:other", LIFE_MS),
    ] {
        assert!(matches!(renew(bad), Message::Reply(Reply::Refused(_))));
    }
    assert!(matches!(renew(sharing.ticket("notes.txt", LIFE_MS)), Message::Renewed(_)));
    stream.fetch(1, Encoding::Bincode, 0, 1).unwrap();
    assert!(matches!(stream.receive().unwrap().message, Message::Data(_)));
}
