//! The original's run, replayed: the same bytes back, but where we deviate on purpose.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use bittrickle_tests::legacy_client::exchange;
use bittrickle_tests::server::Server;
use serde_json::Value;

use crate::{programs, project};

/// BT-4.1-1, BT-4.1-2, BT-4.2-1, BT-4.2-2, BT-4.2-3, BT-4.2-5, BT-4.2-6: each deviation is in the file, by name.
#[test]
fn the_originals_exchanges_get_the_originals_bytes_or_a_named_deviation() {
    let server = Server::start(&programs());
    let file = fs::read_to_string(project().join("spec/vectors/legacy-exchanges.json")).unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    let exchanges = file["exchanges"].as_array().unwrap();
    for entry in exchanges {
        if let Some(pause) = entry.get("pause_before_s") {
            // Not to wait for a state: the pause is part of the capture.
            sleep(Duration::from_secs_f64(pause.as_f64().unwrap()));
        }
        let expected = entry.get("ours").unwrap_or(&entry["response"]).as_str().unwrap();
        let answer = exchange(server.address(), entry["request"].as_str().unwrap().as_bytes());
        let answer = String::from_utf8(answer.expect("an answer")).unwrap();
        assert_eq!(answer, expected, "{}", entry["note"]);
    }
    let deviations = exchanges.iter().filter(|entry| entry.get("ours").is_some());
    assert_eq!((exchanges.len(), deviations.count()), (39, 14));
}
