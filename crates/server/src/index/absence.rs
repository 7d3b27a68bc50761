//! For how long members who have publications have been offline, counted in hours in which the index runs (BT-2.6-9).

use std::sync::Arc;

use bittrickle_wire::MemberName;

use super::{Edit, Index};

impl Index {
    /// Another hour has passed. Members who have publications and have been offline for more than so many hours on end publish
    /// nothing any more. Only hours count in which the index runs: no wrong clock makes anybody old. Says who that was.
    pub fn pass_hour(&mut self, hours_max: u32) -> Vec<Arc<MemberName>> {
        let mut forgotten = Vec::new();
        let is_absent =
            |member: &&Arc<MemberName>| !self.is_online(member) && !self.forgetting.contains(member);
        let absent: Vec<_> = self.publications.members().filter(is_absent).cloned().collect();
        for member in absent {
            let hours = self.offline_hours.get(&member).copied().unwrap_or(0).saturating_add(1);
            if hours > hours_max {
                self.forget(&member);
                forgotten.push(member);
            } else {
                self.offline_hours.insert(Arc::clone(&member), hours);
                self.note(|| Edit::Offline { member, hours });
            }
        }
        forgotten
    }

    /// The member is online: however long that lasts, the hours before count no more.
    pub(super) fn end_absence(&mut self, member: &Arc<MemberName>) {
        if self.offline_hours.remove(member).is_some() {
            self.note(|| Edit::Offline { member: Arc::clone(member), hours: 0 });
        }
    }

    /// The same for all who are online.
    pub(super) fn end_absences(&mut self) {
        let online: Vec<_> =
            self.offline_hours.keys().filter(|member| self.is_online(member)).cloned().collect();
        online.iter().for_each(|member| self.end_absence(member));
    }

    fn is_online(&self, member: &MemberName) -> bool {
        self.sessions.of_member(member).next().is_some()
    }
}
