//! Sealed records on a stream: all of them, in order, once, or the end (BT-6.6).

use bittrickle_wire::limits::DATA_BYTES_MAX;
use bittrickle_wire::seal::{STREAM_KEY_FRAMES, SealedCodec, TAG_BYTES};
use bittrickle_wire::{Frame, FrameCodec, FramingError, Received};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::vectors::{key_bytes, stream_of_the_vectors};
use super::{by_hand, data, decode, described, fetch, logged_in, record, stream, stream_of};

const NAME: &str = "notes.txt";

/// BT-6.6-3
#[test]
fn a_record_adds_28_bytes_to_its_frame() {
    for frame in [fetch(), described(6), data(b""), Frame::data(1, Bytes::from(vec![7; DATA_BYTES_MAX]))] {
        let (mut fetcher, mut provider) = stream(NAME);
        let mut sealed = record(&mut provider, frame.clone());
        assert_eq!(sealed.len(), plain(&frame).len() + 28);
        assert_eq!(sealed[..8], [0xb7, 1, 3, 2, 0, 0, 0, 0]);
        assert_eq!(decode(&mut fetcher, &mut sealed).unwrap(), Some(frame));
        assert!(sealed.is_empty());
    }
}

/// BT-6.6-3
#[test]
fn a_record_cut_anywhere_is_waited_for_and_refused_at_the_streams_end() {
    let sealed = record(&mut stream(NAME).0, fetch());
    let mut provider = stream(NAME).1;
    for end in 0..sealed.len() {
        let mut buffer = BytesMut::from(&sealed[..end]);
        assert!(matches!(decode(&mut provider, &mut buffer), Ok(None)), "cut at {end}");
        assert_eq!(buffer, sealed[..end], "what is waited for stays");
        match provider.decode_eof(&mut buffer) {
            Ok(None) => assert_eq!(end, 0),
            Err(FramingError::Short { .. }) => assert!(end > 0),
            other => panic!("cut at {end}: {other:?}"),
        }
    }
    assert_eq!(decode(&mut provider, &mut sealed.clone()).unwrap(), Some(fetch()));
}

/// BT-6.6-3
#[test]
fn records_that_come_byte_by_byte_are_read_as_if_at_once() {
    let (mut fetcher, mut provider) = stream(NAME);
    let frames = [described(6), data(b"hello"), data(b"\n")];
    let all: Vec<u8> = frames.iter().flat_map(|frame| record(&mut provider, frame.clone())).collect();
    let (mut buffer, mut read) = (BytesMut::new(), Vec::new());
    for byte in all {
        buffer.extend_from_slice(&[byte]);
        read.extend(decode(&mut fetcher, &mut buffer).unwrap());
    }
    assert_eq!(read, frames);
    assert!(matches!(fetcher.decode_eof(&mut buffer), Ok(None)));
}

/// BT-6.6-5: a length that was changed may be waited for; nothing is ever read.
#[test]
fn a_flipped_bit_of_a_record_is_an_error() {
    let sealed = record(&mut stream(NAME).0, fetch());
    for bit in 0..8 * sealed.len() {
        let mut provider = stream(NAME).1;
        let mut buffer = sealed.clone();
        buffer[bit / 8] ^= 1 << (bit % 8);
        let is_longer = matches!(decode(&mut provider, &mut buffer), Ok(None));
        assert!(!is_longer || (8..12).contains(&(bit / 8)), "bit {bit}");
        if is_longer {
            buffer.extend_from_slice(&[0; 2_000]);
            assert!(decode(&mut provider, &mut buffer).is_err(), "bit {bit}");
        }
    }
}

/// BT-6.6-3, BT-6.6-5
#[test]
fn records_in_another_order_are_an_error() {
    let records = |frames: &[usize]| -> (SealedCodec, BytesMut) {
        let (fetcher, mut provider) = stream(NAME);
        let sealed = [b"0", b"1", b"2"].map(|text| record(&mut provider, data(text)));
        (fetcher, frames.iter().flat_map(|index| sealed[*index].clone()).collect())
    };
    for (order, good) in
        [(&[0, 1, 2][..], 3), (&[1], 0), (&[0, 0], 1), (&[0, 2], 1), (&[1, 0], 0), (&[0, 1, 0], 2)]
    {
        let (mut fetcher, mut bytes) = records(order);
        // Nobody should read on behind an error; if somebody does, there is nothing to read.
        let read = (0..4).filter(|_| matches!(decode(&mut fetcher, &mut bytes), Ok(Some(_)))).count();
        assert_eq!(read, good, "{order:?}");
    }
}

