//! Bad input costs no more memory than its own length (BT-1.2-4, BT-2.1-5).

use allocation_counter::measure;
use bittrickle_wire::{DatagramCodec, Encoding, Frame, FrameCodec, FramingError, Kind, Received};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder as _};

use super::{DATA_BYTES_MAX, HEADER_BYTES, bytes_of, encode, header, samples_in_each_encoding};

/// Bytes that may be reserved for an input, beside four times its length: what errors and their words need.
const MEMORY_BYTES: usize = 4 * 1024;

/// Holds what decoding and judging these bytes reserves against their length: what is reserved at one time, and, twice
/// as generously, everything in sum, as a list that grows is moved to twice its room again and again.
fn assert_cheap<C: Decoder<Item = Received, Error = FramingError>>(mut codec: C, input: &[u8]) {
    let mut buffer = BytesMut::from(input);
    let info = measure(|| {
        while let Ok(Some(received)) = codec.decode(&mut buffer) {
            if let Received::Bad(bad) = received {
                drop(bad.verdict());
            }
        }
    });
    let allowed = u64::try_from(4 * input.len() + MEMORY_BYTES).unwrap();
    assert!(info.bytes_max <= allowed, "{info:?} for {} bytes: {input:02x?}", input.len());
    assert!(info.bytes_total <= 2 * allowed, "{info:?} for {} bytes: {input:02x?}", input.len());
}

fn assert_cheap_everywhere(input: &[u8]) {
    assert_cheap(DatagramCodec, input);
    assert_cheap(FrameCodec::for_requests(), input);
}

/// BT-1.2-4, BT-2.1-5
#[test]
fn no_sample_cut_anywhere_costs_more_than_its_length() {
    for (_, encoding, message) in samples_in_each_encoding() {
        let bytes = encode(encoding, 7, &message);
        for end in 0..=bytes.len() {
            assert_cheap_everywhere(&bytes[..end]);
            // The header says what it likes; the payload ends early all the same.
            if end >= HEADER_BYTES {
                assert_cheap_everywhere(&bytes_of(bytes[1], bytes[2], bytes[3], &bytes[HEADER_BYTES..end]));
            }
        }
    }
}

