//! Withdrawing all that a member has published: of a million names a few at a time, so that nobody waits for it.

use std::sync::Arc;

use bittrickle_wire::messages::{RefusalCode, Refused};
use bittrickle_wire::{FileName, MemberName};

use super::{Edit, Index};

/// Names that are withdrawn in a row: some milliseconds of work.
const NAMES_AT_ONCE: usize = 1_024;

impl Index {
    /// Forgets a member: no session, no publication, also none that is still being read.
    pub fn remove_member(&mut self, member: &MemberName) {
        self.close_member(member);
        self.forget(member);
        self.disown(member);
    }

    /// Takes note of a new member. What is still being read under this name is of somebody who had it before: a server that
    /// was killed right after it had removed them may have kept it.
    pub fn add_member(&mut self, member: &MemberName) {
        self.disown(member);
    }

    /// What is still being read under this name is nobody's.
    fn disown(&mut self, member: &MemberName) {
        if self.is_loading {
            self.disowned.insert(member.clone());
        }
    }

    /// Whether there is something left to forget ([`Index::forget_more`]).
    #[must_use]
    pub fn is_forgetting(&self) -> bool {
        !self.forgetting.is_empty()
    }

    /// Goes on with what has been begun. To be called between requests, as long as there is something.
    pub fn forget_more(&mut self) {
        let Some(member) = self.forgetting.front().cloned() else { return };
        if self.end_publications(&member, NAMES_AT_ONCE) {
            self.forgetting.pop_front();
        }
    }

    /// Withdraws all that a member has published: a little at once, and the rest later. For good, from the first moment.
    pub(super) fn forget(&mut self, member: &MemberName) {
        let member = Arc::new(member.clone());
        self.offline_hours.remove(&member);
        self.note(|| Edit::Forget { member: Arc::clone(&member) });
        if !self.end_publications(&member, NAMES_AT_ONCE) {
            // Somebody who has got the name while publications were read logs in again, and waits: what they published now
            // would be withdrawn with the rest.
            self.close_member(&member);
            self.forgetting.push_back(member);
        }
    }

    /// Somebody who has got the name of a member who is being forgotten has to wait until that is done.
    pub(super) fn refuse_while_forgetting(&self, member: &MemberName) -> Result<(), Refused> {
        if self.forgetting.iter().any(|other| **other == *member) {
            let sentence =
                "what was published under this member's name is being withdrawn; ask again in a moment";
            return Err(Refused::new(RefusalCode::TOO_FAST, sentence));
        }
        Ok(())
    }

    /// Withdraws so many publications of a member. Says whether these were all.
    fn end_publications(&mut self, member: &MemberName, names_max: usize) -> bool {
        let own = self.publications.of_member_from(member, 0..);
        let names: Vec<FileName> = own.take(names_max).map(|(_, name, _)| name.clone()).collect();
        for name in &names {
            self.end_publication(member, name);
        }
        self.publications.count_of(member) == 0
    }
}