/// BT-6.6-3: keys belong to one stream and one direction.
#[test]
fn a_record_of_another_stream_or_of_the_other_direction_is_an_error() {
    let (mut fetcher, mut provider) = stream(NAME);
    let (mut other_fetcher, mut other_provider) = stream_of(0xe1, 0x11, NAME);
    let asked = record(&mut fetcher, fetch());
    let answered = record(&mut provider, data(b"0"));
    for (codec, sealed) in [
        (&mut fetcher, &asked),
        (&mut provider, &answered),
        (&mut other_provider, &asked),
        (&mut other_fetcher, &answered),
    ] {
        assert!(matches!(decode(codec, &mut sealed.clone()), Err(FramingError::NotSealed)));
    }
}

/// BT-6.6-5: also when the true record comes right behind a forged one.
#[test]
fn nothing_is_read_behind_a_forged_record() {
    let (mut fetcher, mut provider) = stream(NAME);
    let good = record(&mut provider, data(b"0"));
    let mut forged = good.clone();
    forged[20] ^= 1;
    let mut bytes = BytesMut::from(&[&forged[..], &good[..]].concat()[..]);
    for _ in 0..3 {
        assert!(matches!(decode(&mut fetcher, &mut bytes), Err(FramingError::NotSealed)));
    }
    assert!(
        decode(&mut fetcher, &mut good.clone()).is_err() && fetcher.decode_eof(&mut BytesMut::new()).is_err()
    );
}

/// BT-6.6-3, BT-6.6-5: what a program with other manners could seal with the right key.
#[test]
fn a_record_that_holds_anything_but_one_frame_is_an_error() {
    let key = key_bytes("fetcher_to_provider");
    let frame = plain(&fetch());
    let good = by_hand::record(&key, 0, &frame);
    assert_eq!(decode(&mut vector_provider(), &mut BytesMut::from(&good[..])).unwrap(), Some(fetch()));
    let twice = [&frame[..], &frame[..]].concat();
    let longer = [&frame[..], b"\0"].concat();
    for (what, text) in [
        ("nothing", &b""[..]),
        ("half a header", &frame[..6]),
        ("a header alone", &frame[..12]),
        ("a frame without its last byte", &frame[..frame.len() - 1]),
        ("two frames", &twice),
        ("a byte behind the frame", &longer),
        ("no frame", b"GET notes.txt"),
    ] {
        let sealed = by_hand::record(&key, 0, text);
        let result = decode(&mut vector_provider(), &mut BytesMut::from(&sealed[..]));
        assert!(result.is_err(), "{what}: {result:?}");
        let result = vector_provider().decode_eof(&mut BytesMut::from(&sealed[..]));
        assert!(result.is_err(), "{what}, and the end: {result:?}");
    }
}

/// BT-6.1-2, BT-1.6-1: a frame that is bad in itself is the sender's fault, and framing goes on behind it.
#[test]
fn a_bad_frame_in_a_good_record_is_told_and_the_next_record_is_read() {
    let key = key_bytes("fetcher_to_provider");
    let mut provider = vector_provider();
    for (counter, kind) in [(0, 0x77), (1, 0x01), (2, 0x83)] {
        let text = [0xb7, 1, kind, 2, 0, 0, 0, 9, 0, 0, 0, 0];
        let sealed = by_hand::record(&key, counter, &text);
        let received = provider.decode(&mut BytesMut::from(&sealed[..])).unwrap();
        assert!(matches!(received, Some(Received::Bad(_))), "{received:?}");
    }
    let next = by_hand::record(&key, 3, &plain(&fetch()));
    assert_eq!(decode(&mut provider, &mut BytesMut::from(&next[..])).unwrap(), Some(fetch()));
}

