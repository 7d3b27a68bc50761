//! bincode payloads, and the only file that knows the `bincode` crate (BT-1.5-3).
//!
//! `bincode` is pinned to 2.0.1 and has no maintainer any more (RUSTSEC-2025-0141; see `deny.toml`). Golden vectors
//! pin every byte it writes, so that it can be replaced. Its traps, read in its source, and what keeps them shut:
//!
//! * without a limit a length can ask for any amount of memory: [`CONFIG`] has one, and lists and texts test their
//!   own bound before they reserve;
//! * bytes after the value are ignored: [`decode`] wants all of them used;
//! * one number has several forms (a small one may be written in nine bytes): [`decode`] writes the value again
//!   and compares.

use bytes::{BufMut as _, BytesMut};

pub(crate) use bincode::de::{BorrowDecode, BorrowDecoder, Decode, Decoder};
pub(crate) use bincode::enc::{Encode, Encoder};
pub(crate) use bincode::error::EncodeError as WriteError;
pub(crate) use bincode::{Decode as DeriveDecode, Encode as DeriveEncode, impl_borrow_decode};

/// Why bytes are not the bincode form of a value.
pub(crate) use bincode::error::DecodeError as BinaryError;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::de::read::Reader as _;

use super::PayloadError;
use crate::limits::BINCODE_MEMORY_BYTES_MAX;

const CONFIG: Configuration<LittleEndian, Varint, Limit<BINCODE_MEMORY_BYTES_MAX>> =
    bincode::config::standard().with_limit::<BINCODE_MEMORY_BYTES_MAX>();

pub(super) fn decode<T: Decode<()> + Encode>(payload: &[u8]) -> Result<T, PayloadError> {
    let (value, used) = bincode::decode_from_slice(payload, CONFIG)?;
    if used < payload.len() {
        return Err(PayloadError::TrailingBytes(payload.len() - used));
    }
    let mut comparison = Comparison { rest: payload, equal: true };
    bincode::encode_into_writer(&value, &mut comparison, CONFIG).expect("a decoded value encodes");
    if comparison.equal && comparison.rest.is_empty() { Ok(value) } else { Err(PayloadError::NotCanonical) }
}

pub(super) fn encode<T: Encode>(value: &T, out: &mut BytesMut) {
    bincode::encode_into_std_write(value, &mut out.writer(), CONFIG).expect("memory doesn't fail");
}

/// Reads a text whose length is tested before anything is reserved for it.
pub(crate) fn bounded_text<D: Decoder>(decoder: &mut D, bytes_max: usize) -> Result<String, BinaryError> {
    let text = bounded_bytes(decoder, bytes_max)?;
    String::from_utf8(text).map_err(|error| BinaryError::Utf8 { inner: error.utf8_error() })
}

/// Reads bytes whose length is tested before anything is reserved for them.
pub(crate) fn bounded_bytes<D: Decoder>(decoder: &mut D, bytes_max: usize) -> Result<Vec<u8>, BinaryError> {
    let length = bounded_length(decoder, bytes_max)?;
    decoder.claim_bytes_read(length)?;
    let mut bytes = vec![0; length];
    decoder.reader().read(&mut bytes)?;
    Ok(bytes)
}

/// Reads a length and holds it against its bound.
pub(crate) fn bounded_length<D: Decoder>(decoder: &mut D, length_max: usize) -> Result<usize, BinaryError> {
    let length = u64::decode(decoder)?;
    match usize::try_from(length) {
        Ok(length) if length <= length_max => Ok(length),
        _ => Err(BinaryError::OtherString(format!("a length of {length}, {length_max} is allowed"))),
    }
}

/// A writer that keeps nothing: it compares what is written with what was read.
struct Comparison<'a> {
    rest: &'a [u8],
    equal: bool,
}

impl bincode::enc::write::Writer for Comparison<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => self.rest = rest,
            None => self.equal = false,
        }
        Ok(())
    }
}
