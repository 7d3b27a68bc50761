//! What a connection is for, looked up again whenever it isn't what it was (BT-3.7-1).

use std::sync::Arc;

use bittrickle_wire::Target;
use bittrickle_wire::messages::RefusalCode;

use crate::share::{Holding, ReadError, Reader, Shares};

/// What a ticket is for, once it was asked for.
#[derive(Debug, Default)]
pub(super) struct Content {
    found: Option<(Arc<Holding>, Reader)>,
}

/// Why nothing of it is sent.
pub(super) type NotNow = (RefusalCode, &'static str);

/// It isn't what was hashed any more (BT-3.7-2).
pub(super) const CHANGED: NotNow =
    (RefusalCode::CHANGED, "the content has changed on disk; it is hashed again");

impl Content {
    /// What is on offer now. That costs nothing while it is still the same.
    pub(super) fn find(&mut self, shares: &Shares, target: &Target) -> Result<Arc<Holding>, NotNow> {
        let before = self.found.as_ref().map(|(holding, _)| holding);
        let holding = match before.filter(|holding| !holding.is_taken_back()) {
            Some(holding) => Arc::clone(holding),
            None => {
                let found = shares.find(target);
                let found = found.ok_or((RefusalCode::NOT_SHARED, "this content is not shared here"))?;
                // Under a name, something else may be on offer by now; whoever has a part of what it was isn't given that.
                if before.is_some_and(|before| before.layout != found.layout) {
                    return Err(CHANGED);
                }
                self.found = Some((Arc::clone(&found), Reader::new(Arc::clone(&found))));
                found
            }
        };
        if holding.is_changed() { Err(CHANGED) } else { Ok(holding) }
    }

    /// What was found last isn't what was hashed any more.
    pub(super) fn tell_changed(&self, shares: &Shares) {
        if let Some((holding, _)) = &self.found {
            shares.tell_changed(holding);
        }
    }

    /// Reads bytes of a file of what was found last.
    pub(super) fn read(&mut self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let (_, reader) = self.found.as_mut().ok_or(ReadError::TakenBack)?;
        reader.read(file, offset, buffer)
    }
}
