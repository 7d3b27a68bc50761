//! Who is let in: with a handshake for this peer's key, and a ticket of the index for its device and the name it wants.

use std::io::Write as _;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use bittrickle_tests::noise::secret_key;
use bittrickle_tests::peer::Peer;
use bittrickle_tests::sealed_stream::{INITIATE_BYTES, initiate};
use bittrickle_tests::wait::wait_until;
use bittrickle_wire::messages::RefusalCode;
use bittrickle_wire::seal::{TICKET_BYTES, Ticket};
use bittrickle_wire::{Encoding, HexBytes, Message};

use super::{LIFE_MS, Sharing, refusal, rest_of};
use crate::programs;

/// BT-6.6-6: a connection is for what its ticket is for: nothing in a request says otherwise.
#[test]
fn a_ticket_for_a_content_that_is_not_shared_lets_in_and_gets_nothing() {
    let sharing = Sharing::start(&[("shared", b"abc"), ("other", b"def")]);
    let target = format!("root:{}", "ab".repeat(32));
    let ticket = sharing.index.ticket("alice", &sharing.device.public(), &target, LIFE_MS);
    let mut stream = sharing.show_for(&sharing.device, &ticket, &target).unwrap();
    stream.fetch(3, Encoding::Json, 0, 1).unwrap();
    let refused = stream.receive();
    let asked = refused.as_ref().map(|frame| (frame.request_id, frame.encoding));
    assert_eq!(asked, Some((3, Encoding::Json)));
    assert_eq!(refusal(refused), RefusalCode::NOT_SHARED);
}

/// BT-6.1-1, BT-6.6-2, BT-1.1-2: nobody gets a byte who doesn't begin with a handshake, and nobody is waited for who
/// begins otherwise.
#[test]
fn a_connection_that_begins_with_anything_but_a_handshake_gets_no_byte() {
    let mut sharing = Sharing::start(&[("shared", b"abc")]);
    let fetch = [&[0xb7, 1, 0x41, 1, 0, 0, 0, 1, 0, 0, 0, 3][..], &[2, 0, 1]].concat();
    let mut huge = vec![0xb7, 1, 0x40, 1, 0, 0, 0, 1];
    huge.extend_from_slice(&[0xff; 4]);
    let beginnings: [&[u8]; 8] = [
        &fetch,
        &huge,
        // Another version; an `Initiate` as it is over UDP; one in another encoding; one with a request id.
        &[0xb7, 2, 0x40, 1, 0, 0, 0, 1, 0, 0, 0, 0],
        &[0xb7, 1, 0x02, 2, 0, 0, 0, 0, 0, 0, 0, 244],
        &[0xb7, 1, 0x02, 1, 0, 0, 0, 0, 0, 0, 1, 0x86],
        &[0xb7, 1, 0x02, 2, 0, 0, 0, 1, 0, 0, 1, 0x86],
        b"HELLO",
        b"{\"type\": \"lap\"}",
    ];
    let started = Instant::now();
    for bytes in beginnings {
        let mut stream = sharing.connect();
        stream.write_all(bytes).unwrap();
        assert_eq!(rest_of(&mut stream), b"", "{bytes:02x?}");
    }
    assert!(started.elapsed() < Duration::from_secs(4), "each is closed at once");
    assert_eq!(sharing.turned_away(), "6 handshakes, 0 tickets");

    let mut cut = sharing.connect();
    cut.write_all(&[0xb7, 1, 0x02]).unwrap();
    cut.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest_of(&mut cut), b"");
}

