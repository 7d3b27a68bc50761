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

/// Most UTF-8 bytes of a [`Query`](crate::Query), those counted twice that need a backslash in JSON.
pub const QUERY_BYTES_MAX: usize = 255;

/// Most UTF-8 bytes of a [`Sentence`](crate::Sentence).
pub const SENTENCE_BYTES_MAX: usize = 200;

/// Largest file, in bytes: 2^53 - 1, the largest integer that every JSON reader keeps exactly.
pub const FILE_BYTES_MAX: u64 = (1 << 53) - 1;

/// Bytes of a piece: what is hashed, checked and asked for as one. The last piece of a file may be shorter (BT-3.1-4).
pub const PIECE_BYTES: usize = 1 << 20;

/// Most pieces of one content: their numbers have 32 bits.
pub const PIECES_MAX: u64 = u32::MAX as u64;

/// Most pieces that one [`Fetch`](crate::messages::Fetch) asks for.
pub const FETCH_PIECES_MAX: u32 = 1_024;

/// Most bytes that one [`Fetch`](crate::messages::Fetch) of pieces asks for.
pub const FETCH_BYTES_MAX: u64 = 64 << 20;

/// Most values that one [`Fetch`](crate::messages::Fetch) of an outline asks for.
pub const FETCH_VALUES_MAX: u32 = 1 << 20;

/// Most bytes of a folder's manifest.
pub const MANIFEST_BYTES_MAX: usize = 64 << 20;

/// Most entries of a folder's manifest.
pub const MANIFEST_ENTRIES_MAX: usize = 1 << 20;

/// Most bytes of a path in a manifest.
pub const MANIFEST_PATH_BYTES_MAX: usize = 4_096;

/// Most components of a path in a manifest.
pub const MANIFEST_DEPTH_MAX: usize = 64;

/// Most roots that one [`Announce`](crate::messages::Announce) names: downloads of one session.
pub const ANNOUNCE_ROOTS_MAX: usize = 16;

/// Most bytes of the bitmap in one [`Have`](crate::messages::Have).
pub const HAVE_BITMAP_BYTES_MAX: usize = 512;

/// Most UTF-8 bytes of an [`Extension`](crate::Extension).
pub const EXTENSION_BYTES_MAX: usize = 32;

/// Lowest TCP port that the index hands out (BT-2.2-5): never a well-known service.
pub const TRANSFER_PORT_MIN: u16 = 1_024;

/// Most files in one [`Publish`](crate::messages::Publish).
pub const PUBLISH_FILES_MAX: usize = 64;

/// Most names in one [`Unpublish`](crate::messages::Unpublish).
pub const UNPUBLISH_NAMES_MAX: usize = 64;

/// Most entries on one page of any list (BT-2.5-1); long names fill a page's bytes sooner.
pub const PAGE_ENTRIES_MAX: usize = 64;

/// Most digests on one page of an answer to [`Recall`](crate::messages::Recall), and what one
/// [`Resume`](crate::messages::Resume) can choose from. JSON's fill a page's bytes sooner.
pub const RECALL_DIGESTS_MAX: usize = 128;

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
// The longest Search in JSON: a query, a filter with everything, and a cursor with the longest name.
const _: () = assert!(
    QUERY_BYTES_MAX
        + FILE_NAME_BYTES_MAX
        + EXTENSION_BYTES_MAX
        + 2 * MEMBER_NAME_BYTES_MAX
        + 2 * 64
        + 3 * 16
        + 200
        <= MESSAGE_PAYLOAD_BYTES_MAX
);
const _: () = assert!(ANNOUNCE_ROOTS_MAX * 67 + 12 <= MESSAGE_PAYLOAD_BYTES_MAX);
const _: () = assert!(RECALL_DIGESTS_MAX * 8 + 64 <= MESSAGE_PAYLOAD_BYTES_MAX);
const _: () = assert!(2 * HAVE_BITMAP_BYTES_MAX + 64 <= MESSAGE_PAYLOAD_BYTES_MAX);
const _: () = assert!(MANIFEST_BYTES_MAX.is_multiple_of(PIECE_BYTES));
const _: () = assert!(2 * SENTENCE_BYTES_MAX + 64 <= MESSAGE_PAYLOAD_BYTES_MAX);
