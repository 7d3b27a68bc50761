//! Every scenario, in one binary: what `spec/` says, seen through the public door.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attacks;
mod backup;
mod channel;
mod command_line;
mod content_vectors;
mod durability;
mod folders;
mod framing;
mod fuzz_corpora;
mod hostile_index;
mod hostile_names;
mod hostile_source;
mod index_histories;
mod index_rules;
mod joining;
mod kept_folders;
mod legacy_directions;
mod legacy_exchanges;
mod legacy_rules;
mod members;
mod publishing;
mod purity;
mod recalling;
mod reference_client;
mod responder;
mod seal;
mod secrets;
mod session;
mod sharing;
mod source;
mod specification;
mod transfers;
mod uploads;
mod values;
mod vectors;

/// The binary that holds server and peer.
fn programs() -> bittrickle_tests::process::Programs {
    bittrickle_tests::process::Programs::at(env!("CARGO_BIN_EXE_bittrickle-program"))
}

/// The project's top folder.
fn project() -> std::path::PathBuf {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ is in the project").to_owned()
}
