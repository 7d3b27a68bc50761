//! The index answers as its model does, over long random histories with restarts in between.

use crate::fuzz_corpora::properties;

/// BT-2.5-2, BT-2.6-8, BT-2.6-9, BT-2.7-3: `BITTRICKLE_HISTORIES` says how many; each has some 200 steps.
#[test]
fn the_index_answers_as_its_model_does_whatever_happens() {
    let histories = std::env::var("BITTRICKLE_HISTORIES").map_or(400, |many| many.parse().expect("a number"));
    for history in 0..histories {
        let mut bytes = vec![0; 800];
        blake3::Hasher::new().update(&u64::to_be_bytes(history)).finalize_xof().fill(&mut bytes);
        // Now and then the server itself does something: these two bytes, where a step begins.
        for place in (13..bytes.len() - 1).step_by(19) {
            bytes[place] = 1;
            bytes[place + 1] = BY_THE_SERVER[usize::from(bytes[place + 1]) % BY_THE_SERVER.len()];
        }
        // Shown only when the property panics.
        println!("history {history}");
        properties::index_steps(&bytes);
    }
}

/// BT-2.7-4, BT-2.7-7: the same with thousands of names.
#[test]
fn the_index_answers_as_its_model_does_however_many_names_there_are() {
    for history in 0..2_u64 {
        let mut bytes = [0; 200];
        blake3::Hasher::new().update(&history.to_be_bytes()).finalize_xof().fill(&mut bytes);
        println!("crowd {history}");
        properties::index_crowds(&bytes);
    }
}

/// BT-2.7-3, BT-6.2-9: more names have gone than have numbers that aren't used again.
#[test]
fn the_index_answers_as_its_model_does_when_numbers_are_used_again() {
    properties::index_abyss();
}

/// Restarts, with what is published read at once or later, with and without a member who is removed meanwhile; hours;
/// removals; a disk that is full for a while. What takes something away is rarer than what brings it back.
const BY_THE_SERVER: [u8; 24] = [
    0x80, 0x80, 0x80, 0xc1, 0x60, 0x60, 0x70, 0x70, 0x70, 0x70, 0x51, 0x51, 0x52, 0x52, 0x53, 0x53, 0x53,
    0x30, 0x40, 0x41, 0x42, 0x20, 0x20, 0x21,
];
