//! AES-256-GCM, and the only file that names `ring` (BT-6.5-2).

use std::ops::RangeFrom;

use bytes::BytesMut;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::keys::KEY_BYTES;
use super::session_keys::CipherKey;

/// Bytes that sealing adds.
pub const TAG_BYTES: usize = 16;

/// What was sealed was sealed with another key, or was changed on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the tag is wrong")]
pub struct BadTag;

/// A cipher for datagrams, chosen by type and never at run time. The product has one, [`Aes256Gcm`]; a benchmark brings
/// another to see what this one costs.
pub trait Cipher: Send + Sync + 'static {
    /// Seals what stands in `text` from `start` on, and appends the tag.
    fn seal(key: &CipherKey, counter: u64, associated: &[u8], text: &mut BytesMut, start: usize);

    /// Opens `sealed`, which ends with its tag, where it lies: says which of its bytes are the text.
    ///
    /// # Errors
    /// The tag is wrong; what `sealed` holds then is of no use.
    fn open<'a>(
        key: &CipherKey,
        counter: u64,
        associated: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8], BadTag>;
}

/// AES with a key of 256 bits in Galois/Counter Mode (NIST SP 800-38D), its nonce as Noise has it: four zero bytes and
/// the counter, big-endian.
#[derive(Clone, Copy, Debug)]
pub struct Aes256Gcm;

/// A key that is ready to be used many times. A session keeps the bare key instead, which is a tenth of the size.
pub(super) struct ReadyKey(LessSafeKey);

impl Cipher for Aes256Gcm {
    fn seal(key: &CipherKey, counter: u64, associated: &[u8], text: &mut BytesMut, start: usize) {
        ReadyKey::new(key).seal(counter, associated, text, start);
    }

    fn open<'a>(
        key: &CipherKey,
        counter: u64,
        associated: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8], BadTag> {
        ReadyKey::new(key).open_within(counter, associated, sealed, 0..)
    }
}

impl ReadyKey {
    pub(super) fn new(key: &CipherKey) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, &key.0).expect("the key has the cipher's length");
        Self(LessSafeKey::new(key))
    }

    pub(super) fn seal(&self, counter: u64, associated: &[u8], text: &mut BytesMut, start: usize) {
        let sealed =
            self.0.seal_in_place_separate_tag(nonce(counter), Aad::from(associated), &mut text[start..]);
        let tag = sealed.expect("a record is far shorter than the cipher allows");
        text.extend_from_slice(tag.as_ref());
    }

    /// Seals what stands before the last [`TAG_BYTES`] of `sealed`, and writes the tag there.
    pub(super) fn seal_in_place(&self, counter: u64, associated: &[u8], sealed: &mut [u8]) {
        let (text, room) = sealed.split_at_mut(sealed.len() - TAG_BYTES);
        let tag = self.0.seal_in_place_separate_tag(nonce(counter), Aad::from(associated), text);
        room.copy_from_slice(tag.expect("a record is far shorter than the cipher allows").as_ref());
    }

    /// Opens what stands from `sealed` on, and puts the text, without its tag, at the start of `room`.
    pub(super) fn open_within<'a>(
        &self,
        counter: u64,
        associated: &[u8],
        room: &'a mut [u8],
        sealed: RangeFrom<usize>,
    ) -> Result<&'a [u8], BadTag> {
        let opened = self.0.open_within(nonce(counter), Aad::from(associated), room, sealed);
        opened.map(|text| &*text).map_err(|_| BadTag)
    }

    pub(super) fn open(&self, counter: u64, associated: &[u8], sealed: &mut BytesMut) -> Result<(), BadTag> {
        let bytes = self.open_within(counter, associated, sealed, 0..)?.len();
        sealed.truncate(bytes);
        Ok(())
    }
}

/// The key that follows this one (Noise, section 4.2, REKEY).
pub(super) fn next_key(key: &CipherKey) -> CipherKey {
    let mut zeros = [0; KEY_BYTES];
    let sealed = ReadyKey::new(key).0.seal_in_place_separate_tag(nonce(u64::MAX), Aad::empty(), &mut zeros);
    let _tag = sealed.expect("32 bytes are few");
    CipherKey(zeros)
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[NONCE_LEN - 8..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}
