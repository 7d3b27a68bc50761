//! What a connection is for, looked up again whenever it isn't what it was (BT-3.7-1).

use std::borrow::Cow;
use std::sync::Arc;

use bittrickle_wire::messages::RefusalCode;
use bittrickle_wire::{Target, escaped};

use crate::share::{Holding, ReadError, Reader, Shares};

/// What a ticket is for, once it was asked for.
#[derive(Debug, Default)]
pub(super) struct Content {
    found: Option<(Arc<Holding>, Reader)>,
}

/// Why nothing of it is sent.
pub(super) type NotNow = (RefusalCode, Cow<'static, str>);

/// It isn't what was hashed any more (BT-3.7-2). Of a folder the taker hears which file it is.
pub(super) fn changed(holding: &Holding) -> NotNow {
    let sentence = match holding.changed_path() {
        Some(path) => {
            format!("the content has changed on disk ({}); it is hashed again", escaped(path).cut(80)).into()
        }
        None => "the content has changed on disk; it is hashed again".into(),
    };
    (RefusalCode::CHANGED, sentence)
}

impl Content {
    /// What is on offer now. That costs nothing while it is still the same.
    pub(super) fn find(&mut self, shares: &Shares, target: &Target) -> Result<Arc<Holding>, NotNow> {
        let before = self.found.as_ref().map(|(holding, _)| holding);
        let holding = match before.filter(|holding| !holding.is_taken_back()) {
            Some(holding) => Arc::clone(holding),
            None => {
                let found = shares.find(target);
                let found =
                    found.ok_or((RefusalCode::NOT_SHARED, "this content is not shared here".into()))?;
                // Under a name, something else may be on offer by now; whoever has a part of what it was isn't given that.
                if let Some(before) = before.filter(|before| before.layout != found.layout) {
                    return Err(changed(before));
                }
                self.found = Some((Arc::clone(&found), Reader::new(Arc::clone(&found))));
                found
            }
        };
        if holding.is_changed() { Err(changed(&holding)) } else { Ok(holding) }
    }

    /// What was read last isn't what was hashed any more. Gives what is said of that.
    pub(super) fn tell_changed(&self, shares: &Shares) -> Option<NotNow> {
        let (holding, reader) = self.found.as_ref()?;
        shares.tell_changed(holding, reader.last());
        Some(changed(holding))
    }

    /// Reads bytes of a file of what was found last.
    pub(super) fn read(&mut self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let (_, reader) = self.found.as_mut().ok_or(ReadError::TakenBack)?;
        reader.read(file, offset, buffer)
    }
}
