//! JSON payloads: compact when written, any white space and order when read, unknown fields refused (BT-1.5-2).

use bytes::{BufMut as _, BytesMut};
use serde::{Serialize, de::DeserializeOwned};

use super::PayloadError;

pub(super) fn decode<T: DeserializeOwned + Serialize>(payload: &[u8]) -> Result<T, PayloadError> {
    let value = serde_json::from_slice(payload)?;
    // serde also takes an array for a struct, its fields in order. Written again, the value has only the arrays that
    // belong there, and none of them can be left out.
    let mut written = BytesMut::with_capacity(payload.len());
    encode(&value, &mut written);
    if arrays(payload) == arrays(&written) { Ok(value) } else { Err(PayloadError::NotAnObject) }
}

/// How many arrays a JSON text has.
fn arrays(json: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

pub(super) fn encode<T: Serialize>(value: &T, out: &mut BytesMut) {
    serde_json::to_writer(out.writer(), value).expect("messages have string keys, and memory doesn't fail");
}
