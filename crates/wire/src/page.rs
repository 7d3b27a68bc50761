//! Filling a page: as many entries as one datagram holds, in the encoding it will be written in (BT-2.5).

use std::net::IpAddr;

use crate::content::{Content, ROOT_BYTES, Root};
use crate::encoding::Encoding;
use crate::limits::MESSAGE_PAYLOAD_BYTES_MAX;
use crate::list::List;
use crate::number::{FileBytes, SourceAddress};
use crate::text::{Rule, Text};

/// Something that pages are made of.
pub trait Entry {
    /// Most bytes that this entry takes in a payload.
    fn payload_bytes(&self, encoding: Encoding) -> usize;
    /// Most bytes that a cursor which points behind this entry takes.
    fn cursor_bytes(&self, encoding: Encoding) -> usize;
}

/// A page being filled. It always has room for a cursor behind its last entry.
#[derive(Debug)]
pub struct PageBuilder<T, const MAX: usize> {
    entries: Vec<T>,
    encoding: Encoding,
    bytes_left: usize,
}

/// What stands around the entries: field names, counts, brackets, `null` for a missing cursor.
const ENVELOPE_BYTES_MAX: usize = 64;

impl<T: Entry, const MAX: usize> PageBuilder<T, MAX> {
    /// An empty page for a payload in this encoding.
    #[must_use]
    pub fn new(encoding: Encoding) -> Self {
        let bytes_left = MESSAGE_PAYLOAD_BYTES_MAX - ENVELOPE_BYTES_MAX;
        Self { entries: Vec::new(), encoding, bytes_left }
    }

    /// Adds an entry, or gives it back when it doesn't fit any more. The first entry always fits.
    ///
    /// # Errors
    /// The page is full: the entry, untouched.
    pub fn push(&mut self, entry: T) -> Result<(), T> {
        let bytes = entry.payload_bytes(self.encoding);
        let fits = bytes + entry.cursor_bytes(self.encoding) <= self.bytes_left;
        if self.entries.len() == MAX || !fits {
            return Err(entry);
        }
        self.bytes_left -= bytes;
        self.entries.push(entry);
        Ok(())
    }

    /// Whether nothing has been added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The last entry that was added.
    #[must_use]
    pub fn last(&self) -> Option<&T> {
        self.entries.last()
    }

    /// The page's entries.
    #[must_use]
    pub fn finish(self) -> List<T, MAX> {
        List::new(self.entries).expect("push counts the entries")
    }
}

/// The bytes of JSON's punctuation and field names around an entry; bincode has none.
pub(crate) fn json_bytes(encoding: Encoding, frame: &str) -> usize {
    if encoding == Encoding::Json { frame.len() } else { 0 }
}

/// The bytes of a text that has no control characters: in JSON some of the others need a backslash.
pub(crate) fn text_bytes<R: Rule>(encoding: Encoding, text: &Text<R>) -> usize {
    let text = text.as_str();
    match encoding {
        Encoding::Json => 2 + text.len() + text.bytes().filter(|b| matches!(b, b'"' | b'\\')).count(),
        Encoding::Bincode | Encoding::Raw => number_bytes(encoding, text.len() as u64) + text.len(),
    }
}

/// The bytes of a number (BT-1.5-4).
pub(crate) fn number_bytes(encoding: Encoding, number: u64) -> usize {
    match (encoding, number) {
        (Encoding::Json, _) => 1 + number.checked_ilog10().unwrap_or(0) as usize,
        (_, 0..=250) => 1,
        (_, 251..=0xffff) => 3,
        (_, 0x1_0000..=0xffff_ffff) => 5,
        (_, 0x1_0000_0000..) => 9,
    }
}

/// The bytes of a number or of its absence.
pub(crate) fn optional_number_bytes(encoding: Encoding, number: Option<u64>) -> usize {
    let presence = if encoding == Encoding::Json { 0 } else { 1 };
    match number {
        Some(number) => presence + number_bytes(encoding, number),
        None => presence + json_bytes(encoding, "null"),
    }
}

/// The bytes of a root or of its absence.
pub(crate) fn root_bytes(encoding: Encoding, root: Option<Root>) -> usize {
    match (encoding, root) {
        (Encoding::Json, Some(_)) => r#""""#.len() + 2 * ROOT_BYTES,
        (Encoding::Json, None) => "null".len(),
        (_, root) => 1 + root.map_or(0, |_| ROOT_BYTES),
    }
}

/// The bytes of a truth value in bincode; in JSON `false` stands among the field names.
pub(crate) fn flag_bytes(encoding: Encoding) -> usize {
    if encoding == Encoding::Json { 0 } else { 1 }
}

/// The bytes of what stands behind a name.
pub(crate) fn content_bytes(encoding: Encoding, content: &Content) -> usize {
    json_bytes(encoding, r#"{"file_bytes":,"root":,"is_folder":false}"#)
        + optional_number_bytes(encoding, content.file_bytes.map(FileBytes::bytes))
        + root_bytes(encoding, content.root)
        + flag_bytes(encoding)
}

/// The most bytes of a source's address.
pub(crate) fn address_bytes(encoding: Encoding, address: SourceAddress) -> usize {
    match (encoding, address.socket_address().ip()) {
        (Encoding::Json, IpAddr::V4(_)) => r#""255.255.255.255:65535""#.len(),
        (Encoding::Json, IpAddr::V6(_)) => r#""[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535""#.len(),
        (Encoding::Bincode | Encoding::Raw, _) => 16 + 3,
    }
}
