//! What is still published of the asker's member, and offering it again without saying all of it (BT-2.13).

use bittrickle_wire::messages::{Recall, Recalled, Resume, Resumed};
use bittrickle_wire::page::PageBuilder;
use bittrickle_wire::{Content, FileName, Hex64};

use super::Index;
use super::requests::{Asker, digest_of};

impl Index {
    /// The digests of the member's publications, from one on (BT-2.13-1).
    pub(super) fn recall(&self, asker: &Asker, recall: &Recall) -> Recalled {
        let publications = u32::try_from(self.publications.count_of(&asker.member)).unwrap_or(u32::MAX);
        let mut page = PageBuilder::new(asker.encoding);
        for (_, name, publication) in self.publications.of_member_from_rank(&asker.member, recall.rank) {
            if page.push(recalled_digest(name, publication.content())).is_err() {
                break;
            }
        }
        Recalled { publications, digests: page.finish() }
    }

    /// The session offers what is chosen, as it was published last; or nothing more, if that isn't what was meant
    /// (BT-2.13-3). No publication changes, so that there is nothing to make durable.
    pub(super) fn resume(&mut self, asker: &Asker, resume: &Resume) -> Resumed {
        let chosen = self.chosen(asker, resume);
        let is_resumed = chosen.is_some();
        for (number, digest) in chosen.into_iter().flatten() {
            self.resume_one(asker, number, digest);
        }
        let session = self.sessions.session(asker.session).expect("the asker has just been found");
        Resumed { offered: session.pulse.offered(), is_resumed }
    }

    /// The numbers of the chosen names, each with its digest; unless one isn't there, or their sum isn't the one that was
    /// named.
    fn chosen(&self, asker: &Asker, resume: &Resume) -> Option<Vec<(u32, u64)>> {
        let mut chosen = Vec::new();
        let mut sum = 0_u64;
        let mut publications = (0..).zip(self.publications.of_member_from_rank(&asker.member, resume.rank));
        for place in resume.chosen.places() {
            let (_, (number, name, publication)) = publications.find(|(other, _)| *other == place)?;
            let content = publication.content();
            content.file_bytes?;
            let digest = digest_of(name, content);
            sum = sum.wrapping_add(digest);
            chosen.push((number, digest));
        }
        (sum == resume.digest.0).then_some(chosen)
    }

    fn resume_one(&mut self, asker: &Asker, number: u32, digest: u64) {
        let is_open = |id| self.sessions.is_open(id);
        let before = self.publications.resume(number, &asker.member, asker.session, is_open);
        let name = self.publications.names().entry(number).map(|entry| &entry.name);
        let before = before.zip(name).map(|(before, name)| digest_of(name, before));
        let session = self.sessions.session_mut(asker.session).expect("the asker has just been found");
        session.add_offer(number, before, digest);
    }
}

/// What a publication is recalled by (BT-2.13-2).
fn recalled_digest(name: &FileName, content: Content) -> Hex64 {
    if content.file_bytes.is_some() { Hex64(digest_of(name, content)) } else { Recalled::UNSIZED }
}
