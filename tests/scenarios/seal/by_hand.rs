//! Sealing as the specification says it, without the crate's own cipher: what a program with other manners could seal, and
//! a second opinion on nonces and associated data.

use bittrickle_wire::limits::HEADER_BYTES;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

const SEALED: u8 = 0x03;

/// A sealed record with any text, for a stream.
pub(super) fn record(key: &[u8], counter: u64, text: &[u8]) -> Vec<u8> {
    let head = header(0, text.len() + 16);
    seal(key, counter, &head, text)
}

/// A sealed datagram with any text and any counter.
pub(super) fn datagram(key: &[u8], index: u32, counter: u64, text: &[u8]) -> Vec<u8> {
    let head = [&header(index, 8 + text.len() + 16)[..], &counter.to_be_bytes()].concat();
    seal(key, counter, &head, text)
}

/// Opens what stands behind `head_bytes`, with these as associated data.
pub(super) fn open(key: &[u8], counter: u64, head_bytes: usize, sealed: &[u8]) -> Vec<u8> {
    let (head, sealed) = sealed.split_at(head_bytes);
    let mut text = sealed.to_vec();
    let opened = ready(key).open_in_place(nonce(counter), Aad::from(head), &mut text).unwrap();
    opened.to_vec()
}

/// The key that follows: what sealing 32 zeros with the highest nonce gives, without the tag (BT-6.6-4).
pub(super) fn next_key(key: &[u8]) -> Vec<u8> {
    let mut zeros = vec![0; 32];
    let _tag = ready(key).seal_in_place_separate_tag(nonce(u64::MAX), Aad::empty(), &mut zeros).unwrap();
    zeros
}

fn seal(key: &[u8], counter: u64, head: &[u8], text: &[u8]) -> Vec<u8> {
    let mut sealed = text.to_vec();
    ready(key).seal_in_place_append_tag(nonce(counter), Aad::from(head), &mut sealed).unwrap();
    [head, &sealed].concat()
}

fn header(index: u32, payload_bytes: usize) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&[0xb7, 1, SEALED, 2]);
    header[4..8].copy_from_slice(&index.to_be_bytes());
    header[8..].copy_from_slice(&u32::try_from(payload_bytes).unwrap().to_be_bytes());
    header
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn ready(key: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap())
}
