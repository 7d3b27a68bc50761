//! One file's record in the cache: what it was, what it was hashed to, and a checksum.

use bittrickle_wire::Root;
use bittrickle_wire::content::{CHAINING_VALUE_BYTES, Layout, ROOT_BYTES};

use super::hasher::Hashed;
use super::identity::Identity;

const IDENTITY_BYTES: usize = 3 * 8 + 2 * 16;

/// The record of the file at the path `key`: the identity, the root, the outline, and the hash of the key and all of them.
pub(super) fn encode(key: &[u8], identity: &Identity, hashed: &Hashed) -> Vec<u8> {
    let outline = hashed.outline.as_flattened();
    let mut record = Vec::with_capacity(IDENTITY_BYTES + 2 * ROOT_BYTES + outline.len());
    record.extend_from_slice(&identity_bytes(identity));
    record.extend_from_slice(hashed.root.as_bytes());
    record.extend_from_slice(outline);
    let checksum = checksum(key, &record);
    record.extend_from_slice(checksum.as_bytes());
    record
}

/// What the file at the path `key` was hashed to, if the record is whole and says so of a file of this identity.
pub(super) fn decode(key: &[u8], record: &[u8], identity: &Identity) -> Option<Hashed> {
    let (record, found_checksum) = record.split_last_chunk::<ROOT_BYTES>()?;
    let (found_identity, values) = record.split_first_chunk::<IDENTITY_BYTES>()?;
    // First what differs most often, and costs nothing to tell.
    if *found_identity != identity_bytes(identity) || checksum(key, record).as_bytes() != found_checksum {
        return None;
    }
    let (values, []) = values.as_chunks::<CHAINING_VALUE_BYTES>() else { return None };
    let (root, outline) = values.split_first()?;
    let layout = Layout::of_file(identity.file_bytes).ok()?;
    let fits = outline.len() == layout.outline_values() as usize;
    fits.then(|| Hashed { root: Root(bittrickle_wire::HexBytes(*root)), outline: outline.to_vec() })
}

fn identity_bytes(identity: &Identity) -> [u8; IDENTITY_BYTES] {
    let Identity { device, inode, file_bytes, modified_ns, changed_ns } = identity;
    let mut bytes = [0; IDENTITY_BYTES];
    let (numbers, times) = bytes.split_at_mut(3 * 8);
    for (field, number) in numbers.chunks_exact_mut(8).zip([device, inode, file_bytes]) {
        field.copy_from_slice(&number.to_be_bytes());
    }
    for (field, time) in times.chunks_exact_mut(16).zip([modified_ns, changed_ns]) {
        field.copy_from_slice(&time.to_be_bytes());
    }
    bytes
}

/// Of a disk that forgets, not of an attacker: who can write to the cache can write to the files.
fn checksum(key: &[u8], record: &[u8]) -> Root {
    Root::of(&[Root::of(key).as_bytes(), record].concat())
}

const _: () = assert!(CHAINING_VALUE_BYTES == ROOT_BYTES, "a root is read like a value");
