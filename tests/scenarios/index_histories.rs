//! The index answers as its model does, over long random histories with restarts in between.

use crate::fuzz_corpora::properties;

/// BT-2.5-2, BT-2.6-8, BT-2.6-9, BT-2.7-3: `BITTRICKLE_HISTORIES` says how many; each has some 200 steps.
#[test]
fn the_index_answers_as_its_model_does_whatever_happens() {
    for history in 0..histories() {
        // Shown only when the property panics.
        println!("history {history}");
        // One in four as a fuzzer would begin.
        let property = if history % 4 == 0 { properties::index_steps } else { properties::index_history };
        property(&random(history, 1_000));
    }
}

/// BT-2.7-4, BT-2.7-7: the same with thousands of names, one history for 400 others.
#[test]
fn the_index_answers_as_its_model_does_however_many_names_there_are() {
    for history in 0..histories().div_ceil(400) {
        println!("crowd {history}");
        properties::index_crowds(&random(history, 140));
    }
}

/// BT-2.7-3, BT-6.2-9: more names have gone than there are numbers that aren't used again.
#[test]
fn the_index_answers_as_its_model_does_when_numbers_are_used_again() {
    properties::index_abyss();
}

fn histories() -> u64 {
    std::env::var("BITTRICKLE_HISTORIES").map_or(400, |many| many.parse().expect("a number"))
}

fn random(history: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    blake3::Hasher::new().update(&history.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
