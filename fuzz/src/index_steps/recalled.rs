//! What the index must answer to who asks what it still knows, and to who offers that again (BT-2.13).

use bittrickle_wire::messages::{Offer, Recall, Request, Resume, offer_digest};
use bittrickle_wire::seal::PublicKey;
use bittrickle_wire::{Content, FileName, Hex64, MemberName};

use super::model::{Answer, Model, count};

impl Model {
    /// A step can't know digests: it says by how much the right one is to be missed.
    pub(super) fn complete(&self, asker: &MemberName, request: Request) -> Request {
        let Request::Resume(Resume { rank, chosen, digest: Hex64(missed) }) = request else { return request };
        let own = self.own(asker);
        let places = chosen.places().filter_map(|place| own.get(place as usize + rank as usize));
        let sum = places.filter_map(digest_of).fold(missed, u64::wrapping_add);
        Request::Resume(Resume { rank, chosen, digest: Hex64(sum) })
    }

    pub(super) fn recall(&self, asker: &MemberName, recall: &Recall) -> Answer {
        let own = self.own(asker);
        let digests = own.iter().map(|publication| Hex64(digest_of(publication).unwrap_or(0)));
        Answer::Recalled {
            publications: count(own.iter()),
            digests: digests.skip(recall.rank as usize).collect(),
        }
    }

    pub(super) fn resume(&mut self, from: PublicKey, asker: &MemberName, resume: &Resume) -> Answer {
        let own = self.own(asker);
        let places = resume.chosen.places().map(|place| place as usize + resume.rank as usize);
        let chosen: Option<Vec<_>> = places.map(|place| own.get(place).copied()).collect();
        let chosen = chosen.filter(|chosen| {
            let digests: Option<Vec<u64>> = chosen.iter().map(digest_of).collect();
            digests.is_some_and(|digests| digests.into_iter().fold(0, u64::wrapping_add) == resume.digest.0)
        });
        let is_resumed = chosen.is_some();
        let chosen: Vec<(FileName, Content)> =
            chosen.into_iter().flatten().map(|(_, name, content)| (name.clone(), content)).collect();
        self.offers.entry(from).or_default().extend(chosen);
        Answer::Resumed { offered: self.offered(from), is_resumed }
    }

    /// What a member has published last, by the numbers of the names.
    pub(super) fn own(&self, member: &MemberName) -> Vec<(u32, &FileName, Content)> {
        let own = self.publications.get(member).into_iter().flatten();
        let mut own: Vec<_> = own.map(|(name, content)| (self.number(name), name, *content)).collect();
        own.sort_by_key(|(number, ..)| *number);
        own
    }
}

/// The digest of an offer of this, if there can be one.
fn digest_of((_, name, content): &(u32, &FileName, Content)) -> Option<u64> {
    let Content { file_bytes, root, is_folder } = *content;
    let name = FileName::clone(name);
    Some(offer_digest(&Offer { name, file_bytes: file_bytes?, root, is_folder }))
}