/// BT-1.2-4, BT-5.3-1: the longest frame of each side, and one byte more.
#[test]
fn a_record_that_is_too_long_is_refused_by_its_header() {
    for (is_fetcher, payload_bytes_max) in [(true, DATA_BYTES_MAX), (false, 1_152)] {
        let most = 12 + payload_bytes_max + TAG_BYTES;
        for (bytes, is_waited_for) in [(most, true), (most + 1, false), (65_536, false), (0xffff_ffff, false)]
        {
            let (fetcher, provider) = stream(NAME);
            let mut codec = if is_fetcher { fetcher } else { provider };
            let mut header = BytesMut::from(&[0xb7, 1, 3, 2, 0, 0, 0, 0][..]);
            header.extend_from_slice(&u32::try_from(bytes).unwrap().to_be_bytes());
            match decode(&mut codec, &mut header) {
                Ok(None) => assert!(is_waited_for, "{bytes}"),
                Err(FramingError::PayloadTooLong { allowed, .. }) => {
                    assert!(!is_waited_for && allowed == most, "{bytes}");
                }
                other => panic!("{bytes}: {other:?}"),
            }
        }
    }
}

/// BT-6.1-1, BT-6.6-5: nothing is read from a stream without its seal.
#[test]
fn what_is_not_a_record_is_an_error_at_once() {
    let plain_fetch = plain(&fetch());
    let header = |at: usize, byte: u8| {
        let mut header = [0xb7, 1, 3, 2, 0, 0, 0, 0, 0, 0, 0, 40];
        header[at] = byte;
        header.to_vec()
    };
    for bytes in [
        plain_fetch,
        b"GET notes.txt".to_vec(),
        b"{".to_vec(),
        vec![0],
        header(1, 0),
        header(1, 2),
        header(2, 2),
        header(2, 0x83),
        header(3, 0),
        header(3, 1),
        header(4, 1),
        header(7, 1),
        header(11, 0),
        header(11, 27),
    ] {
        for mut codec in [stream(NAME).0, stream(NAME).1] {
            let result = decode(&mut codec, &mut BytesMut::from(&bytes[..]));
            assert!(matches!(result, Err(FramingError::NotSealed)), "{bytes:02x?}: {result:?}");
        }
    }
}

/// BT-6.6-4: each direction by its own count, and not once only.
#[test]
fn keys_change_behind_each_65_536_records_of_a_direction() {
    assert_eq!(STREAM_KEY_FRAMES, 65_536);
    let (mut fetcher, mut provider) = stream_of_the_vectors();
    send_many(&mut provider, &mut fetcher, 2 * STREAM_KEY_FRAMES);
    send_many(&mut fetcher, &mut provider, STREAM_KEY_FRAMES);
    let asked = record(&mut fetcher, fetch());
    let answered = record(&mut provider, described(6));
    let next = |name: &str| by_hand::next_key(&key_bytes(name));
    assert_eq!(by_hand::open(&next("fetcher_to_provider"), 65_536, 12, &asked), plain(&fetch()));
    let after_the_next = by_hand::next_key(&next("provider_to_fetcher"));
    assert_eq!(by_hand::open(&after_the_next, 131_072, 12, &answered), plain(&described(6)));
    assert_eq!(decode(&mut provider, &mut asked.clone()).unwrap(), Some(fetch()));
    assert_eq!(decode(&mut fetcher, &mut answered.clone()).unwrap(), Some(described(6)));
}

/// BT-6.6-3: a frame that can't be written takes no counter and leaves nothing behind.
#[test]
fn a_frame_that_is_too_long_to_send_changes_nothing() {
    let (mut fetcher, mut provider) = stream(NAME);
    let mut out = BytesMut::from(&b"before"[..]);
    let too_long = Frame::data(1, Bytes::from(vec![0; DATA_BYTES_MAX + 1]));
    assert!(provider.encode(too_long, &mut out).is_err());
    assert_eq!(out[..], b"before"[..]);
    assert_eq!(decode(&mut fetcher, &mut record(&mut provider, logged_in(1))).unwrap(), Some(logged_in(1)));
}

fn send_many(from: &mut SealedCodec, to: &mut SealedCodec, count: u64) {
    let (frame, mut buffer) = (data(b"."), BytesMut::new());
    for number in 0..count {
        from.encode(frame.clone(), &mut buffer).unwrap();
        assert!(matches!(to.decode(&mut buffer), Ok(Some(Received::Frame(_)))), "{number}");
    }
}

/// The provider of the vectors, whose keys are listed.
fn vector_provider() -> SealedCodec {
    stream_of_the_vectors().1
}

fn plain(frame: &Frame) -> Vec<u8> {
    let mut out = BytesMut::new();
    FrameCodec::for_content().encode(frame.clone(), &mut out).unwrap();
    out.to_vec()
}