/// BT-2.1-5: the shortest entries, as many as there may be, and an end that is wrong.
#[test]
fn lists_of_the_shortest_entries_cost_no_more_than_their_length() {
    let entries: [(Kind, &[u8], &[u8]); 6] = [
        (Kind::Publish, b"\x01a\x00", b""),
        (Kind::Unpublish, b"\x01a", b""),
        (Kind::Found, b"\x01a\x00\x00\x00", b""),
        (Kind::Peers, b"\x01a\x00", b""),
        (Kind::Files, b"\x01a\x00\x00", b""),
        (Kind::Located, b"\x01a\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xfb\0\x04\0\0", b"\0"),
    ];
    for (kind, entry, before) in entries {
        let most = if kind == Kind::Located { 8 } else { 64 };
        for count in 0..=most {
            for end in [&b""[..], b"\0", b"\x02", b"\0\0"] {
                let payload = [before, &[most], &entry.repeat(usize::from(count)), end].concat();
                assert_cheap_everywhere(&bytes_of(1, kind.code(), 1, &payload));
            }
        }
    }
    let files = [r#"{"name":"a","file_bytes":0}"#; 40].join(",");
    for end in ["]}", "]", "", ",{}]}"] {
        assert_cheap_everywhere(&bytes_of(
            1,
            Kind::Publish.code(),
            0,
            format!("{{\"files\":[{files}{end}").as_bytes(),
        ));
    }
}

/// BT-1.2-4, BT-2.1-5: a length from afar is held against its bound before anything is reserved for it.
#[test]
fn a_length_that_nothing_follows_reserves_nothing() {
    for length in [66, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 40, u64::MAX] {
        let number = [&[0xfd][..], &length.to_le_bytes()].concat();
        for kind in Kind::ALL {
            for front in [&b""[..], b"\0", b"\x01", b"\x01a"] {
                let payload = [front, &number].concat();
                let bytes = bytes_of(1, kind.code(), 1, &payload);
                assert_cheap(DatagramCodec, &bytes);
                let info = measure(|| drop(DatagramCodec.decode(&mut BytesMut::from(&bytes[..]))));
                assert!(info.bytes_max < 2_048, "{kind:?} with {length}: {info:?}");
            }
        }
    }
}

/// BT-1.2-4: a stream that waits for a frame reserves that frame, whose length was held against its limit.
#[test]
fn a_header_alone_reserves_no_more_than_a_frame_of_its_kind() {
    let declare = |mut codec: FrameCodec, kind: Kind, bytes: u32| {
        let mut buffer = BytesMut::from(&header(1, kind.code(), 2, bytes)[..]);
        measure(|| drop(codec.decode(&mut buffer))).bytes_total
    };
    for bytes in [1_153, 65_280, 65_281, 1 << 20, u32::MAX] {
        assert!(
            declare(FrameCodec::for_requests(), Kind::Data, bytes) < 512,
            "{bytes} are refused, not reserved"
        );
        assert!(
            declare(FrameCodec::for_content(), Kind::Described, bytes) < 512,
            "{bytes} are refused, not reserved"
        );
    }
    let most = u32::try_from(DATA_BYTES_MAX).unwrap();
    assert!(declare(FrameCodec::for_content(), Kind::Data, most) <= 2 * u64::from(most));
}

/// BT-1.2-4: file bytes are handed on as they came, not copied.
#[test]
fn the_largest_data_frame_is_not_copied() {
    let mut buffer = BytesMut::new();
    let frame = Frame::data(1, Bytes::from(vec![7; DATA_BYTES_MAX]));
    FrameCodec::for_content().encode(frame, &mut buffer).unwrap();
    let info = measure(|| drop(FrameCodec::for_content().decode(&mut buffer)));
    assert!(info.bytes_total < 512, "{info:?}");
}

fn changed_sample() -> impl Strategy<Value = Vec<u8>> {
    let samples: Vec<Vec<u8>> =
        samples_in_each_encoding().map(|(_, encoding, message)| encode(encoding, 7, &message)).collect();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..8);
    (prop::sample::select(samples), changes).prop_map(|(mut bytes, changes)| {
        for (at, value, what) in changes {
            let at = at.index(bytes.len());
            match what {
                0 => bytes[at] = value,
                1 => bytes.insert(at, value),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes[at] ^= 1 << (value % 8),
            }
        }
        mend_length(&mut bytes);
        bytes
    })
}

/// So that the payload is looked at, and not only the header.
fn mend_length(bytes: &mut [u8]) {
    if let Some(payload_bytes) = bytes.len().checked_sub(HEADER_BYTES) {
        bytes[0] = 0xb7;
        bytes[8..12].copy_from_slice(&u32::try_from(payload_bytes).unwrap().to_be_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// BT-1.2-4, BT-1.5-3: no panic, no more memory than its length, and what is taken has no other form.
    #[test]
    fn a_changed_sample_is_refused_or_encoded_again_to_the_same_bytes(bytes in changed_sample()) {
        assert_cheap_everywhere(&bytes);
        if let Ok(Some(Received::Frame(frame))) = DatagramCodec.decode(&mut BytesMut::from(&bytes[..])) {
            let (encoding, id) = (frame.encoding, frame.request_id);
            let again = encode(encoding, id, &frame.message);
            if encoding == Encoding::Json {
                let decoded = DatagramCodec.decode(&mut BytesMut::from(&again[..])).unwrap().unwrap();
                prop_assert_eq!(super::good(decoded), frame);
            } else {
                prop_assert_eq!(again, bytes);
            }
        }
    }

    /// BT-1.2-4
    #[test]
    fn random_bytes_cost_no_more_than_their_length(
        mut bytes in prop::collection::vec(any::<u8>(), 0..1_300),
        known in any::<prop::sample::Index>(),
        encoding in 0..4_u8,
    ) {
        assert_cheap_everywhere(&bytes);
        mend_length(&mut bytes);
        if bytes.len() >= HEADER_BYTES {
            bytes[1..4].copy_from_slice(&[1, Kind::ALL[known.index(Kind::ALL.len())].code(), encoding]);
        }
        assert_cheap_everywhere(&bytes);
    }
}
