//! Waiting for the other side of a transfer, but not for ever.

use std::time::Instant;

use tokio::time::timeout_at;

use crate::transfer::{RateFloor, TooSlow};

/// Waits for a step of a transfer while it keeps up its lowest rate.
pub(super) async fn keep_pace<T>(floor: &mut RateFloor, step: impl Future<Output = T>) -> Result<T, TooSlow> {
    tokio::pin!(step);
    loop {
        match timeout_at(floor.window_end().into(), &mut step).await {
            Ok(done) => return Ok(done),
            Err(_) => floor.check(Instant::now())?,
        }
    }
}
