//! Reads what a journal is made of, never past its end.

use super::{CHECK_BYTES, check};

/// The bytes that are left, and where they stand.
#[derive(Debug)]
pub(super) struct Reader<'bytes> {
    all: &'bytes [u8],
    position: usize,
}

impl<'bytes> Reader<'bytes> {
    pub(super) fn new(all: &'bytes [u8]) -> Self {
        Self { all, position: 0 }
    }

    /// Bytes that have been read.
    pub(super) fn position(&self) -> u64 {
        self.position as u64
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.position == self.all.len()
    }

    /// The kind and the body of the next record; `None` where it is torn or damaged.
    pub(super) fn record(&mut self) -> Option<(u8, &'bytes [u8])> {
        let begin = self.position;
        let length = u16::from_be_bytes(self.array()?);
        let [kind] = self.array()?;
        let body = self.bytes(length.into())?;
        let expected = check(begin as u64, &self.all[begin..self.position]);
        (self.array::<CHECK_BYTES>()? == expected).then_some((kind, body))
    }

    /// A text behind its length.
    pub(super) fn text(&mut self) -> Option<&'bytes str> {
        let length = u16::from_be_bytes(self.array()?);
        str::from_utf8(self.bytes(length.into())?).ok()
    }

    pub(super) fn array<const BYTES: usize>(&mut self) -> Option<[u8; BYTES]> {
        self.bytes(BYTES)?.first_chunk().copied()
    }

    fn bytes(&mut self, count: usize) -> Option<&'bytes [u8]> {
        let bytes = self.all.get(self.position..self.position.checked_add(count)?)?;
        self.position += count;
        Some(bytes)
    }
}
