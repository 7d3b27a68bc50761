//! Every bound of the wire, in one place, asserted against each other at compile time (BT-5.3).
//!
//! Whatever arrives is held against one of these before memory is reserved for it.

/// Bytes of a frame's header (BT-1.2-1).
pub const HEADER_BYTES: usize = 12;

/// Most bytes of one UDP datagram, frame header included (BT-1.4-1). Stays below every common path MTU, so
/// that no datagram is ever fragmented.
pub const DATAGRAM_BYTES_MAX: usize = 1_200;

/// Fewest bytes of a datagram that a server looks at before it knows its sender's address (BT-6.4-1): no answer to it is
/// longer.
pub const STRANGER_DATAGRAM_BYTES_MIN: usize = 256;

/// Bytes that a seal puts around a frame in a datagram: a header, a counter, a tag (BT-6.5-1).
pub const SEAL_BYTES: usize = HEADER_BYTES + 8 + 16;

/// Most payload bytes of every kind but `Data` (BT-5.3-1): what fits one sealed datagram, on TCP as well.
pub const MESSAGE_PAYLOAD_BYTES_MAX: usize = DATAGRAM_BYTES_MAX - SEAL_BYTES - HEADER_BYTES;

/// Most file bytes that one `Data` frame carries (BT-3.3-1). 256 bytes below 64 KiB, so that a frame, its header
/// and a seal around it fit the 65,535 bytes of one sealed record.
pub const DATA_BYTES_MAX: usize = 64 * 1024 - 256;

/// Most UTF-8 bytes of a [`FileName`](crate::FileName): what common file systems allow one component.
pub const FILE_NAME_BYTES_MAX: usize = 255;

/// Most UTF-8 bytes of a [`MemberName`](crate::MemberName).
pub const MEMBER_NAME_BYTES_MAX: usize = 64;

/// Most UTF-8 bytes of a [`Password`](crate::Password).
pub const PASSWORD_BYTES_MAX: usize = 128;

/// Most UTF-8 bytes of a [`Query`](crate::Query).
pub const QUERY_BYTES_MAX: usize = 255;

/// Most UTF-8 bytes of a [`Sentence`](crate::Sentence).
pub const SENTENCE_BYTES_MAX: usize = 200;

/// Largest file, in bytes: 2^53 - 1, the largest integer that every JSON reader keeps exactly.
pub const FILE_BYTES_MAX: u64 = (1 << 53) - 1;

/// Lowest TCP port that the index hands out (BT-2.2-5): never a well-known service.
pub const TRANSFER_PORT_MIN: u16 = 1_024;

/// Most files in one [`Publish`](crate::messages::Publish).
pub const PUBLISH_FILES_MAX: usize = 64;

/// Most names in one [`Unpublish`](crate::messages::Unpublish).
pub const UNPUBLISH_NAMES_MAX: usize = 64;

/// Most entries on one page of any list (BT-2.5-1); long names fill a page's bytes sooner.
pub const PAGE_ENTRIES_MAX: usize = 64;

/// Most sources on one page of an answer to [`Locate`](crate::messages::Locate).
pub const LOCATE_SOURCES_MAX: usize = 8;

/// Bytes of a legacy datagram that its programs read; the rest is cut off (BT-4.1-3).
pub const LEGACY_DATAGRAM_BYTES_MAX: usize = 1_024;

/// Bytes of a legacy `GET name` request that the original reads (BT-4.3-1).
pub const LEGACY_GET_BYTES_MAX: usize = 1_024;

/// Most bytes that bincode may claim in memory while it decodes one payload. Lists and texts are bounded by
/// themselves; this is the second lock on the same door.
pub(crate) const BINCODE_MEMORY_BYTES_MAX: usize = 16 * 1024;

const _: () = assert!(SEAL_BYTES + HEADER_BYTES + MESSAGE_PAYLOAD_BYTES_MAX <= DATAGRAM_BYTES_MAX);
const _: () =
    assert!(HEADER_BYTES + DATA_BYTES_MAX + 64 <= u16::MAX as usize, "a sealed record holds a frame");
const _: () = assert!(DATA_BYTES_MAX <= u32::MAX as usize);
// The longest Enrol in JSON: every character of its texts may need a backslash.
const _: () = assert!(2 * (MEMBER_NAME_BYTES_MAX + PASSWORD_BYTES_MAX) + 64 <= MESSAGE_PAYLOAD_BYTES_MAX);
// The longest Search in JSON: a query and a cursor with the longest name.
const _: () = assert!(2 * QUERY_BYTES_MAX + FILE_NAME_BYTES_MAX + 96 <= MESSAGE_PAYLOAD_BYTES_MAX);
const _: () = assert!(2 * SENTENCE_BYTES_MAX + 64 <= MESSAGE_PAYLOAD_BYTES_MAX);
