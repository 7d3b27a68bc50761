//! The two lists: members who are online, and the asker's own publications (BT-2.9).

use bittrickle_wire::messages::{Files, ListFiles, ListPeers, OwnFile, PeerEntry, Peers};
use bittrickle_wire::page::PageBuilder;
use bittrickle_wire::{FileName, MemberName};

use super::Index;
use super::requests::Asker;

impl Index {
    pub(super) fn list_peers(&self, asker: &Asker, list: &ListPeers) -> Peers {
        let mut page = PageBuilder::new(asker.encoding);
        for (member, sessions) in self.sessions.members_after(list.after.as_ref()) {
            if *member == asker.member {
                continue;
            }
            let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
            if page.push(PeerEntry { name: MemberName::clone(member), sessions }).is_err() {
                let next = page.last().map(|entry: &PeerEntry| entry.name.clone());
                return Peers { members: page.finish(), next };
            }
        }
        Peers { members: page.finish(), next: None }
    }

    pub(super) fn list_files(&self, asker: &Asker, list: &ListFiles) -> Files {
        let mut page = PageBuilder::new(asker.encoding);
        let start = match list.after.map(|after| after.checked_add(1)) {
            None => 0,
            Some(Some(start)) => start,
            Some(None) => return Files { files: page.finish(), next: None },
        };
        let mut last = None;
        for (number, name, publication) in self.publications.of_member_from(&asker.member, start..) {
            let sources = u32::try_from(self.sources(&asker.member, publication).count()).unwrap_or(u32::MAX);
            let file = OwnFile { name: FileName::clone(name), content: publication.content(), sources };
            if page.push(file).is_err() {
                return Files { files: page.finish(), next: last };
            }
            last = Some(number);
        }
        Files { files: page.finish(), next: None }
    }
}
