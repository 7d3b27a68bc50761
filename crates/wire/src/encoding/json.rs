//! JSON payloads: compact when written, any white space and order when read, unknown fields refused (BT-1.5-2).

use bytes::{BufMut as _, BytesMut};
use serde::{Serialize, de::DeserializeOwned};

use super::PayloadError;

pub(super) fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, PayloadError> {
    Ok(serde_json::from_slice(payload)?)
}

pub(super) fn encode<T: Serialize>(value: &T, out: &mut BytesMut) {
    serde_json::to_writer(out.writer(), value).expect("messages have string keys, and memory doesn't fail");
}
