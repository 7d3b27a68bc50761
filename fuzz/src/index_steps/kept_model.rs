//! What the model keeps when the server ends, how it is read again, and when it is forgotten (BT-2.6-8, BT-2.6-9).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bittrickle_wire::{Content, FileName, MemberName};

use super::FORGOTTEN_AT_ONCE;
use super::model::Model;

/// What had been published before the server was started.
pub(super) struct Unread {
    publications: BTreeMap<MemberName, BTreeMap<FileName, Content>>,
    offline_hours: BTreeMap<MemberName, u32>,
    /// Members who aren't any more.
    removed: BTreeSet<MemberName>,
}

impl Model {
    /// Only publications stay, and for how long their members have been offline. They have still to be read.
    pub(super) fn restart(&mut self, now: Duration) {
        let Self { publications, offline_hours, unread, .. } =
            std::mem::replace(self, Self::new(self.limits));
        self.started = now;
        let mut unread = unread.unwrap_or(Unread { publications, offline_hours, removed: BTreeSet::new() });
        for member in std::mem::take(&mut unread.removed) {
            unread.publications.remove(&member);
            unread.offline_hours.remove(&member);
        }
        self.unread = Some(unread);
    }

    /// The publications have been read. They get their numbers anew: by member, then name. Those of members who have been
    /// removed go at once.
    pub(super) fn read(&mut self) {
        let Some(Unread { publications, offline_hours, removed }) = self.unread.take() else { return };
        let is_long = |own: &BTreeMap<_, _>| own.len() > FORGOTTEN_AT_ONCE;
        let is_slow = |member: &&MemberName| publications.get(*member).is_some_and(is_long);
        let slow: BTreeSet<_> = removed.iter().filter(is_slow).collect();
        // Who has got such a name meanwhile has to log in again when all of it is gone.
        self.end(|session| slow.contains(&session.member));
        for (member, own) in publications {
            own.into_iter().for_each(|(name, content)| self.add(name, &member, content));
        }
        self.offline_hours = offline_hours;
        removed.iter().for_each(|member| self.forget(member));
        self.end_absences();
    }

    /// Whether publications are being read.
    pub(super) fn is_reading(&self) -> bool {
        self.unread.is_some()
    }

    /// Nobody is this member any more. Whoever gets the name later has published nothing.
    pub(super) fn remove_member(&mut self, member: &MemberName) {
        self.close_member(member);
        self.forget(member);
        if let Some(unread) = &mut self.unread {
            unread.removed.insert(member.clone());
        }
    }

    pub(super) fn close_member(&mut self, member: &MemberName) {
        self.end(|session| session.member == *member);
    }

    /// Counts an hour of who is offline (BT-2.6-9). Gives those who have been for too long, and publish nothing any more.
    pub(super) fn pass_hour(&mut self, hours_max: u32) -> BTreeSet<MemberName> {
        let owners: Vec<MemberName> = self.publications.keys().cloned().collect();
        for owner in owners {
            if !self.is_online(&owner) {
                *self.offline_hours.entry(owner).or_default() += 1;
            }
        }
        let is_too_long = |(_, hours): &(&MemberName, &u32)| **hours > hours_max;
        let forgotten: BTreeSet<MemberName> =
            self.offline_hours.iter().filter(is_too_long).map(|(member, _)| member.clone()).collect();
        forgotten.iter().for_each(|member| self.forget(member));
        forgotten
    }

    /// Who is online has been offline for no hour.
    pub(super) fn end_absences(&mut self) {
        let sessions = &self.sessions;
        self.offline_hours.retain(|member, _| !sessions.iter().any(|session| session.member == *member));
    }

    fn is_online(&self, member: &MemberName) -> bool {
        self.sessions.iter().any(|session| session.member == *member)
    }

    fn forget(&mut self, member: &MemberName) {
        let own = self.publications.get(member).cloned().unwrap_or_default();
        // Their numbers become free in their order.
        let by_number: BTreeMap<u32, &FileName> = own.keys().map(|name| (self.number(name), name)).collect();
        by_number.into_values().for_each(|name| self.withdraw(name, member));
        self.offline_hours.remove(member);
    }
}
