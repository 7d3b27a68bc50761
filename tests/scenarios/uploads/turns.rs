//! Whose turn it is when all upload slots are taken.

use std::fs::File;

use bittrickle_wire::messages::{Describe, RefusalCode};
use bittrickle_wire::{Encoding, Frame, Message};

use super::{Sharing, refusal};

/// BT-3.7-5, BT-3.3-4: who finds no slot free waits in line, and only for a while.
#[test]
fn a_slot_that_becomes_free_goes_to_who_has_waited_longest() {
    let mut sharing = Sharing::start(&[]);
    // Large enough that no socket buffer swallows it: each taker keeps its slot until it reads.
    File::create(sharing.alice.path("big")).unwrap().set_len(63 << 20).unwrap();
    sharing.alice.publish("big");
    let target = sharing.target("big");
    let mut takers = sharing.take_all_slots(&target);
    let (mut first, mut second) = (sharing.enter_for(&target), sharing.enter_for(&target));
    for late in [&mut first, &mut second] {
        let message = Message::Describe(Describe {});
        late.send(Frame { request_id: 1, encoding: Encoding::Bincode, message }).unwrap();
        late.fetch(2, Encoding::Bincode, 0, 63).unwrap();
        let answer = late.receive().expect("an answer").message;
        assert!(matches!(answer, Message::Described(_)), "what needs no slot waits for none: {answer:?}");
    }
    drop(takers.pop());
    let answer = first.receive().expect("its turn comes").message;
    assert!(matches!(answer, Message::Data(_)), "{answer:?}");
    assert_eq!(refusal(second.receive()), RefusalCode::BUSY, "there was one slot, and the first has it");
    second.fetch(3, Encoding::Bincode, 0, 1).unwrap();
    drop(takers.pop());
    let answer = second.receive().expect("its turn comes").message;
    assert!(matches!(answer, Message::Data(_)), "{answer:?}");
}
