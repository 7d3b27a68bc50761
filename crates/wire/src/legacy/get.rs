//! `GET name`: how a legacy peer asks another for a file over TCP (BT-4.3).

use crate::limits::LEGACY_GET_BYTES_MAX;

/// The request: `GET`, a space, and a name without white space. Nothing marks its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GetRequest {
    /// The name, as it was sent. A label: never a path.
    pub name: String,
}

/// Why bytes are not a `GET` request. The sender's fault; the connection is reset.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GetError {
    /// More bytes than the original reads.
    #[error("the request has {bytes} bytes, {LEGACY_GET_BYTES_MAX} are read")]
    TooLong {
        /// Bytes it has.
        bytes: usize,
    },
    /// Not UTF-8.
    #[error("the request is not UTF-8")]
    NotUtf8,
    /// Not exactly two words, the first of them `GET`.
    #[error("the request is not two words, the first of them GET")]
    NotTwoWords,
}

impl GetRequest {
    /// Reads a request. What ends it is for the caller to see: a pause, a newline or the end of the stream.
    ///
    /// # Errors
    /// It isn't one.
    pub fn decode(bytes: &[u8]) -> Result<Self, GetError> {
        if bytes.len() > LEGACY_GET_BYTES_MAX {
            return Err(GetError::TooLong { bytes: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| GetError::NotUtf8)?;
        let words: Vec<&str> = text.split_whitespace().take(3).collect();
        match words.as_slice() {
            ["GET", name] => Ok(Self { name: (*name).to_owned() }),
            _ => Err(GetError::NotTwoWords),
        }
    }

    /// The request for a name, or why the original couldn't read it.
    ///
    /// # Errors
    /// The name is empty, has white space in it, or is too long.
    pub fn encode(&self) -> Result<Vec<u8>, GetError> {
        let bytes = format!("GET {}", self.name).into_bytes();
        match Self::decode(&bytes) {
            Ok(request) if request == *self => Ok(bytes),
            Ok(_) => Err(GetError::NotTwoWords),
            Err(error) => Err(error),
        }
    }
}