/// BT-6.6-2, BT-6.7-3, BT-6.7-4: for another device, another name or another source; ended, good for too long, or nonsense.
#[test]
fn a_ticket_that_is_not_good_opens_nothing() {
    let mut sharing = Sharing::start(&[("shared", b"abc"), ("other", b"def")]);
    let bob = Peer::start(&programs(), &sharing.index, "bob", "builder", &[]);
    let (own, eve) = (sharing.device.clone(), secret_key());
    let good = sharing.ticket("shared", LIFE_MS);
    let mut changed = [good; TICKET_BYTES];
    changed.iter_mut().enumerate().for_each(|(index, ticket)| ticket.0.0[index] ^= 1);
    let bobs = sharing.index.ticket("bob", &own.public(), &sharing.target("shared"), LIFE_MS);
    let mut cases = vec![
        (eve.clone(), good, "shared", "it is another device's"),
        (own.clone(), good, "other", "it is for another name"),
        (own.clone(), bobs, "shared", "it is for another source"),
        (own.clone(), sharing.ticket("shared", -1), "shared", "it has ended"),
        (own.clone(), sharing.ticket("shared", -LIFE_MS), "shared", "it has ended long ago"),
        (own.clone(), sharing.ticket("shared", 310_000), "shared", "it is good for too long"),
        (own.clone(), Ticket(HexBytes([0; TICKET_BYTES])), "shared", "it is nonsense"),
    ];
    cases.extend(changed.map(|ticket| (own.clone(), ticket, "shared", "it was changed")));
    let count = cases.len();
    for (device, ticket, name, what) in cases {
        assert!(sharing.show(&device, &ticket, name).is_none(), "{what}");
    }
    assert_eq!(sharing.turned_away(), format!("0 handshakes, {count} tickets"));
    let mut stream = sharing.show(&own, &good, "shared").expect("nobody has used it up");
    stream.fetch(1, Encoding::Bincode, 0, 1).unwrap();
    assert!(matches!(stream.receive().unwrap().message, Message::Data(_)));
    drop(bob);
}

/// BT-6.7-5
#[test]
fn a_ticket_opens_the_door_once() {
    let mut sharing = Sharing::start(&[("shared", b"abc")]);
    let ticket = sharing.ticket("shared", LIFE_MS);
    let device = sharing.device.clone();
    let first = sharing.show(&device, &ticket, "shared").expect("it is good");
    assert!(sharing.show(&device, &ticket, "shared").is_none(), "while the first connection stands");
    drop(first);
    assert!(sharing.show(&device, &ticket, "shared").is_none(), "and when it has gone");
    assert_eq!(sharing.turned_away(), "0 handshakes, 2 tickets");

    // Whoever has heard the whole of it on the network gets no further: the handshake can't be shown twice either.
    let ticket = sharing.ticket("shared", LIFE_MS);
    let (_, heard) = initiate(&device, &sharing.provider, &ticket, &sharing.target("shared"));
    for is_first in [true, false] {
        let mut stream = sharing.connect();
        stream.write_all(&heard).unwrap();
        // The other side may have closed already.
        let _ = stream.shutdown(Shutdown::Write);
        assert_eq!(rest_of(&mut stream).is_empty(), !is_first);
    }
    assert_eq!(sharing.turned_away(), "0 handshakes, 3 tickets");
}

/// BT-6.6-2, BT-6.3-4, BT-6.3-6
#[test]
fn a_handshake_for_another_key_or_with_a_bad_name_gets_no_byte_and_is_counted() {
    let mut sharing = Sharing::start(&[("shared", b"abc")]);
    let (ticket, device) = (sharing.ticket("shared", LIFE_MS), sharing.device.clone());
    let (_, mut changed) = initiate(&device, &sharing.provider, &ticket, &sharing.target("shared"));
    changed[100] ^= 1;
    let mut attempts =
        vec![initiate(&device, &secret_key().public(), &ticket, &sharing.target("shared")).1, changed];
    for target in
        ["", "shared", "name:", "name:../shared", "name:a/b", "name:e\u{301}", "root:00", "root:NUL"]
    {
        let ticket = sharing.index.ticket("alice", &device.public(), target, LIFE_MS);
        attempts.push(initiate(&device, &sharing.provider, &ticket, target).1);
    }
    let count = attempts.len();
    for attempt in attempts {
        assert_eq!(attempt.len(), INITIATE_BYTES);
        let mut stream = sharing.connect();
        stream.write_all(&attempt).unwrap();
        assert_eq!(rest_of(&mut stream), b"");
    }
    assert_eq!(sharing.turned_away(), format!("{count} handshakes, 0 tickets"));
    assert!(sharing.show(&device, &ticket, "shared").is_some());
}

/// BT-6.7-6: the index makes tickets with the keys of a device's newest session, and older ones are still on their way.
#[test]
fn tickets_of_the_session_before_are_good_after_a_new_handshake() {
    let sharing = Sharing::start(&[("shared", b"abc")]);
    let (older, handshakes) = (sharing.ticket("shared", LIFE_MS), sharing.index.handshakes());
    sharing.index.forget_sessions();
    wait_until("there is a new handshake", || sharing.index.handshakes() > handshakes);
    wait_until("a ticket of the new session is good", || {
        let ticket = sharing.ticket("shared", LIFE_MS);
        sharing.show(&sharing.device, &ticket, "shared").is_some()
    });
    assert!(sharing.show(&sharing.device, &older, "shared").is_some());
}
