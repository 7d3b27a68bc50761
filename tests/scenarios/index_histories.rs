//! The index answers as its model does, over long random histories with restarts in between.

use crate::fuzz_corpora::properties;

/// BT-2.5-2, BT-2.6-8, BT-2.7-3: `BITTRICKLE_HISTORIES` says how many; each has some 200 steps.
#[test]
fn the_index_answers_as_its_model_does_whatever_happens() {
    let histories = std::env::var("BITTRICKLE_HISTORIES").map_or(400, |many| many.parse().expect("a number"));
    for history in 0..histories {
        let mut bytes = vec![0; 800];
        blake3::Hasher::new().update(&u64::to_be_bytes(history)).finalize_xof().fill(&mut bytes);
        // A restart now and then: these two bytes, where a step begins.
        for (place, byte) in bytes.iter_mut().enumerate().skip(1) {
            match place % 97 {
                0 => *byte = 1,
                1 => *byte |= 0x80,
                _ => {}
            }
        }
        // Shown only when the property panics.
        println!("history {history}");
        properties::index_steps(&bytes);
    }
}
